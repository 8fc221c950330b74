// The official Azure Node SDKs, unmodified, with a TPM: azure-iot-security-tpm over tss.js, which knows the TPM simulator's protocol, on
// an swtpm behind tests/lib/mssim.mjs. From the keys to telemetry, on their fixed ports.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Berthd, bin } from '../lib/berth.mjs';
import { Mssim } from '../lib/mssim.mjs';
import { Manufacturer, Swtpm } from '../lib/swtpm.mjs';
import { makeBlob } from '../lib/tpm_blob.mjs';

const { TpmSecurityClient } = createRequire(import.meta.url)('azure-iot-security-tpm');
const { Tpm } = createRequire(import.meta.url)('tss.js');
const here = path.dirname(fileURLToPath(import.meta.url));
const API = 'api-version=2021-10-01';
let b, tpm, mssim, shown;

function device(more = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(here, 'device.cjs')], { env: { ...process.env, NODE_EXTRA_CA_CERTS: b.dev.serverCaFile }, stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '', errors = '';
    child.stdout.on('data', (d) => { out += d; });
    child.stderr.on('data', (d) => { errors += d; });
    child.on('exit', () => {
      try { resolve(JSON.parse(out)); } catch { reject(new Error(`device ended without an answer:\n${out}${errors}`)); }
    });
    child.stdin.end(JSON.stringify({ idScope: b.dev.idScope, transport: 'http', tpmPort: mssim.port, ...more }));
  });
}

const enroll = (tpmMembers) => b.service('PUT', `/enrollments/${shown.registrationId}?${API}`, {
  body: { registrationId: shown.registrationId, attestation: { type: 'tpm', tpm: tpmMembers } } });

before(async () => {
  tpm = await Swtpm.start({ manufacturer: new Manufacturer() });
  shown = JSON.parse((await promisify(execFile)(path.join(bin, 'berth'), ['tpm', 'show', '--tcti', tpm.tcti, '--output', 'json'])).stdout);
  [mssim, b] = await Promise.all([Mssim.start(tpm), Berthd.start({ mqttPort: 8883, httpsPort: 443 })]);
});
after(async () => {
  mssim?.stop();
  await Promise.all([b?.stop(), tpm?.stop()]);
});

test('the SDK reads the same keys and makes the same registration ID; it takes in a key and signs', async () => {
  const native = new Tpm(true, '127.0.0.1', mssim.port);
  const client = new TpmSecurityClient(undefined, native);
  const call = (name, ...args) => new Promise((resolve, reject) => { client[name](...args, (e, r) => { if (e) reject(e); else resolve(r); }); });
  try {
    const ek = await call('getEndorsementKey'), srk = await call('getStorageRootKey');
    assert.equal(ek.toString('base64'), shown.endorsementKey);
    assert.equal(srk.toString('base64'), shown.storageRootKey);
    assert.equal(await call('getRegistrationId'), shown.registrationId);
    const key = crypto.randomBytes(32);
    await call('activateIdentityKey', makeBlob(ek, srk, key));
    const text = Buffer.from('scope%2Fregistrations%2Fid\n1893456000');
    assert.deepEqual(await call('signWithIdentity', text), crypto.createHmac('sha256', key).update(text).digest());
  } finally {
    native.close();
  }
});

test('a TPM that nobody enrolled is refused', async () => {
  const r = await device();
  assert.ok(r.error, JSON.stringify(r));
});

test('an individual enrollment: registers, connects to the hub with a token signed in the TPM, and sends', async () => {
  assert.equal((await enroll({ endorsementKey: shown.endorsementKey })).status, 200);
  const r = await device({ messages: ['{"t":21}', '{"t":22}'] });
  assert.equal(r.error, undefined, JSON.stringify(r));
  assert.equal(r.registration.status, 'assigned');
  assert.equal(r.registration.deviceId, shown.registrationId);
  assert.equal(r.sent, 2);
  const events = (await b.ok('hub', 'monitor-events', '--from', 'start', '--device-id', shown.registrationId, '--count', '2', '--output', 'json')).trim().split('\n').map(JSON.parse);
  assert.deepEqual(events.map((e) => e.body), ['{"t":21}', '{"t":22}']);
});

test('the same device again: registered already, and still let in', async () => {
  const r = await device({ messages: ['x'] });
  assert.equal(r.error, undefined, JSON.stringify(r));
  assert.equal(r.sent, 1);
});
