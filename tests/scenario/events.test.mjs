// A hub's events: what is told of devices beside their telemetry, in which order, how it is read, what is dropped, and what a
// power cut leaves.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Berthd, Pki, bin, endWithTests, sas, until } from '../lib/berth.mjs';
import { provisionedDevices, publishPacket } from '../lib/mqtt.mjs';

const API = 'api-version=2021-04-12';
let b, pki, device;

const json = (out) => out.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
const monitor = (server, ...args) => server.ok('hub', 'monitor-events', '--output', 'json', '--timeout', '30', ...args).then(json);
const ops = (events) => events.map((e) => e.applicationProperties.opType);
const all = async (server, from, ...args) => json(await server.ok('hub', 'monitor-events', '--output', 'json', '--timeout', '2', '--from', from, ...args));

// Reads the stream until `n` events came; resolves to [{id, event, data}].
function stream(server, target, n, headers = {}) {
  return new Promise((resolve, reject) => {
    const got = [];
    let rest = '';
    const r = https.request({ host: '127.0.0.1', port: server.httpsPort, servername: 'localhost', ca: server.ca, path: target, agent: false,
      headers: { Host: 'localhost', Authorization: sas(server.dev.hubs[0].connectionString), ...headers } }, (answer) => {
      if (answer.statusCode !== 200) reject(new Error(`${answer.statusCode}`));
      answer.on('data', (part) => {
        const blocks = (rest + part).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) {
          const e = Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
          if (e.data) got.push({ ...e, data: JSON.parse(e.data) });
        }
        if (got.length >= n) { r.destroy(); resolve(got); }
      });
    });
    r.on('error', (e) => (got.length >= n ? undefined : reject(e)));
    r.end();
  });
}

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  device = provisionedDevices(b, pki);
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('the life of a device, told in order and before the answer', async () => {
  const d = await device('life'); // made by provisioning
  const first = await b.session(d, 'life');
  await first.publish('devices/life/messages/events/', 'one');
  const second = await b.session(d, 'life'); // takes over
  await first.closed;
  assert.equal((await b.hub('PATCH', `/twins/life?${API}`, { body: { tags: { a: 1 }, properties: { desired: { x: 1 } } } })).status, 200);
  assert.equal((await b.hub('PUT', `/twins/life?${API}`, { body: { properties: { desired: { y: 2 } } } })).status, 200);
  await second.subscribe('$iothub/twin/res/#', 0);
  second.send(publishPacket('$iothub/twin/PATCH/properties/reported/?$rid=1', '{"r":1}', 0));
  await second.next('publish');
  second.end();
  await second.closed;
  await until('it is gone', async () => (await b.hub('GET', `/devices/life?${API}`)).json.connectionState === 'Disconnected');
  assert.equal((await b.hub('DELETE', `/devices/life?${API}`, { headers: { 'If-Match': '*' } })).status, 204);
  // No waiting: the answer came, so the event is there.
  const events = await monitor(b, '--from', 'start', '--device-id', 'life', '--source', 'all', '--count', '10');
  assert.deepEqual(events.map((e) => e.applicationProperties.opType ?? e.body), ['createDeviceIdentity', 'deviceConnected', 'one',
    'deviceDisconnected', 'deviceConnected', 'updateTwin', 'replaceTwin', 'updateTwin', 'deviceDisconnected', 'deleteDeviceIdentity']);
  const [created, connected] = events;
  assert.equal(created.systemProperties['iothub-message-source'], 'deviceLifecycleEvents');
  assert.equal(created.applicationProperties['iothub-message-schema'], 'deviceLifecycleNotification');
  assert.equal(created.applicationProperties.hubName, 'localhost');
  assert.equal(JSON.parse(created.body).deviceId, 'life');
  assert.equal(JSON.parse(created.body).properties.desired.$version, 1);
  assert.equal(connected.systemProperties['iothub-message-source'], 'deviceConnectionStateEvents');
  const numbers = events.filter((e) => e.systemProperties['iothub-message-source'] === 'deviceConnectionStateEvents').map((e) => JSON.parse(e.body).sequenceNumber);
  assert.deepEqual(numbers, [...numbers].sort());
  assert.match(numbers[0], /^[0-9A-F]{32}$/);
  assert.deepEqual(JSON.parse(events[5].body).tags, { a: 1 });
  assert.equal(JSON.parse(events[5].body).properties.desired.x, 1);
  assert.deepEqual(JSON.parse(events[6].body).tags, {});
  assert.equal(JSON.parse(events[7].body).properties.reported.r, 1);
});

test('a device that is made by REST, and its module', async () => {
  assert.equal((await b.hub('PUT', `/devices/made?${API}`, { body: { deviceId: 'made' } })).status, 200);
  assert.equal((await b.hub('PUT', `/devices/made/modules/m?${API}`, { body: { deviceId: 'made', moduleId: 'm' } })).status, 200);
  assert.equal((await b.hub('DELETE', `/devices/made/modules/m?${API}`, { headers: { 'If-Match': '*' } })).status, 204);
  const events = await monitor(b, '--from', 'start', '--device-id', 'made', '--source', 'deviceLifecycleEvents', '--count', '3');
  assert.deepEqual(ops(events), ['createDeviceIdentity', 'createModuleIdentity', 'deleteModuleIdentity']);
  assert.equal(events[1].moduleId, 'm');
  assert.equal(events[1].applicationProperties['iothub-message-schema'], 'moduleLifecycleNotification');
});

test('who was when connected is kept', async () => {
  const d = await device('kept');
  const m = await b.session(d, 'kept');
  const shown = await until('its times are written down', async () => {
    const { json: shows } = await b.hub('GET', `/devices/kept?${API}`);
    return shows.connectionStateUpdatedTime.startsWith('0001') ? undefined : shows;
  });
  assert.equal(shown.connectionState, 'Connected');
  assert.ok(Date.now() - Date.parse(shown.connectionStateUpdatedTime) < 60000, shown.connectionStateUpdatedTime);
  assert.ok(Date.now() - Date.parse(shown.lastActivityTime) < 60000, shown.lastActivityTime);
  m.end();
});

test('partitions: numbered without a gap, a device in one; readers of all kinds', async () => {
  const names = ['p0', 'p1', 'p2', 'p3', 'p4'];
  const began = new Date().toISOString();
  for (const cn of names) {
    const m = await b.session(await device(cn), cn);
    for (let i = 0; i < 20; i++) await m.publish(`devices/${cn}/messages/events/`, `${cn}/${i}`);
    m.end();
  }
  const events = await all(b, 'start', '--source', 'all');
  const next = new Map();
  const of = new Map();
  for (const e of events) {
    assert.equal(e.sequenceNumber, next.get(e.partition) ?? 0);
    next.set(e.partition, e.sequenceNumber + 1);
    assert.equal(of.get(e.deviceId) ?? e.partition, e.partition);
    of.set(e.deviceId, e.partition);
  }
  assert.ok(next.size > 1);
  const mine = await all(b, 'start', '--partition', String(of.get('p0')));
  assert.deepEqual(new Set(mine.map((e) => e.partition)), new Set([of.get('p0')]));
  assert.deepEqual(mine.filter((e) => e.deviceId === 'p0').map((e) => e.body), Array.from({ length: 20 }, (_, i) => `p0/${i}`));
  const since = await all(b, began);
  assert.equal(since.length, 100);
  const middle = since[49].offset;
  assert.equal((await all(b, String(middle))).length, 50);
  const [one] = await stream(b, '/messages/events', 1, { 'Last-Event-ID': String(middle) });
  assert.equal(one.data.offset, since[50].offset);
  assert.equal(one.event, 'telemetry');
});

test('a monitor goes on behind the last event it saw when the server comes back', async () => {
  const d = await device('resumed');
  const child = spawn(path.join(bin, 'berth'), ['hub', 'monitor-events', '--from', 'start', '--device-id', 'resumed', '--count', '4',
    '--timeout', '60', '--output', 'json'], { env: { ...process.env, BERTH_DEV: b.dir } });
  endWithTests(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (x) => { out += x; });
  child.stderr.on('data', (x) => { err += x; });
  const ended = new Promise((resolve) => { child.on('exit', resolve); });
  let m = await b.session(d, 'resumed');
  await m.publish('devices/resumed/messages/events/', '0');
  await m.publish('devices/resumed/messages/events/', '1');
  await until('both are shown', () => out.includes('"body":"1"'));
  await b.kill('SIGKILL');
  await b.restart();
  m = await b.session(d, 'resumed');
  await m.publish('devices/resumed/messages/events/', '2');
  await m.publish('devices/resumed/messages/events/', '3');
  assert.equal(await ended, 0, err);
  assert.deepEqual(json(out).map((e) => e.body), ['0', '1', '2', '3']);
  m.end();
});

test('SIGKILL: nothing acknowledged is lost, offsets and numbers go on without a gap, nobody stays connected', async () => {
  const names = ['k0', 'k1', 'k2'];
  const acknowledged = [];
  for (const cn of names) await device(cn);
  for (let round = 0; round < 3; round++) {
    let over = false;
    const storm = names.map(async (cn) => {
      try {
        const m = await b.session(await device(cn), cn);
        for (let i = 0; !over; i++) {
          await m.publish(`devices/${cn}/messages/events/`, `${cn}/${round}/${i}`);
          acknowledged.push(`${cn}/${round}/${i}`);
        }
      } catch { /* the server is gone */ }
    });
    const had = acknowledged.length;
    await until('a storm', () => acknowledged.length > had + 200 * (round + 1));
    await b.kill('SIGKILL');
    over = true;
    await Promise.all(storm);
    await b.restart();
    for (const cn of names) assert.equal((await b.hub('GET', `/devices/${cn}?${API}`)).json.connectionState, 'Disconnected');
  }
  const events = await all(b, 'start', '--source', 'all');
  const bodies = new Set(events.map((e) => e.body));
  assert.deepEqual(acknowledged.filter((text) => !bodies.has(text)), [], 'lost');
  assert.deepEqual(events.map((e) => e.offset), events.map((_, i) => events[0].offset + i), 'one hub: every offset is its');
  const next = new Map();
  for (const e of events) {
    assert.equal(e.sequenceNumber, next.get(e.partition) ?? 0);
    next.set(e.partition, e.sequenceNumber + 1);
  }
  // A new run of the server shows in the number's first half: who was connected in an earlier one is no longer.
  const runs = events.filter((e) => e.applicationProperties.opType === 'deviceConnected' && e.deviceId === 'k0').map((e) => JSON.parse(e.body).sequenceNumber.slice(0, 16));
  assert.equal(new Set(runs).size, 3);
  assert.deepEqual(runs, [...runs].sort());
});

test('a device that floods does not starve a quiet one', async () => {
  const MESSAGES = 6000;
  const loud = await b.session(await device('loud'), 'loud');
  const quiet = await b.session(await device('quiet'), 'quiet');
  const body = 'x'.repeat(2000);
  const waits = [];
  let isFlooding = true;
  const flood = (async () => {
    for (let i = 0; i < MESSAGES; i++) {
      loud.send(publishPacket('devices/loud/messages/events/', `${i} ${body}`, 1, 1 + (i % 60000)));
      if (i % 500 === 0) await new Promise((r) => { setImmediate(r); });
    }
    for (let i = 0; i < MESSAGES; i++) assert.equal((await loud.next('puback', 60000)).id, 1 + (i % 60000)); // in order
    isFlooding = false;
  })();
  for (let i = 0; isFlooding || i < 5; i++) {
    const began = performance.now();
    await quiet.publish('devices/quiet/messages/events/', String(i));
    waits.push(performance.now() - began);
  }
  await flood;
  waits.sort((x, y) => x - y);
  console.log(`quiet device's PUBACK while another sent ${MESSAGES}: median ${waits[waits.length >> 1].toFixed(1)} ms, longest ${waits.at(-1).toFixed(1)} ms of ${waits.length}`);
  assert.ok(waits.at(-1) < 3000, `${waits.at(-1)} ms`);
  const got = (await monitor(b, '--from', 'start', '--device-id', 'loud', '--count', String(MESSAGES))).map((e) => Number(e.body.split(' ')[0]));
  assert.deepEqual(got, got.map((_, i) => i));
  loud.end();
  quiet.end();
});

test('a log of bounded size drops its oldest, and readers are told; kinds can be switched off', async () => {
  const s = await Berthd.start({ args: ['--telemetry-size', '400K', '--telemetry-partitions', '2', '--events', 'none'] });
  try {
    const d = await provisionedDevices(s, pki)('full');
    const m = await s.session(d, 'full');
    for (let i = 0; i < 400; i++) await m.publish('devices/full/messages/events/', `${i} ${'y'.repeat(4000)}`);
    const events = await all(s, 'start', '--source', 'all');
    assert.equal(Number(events.at(-1).body.split(' ')[0]), 399);
    assert.ok(events.length > 30 && events.length < 120, `${events.length} are left`);
    assert.deepEqual(new Set(events.map((e) => e.systemProperties['iothub-message-source'])), new Set(['Telemetry']));
    const [gap, first] = await stream(s, '/messages/events', 2, { 'Last-Event-ID': '5' });
    assert.equal(gap.event, 'gap');
    assert.equal(gap.data.after, 5);
    assert.equal(first.data.offset, events[0].offset);
    assert.equal(gap.data.droppedTo, first.data.offset - 1);
    const { text } = await s.request('GET', '/metrics');
    const metric = (name) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)[1]);
    assert.ok(metric('berth_telemetry_log_bytes') < 600 * 1024);
    assert.equal(metric('berth_telemetry_log_bytes_max'), 400 * 1024);
    assert.equal(metric('berth_telemetry_dropped_total'), gap.data.droppedTo);
    m.end();
  } finally {
    await s.stop();
  }
});
