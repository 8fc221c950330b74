// The official Azure Node SDKs, unmodified, on their fixed ports, at a hub that holds them to limits: a device (azure-iot-device over MQTT)
// that sends too fast, asks for its twin too often or connects too often, and a back end (azure-iothub over REST) that asks too often. All
// arrives, or the SDK says that it is throttled, which it takes for something to try again.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';
import { Berthd, deviceToken, until } from '../lib/berth.mjs';

const require = createRequire(import.meta.url);
const { Client, Message } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Registry } = require('azure-iothub');
const ID = 'hasty';
let b, key, hub, registry;

const update = (...options) => b.ok('hub', 'update', hub, ...options);
const open = async () => {
  const device = Client.fromSharedAccessSignature(deviceToken(`localhost/devices/${ID}`, key), Mqtt);
  await device.setOptions({ ca: b.ca.toString() });
  await device.open();
  return device;
};

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  key = await b.provisionByKey(ID);
  hub = (await b.json('hub', 'list'))[0].name;
  registry = b.trusting(Registry.fromConnectionString(b.dev.hubs[0].connectionString));
});
afterEach(() => b.service('PATCH', `/berth/v1/hubs/${hub}`, { body: { limits: null, deviceLimits: null } }));
after(() => b?.stop());

test('a device that sends too fast: each message is acknowledged, none is lost, none comes twice', async () => {
  const device = await open();
  await update('--device-d2c-sends', '25:5');
  const began = performance.now();
  const texts = Array.from({ length: 80 }, (_, i) => `m${i}`);
  await Promise.all(texts.map((text) => device.sendEvent(new Message(text))));
  assert.ok(performance.now() - began > 2800, 'it was held back');
  const lines = (await b.ok('hub', 'monitor-events', '--from', 'start', '--device-id', ID, '--count', '80', '--timeout', '20', '--output', 'json')).trim().split('\n');
  assert.deepEqual(lines.map((line) => JSON.parse(line).body), texts);
  await device.close();
});

test('a twin that is asked for too often: an error that names the code, and then it is there again', async () => {
  const device = await open();
  await device.getTwin();
  await update('--device-twin-updates', '1:1');
  const twin = await device.getTwin();
  const report = (n) => new Promise((resolve) => { twin.properties.reported.update({ n }, (e) => resolve(e)); });
  assert.equal(await report(1) ?? undefined, undefined);
  const refused = await report(2);
  assert.ok(refused, 'the second is refused');
  await until('it is let through again', async () => !(await report(3)));
  assert.equal(((await registry.getTwin(ID)).responseBody ?? await registry.getTwin(ID)).properties.reported.n, 3);
  await device.close();
});

test('a device that connects too often keeps trying, and gets in', async () => {
  await (await open()).close();
  await update('--device-connects', '30/min:1');
  await (await open()).close();
  const refusals = () => b.stderr.split('\n').filter((line) => /operation=connect.*reason=hub-throttled/.test(line)).length;
  const began = refusals();
  const device = await open(); // the SDK retries by itself
  assert.ok(refusals() > began, 'it was refused at first');
  await device.sendEvent(new Message('here'));
  await device.close();
});

test('a back end that asks too often is told that it is throttled', async () => {
  await update('--registry', '60/min:2');
  const ask = () => registry.get(ID).then(() => undefined, (e) => e);
  const errors = await Promise.all(Array.from({ length: 6 }, ask));
  const refused = errors.filter(Boolean);
  assert.ok(refused.length >= 3 && refused.length <= 4, `${refused.length} refused`);
  for (const e of refused) assert.equal(e.name, 'ThrottlingError');
  await until('it is let through again', async () => !(await ask()));
});
