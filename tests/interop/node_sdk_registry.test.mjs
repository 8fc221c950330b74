// The official Azure Node service SDK's Registry, unmodified, on its fixed port: each method that needs neither blob storage nor
// configurations, by promise and by callback.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { Berthd, deviceToken, parseConnectionString } from '../lib/berth.mjs';

const { Registry } = createRequire(import.meta.url)('azure-iothub');
const used = new Set(); // methods of the SDK that a test called
// Import and export jobs read and write blob storage; configurations are not served; queries have a test of their own.
const others = ['importDevicesFromBlob', 'importDevicesFromBlobByIdentity', 'exportDevicesToBlob', 'exportDevicesToBlobByIdentity', 'listJobs', 'getJob', 'cancelJob',
  'addConfiguration', 'getConfiguration', 'getConfigurations', 'updateConfiguration', 'removeConfiguration', 'applyConfigurationContentOnDevice', 'createQuery'];
let b, registry;

const watched = (target) => new Proxy(target, {
  get(object, name) {
    const value = object[name];
    if (typeof value !== 'function') return value;
    used.add(name);
    return value.bind(object);
  },
});
const body = (r) => r.responseBody ?? r; // its promises give either
const called = (method, ...args) => new Promise((resolve, reject) => {
  registry[method](...args, (error, result) => (error ? reject(error) : resolve(result)));
});
// The class of the SDK, and the server's word for it where the SDK reads it: in the header it must be the same.
const refusal = (name, status, code) => (e) => {
  assert.equal(e.name, name, `${e.name}: ${e.message}`);
  assert.equal(e.response.statusCode, status);
  assert.equal(e.response.headers['iothub-errorcode'], code);
  const text = typeof e.responseBody === 'string' ? e.responseBody : JSON.stringify(e.responseBody);
  const { Message, errorCode } = JSON.parse(text);
  assert.ok(Message === undefined ? Number.isInteger(errorCode) : Message.startsWith(`ErrorCode:${code};`), text);
  return true;
};
const keys = () => ({ primaryKey: crypto.randomBytes(32).toString('base64'), secondaryKey: crypto.randomBytes(32).toString('base64') });
const thumbprint = () => crypto.randomBytes(20).toString('hex').toUpperCase();

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  registry = watched(b.trusting(Registry.fromConnectionString(b.dev.hubs[0].connectionString)));
});
after(async () => { await b?.stop(); });

describe('devices', () => {
  test('create, get, update, list, delete', async () => {
    const made = body(await registry.create({ deviceId: 'sdk-1' }));
    assert.equal(made.status, 'enabled');
    assert.equal(made.authentication.type, 'sas');
    assert.equal(Buffer.from(made.authentication.symmetricKey.primaryKey, 'base64').length, 32);
    assert.deepEqual(await called('get', 'sdk-1'), made);
    const disabled = body(await registry.update({ ...made, status: 'disabled', statusReason: 'lost' }));
    assert.deepEqual([disabled.status, disabled.statusReason, disabled.authentication], ['disabled', 'lost', made.authentication]);
    assert.notEqual(disabled.etag, made.etag);
    assert.deepEqual(body(await registry.list()).map((d) => d.deviceId), ['sdk-1']);
    assert.deepEqual(body(await registry.getRegistryStatistics()), { totalDeviceCount: 1, enabledDeviceCount: 0, disabledDeviceCount: 1 });
    await registry.delete('sdk-1');
    await assert.rejects(registry.get('sdk-1'), refusal('DeviceNotFoundError', 404, 'DeviceNotFound'));
    assert.deepEqual(await called('list'), []);
  });

  test('IDs with characters that a path does not take', async () => {
    const deviceId = "a:b.c+d%e_f#g*h?i!(j),k=l@m;n$o'p";
    const made = await called('create', { deviceId });
    assert.equal(made.deviceId, deviceId);
    assert.equal(body(await registry.get(deviceId)).generationId, made.generationId);
    assert.equal((await called('getTwin', deviceId)).deviceId, deviceId);
    await called('delete', deviceId);
  });

  test('credentials as they are given', async () => {
    const symmetricKey = keys(), primaryThumbprint = thumbprint();
    assert.deepEqual(body(await registry.create({ deviceId: 'own-keys', authentication: { symmetricKey } })).authentication.symmetricKey, symmetricKey);
    const signed = body(await registry.create({ deviceId: 'self-signed', authentication: { x509Thumbprint: { primaryThumbprint } } }));
    assert.deepEqual([signed.authentication.type, signed.authentication.x509Thumbprint.primaryThumbprint], ['selfSigned', primaryThumbprint]);
    const ca = body(await registry.create({ deviceId: 'by-ca', authentication: { type: 'certificateAuthority' } }));
    assert.equal(ca.authentication.type, 'certificateAuthority');
    await assert.rejects(registry.create({ deviceId: 'wrong', authentication: { symmetricKey: { ...symmetricKey, secondaryKey: '' } } }), refusal('ArgumentError', 400, 'ArgumentInvalid'));
    await assert.rejects(registry.create({ deviceId: 'wrong', authentication: { type: 'none' } }), refusal('ArgumentError', 400, 'ArgumentInvalid'));
    for (const id of ['own-keys', 'self-signed', 'by-ca']) await registry.delete(id);
  });

  test('a device so made connects, and is shown as connected', async () => {
    const device = body(await registry.create({ deviceId: 'online' }));
    const m = await b.mqtt();
    const password = deviceToken('localhost/devices/online', device.authentication.symmetricKey.primaryKey);
    assert.equal(await m.connect({ clientId: 'online', username: 'localhost/online/?api-version=2021-04-12', password }), 0);
    assert.equal(body(await registry.get('online')).connectionState, 'Connected');
    await registry.delete('online');
    await m.closed;
  });

  test('its errors', async () => {
    await registry.create({ deviceId: 'twice' });
    await assert.rejects(registry.create({ deviceId: 'twice' }), refusal('DeviceAlreadyExistsError', 409, 'DeviceAlreadyExists'));
    await assert.rejects(registry.update({ deviceId: 'nobody' }), refusal('DeviceNotFoundError', 404, 'DeviceNotFound'));
    await assert.rejects(registry.delete('nobody'), refusal('DeviceNotFoundError', 404, 'DeviceNotFound'));
    await assert.rejects(registry.create({ deviceId: 'a b' }), refusal('ArgumentError', 400, 'ArgumentInvalid'));
    await registry.delete('twice');
    const c = parseConnectionString(b.dev.hubs[0].connectionString);
    const stranger = b.trusting(Registry.fromConnectionString(`HostName=${c.HostName};SharedAccessKeyName=${c.SharedAccessKeyName};SharedAccessKey=${keys().primaryKey}`));
    await assert.rejects(stranger.list(), refusal('UnauthorizedError', 401, 'IotHubUnauthorizedAccess'));
  });
});

describe('many', () => {
  const ids = Array.from({ length: 100 }, (_, i) => `many-${i}`);
  const good = { isSuccessful: true, errors: [], warnings: [] };

  test('add, update, remove', async () => {
    assert.deepEqual(body(await registry.addDevices(ids.map((deviceId) => ({ deviceId })))), good);
    const devices = body(await registry.list());
    assert.equal(devices.length, 100);
    assert.deepEqual(body(await registry.updateDevices(devices.map((d) => ({ ...d, status: 'disabled' })), true)), good);
    const now = await called('list');
    assert.ok(now.every((d) => d.status === 'disabled'));
    assert.deepEqual(now[0].authentication, devices[0].authentication);
    await assert.rejects(registry.updateDevices(devices.slice(0, 2), false), (e) => {
      assert.equal(e.name, 'ArgumentError');
      assert.equal(e.response.headers['iothub-errorcode'], 'BulkRegistryOperationFailure');
      const { isSuccessful, errors } = typeof e.responseBody === 'string' ? JSON.parse(e.responseBody) : e.responseBody;
      assert.equal(isSuccessful, false);
      assert.deepEqual(errors.map((x) => [x.deviceId, x.errorCode]), devices.slice(0, 2).map((d) => [d.deviceId, 'PreconditionFailed']));
      return true;
    });
    assert.deepEqual(await called('updateDevices', now.slice(0, 2).map((d) => ({ ...d, eTag: d.etag, status: 'enabled' })), false), good);
    assert.deepEqual(await called('removeDevices', [{ deviceId: ids[0] }], true), good);
    assert.deepEqual(body(await registry.removeDevices(ids.slice(1).map((deviceId) => ({ deviceId })), true)), good);
    assert.deepEqual(await called('addDevices', [{ deviceId: 'with-twin', tags: { a: 1 } }]), good);
    assert.deepEqual((await called('getTwin', 'with-twin')).tags, { a: 1 });
    await registry.delete('with-twin');
    assert.deepEqual(await called('getRegistryStatistics'), { totalDeviceCount: 0, enabledDeviceCount: 0, disabledDeviceCount: 0 });
  });
});

describe('modules', () => {
  test('add, get, list, update, remove', async () => {
    await registry.create({ deviceId: 'host' });
    await registry.addModule({ deviceId: 'host', moduleId: 'm1', managedBy: 'me' });
    const m1 = body(await registry.getModule('host', 'm1'));
    assert.deepEqual([m1.deviceId, m1.moduleId, m1.managedBy, m1.authentication.type], ['host', 'm1', 'me', 'sas']);
    await called('addModule', { deviceId: 'host', moduleId: 'm2' });
    assert.deepEqual(body(await registry.getModulesOnDevice('host')).map((m) => m.moduleId), ['m1', 'm2']);
    await assert.rejects(registry.addModule({ deviceId: 'host', moduleId: 'm1' }), refusal('DeviceAlreadyExistsError', 409, 'ModuleAlreadyExistsOnDevice'));
    await assert.rejects(registry.addModule({ deviceId: 'nobody', moduleId: 'm1' }), refusal('DeviceNotFoundError', 404, 'DeviceNotFound'));
    await assert.rejects(registry.addModule({ deviceId: 'host', moduleId: '$m' }), refusal('ArgumentError', 400, 'ArgumentInvalid'));
    await registry.updateModule({ ...m1, managedBy: 'you' });
    assert.equal((await called('getModule', 'host', 'm1')).managedBy, 'you');
    await assert.rejects(registry.updateModule(m1), refusal('InvalidEtagError', 412, 'PreconditionFailed'));
    await called('updateModule', { ...m1, managedBy: 'me' }, true);
    await assert.rejects(called('removeModule', m1), refusal('InvalidEtagError', 412, 'PreconditionFailed'));
    await called('removeModule', await called('getModule', 'host', 'm1')); // by promise it takes no module
    await registry.removeModule('host', 'm2');
    await assert.rejects(registry.getModule('host', 'm2'), refusal('Error', 404, 'ModuleNotFound'));
    assert.deepEqual(await called('getModulesOnDevice', 'host'), []);
    await registry.delete('host');
  });

  test('an edge device has its own', async () => {
    const edge = body(await registry.create({ deviceId: 'edge', capabilities: { iotEdge: true } }));
    assert.equal(edge.deviceScope, `ms-azure-iot-edge://edge-${edge.generationId}`);
    assert.deepEqual(body(await registry.getModulesOnDevice('edge')).map((m) => [m.moduleId, m.managedBy, m.authentication.type]),
      [['$edgeAgent', 'iotEdge', 'none'], ['$edgeHub', 'iotEdge', 'none']]);
    const leaf = body(await registry.create({ deviceId: 'leaf', deviceScope: edge.deviceScope }));
    assert.deepEqual([leaf.deviceScope, leaf.parentScopes], [edge.deviceScope, [edge.deviceScope]]);
    for (const id of ['edge', 'leaf']) await registry.delete(id);
  });
});

test('twins of devices and modules', async () => {
  await registry.create({ deviceId: 'twins' });
  await registry.addModule({ deviceId: 'twins', moduleId: 'm' });
  const twin = body(await registry.getTwin('twins'));
  assert.equal(twin.version, 2);
  const changed = body(await registry.updateTwin('twins', { tags: { room: 'hall' }, properties: { desired: { x: 1 } } }, twin.etag));
  assert.deepEqual([changed.tags, changed.properties.desired.x], [{ room: 'hall' }, 1]);
  await assert.rejects(registry.updateTwin('twins', { tags: {} }, twin.etag), refusal('InvalidEtagError', 412, 'PreconditionFailed'));
  await assert.rejects(called('getTwin', 'nobody'), refusal('DeviceNotFoundError', 404, 'DeviceNotFound'));
  const own = body(await registry.getModuleTwin('twins', 'm'));
  assert.deepEqual([own.deviceId, own.moduleId], ['twins', 'm']);
  assert.equal((await called('updateModuleTwin', 'twins', 'm', { properties: { desired: { y: 1 } } }, own.etag)).properties.desired.y, 1);
  await assert.rejects(registry.getModuleTwin('twins', 'n'), refusal('Error', 404, 'ModuleNotFound'));
  assert.equal(body(await registry.getTwin('twins')).properties.desired.y, undefined);
  await registry.delete('twins');
});

test('by a signature that was made before', async () => {
  const c = parseConnectionString(b.dev.hubs[0].connectionString);
  const token = deviceToken(c.HostName, c.SharedAccessKey, { skn: c.SharedAccessKeyName, spell: (s) => s });
  assert.deepEqual(body(await b.trusting(Registry.fromSharedAccessSignature(token)).list()), []);
});

test('no method of the SDK was left out', () => {
  const methods = Object.getOwnPropertyNames(Registry.prototype).filter((name) => !name.startsWith('_') && name !== 'constructor');
  assert.ok(methods.length > 30);
  assert.deepEqual(methods.filter((name) => !others.includes(name) && !used.has(name)), []);
});
