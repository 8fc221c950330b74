// berthd as an operator meets it: start, second start, signals, refused ports and stores, operations pages, configuration.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { test } from 'node:test';
import { Berthd, Pki, bin, devCa, sas, sleep, tempDir, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const berthd = (...args) => new Promise((resolve) => execFile(path.join(bin, 'berthd'), args, { timeout: 20000 }, (e, stdout, stderr) => resolve({ code: e ? e.code : 0, stdout, stderr })));

test('a second start with the same directory finds everything again', async () => {
  const b = await Berthd.start();
  const pki = new Pki();
  const d = await pki.make('stays', { issuer: devCa(b) });
  const before = b.dev;
  const m = await b.mqtt(d);
  await provision(m, { idScope: b.dev.idScope, registrationId: 'stays' });
  m.end();
  assert.deepEqual(await b.kill('SIGTERM'), { code: 0, signal: null });
  await b.restart();
  assert.deepEqual(b.dev, before);
  assert.equal((await b.json('registration', 'show', '--registration-id', 'stays')).status, 'assigned');
  assert.equal(fs.statSync(path.join(b.dir, 'dev.json')).mode & 0o777, 0o600);
  for (const file of fs.readdirSync(b.dir, { recursive: true })) {
    const stat = fs.statSync(path.join(b.dir, file));
    if (/key/.test(file) && stat.isFile()) assert.equal(stat.mode & 0o077, 0, file);
  }
  pki.remove();
  await b.stop();
});

test('dev.json has what the design promises', async () => {
  const b = await Berthd.start();
  assert.match(b.dev.idScope, /^0ne[0-9A-Fa-f]{8}$/);
  assert.match(b.dev.serviceConnectionString, /^HostName=localhost;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=[A-Za-z0-9+/]+=*$/);
  assert.match(b.dev.hubs[0].connectionString, /^HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=/);
  assert.equal(b.dev.hubs[0].hostName, 'localhost');
  assert.equal(b.dev.groups.x509, 'dev');
  assert.equal(b.dev.ports.mqtt, b.mqttPort);
  assert.equal(b.dev.ports.https, b.httpsPort);
  assert.ok(b.dev.deviceEndpoint);
  for (const file of [b.dev.serverCaFile, b.dev.deviceCa.certFile, b.dev.deviceCa.keyFile]) assert.ok(fs.existsSync(file), file);
  await b.stop();
});

test('SIGTERM drains: what was begun is answered, then exit 0', async () => {
  const b = await Berthd.start();
  const pki = new Pki();
  const d = await pki.make('drained', { issuer: devCa(b) });
  const m = await b.mqtt(d);
  await provision(m, { idScope: b.dev.idScope, registrationId: 'drained' });
  const idle = await b.mqtt(d);
  await idle.connect({ clientId: 'drained', username: 'localhost/drained/?api-version=2021-04-12' });
  const exited = b.kill('SIGTERM');
  assert.deepEqual(await exited, { code: 0, signal: null });
  await idle.closed;
  pki.remove();
  fs.rmSync(b.dir, { recursive: true });
});

test('SIGHUP takes a new server certificate for new connections and keeps the old ones', async () => {
  const b = await Berthd.start();
  const pki = new Pki();
  const serverCert = fs.readdirSync(b.dir, { recursive: true }).map((f) => path.join(b.dir, f)).filter((f) => /\.pem$|\.crt$/.test(f) && /server/.test(path.basename(f)) && !/ca/.test(path.basename(f)) && !/key/.test(f));
  assert.equal(serverCert.length, 1, serverCert.join());
  const keyFile = fs.readdirSync(b.dir, { recursive: true }).map((f) => path.join(b.dir, f)).find((f) => /server/.test(path.basename(f)) && /key/.test(path.basename(f)) && !/ca/.test(path.basename(f)));
  const fingerprint = () => new Promise((resolve, reject) => {
    const s = tls.connect({ port: b.mqttPort, host: '127.0.0.1', rejectUnauthorized: false }, () => { resolve(s.getPeerCertificate().fingerprint256); s.destroy(); });
    s.on('error', reject);
  });
  const old = await fingerprint();
  const m = await b.mqtt({});
  const other = await pki.make('localhost', { eku: 'serverAuth' });
  fs.writeFileSync(keyFile, other.key);
  fs.writeFileSync(serverCert[0], 'not a certificate');
  b.child.kill('SIGHUP');
  await until('the failed reload is logged', () => /reload/i.test(b.stderr));
  assert.equal(await fingerprint(), old); // a bad file keeps the old one
  fs.writeFileSync(serverCert[0], other.cert);
  b.child.kill('SIGHUP');
  await until('the new certificate is served', async () => await fingerprint() !== old);
  assert.equal(await m.connect({ clientId: 'x', username: `${b.dev.idScope}/registrations/x/api-version=2019-03-31` }), 0);
  m.destroy();
  pki.remove();
  await b.stop();
});

test('localhost is served on both its addresses: clients may try one only', async () => {
  const b = await Berthd.start();
  for (const host of ['127.0.0.1', ...(Object.values(os.networkInterfaces()).flat().some((a) => a.address === '::1') ? ['::1'] : [])]) {
    for (const port of [b.mqttPort, b.httpsPort]) {
      await new Promise((resolve, reject) => {
        const s = tls.connect({ port, host, servername: 'localhost', ca: b.ca }, () => { s.destroy(); resolve(); }).on('error', reject);
      });
    }
  }
  await b.stop();
});

test('a port in use, a foreign store, a newer store, a second server: one clear sentence each', async () => {
  const b = await Berthd.start();
  const second = await berthd('--dev', '--data', b.dir, '--mqtt-port', '1', '--https-port', '2');
  assert.equal(second.code, 1);
  assert.match(second.stderr, /another|in use|already/i);

  const dir = tempDir();
  const taken = await berthd('--dev', '--data', dir, '--mqtt-port', String(b.mqttPort), '--https-port', String(b.httpsPort));
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, new RegExp(`${b.mqttPort}|${b.httpsPort}`));
  const other = net.createServer().listen(8443, '127.0.0.77');
  await new Promise((resolve) => { other.on('listening', resolve).on('error', resolve); }); // ours, or another's: taken
  const usual = await berthd('--dev', '--data', dir, '--bind', '127.0.0.77', '--mqtt-port', '8884', '--https-port', '8443');
  assert.match(usual.stderr, /Port 8443 on 127.0.0.77 is in use .*--https-port 8444/); // never the port that is taken
  other.close();
  const store = fs.readdirSync(b.dir).find((f) => /\.db$|\.sqlite$/.test(f) && !/telemetry|sink|event/.test(f));
  assert.ok(store);
  await b.kill('SIGTERM');

  const saved = fs.readFileSync(path.join(b.dir, store));
  const newer = Buffer.from(saved);
  newer.writeUInt32BE(9999, 60); // PRAGMA user_version
  fs.writeFileSync(path.join(b.dir, store), newer);
  const port = () => new Promise((r) => { const s = net.createServer().listen(0, () => { const p = s.address().port; s.close(() => r(String(p))); }); });
  const args = ['--dev', '--data', b.dir, '--mqtt-port', await port(), '--https-port', await port()];
  const refused = await berthd(...args);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /newer/);
  assert.deepEqual(fs.readFileSync(path.join(b.dir, store)), newer, 'nothing was touched');
  fs.writeFileSync(path.join(b.dir, store), 'this is not a database at all, but a text of some length'.repeat(50));
  assert.match((await berthd(...args)).stderr, /not a/i);
  fs.rmSync(b.dir, { recursive: true });
  fs.rmSync(dir, { recursive: true });
});

test('configuration: help, show, man page, and clear errors', async () => {
  for (const args of [['--help'], ['config', '--show'], ['--man'], ['--version']]) {
    const r = await berthd(...args);
    assert.equal(r.code, 0, args.join(' '));
    assert.ok(r.stdout.length > 5, args.join(' '));
  }
  const dir = tempDir();
  const file = path.join(dir, 'berthd.conf');
  for (const [text, wanted] of [['[berthd]\nno-such-setting = 1\n', /no-such-setting/], ['mqtt-port = eighty\n', /mqtt-port/], ['mqtt-port = 70000\n', /mqtt-port/], ['= 3\n', /berthd\.conf:?\s*.*1/]]) {
    fs.writeFileSync(file, text);
    const r = await berthd('-c', file);
    assert.equal(r.code, 2, text);
    assert.match(r.stderr, wanted);
  }
  assert.equal((await berthd('--nonsense')).code, 2);
  assert.equal((await berthd('-c', path.join(dir, 'missing.conf'))).code, 2);
  fs.rmSync(dir, { recursive: true });
});

test('berth: a noun explains itself wherever --help stands', async () => {
  for (const args of [['policy', '--help'], ['policy', '--dev', '/nowhere', '-h'], ['policy', '--help', '--dev', '/nowhere']]) {
    const stdout = await new Promise((resolve, reject) => {
      execFile(path.join(bin, 'berth'), args, (e, out) => (e ? reject(e) : resolve(out)));
    });
    assert.match(stdout, /policy renew-key/, args.join(' '));
  }
});

test('/healthz and /metrics', async () => {
  const b = await Berthd.start();
  const health = await b.request('GET', '/healthz');
  assert.equal(health.json.status, 'ok');
  assert.match(health.headers['content-type'], /application\/json/);
  const metrics = await b.request('GET', '/metrics');
  assert.equal(metrics.status, 200);
  assert.match(metrics.headers['content-type'], /^text\/plain/);
  for (const line of metrics.text.trim().split('\n')) assert.match(line, /^(# (HELP|TYPE) berth_\w+ .+|berth_\w+(\{[^}]*\})? -?[0-9.e+]+)$/);
  await b.stop();
});

test('log format json', async () => {
  const b = await Berthd.start({ args: ['--log-format', 'json'] });
  await b.service('GET', '/enrollmentGroups/dev?api-version=2021-10-01');
  await until('log lines', () => b.stderr.includes('enrollmentGroups'));
  for (const line of b.stderr.trim().split('\n')) assert.doesNotThrow(() => JSON.parse(line), line);
  await b.stop();
});

test('an open event stream does not hold up the drain', async () => {
  const b = await Berthd.start();
  const stream = new Promise((resolve) => {
    const s = tls.connect({ port: b.httpsPort, host: '127.0.0.1', servername: 'localhost', ca: b.ca }, () => {
      s.write(`GET /messages/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${sas(b.dev.hubs[0].connectionString)}\r\n\r\n`);
    });
    s.on('data', () => {});
    s.on('close', resolve);
    s.on('error', () => {});
  });
  await sleep(300);
  const at = Date.now();
  assert.deepEqual(await b.kill('SIGTERM'), { code: 0, signal: null });
  assert.ok(Date.now() - at < 9000);
  await stream;
  fs.rmSync(b.dir, { recursive: true });
});
