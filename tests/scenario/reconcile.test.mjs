// Registrations and hubs are made to disagree behind the service's back, in every way there is: each is listed, mended on request and
// gone afterwards; devices come back as if nothing had been; what belongs to another instance on the same hub is never shown nor touched.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, test } from 'node:test';
import { Berthd, deriveKey, deviceToken, sas } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const API = 'api-version=2021-10-01', HUB_API = 'api-version=2021-04-12', HERE = 'localhost', THERE = 'there.localhost';
const GROUP_KEY = crypto.randomBytes(64).toString('base64');
const hubs = {}; // by host name: connection string
let b, other; // other: another instance, linked to HERE by its connection string

const want = async (status, promise) => {
  const r = await promise;
  assert.equal(r.status, status, r.text);
  return r.json;
};
const group = (id, host) => ({ enrollmentGroupId: id, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: deriveKey(GROUP_KEY, id), secondaryKey: deriveKey(GROUP_KEY, id) } },
  allocationPolicy: 'static', iotHubs: [host], reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: true } });
async function register(id, groupId, idScope = b.dev.idScope) {
  const m = await b.mqtt();
  const password = deviceToken(`${idScope}/registrations/${id}`, deriveKey(deriveKey(GROUP_KEY, groupId), id), { skn: 'registration' });
  const { body } = await provision(m, { idScope, registrationId: id, password });
  m.end();
  assert.equal(body?.status, 'assigned', JSON.stringify(body));
  return body.registrationState;
}
const onHub = (host, method, path, body) => b.request(method, `${path}?${HUB_API}`, { host, body, headers: { Authorization: sas(hubs[host]), 'If-Match': '*' } });
const make = (host, id) => want(200, b.request('PUT', `/devices/${id}?${HUB_API}`, { host, body: { deviceId: id }, headers: { Authorization: sas(hubs[host]) } }));
const has = async (host, id) => (await onHub(host, 'GET', `/devices/${id}`)).status === 200;
async function reconcile(code, ...args) {
  const r = await b.cli('reconcile', '--output', 'json', ...args);
  assert.equal(r.code, code, r.stdout + r.stderr);
  return JSON.parse(r.stdout);
}
const short = (rows) => rows.map((d) => [d.kind, d.hub, d.deviceId ?? d.registrationId].join(' ')).sort();

before(async () => {
  b = await Berthd.start();
  hubs[THERE] = (await b.json('hub', 'create', 'there', '--host-name', THERE)).connectionString;
  hubs[HERE] = b.dev.hubs[0].connectionString;
  await want(200, b.service('PUT', `/enrollmentGroups/here?${API}`, { body: group('here', HERE) }));
  await want(200, b.service('PUT', `/enrollmentGroups/there?${API}`, { body: group('there', THERE) }));
  const made = await want(201, b.request('PUT', '/berth/v1/instances/other', { body: { properties: { serviceOperationsHostName: 'other.localhost' } }, headers: { Authorization: sas(b.dev.serverConnectionString) } }));
  other = { idScope: made.properties.idScope, login: made.connectionString };
  const as = { host: 'other.localhost', headers: { Authorization: sas(other.login) } };
  await want(200, b.request('PUT', `/berth/v1/linkedHubs/${HERE}`, { ...as, body: { connectionString: hubs[HERE] } }));
  await want(200, b.request('PUT', `/enrollmentGroups/theirs?${API}`, { ...as, body: group('theirs', HERE) }));
});
after(async () => { await b?.stop(); });

test('they agree, also about a hub that two instances share', async () => {
  for (let i = 0; i < 3; i++) await register(`h${i}`, 'here');
  for (let i = 0; i < 3; i++) await register(`t${i}`, 'there');
  for (let i = 0; i < 3; i++) assert.equal((await register(`o${i}`, 'theirs', other.idScope)).assignedHub, HERE);
  assert.deepEqual(await reconcile(0), []);
  const r = await b.cli('reconcile');
  assert.deepEqual([r.code, r.stdout], [0, 'Registrations and hubs agree.\n']);
});

test('each kind of disagreement is listed, and nothing is changed by that', async () => {
  await want(204, onHub(HERE, 'DELETE', '/devices/h0')); // missing
  await make(THERE, 'h1'); // a duplicate
  await make(THERE, 'by-hand'); // a stray
  await want(204, b.service('DELETE', `/registrations/t0?${API}`)); // its device stays: a stray that was registered before
  const wanted = [`duplicate ${THERE} h1`, `missing ${HERE} h0`, `stray ${THERE} by-hand`, `stray ${THERE} t0`];
  for (let i = 0; i < 2; i++) {
    const rows = await reconcile(1);
    assert.deepEqual(short(rows), wanted);
    assert.equal(rows.find((d) => d.kind === 'duplicate').note, `belongs to ${HERE}`);
    assert.equal(rows.find((d) => d.deviceId === 't0').note, 'was registered before');
    assert.equal(rows.find((d) => d.deviceId === 'by-hand').note, 'never registered here');
  }
  assert.deepEqual(short(await reconcile(1, '--hub', HERE)), [`missing ${HERE} h0`]);
  const table = await b.cli('reconcile');
  assert.match(table.stdout, /^KIND +HUB +DEVICE +REGISTRATION +NOTE\n/);
  assert.equal((await b.cli('reconcile', '--hub', 'nowhere.test')).code, 3);
  assert.equal((await b.cli('reconcile', '--mend', 'all')).code, 2);
});

test('what is missing: forgotten, and its device is placed anew by its next register', async () => {
  const [mended] = (await reconcile(1, '--mend', 'missing')).filter((d) => d.kind === 'missing');
  assert.deepEqual([mended.deviceId, mended.mended], ['h0', true]);
  const forgotten = await want(200, b.service('GET', `/registrations/h0?${API}`));
  assert.deepEqual([forgotten.status, forgotten.assignedHub], ['unassigned', undefined]);
  assert.ok((await reconcile(1)).every((d) => d.kind !== 'missing'));
  assert.equal((await register('h0', 'here')).assignedHub, HERE);
  assert.ok(await has(HERE, 'h0'));
});

test('duplicates and strays go, with their sessions; what belongs there stays', async () => {
  const events = b.ok('hub', 'monitor-events', '--hub', THERE, '--source', 'deviceLifecycleEvents', '--count', '3', '--timeout', '20', '--output', 'json');
  const text = await b.ok('reconcile', '--mend', 'duplicate,stray', '--yes');
  assert.match(text, new RegExp(`mended duplicate h1 on ${THERE}\n`));
  assert.match(text, new RegExp(`mended stray by-hand on ${THERE}\n`));
  assert.match(text, new RegExp(`mended stray t0 on ${THERE}\n`));
  assert.deepEqual(await reconcile(0), []);
  for (const id of ['h1', 'by-hand', 't0']) assert.equal(await has(THERE, id), false, id);
  for (const id of ['h0', 'h1', 'h2', 'o0', 'o1', 'o2']) assert.ok(await has(HERE, id), id);
  const told = (await events).trim().split('\n').map(JSON.parse);
  assert.deepEqual(told.map((e) => e.deviceId).sort(), ['by-hand', 'h1', 't0']);
  assert.equal((await register('t0', 'there')).assignedHub, THERE);
});

test('another instance: neither its devices nor their traces are shown or touched', async () => {
  // theirs, that they have lost sight of, or have by that name: not ours to say
  await want(204, b.request('DELETE', `/registrations/o0?${API}`, { host: 'other.localhost', headers: { Authorization: sas(other.login) } }));
  await make(HERE, 'o3');
  await register('o3', 'theirs', other.idScope);
  assert.deepEqual(await reconcile(0), []);
  for (const deviceId of ['o0', 'o1', 'o3']) {
    for (const kind of ['stray', 'duplicate']) {
      const r = await want(200, b.service('POST', '/berth/v1/reconcile', { body: { items: [{ kind, hub: HERE, deviceId }] } }));
      assert.equal(r.value[0].mended, false);
      assert.ok(!JSON.stringify(r).includes('other') || r.value[0].why.startsWith('the hub'), JSON.stringify(r));
    }
    assert.ok(await has(HERE, deviceId));
  }
  // and they, who did not make the hub, see what its connection string lets them see, but none of our devices
  const as = { host: 'other.localhost', headers: { Authorization: sas(other.login) } };
  const page = await want(200, b.request('GET', `/berth/v1/linkedHubs/${HERE}/identities?differences=true`, as));
  assert.deepEqual(page.value.map((d) => d.deviceId), ['o0']);
  await want(204, b.request('DELETE', `/berth/v1/linkedHubs/${HERE}`, as));
  await want(404, b.request('GET', `/berth/v1/linkedHubs/${HERE}/identities`, as));
  await want(400, b.request('GET', `/berth/v1/linkedHubs/${HERE}/devices?missing=true`, as));
  assert.deepEqual(await reconcile(0), []);
  for (const id of ['o0', 'o1', 'o2', 'o3']) assert.ok(await has(HERE, id), id);
});

test('a hub that is deleted with its devices: registrations that name it are found', async () => {
  await b.ok('hub', 'delete', 'there', '--force', '--yes');
  const rows = await reconcile(1);
  assert.deepEqual(short(rows), [`missing ${THERE} t0`, `missing ${THERE} t1`, `missing ${THERE} t2`]);
  assert.equal(rows[0].note, 'not linked any more');
  await reconcile(0, '--mend', 'missing');
  assert.deepEqual(await reconcile(0), []);
});

test('a device that is mended while it registers is on one hub afterwards', async () => {
  await want(204, onHub(HERE, 'DELETE', '/devices/h2'));
  const items = [{ kind: 'missing', registrationId: 'h2', hub: HERE, deviceId: 'h2' }];
  await Promise.all([register('h2', 'here'), ...Array.from({ length: 8 }, () => want(200, b.service('POST', '/berth/v1/reconcile', { body: { items } })))]);
  assert.ok(await has(HERE, 'h2'));
  assert.equal((await want(200, b.service('GET', `/registrations/h2?${API}`))).status, 'assigned');
  assert.deepEqual(await reconcile(0), []);
});
