// The official Azure Node SDKs, unmodified, on their fixed ports: a back end's azure-iothub calls direct methods (over REST) of a device's
// azure-iot-device (over MQTT); what its callers see when the device is not there, does not answer, or renews its token meanwhile.
import assert from 'node:assert/strict';
import https from 'node:https';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Berthd, deviceToken, until } from '../lib/berth.mjs';

const require = createRequire(import.meta.url);
const { Client, ModuleClient } = require('azure-iot-device');
const { Mqtt } = require('azure-iot-device-mqtt');
const { Client: ServiceClient, DigitalTwinClient, IoTHubTokenCredentials } = require('azure-iothub');
const ID = 'method-sdk';
let b, key, service, device;

const token = () => deviceToken(`localhost/devices/${ID}`, key);
const invoke = (params, id = ID) => new Promise((resolve, reject) => {
  service.invokeDeviceMethod(id, params, (e, result, response) => {
    if (e) reject(e);
    else if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
    else resolve(result);
  });
});
const lines = (operation) => b.stderr.split('\n').filter((line) => line.includes('surface=hub-mqtt') && line.includes(`operation=${operation}`)).length;
const httpError = (status, name) => (e) => {
  assert.equal(e.response?.statusCode, status, String(e));
  assert.equal(e.response.headers['iothub-errorcode'], name);
  return true;
};

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  key = await b.provisionByKey(ID);
  service = b.trusting(ServiceClient.fromConnectionString(b.dev.hubs[0].connectionString));
  device = Client.fromSharedAccessSignature(token(), Mqtt);
  await device.setOptions({ ca: b.ca.toString() });
});
after(async () => {
  await device?.close();
  await b?.stop();
});

test('a device that is not there: at once, or after the connect timeout', async () => {
  await assert.rejects(invoke({ methodName: 'reboot' }), httpError(404, 'DeviceNotOnline'));
  await assert.rejects(invoke({ methodName: 'reboot', connectTimeoutInSeconds: 1, responseTimeoutInSeconds: 5 }), httpError(404, 'DeviceNotOnline'));
  await assert.rejects(invoke({ methodName: 'reboot' }, 'nobody'), (e) => e.name === 'DeviceNotFoundError');
  await assert.rejects(invoke({ methodName: 'reboot', connectTimeoutInSeconds: 40 }), (e) => e.name === 'ArgumentError');
});

test('it comes while the caller waits, is asked and answers', async () => {
  const waiting = invoke({ methodName: 'echo', payload: { n: [1, 'ü'] }, connectTimeoutInSeconds: 30 });
  await device.open();
  device.onDeviceMethod('echo', (request, response) => response.send(201, { heard: request.payload }, () => {}));
  assert.deepEqual(await waiting, { status: 201, payload: { heard: { n: [1, 'ü'] } } });
});

test('payloads and statuses as SDKs make them', async () => {
  device.onDeviceMethod('empty', (request, response) => { assert.equal(request.payload, null); response.send(200, () => {}); });
  device.onDeviceMethod('bad', (request, response) => response.send(404, 'no such thing', () => {}));
  assert.deepEqual(await invoke({ methodName: 'empty' }), { status: 200, payload: null });
  assert.deepEqual(await invoke({ methodName: 'bad', payload: 0 }), { status: 404, payload: 'no such thing' });
  const many = await Promise.all(Array.from({ length: 100 }, (_, i) => invoke({ methodName: 'echo', payload: i })));
  assert.deepEqual(many.map((r) => r.payload.heard), Array.from({ length: 100 }, (_, i) => i));
});

test('no answer: the caller gets 504, though the SDK gives up at that very second', async () => {
  let late;
  device.onDeviceMethod('sleep', (request, response) => { late = response; });
  await assert.rejects(invoke({ methodName: 'sleep', responseTimeoutInSeconds: 5 }), httpError(504, 'GatewayTimeout'));
  await new Promise((resolve) => { late.send(200, 'too late', resolve); });
  assert.deepEqual((await invoke({ methodName: 'echo', payload: 1 })).payload, { heard: 1 });
});

test('a device that renews its token while it works on a call answers on the new connection', async () => {
  const connected = lines('connect');
  let answer;
  device.onDeviceMethod('long', (request, response) => { answer = () => new Promise((resolve, reject) => { response.send(200, 'done', (e) => (e ? reject(e) : resolve())); }); });
  const waiting = invoke({ methodName: 'long' });
  await until('it has the call', () => answer);
  device.updateSharedAccessSignature(token(), () => {}); // it connects twice, and may tell nobody
  await until('it is back', () => lines('connect') === connected + 2);
  await answer();
  assert.deepEqual(await waiting, { status: 200, payload: 'done' });
  assert.deepEqual((await invoke({ methodName: 'echo', payload: 2 })).payload, { heard: 2 }); // it did not subscribe again
});

test('a module', async () => {
  const made = await b.hub('PUT', `/devices/${ID}/modules/cam?api-version=2021-04-12`, { body: { deviceId: ID, moduleId: 'cam' } });
  const module = ModuleClient.fromConnectionString(`HostName=localhost;DeviceId=${ID};ModuleId=cam;SharedAccessKey=${made.json.authentication.symmetricKey.primaryKey}`, Mqtt);
  await module.setOptions({ ca: b.ca.toString() });
  await module.open();
  module.onMethod('shoot', (request, response) => response.send(200, { shot: request.payload }, () => {}));
  const call = (params) => new Promise((resolve, reject) => { service.invokeDeviceMethod(ID, 'cam', params, (e, result) => { if (e) reject(e); else resolve(result); }); });
  assert.deepEqual(await call({ methodName: 'shoot', payload: 3, connectTimeoutInSeconds: 10 }), { status: 200, payload: { shot: 3 } });
  await module.close();
  await assert.rejects(call({ methodName: 'shoot' }), httpError(404, 'DeviceNotOnline'));
});

test('commands of digital twins, by the client for them', async () => {
  https.globalAgent.options.ca = b.ca; // nor has this one an option
  const twins = new DigitalTwinClient(new IoTHubTokenCredentials(b.dev.hubs[0].connectionString));
  device.onDeviceMethod('getMaxMin', (request, response) => response.send(200, { since: request.payload }, () => {}));
  device.onDeviceMethod('thermostat1*reset', (request, response) => response.send(418, { why: request.payload }, () => {}));
  const root = await twins.invokeCommand(ID, 'getMaxMin', 'now');
  assert.deepEqual([root.body?.since, String(root.xMsCommandStatuscode)], ['now', '200']);
  const component = await twins.invokeComponentCommand(ID, 'thermostat1', 'reset', { a: 1 }, { connectTimeoutInSeconds: 1, responseTimeoutInSeconds: 20 });
  assert.deepEqual([component.body?.why, String(component.xMsCommandStatuscode)], [{ a: 1 }, '418']);
});
