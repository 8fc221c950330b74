// The official Azure Node SDKs, unmodified, on their fixed ports: from first boot to telemetry over X.509.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Berthd, Pki, bin, sha256Hex, until } from '../lib/berth.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
let b, pki, root, intermediate;

function sdk(order) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(here, 'device.cjs')], { env: { ...process.env, NODE_EXTRA_CA_CERTS: b.dev.serverCaFile }, stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '', errors = '';
    child.stdout.on('data', (d) => { out += d; });
    child.stderr.on('data', (d) => { errors += d; });
    child.on('exit', () => {
      try { resolve(JSON.parse(out)); } catch { reject(new Error(`device ended without an answer:\n${out}${errors}`)); }
    });
    child.stdin.end(JSON.stringify({ idScope: b.dev.idScope, ...order }));
  });
}

const device = (d, more = {}) => sdk({ registrationId: d.cn, cert: d.chain, key: d.key, ...more });

// `berth hub monitor-events` in the background; events() are the JSON lines so far.
function monitor() {
  const child = spawn(path.join(bin, 'berth'), ['hub', 'monitor-events', '--from', 'start', '--output', 'json'], { env: { ...process.env, BERTH_DEV: b.dir }, stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (d) => { out += d; });
  return { events: () => out.split('\n').slice(0, -1).map((line) => JSON.parse(line)), stop: () => child.kill('SIGINT'), exited: new Promise((r) => child.on('exit', r)) };
}

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  pki = new Pki();
  root = await pki.make('Interop Root', { ca: true, days: 300 });
  intermediate = await pki.make('Interop Intermediate', { ca: true, issuer: root, days: 200 });
  await b.ok('certificate', 'create', 'root', '--path', root.certFile, '--verified');
  await b.ok('enrollment-group', 'create', 'factory', '--ca-name', 'root');
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

for (const transport of ['mqtt', 'http']) {
  describe(`over ${transport}`, () => {
    test('individual enrollment: provisions, connects, sends; monitor-events shows it', async () => {
      const d = await pki.make(`ind-${transport}`);
      await b.ok('enrollment', 'create', d.cn, '--certificate-path', d.certFile);
      const m = monitor();
      const r = await device(d, { transport, messages: ['{"t":21}', '{"t":22}'] });
      assert.equal(r.error, undefined, JSON.stringify(r));
      assert.equal(r.registration.assignedHub, 'localhost');
      assert.equal(r.registration.deviceId, d.cn);
      assert.equal(r.registration.status, 'assigned');
      assert.equal(r.sent, 2);
      await until('both events are shown', () => m.events().filter((e) => e.deviceId === d.cn).length === 2);
      const [first] = m.events().filter((e) => e.deviceId === d.cn);
      assert.equal(first.body, '{"t":21}');
      assert.equal(first.applicationProperties.room, 'kitchen & hall');
      assert.equal(first.systemProperties['message-id'], 'id-0');
      assert.equal(first.systemProperties['content-type'], 'application/json');
      assert.equal(first.systemProperties['iothub-connection-device-id'], d.cn);
      m.stop();
      await m.exited;
      const identity = await b.hub('GET', `/devices/${d.cn}?api-version=2021-04-12`);
      assert.equal(identity.json.authentication.type, 'selfSigned');
      assert.equal(identity.json.authentication.x509Thumbprint.primaryThumbprint, sha256Hex(d.cert));
      assert.equal(identity.json.authentication.x509Thumbprint.secondaryThumbprint, sha256Hex(d.cert));
    });

    test('group, leaf directly under the root', async () => {
      const d = await pki.make(`direct-${transport}`, { issuer: root });
      const r = await device(d, { transport, messages: ['x'] });
      assert.equal(r.error, undefined, JSON.stringify(r));
      assert.equal(r.registration.deviceId, d.cn);
      assert.equal(r.sent, 1);
    });

    test('group, intermediate sent by the device', async () => {
      const d = await pki.make(`chain-${transport}`, { issuer: intermediate });
      const r = await device(d, { transport, messages: ['x'] });
      assert.equal(r.error, undefined, JSON.stringify(r));
      assert.equal(r.sent, 1);
    });

    test('leaf alone: refused while the intermediate is unknown, admitted once it is stored', async () => {
      const other = await pki.make(`Line ${transport}`, { ca: true, issuer: root });
      const d = await pki.make(`alone-${transport}`, { issuer: other });
      const refused = await device({ ...d, chain: d.cert }, { transport });
      assert.equal(refused.error?.name, 'UnauthorizedError', JSON.stringify(refused));
      await b.ok('certificate', 'create', `line-${transport}`, '--path', other.certFile);
      const r = await device({ ...d, chain: d.cert }, { transport, messages: ['x'] });
      assert.equal(r.error, undefined, JSON.stringify(r));
      assert.equal(r.sent, 1);
    });

    test('refusals reach the SDK as the error it expects', async () => {
      const stranger = await pki.make(`stranger-${transport}`);
      const unknown = await device(stranger, { transport });
      assert.equal(unknown.error?.name, 'UnauthorizedError', JSON.stringify(unknown));
      const expired = await pki.make(`expired-${transport}`, { issuer: root, startdate: '20200101000000Z', enddate: '20210101000000Z' });
      assert.equal((await device(expired, { transport })).error?.name, 'UnauthorizedError');
      const other = await pki.make(`other-${transport}`, { issuer: root });
      assert.equal((await device({ ...other, cn: `not-${other.cn}` }, { transport })).error?.name, 'UnauthorizedError');
      assert.equal((await device(other, { transport, idScope: '0ne00000000' })).error?.name, 'UnauthorizedError');
    });

    test('a disabled enrollment', async () => {
      const d = await pki.make(`disabled-${transport}`, { issuer: root });
      await b.ok('enrollment', 'create', d.cn, '--certificate-path', d.certFile, '--provisioning-status', 'disabled');
      const r = await device(d, { transport });
      assert.ok(r.error, JSON.stringify(r));
      const state = await b.json('registration', 'show', '--registration-id', d.cn);
      assert.equal(state.status, 'disabled');
      assert.equal(state.assignedHub, undefined);
    });
  });
}

test('a device disabled on the hub: its session ends and it is not let in again', async () => {
  const d = await pki.make('cut-off', { issuer: root });
  const r = await device(d, { transport: 'mqtt', messages: ['x'] });
  assert.equal(r.sent, 1);
  await b.ok('hub', 'device-identity', 'disable', '--device-id', d.cn);
  const again = await b.mqtt(d);
  assert.equal(await again.connect({ clientId: d.cn, username: `localhost/${d.cn}/?api-version=2021-04-12` }), 3);
});
