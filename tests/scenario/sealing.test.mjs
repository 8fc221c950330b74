// Secrets at rest: no file and no log holds one; a store opens under its own key only; the key is replaced while serving.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Berthd, bin, deriveKey, deviceToken, parseConnectionString, tempDir, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const API = 'api-version=2021-10-01';
const HUB_API = 'api-version=2021-04-12';
const command = (program, ...args) => new Promise((resolve) => execFile(program, args, { timeout: 20000 }, (e, stdout, stderr) => resolve({ code: e ? e.code : 0, stdout, stderr })));
const berthd = (...args) => command(path.join(bin, 'berthd'), ...args);
const random = (n) => crypto.randomBytes(n).toString('base64');
const keyFile = (b) => path.join(b.dir, 'seal.key');
const keysOf = (b) => fs.readFileSync(keyFile(b), 'utf8').split('\n').filter((line) => line && !line.startsWith('#'));
const writeKeys = (b, ...keys) => fs.writeFileSync(keyFile(b), `${keys.join('\n')}\n`, { mode: 0o600 });
// The ID that berthd names a key by.
const idOf = (key) => crypto.createHmac('sha256', Buffer.from(key, 'base64')).update('berth sealing key').digest('hex').slice(0, 8);
const rotate = (b) => berthd('rotate-seal-key', '--dev', '--data', b.dir);

function register(b, id, key) {
  return b.mqtt().then(async (m) => {
    try {
      return await provision(m, { idScope: b.dev.idScope, registrationId: id, password: deviceToken(`${b.dev.idScope}/registrations/${id}`, key, { skn: 'registration' }) });
    } finally {
      m.end();
    }
  });
}

const filesOf = (b) => fs.readdirSync(b.dir).filter((name) => /\.db(-wal|-shm)?$/.test(name)).map((name) => [name, fs.readFileSync(path.join(b.dir, name))]);

// As bytes, as base64 and as hexadecimal.
function assertNowhere(b, secrets) {
  const places = [...filesOf(b), ['the log', Buffer.from(b.stderr)]];
  for (const [what, base64] of secrets) {
    const bytes = Buffer.from(base64, 'base64');
    assert.ok(bytes.length >= 16, what);
    for (const [place, content] of places) {
      for (const spelling of [bytes, base64.replace(/=+$/, ''), bytes.toString('hex'), bytes.toString('hex').toUpperCase()]) {
        assert.equal(content.indexOf(spelling), -1, `${what} is in ${place}`);
      }
    }
  }
}

async function mechanism(b, target) {
  const r = await b.service('POST', `/${target}/attestationmechanism?${API}`);
  assert.equal(r.status, 200, r.text);
  return r.json.symmetricKey;
}

async function metrics(b) {
  const { text } = await b.request('GET', '/metrics');
  const left = [...text.matchAll(/^berth_reseal_rows_left\{key="([0-9a-f]{8})"\} (\d+)$/gm)].map(([, key, n]) => [key, Number(n)]);
  return { key: /^berth_seal_key_info\{key="([0-9a-f]{8})"\} 1$/m.exec(text)[1], left: Object.fromEntries(left) };
}

const count = (text, word) => text.split(word).length - 1;

describe('one server', () => {
  const secrets = [];
  const devices = [];
  let b;

  before(async () => { b = await Berthd.start(); });
  after(async () => { await b?.stop(); });

  test('what was given, made and derived lies in no file and in no log', async () => {
    const [primary, secondary] = [random(32), random(64)];
    await b.ok('enrollment', 'create', 'given', '--primary-key', primary, '--secondary-key', secondary);
    await b.ok('enrollment', 'create', 'made', '--attestation-type', 'symmetrickey');
    await b.service('PUT', `/enrollmentGroups/group?${API}`, { body: { enrollmentGroupId: 'group', attestation: { type: 'symmetricKey' } } });
    const group = await mechanism(b, 'enrollmentGroups/group');
    for (const [id, key] of [['given', primary], ['sensor-1', deriveKey(group.primaryKey, 'sensor-1')]]) {
      assert.equal((await register(b, id, key)).body.status, 'assigned');
    }
    devices.push('given', 'sensor-1');

    for (const target of ['enrollments/given', 'enrollments/made', 'enrollmentGroups/group', 'enrollmentGroups/dev-key']) {
      for (const [which, key] of Object.entries(await mechanism(b, target))) secrets.push([`${target} ${which}`, key]);
    }
    assert.equal(secrets[0][1], primary);
    for (const id of devices) {
      const keys = (await b.hub('GET', `/devices/${id}?${HUB_API}`)).json.authentication.symmetricKey;
      for (const [which, key] of Object.entries(keys)) secrets.push([`device ${id} ${which}`, key]);
    }
    for (const login of [b.dev.serviceConnectionString, b.dev.hubs[0].connectionString]) secrets.push(['a policy', parseConnectionString(login).SharedAccessKey]);
    secrets.push(['the sealing key', keysOf(b)[0]]);
    assert.equal(secrets.length, 8 + 4 + 2 + 1);

    assert.ok(filesOf(b).some(([name]) => name === 'berth.db-wal'));
    assert.ok(filesOf(b).some(([, content]) => content.includes('sensor-1')), 'what is no secret is found');
    assertNowhere(b, secrets);
    assert.ok(!b.stdout.includes(keysOf(b)[0]));
    assert.match(fs.readFileSync(`/proc/${b.child.pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m);
    assert.equal(fs.statSync(keyFile(b)).mode & 0o777, 0o600);
    assert.ok(b.stderr.includes(`Made the sealing key ${idOf(keysOf(b)[0])}`));
    await b.kill('SIGTERM');
    assertNowhere(b, secrets);
    await b.restart();
    assert.equal((await register(b, 'given', primary)).body.status, 'assigned');
    assert.equal(count(b.stderr, 'seal-key-made'), 0, 'the key is found again');
  });

  test('without its key, or with another, the store is not served, and says so', async () => {
    const [key] = keysOf(b);
    const start = () => berthd('--dev', '--data', b.dir, '--mqtt-port', String(b.mqttPort), '--https-port', String(b.httpsPort));
    const refused = async (what) => {
      const r = await start();
      assert.equal(r.code, 2, r.stderr);
      assert.match(r.stderr, what);
      assert.ok(!r.stderr.includes(key) && !r.stdout.includes(key));
    };
    await b.kill('SIGTERM');
    const content = fs.readFileSync(path.join(b.dir, 'berth.db'));
    fs.rmSync(keyFile(b));
    await refused(new RegExp(`berth\\.db is sealed under key ${idOf(key)}, and its file .*seal\\.key is not there`));
    assert.ok(!fs.existsSync(keyFile(b)), 'no new key is made');
    const other = random(32);
    writeKeys(b, other);
    await refused(new RegExp(`berth\\.db is sealed under key ${idOf(key)}; the key in .*seal\\.key is ${idOf(other)}: give the right key`));
    writeKeys(b, key);
    fs.chmodSync(keyFile(b), 0o640);
    await refused(/mode 0640\): chmod 600 .*seal\.key/);
    fs.chmodSync(keyFile(b), 0o600);
    writeKeys(b, 'not a key', key);
    await refused(/seal\.key:1: not a key/);
    assert.deepEqual(fs.readFileSync(path.join(b.dir, 'berth.db')), content, 'nothing was changed');
    writeKeys(b, Buffer.from(key, 'base64').toString('hex')); // the same in the other spelling
    await b.restart();
    writeKeys(b, key);
    assert.equal((await register(b, 'given', secrets[0][1])).body.status, 'assigned');
  });

  test('the key is replaced while devices register; then the old one may go', async () => {
    const [old] = keysOf(b);
    const { primaryKey } = b.dev.groups.symmetricKey;
    let over = false;
    let done = 0;
    const failed = [];
    const work = Array.from({ length: 4 }, async (_, w) => {
      for (let i = 0; !over; i++) {
        const id = `rotation-${w}-${i % 25}`; // some new, some that were there before
        try {
          const r = await register(b, id, deriveKey(primaryKey, id));
          if (r.body?.status !== 'assigned') failed.push(r);
        } catch (e) {
          failed.push(e);
        }
        done++;
      }
    });
    try {
      await until('registrations', () => done >= 40);
      const r = await rotate(b);
      assert.deepEqual([r.code, r.stderr], [0, '']);
      const [fresh] = keysOf(b);
      assert.deepEqual(keysOf(b), [fresh, old]);
      assert.ok(r.stdout.includes(`Key ${idOf(fresh)} is the first`) && r.stdout.includes(`process ${b.child.pid}`), r.stdout);
      await until('all is sealed anew', () => b.stderr.includes(`Every secret is sealed under key ${idOf(fresh)}`));
      const then = done;
      await until('more registrations', () => done >= then + 40);
      over = true;
      await Promise.all(work);
      assert.deepEqual(failed, []);
      assert.deepEqual(await metrics(b), { key: idOf(fresh), left: { [idOf(old)]: 0 } });
      assertNowhere(b, [...secrets, ['the new sealing key', fresh]]);
      await b.kill('SIGTERM');
      writeKeys(b, fresh);
      await b.restart();
      assert.equal((await register(b, 'given', secrets[0][1])).body.status, 'assigned');
      assert.equal((await register(b, 'rotation-0-0', deriveKey(primaryKey, 'rotation-0-0'))).body.status, 'assigned');
      assert.deepEqual(await mechanism(b, 'enrollments/given'), { primaryKey: secrets[0][1], secondaryKey: secrets[1][1] });
      assert.deepEqual(await metrics(b), { key: idOf(fresh), left: {} });
    } finally {
      over = true;
      await Promise.all(work);
    }
  });

  test('a file that cannot be used leaves the key in force', async () => {
    const [key] = keysOf(b);
    for (const [change, said] of [
      [() => writeKeys(b, random(32)), 'give the right key'],
      [() => writeKeys(b, 'nonsense'), 'not a key'],
      [() => fs.chmodSync(keyFile(b), 0o644), 'chmod 600'],
      [() => fs.rmSync(keyFile(b)), 'put it back'],
    ]) {
      const before = b.stderr.length;
      change();
      b.child.kill('SIGHUP');
      await until(said, () => b.stderr.slice(before).includes('seal-key-failed'));
      assert.ok(b.stderr.slice(before).includes(said), b.stderr.slice(before));
      writeKeys(b, key);
      fs.chmodSync(keyFile(b), 0o600);
      assert.equal((await register(b, 'given', secrets[0][1])).body.status, 'assigned');
    }
    assert.equal((await metrics(b)).key, idOf(key));
  });
});

test('killed in the middle of sealing anew, it goes on at the next start', async () => {
  const b = await Berthd.start();
  try {
    const n = 1500;
    for (let i = 0; i < n; i += 10) {
      const enrollments = Array.from({ length: 10 }, (_, k) => ({ registrationId: `many-${i + k}`, attestation: { type: 'symmetricKey' } }));
      const r = await b.service('POST', `/enrollments?${API}`, { body: { mode: 'create', enrollments } });
      assert.equal(r.status, 200, r.text);
    }
    const samples = await Promise.all([0, 1, 700, n - 1].map(async (i) => [i, await mechanism(b, `enrollments/many-${i}`)]));
    let inTheMiddle = 0;
    for (let round = 0; round < 8 && inTheMiddle < 2; round++) {
      assert.equal((await rotate(b)).code, 0);
      await until('it began', () => b.stderr.includes('event=resealing'));
      await b.kill('SIGKILL');
      await b.restart();
      const [fresh] = keysOf(b);
      const after = await metrics(b);
      assert.equal(after.key, idOf(fresh));
      if (b.stderr.includes('event=resealing')) {
        inTheMiddle++;
        await until('all is sealed anew', () => b.stderr.includes(`Every secret is sealed under key ${idOf(fresh)}`));
      }
      await b.kill('SIGTERM');
      writeKeys(b, fresh);
      await b.restart();
      for (const [i, keys] of samples) assert.deepEqual(await mechanism(b, `enrollments/many-${i}`), keys);
    }
    assert.ok(inTheMiddle > 0, 'killed in time');
  } finally {
    await b.stop();
  }
});

test('a store of before secrets were sealed is sealed at its start', async () => {
  const b = await Berthd.start();
  try {
    const login = parseConnectionString(b.dev.serviceConnectionString);
    const [device, policy, gone] = [random(32), login.SharedAccessKey, random(32)];
    const keys = { primaryKey: device, secondaryKey: random(32) };
    assert.equal((await register(b, 'old', deriveKey(b.dev.groups.symmetricKey.primaryKey, 'old'))).body.status, 'assigned');
    await b.kill('SIGTERM');
    const hex = (key) => `x'${Buffer.from(key, 'base64').toString('hex')}'`;
    const file = path.join(b.dir, 'berth.db');
    const sql = `PRAGMA secure_delete=OFF; DELETE FROM seal_key; DELETE FROM enrollment WHERE primary_key IS NOT NULL;
      UPDATE policy SET primary_key=randomblob(32), secondary_key=randomblob(32);
      UPDATE policy SET primary_key=${hex(policy)} WHERE name='provisioningserviceowner';
      UPDATE policy SET primary_key=${hex(parseConnectionString(b.dev.hubs[0].connectionString).SharedAccessKey)} WHERE name='iothubowner';
      UPDATE device SET primary_key=${hex(gone)}; UPDATE device SET primary_key=${hex(keys.primaryKey)}, secondary_key=${hex(keys.secondaryKey)};`;
    const r = await command('sqlite3', file, sql);
    assert.equal(r.code, 0, r.stderr);
    assert.ok(fs.readFileSync(file).includes(Buffer.from(device, 'base64')));
    await b.restart();
    assert.match(b.stderr, /event=sealed .*were not sealed, and now are/);
    assert.deepEqual((await b.hub('GET', `/devices/old?${HUB_API}`)).json.authentication.symmetricKey, keys);
    assertNowhere(b, [['a device', device], ['a policy', policy], ['what was replaced', gone]]);
    await b.kill('SIGTERM');
    await b.restart();
    assert.equal(count(b.stderr, 'event=sealed'), 0, 'once');
  } finally {
    await b.stop();
  }
});

test('berthd init makes the key and heeds it; the configuration names its file', async () => {
  const dir = tempDir();
  const file = path.join(dir, 'berthd.conf');
  const data = path.join(dir, 'data');
  fs.writeFileSync(file, `data = ${data}\n`);
  const init = (n, ...args) => berthd('init', '-c', file, '--name', `n${n}`, '--host-name', `n${n}.example.test`, ...args);
  const first = await init(1);
  assert.deepEqual([first.code, first.stderr], [0, '']);
  assert.match(first.stdout, /sealing key [0-9a-f]{8} in .*seal\.key: keep a copy/);
  const [key] = keysOf({ dir: data });
  assert.ok(!first.stdout.includes(key));
  const own = await init(2, '--seal-key', path.join(dir, 'missing.key'));
  assert.equal(own.code, 2);
  assert.match(own.stderr, /missing\.key is not there: put it back/);
  fs.renameSync(path.join(data, 'seal.key'), path.join(dir, 'moved.key'));
  const lost = await init(2);
  assert.equal(lost.code, 2);
  assert.ok(!fs.existsSync(path.join(data, 'seal.key')));
  fs.appendFileSync(file, `seal-key = ${dir}/moved.key\n`);
  assert.equal((await init(2)).code, 0);
  const show = await berthd('config', '--show', '-c', file);
  assert.ok(show.stdout.includes(`seal-key = ${dir}/moved.key`) && !show.stdout.includes(key));
  const turned = await berthd('rotate-seal-key', '-c', file);
  assert.equal(turned.code, 0, turned.stderr);
  assert.match(turned.stdout, /No berthd serves/);
  assert.equal((await init(3)).code, 0);
});
