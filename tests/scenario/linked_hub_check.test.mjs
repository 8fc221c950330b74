// Links to hubs elsewhere: a second server, reached by an address of its own and trusted by a CA of its own, and what `berth
// linked-hub check` says of each way in which that can be wrong. Nothing is changed over there by looking.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, parseConnectionString, sas } from '../lib/berth.mjs';

const FAR = 'far.example';
let near, far, pki, owner, server, hub;

const address = () => `127.0.0.1:${far.httpsPort}`;
const farHub = (method, target, body, login = owner) => far.request(method, target, { host: FAR, body, headers: { Authorization: sas(login) } });
const checks = (result) => Object.fromEntries(result.checks.map((c) => [c.check, c.result]));

async function link(host, ...args) {
  await near.cli('linked-hub', 'delete', host, '--yes');
  return near.json('linked-hub', 'create', host, ...args);
}

async function check(host) {
  const r = await near.cli('linked-hub', 'check', host, '--output', 'json');
  const result = JSON.parse(r.stdout);
  assert.equal(r.code, result.isGood ? 0 : 1, r.stderr);
  return result;
}

before(async () => {
  [near, far] = await Promise.all([Berthd.start(), Berthd.start()]);
  pki = new Pki();
  const made = await far.service('PUT', '/berth/v1/hubs/far', { body: { hostName: FAR } });
  assert.equal(made.status, 200, made.text);
  owner = made.json.connectionString;
  // A hub that is not to be trusted with anything but being there: the test says what it answers.
  const cert = await pki.make('fake', { san: 'DNS:fake.example', eku: 'serverAuth' });
  server = https.createServer({ key: cert.key, cert: cert.cert }, (q, a) => hub(q, a));
  server.certFile = cert.certFile;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
});

after(async () => {
  server?.closeAllConnections();
  server?.close();
  pki?.remove();
  await Promise.all([near?.stop(), far?.stop()]);
});

describe('a hub of another server', () => {
  test('is linked by its connection string', async () => {
    const shown = await link(FAR, '--connection-string', owner, '--address', address(), '--hub-ca-file', far.dev.serverCaFile, '--location', 'North Europe');
    assert.equal(shown.isRemote, true);
    assert.equal(shown.address, address());
    assert.equal(shown.ca, fs.readFileSync(far.dev.serverCaFile, 'utf8'));
    assert.deepEqual([shown.latitude, shown.longitude], [53.348, -6.26]);
    assert.match(shown.connectionString, /SharedAccessKey=\*\*\*\*$/);
  });

  test('can be used, and looking changes nothing there', async () => {
    const before = await farHub('GET', '/devices?api-version=2021-04-12');
    const result = await check(FAR);
    assert.deepEqual(checks(result), { name: 'passed', connect: 'passed', certificate: 'passed', answer: 'passed', token: 'passed',
      registryWrite: 'passed', serviceConnect: 'passed', clock: 'passed' });
    assert.ok(Math.abs(result.clockAheadSeconds) <= 2, String(result.clockAheadSeconds));
    assert.deepEqual((await farHub('GET', '/devices?api-version=2021-04-12')).json, before.json);
  });

  test('is shown to people, among those of this server', async () => {
    const out = await near.ok('linked-hub', 'check');
    assert.match(out, /^far\.example \(elsewhere\): can be used$/m);
    assert.match(out, /^\S*localhost \(of this server\): can be used$/m);
    assert.match(out, /^ {2}registryWrite +passed$/m);
    assert.match(out, /connected in \d+ ms, answered in \d+ ms/);
    assert.equal(JSON.parse(await near.ok('linked-hub', 'check', '--output', 'json')).length, 2);
  });

  test('what is not named stays as it is', async () => {
    let shown = await near.json('linked-hub', 'update', FAR, '--allocation-weight', '3');
    assert.equal(shown.address, address());
    assert.ok(shown.ca.includes('BEGIN CERTIFICATE'));
    assert.equal(shown.latitude, 53.348);
    assert.ok((await check(FAR)).isGood);
    shown = await near.json('linked-hub', 'update', FAR, '--latitude', '-1.5', '--longitude', '100');
    assert.deepEqual([shown.latitude, shown.longitude], [-1.5, 100]);
    const wrong = await near.cli('linked-hub', 'update', FAR, '--latitude', 'north', '--longitude', '0');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /degrees as decimals/);
  });

  test('whose certificate nobody vouches for', async () => {
    await near.ok('linked-hub', 'update', FAR, '--hub-ca-file', '');
    const result = await check(FAR);
    assert.equal(checks(result).certificate, 'failed');
    const failed = result.checks.find((c) => c.check === 'certificate');
    assert.match(failed.message, /not trusted/);
    assert.match(failed.advice, /CA certificates/);
    const out = await near.cli('linked-hub', 'check', FAR);
    assert.equal(out.code, 1);
    assert.match(out.stdout, /CANNOT BE USED/);
    assert.match(out.stdout, / -> Link the hub with the CA certificates/);
    assert.match(out.stderr, /cannot be used as it is linked/);
  });

  test('whose key is another by now', async () => {
    const c = parseConnectionString(owner);
    await link(FAR, '--connection-string', `HostName=${FAR};SharedAccessKeyName=${c.SharedAccessKeyName};SharedAccessKey=${Buffer.alloc(32).toString('base64')}`,
      '--address', address(), '--hub-ca-file', far.dev.serverCaFile);
    const result = await check(FAR);
    assert.equal(checks(result).token, 'failed');
    assert.equal(checks(result).registryWrite, undefined);
    assert.match(result.checks.find((q) => q.check === 'token').message, /IotHubUnauthorizedAccess/);
  });

  test('that has gone', async () => {
    const c = parseConnectionString(owner);
    await link('gone.example', '--connection-string', `HostName=gone.example;SharedAccessKeyName=${c.SharedAccessKeyName};SharedAccessKey=${c.SharedAccessKey}`,
      '--address', address(), '--hub-ca-file', far.dev.serverCaFile);
    assert.equal(checks(await check('gone.example')).certificate, 'failed'); // its server has no such name any more
    await near.ok('linked-hub', 'delete', 'gone.example', '--yes');
  });

  test('at an address where nobody listens', async () => {
    const closed = net.createServer();
    const port = await new Promise((resolve) => closed.listen(0, '127.0.0.1', () => resolve(closed.address().port)));
    await new Promise((resolve) => closed.close(resolve));
    await near.ok('linked-hub', 'update', FAR, '--address', `127.0.0.1:${port}`);
    assert.deepEqual(checks(await check(FAR)), { name: 'passed', connect: 'failed' });
    await near.ok('linked-hub', 'update', FAR, '--address', 'no-such-host.invalid');
    assert.deepEqual(checks(await check(FAR)), { name: 'failed' });
    await near.ok('linked-hub', 'update', FAR, '--address', '169.254.169.254');
    const result = await check(FAR);
    assert.equal(checks(result).connect, 'failed');
    assert.match(result.checks[1].message, /may not connect to/);
  });
});

describe('something that is no hub, or a hub with less', () => {
  const KEY = Buffer.from('secret').toString('base64');
  const answer = (status, name, headers = {}) => (q, a) => { a.writeHead(status, { ...(name ? { 'iothub-errorcode': name } : {}), ...headers }).end('{}'); };
  const noDevice = answer(404, 'DeviceNotFound');
  const denied = answer(401, 'IotHubUnauthorizedAccess');

  before(async () => {
    await link('fake.example', '--connection-string', `HostName=fake.example;SharedAccessKeyName=p;SharedAccessKey=${KEY}`,
      '--address', `127.0.0.1:${server.address().port}`, '--hub-ca-file', server.certFile);
  });

  const cases = [
    ['a policy that may only read', (q, a) => (q.method === 'DELETE' || q.url.startsWith('/twins') ? denied : noDevice)(q, a), { token: 'passed', registryWrite: 'failed', serviceConnect: 'failed' }],
    ['a policy without ServiceConnect', (q, a) => (q.url.startsWith('/twins') ? denied : noDevice)(q, a), { token: 'passed', registryWrite: 'passed', serviceConnect: 'failed' }],
    ['a policy without the registry', (q, a) => (q.url.startsWith('/twins') ? noDevice : denied)(q, a), { token: 'passed', registryWrite: 'failed', serviceConnect: 'passed' }],
    ['a clock that is an hour behind', (q, a) => answer(404, 'DeviceNotFound', { Date: new Date(Date.now() - 3600e3).toUTCString() })(q, a), { clock: 'failed', serviceConnect: 'passed' }],
    ['a web server', (q, a) => a.writeHead(404).end('<html>no such page</html>'), { certificate: 'passed', answer: 'failed' }],
    ['a web server that likes everything', (q, a) => a.writeHead(200).end('welcome'), { answer: 'failed' }],
    ['a redirect', (q, a) => a.writeHead(302, { Location: 'https://example.com/' }).end(), { answer: 'failed' }],
    ['a hub that is throttled', (q, a) => answer(429, 'ThrottlingException')(q, a), { answer: 'failed' }],
    ['one that hangs up', (q, a) => a.socket.destroy(), { answer: 'failed' }],
    ['half an answer', (q, a) => { a.socket.write('HTTP/1.1 404 Not Found\r\niothub-errorcode: Device'); a.socket.destroy(); }, { answer: 'failed' }],
  ];
  for (const [name, how, wanted] of cases) {
    test(name, async () => {
      hub = how;
      const result = await check('fake.example');
      assert.equal(result.isGood, false);
      assert.deepEqual({ ...checks(result), ...wanted }, checks(result), JSON.stringify(result.checks));
    });
  }

  test('one that says nothing holds up nobody for long', async () => {
    hub = () => {};
    const began = Date.now();
    const waiting = check('fake.example');
    for (let i = 0; i < 5; i++) assert.equal((await near.service('GET', '/berth/v1/instance')).status, 200);
    assert.ok(Date.now() - began < 5000);
    assert.equal(checks(await waiting).answer, 'failed');
    assert.ok(Date.now() - began < 15000);
  });

  test('a check does not hold up a server that stops', async () => {
    let asked;
    const isAsked = new Promise((resolve) => { asked = resolve; });
    hub = () => asked();
    const waiting = near.cli('linked-hub', 'check', 'fake.example');
    await isAsked;
    const began = Date.now();
    await near.kill('SIGTERM');
    assert.equal(near.exitCode, 0, near.stderr.slice(-2000));
    assert.ok(Date.now() - began < 6000, `${Date.now() - began} ms`);
    await waiting;
    await near.restart();
  });
});
