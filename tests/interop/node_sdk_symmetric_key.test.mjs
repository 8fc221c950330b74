// The official Azure Node SDKs, unmodified, on their fixed ports: from first boot to telemetry by symmetric key.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Berthd, deriveKey } from '../lib/berth.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
let b;

function device(registrationId, symmetricKey, more = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [path.join(here, 'device.cjs')], { env: { ...process.env, NODE_EXTRA_CA_CERTS: b.dev.serverCaFile }, stdio: ['pipe', 'pipe', 'pipe'] });
    let out = '', errors = '';
    child.stdout.on('data', (d) => { out += d; });
    child.stderr.on('data', (d) => { errors += d; });
    child.on('exit', () => {
      try { resolve(JSON.parse(out)); } catch { reject(new Error(`device ended without an answer:\n${out}${errors}`)); }
    });
    child.stdin.end(JSON.stringify({ idScope: b.dev.idScope, registrationId, symmetricKey, ...more }));
  });
}

before(async () => { b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 }); });
after(async () => { await b?.stop(); });

for (const transport of ['mqtt', 'http']) {
  describe(`over ${transport}`, () => {
    test('a group: the derived key provisions, connects to the hub and sends', async () => {
      const id = `Group-${transport}`;
      const r = await device(id, deriveKey(b.dev.groups.symmetricKey.primaryKey, id), { transport, messages: ['{"t":21}', '{"t":22}'] });
      assert.equal(r.error, undefined, JSON.stringify(r));
      assert.equal(r.registration.deviceId, id);
      assert.equal(r.registration.status, 'assigned');
      assert.equal(r.sent, 2);
      const events = (await b.ok('hub', 'monitor-events', '--from', 'start', '--device-id', id, '--count', '2', '--output', 'json')).trim().split('\n').map(JSON.parse);
      assert.equal(events[0].body, '{"t":21}');
    });

    test('an individual enrollment: either key', async () => {
      const id = `solo-${transport}`;
      await b.ok('enrollment', 'create', id, '--attestation-type', 'symmetrickey');
      const { attestation } = await b.json('enrollment', 'show', id, '--show-keys');
      for (const key of [attestation.symmetricKey.primaryKey, attestation.symmetricKey.secondaryKey]) {
        const r = await device(id, key, { transport, messages: ['x'] });
        assert.equal(r.error, undefined, JSON.stringify(r));
        assert.equal(r.sent, 1);
      }
    });

    test('refusals reach the SDK as the error it expects', async () => {
      const id = `refused-${transport}`;
      for (const key of [crypto.randomBytes(32).toString('base64'), b.dev.groups.symmetricKey.primaryKey]) {
        const r = await device(id, key, { transport });
        assert.equal(r.error?.name, 'UnauthorizedError', JSON.stringify(r));
      }
    });
  });
}
