// Devices and modules that are proven by a certificate under a CA of their hub: the CA's life from upload to proof of possession, whom it
// lets in, and that it is the hub's alone.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { Berthd, Pki } from '../lib/berth.mjs';

const V = '?api-version=2021-04-12';
let b, pki, hub, root, middle;

const login = (client) => ({ clientId: client, username: `localhost/${client}/?api-version=2021-04-12` });
const put = async (path) => {
  const [deviceId, moduleId] = path.split('/modules/');
  const r = await b.hub('PUT', `/devices/${path}${V}`, { body: { deviceId, ...(moduleId ? { moduleId } : {}), authentication: { type: 'certificateAuthority' } } });
  assert.equal(r.status, 200, r.text);
};
const connack = async (device, client) => {
  const m = await b.mqtt(device);
  const code = await m.connect(login(client));
  m.destroy();
  return code;
};
const certificate = (...args) => b.json('hub', 'certificate', ...args, '--hub-name', hub);

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  hub = (await b.json('hub', 'list')).find((h) => h.hostName === 'localhost').name;
  root = await pki.make('Plant root', { ca: true });
  middle = await pki.make('Plant line 7', { ca: true, issuer: root });
  for (const path of ['ca1', 'CA2', 'ca1/modules/m']) await put(path);
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('a CA is of use once possession of its key is proven', async () => {
  const device = await pki.make('ca1', { issuer: middle });
  assert.equal(await connack(device, 'ca1'), 5);
  const made = await certificate('create', 'root', '--path', root.certFile);
  assert.equal(made.properties.isVerified, false);
  assert.equal(made.type, 'Microsoft.Devices/IotHubs/Certificates');
  assert.equal(await connack(device, 'ca1'), 5);
  assert.match(await b.ok('explain', 'ca1'), /ca-not-verified/);
  const { properties } = await certificate('generate-verification-code', 'root');
  const wrong = await pki.make(properties.verificationCode, { issuer: await pki.make('Plant root', { ca: true }) });
  const refused = await b.cli('hub', 'certificate', 'verify', 'root', '--hub-name', hub, '--path', wrong.certFile);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /not signed by the CA's key/);
  const proof = await pki.make(properties.verificationCode, { issuer: root });
  assert.equal((await certificate('verify', 'root', '--path', proof.certFile)).properties.isVerified, true);
  assert.equal(await connack(device, 'ca1'), 0);
  assert.equal(await connack(device, 'CA2'), 5);
});

test('who is let in', async () => {
  const cases = [
    ['a device', await pki.make('ca1', { issuer: middle }), 'ca1', 0],
    ['right under the root', await pki.make('CA2', { issuer: root }), 'CA2', 0],
    ['a module', await pki.make('ca1/m', { issuer: middle }), 'ca1/m', 0],
    ['a name in another case', await pki.make('ca2', { issuer: middle }), 'CA2', 5],
    ['another device', await pki.make('ca1', { issuer: middle }), 'CA2', 5],
    ['its device for the module', await pki.make('ca1', { issuer: middle }), 'ca1/m', 5],
    ['a CA of that name', await pki.make('ca1', { issuer: await pki.make('Plant root', { ca: true }) }), 'ca1', 5],
    ['by its own hand', await pki.make('ca1'), 'ca1', 5],
    ['expired', await pki.make('ca1', { issuer: middle, startdate: '200101000000Z', enddate: '200201000000Z' }), 'ca1', 5],
    ['for servers', await pki.make('ca1', { issuer: middle, eku: 'serverAuth' }), 'ca1', 5],
    ['nothing', {}, 'ca1', 5],
  ];
  for (const [what, device, client, code] of cases) assert.equal(await connack(device, client), code, what);
  // the leaf alone: the intermediate is not known to the hub, until it is uploaded
  const device = await pki.make('ca1', { issuer: middle });
  const alone = { ...device, chain: device.cert };
  assert.equal(await connack(alone, 'ca1'), 5);
  await certificate('create', 'line-7', '--path', middle.certFile);
  assert.equal(await connack(alone, 'ca1'), 0);
});

test('over HTTPS as well, with the stamp of a certificate', async () => {
  const device = await pki.make('ca1', { issuer: middle });
  assert.equal((await b.request('POST', `/devices/ca1/messages/events${V}`, { device, body: 'x' })).status, 204);
  const out = await b.ok('hub', 'monitor-events', '--from', 'start', '--device-id', 'ca1', '--count', '1', '--timeout', '20', '--output', 'json');
  assert.equal(JSON.parse(JSON.parse(out).systemProperties['iothub-connection-auth-method']).type, 'x509');
  assert.equal((await b.request('POST', `/devices/CA2/messages/events${V}`, { device, body: 'x' })).status, 401);
});

test('listed, shown, replaced and deleted like any certificate', async () => {
  const list = await certificate('list');
  assert.deepEqual(list.map((c) => c.name), ['line-7', 'root']);
  const one = await certificate('show', 'root');
  assert.match(one.id, new RegExp(`/berth/v1/hubs/${hub}/certificates/root$`));
  assert.equal((await b.cli('hub', 'certificate', 'create', 'root', '--path', root.certFile, '--hub-name', hub)).code, 5);
  assert.equal((await b.cli('hub', 'certificate', 'show', 'none', '--hub-name', hub)).code, 3);
  assert.equal((await b.cli('hub', 'certificate', 'show', 'root', '--hub-name', 'nowhere')).code, 3);
  assert.equal((await b.cli('certificate', 'show', 'root')).code, 3, 'not the instance\'s');
  const leaf = await pki.make('leaf', { issuer: root });
  assert.notEqual((await b.cli('hub', 'certificate', 'create', 'leaf', '--path', leaf.certFile, '--hub-name', hub)).code, 0);
  await b.ok('hub', 'certificate', 'delete', 'line-7', '--hub-name', hub);
  const device = await pki.make('ca1', { issuer: middle });
  assert.equal(await connack({ ...device, chain: device.cert }, 'ca1'), 5);
  assert.equal(await connack(device, 'ca1'), 0);
});

test('at most 25 a hub, and none of them on another', async () => {
  await b.ok('hub', 'create', 'second', '--host-name', 'second.localhost');
  for (let i = 0; i < 25; i++) {
    const file = pki.file('many.pem');
    fs.copyFileSync(root.certFile, file);
    await b.ok('hub', 'certificate', 'create', `c${i}`, '--path', file, '--verified', '--hub-name', 'second');
  }
  const full = await b.cli('hub', 'certificate', 'create', 'c25', '--path', root.certFile, '--hub-name', 'second');
  assert.notEqual(full.code, 0);
  assert.match(full.stderr, /25/);
  assert.equal((await certificate('list')).length, 1);
  // deleted with the hub: a new one of its name has none
  await b.ok('hub', 'delete', 'second', '--yes');
  await b.ok('hub', 'create', 'second', '--host-name', 'second.localhost');
  assert.deepEqual(await b.json('hub', 'certificate', 'list', '--hub-name', 'second'), []);
});

test('after a restart it is as it was', async () => {
  await b.kill();
  await b.restart();
  assert.equal(await connack(await pki.make('ca1', { issuer: middle }), 'ca1'), 0);
});
