// A hub is drained: its devices come back, move to the other hub and take their twins along, while the operator watches how many are left
// and who will not move by itself; devices that stay connected are cut off at a rate; the drain is taken back.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, test } from 'node:test';
import { Berthd, deriveKey, deviceToken, sas, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const API = 'api-version=2021-10-01', HUB_API = 'api-version=2021-04-12', A = 'localhost', B = 'b.localhost', DEVICES = 50;
const GROUP_KEY = crypto.randomBytes(64).toString('base64');
const hubs = {}; // by host name: connection string
let b;

const want = async (status, promise) => {
  const r = await promise;
  assert.equal(r.status, status, r.text);
  return r.json;
};
const group = (id, more) => ({ enrollmentGroupId: id, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: deriveKey(GROUP_KEY, id), secondaryKey: deriveKey(GROUP_KEY, id) } }, ...more });
const putGroup = (id, more, headers = {}) => want(200, b.service('PUT', `/enrollmentGroups/${id}?${API}`, { body: group(id, more), headers }));
const changeGroup = (id, more) => putGroup(id, more, { 'If-Match': '*' });
const keyOf = (id, groupId) => deriveKey(deriveKey(GROUP_KEY, groupId), id);
async function register(id, groupId) {
  const m = await b.mqtt();
  const password = deviceToken(`${b.dev.idScope}/registrations/${id}`, keyOf(id, groupId), { skn: 'registration' });
  const { body } = await provision(m, { idScope: b.dev.idScope, registrationId: id, password });
  m.end();
  assert.equal(body?.status, 'assigned', JSON.stringify(body));
  return body.registrationState.assignedHub;
}
const fleet = async () => {
  const r = await b.json('fleet', '--devices', String(DEVICES), '--concurrency', '25', '--device-prefix', 'd', '--timeout', '60');
  assert.equal(r.failed, 0, JSON.stringify(r));
};
const onHub = (host, method, path, body) => b.request(method, `${path}?${HUB_API}`, { host, body, headers: { Authorization: sas(hubs[host]) } });
const twin = async (host, id) => { const r = await onHub(host, 'GET', `/twins/${id}`); return r.status === 200 ? r.json : undefined; };
const idsOn = async (host) => (await b.json('linked-hub', 'list-devices', host)).map((d) => d.deviceId);
const link = (host) => b.json('linked-hub', 'show', host);

before(async () => {
  b = await Berthd.start();
  hubs[A] = b.dev.hubs[0].connectionString;
  hubs[B] = (await b.json('hub', 'create', 'b', '--host-name', B)).connectionString;
  await putGroup('pinned', { allocationPolicy: 'static', iotHubs: [A] });
  await putGroup('kept', { allocationPolicy: 'static', iotHubs: [A], reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: true } });
  await putGroup('free', { allocationPolicy: 'static', iotHubs: [A] });
});
after(async () => { await b?.stop(); });

test('before: devices on both hubs, and who would stay', async () => {
  await fleet();
  for (const id of ['p1', 'p2']) assert.equal(await register(id, 'pinned'), A);
  assert.equal(await register('k1', 'kept'), A);
  const [onA, onB] = [await idsOn(A), await idsOn(B)];
  assert.equal(onA.length + onB.length, DEVICES + 3);
  assert.ok(onA.length > 10 && onB.length > 10, `${onA.length} ${onB.length}`);
  assert.deepEqual([(await link(A)).draining, (await link(A)).devices], [false, onA.length]);
  for (const id of onA.filter((d) => d.startsWith('d-'))) await want(200, onHub(A, 'PATCH', `/twins/${id}`, { tags: { from: 'a' }, properties: { desired: { id } } }));
  const stuck = await b.json('linked-hub', 'list-devices', A, '--stuck');
  assert.deepEqual(stuck.map((d) => [d.deviceId, d.stays]), [['k1', 'hub-kept'], ['p1', 'no-other-hub'], ['p2', 'no-other-hub']]);
});

test('drained: devices come back and are on the other hub with their twins; who stays is named', async () => {
  const moving = (await idsOn(A)).filter((d) => d.startsWith('d-'));
  const said = await b.json('linked-hub', 'drain', A);
  assert.deepEqual([said.draining, said.devices, said.stuck, said.why], [true, moving.length + 3, 3, { 'hub-kept': 1, 'no-other-hub': 2 }]);
  const waiting = b.cli('linked-hub', 'drain', A, '--wait', '--timeout', '60', '--output', 'json');
  await fleet();
  const waited = await waiting;
  assert.equal(waited.code, 1, waited.stderr); // some are left
  assert.deepEqual(JSON.parse(waited.stdout).devices, 3);
  assert.deepEqual(await idsOn(A), ['k1', 'p1', 'p2']);
  assert.equal((await idsOn(B)).length, DEVICES);
  for (const id of moving) {
    assert.equal(await twin(A, id), undefined, id);
    const t = await twin(B, id);
    assert.deepEqual([t.tags, t.properties.desired.id], [{ from: 'a' }, id]);
  }
  const text = await b.ok('linked-hub', 'drain', A);
  assert.match(text, /will stay +3 \(1 hub-kept, 2 no-other-hub\)/);
  assert.equal((await b.cli('reconcile')).code, 0);
});

test('an enrollment is changed: its devices go as well, and the hub is empty', async () => {
  await changeGroup('pinned', { allocationPolicy: 'static', iotHubs: [B] });
  await changeGroup('kept', { allocationPolicy: 'static', iotHubs: [B] });
  assert.deepEqual(await b.json('linked-hub', 'list-devices', A, '--stuck'), []);
  const waiting = b.cli('linked-hub', 'drain', A, '--wait', '--timeout', '60');
  for (const id of ['p1', 'p2']) assert.equal(await register(id, 'pinned'), B);
  assert.equal(await register('k1', 'kept'), B);
  const waited = await waiting;
  assert.equal(waited.code, 0, waited.stdout + waited.stderr);
  assert.match(waited.stdout, /devices +0\n/);
});

test('taken back: devices may be assigned to it again', async () => {
  const said = await b.json('linked-hub', 'drain', A, '--cancel');
  assert.deepEqual([said.draining, said.devices], [false, 0]);
  await fleet();
  assert.ok((await idsOn(A)).length > 10);
});

test('devices that stay connected are cut off, each once, and no more than are asked for a second', async () => {
  const sessions = [];
  for (let i = 0; i < 6; i++) {
    const id = `s${i}`;
    assert.equal(await register(id, 'free'), A);
    const m = await b.mqtt();
    assert.equal(await m.connect({ clientId: id, username: `${A}/${id}/?${HUB_API}`, password: deviceToken(`${A}/devices/${id}`, keyOf(id, 'free')) }), 0);
    sessions.push(m);
  }
  await changeGroup('free', {}); // now they may go anywhere
  assert.match((await b.cli('linked-hub', 'drain', A, '--cancel', '--wait')).stderr, /--cancel/);
  const begin = Date.now();
  const said = await b.json('linked-hub', 'drain', A, '--disconnect', '2');
  assert.equal(said.disconnected, 6);
  const closed = await Promise.all(sessions.map((m) => m.closed));
  assert.ok(Math.max(...closed) - begin >= 1900, `${closed.map((t) => t - begin)}`); // 2 + 2 + 2
  for (let i = 0; i < 6; i++) assert.equal(await register(`s${i}`, 'free'), B);
  await fleet();
  await until('nobody is left', async () => (await link(A)).devices === 0);
  assert.equal((await b.cli('linked-hub', 'drain', 'nowhere.test')).code, 3);
});
