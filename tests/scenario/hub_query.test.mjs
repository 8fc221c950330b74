// Queries of a hub over real sockets and the embedded store: what is found by tag, state, connection and report as soon as it is so, page by
// page while devices come and go, counted and grouped; and that indexes and tokens outlive a berthd that is killed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd, deviceToken, until } from '../lib/berth.mjs';

const API = 'api-version=2021-04-12';
const N = 130;
const KEY = Buffer.alloc(32, 7).toString('base64');
let b;

const id = (i) => `unit-${String(i).padStart(3, '0')}`;
const device = (i) => ({
  id: id(i), importMode: 'create', status: i % 10 === 0 ? 'disabled' : 'enabled', authentication: { type: 'sas', symmetricKey: { primaryKey: KEY, secondaryKey: KEY } },
  ...(i % 3 === 0 ? {} : { tags: { site: i % 3 === 1 ? 'north' : 'south', at: { floor: i % 7 } } }), properties: { desired: { on: i % 5 === 0 } },
});
const query = (text, headers = {}) => b.hub('POST', `/devices/query?${API}`, { body: { query: text }, headers });

async function ok(text, headers) {
  const r = await query(text, headers);
  assert.equal(r.status, 200, `${text}: ${r.text}`);
  return r;
}
const rows = async (text) => (await ok(text)).json;

// The device IDs of all pages; between: what happens after each.
async function all(text, size, between = async () => {}) {
  const found = [];
  for (let token; ;) {
    const r = await ok(text, { 'x-ms-max-item-count': String(size), ...(token ? { 'x-ms-continuation': token } : {}) });
    assert.ok(r.json.length <= size);
    found.push(...r.json.map((x) => x.deviceId));
    token = r.headers['x-ms-continuation'];
    if (token === undefined) return found;
    await between();
  }
}

async function bulk(operations) {
  for (let i = 0; i < operations.length; i += 100) {
    const r = await b.hub('POST', `/devices?${API}`, { body: operations.slice(i, i + 100) });
    assert.equal(r.status, 200, r.text);
  }
}
const change = async (i, patch) => {
  const r = await b.hub('PATCH', `/twins/${id(i)}?${API}`, { body: patch });
  assert.equal(r.status, 200, r.text);
};

async function connect(i) {
  const m = await b.mqtt();
  const password = deviceToken(`localhost/devices/${id(i)}`, KEY);
  assert.equal(await m.connect({ clientId: id(i), username: `localhost/${id(i)}/?${API}`, password }), 0);
  return m;
}

before(async () => {
  b = await Berthd.start();
  await bulk(Array.from({ length: N }, (_, i) => device(i)));
});
after(() => b?.stop());

test('conditions find what a filter of the same devices finds', async () => {
  const known = Array.from({ length: N }, (_, i) => ({ ...device(i), floor: device(i).tags?.at.floor, site: device(i).tags?.site }));
  const cases = {
    "status = 'disabled'": (x) => x.status === 'disabled',
    "tags.site = 'north'": (x) => x.site === 'north',
    "tags.site IN ['north', 'nowhere'] AND tags.at.floor >= 3": (x) => x.site === 'north' && x.floor >= 3,
    "tags.site != 'north'": (x) => x.site === 'south',
    'NOT is_defined(tags)': (x) => x.tags === undefined,
    'tags.at.floor * 2 - 1 > 5 + 2': (x) => x.floor * 2 - 1 > 7,
    "properties.desired.on = true AND (deviceId < 'unit-050' OR tags.site = 'south')": (x) => x.properties.desired.on && (x.id < 'unit-050' || x.site === 'south'),
    "STARTS_WITH(deviceId, 'unit-01') AND connectionState = 'Disconnected'": (x) => x.id.startsWith('unit-01'),
    "deviceId IN ['unit-003', 'nobody', 'unit-001'] OR deviceId = 'unit-100'": (x) => ['unit-001', 'unit-003', 'unit-100'].includes(x.id),
    "lastActivityTime >= '2020-01-01T00:00:00Z'": () => false,
    "connectionState = 'Connected'": () => false,
  };
  for (const [where, keeps] of Object.entries(cases)) {
    const want = known.filter(keeps).map((x) => x.id);
    assert.deepEqual(await all(`SELECT * FROM devices WHERE ${where}`, 7), want, where);
    assert.deepEqual(await all(`select deviceId from devices where ${where}`, 1000), want, where);
    assert.deepEqual(await rows(`SELECT COUNT() AS n FROM devices WHERE ${where}`), [{ n: want.length }], where);
  }
  assert.deepEqual(await rows('SELECT tags.site, COUNT() AS n FROM devices GROUP BY tags.site'), [{ n: 44 }, { site: 'north', n: 43 }, { site: 'south', n: 43 }]);
});

test('a change is found at once, also by its index', async () => {
  const rare = "SELECT deviceId FROM devices WHERE tags.rare = 'yes'";
  assert.deepEqual(await rows(rare), []);
  await change(5, { tags: { rare: 'yes' } });
  await change(7, { tags: { rare: 'yes' } });
  assert.deepEqual(await rows(rare), [{ deviceId: id(5) }, { deviceId: id(7) }]);
  await change(5, { tags: { rare: null } });
  assert.deepEqual(await rows(rare), [{ deviceId: id(7) }]);
  const gone = await b.hub('DELETE', `/devices/${id(7)}?${API}`, { headers: { 'If-Match': '*' } });
  assert.equal(gone.status, 204);
  assert.deepEqual(await rows(rare), []);
  await bulk([{ ...device(7), tags: { site: 'north', rare: 'yes', at: { floor: 0 } } }]);
  assert.deepEqual(await rows(rare), [{ deviceId: id(7) }]);
  await change(7, { tags: { rare: null } });
  const r = await ok(`SELECT * FROM devices WHERE deviceId = '${id(7)}'`);
  assert.equal(r.headers['x-ms-item-type'], 'Twin');
  assert.deepEqual(r.json, [(await b.hub('GET', `/twins/${id(7)}?${API}`)).json]);
});

test('who is connected, and what it reported', async () => {
  const connected = () => rows("SELECT deviceId, connectionState AS c FROM devices WHERE connectionState = 'Connected'");
  const m = await connect(11), other = await connect(22);
  assert.deepEqual(await connected(), [{ deviceId: id(11), c: 'Connected' }, { deviceId: id(22), c: 'Connected' }]);
  await m.subscribe('$iothub/twin/res/#', 0);
  m.publish('$iothub/twin/PATCH/properties/reported/?$rid=1', JSON.stringify({ fw: { version: 3 } }));
  await m.next((p) => p.type === 'publish' && p.topic.startsWith('$iothub/twin/res/204'));
  assert.deepEqual(await rows('SELECT deviceId, properties.reported.fw.version AS v FROM devices WHERE properties.reported.fw.version > properties.desired.$version'),
    [{ deviceId: id(11), v: 3 }]);
  other.end();
  await until('one has gone', async () => (await connected()).length === 1);
  m.end();
  await until('both have', async () => (await connected()).length === 0);
});

test('modules are asked for by themselves', async () => {
  for (const [d, m] of [[1, 'b'], [1, 'a'], [12, 'a']]) {
    const r = await b.hub('PUT', `/devices/${id(d)}/modules/${m}?${API}`, { body: { deviceId: id(d), moduleId: m } });
    assert.equal(r.status, 200, r.text);
  }
  const r = await b.hub('PATCH', `/twins/${id(1)}/modules/b?${API}`, { body: { tags: { site: 'north', kind: 'filter' } } });
  assert.equal(r.status, 200, r.text);
  assert.deepEqual(await rows('SELECT deviceId, moduleId FROM devices.modules'), [{ deviceId: id(1), moduleId: 'a' }, { deviceId: id(1), moduleId: 'b' }, { deviceId: id(12), moduleId: 'a' }]);
  assert.deepEqual(await rows(`SELECT moduleId FROM devices.modules WHERE deviceId = '${id(1)}'`), [{ moduleId: 'a' }, { moduleId: 'b' }]);
  assert.deepEqual(await rows("SELECT m.deviceId, m.moduleId FROM devices.modules m WHERE m.tags.kind = 'filter'"), [{ deviceId: id(1), moduleId: 'b' }]);
  assert.deepEqual(await rows("SELECT deviceId FROM devices WHERE tags.kind = 'filter'"), []);
  const whole = await ok("SELECT * FROM devices.modules WHERE moduleId = 'b'");
  assert.equal(whole.headers['x-ms-item-type'], 'Twin');
  assert.deepEqual(whole.json, [(await b.hub('GET', `/twins/${id(1)}/modules/b?${API}`)).json]);
});

test('whoever stays is seen once, whoever comes and goes', async () => {
  for (const text of ['SELECT deviceId FROM devices', "SELECT deviceId FROM devices WHERE tags.site IN ['north', 'south'] OR NOT is_defined(tags)",
    "SELECT deviceId FROM devices WHERE tags.site = 'south'", "SELECT deviceId FROM devices WHERE status = 'enabled'"]) {
    const stay = (await all(text, 1000)).filter((x) => !/unit-0[2-9]5/.test(x)), gone = [];
    let n = 0;
    const found = await all(text, 9, async () => {
      if (++n > 8) return;
      gone.push(device(15 + 10 * n));
      await bulk([{ id: gone.at(-1).id, importMode: 'delete' }, { ...device(1), id: `unit-0${n}x` }]);
    });
    assert.equal(new Set(found).size, found.length, 'nothing is seen twice');
    const seen = new Set(found);
    assert.deepEqual(stay.filter((x) => !seen.has(x)), [], text);
    await bulk([...gone, ...gone.map((_, i) => ({ id: `unit-0${i + 1}x`, importMode: 'delete' }))]);
  }
});

test('indexes and tokens outlive a kill', async () => {
  const text = "SELECT deviceId FROM devices WHERE tags.site = 'south'";
  const want = await all(text, 1000);
  const first = await ok(text, { 'x-ms-max-item-count': '5' });
  const next = { 'x-ms-max-item-count': '1000', 'x-ms-continuation': first.headers['x-ms-continuation'] };
  await change(130 - 1, { tags: { last: true } });
  await b.kill();
  await b.restart();
  const r = await ok(text, next);
  assert.deepEqual([...first.json, ...r.json].map((x) => x.deviceId), want);
  assert.equal(r.headers['x-ms-continuation'], undefined);
  assert.deepEqual(await rows('SELECT deviceId FROM devices WHERE tags.last = true'), [{ deviceId: id(129) }]);
});

test('what is not understood is refused at its character, and jobs there are none', async () => {
  for (const [text, message] of [
    ['SELECT * FROM devices WHERE tag.site = 1', /At character 29: tag\.site is not a member of devices/],
    ["SELECT * FROM devices WHERE authentication.symmetricKey.primaryKey = 'x'", /At character 29: authentication\.symmetricKey is not a member/],
    ['SELECT * FROM enrollments', /At character 15: expected devices, devices\.modules or devices\.jobs/],
    ['SELECT * FROM devices ORDER BY deviceId', /At character 23: ORDER BY is not supported/],
    ['', /At character 1: expected SELECT/],
  ]) {
    const r = await query(text);
    assert.equal(r.status, 400, text);
    assert.equal(r.headers['iothub-errorcode'], 'ArgumentInvalid');
    assert.match(r.json.Message, message);
  }
  const jobs = await ok("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j'");
  assert.equal(jobs.headers['x-ms-item-type'], 'DeviceJob');
  assert.deepEqual(jobs.json, []);
});
