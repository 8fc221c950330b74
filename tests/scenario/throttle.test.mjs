// A hub's settings and limits over real sockets: telemetry is shaped, all else refused so that SDKs come back; in effect at once, for
// live sessions too; one that talks without end starves nobody.
import assert from 'node:assert/strict';
import https from 'node:https';
import { after, afterEach, before, test } from 'node:test';
import { Berthd, Pki, sas, until } from '../lib/berth.mjs';
import { provisionedDevices, publishPacket } from '../lib/mqtt.mjs';

let b, pki, device, hub;

const events = (cn) => `devices/${cn}/messages/events/`;
const update = (...options) => b.json('hub', 'update', hub, ...options);
const unlimited = { sku: null, properties: null, limits: null, deviceLimits: null };
const patch = (body) => b.service('PATCH', `/berth/v1/hubs/${hub}`, { body });

const session = async (cn, options) => b.session(await device(cn), cn, options);

// Sends n messages at once; resolves to how long it took until all were acknowledged.
async function burst(m, cn, n) {
  const began = performance.now();
  m.send(Buffer.concat(Array.from({ length: n }, (_, i) => publishPacket(events(cn), `m${i}`, 1, i + 1))));
  for (let i = 0; i < n; i++) assert.equal((await m.next('puback', 30000)).id, i + 1);
  return performance.now() - began;
}

async function counter(name, operation) {
  const { text } = await b.request('GET', '/metrics');
  return Number(new RegExp(`^${name}\\{hub="localhost",operation="${operation}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
}

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  device = provisionedDevices(b, pki);
  hub = (await b.json('hub', 'list'))[0].name;
  for (const cn of ['talker', 'quiet', 'twin']) await device(cn);
});
afterEach(async () => { assert.equal((await patch(unlimited)).status, 200); });
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('settings: shown, changed member by member, refused with the name of what is wrong', async () => {
  const fresh = await b.json('hub', 'show', hub);
  assert.deepEqual(fresh.limits, {});
  assert.equal(fresh.sku, undefined);
  assert.equal(fresh.properties.cloudToDevice.defaultTtlAsIso8601, 'PT1H');
  const sized = await update('--sku', 'S1', '--capacity', '2', '--device-d2c-sends', '10', '--queries', '30/min:5', '--c2d-ttl', '24', '--disable-device-sas');
  assert.deepEqual(sized.sku, { name: 'S1', capacity: 2 });
  assert.deepEqual(sized.limits.registry, { rate: 200, per: 'minute', burst: 200 });
  assert.deepEqual(sized.limits.queries, { rate: 30, per: 'minute', burst: 5 });
  assert.deepEqual(sized.deviceLimits, { d2cSends: { rate: 10, per: 'second', burst: 10 } });
  assert.equal(sized.limits.dailyMessages, 800000);
  assert.equal(sized.properties.cloudToDevice.defaultTtlAsIso8601, 'P1D');
  assert.equal(sized.properties.disableDeviceSAS, true);
  const changed = await update('--queries', 'default', '--registry', 'unlimited', '--disable-device-sas', 'false');
  assert.deepEqual([changed.limits.queries.rate, changed.limits.registry, changed.properties.disableDeviceSAS], [40, undefined, false]);
  assert.match(await b.ok('hub', 'show', hub), /^limit +queries: 40 a minute, 40 at once$/m);
  for (const [options, why, code] of [
    [['--queries', 'many'], /--queries is not a rate: as 100, 100\/s/, 2],
    [['--daily-messages', 'few'], /--daily-messages is neither a number nor/, 2],
    [['--sku', 'S9'], /--sku is one of F1\|B1\|B2\|B3\|S1\|S2\|S3\|none, not 'S9'/, 2],
    [['--capacity', '201'], /capacity/, 2],
  ]) {
    const r = await b.cli('hub', 'update', hub, ...options);
    assert.equal(r.code, code, r.stderr);
    assert.match(r.stderr, why);
  }
  const refused = await patch({ limits: { sends: { rate: 1 } } });
  assert.equal(refused.status, 400);
  assert.match(refused.json.message, /limits\.sends is not an operation that has a limit\./);
  assert.equal((await b.service('PATCH', '/berth/v1/hubs/nobody', { body: {} })).status, 404);
  assert.equal((await b.cli('hub', 'show', 'nobody')).code, 3);
});

test('settings outlive a restart', async () => {
  await update('--device-connects', '7/h:3');
  await b.kill('SIGTERM');
  await b.restart();
  assert.deepEqual((await b.json('hub', 'show', hub)).deviceLimits, { connects: { rate: 7, per: 'hour', burst: 3 } });
});

test('telemetry beyond a device\'s limit waits, and all of it arrives; a limit that goes lets it flow', async () => {
  const talker = await session('talker'), quiet = await session('quiet');
  assert.ok(await burst(talker, 'talker', 100) < 5000);
  await update('--device-d2c-sends', '20:5');
  const shaped = burst(talker, 'talker', 45); // 40 beyond what comes at once, 20 a second
  const began = performance.now();
  await quiet.publish(events('quiet'), 'hello');
  assert.ok(performance.now() - began < 1000, 'another device is not held up');
  const took = await shaped;
  assert.ok(took > 1900 && took < 6000, `${took} ms`);
  assert.equal(await counter('berth_hub_throttled_total', 'd2cSends'), 0);
  assert.ok(await counter('berth_hub_delayed_total', 'd2cSends') > 0);
  await update('--device-d2c-sends', '1/min:1');
  const delayed = await counter('berth_hub_delayed_total', 'd2cSends');
  const stuck = burst(talker, 'talker', 20);
  await until('it waits', async () => await counter('berth_hub_delayed_total', 'd2cSends') > delayed);
  await update('--device-d2c-sends', 'unlimited');
  const flows = performance.now();
  await stuck;
  assert.ok(performance.now() - flows < 5000);
  talker.end();
  quiet.end();
});

test('a hub\'s limit is shared: each session that waits gets its turn', async () => {
  const talker = await session('talker'), quiet = await session('quiet');
  await update('--d2c-sends', '20:1');
  const flood = burst(talker, 'talker', 60); // 3 seconds' worth
  for (let i = 0; i < 5; i++) {
    const began = performance.now();
    await quiet.publish(events('quiet'), `q${i}`);
    assert.ok(performance.now() - began < 1000, `turn ${i}: ${performance.now() - began} ms`);
  }
  await update('--d2c-sends', 'unlimited');
  await flood;
  talker.end();
  quiet.end();
});

test('who is held up is not silent: its keep-alive counts again from when it is read', async () => {
  const m = await session('talker', { keepAlive: 1 });
  await update('--device-d2c-sends', '20/min:1');
  assert.ok(await burst(m, 'talker', 2) > 2500);
  const at = performance.now();
  await m.closed;
  assert.ok(performance.now() - at < 4000);
});

test('connections beyond the rate: CONNACK 3, which keeps SDKs trying', async () => {
  await update('--device-connects', '1/min:2');
  (await session('quiet')).end();
  (await session('quiet')).end();
  const m = await b.mqtt(await device('quiet'));
  assert.equal(await m.connect({ clientId: 'quiet', username: 'localhost/quiet/?api-version=2021-04-12' }), 3);
  await m.closed;
  await until('the log says why', () => /operation=connect[^\n]*reason=hub-throttled/.test(b.stderr));
  (await session('talker')).end(); // another's is its own
  assert.equal(await counter('berth_hub_throttled_total', 'connects'), 1);
});

test('twins over MQTT: 429 with an error code in the body', async () => {
  const m = await session('twin');
  await m.subscribe('$iothub/twin/res/#');
  await update('--twin-reads', '1/min', '--device-twin-updates', '1/min');
  for (const [topic, ok] of [['$iothub/twin/GET/?$rid=', 200], ['$iothub/twin/PATCH/properties/reported/?$rid=', 204]]) {
    m.send(publishPacket(`${topic}a`, '{"n":1}'));
    assert.match((await m.next('publish')).topic, new RegExp(`^\\$iothub/twin/res/${ok}/\\?\\$rid=a`));
    m.send(publishPacket(`${topic}b`, '{"n":2}'));
    const refused = await m.next('publish');
    assert.equal(refused.topic, '$iothub/twin/res/429/?$rid=b');
    const { errorCode, message } = JSON.parse(refused.payload);
    assert.equal(errorCode, 429001);
    assert.match(message, /^The request has been throttled\. Wait \d+ seconds and try again\. Operation type: Twin(Read|Update)$/);
  }
  m.end();
});

test('REST: 429 in the hub\'s envelope, with a time to come back, and the connection closes', async () => {
  await update('--registry', '6/min:2', '--queries', '1/h');
  for (let i = 0; i < 2; i++) assert.equal((await b.hub('GET', '/devices/quiet?api-version=2021-04-12')).status, 200);
  const refused = await b.hub('GET', '/devices/quiet?api-version=2021-04-12');
  assert.equal(refused.status, 429);
  assert.match(refused.json.Message, /^ErrorCode:ThrottlingException;The request has been throttled\. Wait \d+ seconds and try again\. Operation type: RegistryRead$/);
  assert.match(refused.json.ExceptionMessage, /^Tracking ID:/);
  assert.equal(refused.headers['iothub-errorcode'], 'ThrottlingException');
  assert.equal(refused.headers['x-ms-error-code'], '429001');
  assert.equal(refused.headers.connection, 'close');
  assert.ok(Number(refused.headers['retry-after']) >= 1 && Number(refused.headers['retry-after']) <= 10);
  assert.equal((await b.hub('GET', '/twins/quiet?api-version=2021-04-12')).status, 200, 'twins are another matter');
  assert.ok(await counter('berth_hub_throttled_total', 'registry') >= 1);
});

test('a size\'s limits hold: 100 registry operations a minute of S1', async () => {
  await update('--sku', 'S1');
  const get = async () => (await b.hub('GET', '/devices/quiet?api-version=2021-04-12')).status;
  const statuses = [];
  for (let i = 0; i < 13; i++) statuses.push(...await Promise.all(Array.from({ length: 10 }, get)));
  assert.ok(statuses.slice(0, 100).every((s) => s === 200), statuses.join());
  assert.equal(statuses.at(-1), 429);
});

test('the day\'s quota: REST is refused, telemetry waits; what is used outlives a restart', async () => {
  const before = await update('--daily-messages', '1000000');
  const { messagesToday } = before;
  await update('--daily-messages', String(messagesToday + 3));
  const m = await session('talker');
  await m.publish(events('talker'), 'x'.repeat(5000)); // two of 4 KiB
  assert.equal((await b.hub('GET', '/twins/quiet?api-version=2021-04-12')).status, 200);
  const refused = await b.hub('GET', '/twins/quiet?api-version=2021-04-12');
  assert.deepEqual([refused.status, refused.headers['iothub-errorcode'], refused.headers['x-ms-error-code']], [403, 'IotHubQuotaExceeded', '403002']);
  assert.equal((await b.hub('GET', '/devices/quiet?api-version=2021-04-12')).status, 200, 'no message');
  m.send(publishPacket(events('talker'), 'late', 1, 9));
  await until('it waits', async () => await counter('berth_hub_delayed_total', 'dailyMessages') === 1);
  await update('--daily-messages', String(messagesToday + 10));
  await m.next('puback');
  m.end();
  await b.kill('SIGTERM');
  await b.restart();
  assert.equal((await b.json('hub', 'show', hub)).messagesToday, messagesToday + 4);
});

test('without any limits: who floods a hub, by MQTT and by REST, holds up nobody for long', async () => {
  const flooding = new AbortController();
  const talker = await session('talker'), quiet = await session('quiet');
  await quiet.subscribe('$iothub/twin/res/#');
  const wave = Buffer.concat(Array.from({ length: 500 }, () => publishPacket(events('talker'), 'x'.repeat(200), 1, 1)));
  const acks = { n: 0 };
  talker.input = (data) => { acks.n += data.length / 4; }; // nothing but PUBACKs
  const writes = setInterval(() => { if (talker.socket.writableLength < 1 << 20) talker.send(wave); }, 1);
  const agent = new https.Agent({ keepAlive: true, maxSockets: 200, localAddress: '127.0.0.2' });
  const authorization = sas(b.dev.hubs[0].connectionString);
  let answers = 0;
  const ask = () => new Promise((resolve) => {
    https.get({ agent, host: '127.0.0.1', port: b.httpsPort, servername: 'localhost', ca: b.ca, path: '/devices?api-version=2021-04-12&top=1000',
      headers: { Host: 'localhost', Authorization: authorization } }, (r) => { r.resume().on('end', resolve); }).on('error', resolve);
  });
  const asking = Array.from({ length: 200 }, async () => { while (!flooding.signal.aborted) { await ask(); answers++; } });
  await until('the flood is there', () => acks.n > 2000 && answers > 200);
  const slowest = { telemetry: 0, twin: 0, rest: 0 };
  const time = async (what, f) => {
    const began = performance.now();
    await f();
    slowest[what] = Math.max(slowest[what], performance.now() - began);
  };
  for (let i = 0; i < 10; i++) {
    await time('telemetry', () => quiet.publish(events('quiet'), `n${i}`));
    await time('twin', () => {
      quiet.send(publishPacket(`$iothub/twin/GET/?$rid=${i}`));
      return quiet.next('publish');
    });
    await time('rest', async () => assert.equal((await b.hub('GET', '/twins/quiet?api-version=2021-04-12')).status, 200));
  }
  clearInterval(writes);
  flooding.abort();
  await Promise.all(asking);
  agent.destroy();
  talker.destroy();
  quiet.end();
  for (const [what, ms] of Object.entries(slowest)) assert.ok(ms < 5000, `${what}: ${ms} ms`);
});
