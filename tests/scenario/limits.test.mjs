// berthd where the machine gives out: few files, a full disk. Who is connected is served, nothing acknowledged is lost, the log says
// what is wrong, and it recovers by itself.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { test } from 'node:test';
import { Berthd, Pki, devCa, sleep, tempDir, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const hubUser = (d) => ({ clientId: d.cn, username: `localhost/${d.cn}/?api-version=2021-04-12` });
const count = (text, pattern) => [...text.matchAll(pattern)].length;
const cpuTicks = (pid) => fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13).reduce((a, b) => a + Number(b), 0);

async function provisioned(b, d) {
  const m = await b.mqtt(d);
  const r = await provision(m, { idScope: b.dev.idScope, registrationId: d.cn });
  m.end();
  return r;
}

test('64 files and 200 connections: the rest waits, and nothing else suffers', async () => {
  const b = await Berthd.start({ wrapper: ['prlimit', '--nofile=64'], args: ['--loops', '1', '--workers', '4'] });
  const pki = new Pki();
  const d = await pki.make('early', { issuer: devCa(b) });
  assert.equal((await provisioned(b, d)).body.status, 'assigned');
  const m = await b.mqtt(d);
  assert.equal(await m.connect(hubUser(d)), 0);
  let shaken = 0;
  const crowd = Array.from({ length: 200 }, () => {
    const s = tls.connect({ host: '127.0.0.1', port: b.mqttPort, servername: 'localhost', ca: b.ca }, () => { shaken++; });
    s.on('error', () => {});
    return s;
  });
  await until('the limit is reached', () => b.stderr.includes('accept-paused'));
  const before = cpuTicks(b.child.pid);
  await sleep(1000);
  assert.ok(cpuTicks(b.child.pid) - before < 50, 'waiting takes next to no time');
  for (let i = 0; i < 20; i++) await m.publish('devices/early/messages/events/', `${i}`);
  assert.ok(shaken > 0 && shaken < 64);
  for (const s of crowd) s.destroy();
  assert.equal((await until('place for others', () => b.request('GET', '/healthz').catch(() => undefined))).status, 200);
  assert.equal((await provisioned(b, await pki.make('late', { issuer: devCa(b) }))).body.status, 'assigned');
  assert.equal(count(b.stderr, /event=accept-paused/g), 1);
  assert.doesNotMatch(b.stderr, /unable to open|Too many open files/);
  m.end();
  pki.remove();
  await b.stop();
});

const mayMount = (dir) => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'berth-test', dir], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

test('a full disk: refused with a reason, not acknowledged, and well again when there is room', async (t) => {
  const dir = tempDir();
  if (!mayMount(dir)) {
    fs.rmdirSync(dir);
    t.skip('may not mount');
    return;
  }
  const b = await Berthd.start({ dir });
  const pki = new Pki();
  try {
    const d = await pki.make('full-1', { issuer: devCa(b) });
    const other = await pki.make('full-2', { issuer: devCa(b) });
    assert.equal((await provisioned(b, d)).body.status, 'assigned');
    let m = await b.mqtt(d);
    assert.equal(await m.connect(hubUser(d)), 0);
    const acknowledged = [];
    const publish = async (text) => {
      await m.publish('devices/full-1/messages/events/', text);
      acknowledged.push(text);
    };
    await publish('before');

    const ballast = path.join(dir, 'ballast');
    assert.throws(() => fs.writeFileSync(ballast, Buffer.alloc(32 << 20)), { code: 'ENOSPC' });
    await assert.rejects(async () => { for (let i = 0; i < 1000; i++) await publish(`${i} ${'x'.repeat(2000)}`); }, /closed/);
    const refused = await provisioned(b, other);
    assert.equal(refused.status, 500);
    assert.equal(refused.body.errorCode, 500001);
    await until('the log says why', () => /disk is full/.test(b.stderr));
    assert.match(b.stderr, /operation=telemetry .*disk is full/, 'of the telemetry, too');
    assert.equal((await b.service('GET', '/registrations/full-1?api-version=2021-10-01')).status, 200, 'reading goes on');

    fs.rmSync(ballast);
    assert.equal((await provisioned(b, other)).body.status, 'assigned');
    m = await b.mqtt(d);
    assert.equal(await m.connect(hubUser(d)), 0);
    await publish('after');
    m.end();
    const stored = (await b.ok('hub', 'monitor-events', '--from', 'start', '--timeout', '2', '--output', 'json')).trim().split('\n').map((line) => JSON.parse(line).body);
    assert.deepEqual(stored.filter((text) => acknowledged.includes(text)), acknowledged);
    await b.stop();
  } finally {
    await b.kill();
    pki.remove();
    execFileSync('umount', ['-l', dir]);
    fs.rmdirSync(dir);
  }
});
