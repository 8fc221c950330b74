// A device's HTTPS door to its hub: who gets in and with which status, messages and batches, and that none of it disturbs the device's
// MQTT session or is lost when the server is killed.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, test } from 'node:test';
import { Berthd, Pki, deviceToken, sas } from '../lib/berth.mjs';
import { Mqtt, connectPacket, provisionedDevices } from '../lib/mqtt.mjs';

const V = '?api-version=2021-04-12';
const KEY = crypto.randomBytes(32).toString('base64');
let b, pki, device;

const auth = (id = 'h1', key = KEY, options = {}) => ({ Authorization: deviceToken(`localhost/devices/${id}`, key, options) });
const send = (target, options) => b.request('POST', target, options);

const events = (id, count) => b.events(id, count);

async function makeIdentity(path, body = {}) {
  const [device_, module_] = path.split('/modules/');
  const r = await b.hub('PUT', `/devices/${path}${V}`, { body: { deviceId: device_, ...(module_ ? { moduleId: module_ } : {}), authentication: { type: 'sas', symmetricKey: { primaryKey: KEY, secondaryKey: KEY } }, ...body } });
  assert.equal(r.status, 200, r.text);
}

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  device = provisionedDevices(b, pki);
  await makeIdentity('h1');
  await makeIdentity('h1/modules/m1');
  await makeIdentity('off', { status: 'disabled' });
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('who gets in, and how the others are told', async () => {
  const x509 = await device('cert'), stranger = await pki.make('cert');
  const owner = b.dev.hubs[0].connectionString;
  const cases = [
    ['its token', '/devices/h1/messages/events', { headers: auth() }, 204],
    ['paths without case', '/Devices/h1/Messages/Events', { headers: auth() }, 204],
    ['its certificate', '/devices/cert/messages/events', { device: x509 }, 204],
    ['a policy', '/devices/cert/messages/events', { headers: { Authorization: sas(owner) } }, 204],
    ['a module', '/devices/h1/modules/m1/messages/events', { headers: auth('h1/modules/m1') }, 204],
    ['nothing', '/devices/h1/messages/events', {}, 401, 'IotHubUnauthorized'],
    ['another key', '/devices/h1/messages/events', { headers: auth('h1', 'AAAAAAAAAAAAAAAAAAAAAAAA') }, 401],
    ['another device\'s token', '/devices/h1/messages/events', { headers: auth('h2') }, 401],
    ['an expired token', '/devices/h1/messages/events', { headers: auth('h1', KEY, { ttl: -600 }) }, 401],
    ['a module\'s token for its device', '/devices/h1/messages/events', { headers: auth('h1/modules/m1') }, 401],
    ['another certificate of that name', '/devices/cert/messages/events', { device: stranger }, 401],
    ['a disabled device', '/devices/off/messages/events', { headers: auth('off') }, 401, 'IotHubUnauthorized'],
    ['no such device', '/devices/ghost/messages/events', { headers: auth('ghost') }, 404, 'DeviceNotFound'],
    ['no such module', '/devices/h1/modules/ghost/messages/events', { headers: auth('h1/modules/ghost') }, 404, 'ModuleNotFound'],
    ['no such hub', '/devices/h1/messages/events', { headers: { ...auth(), Host: 'nowhere.test' } }, 401, 'IotHubNotFound'],
    ['another method', '/devices/h1/messages/events', { headers: auth(), method: 'PUT' }, 405],
    ['no api-version', '/devices/h1/messages/events', { headers: auth(), bare: true }, 400, 'InvalidProtocolVersion'],
  ];
  for (const [what, path, options, status, code] of cases) {
    const r = await b.request(options.method ?? 'POST', path + (options.bare ? '' : V), { body: 'x', ...options });
    assert.equal(r.status, status, `${what}: ${r.text}`);
    if (code && code !== 'IotHubUnauthorized') assert.equal(r.headers['iothub-errorcode'], code, what);
    if (status !== 204 && status !== 405) assert.match(r.json.Message ?? r.json.message, /./, what);
  }
});

test('a message: any body, headers as properties, stamps that nobody forges', async () => {
  const r = await send(`/devices/h1/modules/m1/messages/events${V}`, {
    body: '{"t":21}',
    headers: { ...auth('h1/modules/m1'), 'Content-Type': 'application/octet-stream', 'iothub-messageid': 'm-1', 'iothub-correlationid': 'c', 'iothub-to': '/devices/h1/messages/events',
      'iothub-contenttype': 'application/json', 'iothub-contentencoding': 'utf-8', 'IoTHub-App-Room': 'hall & kitchen', 'dt-subject': 'thermostat',
      'iothub-creation-time-utc': '2026-01-01T00:00:00Z', 'iothub-interface-id': 'urn:x', 'iothub-app-iothub-connection-device-id': 'forged' },
  });
  assert.equal(r.status, 204);
  assert.equal(r.text, '');
  const e = (await events('h1', 4)).find((x) => x.systemProperties['message-id'] === 'm-1');
  assert.equal(e.body, '{"t":21}');
  const s = e.systemProperties;
  assert.equal(s['correlation-id'], 'c');
  assert.equal(s['content-type'], 'application/json');
  assert.equal(s['dt-subject'], 'thermostat');
  assert.equal(s['iothub-connection-device-id'], 'h1');
  assert.equal(s['iothub-connection-module-id'], 'm1');
  assert.deepEqual(JSON.parse(s['iothub-connection-auth-method']), { scope: 'module', type: 'sas', issuer: 'iothub', acceptingIpFilterRule: null });
  assert.deepEqual(e.applicationProperties, { Room: 'hall & kitchen' });
});

test('a batch is kept as a whole, or not at all', async () => {
  await makeIdentity('batch');
  const headers = { ...auth('batch'), 'Content-Type': 'application/vnd.microsoft.iothub.json' };
  const text = (s) => Buffer.from(s).toString('base64');
  const r = await send(`/devices/batch/messages/events${V}`, { headers, body: [{ body: text('one'), properties: { 'iothub-app-n': '1' } }, { body: 'two', base64Encoded: false }, { body: text('three') }] });
  assert.equal(r.status, 204, r.text);
  for (const body of [[{ body: text('lost') }, { body: '!' }], [], {}, [{ body: text('lost') }, 7], '[{']) {
    assert.equal((await send(`/devices/batch/messages/events${V}`, { headers, body })).status, 400, JSON.stringify(body));
  }
  const large = [{ body: text('lost') }, { body: 'x'.repeat(256 * 1024), base64Encoded: false }];
  const refused = await send(`/devices/batch/messages/events${V}`, { headers, body: large });
  assert.equal(refused.status, 413);
  assert.equal(refused.headers['iothub-errorcode'], 'MessageTooLarge');
  assert.equal((await send(`/devices/batch/messages/events${V}`, { headers, body: [{ body: text('last') }] })).status, 204);
  const got = await events('batch', 4);
  assert.deepEqual(got.map((e) => e.body), ['one', 'two', 'three', 'last']);
  assert.deepEqual(got[0].applicationProperties, { n: '1' });
});

test('a refusal leaves a record that says why', async () => {
  await send(`/devices/h1/messages/events${V}`, { body: 'x', headers: auth('h1', 'AAAAAAAAAAAAAAAAAAAAAAAA') });
  const shown = await b.ok('explain', 'h1');
  assert.match(shown, /token-bad-signature/);
  assert.match(shown, /http/i);
});

test('a call over HTTPS leaves the MQTT session and what it subscribed to alone', async () => {
  await makeIdentity('both');
  const options = { clientId: 'both', username: 'localhost/both/?api-version=2021-04-12', password: auth('both').Authorization, clean: false };
  const m = await b.mqtt();
  assert.equal(await m.connect(options), 0);
  await m.subscribe('$iothub/twin/PATCH/properties/desired/#');
  assert.equal((await send(`/devices/both/messages/events${V}`, { body: 'x', headers: auth('both') })).status, 204);
  await m.publish('devices/both/messages/events/', 'still here');
  m.end();
  await m.closed;
  assert.equal((await send(`/devices/both/messages/events${V}`, { body: 'y', headers: auth('both') })).status, 204);
  const again = await Mqtt.open({ port: b.mqttPort, ca: b.ca });
  again.send(connectPacket(options));
  assert.equal((await again.next('connack')).sessionPresent ?? true, true);
  assert.equal((await b.hub('PATCH', `/twins/both${V}`, { body: { properties: { desired: { n: 1 } } } })).status, 200);
  assert.match((await again.next('publish')).topic, /^\$iothub\/twin\/PATCH\/properties\/desired\//);
  again.end();
});

test('what was answered with 204 is there after a kill', async () => {
  await makeIdentity('durable');
  const headers = { ...auth('durable'), 'Content-Type': 'application/vnd.microsoft.iothub.json' };
  const batch = Array.from({ length: 100 }, (_, i) => ({ body: `d${i}`, base64Encoded: false }));
  assert.equal((await send(`/devices/durable/messages/events${V}`, { headers, body: batch })).status, 204);
  assert.equal((await send(`/devices/durable/messages/events${V}`, { headers: auth('durable'), body: 'last' })).status, 204);
  await b.kill();
  await b.restart();
  assert.deepEqual((await events('durable', 101)).map((e) => e.body), [...batch.map((m) => m.body), 'last']);
});
