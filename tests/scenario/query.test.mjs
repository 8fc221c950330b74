// Queries that filter, over real sockets and the embedded store: what is found, page by page while rows come and go, counted, in which
// order, and what is refused.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd } from '../lib/berth.mjs';

const v = 'api-version=2021-10-01';
const N = 120;
let b;

const id = (i) => `unit-${String(i).padStart(3, '0')}`;
const individual = (i) => ({
  registrationId: id(i), attestation: { type: 'symmetricKey' }, provisioningStatus: i % 10 === 0 ? 'disabled' : 'enabled', capabilities: { iotEdge: i % 2 === 0 },
  ...(i % 3 === 0 ? {} : { initialTwin: { tags: { site: i % 3 === 1 ? 'north' : 'south', floor: i % 7 }, properties: { desired: { on: i % 5 === 0 } } } }),
});
const query = (text, headers = {}, target = '/enrollments') => b.service('POST', `${target}/query?${v}`, { body: { query: text }, headers });
const ids = (r) => r.json.map((x) => x.registrationId);

async function ok(text, headers, target) {
  const r = await query(text, headers, target);
  assert.equal(r.status, 200, `${text}: ${r.text}`);
  return r;
}

// All pages; between: what happens after each.
async function all(text, size, between = async () => {}) {
  const found = [];
  for (let token; ;) {
    const r = await ok(text, { 'x-ms-max-item-count': String(size), ...(token ? { 'x-ms-continuation': token } : {}) });
    assert.ok(r.json.length <= size);
    found.push(...ids(r));
    token = r.headers['x-ms-continuation'];
    if (token === undefined) return found;
    await between(found);
  }
}

async function bulk(mode, enrollments) {
  for (let i = 0; i < enrollments.length; i += 10) {
    const r = await b.service('POST', `/enrollments?${v}`, { body: { mode, enrollments: enrollments.slice(i, i + 10) } });
    assert.equal(r.json.isSuccessful, true, r.text);
  }
}

before(async () => {
  b = await Berthd.start();
  await bulk('create', Array.from({ length: N }, (_, i) => individual(i)));
});
after(() => b?.stop());

test('conditions find what a filter of the same rows finds', async () => {
  const rows = Array.from({ length: N }, (_, i) => individual(i));
  const tags = (x) => x.initialTwin?.tags ?? {};
  const cases = {
    "provisioningStatus = 'disabled'": (x) => x.provisioningStatus === 'disabled',
    "initialTwin.tags.site = 'north' AND initialTwin.tags.floor >= 3": (x) => tags(x).site === 'north' && tags(x).floor >= 3,
    "initialTwin.tags.site != 'north'": (x) => tags(x).site === 'south',
    'NOT IS_DEFINED(initialTwin)': (x) => x.initialTwin === undefined,
    'initialTwin.properties.desired.on = true OR capabilities.iotEdge = false': (x) => x.initialTwin?.properties.desired.on === true || !x.capabilities.iotEdge,
    "STARTS_WITH(registrationId, 'UNIT-01') AND initialTwin.tags.floor IN (1, 2, 6)": (x) => x.registrationId.startsWith('unit-01') && [1, 2, 6].includes(tags(x).floor),
    "registrationId NOT IN ['unit-000', 'unit-001'] AND registrationId < 'unit-005'": (x) => x.registrationId > id(1) && x.registrationId < id(5),
    "attestation.type = 'symmetricKey' AND provisioningStatus <> 'enabled'": (x) => x.provisioningStatus === 'disabled',
    "attestation.type = 'x509'": () => false,
    "lastUpdatedDateTimeUtc > '2020-01-01T00:00:00Z' AND registrationId = 'unit-007'": (x) => x.registrationId === id(7),
  };
  for (const [where, keeps] of Object.entries(cases)) {
    const want = rows.filter(keeps).map((x) => x.registrationId);
    assert.deepEqual(await all(`SELECT * WHERE ${where} ORDER BY registrationId`, 7), want, where);
    assert.deepEqual((await all(`select registrationId from enrollments where ${where} order by registrationId desc`, 11)), [...want].reverse(), where);
    assert.deepEqual((await ok(`SELECT COUNT() AS n WHERE ${where}`)).json, [{ n: want.length }], where);
  }
});

test('whoever stays is seen once, whoever comes and goes', async () => {
  for (const text of ['SELECT registrationId', "SELECT registrationId WHERE initialTwin.tags.site = 'north' OR NOT IS_DEFINED(initialTwin)",
    'SELECT registrationId ORDER BY registrationId DESC', 'SELECT registrationId ORDER BY lastUpdatedDateTimeUtc', "SELECT registrationId WHERE provisioningStatus = 'enabled'"]) {
    const gone = [];
    let n = 0;
    const stay = (await all(text, 1000)).filter((x) => !/unit-0[2-9]5/.test(x));
    const found = await all(text, 9, async () => {
      const i = 20 + 10 * (n % 8) + 5;
      n++;
      if (n <= 8) {
        gone.push(individual(i));
        await Promise.all([bulk('delete', [{ registrationId: id(i) }]), bulk('create', [{ ...individual(i), registrationId: `unit-0${n}x` }])]);
      }
    });
    assert.equal(new Set(found).size, found.length, 'nothing is seen twice');
    const seen = new Set(found);
    assert.deepEqual(stay.filter((x) => !seen.has(x)), [], text);
    await bulk('create', gone);
    await bulk('delete', gone.map((_, i) => ({ registrationId: `unit-0${i + 1}x` })));
  }
});

test('a token goes with its query alone', async () => {
  const first = await ok('SELECT *', { 'x-ms-max-item-count': '5' });
  const token = { 'x-ms-continuation': first.headers['x-ms-continuation'] };
  assert.equal(ids(await ok('SELECT *', token))[0], id(5));
  for (const [text, target] of [['SELECT * ORDER BY registrationId DESC'], ['SELECT COUNT()'], ['SELECT *', '/enrollmentGroups'], ['SELECT *', '/registrations/dev']]) {
    const r = await query(text, token, target);
    assert.equal(r.status, 400, text);
    assert.match(r.text, /not one of this query/);
  }
  await b.kill();
  await b.restart();
  assert.equal(ids(await ok('SELECT *', token))[0], id(5), 'and holds over a restart');
});

test('headers, projections, and no secrets', async () => {
  const r = await ok(`SELECT registrationId, attestation, initialTwin.tags.site AS at WHERE registrationId IN ['${id(0)}', '${id(1)}']`);
  assert.equal(r.headers['x-ms-item-type'], 'Unknown');
  assert.deepEqual(r.json, [{ registrationId: id(0), attestation: { type: 'symmetricKey' } }, { registrationId: id(1), attestation: { type: 'symmetricKey' }, at: 'north' }]);
  const whole = await ok(`SELECT * WHERE registrationId = '${id(1)}'`);
  assert.equal(whole.headers['x-ms-item-type'], 'Enrollment');
  assert.ok(!whole.text.includes('primaryKey'));
  assert.deepEqual((await ok("SELECT enrollmentGroupId WHERE enrollmentGroupId = 'DEV'", {}, '/enrollmentGroups')).json, [{ enrollmentGroupId: 'dev' }]);
  assert.deepEqual((await ok("SELECT COUNT() WHERE status = 'assigned'", {}, '/registrations/dev')).json, [{ count: 0 }]);
});

test('what is not understood is refused at its character', async () => {
  for (const [text, message] of [
    ['SELECT * WHERE tags.site = 1', /At character 16: tags\.site is not a member of enrollments/],
    ["SELECT * WHERE attestation.symmetricKey.primaryKey = 'x'", /At character 16: attestation\.symmetricKey is not a member/],
    ['SELECT * GROUP BY deviceId', /At character 10: GROUP BY is not supported/],
    ['SELECT * ORDER BY deviceId', /At character 19: there is no order by deviceId, only by registrationId, lastUpdatedDateTimeUtc/],
    ["SELECT * WHERE deviceId = 'ä' &", /At character 31: this character has no meaning here/],
  ]) {
    const r = await query(text);
    assert.equal(r.status, 400, text);
    assert.match(r.json.message, message);
    assert.equal(r.json.errorCode, 400004);
  }
});
