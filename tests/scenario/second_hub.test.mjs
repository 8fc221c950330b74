// --dev with a hub made while it runs: reachable under its name at once, and again after a restart.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd, Pki } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const HUBS = ['plant.localhost', 'hub.example.test'];
let b, pki;

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

const handshake = (servername) => b.mqtt({}, { servername }).then((m) => { m.destroy(); return true; }, (e) => e.code);

test('a new hub\'s name is in the server\'s certificate, on every connection from then on', async () => {
  const old = await b.mqtt({});
  for (const host of HUBS) {
    assert.equal(await handshake(host), 'ERR_TLS_CERT_ALTNAME_INVALID', host);
    await b.ok('hub', 'create', host.split('.')[0], '--host-name', host);
    for (let i = 0; i < 20; i++) assert.equal(await handshake(host), true, `${host} ${i}`);
  }
  assert.equal(await handshake('localhost'), true);
  assert.equal(await old.connect({ clientId: 'x', username: `${b.dev.idScope}/registrations/x/api-version=2019-03-31` }), 0);
  old.destroy();
  assert.equal((await b.cli('hub', 'create', 'again', '--host-name', HUBS[0])).code, 5);
});

test('a device assigned to it connects and talks', async () => {
  const [host] = HUBS;
  const ca = await pki.make('plant CA', { ca: true });
  await b.ok('enrollment-group', 'create', 'plant', '--certificate-path', ca.certFile, '--allocation-policy', 'static', '--iot-hubs', host);
  const d = await pki.make('far', { issuer: ca });
  const m = await b.mqtt(d);
  assert.equal((await provision(m, { idScope: b.dev.idScope, registrationId: 'far' })).body.registrationState.assignedHub, host);
  m.end();
  const atHub = await b.mqtt(d, { servername: host });
  assert.equal(await atHub.connect({ clientId: 'far', username: `${host}/far/?api-version=2021-04-12` }), 0);
  await atHub.publish('devices/far/messages/events/', 'hello');
  atHub.end();
  await b.ok('device', 'simulate', '--cert', d.certFile, '--key', d.keyFile);

  // dev.json lists it; the command line picks it by --hub
  const events = await b.ok('hub', 'monitor-events', '--hub', host, '--from', 'start', '--count', '2', '--timeout', '20', '--output', 'json');
  assert.equal(JSON.parse(events.split('\n')[0]).body, 'hello');
  assert.equal((await b.json('hub', 'device-identity', 'show', 'far', '--hub', host)).deviceId, 'far');
  assert.equal((await b.cli('hub', 'device-identity', 'show', 'far')).code, 3);
  assert.equal((await b.cli('hub', 'device-identity', 'show', 'far', '--hub', 'nowhere.test')).code, 3);
});

test('a restart finds all of it', async () => {
  b.readDev();
  const before = b.dev;
  assert.deepEqual(before.hubs.map((h) => h.hostName).sort(), ['localhost', ...HUBS].sort());
  assert.equal(before.hubs[0].hostName, 'localhost');
  assert.deepEqual(await b.kill('SIGTERM'), { code: 0, signal: null });
  await b.restart();
  assert.deepEqual(b.dev, before);
  for (const host of HUBS) assert.equal(await handshake(host), true, host);
});
