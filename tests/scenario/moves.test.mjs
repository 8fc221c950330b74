// A device that changes hubs, over real sockets: what it is told, what of it comes along, what ends at the old hub and who hears of it;
// and that it is on exactly one hub whenever the server was killed meanwhile.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd, Pki, sas, sleep, until } from '../lib/berth.mjs';
import { provision, publishPacket } from '../lib/mqtt.mjs';

const API = 'api-version=2021-04-12';
const EAST = 'east.localhost', WEST = 'west.localhost';
let b, pki, ca;

const hub = (host, method, target, options = {}) => {
  const { connectionString } = b.dev.hubs.find((h) => h.hostName === host);
  return b.request(method, `${target}${target.includes('?') ? '&' : '?'}${API}`, { host, ...options, headers: { Authorization: sas(connectionString), ...options.headers } });
};
const send = (group, ...how) => b.ok('enrollment-group', 'update', group, ...how);
const to = (host, policy) => ['--allocation-policy', 'static', '--iot-hubs', host, ...(policy ? ['--reprovision-policy', policy] : [])];

async function register(d) {
  const m = await b.mqtt(d);
  const { body } = await provision(m, { idScope: b.dev.idScope, registrationId: d.cn });
  m.end();
  return body.registrationState ?? body;
}

async function connect(d, host, clientId = d.cn) {
  const m = await b.mqtt(d, { servername: host });
  const code = await m.connect({ clientId, username: `${host}/${clientId}/?api-version=2021-04-12` });
  if (code === 0) return m;
  m.destroy();
  return code;
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
const lifecycle = async (host) => (await b.ok('hub', 'monitor-events', '--hub', host, '--from', 'start', '--source', 'deviceLifecycleEvents', '--timeout', '2', '--output', 'json'))
  .trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  ca = await pki.make('movers CA', { ca: true });
  for (const host of [EAST, WEST]) await b.ok('hub', 'create', host.split('.')[0], '--host-name', host);
  b.readDev();
  await b.ok('certificate', 'create', 'movers', '--path', ca.certFile, '--verified');
  await b.ok('enrollment-group', 'create', 'movers', '--ca-name', 'movers', ...to(EAST), '--initial-twin-properties', '{"begin":1}', '--initial-twin-tags', '{"from":"enrollment"}');
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('a device that is connected is moved, and takes its twin along', async () => {
  const d = await pki.make('mover', { issuer: ca });
  const first = await register(d);
  assert.deepEqual([first.assignedHub, first.substatus], [EAST, 'initialAssignment']);
  const m = await connect(d, EAST);
  await m.subscribe('$iothub/methods/POST/#', 0);
  assert.deepEqual(await twinOf(m), { desired: { begin: 1, $version: 1 }, reported: { $version: 1 } });
  await ask(m, '$iothub/twin/PATCH/properties/reported', '{"fw":"1.0"}');
  assert.equal((await hub(EAST, 'PATCH', '/twins/mover', { body: { tags: { room: 'k' }, properties: { desired: { interval: 5 } } } })).status, 200);
  assert.equal((await hub(EAST, 'PUT', '/devices/mover/modules/cam', { body: { moduleId: 'cam', deviceId: 'mover' } })).status, 200);
  assert.equal((await hub(EAST, 'PATCH', '/twins/mover/modules/cam', { body: { properties: { desired: { zoom: 2 } } } })).status, 200);
  const was = (await hub(EAST, 'GET', '/twins/mover')).json;
  const camera = (await hub(EAST, 'GET', '/devices/mover/modules/cam')).json;
  assert.equal((await hub(EAST, 'POST', '/messages/deviceBound', { body: 'wait', headers: { 'IoTHub-To': '/devices/mover/messages/deviceBound', 'IoTHub-Ack': 'full', 'IoTHub-MessageId': 'm1' } })).status, 201);
  const call = hub(EAST, 'POST', '/twins/mover/methods', { body: { methodName: 'never', responseTimeoutInSeconds: 120 } });
  await m.next((p) => p.topic?.startsWith('$iothub/methods/POST/never/')); // it has it, and does not answer

  await send('movers', ...to(WEST));
  assert.equal(m.isClosed, false); // nothing happens before it registers again
  const again = await register(d);
  assert.deepEqual([again.status, again.assignedHub, again.deviceId, again.substatus], ['assigned', WEST, 'mover', 'deviceDataMigrated']);
  await m.closed;
  const answer = await call;
  assert.deepEqual([answer.status, answer.headers['iothub-errorcode']], [404, 'DeviceNotFound']);
  assert.equal(await connect(d, EAST), 5);
  assert.equal((await hub(EAST, 'GET', '/devices/mover')).status, 404);

  const moved = await connect(d, WEST);
  assert.deepEqual(await twinOf(moved), { desired: { begin: 1, interval: 5, $version: 2 }, reported: { fw: '1.0', $version: 2 } });
  const now = (await hub(WEST, 'GET', '/twins/mover')).json;
  assert.deepEqual([now.tags, now.properties, now.version, now.etag], [was.tags, was.properties, was.version, was.etag]);
  assert.deepEqual((await hub(WEST, 'GET', '/devices/mover/modules/cam')).json.authentication, camera.authentication);
  assert.equal((await hub(WEST, 'GET', '/twins/mover/modules/cam')).json.properties.desired.zoom, 2);
  assert.equal((await hub(WEST, 'GET', "/devices/mover")).json.cloudToDeviceMessageCount, 0);
  const found = await hub(WEST, 'POST', '/devices/query', { body: { query: "SELECT deviceId FROM devices WHERE tags.room = 'k'" } });
  assert.deepEqual(found.json, [{ deviceId: 'mover' }]);
  moved.end();

  const feedback = await hub(EAST, 'GET', '/messages/serviceBound/feedback');
  assert.deepEqual(feedback.json.map((f) => [f.originalMessageId, f.statusCode, f.deviceId]), [['m1', 'Purged', 'mover']]);
  const [east, west] = [await lifecycle(EAST), await lifecycle(WEST)];
  assert.deepEqual(east.map((e) => e.applicationProperties.opType), ['createDeviceIdentity', 'createModuleIdentity', 'deleteDeviceIdentity']);
  assert.deepEqual(west.map((e) => e.applicationProperties.opType), ['createDeviceIdentity']);
  assert.deepEqual(JSON.parse(east[2].body).properties, was.properties);
  assert.deepEqual(JSON.parse(west[0].body).properties, was.properties);
});

test('reset, back, and never: what each surface says', async () => {
  const d = await pki.make('wanderer', { issuer: ca });
  await send('movers', ...to(EAST, 'reprovisionandmigratedata'));
  await register(d);
  const m = await connect(d, EAST);
  await twinOf(m);
  await ask(m, '$iothub/twin/PATCH/properties/reported', '{"fw":"1.0"}');
  m.end();
  const steps = [
    [WEST, 'reprovisionandresetdata', WEST, 'deviceDataReset', {}],
    [WEST, 'reprovisionandmigratedata', WEST, 'deviceDataReset', {}],
    [EAST, 'reprovisionandmigratedata', EAST, 'reprovisionedToInitialAssignment', {}],
    [WEST, 'never', EAST, 'reprovisionedToInitialAssignment', {}],
    [WEST, 'reprovisionandmigratedata', WEST, 'deviceDataMigrated', {}],
  ];
  for (const [where, policy, host, substatus] of steps) {
    await send('movers', ...to(where, policy));
    const state = await register(d);
    assert.deepEqual([state.assignedHub, state.substatus], [host, substatus], `${where} ${policy}`);
    const looked = await b.request('POST', `/${b.dev.idScope}/registrations/wanderer?api-version=2021-06-01`, { device: d, body: { registrationId: 'wanderer' } });
    assert.deepEqual([looked.status, looked.json.assignedHub, looked.json.substatus], [200, host, substatus]);
    const record = (await b.service('GET', '/registrations/wanderer?api-version=2021-10-01')).json;
    assert.deepEqual([record.assignedHub, record.substatus, record.etag], [host, substatus, state.etag]);
    for (const other of [EAST, WEST]) {
      const twin = await hub(other, 'GET', '/twins/wanderer');
      assert.equal(twin.status, other === host ? 200 : 404);
      if (other === host) assert.equal(twin.json.properties.reported.fw, undefined);
    }
  }
  const found = await b.service('POST', '/registrations/movers/query?api-version=2021-10-01', { body: { query: "SELECT * WHERE substatus = 'deviceDataMigrated' AND registrationId = 'wanderer'" } });
  assert.equal(found.json.length, 1, found.text);
});

test('a device that is barred stays barred', async () => {
  const d = await pki.make('stolen', { issuer: ca });
  await send('movers', ...to(EAST, 'reprovisionandresetdata'));
  await register(d);
  await b.ok('hub', 'device-identity', 'disable', 'stolen', '--hub', EAST, '--reason', 'reported stolen');
  await send('movers', ...to(WEST, 'reprovisionandresetdata'));
  assert.equal((await register(d)).assignedHub, WEST);
  const identity = (await hub(WEST, 'GET', '/devices/stolen')).json;
  assert.deepEqual([identity.status, identity.statusReason], ['disabled', 'reported stolen']);
  assert.notEqual((await connect(d, WEST)).constructor.name, 'Mqtt');
});

// As a provisioning service elsewhere does it, over REST: the twin as it is got is what the new identity is made with.
test('one request makes a device on another hub with all of its twin', async () => {
  const d = await pki.make('carried', { issuer: ca });
  await send('movers', ...to(EAST, 'reprovisionandmigratedata'));
  await register(d);
  const m = await connect(d, EAST);
  await twinOf(m);
  await ask(m, '$iothub/twin/PATCH/properties/reported', '{"fw":{"a":"1.0"}}');
  m.end();
  await b.ok('hub', 'device-identity', 'disable', 'carried', '--hub', EAST, '--reason', 'audit');
  const identity = (await hub(EAST, 'GET', '/devices/carried')).json;
  const twin = (await hub(EAST, 'GET', '/twins/carried')).json;
  const made = await hub(WEST, 'POST', '/devices', { body: [{ id: 'carried', importMode: 'create', status: identity.status, statusReason: identity.statusReason,
    authentication: identity.authentication, capabilities: twin.capabilities, tags: twin.tags, properties: twin.properties }] });
  assert.deepEqual([made.status, made.json], [200, { isSuccessful: true, errors: [], warnings: [] }]);
  const now = (await hub(WEST, 'GET', '/twins/carried')).json;
  const bare = ({ $metadata, $version, ...values }) => values;
  assert.deepEqual([now.tags, bare(now.properties.desired), bare(now.properties.reported)], [{ from: 'enrollment' }, { begin: 1 }, { fw: { a: '1.0' } }]);
  assert.deepEqual([now.status, now.statusReason, now.x509Thumbprint], ['disabled', 'audit', twin.x509Thumbprint]);
  // It is there when it is to move there in earnest: what it brings counts.
  assert.equal((await hub(WEST, 'PATCH', '/twins/carried', { body: { tags: { by: 'hand' } } })).status, 200);
  await send('movers', ...to(WEST));
  assert.equal((await register(d)).substatus, 'deviceDataMigrated');
  const moved = (await hub(WEST, 'GET', '/twins/carried')).json;
  assert.deepEqual([moved.tags, bare(moved.properties.reported), moved.status], [{ from: 'enrollment' }, { fw: { a: '1.0' } }, 'disabled']);
  assert.equal((await hub(EAST, 'GET', '/devices/carried')).status, 404);
});

// ---- power cuts ----

const instants = [20, 70, 150, 300, 450, 700, 900, 1200];
const fleet = [];
const moves = { n: 0 };

async function moveForEver(d, isOver) {
  while (!isOver()) {
    let m;
    try {
      m = await b.mqtt(d);
      const { body } = await provision(m, { idScope: b.dev.idScope, registrationId: d.cn });
      moves.n += body?.registrationState?.status === 'assigned' && body.registrationState.assignedHub !== d.hub;
      d.hub = body?.registrationState?.assignedHub ?? d.hub;
      m.end();
    } catch {
      m?.destroy();
      await sleep(1);
    }
  }
}

async function changeForEver(isOver) {
  for (let i = 0; !isOver(); i++) {
    try {
      const { json, headers } = await b.service('GET', '/enrollmentGroups/fleet?api-version=2021-10-01');
      await b.service('PUT', '/enrollmentGroups/fleet?api-version=2021-10-01', { body: { ...json, iotHubs: [i % 2 === 0 ? WEST : EAST] }, headers: { 'If-Match': json.etag ?? headers.etag } });
      await sleep(40);
    } catch {
      await sleep(1);
    }
  }
}

test('killed at any moment of many moves: each device is on one hub, and its record says on which', async (t) => {
  const other = await pki.make('fleet CA', { ca: true });
  await b.ok('certificate', 'create', 'fleet', '--path', other.certFile, '--verified');
  await b.ok('enrollment-group', 'create', 'fleet', '--ca-name', 'fleet', ...to(EAST));
  for (let i = 0; i < 8; i++) {
    const d = await pki.make(`fleet-${i}`, { issuer: other });
    d.hub = (await register(d)).assignedHub;
    fleet.push(d);
    assert.equal((await hub(EAST, 'PATCH', `/twins/${d.cn}`, { body: { tags: { mark: d.cn } } })).status, 200);
    assert.equal((await hub(EAST, 'PUT', `/devices/${d.cn}/modules/m`, { body: { moduleId: 'm', deviceId: d.cn } })).status, 200);
  }
  for (const instant of instants) {
    const had = moves.n;
    let over = false;
    const storm = [...fleet.map((d) => moveForEver(d, () => over)), changeForEver(() => over)];
    await until('devices move', () => moves.n > had + fleet.length, 60000);
    await sleep(instant);
    await b.kill('SIGKILL');
    over = true;
    await Promise.all(storm);
    await b.restart();
    for (const d of fleet) {
      const record = (await b.service('GET', `/registrations/${d.cn}?api-version=2021-10-01`)).json;
      assert.equal(record.status, 'assigned', d.cn);
      for (const host of [EAST, WEST]) {
        const is = host === record.assignedHub;
        const twin = await hub(host, 'GET', `/twins/${d.cn}`);
        assert.equal(twin.status, is ? 200 : 404, `${d.cn} on ${host}, its record says ${record.assignedHub}`);
        if (is) assert.equal(twin.json.tags.mark, d.cn);
        assert.equal((await hub(host, 'GET', `/devices/${d.cn}/modules/m`)).status, is ? 200 : 404);
      }
    }
  }
  t.diagnostic(`${moves.n} moves, ${instants.length} power cuts`);
});
