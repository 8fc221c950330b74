// The hub's registry over real sockets: identities that the back end makes, changes and deletes, and what their sessions feel of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd, deviceToken } from '../lib/berth.mjs';
import { connectPacket } from '../lib/mqtt.mjs';

const V = '?api-version=2021-04-12';
let b;

const url = (id) => `/devices/${id.split('/').map(encodeURIComponent).join('/modules/')}${V}`;
const ifMatch = (etag = '*') => ({ 'If-Match': etag });

// In the order that is asked: what the back end was answered is so for the next request of anybody.
async function registry(method, id, { body, etag, status = 200 } = {}) {
  const r = await b.hub(method, url(id), { body, headers: etag === undefined ? {} : ifMatch(etag) });
  assert.equal(r.status, status, r.text);
  return r;
}

const make = async (id, body = {}) => (await registry('PUT', id, { body })).json;
const bulk = (items) => b.hub('POST', `/devices${V}`, { body: items });

async function connect(identity, { key = identity.authentication.symmetricKey.primaryKey, clean = true } = {}) {
  const id = identity.moduleId === undefined ? identity.deviceId : `${identity.deviceId}/${identity.moduleId}`;
  const resource = identity.moduleId === undefined ? `localhost/devices/${identity.deviceId}` : `localhost/devices/${identity.deviceId}/modules/${identity.moduleId}`;
  const m = await b.mqtt();
  m.send(connectPacket({ clientId: id, username: `localhost/${id}/?api-version=2021-04-12`, password: deviceToken(resource, key), clean }));
  Object.assign(m, await m.next('connack').then(({ code, sessionPresent }) => ({ code, sessionPresent })));
  return m;
}

async function session(identity, options) {
  const m = await connect(identity, options);
  assert.equal(m.code, 0);
  return m;
}

// Closed by the server, without waiting: before the back end was answered it was told to.
async function assertCutOff(m, what) {
  const late = new Promise((resolve) => { setTimeout(resolve, 2000, 'late').unref(); });
  assert.notEqual(await Promise.race([m.closed, late]), 'late', what);
}

before(async () => { b = await Berthd.start(); });
after(async () => { await b?.stop(); });

test('a device that the back end makes connects by the keys that the hub made', async () => {
  const made = await make('made', { deviceId: 'made' });
  const m = await session(made);
  const r = await registry('GET', 'made');
  assert.equal(r.json.connectionState, 'Connected');
  assert.equal(r.headers.etag, `"${r.json.etag}"`);
  assert.equal(r.headers['content-type'], 'application/json; charset=utf-8');
  assert.deepEqual((await b.hub('GET', `/statistics/service${V}`)).json, { connectedDeviceCount: 1 });
  m.end();
  await m.closed;
  (await session(made, { key: made.authentication.symmetricKey.secondaryKey })).end();
});

test('the members come in the order of the real hub', async () => {
  const { text } = await registry('PUT', 'order', { body: {} });
  const names = ['deviceId', 'generationId', 'etag', 'connectionState', 'status', 'statusReason', 'connectionStateUpdatedTime', 'statusUpdatedTime',
    'lastActivityTime', 'cloudToDeviceMessageCount', 'capabilities', 'authentication'];
  assert.deepEqual(Object.keys(JSON.parse(text)), names);
  await registry('PUT', 'order/m', { body: {} });
  assert.deepEqual(Object.keys((await registry('GET', 'order/m')).json), ['moduleId', 'managedBy', 'deviceId', 'generationId', 'etag', 'connectionState',
    'connectionStateUpdatedTime', 'lastActivityTime', 'cloudToDeviceMessageCount', 'authentication']);
});

test('who is disabled, given other keys or deleted is cut off, with its modules', async () => {
  const changes = [
    ['disabled', (id) => registry('PUT', id, { etag: '"*"', body: { status: 'disabled' } })],
    ['given other keys', (id) => registry('PUT', id, { etag: '*', body: {} })],
    ['deleted', (id) => registry('DELETE', id, { etag: '*', status: 204 })],
    ['deleted in bulk', async (id) => assert.equal((await bulk([{ id, importMode: 'delete' }])).status, 200)],
  ];
  for (const [what, change] of changes) {
    const id = what.replaceAll(' ', '-');
    const device = await make(id), module = await make(`${id}/m`), bystander = await make(`${id}-`);
    const sessions = [await session(device), await session(module)];
    const other = await session(bystander);
    await change(id);
    for (const m of sessions) await assertCutOff(m, what);
    assert.notEqual((await connect(device)).code, 0, what);
    await other.publish(`devices/${id}-/messages/events/`, 'still here');
    other.end();
  }
});

test('a change of nothing that concerns it leaves a session alone', async () => {
  const device = await make('calm'), module = await make('calm/m');
  const m = await session(device), n = await session(module);
  await registry('PUT', 'calm', { etag: `"${device.etag}"`, body: { ...device, statusReason: 'fine' } });
  await registry('DELETE', 'calm/m', { etag: '*', status: 204 });
  await assertCutOff(n, 'the module');
  await m.publish('devices/calm/messages/events/', 'still here');
  m.end();
});

test('a device of the same ID knows nothing of the one before', async () => {
  const first = await make('again');
  const m = await session(first, { clean: false });
  await m.subscribe('$iothub/twin/PATCH/properties/desired/#', 1);
  assert.equal((await b.hub('PATCH', `/twins/again${V}`, { body: { tags: { a: 1 }, properties: { desired: { x: 1 } } } })).status, 200);
  await registry('DELETE', 'again', { etag: `"${first.etag}"`, status: 204 });
  await m.closed;
  await registry('GET', 'again', { status: 404 });
  const second = await make('again');
  assert.notEqual(second.generationId, first.generationId);
  const twin = (await b.hub('GET', `/twins/again${V}`)).json;
  assert.equal(twin.tags, undefined);
  assert.equal(twin.properties.desired.x, undefined);
  const n = await session(second, { clean: false });
  assert.equal(n.sessionPresent, false);
  n.end();
  await n.closed;
});

test('a hundred at once, and what fails is told while the rest is done', async () => {
  const ids = Array.from({ length: 100 }, (_, i) => `bulk-${i}`);
  const made = await bulk(ids.map((id) => ({ id, importMode: 'create', tags: { line: 'a' } })));
  assert.deepEqual([made.status, made.json], [200, { isSuccessful: true, errors: [], warnings: [] }]);
  const again = await bulk([{ id: 'bulk-7', importMode: 'create' }, { id: 'bulk-new', importMode: 'create' }]);
  assert.equal(again.status, 400);
  assert.equal(again.headers['iothub-errorcode'], 'BulkRegistryOperationFailure');
  assert.deepEqual(again.json.errors.map((e) => [e.deviceId, e.errorCode]), [['bulk-7', 'DeviceAlreadyExists']]);
  await registry('GET', 'bulk-new');
  assert.equal((await bulk([...ids, 'one more'].map((id) => ({ id, importMode: 'delete' })))).status, 400);
  await registry('GET', 'bulk-0');
  assert.equal((await bulk(ids.map((id) => ({ id, importMode: 'delete' })))).status, 200);
  await registry('GET', 'bulk-0', { status: 404 });
});

test('what the back end was answered is there after a power cut', async () => {
  const before = await make('kept', { status: 'disabled', statusReason: 'lost' });
  await make('kept/m');
  await make('dropped');
  await registry('DELETE', 'dropped', { etag: '*', status: 204 });
  await b.kill('SIGKILL');
  await b.restart();
  assert.deepEqual((await registry('GET', 'kept')).json, before);
  await registry('GET', 'kept/m');
  await registry('GET', 'dropped', { status: 404 });
});

test('two who make, change or delete the same are told apart', async () => {
  const answers = await Promise.all(Array.from({ length: 8 }, () => b.hub('PUT', url('race'), { body: {} })));
  assert.deepEqual(answers.map((r) => r.status).sort(), [200, ...Array(7).fill(409)]);
  const { etag } = answers.find((r) => r.status === 200).json;
  const changes = await Promise.all(Array.from({ length: 8 }, () => b.hub('PUT', url('race'), { body: {}, headers: ifMatch(`"${etag}"`) })));
  assert.deepEqual(changes.map((r) => r.status).sort(), [200, ...Array(7).fill(412)]);
  const ends = await Promise.all(Array.from({ length: 8 }, () => b.hub('DELETE', url('race'), { headers: ifMatch('*') })));
  assert.deepEqual(ends.map((r) => r.status).sort(), [204, ...Array(7).fill(404)]);
});
