// Direct methods over real sockets: the way there and back, times, many at once, and what happens when either end goes.
import assert from 'node:assert/strict';
import https from 'node:https';
import { after, before, test } from 'node:test';
import { Berthd, Pki, deviceToken, sas, until } from '../lib/berth.mjs';
import { provisionedDevices, publishPacket } from '../lib/mqtt.mjs';

const API = 'api-version=2021-04-12';
const METHODS = '$iothub/methods/POST/#';
let b, pki, device;

async function session(cn, { filter = METHODS, ...options } = {}) {
  const m = await b.session(await device(cn), cn, options);
  if (filter) await m.subscribe(filter, 0);
  return m;
}

const invoke = (cn, body, options = {}) => b.hub('POST', `/twins/${cn}/methods?${API}`, { body: { methodName: 'reboot', ...body }, ...options });
const connected = async (cn) => (await b.hub('GET', `/devices/${cn}?${API}`)).json.connectionState === 'Connected';
const parked = async () => Number(/^berth_method_calls (\d+)$/m.exec((await b.request('GET', '/metrics')).text)[1]);
const isParked = (n) => until(`${n} calls are parked`, async () => await parked() === n);

async function called(m, within) {
  const p = await m.next((x) => x.type === 'publish' && x.topic.startsWith('$iothub/methods/POST/'), within);
  const [, name, rid] = /^\$iothub\/methods\/POST\/([^/]+)\/\?\$rid=([0-9a-f]{1,36})$/.exec(p.topic);
  assert.equal(p.qos, 0);
  return { name, rid, payload: p.payload };
}
const reply = (m, { rid }, status = 200, payload = '{}', qos = 0, id = 7) => m.send(publishPacket(`$iothub/methods/res/${status}/?$rid=${rid}`, payload, qos, id));

// Envelope C: JSON in a text.
function refusal(r, status, code, name) {
  assert.equal(r.status, status, r.text);
  assert.equal(r.headers['iothub-errorcode'], name);
  assert.equal(r.json.ExceptionMessage, '');
  const inner = JSON.parse(r.json.Message);
  assert.equal(inner.errorCode, code);
  assert.equal(inner.trackingId, r.headers['x-ms-request-id']);
  return inner;
}
const offline = (r) => refusal(r, 404, 404103, 'DeviceNotOnline');
const tooLate = (r) => refusal(r, 504, 504101, 'GatewayTimeout');

before(async () => {
  b = await Berthd.start({ args: ['--workers', '2', '--loops', '2'] });
  pki = new Pki();
  device = provisionedDevices(b, pki);
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('there and back: name, payload, status and answer to the letter', async () => {
  const m = await session('talk');
  for (const [payload, status, answer, want] of [
    [{ a: [1, null, 'ü'] }, 200, '{"ok" : true,"n":1.50}', '{"status":200,"payload":{"ok" : true,"n":1.50}}'],
    [null, 404, '', '{"status":404,"payload":null}'],
    [undefined, -1, 'null', '{"status":-1,"payload":null}'],
    ['', 2147483647, '"text"', '{"status":2147483647,"payload":"text"}'],
    ['x'.repeat(131070), 200, `"${'y'.repeat(131070)}"`, `{"status":200,"payload":"${'y'.repeat(131070)}"}`],
  ]) {
    const answered = invoke('talk', { payload });
    const c = await called(m);
    assert.deepEqual([c.name, c.payload], ['reboot', JSON.stringify(payload ?? null)]);
    reply(m, c, status, answer, 1);
    assert.equal((await m.next('puback')).id, 7);
    const r = await answered;
    assert.equal(r.status, 200);
    assert.equal(r.text, want);
    assert.match(r.headers['content-type'], /^application\/json/);
  }
  const line = b.stderr.split('\n').filter((l) => l.includes('/methods') && l.includes('deviceStatus=404'));
  assert.equal(line.length, 1);
  assert.match(line[0], /id=talk reason=granted status=200 deviceStatus=404 /);
  m.end();
});

test('commands of digital twins are methods', async () => {
  const m = await session('twin');
  let answered = b.hub('POST', `/digitaltwins/twin/commands/getMaxMin?${API}`, { body: '"since"' });
  let c = await called(m);
  assert.deepEqual([c.name, c.payload], ['getMaxMin', '"since"']);
  reply(m, c, 201, '[1,2]');
  let r = await answered;
  assert.deepEqual([r.status, r.text, r.headers['x-ms-command-statuscode']], [200, '[1,2]', '201']);
  answered = b.hub('POST', `/digitaltwins/twin/components/thermostat1/commands/reset?${API}&responseTimeoutInSeconds=5&connectTimeoutInSeconds=1`);
  c = await called(m);
  assert.deepEqual([c.name, c.payload], ['thermostat1*reset', 'null']);
  reply(m, c, 200, '');
  r = await answered;
  assert.deepEqual([r.status, r.text], [200, 'null']);
  assert.equal((await b.hub('POST', `/digitaltwins/twin/commands/x?${API}&responseTimeoutInSeconds=4`)).status, 400);
  assert.equal((await b.hub('POST', `/digitaltwins/twin/commands/x?${API}&connectTimeoutInSeconds=x`)).status, 400);
  assert.equal((await b.hub('POST', `/digitaltwins/twin/commands/x?${API}`, { body: '{' })).status, 400);
  m.end();
});

test('a module is called by its own name; neither it nor its device answers for the other', async () => {
  const parent = await session('parent');
  const made = await b.hub('PUT', `/devices/parent/modules/cam?${API}`, { body: { deviceId: 'parent', moduleId: 'cam' } });
  assert.equal(made.status, 200, made.text);
  const call = () => b.hub('POST', `/twins/parent/modules/cam/methods?${API}`, { body: { methodName: 'shoot' } });
  offline(await call());
  const m = await b.mqtt();
  const password = deviceToken('localhost/devices/parent/modules/cam', made.json.authentication.symmetricKey.primaryKey);
  assert.equal(await m.connect({ clientId: 'parent/cam', username: `localhost/parent/cam/?${API}`, password }), 0);
  await m.subscribe(METHODS, 1);
  const answered = call(), other = invoke('parent', {});
  const mine = await called(m), its = await called(parent);
  assert.deepEqual([mine.name, its.name], ['shoot', 'reboot']);
  reply(parent, mine, 200, '"lie"', 1);
  reply(m, its, 200, '"lie"', 1);
  await Promise.all([parent.next('puback'), m.next('puback')]);
  reply(m, mine, 200, '"module"');
  reply(parent, its, 200, '"device"');
  assert.deepEqual([(await answered).json.payload, (await other).json.payload], ['module', 'device']);
  m.end();
  parent.end();
});

test('what is refused at once', async () => {
  await device('refused');
  const argument = async (body, options) => {
    const r = await invoke('refused', body, options);
    assert.deepEqual([r.status, r.headers['iothub-errorcode']], [400, 'ArgumentInvalid'], r.text);
    assert.match(r.json.Message, /^ErrorCode:ArgumentInvalid;/);
  };
  for (const methodName of [null, undefined, '', 'a b', 'a/b', 'a+', '#', '$x', 'é', 'x'.repeat(101), 7]) await argument({ methodName });
  for (const responseTimeoutInSeconds of [4, 301, -1, 'x', 5.5]) await argument({ responseTimeoutInSeconds });
  for (const connectTimeoutInSeconds of [-1, 301, 31, true]) await argument({ connectTimeoutInSeconds });
  await argument({ connectTimeoutInSeconds: 6, responseTimeoutInSeconds: 5 });
  await argument({}, { body: '[]' });
  const large = await invoke('refused', { payload: 'x'.repeat(131071) });
  assert.deepEqual([large.status, large.headers['iothub-errorcode']], [413, 'MessageTooLarge']);
  for (const [id, path] of [['DeviceNotFound', '/twins/nobody/methods'],
    ['DeviceNotFound', '/twins/nobody/modules/m/methods'], ['ModuleNotFound', '/twins/refused/modules/m/methods']]) {
    const r = await b.hub('POST', `${path}?${API}`, { body: { methodName: 'x' } });
    assert.deepEqual([r.status, r.headers['iothub-errorcode']], [404, id], path);
  }
  assert.match(offline(await invoke('refused', {})).message, /isn't online/);
  assert.equal((await b.request('POST', `/twins/refused/methods?${API}`, { body: { methodName: 'x' } })).status, 401);
  const m = await session('refused', { filter: '$iothub/twin/res/#' });
  offline(await invoke('refused', {})); // connected, but not for methods
  await m.subscribe('$iothub/methods/POST/reboot/#', 1);
  offline(await invoke('refused', { methodName: 'other' }));
  const answered = invoke('refused', {});
  reply(m, await called(m), 200, '{oops');
  refusal(await answered, 502, 502000, 'BadGateway');
  const long = invoke('refused', {});
  reply(m, await called(m), 200, JSON.stringify('x'.repeat(131072)));
  refusal(await long, 502, 502000, 'BadGateway');
  const { json } = await b.hub('GET', `/devices/refused?${API}`);
  assert.equal((await b.hub('PUT', `/devices/refused?${API}`, { body: { ...json, status: 'disabled' }, headers: { 'If-Match': '*' } })).status, 200);
  offline(await invoke('refused', { connectTimeoutInSeconds: 5 }));
});

test('a device that is not there is waited for as long as the caller says', async () => {
  await device('late');
  let answered = invoke('late', { connectTimeoutInSeconds: 30 });
  await isParked(1);
  let m = await session('late', { filter: null });
  await until('it is connected', () => connected('late'));
  assert.equal(await parked(), 1);
  await m.subscribe(METHODS);
  reply(m, await called(m), 200, '1');
  assert.equal((await answered).text, '{"status":200,"payload":1}');
  m.end();
  await m.closed;
  answered = invoke('late', { connectTimeoutInSeconds: 30 });
  await isParked(1);
  m = await session('late', { clean: false });
  reply(m, await called(m), 200, '2');
  assert.equal((await answered).json.payload, 2);
  m.destroy();
  await until('it is gone', async () => !await connected('late'));
  answered = invoke('late', { connectTimeoutInSeconds: 30 });
  await isParked(1);
  m = await session('late', { clean: false, filter: null }); // what it subscribed to was kept
  reply(m, await called(m), 200, '3');
  assert.equal((await answered).json.payload, 3);
  m.end();
  await until('it is gone', async () => !await connected('late'));
  const began = Date.now();
  offline(await invoke('late', { connectTimeoutInSeconds: 1, responseTimeoutInSeconds: 300 }));
  assert.ok(Date.now() - began >= 1000 && Date.now() - began < 4000);
});

test('a device that does not answer: 504 a little before the caller would give up; a late answer is dropped', async () => {
  const m = await session('mute');
  const began = Date.now();
  const r = await invoke('mute', { responseTimeoutInSeconds: 5 });
  const took = Date.now() - began;
  assert.deepEqual(tooLate(r).info, { timeout: '00:00:05' });
  assert.ok(took > 4300 && took < 5000, `${took} ms`);
  assert.match(b.stderr, /id=mute reason=device-timeout .*waitedUs=4\d{6}\b/);
  reply(m, await called(m), 200, '"late"', 1, 9);
  assert.equal((await m.next('puback')).id, 9);
  reply(m, { rid: 'f00' }, 200, '"never asked"', 1, 10);
  assert.equal((await m.next('puback')).id, 10);
  const answered = invoke('mute', {});
  reply(m, await called(m), 200, '"in time"');
  assert.equal((await answered).json.payload, 'in time');
  m.end();
});

test('no device answers for another, and a topic that is none closes', async () => {
  const m = await session('honest'), other = await session('liar');
  const answered = invoke('honest', {});
  const c = await called(m);
  reply(other, c, 200, '"lie"', 1);
  await other.next('puback');
  reply(m, c, 200, '"truth"');
  assert.equal((await answered).json.payload, 'truth');
  for (const topic of ['$iothub/methods/res/x/?$rid=1', '$iothub/methods/res/200/?$rid=', '$iothub/methods/res/200', '$iothub/methods/POST/x/?$rid=1']) {
    const bad = await session('liar');
    bad.send(publishPacket(topic, '{}'));
    await bad.closed;
  }
  m.end();
});

test('take-over: what was taken may be answered on the new connection, as after a renewal; the rest goes there', async () => {
  const old = await session('moved', { clean: false });
  const first = invoke('moved', {});
  const c = await called(old);
  const now = await session('moved', { clean: false, filter: null });
  await old.closed;
  const second = invoke('moved', { methodName: 'next' });
  const next = await called(now);
  assert.equal(next.name, 'next');
  reply(now, next, 200, '2');
  reply(now, c, 200, '1');
  assert.deepEqual([(await first).json.payload, (await second).json.payload], [1, 2]);
  now.end();
});

test('a device killed with a call in hand: the caller hears at the end of its time', async () => {
  const m = await session('killed');
  const began = Date.now();
  const answered = invoke('killed', { responseTimeoutInSeconds: 5 });
  await called(m);
  m.destroy();
  tooLate(await answered);
  assert.ok(Date.now() - began < 5000);
  offline(await invoke('killed', {}));
});

test('a caller that goes away leaves nothing behind', async () => {
  const m = await session('left');
  const agent = new https.Agent({ keepAlive: false });
  const r = https.request({ host: '127.0.0.1', port: b.httpsPort, servername: 'localhost', ca: b.ca, agent, method: 'POST', path: `/twins/left/methods?${API}`,
    headers: { Host: 'localhost', Authorization: sas(b.dev.hubs[0].connectionString), 'Content-Type': 'application/json' } });
  r.on('error', () => {});
  r.end('{"methodName":"x"}');
  const c = await called(m);
  await isParked(1);
  r.destroy();
  await isParked(0);
  reply(m, c, 200, '1', 1);
  await m.next('puback');
  m.end();
});

test('1,000 calls at once on two workers hold none of them', async () => {
  const names = Array.from({ length: 20 }, (_, i) => `crowd-${i}`);
  const sessions = await Promise.all(names.map((n) => session(n)));
  const calls = [];
  for (let i = 0; i < 1000; i++) calls.push(invoke(names[i % 20], { payload: i, responseTimeoutInSeconds: 120 }));
  const taken = (await Promise.all(sessions.map(async (m) => {
    const mine = [];
    for (let k = 0; k < 50; k++) mine.push({ m, ...await called(m, 60000) });
    return mine;
  }))).flat();
  await isParked(1000);
  const took = [];
  for (let i = 0; i < 50; i++) {
    const began = performance.now();
    assert.equal((await b.hub('GET', `/devices/${names[i % 20]}?${API}`)).status, 200);
    await sessions[i % 20].publish(`devices/${names[i % 20]}/messages/events/`, 'x');
    took.push(performance.now() - began);
  }
  took.sort((x, y) => x - y);
  assert.ok(took[25] < 500, `with 1,000 calls parked, a read and a message took ${took[25]} ms`);
  for (const c of taken) reply(c.m, c, 200, c.payload);
  const answers = await Promise.all(calls);
  answers.forEach((r, i) => assert.deepEqual([r.status, r.json], [200, { status: 200, payload: i }]));
  assert.equal(await parked(), 0);
  for (const m of sessions) m.end();
});

test('a device that reads slowly is sent what it takes; all calls are answered in the end', async () => {
  const m = await session('slow');
  m.socket.pause();
  const calls = Array.from({ length: 100 }, (_, i) => invoke('slow', { payload: String(i).repeat(30000).slice(0, 60000), responseTimeoutInSeconds: 60 }));
  await isParked(100);
  m.socket.resume();
  for (let i = 0; i < 100; i++) reply(m, await called(m, 60000), 200, '1');
  for (const r of await Promise.all(calls)) assert.deepEqual(r.json, { status: 200, payload: 1 });
  m.end();
});

test('SIGTERM: what a device has is waited for a while, what none has is refused; it ends in time', async () => {
  const quick = await session('quick'), never = await session('never');
  await device('absent');
  const answered = invoke('quick', {}), lost = invoke('never', {}), waiting = invoke('absent', { connectTimeoutInSeconds: 30 });
  const c = await called(quick);
  await called(never);
  await isParked(3);
  const began = Date.now();
  b.child.kill('SIGTERM');
  const r = await waiting;
  assert.deepEqual([r.status, r.headers['iothub-errorcode']], [503, 'ServiceUnavailable']);
  reply(quick, c, 200, '"still"');
  assert.equal((await answered).json.payload, 'still');
  await quick.closed;
  assert.equal((await lost).status, 503);
  const { code } = await b.exited;
  assert.equal(code, 0);
  assert.ok(Date.now() - began < 11000);
  await b.restart();
});
