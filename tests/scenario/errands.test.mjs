// Registrations that wait for a hub of another server: assigned, moved there and back, and both servers killed at any moment; and
// a hub that is down, which harms only its own devices.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, sas, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const FAR = 'far.example';
const HERE = 'localhost';
let near, far, pki, owner, ca, door;

// Stands between the two servers: counts connections, and closes the one it is told to, or all.
class Door {
  constructor(port) {
    this.to = port;
    this.isShut = false;
    this.sockets = new Set();
    this.server = net.createServer((a) => {
      this.onConnection?.();
      if (this.isShut) return a.destroy();
      const b = net.connect(this.to, '127.0.0.1');
      for (const [x, y] of [[a, b], [b, a]]) {
        this.sockets.add(x);
        x.on('error', () => y.destroy()).on('close', () => { this.sockets.delete(x); y.destroy(); });
        x.on('data', (d) => { this.onData?.(x === a, d); y.write(d); });
      }
    });
  }

  async open() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this.server.address().port;
  }

  shut() {
    this.isShut = true;
    for (const s of this.sockets) s.destroy();
  }

  close() { this.shut(); this.server.close(); }
}

const farHas = async (id) => {
  const r = await far.request('GET', `/devices/${id}?api-version=2021-04-12`, { host: FAR, headers: { Authorization: sas(owner) } });
  assert.ok([200, 404].includes(r.status), r.text);
  return r.status === 200;
};
const nearHas = async (id) => (await near.hub('GET', `/devices/${id}?api-version=2021-04-12`)).status === 200;
const registration = async (id) => (await near.service('GET', `/registrations/${id}?api-version=2021-10-01`)).json;
const pending = async () => (await near.service('GET', '/berth/v1/errands')).json.value;

async function begin(device) {
  const m = await near.mqtt(device);
  assert.equal(await m.connect({ clientId: device.cn, username: `${near.dev.idScope}/registrations/${device.cn}/api-version=2019-03-31` }), 0);
  await m.subscribe('$dps/registrations/res/#');
  await m.publish('$dps/registrations/PUT/iotdps-register/?$rid=1', JSON.stringify({ registrationId: device.cn }));
  m.end();
}

async function register(device) {
  const m = await near.mqtt(device);
  const { body } = await provision(m, { idScope: near.dev.idScope, registrationId: device.cn });
  m.end();
  return body;
}

async function send(hub) {
  await near.ok('enrollment-group', 'update', 'wanderers', '--iot-hubs', hub);
}

before(async () => {
  [near, far] = await Promise.all([Berthd.start(), Berthd.start()]);
  pki = new Pki();
  const made = await far.service('PUT', '/berth/v1/hubs/far', { body: { hostName: FAR } });
  assert.equal(made.status, 200, made.text);
  owner = made.json.connectionString;
  door = new Door(far.httpsPort);
  await near.ok('linked-hub', 'create', FAR, '--connection-string', owner, '--address', `127.0.0.1:${await door.open()}`,
    '--hub-ca-file', far.dev.serverCaFile);
  ca = await pki.make('wanderers CA', { ca: true });
  await near.ok('enrollment-group', 'create', 'wanderers', '--certificate-path', ca.certFile, '--allocation-policy', 'static', '--iot-hubs', FAR);
});

after(async () => {
  door?.close();
  pki?.remove();
  await Promise.all([near?.stop(), far?.stop()]);
});

describe('a hub of another server', () => {
  test('gets its device, and gives it back with its twin', async () => {
    const d = await pki.make('wanderer', { issuer: ca });
    await send(FAR);
    let r = await register(d);
    assert.equal(r.status, 'assigned', JSON.stringify(r));
    assert.equal(r.registrationState.assignedHub, FAR);
    assert.equal(r.registrationState.substatus, 'initialAssignment');
    assert.deepEqual([await farHas('wanderer'), await nearHas('wanderer')], [true, false]);
    const patched = await far.request('PATCH', '/twins/wanderer?api-version=2021-04-12', { host: FAR, headers: { Authorization: sas(owner) },
      body: { tags: { floor: 3 }, properties: { desired: { colour: 'red' } } } });
    assert.equal(patched.status, 200, patched.text);

    await send(HERE);
    r = await register(d);
    assert.equal(r.registrationState.assignedHub, HERE);
    assert.equal(r.registrationState.substatus, 'deviceDataMigrated');
    await until('it has left the far hub', async () => !await farHas('wanderer'));
    const twin = (await near.hub('GET', '/twins/wanderer?api-version=2021-04-12')).json;
    assert.equal(twin.tags.floor, 3);
    assert.equal(twin.properties.desired.colour, 'red');

    await send(FAR);
    r = await register(d);
    assert.equal(r.registrationState.assignedHub, FAR);
    assert.equal(r.registrationState.substatus, 'reprovisionedToInitialAssignment');
    assert.deepEqual([await farHas('wanderer'), await nearHas('wanderer')], [true, false]);
  });

  test('kill -9 at any moment of a move loses nobody and leaves nobody on two hubs', async () => {
    // Each round kills the server after so many pieces of its talk with the far hub.
    for (let round = 0; round < 8; round++) {
      const d = await pki.make(`victim${round}`, { issuer: ca });
      const to = round % 2 === 0 ? FAR : HERE;
      await send(to === FAR ? HERE : FAR);
      assert.equal((await register(d)).status, 'assigned');
      await send(to);
      let pieces = 0;
      let isKilled = false;
      door.onData = () => {
        if (++pieces === 2 * round + 1) {
          isKilled = true;
          near.kill('SIGKILL');
        }
      };
      await begin(d).catch(() => {}); // it may be dead before it has answered
      await until('killed, or moved before that', async () => isKilled || (await registration(d.cn).catch(() => undefined))?.status === 'assigned');
      door.onData = undefined;
      await near.kill('SIGKILL');
      await near.restart();
      await until(`${d.cn} has arrived`, async () => (await registration(d.cn)).status === 'assigned');
      const { assignedHub } = await registration(d.cn);
      await until('and nothing is left to do', async () => (await pending()).length === 0);
      assert.deepEqual([await farHas(d.cn), await nearHas(d.cn)], [assignedHub === FAR, assignedHub === HERE], d.cn);
      assert.equal((await register(d)).registrationState.assignedHub, to);
    }
  });

  test('that is down harms only its own devices, and is found again', async () => {
    const lost = await pki.make('waits', { issuer: ca });
    await send(FAR);
    door.shut();
    await begin(lost);
    const [errand] = await until('it was tried', async () => (await pending()).filter((e) => e.tries > 0).slice(0, 1).concat(null)[0] && pending());
    const [listed] = await near.json('linked-hub', 'list-errands');
    assert.deepEqual([listed.type, listed.registrationId, listed.hub], ['assign', errand.registrationId, errand.hub]);
    assert.equal(errand.registrationId, 'waits');
    assert.match(errand.lane, /^hub\/.*\/far\.example$/);
    assert.ok(errand.lastError);
    await near.provisionByKey('unharmed');
    assert.equal((await registration('waits')).status, 'assigning');
    door.isShut = false;
    await until('it has arrived', async () => (await registration('waits')).status === 'assigned', 60000);
    assert.equal(await farHas('waits'), true);
    const metrics = (await near.request('GET', '/metrics')).text;
    assert.match(metrics, /berth_errands_done_total [1-9]/);
  });

  test('SIGTERM with a call under way ends in time, and the next start goes on', async () => {
    const d = await pki.make('patient', { issuer: ca });
    const hung = new Promise((resolve) => { door.onData = (isAsked) => { if (isAsked) { door.onData = undefined; for (const s of door.sockets) s.pause(); resolve(); } }; });
    for (const s of door.sockets) s.destroy(); // a new connection, to be held
    await begin(d);
    await hung;
    const from = Date.now();
    assert.deepEqual(await near.kill('SIGTERM'), { code: 0, signal: null });
    assert.ok(Date.now() - from < 10000);
    for (const s of door.sockets) s.destroy();
    await near.restart();
    await until('it has arrived', async () => (await registration('patient')).status === 'assigned', 60000);
  });
});
