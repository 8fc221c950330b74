// The official Azure Node SDK of the back end, unmodified, on its fixed port: queries of a hub, page by page until it says that there are no
// more, as twins that can be changed and as plain objects.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { Berthd } from '../lib/berth.mjs';

const require = createRequire(import.meta.url);
const { Registry } = require('azure-iothub');
const N = 25;
let b, registry;

const id = (i) => `query-${String(i).padStart(2, '0')}`;
const answer = (r) => r.result ?? r; // its promises give the rows with the response, or alone

// All pages of a query, by one of its two ways.
async function pages(text, size, way) {
  const query = registry.createQuery(text, size), found = [];
  while (query.hasMoreResults) found.push(answer(await query[way]()));
  return found;
}

before(async () => {
  b = await Berthd.start({ mqttPort: 8883, httpsPort: 443 });
  registry = b.trusting(Registry.fromConnectionString(b.dev.hubs[0].connectionString));
  await registry.addDevices(Array.from({ length: N }, (_, i) => ({ deviceId: id(i), status: i === 3 ? 'disabled' : 'enabled' })));
  for (let i = 0; i < N; i += 5) await registry.updateTwin(id(i), { tags: { plant: 'a', line: i }, properties: { desired: { rate: i * 2 } } }, '*');
});
after(() => b?.stop());

test('pages of twins, and no page too many', async () => {
  const all = await pages('SELECT * FROM devices', 10, 'nextAsTwin');
  assert.deepEqual(all.map((p) => p.length), [10, 10, 5]);
  assert.deepEqual(all.flat().map((t) => t.deviceId), Array.from({ length: N }, (_, i) => id(i)));
  assert.deepEqual((await pages('SELECT * FROM devices', 25, 'nextAsTwin')).map((p) => p.length), [N], 'a full last page is the last');
  assert.deepEqual((await pages("SELECT * FROM devices WHERE tags.plant = 'nowhere'", 10, 'next')), [[]]);
});

test('a twin that was found can be changed, and is found anew', async () => {
  const [[twin]] = await pages("SELECT * FROM devices WHERE tags.line = 10 AND tags.plant = 'a'", 100, 'nextAsTwin');
  assert.equal(twin.properties.desired.rate, 20);
  await twin.update({ tags: { line: 11 } });
  assert.deepEqual(await pages('SELECT * FROM devices WHERE tags.line = 10', 100, 'nextAsTwin'), [[]]);
  const [[again]] = await pages('SELECT * FROM devices WHERE tags.line = 11', 100, 'nextAsTwin');
  assert.equal(again.deviceId, id(10));
  assert.equal(again.version, twin.version + 1);
});

test('projections, aggregates and groups are plain objects', async () => {
  assert.deepEqual(await pages("SELECT deviceId, tags.line AS line FROM devices WHERE is_defined(tags.line) AND properties.desired.rate >= 30", 2, 'next'),
    [[{ deviceId: id(15), line: 15 }, { deviceId: id(20), line: 20 }]]);
  assert.deepEqual(await pages('SELECT COUNT() AS numberOfDevices FROM devices', 100, 'next'), [[{ numberOfDevices: N }]]);
  assert.deepEqual(await pages('SELECT status, COUNT() AS n FROM devices GROUP BY status', 100, 'next'), [[{ status: 'enabled', n: N - 1 }, { status: 'disabled', n: 1 }]]);
  assert.deepEqual(await pages('SELECT AVG(properties.desired.rate) AS rate FROM devices', 100, 'next'), [[{ rate: 20 }]]);
});

test('types of items, jobs, and a mistake', async () => {
  const { message } = await registry.createQuery('SELECT * FROM devices', 5).next();
  assert.equal(message.headers['x-ms-item-type'], 'Twin');
  assert.ok(message.headers['x-ms-continuation']);
  assert.equal((await registry.createQuery('SELECT deviceId FROM devices', 100).next()).message.headers['x-ms-item-type'], 'Raw');
  assert.deepEqual(await pages("SELECT * FROM devices.jobs WHERE devices.jobs.jobType = 'scheduleUpdateTwin'", 100, 'next'), [[]]);
  await assert.rejects(registry.createQuery('SELECT * FROM devices WHERE', 10).next(), (e) => e.name === 'ArgumentError');
});
