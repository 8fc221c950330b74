// The official Azure Node SDKs, unmodified, on their fixed ports: a device that talks HTTPS (azure-iot-device-http), by key, by its
// certificate and by one under a CA of the hub; and a module (ModuleClient over azure-iot-device-mqtt): its outputs and its twin.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import https from 'node:https';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Berthd, Pki } from '../lib/berth.mjs';
import { provisionedDevices } from '../lib/mqtt.mjs';

const require = createRequire(import.meta.url);
const { Client, ModuleClient, Message } = require('azure-iot-device');
const { Http } = require('azure-iot-device-http');
const { Mqtt } = require('azure-iot-device-mqtt');
const V = '?api-version=2021-04-12';
const KEY = crypto.randomBytes(32).toString('base64');
let b, pki;

const bySas = { type: 'sas', symmetricKey: { primaryKey: KEY, secondaryKey: KEY } };
const put = async (path, authentication) => {
  const [deviceId, moduleId] = path.split('/modules/');
  const r = await b.hub('PUT', `/devices/${path}${V}`, { body: { deviceId, ...(moduleId ? { moduleId } : {}), authentication } });
  assert.equal(r.status, 200, r.text);
};
const events = async (id, count) => {
  const out = await b.ok('hub', 'monitor-events', '--from', 'start', '--device-id', id, '--count', String(count), '--timeout', '20', '--output', 'json');
  return out.trim().split('\n').map(JSON.parse);
};
const message = (text, properties = {}) => {
  const m = new Message(text);
  for (const [name, value] of Object.entries(properties)) m.properties.add(name, value);
  return m;
};

async function client(id, { cert, key, sharedKey }) {
  const c = Client.fromConnectionString(`HostName=localhost;DeviceId=${id};${sharedKey ? `SharedAccessKey=${sharedKey}` : 'x509=true'}`, Http);
  if (cert) c.setOptions({ cert, key }, () => {}); // which never says that it is done
  await c.open();
  return c;
}

async function talk(id, credential) {
  const c = await client(id, credential);
  const first = message('{"t":21}', { room: 'hall & kitchen', 'dt-subject': 'thermostat' });
  first.messageId = 'm-1';
  first.correlationId = 'c-1';
  first.contentType = 'application/json';
  first.contentEncoding = 'utf-8';
  await c.sendEvent(first);
  await c.sendEventBatch([message('one', { n: '1' }), message('two'), message(Buffer.from([0xff, 0x00]))]);
  await c.sendEvent(message('last'));
  await c.close();
  const got = await events(id, 5);
  assert.deepEqual(got.map((e) => e.body ?? e.bodyBase64), ['{"t":21}', 'one', 'two', '/wA=', 'last']);
  assert.deepEqual(got[0].applicationProperties, { room: 'hall & kitchen' });
  assert.deepEqual(got[1].applicationProperties, { n: '1' });
  const s = got[0].systemProperties;
  assert.deepEqual([s['message-id'], s['correlation-id'], s['content-type'], s['content-encoding'], s['dt-subject']], ['m-1', 'c-1', 'application/json', 'utf-8', 'thermostat']);
  return JSON.parse(s['iothub-connection-auth-method']);
}

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  https.globalAgent.options.ca = b.ca; // whom to trust; the SDK has an option for it, which it forgets
  pki = new Pki();
  await put('http-sas', bySas);
  await put('http-ca', { type: 'certificateAuthority' });
  await put('edge', bySas);
  await put('edge/modules/filter', bySas);
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('by key', async () => {
  assert.deepEqual(await talk('http-sas', { sharedKey: KEY }), { scope: 'device', type: 'sas', issuer: 'iothub', acceptingIpFilterRule: null });
});

test('by its certificate', async () => {
  const { cert, key } = await provisionedDevices(b, pki)('http-x509');
  assert.equal((await talk('http-x509', { cert, key })).type, 'x509');
});

test('by a certificate under a CA of the hub', async () => {
  const ca = await pki.make('Plant', { ca: true });
  const hub = (await b.json('hub', 'list')).find((h) => h.hostName === 'localhost').name;
  await b.ok('hub', 'certificate', 'create', 'plant', '--path', ca.certFile, '--hub-name', hub);
  await b.ok('hub', 'certificate', 'verify', 'plant', '--ca-cert', ca.certFile, '--ca-key', ca.keyFile, '--hub-name', hub);
  const { cert, key } = await pki.make('http-ca', { issuer: ca });
  assert.equal((await talk('http-ca', { cert, key })).type, 'x509');
});

// A client that is left open renews its token for ever, and the process never ends.
async function isRefused(id, sharedKey, m, name) {
  const c = await client(id, { sharedKey });
  await assert.rejects(c.sendEvent(m), { name });
  await c.close();
}

test('the SDK knows what a refusal means', async () => {
  await isRefused('http-sas', 'AAAAAAAAAAAAAAAAAAAAAAAA', message('x'), 'UnauthorizedError');
  await isRefused('ghost', KEY, message('x'), 'DeviceNotFoundError');
  await isRefused('http-sas', KEY, message('x'.repeat(256 * 1024 + 1)), 'MessageTooLargeError');
});

test('a module: outputs and a twin of its own', async () => {
  const m = ModuleClient.fromConnectionString(`HostName=localhost;DeviceId=edge;ModuleId=filter;SharedAccessKey=${KEY}`, Mqtt);
  await m.setOptions({ ca: b.ca.toString() });
  await m.open();
  await m.sendOutputEvent('alerts', message('hot', { level: '2' }));
  await m.sendEvent(message('plain'));
  const [hot, plain] = await events('edge', 2);
  assert.equal(hot.body, 'hot');
  assert.equal(hot.systemProperties['iothub-outputname'], 'alerts');
  assert.equal(hot.systemProperties['iothub-connection-module-id'], 'filter');
  assert.deepEqual(hot.applicationProperties, { level: '2' });
  assert.equal(plain.systemProperties['iothub-outputname'], undefined);
  const twin = await m.getTwin();
  await new Promise((resolve, reject) => { twin.properties.reported.update({ running: true }, (e) => { if (e) reject(e); else resolve(); }); });
  const heard = once(twin, 'properties.desired.threshold');
  const r = await b.hub('PATCH', `/twins/edge/modules/filter${V}`, { body: { properties: { desired: { threshold: 7 } } } });
  assert.equal(r.status, 200, r.text);
  assert.equal(r.json.properties.reported.running, true);
  assert.equal((await heard)[0], 7);
  await m.close();
});
