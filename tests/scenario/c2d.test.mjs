// Cloud-to-device messages over real sockets: sent over REST, received over MQTT and HTTPS, and what becomes of those that are not.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd, Pki, deviceToken, sas, until } from '../lib/berth.mjs';
import { provisionedDevices, pubackPacket } from '../lib/mqtt.mjs';

const API = 'api-version=2021-04-12';
let b, pki, device;

const queueOf = (id) => `/devices/${encodeURIComponent(id)}/messages/deviceBound`;
const topicOf = (id) => `devices/${id}/messages/devicebound/`;

const session = async (cn, options) => b.session(await device(cn), cn, options);

// As a back end does. Headers without "iothub-".
const send = (id, body, headers = {}) => b.hub('POST', `/messages/deviceBound?${API}`, {
  body,
  headers: { 'Content-Type': 'application/octet-stream', 'iothub-to': queueOf(id), ...Object.fromEntries(Object.entries(headers).map(([k, v]) => [`iothub-${k}`, v])) },
});
async function sent(id, body, headers) {
  const r = await send(id, body, headers);
  assert.equal(r.status, 201, r.text);
  return r.headers;
}

const message = (m) => m.next('publish');
const ack = (m, p) => m.send(pubackPacket(p.id));
const count = async (id) => (await b.hub('GET', `/devices/${id}?${API}`)).json.cloudToDeviceMessageCount;
const emptied = (id) => until(`${id}'s queue is empty`, async () => await count(id) === 0);
// Everything that was sent to this session so far was read when this comes back.
async function quiet(m) {
  m.send(Buffer.from([0xc0, 0]));
  await m.next('pingresp');
  return m.packets.filter((p) => p.type === 'publish');
}

// Polls and settles as a device does.
const poll = async (id, headers = {}) => b.request('GET', `${queueOf(id)}?${API}`, { device: await device(id), headers });
const settle = async (id, method, rest) => (await b.request(method, `${queueOf(id)}/${rest}`, { device: await device(id) })).status;
const tokenOf = (r) => /^"([0-9a-f-]{36})"$/.exec(r.headers.etag)[1];

async function feedback() {
  const all = [];
  for (;;) {
    const r = await b.hub('GET', `/messages/serviceBound/feedback?${API}`);
    if (r.status === 204) return all;
    assert.equal(r.status, 200);
    assert.equal(r.headers['content-type'], 'application/vnd.microsoft.iothub.feedback.json');
    all.push(...r.json);
    assert.equal((await b.hub('DELETE', `/messages/serviceBound/feedback/${tokenOf(r)}?${API}`)).status, 204);
  }
}
const outcomes = async () => Object.fromEntries((await feedback()).map((f) => [f.originalMessageId, f.statusCode]));

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  device = provisionedDevices(b, pki);
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('a message reaches a subscriber, with all its properties in order, and is gone once acknowledged', async () => {
  const m = await session('plain');
  await m.subscribe(`${topicOf('plain')}#`);
  const expiry = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60000).toISOString().replace('.000Z', 'Z');
  const headers = await sent('plain', 'hällo', { messageid: 'id 1', correlationid: 'c/1', userid: 'u', ack: 'full', expiry, contenttype: 'text/plain',
    contentencoding: 'utf-8', 'app-k': 'v&w=1', 'app-empty': '', 'app-last': '%' });
  assert.equal(headers['iothub-messageid'], 'id 1');
  assert.equal(headers['iothub-sequencenumber'], '1');
  const p = await message(m);
  assert.equal(p.topic, `${topicOf('plain')}%24.mid=id%201&%24.exp=${encodeURIComponent(expiry.replace('Z', '.0000000Z'))}` +
    '&%24.to=%2Fdevices%2Fplain%2Fmessages%2FdeviceBound&%24.cid=c%2F1&%24.uid=u&%24.ct=text%2Fplain&%24.ce=utf-8&iothub-ack=full' +
    '&k=v%26w%3D1&last=%25');
  assert.deepEqual([p.payload, p.qos, p.dup], ['hällo', 1, false]);
  assert.equal(await count('plain'), 1);
  ack(m, p);
  await emptied('plain');
  const [f, ...others] = await feedback();
  assert.equal(others.length, 0);
  assert.deepEqual({ ...f, enqueuedTimeUtc: '', deviceGenerationId: '' }, { originalMessageId: 'id 1', description: 'Success', deviceGenerationId: '',
    deviceId: 'plain', enqueuedTimeUtc: '', statusCode: 'Success' });
  assert.equal(f.deviceGenerationId, (await b.hub('GET', `/devices/plain?${API}`)).json.generationId);
  // without anything: the address alone, and an ID that the hub makes
  const bare = await sent('plain', 'x');
  assert.match(bare['iothub-messageid'], /^[0-9a-f-]{36}$/);
  assert.equal((await message(m)).topic, `${topicOf('plain')}%24.mid=${bare['iothub-messageid']}&%24.to=%2Fdevices%2Fplain%2Fmessages%2FdeviceBound`);
  m.end();
});

test('what is sent must be right', async () => {
  await device('right');
  const cases = [
    [{ 'iothub-to': '/devices/nobody/messages/deviceBound' }, 404, 'DeviceNotFound'],
    [{ 'iothub-to': '/devices/right/modules/none/messages/devicebound' }, 404, 'ModuleNotFound'],
    [{ 'iothub-to': '/devices/right/messages/events' }, 400],
    [{ 'iothub-to': '/devices/right/messages/deviceBound/' }, 400],
    [{ 'iothub-to': '' }, 400],
    [{ 'iothub-to': '/DEVICES/r%69ght/MESSAGES/DEVICEBOUND' }, 201],
    [{ 'iothub-ack': 'maybe' }, 400],
    [{ 'iothub-expiry': 'tomorrow' }, 400],
    [{ 'iothub-expiry': '1000' }, 400],
    [{ 'iothub-expiry': String(Date.now() + 60000) }, 201],
    [{ 'iothub-expiry': String(Date.now() + 3 * 24 * 3600 * 1000) }, 400],
    [{ 'iothub-app-$.mid': 'spoof' }, 400],
    [{ 'Content-Type': 'image/png' }, 201],
    [{ Authorization: sas(b.dev.serviceConnectionString) }, 401],
  ];
  for (const [headers, status, code] of cases) {
    const r = await b.hub('POST', `/messages/devicebound?${API}`, { body: '{not json', headers: { 'Content-Type': 'text/plain', 'iothub-to': queueOf('right'), ...headers } });
    assert.equal(r.status, status, `${JSON.stringify(headers)}: ${r.text}`);
    if (code) assert.equal(r.headers['iothub-errorcode'], code);
  }
  assert.equal((await send('right', 'x'.repeat(64 * 1024 + 1))).status, 413);
  assert.equal((await send('right', 'x'.repeat(64 * 1024 - 100))).status, 201);
});

test('fifty wait, in order; the next is refused; a purge empties the queue', async () => {
  await device('deep');
  for (let i = 0; i < 50; i++) await sent('deep', `${i}`, { messageid: `d${i}`, ack: i === 7 ? 'negative' : 'positive' });
  const r = await send('deep', 'one too many');
  assert.equal(r.status, 403);
  assert.equal(r.headers['iothub-errorcode'], 'DeviceMaximumQueueDepthExceeded');
  const m = await session('deep', { clean: false });
  await m.subscribe(`${topicOf('deep')}#`);
  for (let i = 0; i < 20; i++) { // more than one window
    const p = await message(m);
    assert.equal(p.payload, `${i}`);
    ack(m, p);
  }
  await until('20 are completed', async () => await count('deep') === 30);
  m.end();
  const purged = await b.hub('DELETE', `/devices/deep/commands?${API}`);
  assert.deepEqual([purged.status, purged.json], [200, { totalMessagesPurged: 30, deviceId: 'deep', moduleId: null }]);
  assert.equal(await count('deep'), 0);
  assert.equal((await b.hub('DELETE', `/devices/nobody/commands?${API}`)).status, 404);
  const became = await outcomes();
  assert.equal(Object.values(became).filter((s) => s === 'Success').length, 19);
  assert.equal(became.d7, undefined); // delivered, and only a failure was to be told
  assert.equal((await poll('deep')).status, 204);
});

test('what was not acknowledged comes again with DUP: after a break, a restart, and to who takes over', async () => {
  let m = await session('again', { clean: false });
  await m.subscribe(`${topicOf('again')}#`);
  await sent('again', 'one');
  await sent('again', 'two');
  let [one, two] = [await message(m), await message(m)];
  assert.deepEqual([one.dup, two.dup], [false, false]);
  ack(m, one);
  await until('one is completed', async () => await count('again') === 1);
  m.destroy();
  m = await session('again', { clean: false }); // the filter was kept
  two = await message(m);
  assert.deepEqual([two.payload, two.dup], ['two', true]);
  const newer = await session('again', { clean: false }); // takes over
  await m.closed;
  assert.deepEqual([(await message(newer)).payload], ['two']);
  await b.kill('SIGTERM');
  await b.restart();
  m = await session('again', { clean: true }); // the queue is the hub's, filters are the session's
  assert.deepEqual(await quiet(m), []);
  await m.subscribe(`devices/+/messages/devicebound/#`);
  two = await message(m);
  assert.deepEqual([two.payload, two.dup], ['two', true]);
  m.send(pubackPacket(0)); // means nothing
  m.send(pubackPacket(two.id + 1));
  await quiet(m);
  assert.equal(await count('again'), 1);
  ack(m, two);
  await emptied('again');
  m.end();
});

test('an acknowledgement right before DISCONNECT counts', async () => {
  const m = await session('hasty', { clean: false });
  await m.subscribe(`${topicOf('hasty')}#`);
  await sent('hasty', 'x', { messageid: 'hasty', ack: 'full' });
  m.send(Buffer.concat([pubackPacket((await message(m)).id), Buffer.from([0xe0, 0])])); // in one TLS record
  await m.closed;
  assert.equal(await count('hasty'), 0);
  assert.deepEqual(await outcomes(), { hasty: 'Success' });
});

test('ten deliveries and no more', async () => {
  await device('tired');
  await sent('tired', 'x', { messageid: 'tired', ack: 'negative' });
  for (let i = 1; i <= 10; i++) {
    const m = await session('tired', { clean: false });
    if (i === 1) await m.subscribe(`${topicOf('tired')}#`);
    assert.equal((await message(m)).dup, i > 1);
    m.destroy();
    await m.closed;
  }
  const m = await session('tired', { clean: false });
  await emptied('tired');
  assert.deepEqual(await quiet(m), []);
  assert.deepEqual(await outcomes(), { tired: 'DeliveryCountExceeded' });
  m.end();
});

test('an expired message is never delivered, and its sender is told', async () => {
  await device('late');
  await sent('late', 'x', { messageid: 'late', ack: 'full', expiry: String(Date.now() + 300) });
  await sent('late', 'y', { messageid: 'in time', ack: 'none' });
  await until('the keeper took it away', async () => await count('late') === 1);
  assert.deepEqual(await outcomes(), { late: 'Expired' });
  const m = await session('late');
  await m.subscribe('#', 0);
  assert.equal((await message(m)).payload, 'y');
  m.end();
});

test('QoS 0 completes by sending, also for who listens to everything', async () => {
  const m = await session('everything', { clean: false });
  await m.subscribe('#', 0);
  for (let i = 0; i < 40; i++) await sent('everything', `${i}`, { messageid: `e${i}`, ack: i === 39 ? 'full' : 'none' });
  for (let i = 0; i < 40; i++) {
    const p = await message(m);
    assert.deepEqual([p.payload, p.qos, p.dup], [`${i}`, 0, false]);
  }
  await emptied('everything');
  assert.deepEqual(await outcomes(), { e39: 'Success' });
  m.destroy();
  const again = await session('everything', { clean: false });
  assert.deepEqual(await quiet(again), []);
  again.end();
});

test('unsubscribed, nothing comes; messages wait for the next subscription', async () => {
  const m = await session('fickle');
  await m.subscribe('$iothub/twin/res/#');
  await sent('fickle', 'x');
  assert.deepEqual(await quiet(m), []);
  assert.equal(await count('fickle'), 1);
  await m.subscribe(`${topicOf('fickle')}#`);
  ack(m, await message(m));
  await emptied('fickle');
  m.end();
});

test('HTTPS: poll, complete, reject, abandon, and a lock that is lost', async () => {
  assert.equal((await poll('web')).status, 204);
  for (const id of ['w1', 'w2', 'w3']) await sent('web', id, { messageid: id, ack: 'full', 'app-Key': 'value', contenttype: 'text/plain', contentencoding: 'utf-8' });
  for (const path of ['/devices/web/messages/deviceBound', '/messages/serviceBound/feedback']) { // which would lock what nobody sees
    assert.equal((await b.hub('HEAD', `${path}?${API}`)).status, 405);
  }
  const first = await poll('web');
  assert.equal(first.status, 200);
  assert.equal(first.text, 'w1');
  const { etag, date, 'x-ms-request-id': id, 'iothub-enqueuedtime': time, ...headers } = first.headers;
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60000 && date && id);
  delete headers.connection;
  assert.deepEqual(headers, { 'content-type': 'text/plain', 'iothub-messageid': 'w1', 'iothub-to': queueOf('web'), 'iothub-contenttype': 'text/plain',
    'iothub-contentencoding': 'utf-8', contenttype: 'text/plain', contentencoding: 'utf-8',
    'iothub-ack': 'full', 'iothub-sequencenumber': '1', 'iothub-deliverycount': '1', 'iothub-app-key': 'value', 'content-length': '2' });
  for (const name of ['ContentType', 'ContentEncoding', 'ETag']) assert.ok(first.rawHeaders.includes(name)); // the C SDK's spelling
  const second = await poll('web');
  assert.equal(second.text, 'w2');
  assert.equal(await settle('web', 'POST', `${tokenOf(first)}/abandon?${API}`), 204);
  const again = await poll('web');
  assert.deepEqual([again.text, again.headers['iothub-deliverycount']], ['w1', '2']);
  assert.equal(await settle('web', 'DELETE', `${tokenOf(first)}?${API}`), 412); // that lock is over
  assert.equal(await settle('web', 'DELETE', `${tokenOf(again)}?${API}`), 204);
  assert.equal(await settle('web', 'DELETE', `${tokenOf(second)}?${API}&reject`), 204);
  const third = await poll('web', { 'iothub-messagelocktimeout': '1' });
  assert.equal(third.text, 'w3');
  await until('the lock is lost', async () => (await poll('web', { 'iothub-messagelocktimeout': '1' })).status === 200);
  assert.equal(await settle('web', 'DELETE', `${tokenOf(third)}?${API}&%3Freject=true`), 412);
  assert.equal((await poll('web', { 'iothub-messagelocktimeout': '301' })).status, 400);
  assert.equal((await b.request('GET', `${queueOf('web')}?${API}`, { device: await device('plain') })).status, 401);
  assert.deepEqual(await outcomes(), { w1: 'Success', w2: 'Rejected' });
});

test('MQTT and HTTPS at once: a message is with one of them', async () => {
  await device('both');
  await sent('both', 'a');
  await sent('both', 'b');
  const held = await poll('both');
  assert.equal(held.text, 'a');
  const m = await session('both');
  await m.subscribe(`${topicOf('both')}#`);
  assert.equal((await message(m)).payload, 'b');
  assert.equal((await poll('both')).status, 204); // b is the session's
  assert.equal(await settle('both', 'POST', `${tokenOf(held)}/abandon?${API}`), 204);
  const p = await message(m);
  assert.deepEqual([p.payload, p.dup], ['a', true]);
  m.destroy();
  await m.closed;
  await until('the session is over', async () => (await poll('both')).status === 200);
});

test('a module has a queue of its own, over both, and a device made anew has none of the former', async () => {
  await device('edge');
  const made = await b.hub('PUT', `/devices/edge/modules/mod?${API}`, { body: { deviceId: 'edge', moduleId: 'mod' } });
  assert.equal(made.status, 200, made.text);
  const token = deviceToken('localhost/devices/edge/modules/mod', made.json.authentication.symmetricKey.primaryKey);
  const to = { to: '/devices/edge/modules/mod/messages/deviceBound' };
  await sent('edge', 'for the device');
  for (const text of ['one', 'two']) await sent('edge', text, { ...to, messageid: text, ack: 'full' });
  const m = await b.mqtt();
  assert.equal(await m.connect({ clientId: 'edge/mod', username: `localhost/edge/mod/?${API}`, password: token, clean: false }), 0);
  await m.subscribe('devices/edge/modules/mod/messages/devicebound/#');
  const p = await message(m);
  assert.equal(p.topic, 'devices/edge/modules/mod/messages/devicebound/%24.mid=one&%24.to=%2Fdevices%2Fedge%2Fmodules%2Fmod%2Fmessages%2FdeviceBound&iothub-ack=full');
  ack(m, p);
  await message(m);
  await until('one is completed', async () => (await b.hub('GET', `/devices/edge/modules/mod?${API}`)).json.cloudToDeviceMessageCount === 1);
  m.destroy();
  await m.closed;
  const ask = (method, rest) => b.request(method, `/devices/edge/modules/mod/messages/devicebound${rest}`, { headers: { Authorization: token } });
  const polled = await until('two is free', async () => {
    const r = await ask('GET', `?${API}`);
    return r.status === 200 && r;
  });
  assert.equal(polled.text, 'two');
  assert.equal((await ask('DELETE', `/${tokenOf(polled)}?${API}`)).status, 204);
  const { one, two, ...rest } = await outcomes();
  assert.deepEqual([one, two, rest], ['Success', 'Success', {}]);
  await sent('edge', 'three', to);
  assert.deepEqual((await b.hub('DELETE', `/devices/edge/modules/mod/commands?${API}`)).json, { totalMessagesPurged: 1, deviceId: 'edge', moduleId: 'mod' });
  assert.equal(await count('edge'), 1);
  assert.equal((await b.hub('DELETE', `/devices/edge?${API}`, { headers: { 'If-Match': '*' } })).status, 204);
  assert.equal((await send('edge', 'nobody')).status, 404);
  assert.equal((await b.hub('PUT', `/devices/edge?${API}`, { body: { deviceId: 'edge' } })).status, 200);
  assert.equal(await count('edge'), 0);
});

test('feedback is read in batches, and comes back when it is abandoned', async () => {
  await device('echo');
  for (let i = 0; i < 3; i++) await sent('echo', 'x', { messageid: `f${i}`, ack: 'full' });
  await b.hub('DELETE', `/devices/echo/commands?${API}`);
  const r = await b.hub('GET', `/messages/servicebound/feedback?${API}`);
  assert.deepEqual(r.json.map((f) => [f.originalMessageId, f.statusCode]), [['f0', 'Purged'], ['f1', 'Purged'], ['f2', 'Purged']]);
  assert.equal((await b.hub('GET', `/messages/serviceBound/feedback?${API}`)).status, 204); // locked
  assert.equal((await b.hub('POST', `/messages/serviceBound/feedback/${tokenOf(r)}/abandon?${API}`)).status, 204);
  assert.equal((await b.hub('DELETE', `/messages/serviceBound/feedback/${tokenOf(r)}?${API}`)).status, 412);
  assert.equal((await feedback()).length, 3);
});

// Every message is sent once by the back end and acknowledged to it; the device acknowledges what it gets. In the middle the server
// dies. A message that was acknowledged by the device is not seen again; one seen twice has DUP the second time; none is lost.
test('SIGKILL in the middle of deliveries and acknowledgements', async () => {
  const names = Array.from({ length: 6 }, (_, i) => `storm-${i}`);
  await Promise.all(names.map(device));
  const accepted = new Map(names.map((n) => [n, []])); // acknowledged to the back end
  const state = new Map(names.map((n) => [n, new Map()])); // text -> times seen
  const wrong = [];
  let over = false;

  const sendForEver = async (name, round) => {
    for (let i = 0; !over; i++) {
      const text = `${round}/${i}`;
      const r = await send(name, text).catch(() => undefined);
      if (r?.status === 201) accepted.get(name).push(text);
      else if (r !== undefined && r.status !== 403) wrong.push(`${name}: ${r.status}`);
    }
  };
  const receiveForEver = async (name) => {
    let m, n = 0;
    try {
      m = await session(name, { clean: false });
      await m.subscribe(`${topicOf(name)}#`);
      for (;;) {
        const p = await m.next('publish', 3000);
        const seen = state.get(name).get(p.payload) ?? 0;
        if (seen > 0 && !p.dup) wrong.push(`${name}: ${p.payload} again without DUP`);
        state.get(name).set(p.payload, seen + 1);
        if (++n % 3 !== 0 || over) ack(m, p); // a third waits for the next session
      }
    } catch { m?.destroy(); }
  };
  for (const [round, ms] of [150, 400, 800].entries()) {
    over = false;
    const begun = names.reduce((n, name) => n + state.get(name).size, 0);
    const storm = names.flatMap((n) => [sendForEver(n, round), receiveForEver(n)]);
    await until('a storm', () => names.reduce((n, name) => n + state.get(name).size, 0) > begun + 20);
    await new Promise((r) => setTimeout(r, ms));
    await b.kill('SIGKILL');
    over = true;
    await Promise.all(storm);
    await b.restart();
  }
  await Promise.all(names.map(receiveForEver)); // all that is left: until nothing comes any more
  assert.deepEqual(wrong, []);
  for (const name of names) {
    assert.deepEqual(accepted.get(name).filter((text) => !state.get(name).has(text)), [], `${name}: lost`);
    assert.equal(await count(name), 0);
  }
});
