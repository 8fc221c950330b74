// A server without --dev, from nothing to a provisioned device: init, start, enrollment group, device.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Berthd, Pki, bin, sas, tempDir } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const SERVICE = 'dps.example.test';
const HUB = 'hub.example.test';
const berthd = (...args) => new Promise((resolve) => execFile(path.join(bin, 'berthd'), args, { timeout: 20000 }, (e, stdout, stderr) => resolve({ code: e ? e.code : 0, stdout, stderr })));
const init = (...args) => berthd('init', '-c', file, ...args);

let dir, file, pki, b, idScope, serviceLogin, hubLogin;

before(() => {
  dir = tempDir();
  file = path.join(dir, 'berthd.conf');
  pki = new Pki();
  fs.writeFileSync(file, `data = ${dir}/data\nbind = 127.0.0.1\n`);
});
after(async () => {
  await b?.stop();
  pki?.remove();
  fs.rmSync(dir, { recursive: true, force: true });
});

test('wrong usage is status 2 and makes nothing', async () => {
  for (const [args, said] of [
    [[], /--name/], [['--name', 'x'], /--host-name/], [['--name', 'x', '--host-name', 'not a host'], /not a host name/],
    [['--name', 'x', '--host-name', SERVICE, '--hub-name', 'h'], /go together/], [['--dev', '--name', 'x', '--host-name', SERVICE], /--dev/],
  ]) {
    const r = await init(...args);
    assert.equal(r.code, 2, args.join(' '));
    assert.match(r.stderr, said);
  }
  assert.ok(!fs.existsSync(path.join(dir, 'data')));
});

test('init makes an ID scope and a linked hub, and says it once', async () => {
  const r = await init('--name', 'factory', '--host-name', SERVICE, '--hub-name', 'plant', '--hub-host-name', HUB);
  assert.deepEqual([r.code, r.stderr], [0, '']);
  [, idScope] = /ID scope +(0ne[0-9a-f]{8})\n/.exec(r.stdout);
  [, serviceLogin] = /(HostName=dps\.example\.test;SharedAccessKeyName=provisioningserviceowner;SharedAccessKey=\S+)\n/.exec(r.stdout);
  [, hubLogin] = /(HostName=hub\.example\.test;SharedAccessKeyName=iothubowner;SharedAccessKey=\S+)\n/.exec(r.stdout);
  assert.match(r.stdout, /[Kk]eep/);

  const again = await init('--name', 'factory', '--host-name', SERVICE.toUpperCase());
  assert.deepEqual([again.code, again.stdout], [1, '']);
  assert.match(again.stderr, new RegExp(`there already.*${idScope}`));
  const hub = await init('--name', 'other', '--host-name', 'other.example.test', '--hub-name', 'plant', '--hub-host-name', HUB);
  assert.deepEqual([hub.code, hub.stdout], [1, '']);
  assert.match(hub.stderr, /is a hub already/);
  // the refused one left nothing: its name is free still
  assert.equal((await init('--name', 'other', '--host-name', 'other.example.test')).code, 0);
});

test('a group made through the service API lets a device in', async () => {
  const ca = await pki.make('server CA', { ca: true });
  const server = await pki.make('server', { issuer: ca, eku: 'serverAuth', san: `DNS:localhost,DNS:${SERVICE},DNS:${HUB}` });
  fs.appendFileSync(file, `server-cert = ${server.certFile}\nserver-key = ${server.keyFile}\n`);
  b = await Berthd.start({ dir, conf: { file, ca: ca.cert } });

  const busy = await init('--name', 'late', '--host-name', 'late.example.test');
  assert.equal(busy.code, 1);
  assert.match(busy.stderr, /running berthd/);

  const devices = await pki.make('factory CA', { ca: true });
  const put = await b.request('PUT', '/enrollmentGroups/line-1?api-version=2021-10-01', {
    host: SERVICE, headers: { Authorization: sas(serviceLogin) },
    body: { enrollmentGroupId: 'line-1', attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: devices.cert } } } } },
  });
  assert.equal(put.status, 200, put.text);

  const d = await pki.make('sensor-1', { issuer: devices });
  const m = await b.mqtt(d);
  const { body } = await provision(m, { idScope, registrationId: 'sensor-1' });
  assert.equal(body.registrationState.assignedHub, HUB);
  m.end();
  const atHub = await b.mqtt(d, { servername: HUB });
  assert.equal(await atHub.connect({ clientId: 'sensor-1', username: `${HUB}/sensor-1/?api-version=2021-04-12` }), 0);
  atHub.end();
});

test('the command line, without dev.json', async () => {
  const caFile = path.join(dir, 'ca.pem');
  fs.writeFileSync(caFile, b.ca);
  const server = ['--ca-file', caFile, '--endpoint-address', '127.0.0.1', '--https-port', String(b.httpsPort), '--mqtt-port', String(b.mqttPort)];
  const devices = await pki.make('second CA', { ca: true });
  await b.ok('enrollment-group', 'create', 'line-2', '--certificate-path', devices.certFile, '--login', serviceLogin, ...server);
  await b.ok('device', 'simulate', '--ca-cert', devices.certFile, '--ca-key', devices.keyFile, '--registration-id', 'sensor-2',
    '--endpoint', SERVICE, '--id-scope', idScope, ...server);
  assert.equal((await b.json('hub', 'device-identity', 'show', 'sensor-2', '--hub-login', hubLogin, ...server)).status, 'enabled');
});

test('commands that need no server heed no BERTH_DEV; those that do say what is missing', async () => {
  const root = path.join(dir, 'root');
  await b.ok('ca', 'create-root', 'root', '--out', root); // BERTH_DEV names a directory without dev.json
  await b.ok('ca', 'create-device', 'd', '--out', path.join(dir, 'd'), '--ca-cert', `${root}.cert.pem`, '--ca-key', `${root}.key.pem`);
  for (const args of [['ca', 'create-device', 'e', '--out', path.join(dir, 'e')], ['hub', 'list'], ['device', 'simulate']]) {
    const r = await b.cli(...args);
    assert.equal(r.code, 3, args.join(' '));
    assert.match(r.stderr, /dev\.json/);
  }
});
