// Registrations here, devices on a hub of another berthd: what the two disagree about is listed over that hub's REST API, mended, and gone;
// a hub that is down is said to be, and nothing is called missing by it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd, deriveKey, deviceToken, sas, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const API = 'api-version=2021-10-01', HUB_API = 'api-version=2021-04-12', FAR = 'far.localhost';
let b, there, hub; // hub: connection string of FAR, which is `there`'s

const want = async (status, promise) => {
  const r = await promise;
  assert.equal(r.status, status, r.text);
  return r.json;
};
async function register(id) {
  const m = await b.mqtt();
  const password = deviceToken(`${b.dev.idScope}/registrations/${id}`, deriveKey(b.dev.groups.symmetricKey.primaryKey, id), { skn: 'registration' });
  const { body } = await provision(m, { idScope: b.dev.idScope, registrationId: id, password });
  m.end();
  assert.equal(body?.status, 'assigned', JSON.stringify(body));
  return body.registrationState.assignedHub;
}
const onHub = (method, path, body) => there.request(method, `${path}?${HUB_API}`, { host: FAR, body, headers: { Authorization: sas(hub), ...(method === 'DELETE' ? { 'If-Match': '*' } : {}) } });
const has = async (id) => (await onHub('GET', `/devices/${id}`)).status === 200;
async function reconcile(code, ...args) {
  const r = await b.cli('reconcile', '--output', 'json', ...args);
  assert.equal(r.code, code, r.stdout + r.stderr);
  return JSON.parse(r.stdout);
}
const short = (rows) => rows.map((d) => [d.kind, d.hub, d.deviceId].join(' ')).sort();

before(async () => {
  [b, there] = await Promise.all([Berthd.start(), Berthd.start()]);
  hub = (await there.json('hub', 'create', 'far', '--host-name', FAR)).connectionString;
  await b.ok('linked-hub', 'create', FAR, '--connection-string', hub, '--address', `127.0.0.1:${there.httpsPort}`, '--hub-ca-file', there.dev.serverCaFile);
  await b.ok('linked-hub', 'update', 'localhost', '--apply-allocation-policy', 'false'); // all go there
});
after(async () => {
  await b?.stop();
  await there?.stop();
});

test('they agree', async () => {
  for (let i = 0; i < 4; i++) assert.equal(await register(`d${i}`), FAR);
  assert.deepEqual(await reconcile(0), []);
});

test('what is missing there, and what nobody here knows', async () => {
  await want(204, onHub('DELETE', '/devices/d0'));
  await want(200, onHub('PUT', '/devices/by-hand', { deviceId: 'by-hand' }));
  await want(204, b.service('DELETE', `/registrations/d1?${API}`)); // its device may stay there
  const wanted = [`missing ${FAR} d0`, `stray ${FAR} by-hand`, ...(await has('d1') ? [`stray ${FAR} d1`] : [])];
  assert.deepEqual(short(await reconcile(1)), wanted);
  const rows = await reconcile(0, '--mend', 'missing,stray');
  assert.ok(rows.every((d) => d.mended), JSON.stringify(rows));
  await until('errands are done', async () => !await has('by-hand') && !await has('d1'));
  assert.deepEqual(await reconcile(0), []);
  assert.equal((await want(200, b.service('GET', `/registrations/d0?${API}`))).status, 'unassigned');
  for (const id of ['d0', 'd1']) assert.equal(await register(id), FAR);
  for (let i = 0; i < 4; i++) assert.ok(await has(`d${i}`));
  assert.deepEqual(await reconcile(0), []);
});

test('a device here and there', async () => {
  await b.ok('hub', 'device-identity', 'create', 'd2');
  assert.deepEqual(short(await reconcile(1)), ['duplicate localhost d2']);
  await reconcile(0, '--mend', 'duplicate');
  assert.ok(await has('d2'));
  assert.deepEqual(await reconcile(0), []);
});

test('the hub is down: trouble, and nothing is missing', async () => {
  await there.kill('SIGTERM');
  const r = await b.cli('reconcile');
  assert.equal(r.code, 2, r.stdout + r.stderr);
  assert.match(r.stderr, /far\.localhost/);
  const items = [{ kind: 'missing', registrationId: 'd3', hub: FAR, deviceId: 'd3' }];
  const answer = await want(200, b.service('POST', '/berth/v1/reconcile', { body: { items } }));
  assert.equal(answer.value[0].mended, false);
  assert.equal((await want(200, b.service('GET', `/registrations/d3?${API}`))).status, 'assigned');
  await there.restart();
  assert.deepEqual(await reconcile(0), []);
});
