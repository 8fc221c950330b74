// The hub's door over real sockets: who gets in, what may be said, take-over, will, cutting off.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd, Pki, sleep } from '../lib/berth.mjs';
import { Mqtt, connectPacket, provisionedDevices, publishPacket } from '../lib/mqtt.mjs';

let b, pki, device;

const session = async (cn, options) => b.session(await device(cn), cn, options);
const events = (cn, count) => b.events(cn, count);

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  device = provisionedDevices(b, pki);
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('who is let in', async () => {
  const d = await device('door');
  const stranger = await pki.make('door');
  const cases = [
    ['the device', d, { clientId: 'door', username: 'localhost/door/?api-version=2021-04-12' }, 0],
    ['the older user name', d, { clientId: 'door', username: 'localhost/door/api-version=2016-11-14&DeviceClientType=x' }, 0],
    ['no api-version', d, { clientId: 'door', username: 'localhost/door' }, 0],
    ['an empty password', d, { clientId: 'door', username: 'localhost/door/?api-version=2021-04-12', password: '' }, 0],
    ['another certificate of that name', stranger, { clientId: 'door', username: 'localhost/door/?api-version=2021-04-12' }, 5],
    ['no certificate', {}, { clientId: 'door', username: 'localhost/door/?api-version=2021-04-12' }, 5],
    ['a device that is not there', d, { clientId: 'ghost', username: 'localhost/ghost/?api-version=2021-04-12' }, 5],
    ['another client ID', d, { clientId: 'other', username: 'localhost/door/?api-version=2021-04-12' }, 5],
    ['case matters', d, { clientId: 'DOOR', username: 'localhost/DOOR/?api-version=2021-04-12' }, 5],
    ['a hub that is not there', d, { clientId: 'door', username: 'nowhere.example/door/?api-version=2021-04-12' }, 5],
    ['MQTT 3.1', d, { clientId: 'door', username: 'localhost/door/?api-version=2021-04-12', protocol: 'MQIsdp', level: 3 }, 1],
    ['MQTT 5', d, { clientId: 'door', username: 'localhost/door/?api-version=2021-04-12', level: 5 }, 1],
  ];
  for (const [what, who, options, code] of cases) {
    const m = await b.mqtt(who);
    assert.equal(await m.connect(options), code, what);
    if (code === 0) m.end();
    else await m.closed;
  }
});

test('telemetry: both QoS, the bag in all its spellings, order kept', async () => {
  const m = await session('talker');
  const bags = ['', '/', '/?a=1', '/a=1/', '/%24.mid=m1&a=b%3Dc&flag', '/a=1&%24.cid=c&%24.ctime=2026-01-01T00:00:00Z'];
  m.send(publishPacket('devices/talker/messages/events/', 'q0', 0));
  for (const [i, bag] of bags.entries()) await m.publish(`devices/talker/messages/events${bag}`, `n${i}`);
  const got = await events('talker', bags.length + 1);
  assert.deepEqual(got.map((e) => e.body), ['q0', ...bags.map((_, i) => `n${i}`)]);
  assert.equal(got[3].applicationProperties.a, '1');
  assert.equal(got[5].systemProperties['message-id'], 'm1');
  assert.equal(got[5].applicationProperties.a, 'b=c');
  assert.equal(got[1].systemProperties['iothub-connection-device-id'], 'talker');
  for (let i = 1; i < got.length; i++) assert.ok(got[i].offset > got[i - 1].offset);
  m.end();
});

test('many QoS 1 messages at once are all acknowledged, in order', async () => {
  const m = await session('burst');
  const ids = Array.from({ length: 500 }, (_, i) => i + 1);
  m.send(Buffer.concat(ids.map((id) => publishPacket('devices/burst/messages/events/', `b${id}`, 1, id))));
  const acks = [];
  while (acks.length < ids.length) acks.push((await m.next('puback')).id);
  assert.deepEqual(acks, ids);
  assert.deepEqual((await events('burst', 500)).map((e) => e.body), ids.map((id) => `b${id}`));
  m.end();
});

test('bodies that are not text come as base64', async () => {
  const m = await session('binary');
  const id = m.packetId++;
  m.send(publishPacket('devices/binary/messages/events/', Buffer.from([0xff, 0x00, 0xfe]), 1, id));
  await m.next('puback');
  assert.equal((await events('binary', 1))[0].bodyBase64, '/wD+');
  m.end();
});

test('a topic that is not the device\'s closes the connection without a word', async () => {
  for (const topic of ['devices/victim/messages/events/', 'foo', 'devices/trespasser/other', '$iothub/unknown/x', '$dps/registrations/PUT/iotdps-register/?$rid=1']) {
    const m = await session('trespasser');
    m.send(publishPacket(topic, 'x', 1, 9));
    await m.closed;
    assert.equal(m.packets.filter((p) => p.type === 'puback').length, 0, topic);
  }
});

test('subscriptions are granted with QoS at most 1', async () => {
  const m = await session('listener');
  assert.equal(await m.subscribe('devices/listener/messages/devicebound/#', 2), 1);
  assert.equal(await m.subscribe('#', 0), 0);
  assert.equal(await m.subscribe('$iothub/methods/POST/#', 1), 1);
  m.end();
});

test('a second connection of the device takes over', async () => {
  const one = await session('twice');
  const two = await session('twice');
  await one.closed;
  await two.publish('devices/twice/messages/events/', 'second');
  assert.equal(two.isClosed, false);
  // a stranger who merely names the device does not
  const stranger = await b.mqtt(await pki.make('twice'));
  assert.equal(await stranger.connect({ clientId: 'twice', username: 'localhost/twice/?api-version=2021-04-12' }), 5);
  await two.publish('devices/twice/messages/events/', 'still');
  two.end();
});

test('the will becomes telemetry when the device vanishes, not when it says goodbye', async () => {
  const will = { topic: 'devices/mortal/messages/events/a=1', payload: 'gone', qos: 1 };
  const polite = await session('mortal', { will });
  polite.end();
  await polite.closed;
  const rude = await session('mortal', { will });
  rude.destroy();
  const got = await events('mortal', 1);
  assert.equal(got.length, 1);
  assert.equal(got[0].body, 'gone');
  assert.equal(got[0].applicationProperties['iothub-MessageType'], 'Will');
  const d = await device('mortal');
  const m = await b.mqtt(d);
  m.send(connectPacket({ clientId: 'mortal', username: 'localhost/mortal/?api-version=2021-04-12', will: { topic: 'foo', payload: '' } }));
  await m.closed; // a will for elsewhere is not accepted
});

test('a disabled device is cut off at once and refused; enabled, it is let in', async () => {
  const m = await session('suspect');
  await b.ok('hub', 'device-identity', 'disable', '--device-id', 'suspect');
  const at = Date.now();
  await m.closed;
  assert.ok(Date.now() - at < 2000);
  const again = await b.mqtt(await device('suspect'));
  assert.equal(await again.connect({ clientId: 'suspect', username: 'localhost/suspect/?api-version=2021-04-12' }), 3);
  assert.equal((await b.json('hub', 'device-identity', 'show', '--device-id', 'suspect')).status, 'disabled');
  const [latest, ...older] = (await b.service('GET', '/berth/v1/decisions?registrationId=SUSPECT')).json.value;
  assert.deepEqual([latest.operation, latest.reason, latest.deviceId], ['connect', 'device-disabled', 'suspect']);
  assert.ok(older.some((d) => d.operation === 'register' && d.outcome === 'granted'));
  await b.ok('hub', 'device-identity', 'enable', '--device-id', 'suspect');
  (await session('suspect')).end();
});

test('a device that comes back with another certificate ends the session of the former one', async () => {
  const m = await session('rekeyed');
  device.forget('rekeyed');
  await device('rekeyed');
  await m.closed;
  (await session('rekeyed')).end();
});

test('keep-alive: silence beyond 1.5 times closes, pings keep open', async () => {
  const silent = await session('sleeper', { keepAlive: 1 });
  const at = Date.now();
  await silent.closed;
  assert.ok(Date.now() - at < 4000);
  const awake = await session('waker', { keepAlive: 1 });
  for (let i = 0; i < 4; i++) {
    await sleep(700);
    awake.send(Buffer.from([0xc0, 0]));
    await awake.next('pingresp');
  }
  assert.equal(awake.isClosed, false);
  awake.end();
});

test('a slow event reader holds up nobody', async () => {
  const reader = await Mqtt.open({ port: b.httpsPort, ca: b.ca });
  const { sas } = await import('../lib/berth.mjs');
  reader.socket.pause();
  reader.send(Buffer.from(`GET /messages/events?from=start HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${sas(b.dev.hubs[0].connectionString)}\r\n\r\n`));
  const m = await session('firehose');
  const big = 'x'.repeat(100000);
  for (let i = 0; i < 60; i++) await m.publish('devices/firehose/messages/events/', big);
  m.end();
  assert.equal((await events('firehose', 60)).length, 60);
  reader.destroy();
});
