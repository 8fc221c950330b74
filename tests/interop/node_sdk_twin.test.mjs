// The official Azure Node SDKs, unmodified, on their fixed ports: a device's twin (azure-iot-device over MQTT), also across a renewal of
// its token, which the SDK does without subscribing again; and the back end's (azure-iothub over REST).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Berthd, deviceToken, until } from '../lib/berth.mjs';

const require = createRequire(import.meta.url);
const { Client } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Registry } = require('azure-iothub');
const ID = 'twin-sdk';
let b, key, registry, device, twin;

const body = (r) => r.responseBody ?? r; // its promises give either
const renewed = () => deviceToken(`localhost/devices/${ID}`, key);
const update = (patch) => new Promise((resolve, reject) => { twin.properties.reported.update(patch, (e) => { if (e) reject(e); else resolve(); }); });

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  key = await b.provisionByKey(ID);
  registry = b.trusting(Registry.fromConnectionString(b.dev.hubs[0].connectionString));
  device = Client.fromSharedAccessSignature(renewed(), Mqtt);
  await device.setOptions({ ca: b.ca.toString() });
  await device.open();
});
after(async () => {
  await device?.close();
  await b?.stop();
});

test('the device reads its twin and reports', async () => {
  twin = await device.getTwin();
  assert.equal(twin.properties.desired.$version, 1);
  await update({ firmware: { version: '1.0' }, gone: 1 });
  await update({ gone: null });
  const responseBody = body(await registry.getTwin(ID));
  assert.deepEqual(responseBody.properties.reported.firmware, { version: '1.0' });
  assert.equal(responseBody.properties.reported.gone, undefined);
  await assert.rejects(update({ 'a.b': 1 }));
});

test('the back end changes the twin, under its ETag or not; the device hears of it', async () => {
  const whole = once(twin, 'properties.desired'), nested = once(twin, 'properties.desired.telemetry.interval');
  const current = body(await registry.getTwin(ID));
  await current.update({ tags: { room: 'hall' }, properties: { desired: { telemetry: { interval: 5 } } } });
  const changed = body(await registry.getTwin(ID));
  assert.deepEqual(changed.tags, { room: 'hall' });
  // of the first subscription the SDK tells at once what it has already
  if ((await whole)[0].telemetry === undefined) await once(twin, 'properties.desired');
  assert.equal((await nested)[0], 5);
  assert.deepEqual(body(await registry.updateTwin(ID, { tags: { floor: 1 } }, '*')).tags, { room: 'hall', floor: 1 });
});

test('with another token the SDK connects anew, does not subscribe, and still hears', async () => {
  const lines = (operation) => b.stderr.split('\n').filter((line) => line.includes('surface=hub-mqtt') && line.includes(`operation=${operation}`)).length;
  const subscribed = lines('subscribe'), connected = lines('connect');
  let heard;
  device.updateSharedAccessSignature(renewed(), () => {}); // it connects twice, and may tell nobody
  await until('it is back', () => lines('connect') === connected + 2);
  twin.on('properties.desired.after', (value) => { heard = value; });
  await registry.updateTwin(ID, { properties: { desired: { after: 'renewal' } } }, '*');
  await until('it hears', () => heard === 'renewal');
  assert.equal(lines('subscribe'), subscribed, 'it did not subscribe again');
  await update({ still: true });
});
