// Devices with a TPM: software TPMs (swtpm) with `berth device simulate --tpm` on the whole road, and a TPM of node's crypto for what no
// real one would do. Individual enrollments know one TPM; groups trust the CA of its manufacturer.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, deviceToken, tempDir } from '../lib/berth.mjs';
import { Manufacturer, Swtpm } from '../lib/swtpm.mjs';
import { SoftTpm } from '../lib/tpm_blob.mjs';

const API = 'api-version=2021-10-01';
let b, maker, other, pki;

const enroll = (registrationId, tpm, more = {}) => b.service('PUT', `/enrollments/${registrationId}?${API}`, { body: { registrationId, attestation: { type: 'tpm', tpm }, ...more } });
const enrollGroup = (enrollmentGroupId, file) => b.service('PUT', `/enrollmentGroups/${enrollmentGroupId}?${API}`, {
  body: { enrollmentGroupId, attestation: { type: 'tpm', tpm: { signingCertificates: { primary: { certificate: fs.readFileSync(file, 'utf8') } } } } } });
const simulate = (tpm, ...args) => b.cli('device', 'simulate', '--tpm', '--tcti', tpm.tcti, '--output', 'json', ...args).then((r) => ({ code: r.code, ...JSON.parse(r.stdout || '[{}]')[0], stderr: r.stderr }));
const show = (tpm) => b.json('tpm', 'show', '--tcti', tpm.tcti);
const reasonOf = async (trackingId) => (await b.json('explain', trackingId)).reason;
const eventsOf = async (id, n) => (await b.ok('hub', 'monitor-events', '--from', 'start', '--device-id', id, '--count', String(n), '--output', 'json')).trim().split('\n').map((l) => JSON.parse(l).body);

// Raw requests of a SoftTpm.
const at = (id) => `/${b.dev.idScope}/registrations/${id}`;
const tokenFor = (id, key, options) => deviceToken(`${b.dev.idScope}/registrations/${id}`, key.toString('base64'), { skn: 'registration', ...options });
const put = (id, members, token) => b.request('PUT', `${at(id)}/register?api-version=2021-06-01`, { headers: token ? { Authorization: token } : {}, body: { registrationId: id, tpm: members } });
const poll = (id, operationId, token) => b.request('GET', `${at(id)}/operations/${operationId}?api-version=2021-06-01`, { headers: token ? { Authorization: token } : {} });

async function register(id, tpm, members = tpm.members) {
  const challenge = await put(id, members);
  assert.equal(typeof challenge.json.authenticationKey, 'string', challenge.text);
  const token = tokenFor(id, tpm.open(challenge.json.authenticationKey));
  const r = await put(id, members, token);
  assert.equal(r.status, 202, r.text);
  return { token, challenge: challenge.json, operationId: r.json.operationId, polled: await poll(id, r.json.operationId, token) };
}

before(async () => {
  maker = new Manufacturer();
  other = new Manufacturer();
  pki = new Pki(tempDir());
  b = await Berthd.start();
});
after(async () => { await b?.stop(); });

describe('with a real TPM client on swtpm', () => {
  let first, second;
  before(async () => { [first, second] = await Promise.all([Swtpm.start({ manufacturer: maker }), Swtpm.start({ manufacturer: other })]); });
  after(() => Promise.all([first?.stop(), second?.stop()]));

  test('an individual enrollment: challenge, registration, hub, telemetry; and again', async () => {
    const { registrationId, endorsementKey, storageRootKey } = await show(first);
    const put = await enroll(registrationId, { endorsementKey, storageRootKey });
    assert.equal(put.status, 200, put.text);
    for (let i = 0; i < 2; i++) {
      const r = await simulate(first, '--count', '2', '--interval', '0');
      assert.equal(r.outcome, 'done', JSON.stringify(r));
      assert.equal(r.deviceId, registrationId);
      assert.equal(r.messagesSent, 2);
    }
    assert.equal((await eventsOf(registrationId, 4)).length, 4);
    const identity = (await b.hub('GET', `/devices/${registrationId}?api-version=2021-04-12`)).json;
    assert.equal(identity.authentication.type, 'sas');
    assert.equal((await b.service('DELETE', `/enrollments/${registrationId}?${API}`, { headers: { 'If-Match': '*' } })).status, 204);
  });

  test('an enrollment of another ID, and another device ID on the hub', async () => {
    const { endorsementKey } = await show(first);
    assert.equal((await enroll('pump-7', { endorsementKey }, { deviceId: 'pump-on-hub' })).status, 200);
    const r = await simulate(first, '--registration-id', 'pump-7');
    assert.equal(r.deviceId, 'pump-on-hub', JSON.stringify(r));
    const wrong = await simulate(second, '--registration-id', 'pump-7');
    assert.equal(wrong.code, 6);
    assert.equal(await reasonOf(wrong.trackingId), 'endorsement-key-mismatch');
  });

  test('the TPM was cleared since: another storage root key', async () => {
    const cleared = await Swtpm.start({ manufacturer: maker });
    try {
      const was = await show(cleared);
      assert.equal((await enroll(was.registrationId, { endorsementKey: was.endorsementKey, storageRootKey: was.storageRootKey })).status, 200);
      assert.equal((await simulate(cleared)).outcome, 'done');
      await cleared.tool('tpm2_clear', '-c', 'p');
      const is = await show(cleared);
      assert.equal(is.registrationId, was.registrationId);
      assert.notEqual(is.storageRootKey, was.storageRootKey);
      const r = await simulate(cleared);
      assert.equal(r.code, 6);
      assert.equal(await reasonOf(r.trackingId), 'storage-root-key-mismatch');
    } finally {
      await cleared.stop();
    }
  });

  test('a group that trusts a manufacturer admits its TPMs, unseen, and no other maker\'s', async () => {
    const third = await Swtpm.start({ manufacturer: maker });
    try {
      const early = await simulate(third);
      assert.equal(early.code, 6);
      assert.equal(await reasonOf(early.trackingId), 'issuer-unknown');
      assert.match(await b.ok('explain', early.trackingId), /To be admitted[^]*enrollment-group create GROUP --attestation-type tpm/);
      const created = await enrollGroup('acme-tpms', maker.issuer);
      assert.equal(created.status, 200, created.text);
      for (const tpm of [first, third]) {
        const r = await simulate(tpm);
        assert.equal(r.outcome, 'done', JSON.stringify(r));
        assert.equal(r.deviceId, (await show(tpm)).registrationId);
      }
      const stranger = await simulate(second);
      assert.equal(stranger.code, 6);
      assert.equal(await reasonOf(stranger.trackingId), 'certificate-bad-signature'); // both makers' CAs have the same name
      const named = await simulate(third, '--registration-id', 'my-own-name');
      assert.equal(await reasonOf(named.trackingId), 'tpm-registration-id-mismatch');
    } finally {
      await third.stop();
    }
  });

  test('a group that trusts the root: the device sends the intermediate along', async () => {
    assert.equal((await enrollGroup('other-tpms', other.root)).status, 200);
    const r = await simulate(second, '--endorsement-certificates', other.issuer);
    assert.equal(r.outcome, 'done', JSON.stringify(r));
    await b.ok('enrollment-group', 'update', 'other-tpms', '--provisioning-status', 'disabled');
    const disabled = await simulate(second, '--endorsement-certificates', other.issuer);
    assert.equal(disabled.status, 'disabled', JSON.stringify(disabled));
  });
});

describe('request by request', () => {
  test('the challenge has what SDKs want and no status; the token polls; the hub key is another', async () => {
    const tpm = new SoftTpm(), id = tpm.registrationId;
    assert.equal((await enroll(id, { endorsementKey: tpm.members.endorsementKey })).status, 200);
    const { token, challenge, operationId, polled } = await register(id, tpm);
    assert.equal(challenge.keyName, 'registration');
    assert.equal(typeof challenge.message, 'string');
    assert.equal(challenge.status, undefined);
    assert.equal(polled.status, 200, polled.text);
    assert.equal(polled.json.status, 'assigned');
    assert.equal(await reasonOf(challenge.trackingId), 'tpm-challenged');
    const hubKey = tpm.open(polled.json.registrationState.tpm.authenticationKey);
    const identity = (await b.hub('GET', `/devices/${id}?api-version=2021-04-12`)).json;
    assert.equal(identity.authentication.symmetricKey.primaryKey, hubKey.toString('base64'));
    assert.notDeepEqual(hubKey, tpm.open(challenge.authenticationKey));
    const m = await b.mqtt();
    assert.equal(await m.connect({ clientId: id, username: `localhost/${id}/?api-version=2021-04-12`, password: deviceToken(`localhost/devices/${id}`, hubKey.toString('base64')) }), 0);
    m.end();
    assert.equal((await poll(id, operationId)).status, 401);
    assert.equal((await poll(id, operationId, tokenFor(id, hubKey))).status, 401);
    assert.equal((await poll(id, operationId, token)).status, 200);
  });

  test('each challenge is another, and none tells the one before', async () => {
    const tpm = new SoftTpm(), id = tpm.registrationId;
    await enroll(id, { endorsementKey: tpm.members.endorsementKey });
    const [one, two] = [await put(id, tpm.members), await put(id, tpm.members)];
    assert.notEqual(one.json.authenticationKey, two.json.authenticationKey);
    assert.notDeepEqual(one.json.authenticationKey.slice(0, 200), two.json.authenticationKey.slice(0, 200));
  });

  test('each refusal has its own reason', async () => {
    const tpm = new SoftTpm(), stranger = new SoftTpm(), id = tpm.registrationId;
    await enroll(id, tpm.members);
    const refusals = [];
    const refused = async (reason, answer, status = 401) => {
      assert.equal(answer.status, status, `${reason}: ${answer.text}`);
      assert.equal(answer.json.authenticationKey, undefined, reason);
      assert.equal(await reasonOf(answer.json.trackingId), reason);
      refusals.push(reason);
    };
    await refused('endorsement-key-mismatch', await put(id, stranger.members));
    await refused('storage-root-key-mismatch', await put(id, { ...tpm.members, storageRootKey: stranger.members.storageRootKey }));
    await refused('tpm-key-malformed', await put(id, { ...tpm.members, endorsementKey: tpm.members.endorsementKey.slice(0, 100) }), 400);
    await refused('tpm-key-malformed', await put(id, { ...tpm.members, storageRootKey: tpm.members.storageRootKey.slice(4) }), 400);
    await refused('tpm-challenge-missing', await put(id, tpm.members, tokenFor(id, crypto.randomBytes(32))));

    // Who cannot open the blob, because it is another's or was tampered with, has no key to sign with.
    const challenge = await put(id, tpm.members);
    assert.throws(() => stranger.open(challenge.json.authenticationKey));
    const blob = Buffer.from(challenge.json.authenticationKey, 'base64');
    for (const at of [10, 45, 100, 320, 420, 500, blob.length - 10]) {
      const tampered = Buffer.from(blob);
      tampered[at] ^= 1;
      assert.throws(() => tpm.open(tampered.toString('base64')), String(at));
    }
    await refused('tpm-key-unproven', await put(id, tpm.members, tokenFor(id, crypto.randomBytes(32))));
    const key = tpm.open(challenge.json.authenticationKey);
    await refused('token-expired', await put(id, tpm.members, tokenFor(id, key, { ttl: -400 })));
    await refused('token-scope', await put(id, tpm.members, tokenFor('another', key)));
    await refused('tpm-key-unproven', await put(id, { ...tpm.members }, tokenFor(id, Buffer.alloc(32))));

    // A token is good for one registration, and so is the blob that gave its key.
    assert.equal((await put(id, tpm.members, tokenFor(id, key))).status, 202);
    await refused('tpm-challenge-used', await put(id, tpm.members, tokenFor(id, key)));
    await refused('tpm-challenge-used', await put(id, tpm.members, tokenFor(id, key, { ttl: 60 })));
    assert.deepEqual(new Set(refusals).size, 8);
  });

  test('a group: the certificate must be sent, be of that key, and lead to the CA', async () => {
    const root = await pki.make('TPM Maker Root', { ca: true, type: 'rsa' });
    assert.equal((await enrollGroup('soft-tpms', root.certFile)).status, 200);
    const tpm = new SoftTpm(), wrong = new SoftTpm();
    const missing = await put(tpm.registrationId, tpm.members);
    assert.equal(await reasonOf(missing.json.trackingId), 'endorsement-certificate-missing');
    const der = new crypto.X509Certificate(root.cert).raw.toString('base64');
    const mismatch = await put(wrong.registrationId, { ...wrong.members, endorsementCertificates: [der] });
    assert.equal(await reasonOf(mismatch.json.trackingId), 'endorsement-certificate-mismatch');
  });
});
