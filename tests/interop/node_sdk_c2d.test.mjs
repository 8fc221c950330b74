// The official Azure Node SDKs, unmodified, on their fixed ports: cloud-to-device messages over MQTT (completed by the SDK's PUBACK, also
// after a renewal of its token, which it does without subscribing again) and over HTTPS (completed, rejected, abandoned).
import assert from 'node:assert/strict';
import https from 'node:https';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Berthd, deriveKey, deviceToken, until } from '../lib/berth.mjs';

const require = createRequire(import.meta.url);
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Http } = require('azure-iot-device-http');
const API = 'api-version=2021-04-12';
let b;
const open = [];

const credential = (id) => deviceToken(`localhost/devices/${id}`, deriveKey(b.dev.groups.symmetricKey.primaryKey, id));

async function client(id, transport) {
  const key = await b.provisionByKey(id);
  const c = Client.fromSharedAccessSignature(deviceToken(`localhost/devices/${id}`, key), transport);
  await c.setOptions({ ca: b.ca.toString(), http: { receivePolicy: { interval: 1, drain: true } } });
  open.push(c);
  return c;
}

async function send(id, body, headers = {}) {
  const r = await b.hub('POST', `/messages/deviceBound?${API}`, { body, headers: { 'iothub-to': `/devices/${id}/messages/deviceBound`, ...headers } });
  assert.equal(r.status, 201, r.text);
}
const count = async (id) => (await b.hub('GET', `/devices/${id}?${API}`)).json.cloudToDeviceMessageCount;
async function outcomes() {
  const r = await b.hub('GET', `/messages/serviceBound/feedback?${API}`);
  if (r.status === 204) return {};
  await b.hub('DELETE', `/messages/serviceBound/feedback/${r.headers.etag.slice(1, -1)}?${API}`);
  return Object.fromEntries(r.json.map((f) => [f.originalMessageId, f.statusCode]));
}

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  https.globalAgent.options.ca = b.ca; // the HTTP transport has no option for whom to trust
});
after(async () => {
  for (const c of open) await c.close().catch(() => {});
  await b?.stop();
});

test('over MQTT the SDK receives all of a message, and its complete() is the PUBACK', async () => {
  const c = await client('c2d-mqtt', Mqtt);
  const got = [];
  await send('c2d-mqtt', 'waited', { 'iothub-messageid': 'm1', 'iothub-ack': 'full' });
  c.on('message', (m) => got.push(m));
  await c.open();
  await until('the one that waited', () => got.length === 1);
  await send('c2d-mqtt', '{"now":true}', { 'iothub-messageid': 'm 2', 'iothub-correlationid': 'c', 'iothub-userid': 'back end', 'iothub-contenttype': 'application/json',
    'iothub-contentencoding': 'utf-8', 'iothub-app-k': 'v/1', 'iothub-ack': 'positive', 'iothub-expiry': String(Date.now() + 60000) });
  await until('the second', () => got.length === 2);
  const [first, second] = got;
  assert.deepEqual([first.data.toString(), first.messageId], ['waited', 'm1']);
  assert.deepEqual([second.data.toString(), second.messageId, second.correlationId, second.userId, second.to, second.contentType, second.contentEncoding],
    ['{"now":true}', 'm 2', 'c', 'back end', '/devices/c2d-mqtt/messages/deviceBound', 'application/json', 'utf-8']);
  assert.ok(Math.abs(Date.parse(second.expiryTimeUtc) - Date.now() - 60000) < 60000);
  assert.equal(second.properties.getValue('k'), 'v/1');
  for (const m of got) await c.complete(m);
  await until('both are completed', async () => await count('c2d-mqtt') === 0);
  assert.deepEqual(await outcomes(), { m1: 'Success', 'm 2': 'Success' });

  // another token: it connects anew, does not subscribe, and still hears
  c.updateSharedAccessSignature(credential('c2d-mqtt'), () => {});
  await until('it is back', () => b.stderr.split('\n').filter((l) => l.includes('surface=hub-mqtt') && l.includes('operation=connect') && l.includes('c2d-mqtt')).length >= 3);
  await send('c2d-mqtt', 'after renewal');
  await until('it hears', () => got.some((m) => m.data.toString() === 'after renewal'));
  await c.complete(got.find((m) => m.data.toString() === 'after renewal'));
  await until('completed', async () => await count('c2d-mqtt') === 0);
});

test('over HTTPS the SDK polls, completes, rejects and abandons', async () => {
  const c = await client('c2d-http', Http);
  const seen = [];
  for (const id of ['h1', 'h2', 'h3']) await send('c2d-http', id, { 'iothub-messageid': id, 'iothub-ack': 'full', 'iothub-app-k': 'v' });
  let abandoned = false;
  c.on('message', (m) => {
    seen.push(m.messageId);
    assert.equal(m.data.toString(), m.messageId);
    assert.equal(m.properties.getValue('iothub-app-k'), 'v'); // it leaves the header's name as it is
    if (m.messageId === 'h2') c.reject(m, assert.ifError);
    else if (m.messageId === 'h3' && !abandoned) { abandoned = true; c.abandon(m, assert.ifError); }
    else c.complete(m, assert.ifError);
  });
  await c.open();
  await until('all are settled', async () => await count('c2d-http') === 0, 60000);
  assert.deepEqual(seen.filter((id) => id === 'h3').length, 2);
  assert.deepEqual(await outcomes(), { h1: 'Success', h2: 'Rejected', h3: 'Success' });
});
