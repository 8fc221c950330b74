// The official Azure Node SDKs, unmodified, on their fixed ports, with two hubs: enrollments direct devices to either; one is changed,
// and the device that registers again finds its twin on the other hub, or a new one. Devices: azure-iot-provisioning-device over MQTT and
// HTTPS, azure-iot-device; the back end: azure-iot-provisioning-service, azure-iothub.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import https from 'node:https';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Berthd, Pki } from '../lib/berth.mjs';

const require = createRequire(import.meta.url);
const localhost = fileURLToPath(new URL('../lib/localhost.cjs', import.meta.url));
require(localhost);
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { Registry } = require('azure-iothub');
const A = 'hub-a.localhost', B = 'hub-b.localhost';
const MIGRATE = { updateHubAssignment: true, migrateDeviceData: true };
const RESET = { updateHubAssignment: true, migrateDeviceData: false };
const NEVER = { updateHubAssignment: false, migrateDeviceData: false };
const here = path.dirname(fileURLToPath(import.meta.url));
let b, pki, service;
const registries = {};

const body = (r) => r.responseBody ?? r; // its promises give either

// A device's whole road: registers, connects to the hub it is told, gets its twin, reports, sends a message.
function device(d, order) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--require', localhost, path.join(here, 'device.cjs')], { env: { ...process.env, NODE_EXTRA_CA_CERTS: b.dev.serverCaFile }, stdio: ['pipe', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (part) => { out += part; });
    child.on('exit', () => {
      const result = JSON.parse(out);
      if (result.error) reject(new Error(JSON.stringify(result.error)));
      else resolve(result);
    });
    child.stdin.end(JSON.stringify({ idScope: b.dev.idScope, registrationId: d.cn, cert: d.chain, key: d.key, messages: ['here'], ...order }));
  });
}

// Changes what the enrollment was made of, by the object that the SDK reads.
const change = async (id, how) => body(await service.createOrUpdateIndividualEnrollment({ ...body(await service.getIndividualEnrollment(id)), ...how }));
const enroll = (d, host) => service.createOrUpdateIndividualEnrollment({ registrationId: d.cn, attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: d.cert } } } },
  allocationPolicy: 'static', iotHubs: [host], reprovisionPolicy: MIGRATE, initialTwin: { tags: { made: 'by enrollment' }, properties: { desired: { begin: 1 } } } });
const isOn = (host, id) => registries[host].get(id).then(() => true, (e) => { assert.equal(e.name, 'DeviceNotFoundError', String(e)); return false; });
const where = async (id) => [await isOn(A, id), await isOn(B, id)];

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  pki = new Pki();
  for (const host of [A, B]) await b.ok('hub', 'create', host.split('.')[0], '--host-name', host);
  b.readDev();
  https.globalAgent.options.ca = b.ca; // as an application trusts a server of its own
  service = ProvisioningServiceClient.fromConnectionString(b.dev.serviceConnectionString);
  for (const host of [A, B]) registries[host] = b.trusting(Registry.fromConnectionString(b.dev.hubs.find((h) => h.hostName === host).connectionString));
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

for (const transport of ['mqtt', 'http']) {
  describe(`registering over ${transport}`, () => {
    let moved, other;

    test('two enrollments direct two devices to two hubs', async () => {
      moved = await pki.make(`moved-${transport}`);
      other = await pki.make(`other-${transport}`);
      await enroll(moved, A);
      await enroll(other, B);
      const [first, second] = [await device(moved, { transport, report: { fw: '1.0', net: { ip: '::1' } } }), await device(other, { transport, report: { fw: '2.0' } })];
      assert.deepEqual([first.registration.assignedHub, first.registration.substatus, first.sent], [A, 'initialAssignment', 1]);
      assert.deepEqual([second.registration.assignedHub, second.registration.substatus, second.sent], [B, 'initialAssignment', 1]);
      assert.deepEqual(first.twin, { desired: { begin: 1, $version: 1 }, reported: { $version: 1 } });
      await registries[A].updateTwin(moved.cn, { tags: { room: 'hall' }, properties: { desired: { interval: 5 } } }, '*');
      assert.deepEqual([await where(moved.cn), await where(other.cn)], [[true, false], [false, true]]);
    });

    test('its enrollment names the other hub: the device follows, and its twin with it', async () => {
      const was = body(await registries[A].getTwin(moved.cn));
      await change(moved.cn, { iotHubs: [B], iotHubHostName: undefined });
      assert.deepEqual(await where(moved.cn), [true, false]); // not before it registers again
      const r = await device(moved, { transport, report: { fw: '1.1' } });
      assert.deepEqual([r.registration.status, r.registration.assignedHub, r.registration.deviceId, r.registration.substatus], ['assigned', B, moved.cn, 'deviceDataMigrated']);
      assert.deepEqual(r.twin, { desired: { begin: 1, interval: 5, $version: 2 }, reported: { fw: '1.0', net: { ip: '::1' }, $version: 2 } });
      assert.equal(r.sent, 1);
      assert.deepEqual(await where(moved.cn), [false, true]);
      const now = body(await registries[B].getTwin(moved.cn));
      assert.deepEqual([now.tags, now.properties.desired], [was.tags, was.properties.desired]);
      assert.deepEqual([now.properties.reported.fw, now.properties.reported.net], ['1.1', { ip: '::1' }]);
      const record = body(await service.getDeviceRegistrationState(moved.cn));
      assert.deepEqual([record.status, record.assignedHub, record.substatus], ['assigned', B, 'deviceDataMigrated']);
    });

    test('never: it stays', async () => {
      await change(moved.cn, { iotHubs: [A], iotHubHostName: undefined, reprovisionPolicy: NEVER });
      const r = await device(moved, { transport, report: { kept: true } });
      assert.deepEqual([r.registration.assignedHub, r.registration.substatus], [B, 'deviceDataMigrated']);
      assert.equal(r.twin.reported.fw, '1.1');
      assert.deepEqual(await where(moved.cn), [false, true]);
    });

    test('back to its first hub', async () => {
      await change(moved.cn, { reprovisionPolicy: MIGRATE });
      const r = await device(moved, { transport, report: { back: true } });
      assert.deepEqual([r.registration.assignedHub, r.registration.substatus], [A, 'reprovisionedToInitialAssignment']);
      assert.deepEqual([r.twin.desired.interval, r.twin.reported.kept], [5, true]);
      assert.deepEqual(await where(moved.cn), [true, false]);
    });

    test('reset: the other hub begins with the enrollment\'s twin', async () => {
      await change(moved.cn, { iotHubs: [B], iotHubHostName: undefined, reprovisionPolicy: RESET });
      const r = await device(moved, { transport, report: { fw: '3.0' } });
      assert.deepEqual([r.registration.assignedHub, r.registration.substatus], [B, 'deviceDataReset']);
      const { $version: desired, ...wanted } = r.twin.desired;
      const { $version: reported, ...told } = r.twin.reported;
      assert.deepEqual([wanted, told], [{ begin: 1 }, {}]);
      assert.ok(desired > 2 && reported > 4, 'versions go on'); // it is the same device to itself
      assert.deepEqual(body(await registries[B].getTwin(moved.cn)).tags, { made: 'by enrollment' });
      assert.deepEqual(await where(moved.cn), [false, true]);
      const untouched = body(await registries[B].getTwin(other.cn));
      assert.deepEqual([untouched.properties.reported.fw, untouched.properties.desired.begin], ['2.0', 1]);
    });
  });
}
