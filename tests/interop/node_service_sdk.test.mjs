// The official Azure Node service SDK, unmodified, on its fixed port: each of its methods, by promise and by callback.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import https from 'node:https';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, deriveKey, devCa, parseConnectionString } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const { ProvisioningServiceClient } = createRequire(import.meta.url)('azure-iot-provisioning-service');
const used = new Set(); // methods of the SDK that a test called
let b, pki, ca, client;

// Notes what is called.
const watched = (target) => new Proxy(target, {
  get(object, name) {
    const value = object[name];
    if (typeof value !== 'function') return value;
    used.add(name);
    return value.bind(object);
  },
});

const called = (method, ...args) => new Promise((resolve, reject) => {
  client[method](...args, (error, result) => (error ? reject(error) : resolve(result)));
});

const body = (result) => result.responseBody; // what its promises give
const x509 = (kind, certificate) => ({ type: 'x509', x509: { [kind]: { primary: { certificate } } } });
const refusal = (name, status) => (e) => {
  assert.equal(e.name, name, String(e));
  assert.equal(e.response.statusCode, status);
  const { errorCode, message, trackingId } = typeof e.responseBody === 'string' ? JSON.parse(e.responseBody) : e.responseBody;
  assert.equal(Math.floor(errorCode / 1000), status);
  assert.ok(message && trackingId);
  return true;
};

async function pages(query) {
  const all = [];
  let n = 0;
  while (query.hasMoreResults) {
    all.push(...body(await query.next(query.continuationToken))); // without an argument its promise begins anew
    assert.ok(++n < 20, 'the pages have an end');
  }
  return { all, n };
}

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  https.globalAgent.options.ca = b.ca; // as an application trusts a server of its own
  client = watched(watched(ProvisioningServiceClient).fromConnectionString(b.dev.serviceConnectionString));
  pki = new Pki();
  ca = await pki.make('SDK CA', { ca: true });
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

describe('individual enrollments', () => {
  test('create, read, update by the object that was read, delete by it', async () => {
    const leaf = await pki.make('sdk:1', { issuer: ca });
    const made = body(await client.createOrUpdateIndividualEnrollment({ registrationId: 'sdk:1', deviceId: 'sdk-device', attestation: x509('clientCertificates', leaf.cert), iotHubHostName: 'localhost',
      initialTwin: { tags: { a: 1 }, properties: { desired: { b: [2] } } }, provisioningStatus: 'enabled' }));
    assert.equal(made.attestation.x509.clientCertificates.primary.info.subjectName, 'CN=sdk:1');
    const got = body(await client.getIndividualEnrollment('sdk:1'));
    assert.deepEqual(got, made);
    const changed = await called('createOrUpdateIndividualEnrollment', { ...got, provisioningStatus: 'disabled', allocationPolicy: 'static' });
    assert.equal(changed.provisioningStatus, 'disabled');
    assert.equal(changed.allocationPolicy, 'static');
    assert.deepEqual(changed.iotHubs, ['localhost']);
    assert.deepEqual(changed.attestation, got.attestation);
    await assert.rejects(client.createOrUpdateIndividualEnrollment(got), refusal('InvalidEtagError', 412));
    await assert.rejects(client.createOrUpdateIndividualEnrollment({ ...got, etag: undefined }), refusal('DeviceAlreadyExistsError', 409));
    await assert.rejects(client.deleteIndividualEnrollment(got), refusal('InvalidEtagError', 412));
    await client.deleteIndividualEnrollment(changed);
    await assert.rejects(client.getIndividualEnrollment('sdk:1'), refusal('Error', 404));
  });

  test('keys: made by the service, shown when asked for, and a device registers with them', async () => {
    const made = body(await client.createOrUpdateIndividualEnrollment({ registrationId: 'sdk-key', attestation: { type: 'symmetricKey' } }));
    assert.deepEqual(body(await client.getIndividualEnrollment('sdk-key')).attestation, { type: 'symmetricKey' });
    const { symmetricKey } = body(await client.getIndividualEnrollmentAttestationMechanism('sdk-key'));
    assert.deepEqual(symmetricKey, made.attestation.symmetricKey);
    await b.ok('device', 'simulate', '--registration-id', 'sdk-key', '--symmetric-key', symmetricKey.secondaryKey);
    const state = body(await client.getIndividualEnrollment('sdk-key')).registrationState;
    assert.equal(state.status, 'assigned');
    await called('deleteIndividualEnrollment', 'sdk-key', made.etag);
  });

  test('bulk, then query page by page, then bulk away', async () => {
    const enrollments = Array.from({ length: 7 }, (_, i) => ({ registrationId: `sdk-bulk-${i}`, attestation: { type: 'symmetricKey' } }));
    const bulk = (mode, items) => called('runBulkEnrollmentOperation', { mode, enrollments: items }); // its promise never settles
    assert.deepEqual(await bulk('create', enrollments), { isSuccessful: true, errors: [] });
    const again = await bulk('create', enrollments.slice(0, 2));
    assert.equal(again.isSuccessful, false);
    assert.deepEqual(again.errors.map((e) => e.registrationId), ['sdk-bulk-0', 'sdk-bulk-1']);
    const { all, n } = await pages(client.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' }, 3));
    assert.deepEqual(all.map((e) => e.registrationId), enrollments.map((e) => e.registrationId));
    assert.equal(n, 3);
    const second = client.createIndividualEnrollmentQuery({ query: '*' }, 3);
    await second.next();
    const resumed = await client.createIndividualEnrollmentQuery({ query: '*' }, 3).next(second.continuationToken); // in another query
    assert.equal(body(resumed)[0].registrationId, 'sdk-bulk-3');
    const current = all.map((e) => ({ ...e, provisioningStatus: 'disabled' }));
    assert.deepEqual(await bulk('updateIfMatchETag', current), { isSuccessful: true, errors: [] });
    assert.equal((await bulk('updateIfMatchETag', current)).errors.length, 7); // old etags now
    assert.deepEqual(await bulk('update', enrollments), { isSuccessful: true, errors: [] });
    assert.deepEqual(await bulk('delete', enrollments), { isSuccessful: true, errors: [] });
    assert.equal((await pages(client.createIndividualEnrollmentQuery({ query: 'SELECT *' }))).all.length, 0);
  });

  test('what is not well-formed', async () => {
    await assert.rejects(client.createOrUpdateIndividualEnrollment({ registrationId: 'sdk-x', attestation: { type: 'x509' } }), refusal('ArgumentError', 400));
    await assert.rejects(client.createIndividualEnrollmentQuery({ query: 'SELECT * FROM nowhere' }).next(), refusal('ArgumentError', 400));
  });
});

describe('enrollment groups', () => {
  test('create, read, update, registrations of its devices, delete', async () => {
    const made = body(await client.createOrUpdateEnrollmentGroup({ enrollmentGroupId: 'sdk-group', attestation: x509('signingCertificates', ca.cert), provisioningStatus: 'enabled' }));
    const got = body(await client.getEnrollmentGroup('sdk-group'));
    assert.deepEqual(got, made);
    assert.deepEqual(body(await client.getEnrollmentGroupAttestationMechanism('sdk-group')), got.attestation);
    for (const cn of ['sdk-d1', 'sdk-d2', 'sdk-d3']) {
      const m = await b.mqtt(await pki.make(cn, { issuer: ca }));
      assert.equal((await provision(m, { idScope: b.dev.idScope, registrationId: cn })).body.status, 'assigned');
      m.end();
    }
    const states = await pages(client.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT * FROM deviceRegistrations' }, 'sdk-group', 2));
    assert.deepEqual(states.all.map((s) => [s.registrationId, s.status]), [['sdk-d1', 'assigned'], ['sdk-d2', 'assigned'], ['sdk-d3', 'assigned']]);
    assert.equal(states.n, 2);
    const state = body(await client.getDeviceRegistrationState('sdk-d1'));
    assert.equal(state.assignedHub, 'localhost');
    await assert.rejects(client.deleteDeviceRegistrationState('sdk-d1', 'wrong'), refusal('InvalidEtagError', 412));
    await client.deleteDeviceRegistrationState(state); // by its etag
    await called('deleteDeviceRegistrationState', 'sdk-d2');
    await assert.rejects(client.getDeviceRegistrationState('sdk-d1'), refusal('Error', 404));
    const changed = body(await client.createOrUpdateEnrollmentGroup({ ...got, reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false } }));
    assert.deepEqual(changed.reprovisionPolicy, { updateHubAssignment: true, migrateDeviceData: false });
    await assert.rejects(client.deleteEnrollmentGroup('sdk-group', made.etag), refusal('InvalidEtagError', 412));
    await client.deleteEnrollmentGroup(changed);
    await assert.rejects(client.getEnrollmentGroup('sdk-group'), refusal('Error', 404));
  });

  test('keys of a group, and a query of groups', async () => {
    const made = await called('createOrUpdateEnrollmentGroup', { enrollmentGroupId: 'sdk-keys', attestation: { type: 'symmetricKey' } });
    const { symmetricKey } = await called('getEnrollmentGroupAttestationMechanism', 'sdk-keys');
    assert.deepEqual(symmetricKey, made.attestation.symmetricKey);
    await b.ok('device', 'simulate', '--registration-id', 'sdk-derived', '--symmetric-key', deriveKey(symmetricKey.primaryKey, 'sdk-derived'));
    const { all } = await pages(client.createEnrollmentGroupQuery({ query: 'SELECT * FROM enrollmentGroups' }, 1));
    assert.deepEqual(all.map((g) => g.enrollmentGroupId), ['dev', 'dev-key', 'sdk-keys']);
    await client.deleteEnrollmentGroup('sdk-keys');
  });
});

test('a wrong key, and a token of another authority, are unauthorized', async () => {
  const c = parseConnectionString(b.dev.serviceConnectionString);
  const stranger = ProvisioningServiceClient.fromConnectionString(`HostName=${c.HostName};SharedAccessKeyName=${c.SharedAccessKeyName};SharedAccessKey=${crypto.randomBytes(32).toString('base64')}`);
  await assert.rejects(stranger.getEnrollmentGroup('dev'), refusal('UnauthorizedError', 401));
  const bearer = watched(ProvisioningServiceClient).fromTokenCredential(c.HostName, { getToken: async () => ({ token: 'abc', expiresOnTimestamp: Date.now() + 3600000 }) });
  await assert.rejects(bearer.getEnrollmentGroup('dev'), refusal('UnauthorizedError', 401));
});

test('no method of the SDK was left out', () => {
  const isPublic = (name) => !name.startsWith('_') && name !== 'constructor';
  const methods = [...Object.getOwnPropertyNames(ProvisioningServiceClient.prototype), ...Object.getOwnPropertyNames(ProvisioningServiceClient).filter((n) => typeof ProvisioningServiceClient[n] === 'function')];
  assert.ok(methods.length > 10);
  assert.deepEqual(methods.filter(isPublic).filter((name) => !used.has(name)), []);
});
