// Twins over real sockets: reported, desired, and what survives a restart, a power cut and a take-over.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Berthd, Pki } from '../lib/berth.mjs';
import { provisionedDevices, publishPacket } from '../lib/mqtt.mjs';

const API = 'api-version=2021-04-12';
const DESIRED = '$iothub/twin/PATCH/properties/desired/#';
let b, pki, device, serial = 0;

const session = async (cn, options) => b.session(await device(cn), cn, options);

async function ask(m, topic, body) {
  const rid = `r${serial++}`;
  m.send(publishPacket(`${topic}/?$rid=${rid}`, body, 0));
  const p = await m.next((x) => x.type === 'publish' && x.topic.includes(`?$rid=${rid}`));
  const [, status, version] = /^\$iothub\/twin\/res\/(\d{3})\/\?\$rid=\w+(?:&\$version=(\d+))?$/.exec(p.topic);
  return { status: Number(status), version: Number(version), body: p.payload === '' ? '' : JSON.parse(p.payload) };
}
const get = (m) => ask(m, '$iothub/twin/GET', '');
const report = (m, patch) => ask(m, '$iothub/twin/PATCH/properties/reported', JSON.stringify(patch));
const pushed = async (m) => {
  const p = await m.next((x) => x.type === 'publish' && x.topic.startsWith('$iothub/twin/PATCH/properties/desired/?$version='));
  return JSON.parse(p.payload);
};
const desire = async (cn, desired) => {
  const r = await b.hub('PATCH', `/twins/${cn}?${API}`, { body: { properties: { desired } } });
  assert.equal(r.status, 200, r.text);
  return r.json.properties.desired.$version;
};

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  device = provisionedDevices(b, pki);
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('a device reports, the back end sees it; the back end desires, the device is told', async () => {
  const m = await session('talk');
  await m.subscribe('$iothub/twin/res/#', 0);
  await m.subscribe(DESIRED, 0);
  assert.deepEqual((await get(m)).body, { desired: { $version: 1 }, reported: { $version: 1 } });
  assert.deepEqual(await report(m, { fw: '1.0', net: { ip: '::1' } }), { status: 204, version: 2, body: '' });
  assert.equal((await report(m, { 'a.b': 1 })).body.errorCode, 400004);
  await desire('talk', { led: 'on', gone: null });
  assert.deepEqual(await pushed(m), { led: 'on', gone: null, $version: 2 });
  const twin = await b.json('hub', 'device-twin', 'show', 'talk');
  assert.equal(twin.connectionState, 'Connected');
  assert.equal(twin.properties.reported.net.ip, '::1');
  assert.deepEqual((await get(m)).body, { desired: { led: 'on', $version: 2 }, reported: { fw: '1.0', net: { ip: '::1' }, $version: 2 } });
  m.end();
});

test('the command line changes, replaces, and minds the ETag', async () => {
  const m = await session('cli');
  await m.subscribe(DESIRED, 1);
  let twin = await b.json('hub', 'device-twin', 'update', 'cli', '--desired', '{"a":1}', '--tags', '{"room":"k"}');
  assert.deepEqual([twin.tags, twin.properties.desired.a, twin.version], [{ room: 'k' }, 1, 3]);
  assert.deepEqual(await pushed(m), { a: 1, $version: 2 });
  assert.equal((await b.cli('hub', 'device-twin', 'update', 'cli', '--tags', '{}', '--etag', 'AAAAAAAAAAE=')).code, 5);
  const file = path.join(b.dir, 'twin.json');
  fs.writeFileSync(file, JSON.stringify({ ...twin, tags: { room: 'hall' } }));
  twin = await b.json('hub', 'device-twin', 'replace', 'cli', '--json', `@${file}`, '--etag', twin.etag);
  assert.deepEqual([twin.tags, twin.properties.desired.a], [{ room: 'hall' }, 1]);
  assert.deepEqual(await pushed(m), { a: 1, $version: 3 });
  assert.equal((await b.cli('hub', 'device-twin', 'update', 'cli')).code, 2);
  assert.equal((await b.cli('hub', 'device-twin', 'update', 'cli', '--tags', 'x')).code, 2);
  assert.equal((await b.cli('hub', 'device-twin', 'replace', 'cli', '--json', '[1]')).code, 2);
  assert.equal((await b.cli('hub', 'device-twin', 'show', 'nobody')).code, 3);
  m.end();
});

test('subscriptions outlive the connection and the server; clean session ends them', async () => {
  let m = await session('keeper', { clean: false });
  assert.equal(await m.subscribe(DESIRED, 1), 1);
  m.destroy();
  await b.kill('SIGTERM');
  await b.restart();
  m = await session('keeper', { clean: false });
  await desire('keeper', { x: 1 });
  assert.deepEqual(await pushed(m), { x: 1, $version: 2 });
  const newer = await session('keeper', { clean: false }); // takes over, with what was kept
  await m.closed;
  await desire('keeper', { x: 2 });
  assert.deepEqual(await pushed(newer), { x: 2, $version: 3 });
  newer.end();
  await newer.closed;
  (await session('keeper', { clean: true })).end();
  m = await session('keeper', { clean: false });
  await desire('keeper', { x: 3 });
  await m.subscribe('$iothub/twin/res/#', 1);
  assert.equal((await get(m)).body.desired.x, 3); // by then a push would have come
  assert.equal(m.packets.filter((p) => p.type === 'publish').length, 0);
  m.end();
});

test('what was acknowledged is there after SIGKILL: reported properties, and subscriptions', async () => {
  for (let i = 1; i <= 5; i++) {
    const m = await session('survivor', { clean: false });
    await m.subscribe(i % 2 ? '$iothub/twin/res/#' : '$iothub/twin/+/#', 1);
    const r = await report(m, { round: i });
    assert.equal(r.status, 204);
    await b.kill('SIGKILL');
    await m.closed;
    await b.restart();
    const again = await session('survivor', { clean: false });
    const { body } = await get(again); // answered: the subscription is there
    assert.deepEqual([body.reported.round, body.reported.$version], [i, r.version]);
    again.end();
  }
});

test('many devices and back ends at once: every version once, pushes in order', async () => {
  const names = Array.from({ length: 50 }, (_, i) => `many-${i}`);
  const sessions = await Promise.all(names.map(async (n) => {
    const m = await session(n);
    await m.subscribe('$iothub/twin/res/#', 0);
    await m.subscribe(DESIRED, 0);
    return m;
  }));
  await Promise.all(sessions.map(async (m, i) => {
    const versions = [];
    for (let k = 0; k < 10; k++) versions.push((await report(m, { [`k${k}`]: k })).version);
    assert.deepEqual(versions, Array.from({ length: 10 }, (_, k) => k + 2), names[i]);
  }));
  const changes = await Promise.all(Array.from({ length: 40 }, (_, k) => desire('many-0', { k })));
  assert.deepEqual(changes.sort((x, y) => x - y), Array.from({ length: 40 }, (_, k) => k + 2));
  const seen = [];
  for (let k = 0; k < 40; k++) seen.push((await pushed(sessions[0])).$version);
  assert.deepEqual(seen, changes);
  const twin = (await b.hub('GET', `/twins/many-0?${API}`)).json;
  assert.equal(twin.version, 2 + 10 + 40);
  for (const m of sessions) m.end();
});
