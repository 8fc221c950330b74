// Devices of hubs elsewhere, over real sockets: a second server has the hub, and a hub that answers what the test says. Whole
// registrations end up there, devices talk there, take their twins there and back, and a hub that is down harms its own alone.
import assert from 'node:assert/strict';
import https from 'node:https';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Berthd, Pki, deriveKey, deviceToken, sas, sha256Hex, until } from '../lib/berth.mjs';
import { Mqtt, provision, publishPacket } from '../lib/mqtt.mjs';

const API = 'api-version=2021-04-12';
const FAR = 'far.example', FAKE = 'fake.example', HOME = 'home.localhost';
let near, far, pki, ca, farLogin, fake, homeLogin;

const at = (b, host, login) => (method, target, options = {}) => b.request(method, `${target}${target.includes('?') ? '&' : '?'}${API}`,
  { host, ...options, headers: { Authorization: sas(login), ...options.headers } });
let onFar, onHome;

const namedOnly = ['--apply-allocation-policy', 'false'];
const to = (...hosts) => ['--allocation-policy', 'static', '--iot-hubs', ...hosts];

async function register(d, options = {}) {
  const m = await near.mqtt(d.password ? {} : d);
  try {
    const { body } = await provision(m, { idScope: near.dev.idScope, registrationId: d.cn, password: d.password, pollEveryMs: 30, ...options });
    return body.registrationState ?? body;
  } finally { m.end(); }
}

async function connect(b, host, d, options = {}) {
  const m = await Mqtt.open({ port: b.mqttPort, ca: b.ca, cert: d.chain, key: d.key, servername: host });
  const code = await m.connect({ clientId: d.cn, username: `${host}/${d.cn}/?${API}`, ...options });
  if (code === 0) return m;
  m.destroy();
  throw new Error(`${d.cn} at ${host}: CONNACK ${code}`);
}

let serial = 0;
async function ask(m, topic, body = '') {
  const rid = `r${serial++}`;
  m.send(publishPacket(`${topic}/?$rid=${rid}`, body, 0));
  const p = await m.next((x) => x.type === 'publish' && x.topic.includes(`?$rid=${rid}`));
  return p.payload === '' ? '' : JSON.parse(p.payload);
}
async function twinOf(m) {
  await m.subscribe('$iothub/twin/res/#', 0);
  return ask(m, '$iothub/twin/GET');
}

// A hub of devices in memory, as little of one as provisioning needs; `trouble` may answer before it does.
function fakeHub(cert) {
  const devices = new Map();
  const calls = [];
  const hub = { cert, devices, calls, trouble: undefined };
  const refuse = (a, status, name) => a.writeHead(status, { 'iothub-errorcode': name, 'Content-Type': 'application/json' })
    .end(JSON.stringify({ Message: `ErrorCode:${name};no`, ExceptionMessage: 'Tracking ID:1' }));
  const answer = (q, a, body) => {
    const [, folder, id] = new URL(q.url, 'https://x').pathname.split('/');
    const say = (value) => a.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    if (q.method === 'POST') {
      const [item] = JSON.parse(body);
      if (devices.has(item.id)) return a.writeHead(400, { 'iothub-errorcode': 'BulkRegistryOperationFailure' }).end(JSON.stringify({ isSuccessful: false, errors: [{ deviceId: item.id, errorCode: 'DeviceAlreadyExists', errorStatus: 'there' }], warnings: [] }));
      devices.set(item.id, { ...item, deviceId: item.id, etag: 'MQ==' });
      return say({ isSuccessful: true, errors: [], warnings: [] });
    }
    if (q.method === 'PUT' && folder === 'devices' && !q.headers['if-match']) {
      if (devices.has(id)) return refuse(a, 409, 'DeviceAlreadyExists');
      devices.set(id, { ...JSON.parse(body), etag: 'MQ==' });
      return say(devices.get(id));
    }
    const d = devices.get(id);
    if (!d) return refuse(a, 404, 'DeviceNotFound');
    if (q.method === 'DELETE') { devices.delete(id); return a.writeHead(204).end(); }
    if (q.method === 'PUT') Object.assign(d, JSON.parse(body));
    return say({ ...d, properties: { desired: {}, reported: {}, ...d.properties } });
  };
  hub.server = https.createServer({ key: cert.key, cert: cert.cert }, (q, a) => {
    let body = '';
    q.on('data', (piece) => { body += piece; });
    q.on('end', () => {
      calls.push(`${q.method} ${new URL(q.url, 'https://x').pathname}`);
      if (!hub.trouble?.(q, a, body)) answer(q, a, body);
    });
  });
  return hub;
}

before(async () => {
  [near, far] = await Promise.all([Berthd.start(), Berthd.start()]);
  pki = new Pki();
  ca = await pki.make('far CA', { ca: true });
  const made = await far.service('PUT', '/berth/v1/hubs/far', { body: { hostName: FAR } });
  assert.equal(made.status, 200, made.text);
  farLogin = made.json.connectionString;
  onFar = at(far, FAR, farLogin);
  homeLogin = (await near.service('PUT', '/berth/v1/hubs/home', { body: { hostName: HOME } })).json.connectionString;
  onHome = at(near, HOME, homeLogin);
  fake = fakeHub(await pki.make('fake', { san: `DNS:${FAKE}`, eku: 'serverAuth' }));
  await new Promise((resolve) => fake.server.listen(0, '127.0.0.1', resolve));
  await near.ok('linked-hub', 'create', '--connection-string', farLogin, '--address', `127.0.0.1:${far.httpsPort}`, '--hub-ca-file', far.dev.serverCaFile, ...namedOnly);
  await near.ok('linked-hub', 'create', '--connection-string', `HostName=${FAKE};SharedAccessKeyName=p;SharedAccessKey=${Buffer.from('secret').toString('base64')}`,
    '--address', `127.0.0.1:${fake.server.address().port}`, '--hub-ca-file', fake.cert.certFile, ...namedOnly);
  await near.ok('certificate', 'create', 'far', '--path', ca.certFile, '--verified');
  const twin = ['--initial-twin-properties', '{"begin":1}', '--initial-twin-tags', '{"site":"b"}'];
  await near.ok('enrollment-group', 'create', 'far', '--ca-name', 'far', ...to(FAR), ...twin);
});

after(async () => {
  fake?.server?.closeAllConnections();
  fake?.server?.close();
  pki?.remove();
  await Promise.all([near?.stop(), far?.stop()]);
});

describe('a hub of another server', () => {
  test('is given devices of a group by certificate, which talk there', async () => {
    const d = await pki.make('x509-1', { issuer: ca });
    const r = await register(d);
    assert.deepEqual([r.status, r.assignedHub, r.deviceId, r.substatus], ['assigned', FAR, 'x509-1', 'initialAssignment'], JSON.stringify(r));
    const device = (await onFar('GET', '/devices/x509-1')).json;
    assert.equal(device.authentication.type, 'selfSigned');
    assert.deepEqual(device.authentication.x509Thumbprint, { primaryThumbprint: sha256Hex(d.cert), secondaryThumbprint: sha256Hex(d.cert) });
    assert.deepEqual((await onFar('GET', '/twins/x509-1')).json.tags, { site: 'b' });
    const m = await connect(far, FAR, d);
    assert.deepEqual((await twinOf(m)).desired, { begin: 1, $version: 1 });
    m.send(publishPacket('devices/x509-1/messages/events/', 'hello', 1, m.packetId++));
    await m.next('puback');
    m.end();
    assert.equal((await near.hub('GET', `/devices/x509-1?${API}`)).status, 404);
  });

  test('gets the new credential of a device that comes again, and keeps the rest', async () => {
    const other = await pki.make('x509-1', { issuer: ca });
    assert.equal((await onFar('PATCH', '/twins/x509-1', { body: { properties: { desired: { rate: 7 } } } })).status, 200);
    const r = await register(other);
    assert.deepEqual([r.status, r.assignedHub], ['assigned', FAR]);
    assert.equal((await onFar('GET', '/devices/x509-1')).json.authentication.x509Thumbprint.primaryThumbprint, sha256Hex(other.cert));
    const m = await connect(far, FAR, other);
    assert.deepEqual((await twinOf(m)).desired, { begin: 1, rate: 7, $version: 2 });
    m.end();
  });

  test('is given devices of a key group and of an individual key', async () => {
    const groupKey = Buffer.alloc(64, 3).toString('base64'), ownKey = Buffer.alloc(32, 5).toString('base64');
    await near.ok('enrollment-group', 'create', 'far-keys', '--primary-key', groupKey, '--secondary-key', Buffer.alloc(64, 4).toString('base64'), ...to(FAR));
    await near.ok('enrollment', 'create', 'one', '--attestation-type', 'symmetrickey', '--primary-key', ownKey, '--secondary-key', ownKey, '--device-id', 'named', ...to(FAR));
    for (const [cn, deviceId, key] of [['key-1', 'key-1', deriveKey(groupKey, 'key-1')], ['one', 'named', ownKey]]) {
      const r = await register({ cn, password: deviceToken(`${near.dev.idScope}/registrations/${cn}`, key, { skn: 'registration' }) });
      assert.deepEqual([r.status, r.assignedHub, r.deviceId], ['assigned', FAR, deviceId], JSON.stringify(r));
      const device = (await onFar('GET', `/devices/${deviceId}`)).json;
      assert.deepEqual([device.authentication.type, device.authentication.symmetricKey.primaryKey], ['sas', key]);
      const m = await connect(far, FAR, { cn: deviceId }, { password: deviceToken(`${FAR}/devices/${deviceId}`, key) });
      m.end();
    }
  });

  test('gets a twin from here, and gives it back', async () => {
    await near.ok('enrollment-group', 'create', 'movers', '--primary-key', Buffer.alloc(64, 9).toString('base64'), '--secondary-key', Buffer.alloc(64, 8).toString('base64'), ...to(HOME));
    const key = deriveKey(Buffer.alloc(64, 9).toString('base64'), 'mover');
    const d = { cn: 'mover', password: deviceToken(`${near.dev.idScope}/registrations/mover`, key, { skn: 'registration' }) };
    assert.equal((await register(d)).assignedHub, HOME);
    const m = await connect(near, HOME, d, { password: deviceToken(`${HOME}/devices/mover`, key) });
    await twinOf(m);
    await ask(m, '$iothub/twin/PATCH/properties/reported', '{"fw":"1.0"}');
    m.end();
    assert.equal((await onHome('PATCH', '/twins/mover', { body: { tags: { room: 'k' }, properties: { desired: { rate: 5 } } } })).status, 200);

    await near.ok('enrollment-group', 'update', 'movers', ...to(FAR));
    const there = await register(d);
    assert.deepEqual([there.status, there.assignedHub, there.substatus], ['assigned', FAR, 'deviceDataMigrated'], JSON.stringify(there));
    const twin = (await onFar('GET', '/twins/mover')).json;
    assert.deepEqual([twin.tags, twin.properties.desired.rate, twin.properties.reported.fw], [{ room: 'k' }, 5, '1.0']);
    assert.equal((await onHome('GET', '/devices/mover')).status, 404);
    assert.equal((await onFar('PATCH', '/twins/mover', { body: { properties: { desired: { rate: 6 } } } })).status, 200);

    await near.ok('enrollment-group', 'update', 'movers', ...to(HOME));
    const back = await register(d);
    assert.deepEqual([back.status, back.assignedHub, back.substatus], ['assigned', HOME, 'reprovisionedToInitialAssignment'], JSON.stringify(back));
    const home = (await onHome('GET', '/twins/mover')).json;
    assert.deepEqual([home.tags, home.properties.desired.rate, home.properties.reported.fw], [{ room: 'k' }, 6, '1.0']);
    await until('it has gone from the other', async () => (await onFar('GET', '/devices/mover')).status === 404);
  });

  test('that is down harms its own devices alone, and they get there when it is back', async () => {
    const d = await pki.make('patient', { issuer: ca });
    await far.kill('SIGTERM');
    const m = await near.mqtt(d);
    let isOver = false;
    const waiting = provision(m, { idScope: near.dev.idScope, registrationId: 'patient', pollEveryMs: 300 }).finally(() => { isOver = true; });
    for (let i = 0; i < 20; i++) assert.equal((await near.provisionByKey(`quick-${i}`)).length > 0, true);
    assert.equal(isOver, false);
    await far.restart();
    const { body } = await waiting;
    assert.deepEqual([body.status, body.registrationState.assignedHub], ['assigned', FAR], JSON.stringify(body));
    m.end();
    assert.equal((await onFar('GET', '/devices/patient')).status, 200);
  });
});

describe('a hub that makes trouble', () => {
  let n = 0;
  const key = Buffer.alloc(64, 1).toString('base64');
  const next = () => {
    const cn = `t-${n++}`;
    return { cn, password: deviceToken(`${near.dev.idScope}/registrations/${cn}`, deriveKey(key, cn), { skn: 'registration' }) };
  };
  const once = (f) => { let done = false; return (q, a) => { if (done) return false; done = true; f(q, a); return true; }; };

  before(() => near.ok('enrollment-group', 'create', 'fake', '--primary-key', key, '--secondary-key', key, ...to(FAKE)));
  beforeEach(() => { fake.trouble = undefined; fake.calls.length = 0; });

  test('none: what is asked of it', async () => {
    const r = await register(next());
    assert.deepEqual([r.status, r.assignedHub], ['assigned', FAKE], JSON.stringify(r));
    assert.deepEqual(fake.calls, ['GET /twins/t-0', 'PUT /devices/t-0']);
  });

  test('its refusal reaches the device in its own words', async () => {
    const words = { Message: 'ErrorCode:IotHubUnauthorizedAccess;Unauthorized', ExceptionMessage: 'Tracking ID:28F7-G2:-TimeStamp:2026' };
    fake.trouble = (q, a) => { a.writeHead(401, { 'iothub-errorcode': 'IotHubUnauthorizedAccess' }).end(JSON.stringify(words)); return true; };
    const r = await register(next());
    assert.deepEqual([r.status, r.errorCode, r.errorMessage], ['failed', 401002, JSON.stringify(words)], JSON.stringify(r));
  });

  for (const [name, trouble] of [
    ['a throttle', (q, a) => a.writeHead(429, { 'iothub-errorcode': 'ThrottlingException', 'Retry-After': '1' }).end('{}')],
    ['a fault', (q, a) => a.writeHead(503).end('<html>')],
    ['no answer', (q, a) => a.socket.destroy()],
    ['half an answer', (q, a) => { a.socket.write('HTTP/1.1 200 OK\r\nContent-Le'); a.socket.destroy(); }],
    ['an answer that is none', (q, a) => { a.socket.end('SSH-2.0-OpenSSH\r\n'); }],
    ['a page', (q, a) => a.writeHead(200).end('<html>welcome</html>')],
  ]) {
    test(`${name}: tried again`, async () => {
      fake.trouble = once(trouble);
      const d = next();
      const r = await register(d);
      assert.deepEqual([r.status, r.assignedHub], ['assigned', FAKE], JSON.stringify(r));
      assert.ok(fake.devices.has(d.cn));
    });
  }

  test('an answer that was lost after the device was made: made once, and assigned', async () => {
    const d = next();
    fake.trouble = (q, a, body) => {
      if (q.method !== 'PUT' || fake.devices.has(d.cn)) return false;
      fake.devices.set(d.cn, { ...JSON.parse(body), etag: 'MQ==' });
      a.socket.destroy();
      return true;
    };
    const r = await register(d);
    assert.equal(r.status, 'assigned', JSON.stringify(r));
  });
});
