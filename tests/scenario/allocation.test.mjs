// Which hub a device gets: by weights that change while it lives, not from hubs that drain, the nearest one by its address; and
// what the operator is told of it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Berthd, deriveKey, deviceToken, tempDir, until } from '../lib/berth.mjs';
import { makeMmdb } from '../lib/mmdb.mjs';
import { provision } from '../lib/mqtt.mjs';

const BERLIN = { latitude: 52.52, longitude: 13.405 }, NEW_YORK = { latitude: 40.713, longitude: -74.006 };
const HUBS = ['east.test', 'west.test'];
const [EAST, WEST] = HUBS;
const DEVICES = Array.from({ length: 60 }, (_, i) => `unit-${i}`);
const places = path.join(tempDir(), 'places.mmdb');
let b, key;

before(async () => {
  fs.writeFileSync(places, makeMmdb({ '127.0.0.2/32': BERLIN, '127.0.0.3/32': NEW_YORK }));
  b = await Berthd.start({ args: ['--geo-database', places] });
  for (const host of HUBS) await b.ok('hub', 'create', host.split('.')[0], '--host-name', host);
  await b.ok('enrollment-group', 'create', 'fleet', '--attestation-type', 'symmetrickey', '--allocation-policy', 'hashed', '--iot-hubs', HUBS.join(' '));
  key = (await b.json('enrollment-group', 'show', 'fleet', '--show-keys')).attestation.symmetricKey.primaryKey;
});
after(async () => {
  await b?.stop();
  fs.rmSync(path.dirname(places), { recursive: true });
});

async function register(id, { localAddress, groupKey = key } = {}) {
  const m = await b.mqtt({}, { localAddress });
  try {
    const password = deviceToken(`${b.dev.idScope}/registrations/${id}`, deriveKey(groupKey, id), { skn: 'registration' });
    const { body } = await provision(m, { idScope: b.dev.idScope, registrationId: id, password });
    return body.registrationState;
  } finally {
    m.end();
  }
}
const hubOf = async (id, options) => (await register(id, options)).assignedHub;

// Where each of the devices goes when all register: { id: hub }.
async function registerAll() {
  const at = {};
  await Promise.all(DEVICES.map(async (id) => { at[id] = await hubOf(id); }));
  return at;
}
const on = (at, host) => DEVICES.filter((id) => at[id] === host);
const explained = (id) => b.ok('explain', id);

test('a weight counts from the next registration on, and moves nobody between other hubs', async () => {
  const even = await registerAll();
  assert.ok(on(even, EAST).length >= 15 && on(even, WEST).length >= 15, JSON.stringify(even));
  assert.equal(on(even, EAST).length + on(even, WEST).length, DEVICES.length);

  await b.ok('linked-hub', 'update', WEST, '--allocation-weight', '9');
  const uneven = await registerAll();
  for (const id of on(even, WEST)) assert.equal(uneven[id], WEST, id); // the heavier one loses nobody
  assert.ok(on(uneven, WEST).length >= 45, `${on(uneven, WEST).length}`);

  await b.ok('linked-hub', 'update', WEST, '--allocation-weight', '1');
  assert.deepEqual(await registerAll(), even);
});

test('a hub that drains is left by who registers and gets nobody, unless there is no other', async () => {
  const even = await registerAll();
  const [eastern] = on(even, EAST), [western] = on(even, WEST);
  await b.ok('linked-hub', 'drain', EAST);
  assert.deepEqual([...new Set(Object.values(await registerAll()))], [WEST]);
  assert.match(await explained(eastern), /policy +hashed, of the enrollment; candidates: 2, 1 of them draining\n/);

  await b.ok('linked-hub', 'drain', WEST);
  assert.equal(await hubOf(western), WEST);
  assert.match(await explained(western), /because +every hub that may take it is draining\n/);
  const refused = await register('too-late');
  assert.equal(refused.status, 'failed');
  assert.equal(refused.errorCode, 401001);
  assert.match(await explained('too-late'), /REFUSED: hub-draining \(401001\)/);
  assert.match(b.stderr, /reason="?hub-draining/);

  await b.ok('linked-hub', 'drain', EAST, '--cancel');
  await b.ok('linked-hub', 'drain', WEST, '--cancel');
  assert.deepEqual(await registerAll(), even);
});

test('geoLatency: the nearest hub by the address a device comes from; it follows', async () => {
  await b.ok('enrollment-group', 'create', 'geo', '--attestation-type', 'symmetrickey', '--allocation-policy', 'geoLatency', '--iot-hubs', HUBS.join(' '));
  const groupKey = (await b.json('enrollment-group', 'show', 'geo', '--show-keys')).attestation.symmetricKey.primaryKey;
  const from = (localAddress) => ({ localAddress, groupKey });

  assert.ok(HUBS.includes(await hubOf('rover', from('127.0.0.2'))));
  assert.match(await explained('rover'), /because +as by hashed: no hub that may take it has coordinates\n/);
  await b.ok('linked-hub', 'update', EAST, `--latitude=${BERLIN.latitude}`, `--longitude=${BERLIN.longitude}`);
  await b.ok('linked-hub', 'update', WEST, `--latitude=${NEW_YORK.latitude}`, `--longitude=${NEW_YORK.longitude}`);

  for (let i = 0; i < 5; i++) {
    assert.equal(await hubOf(`berliner-${i}`, from('127.0.0.2')), EAST);
    assert.equal(await hubOf(`yorker-${i}`, from('127.0.0.3')), WEST);
  }
  assert.match(await explained('yorker-0'), /policy +geoLatency, of the enrollment; candidates: 2\n +device at +40\.713, -74\.006: 0 km from the hub\n/);
  assert.equal(await hubOf('rover', from('127.0.0.2')), EAST);
  assert.equal(await hubOf('rover', from('127.0.0.3')), WEST);

  const unknown = await Promise.all(DEVICES.slice(0, 20).map((id) => hubOf(`far-${id}`, from('127.0.0.1'))));
  assert.deepEqual([...new Set(unknown)].sort(), HUBS); // as by hashed
  assert.match(await explained('far-unit-0'), /because +as by hashed: the geo-database has no place for the device's address\n/);

  // A newer database, then one that is none.
  fs.writeFileSync(places, makeMmdb({ '127.0.0.2/32': NEW_YORK }, { type: 'Newer' }));
  b.child.kill('SIGHUP');
  await until('the newer database serves', () => b.stderr.includes('Newer'));
  assert.equal(await hubOf('rover', from('127.0.0.2')), WEST);
  fs.writeFileSync(places, 'no database');
  b.child.kill('SIGHUP');
  await until('the bad one is told of', () => b.stderr.includes('geo-database-failed'));
  assert.equal(await hubOf('rover', from('127.0.0.2')), WEST);
});

test('the service\'s own policy is for enrollments that have none', async () => {
  await b.ok('enrollment-group', 'create', 'plain', '--attestation-type', 'symmetrickey', '--iot-hubs', EAST);
  const groupKey = (await b.json('enrollment-group', 'show', 'plain', '--show-keys')).attestation.symmetricKey.primaryKey;
  for (const [policy, hub] of [['static', EAST], ['geoLatency', EAST], ['hashed', EAST]]) {
    await b.ok('instance', 'update', '--allocation-policy', policy);
    assert.equal(await hubOf('plain-1', { groupKey }), hub);
    assert.match(await explained('plain-1'), new RegExp(`policy +${policy}, of the instance; candidates: 1\n`));
  }
  await b.ok('enrollment-group', 'update', 'plain', '--iot-hubs', HUBS.join(' '));
  await b.ok('instance', 'update', '--allocation-policy', 'static');
  assert.equal((await register('plain-1', { groupKey })).errorCode, 401001);
  assert.match(await explained('plain-1'), /because +static takes an enrollment that names exactly one hub\n/);
});

test('a database that cannot be read is one clear sentence', async () => {
  await b.kill('SIGTERM');
  fs.writeFileSync(places, 'no database');
  await assert.rejects(b.restart(), /berthd: geo-database .*places\.mmdb: /);
  fs.writeFileSync(places, makeMmdb({}));
  await b.restart();
});
