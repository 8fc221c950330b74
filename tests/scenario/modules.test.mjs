// Modules over MQTT: who gets in, what a module says and hears beside its device, its session across a restart, and what becomes of it
// when the device is disabled or the module deleted.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, test } from 'node:test';
import { Berthd, Pki, deviceToken, sha256Hex } from '../lib/berth.mjs';
import { publishPacket } from '../lib/mqtt.mjs';

const V = '?api-version=2021-04-12';
const KEY = crypto.randomBytes(32).toString('base64'), MODULE_KEY = crypto.randomBytes(32).toString('base64');
let b, pki, certificate;

const bySas = (key) => ({ type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } });
const put = async (path, body) => {
  const [deviceId, moduleId] = path.split('/modules/');
  const r = await b.hub('PUT', `/devices/${path}${V}`, { body: { deviceId, ...(moduleId ? { moduleId } : {}), ...body } });
  assert.equal(r.status, 200, r.text);
  return r.json;
};
const token = (path, key = MODULE_KEY) => deviceToken(`localhost/devices/${path}`, key);
const login = (client, password, options = {}) => ({ clientId: client, username: `localhost/${client}/?api-version=2021-04-12&DeviceClientType=test`, password, ...options });

async function session(client, options = {}) {
  const m = await b.mqtt();
  assert.equal(await m.connect(login(client, token(client.replace('/', '/modules/')), options)), 0);
  return m;
}

const events = (id, count) => b.events(id, count);

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  certificate = await pki.make('whatever');
  await put('dev', { authentication: bySas(KEY) });
  await put('dev/modules/m', { authentication: bySas(MODULE_KEY) });
  await put('dev/modules/M', { authentication: bySas(MODULE_KEY) });
  await put('dev/modules/x', { authentication: { type: 'selfSigned', x509Thumbprint: { primaryThumbprint: sha256Hex(certificate.cert) } } });
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('who is let in', async () => {
  const cases = [
    ['its token', login('dev/m', token('dev/modules/m')), 0],
    ['a token of its key for all of the device', login('dev/m', token('dev')), 0],
    ['without api-version', { ...login('dev/m', token('dev/modules/m')), username: 'localhost/dev/m' }, 0],
    ['the older user name', { ...login('dev/m', token('dev/modules/m')), username: 'localhost/dev/m/api-version=2016-11-14' }, 0],
    ['the token of its device', login('dev/m', token('dev', KEY)), 5],
    ['the token of another module', login('dev/m', token('dev/modules/M')), 5],
    ['no such module', login('dev/none', token('dev/modules/none')), 5],
    ['no such device', login('none/m', token('none/modules/m')), 5],
    ['the client ID of its device', { ...login('dev/m', token('dev/modules/m')), clientId: 'dev' }, 5],
    ['the client ID of another module', { ...login('dev/m', token('dev/modules/m')), clientId: 'dev/M' }, 5],
    ['its token for its device', login('dev', token('dev/modules/m')), 5],
    ['nothing', login('dev/m'), 5],
    ['a name that is none', login('dev/m n', token('dev/modules/m n')), 3],
  ];
  for (const [what, options, code] of cases) {
    const m = await b.mqtt();
    assert.equal(await m.connect(options), code, what);
    if (code === 0) m.end();
    else await m.closed;
  }
  const m = await b.mqtt(certificate);
  assert.equal(await m.connect(login('dev/x')), 0);
  m.end();
});

test('a module beside its device: a session, telemetry and a twin of its own', async () => {
  const device = await b.mqtt();
  assert.equal(await device.connect(login('dev', token('dev', KEY))), 0);
  const m = await session('dev/m');
  const other = await session('dev/M');
  await m.publish('devices/dev/modules/m/messages/events/%24.on=out&a=1/', 'from m');
  await device.publish('devices/dev/messages/events/', 'from dev');
  const got = await events('dev', 2);
  assert.deepEqual(got.map((e) => [e.body, e.systemProperties['iothub-connection-module-id']]), [['from m', 'm'], ['from dev', undefined]]);
  assert.equal(got[0].systemProperties['iothub-outputname'], 'out');
  assert.equal(JSON.parse(got[0].systemProperties['iothub-connection-auth-method']).scope, 'module');

  await m.subscribe('$iothub/twin/res/#');
  await m.subscribe('$iothub/twin/PATCH/properties/desired/#');
  await other.subscribe('$iothub/twin/PATCH/properties/desired/#');
  m.send(publishPacket('$iothub/twin/PATCH/properties/reported/?$rid=1', '{"is":"m"}', 0));
  assert.match((await m.next('publish')).topic, /^\$iothub\/twin\/res\/204\/\?\$rid=1/);
  const twin = await b.hub('PATCH', `/twins/dev/modules/m${V}`, { body: { properties: { desired: { n: 1 } } } });
  assert.equal(twin.status, 200, twin.text);
  assert.deepEqual(twin.json.properties.reported.is, 'm');
  assert.equal(JSON.parse((await m.next('publish')).payload).n, 1);
  assert.equal((await b.hub('GET', `/twins/dev${V}`)).json.properties.reported.is, undefined);
  await other.publish('devices/dev/modules/M/messages/events/', 'x');
  assert.equal(other.packets.filter((p) => p.type === 'publish').length, 0);
  for (const x of [device, m, other]) x.end();
});

test('a topic of its device, or of another module, closes the connection', async () => {
  for (const topic of ['devices/dev/messages/events/', 'devices/dev/modules/M/messages/events/', 'devices/other/modules/m/messages/events/', 'devices/dev/modules/m/inputs/x/']) {
    const m = await session('dev/m');
    m.send(publishPacket(topic, 'x', 1, 9));
    await m.closed;
    assert.equal(m.packets.filter((p) => p.type === 'puback').length, 0, topic);
  }
});

test('take-over is between connections of one module', async () => {
  const one = await session('dev/m'), sibling = await session('dev/M'), two = await session('dev/m');
  await one.closed;
  await sibling.publish('devices/dev/modules/M/messages/events/', 'still');
  await two.publish('devices/dev/modules/m/messages/events/', 'second');
  for (const x of [sibling, two]) x.end();
});

test('its subscriptions outlive the connection and the server; a clean session ends them', async () => {
  const options = { clean: false };
  const m = await session('dev/m', options);
  await m.subscribe('$iothub/twin/PATCH/properties/desired/#');
  m.destroy();
  await b.kill();
  await b.restart();
  const again = await session('dev/m', options);
  assert.equal((await b.hub('PATCH', `/twins/dev/modules/m${V}`, { body: { properties: { desired: { n: 2 } } } })).status, 200);
  assert.equal(JSON.parse((await again.next('publish')).payload).n, 2);
  again.end();
  await again.closed;
  (await session('dev/m')).end();
  const empty = await session('dev/m', options);
  assert.equal((await b.hub('PATCH', `/twins/dev/modules/m${V}`, { body: { properties: { desired: { n: 3 } } } })).status, 200);
  await empty.publish('devices/dev/modules/m/messages/events/', 'x');
  assert.equal(empty.packets.filter((p) => p.type === 'publish').length, 0);
  empty.end();
});

test('the model that it names is in its twin and on its messages', async () => {
  await put('pnp', { authentication: bySas(KEY) });
  await put('pnp/modules/m', { authentication: bySas(MODULE_KEY) });
  const m = await b.mqtt();
  assert.equal(await m.connect({ ...login('pnp/m', token('pnp/modules/m')), username: `localhost/pnp/m/?api-version=2020-09-30&model-id=${encodeURIComponent('dtmi:berth:test;1')}` }), 0);
  await m.publish('devices/pnp/modules/m/messages/events/', 'x');
  m.end();
  const [e] = await events('pnp', 1);
  assert.equal(e.systemProperties['dt-dataschema'], 'dtmi:berth:test;1');
  assert.equal((await b.hub('GET', `/twins/pnp/modules/m${V}`)).json.modelId, 'dtmi:berth:test;1');
  (await session('pnp/m')).end(); // which names none
  assert.ok(!(await b.hub('GET', `/twins/pnp/modules/m${V}`)).json.modelId);
});

test('disabling the device shuts its modules out; deleting a module cuts it off', async () => {
  await put('dev2', { authentication: bySas(KEY) });
  await put('dev2/modules/m', { authentication: bySas(MODULE_KEY) });
  const m = await session('dev2/m');
  await b.ok('hub', 'device-identity', 'disable', '--device-id', 'dev2');
  await m.closed;
  const refused = await b.mqtt();
  assert.equal(await refused.connect(login('dev2/m', token('dev2/modules/m'))), 3);
  await b.ok('hub', 'device-identity', 'enable', '--device-id', 'dev2');
  const back = await session('dev2/m');
  assert.equal((await b.hub('DELETE', `/devices/dev2/modules/m${V}`, { headers: { 'If-Match': '*' } })).status, 204);
  await back.closed;
  const gone = await b.mqtt();
  assert.equal(await gone.connect(login('dev2/m', token('dev2/modules/m'))), 5);
});
