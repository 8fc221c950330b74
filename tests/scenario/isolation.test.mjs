// Two instances on one server, alike in all they can be: every name, certificate and key of the one is tried at the other.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, deriveKey, deviceToken, parseConnectionString, sas, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const API = 'api-version=2021-10-01';
const GROUP_KEY = crypto.randomBytes(64).toString('base64');
let b, pki, ca, onlyA, a, z; // a and z: the two instances

// A tenant: {name, host, login, idScope, hub: {host, login}}
const ask = (t, method, target, { body, headers, login = t.login, as } = {}) => b.request(method, target, {
  host: t.host, body, headers: { Authorization: as ?? sas(login, { resource: t.host }), ...headers },
});
const askServer = (method, target, body) => b.request(method, target, { body, headers: { Authorization: sas(b.dev.serverConnectionString) } });
const register = async (idScope, registrationId, { device, password } = {}) => {
  const m = await b.mqtt(device);
  try { return await provision(m, { idScope, registrationId, password }); } finally { m.end(); }
};
const byKey = (t, id) => deviceToken(`${t.idScope}/registrations/${id}`, deriveKey(GROUP_KEY, id), { skn: 'registration' });
const want = async (status, promise, why = '') => {
  const r = await promise;
  assert.equal(r.status, status, `${why} ${r.text}`);
  return r;
};

const caBody = (cert) => ({ properties: { certificate: cert, isVerified: true } });
const signing = (id, cert, more = {}) => ({ enrollmentGroupId: id, attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: cert } } } }, ...more });
const referring = (id, name, more = {}) => ({ enrollmentGroupId: id, attestation: { type: 'x509', x509: { caReferences: { primary: name } } }, ...more });

async function makeTenant(name) {
  const host = `${name}.localhost`;
  const made = await want(201, askServer('PUT', `/berth/v1/instances/${name}`, { properties: { serviceOperationsHostName: host } }));
  const t = { name, host, login: made.json.connectionString, idScope: made.json.properties.idScope };
  const hub = await want(200, ask(t, 'PUT', '/berth/v1/hubs/hub', { body: { hostName: `hub.${host}` } }));
  t.hub = { host: hub.json.hostName, login: hub.json.connectionString };
  return t;
}

// The same names, certificates and keys in both.
async function fill(t) {
  await want(200, ask(t, 'PUT', '/berth/v1/certificates/ca', { body: caBody(ca.cert) }));
  await want(200, ask(t, 'PUT', `/enrollmentGroups/factory?${API}`, { body: signing('factory', ca.cert) }));
  await want(200, ask(t, 'PUT', `/enrollmentGroups/keys?${API}`, { body: { enrollmentGroupId: 'keys', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: GROUP_KEY, secondaryKey: GROUP_KEY } } } }));
  await want(200, ask(t, 'PUT', `/enrollments/${t.name}-only?${API}`, { body: { registrationId: `${t.name}-only`, attestation: { type: 'symmetricKey' } } }));
  await want(200, ask(t, 'PUT', '/berth/v1/policies/reader', { body: { rights: 'EnrollmentRead' } }));
}

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  ca = await pki.make('Shared CA', { ca: true });
  onlyA = await pki.make('CA of A alone', { ca: true });
  a = await makeTenant('a');
  z = await makeTenant('z');
  await fill(a);
  await fill(z);
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('they are two: other ID scopes, hosts, keys', () => {
  assert.notEqual(a.idScope, z.idScope);
  assert.notEqual(parseConnectionString(a.login).SharedAccessKey, parseConnectionString(z.login).SharedAccessKey);
});

describe('operators', () => {
  test('a login of the one is refused by the other, whatever its token says', async () => {
    const resources = [['GET', `/enrollmentGroups/factory?${API}`], ['PUT', `/enrollmentGroups/x?${API}`], ['DELETE', `/enrollmentGroups/factory?${API}`],
      ['POST', `/enrollments/query?${API}`], ['POST', `/enrollments?${API}`], ['POST', `/enrollmentGroups/keys/attestationmechanism?${API}`],
      ['GET', `/registrations/d?${API}`], ['POST', `/registrations/factory/query?${API}`], ['GET', '/berth/v1/instance'], ['PATCH', '/berth/v1/instance'],
      ['GET', '/berth/v1/policies'], ['PUT', '/berth/v1/policies/x'], ['POST', '/berth/v1/policies/reader/listkeys'], ['POST', '/berth/v1/policies/reader/regenerateKey'],
      ['GET', '/berth/v1/linkedHubs'], ['PUT', `/berth/v1/linkedHubs/${a.hub.host}`], ['DELETE', `/berth/v1/linkedHubs/${z.hub.host}`],
      ['POST', `/berth/v1/linkedHubs/${z.hub.host}/drain`], ['GET', `/berth/v1/linkedHubs/${z.hub.host}/devices`], ['GET', `/berth/v1/linkedHubs/${z.hub.host}/identities`],
      ['GET', '/berth/v1/reconcile/hubs'], ['GET', '/berth/v1/reconcile/registrations'], ['GET', '/berth/v1/reconcile/errands'], ['GET', '/berth/v1/errands'], ['POST', '/berth/v1/reconcile'],
      ['GET', '/berth/v1/hubs'], ['PUT', '/berth/v1/hubs/x'], ['DELETE', '/berth/v1/hubs/hub'], ['GET', '/berth/v1/certificates'], ['DELETE', '/berth/v1/certificates/ca'],
      ['GET', '/berth/v1/decisions?registrationId=d'], ['POST', '/berth/v1/explain']];
    for (const [method, target] of resources) {
      const body = method === 'GET' || method === 'DELETE' ? undefined : {};
      for (const as of [sas(a.login), sas(a.login, { resource: z.host }), sas(a.hub.login, { resource: z.host }), sas(z.hub.login, { resource: z.host }),
        sas(b.dev.serviceConnectionString, { resource: z.host }), sas(b.dev.serverConnectionString, { resource: z.host })]) {
        const r = await want(401, ask(z, method, target, { body, as }), `${method} ${target}`);
        assert.ok(!r.text.includes(a.idScope) && !r.text.includes('Shared CA'));
      }
    }
    // a token for the one's own host, sent to the other with the first's Host, changes nothing either: the host decides
    await want(200, ask(a, 'GET', '/berth/v1/instance'));
  });

  test('policies of the same name have other keys; renewing one leaves the other', async () => {
    const keys = async (t) => (await want(200, ask(t, 'POST', '/berth/v1/policies/reader/listkeys'))).json;
    const [mine, theirs] = [await keys(a), await keys(z)];
    assert.notEqual(mine.primaryKey, theirs.primaryKey);
    const reader = `HostName=${z.host};SharedAccessKeyName=reader;SharedAccessKey=${mine.primaryKey}`;
    await want(401, ask(z, 'GET', `/enrollmentGroups/factory?${API}`, { login: reader }));
    await want(200, ask(a, 'POST', '/berth/v1/policies/reader/regenerateKey', { body: { key: 'primary' } }));
    assert.deepEqual(await keys(z), theirs);
  });

  test('only the server makes and sees instances', async () => {
    for (const as of [sas(a.login), sas(a.hub.login, { resource: a.host })]) {
      for (const [method, target] of [['GET', '/berth/v1/instances'], ['GET', '/berth/v1/instances/z'], ['DELETE', '/berth/v1/instances/z?force=true'], ['PUT', '/berth/v1/instances/new']]) {
        await want(401, ask(a, method, target, { as, body: method === 'PUT' ? { properties: { serviceOperationsHostName: 'new.localhost' } } : undefined }));
      }
    }
    await want(400, ask(a, 'PUT', '/berth/v1/policies/up', { body: { rights: 'ServiceConfig, ServerConfig' } }));
  });

  test('enrollments, groups and certificates of the same name are each one\'s own', async () => {
    const etag = (await want(200, ask(z, 'GET', `/enrollmentGroups/factory?${API}`))).json.etag;
    await want(412, ask(a, 'DELETE', `/enrollmentGroups/factory?${API}`, { headers: { 'If-Match': etag } }));
    await want(404, ask(a, 'GET', `/enrollments/z-only?${API}`));
    await want(404, ask(a, 'POST', `/enrollments/z-only/attestationmechanism?${API}`));
    await want(404, ask(a, 'DELETE', `/enrollments/z-only?${API}`));
    const bulk = await ask(a, 'POST', `/enrollments?${API}`, { body: { mode: 'delete', enrollments: [{ registrationId: 'z-only', attestation: { type: 'symmetricKey' } }] } });
    assert.equal(bulk.json.isSuccessful, false, bulk.text);
    await want(200, ask(z, 'GET', `/enrollments/z-only?${API}`));
    // a certificate in use by the other's enrollment only may go; the other's stays
    await want(200, ask(z, 'PUT', `/enrollmentGroups/byname?${API}`, { body: referring('byname', 'ca') }));
    await want(204, ask(a, 'DELETE', '/berth/v1/certificates/ca'));
    await want(200, ask(z, 'GET', '/berth/v1/certificates/ca'));
    await want(409, ask(z, 'DELETE', '/berth/v1/certificates/ca'));
    await want(400, ask(a, 'PUT', `/enrollmentGroups/byname?${API}`, { body: referring('byname', 'ca') }));
    await want(204, ask(z, 'DELETE', `/enrollmentGroups/byname?${API}`));
    await want(200, ask(a, 'PUT', '/berth/v1/certificates/ca', { body: caBody(ca.cert) }));
    // proof of possession: a code of the one is no code of the other
    for (const t of [a, z]) await want(200, ask(t, 'PUT', '/berth/v1/certificates/unproven', { body: { certificate: onlyA.cert } }));
    const code = (await want(200, ask(a, 'POST', '/berth/v1/certificates/unproven/generateVerificationCode'))).json.properties.verificationCode;
    const proof = await pki.make(code, { issuer: onlyA });
    await want(400, ask(z, 'POST', '/berth/v1/certificates/unproven/verify', { body: { certificate: proof.cert } }));
    await want(200, ask(a, 'POST', '/berth/v1/certificates/unproven/verify', { body: { certificate: proof.cert } }));
    assert.equal((await ask(z, 'GET', '/berth/v1/certificates/unproven')).json.properties.isVerified, false);
    for (const t of [a, z]) await want(204, ask(t, 'DELETE', '/berth/v1/certificates/unproven'));
  });

  test('queries, pages and their tokens show one\'s own alone', async () => {
    const query = (t, target, headers = {}) => ask(t, 'POST', `${target}?${API}`, { body: { query: 'SELECT *' }, headers });
    for (let i = 0; i < 3; i++) await want(200, ask(a, 'PUT', `/enrollments/page-${i}?${API}`, { body: { registrationId: `page-${i}`, attestation: { type: 'symmetricKey' } } }));
    const first = await want(200, query(a, '/enrollments/query', { 'x-ms-max-item-count': '1' }));
    const token = first.headers['x-ms-continuation'];
    assert.ok(token);
    const crossed = await query(z, '/enrollments/query', { 'x-ms-continuation': token });
    assert.ok(crossed.status === 400 || (crossed.status === 200 && crossed.json.every((e) => e.registrationId === 'z-only')), crossed.text);
    assert.deepEqual((await query(z, '/enrollments/query')).json.map((e) => e.registrationId), ['z-only']);
    for (let i = 0; i < 2; i++) await want(200, ask(a, 'PUT', `/berth/v1/certificates/extra-${i}`, { body: caBody(onlyA.cert) }));
    const page = await want(200, ask(a, 'GET', '/berth/v1/certificates?top=1'));
    assert.deepEqual((await want(200, ask(z, 'GET', page.json.nextLink))).json.value.map((c) => c.name), []);
    const all = [];
    for (let next = '/berth/v1/certificates?top=1'; next !== undefined;) {
      const r = await want(200, ask(a, 'GET', next));
      all.push(...r.json.value.map((c) => c.name));
      next = r.json.nextLink;
    }
    assert.deepEqual(all, ['ca', 'extra-0', 'extra-1']);
  });
});

describe('devices', () => {
  test('the same registration ID, certificate and key: each scope has its own registration and device', async () => {
    const d = await pki.make('twin', { issuer: ca });
    for (const t of [a, z]) {
      const { body } = await register(t.idScope, 'twin', { device: d });
      assert.equal(body.registrationState.assignedHub, t.hub.host);
      assert.equal((await register(t.idScope, 'meter', { password: byKey(t, 'meter') })).body.registrationState.assignedHub, t.hub.host);
    }
    await want(204, ask(a, 'DELETE', `/registrations/twin?${API}`));
    await want(404, ask(a, 'GET', `/registrations/twin?${API}`));
    assert.equal((await want(200, ask(z, 'GET', `/registrations/twin?${API}`))).json.assignedHub, z.hub.host);
  });

  test('a token for the one scope is refused at the other, though the key is the same', async () => {
    assert.equal((await register(z.idScope, 'meter', { password: byKey(a, 'meter') })).status, 401);
    const at = `/${z.idScope}/registrations/meter`;
    await want(401, b.request('PUT', `${at}/register?api-version=2019-03-31`, { headers: { Authorization: byKey(a, 'meter') }, body: { registrationId: 'meter' } }));
    const own = (await want(200, ask(a, 'POST', `/enrollments/a-only/attestationmechanism?${API}`))).json.symmetricKey.primaryKey;
    const forZ = deviceToken(`${z.idScope}/registrations/a-only`, own, { skn: 'registration' });
    await want(401, b.request('PUT', `/${z.idScope}/registrations/a-only/register?api-version=2019-03-31`, { headers: { Authorization: forZ }, body: { registrationId: 'a-only' } }));
  });

  test('an operation of the one is not to be polled at the other', async () => {
    const put = await want(202, b.request('PUT', `/${a.idScope}/registrations/poll/register?api-version=2019-03-31`, { headers: { Authorization: byKey(a, 'poll') }, body: { registrationId: 'poll' } }));
    const poll = (t) => b.request('GET', `/${t.idScope}/registrations/poll/operations/${put.json.operationId}?api-version=2019-03-31`, { headers: { Authorization: byKey(t, 'poll') } });
    await want(200, poll(a));
    await want(404, poll(z));
  });

  test('a CA that one trusts lets nobody in at the other, nor does its stored intermediate', async () => {
    const inter = await pki.make('Intermediate of A', { issuer: onlyA, ca: true });
    await want(200, ask(a, 'PUT', `/enrollmentGroups/own?${API}`, { body: signing('own', onlyA.cert) }));
    await want(200, ask(a, 'PUT', '/berth/v1/certificates/inter', { body: caBody(inter.cert) }));
    const d = await pki.make('leafonly', { issuer: inter });
    const alone = { chain: d.cert, key: d.key };
    assert.equal((await register(a.idScope, 'leafonly', { device: alone })).body.registrationState.assignedHub, a.hub.host);
    const refused = await register(z.idScope, 'leafonly', { device: alone });
    assert.equal(refused.status, 401);
    assert.match(refused.body.message, /CA certificate not found/);
    const dry = await want(200, ask(z, 'POST', '/berth/v1/explain', { body: { certificate: d.cert } }));
    assert.equal(dry.json.reason, 'issuer-unknown');
    assert.deepEqual(dry.json.considered, []);
    // the root at the other does not make the first's intermediate known there
    await want(200, ask(z, 'PUT', `/enrollmentGroups/own?${API}`, { body: signing('own', onlyA.cert) }));
    assert.equal((await register(z.idScope, 'leafonly', { device: alone })).status, 401);
    await want(204, ask(z, 'DELETE', `/enrollmentGroups/own?${API}`));
  });

  test('disabling at the one leaves the other', async () => {
    const d = await pki.make('switched', { issuer: ca });
    await want(200, ask(a, 'PUT', `/enrollmentGroups/factory?${API}`, { body: signing('factory', ca.cert, { provisioningStatus: 'disabled' }), headers: { 'If-Match': '*' } }));
    assert.notEqual((await register(a.idScope, 'switched', { device: d })).body.status, 'assigned');
    assert.equal((await register(z.idScope, 'switched', { device: d })).body.status, 'assigned');
    await want(200, ask(a, 'PUT', `/enrollmentGroups/factory?${API}`, { body: signing('factory', ca.cert), headers: { 'If-Match': '*' } }));
  });
});

describe('decisions', () => {
  test('by tracking ID or registration ID: one\'s own alone', async () => {
    const refused = await register(z.idScope, 'stranger', { device: await pki.make('stranger', { issuer: onlyA }) });
    const { trackingId } = refused.body;
    await want(200, ask(z, 'GET', `/berth/v1/decisions/${trackingId}`));
    await want(404, ask(a, 'GET', `/berth/v1/decisions/${trackingId}`));
    assert.deepEqual((await want(200, ask(a, 'GET', '/berth/v1/decisions?registrationId=stranger'))).json.value, []);
    assert.equal((await want(200, ask(z, 'GET', '/berth/v1/decisions?registrationId=stranger'))).json.value.length, 1);
  });

  test('at a hub\'s door: who is linked to it sees them', async () => {
    const m = await b.mqtt();
    assert.notEqual(await m.connect({ clientId: 'nobody', username: `${z.hub.host}/nobody/?api-version=2021-04-12` }), 0);
    m.destroy();
    const seen = (t) => ask(t, 'GET', '/berth/v1/decisions?registrationId=nobody').then((r) => r.json.value.length);
    assert.equal(await seen(z), 1);
    assert.equal(await seen(a), 0);
  });

  test('a hub cannot be named like an ID scope, nor a device put its refusals at a hub\'s door', async () => {
    await want(400, ask(a, 'PUT', '/berth/v1/hubs/spy', { body: { hostName: z.idScope } }));
    await register(z.hub.host, 'fake', { device: await pki.make('fake', { issuer: ca }) });
    assert.deepEqual((await ask(z, 'GET', '/berth/v1/decisions?registrationId=fake')).json.value, []);
  });
});

describe('hubs', () => {
  test('each sees and links its own', async () => {
    const hubs = async (t) => (await want(200, ask(t, 'GET', '/berth/v1/hubs'))).json.value.map((h) => h.hostName);
    assert.deepEqual(await hubs(a), [a.hub.host]);
    assert.deepEqual(await hubs(z), [z.hub.host]);
    const bad = { connectionString: a.hub.login.replace(a.hub.host, z.hub.host) };
    for (const body of [{}, bad, { connectionString: a.hub.login }]) {
      assert.equal((await want(400, ask(a, 'PUT', `/berth/v1/linkedHubs/${z.hub.host}`, { body }))).json.code, '400004');
    }
    await want(400, ask(a, 'PUT', '/berth/v1/linkedHubs/localhost', { body: {} })); // of a third
    await want(404, ask(a, 'GET', `/berth/v1/linkedHubs/${z.hub.host}`));
    await want(404, ask(a, 'DELETE', `/berth/v1/linkedHubs/${z.hub.host}`));
    await want(400, ask(a, 'PUT', `/enrollmentGroups/sneak?${API}`, { body: { enrollmentGroupId: 'sneak', attestation: { type: 'symmetricKey' }, allocationPolicy: 'static', iotHubs: [z.hub.host] } }));
    await want(409, ask(a, 'PUT', '/berth/v1/hubs/mine', { body: { hostName: z.hub.host } }));
    await want(409, ask(a, 'PUT', '/berth/v1/hubs/mine', { body: { hostName: z.host } })); // under which the other's operators work
    const deleted = await ask(a, 'DELETE', '/berth/v1/hubs/hub');
    assert.equal(deleted.status, 409, 'its own has devices');
    await want(200, ask(z, 'GET', '/berth/v1/linkedHubs/' + z.hub.host));
  });

  test('a hub login of the one is refused by the other\'s hub', async () => {
    const at = (t, login) => b.request('GET', '/devices?api-version=2021-04-12', { host: t.hub.host, headers: { Authorization: sas(login, { resource: t.hub.host }) } });
    await want(200, at(z, z.hub.login));
    await want(401, at(z, a.hub.login));
    await want(401, at(z, z.login));
    await want(401, b.request('GET', '/messages/events', { host: z.hub.host, headers: { Authorization: sas(a.hub.login, { resource: z.hub.host }) } }));
  });

  test('a query finds the devices of its own hub, by whichever index, and its token is of no other', async () => {
    const at = (t, method, target, body, headers = {}) => b.request(method, `${target}?api-version=2021-04-12`,
      { host: t.hub.host, body, headers: { Authorization: sas(t.hub.login, { resource: t.hub.host }), ...headers } });
    const device = (t, id) => ({ id, importMode: 'create', tags: { both: 1, owner: t.name }, authentication: { type: 'sas' } });
    for (const t of [a, z]) await want(200, at(t, 'POST', '/devices', ['query-1', 'query-2', `query-${t.name}`].map((id) => device(t, id))));
    for (const where of ['tags.both = 1', "status = 'enabled' AND tags.owner != 'x'", "deviceId IN ['query-1', 'query-2', 'query-a', 'query-z']", "STARTS_WITH(deviceId, 'query-')"]) {
      for (const t of [a, z]) {
        const found = (await want(200, at(t, 'POST', '/devices/query', { query: `SELECT deviceId, tags.owner FROM devices WHERE ${where} AND is_defined(tags.both)` }))).json;
        assert.deepEqual(found, ['query-1', 'query-2', `query-${t.name}`].map((deviceId) => ({ deviceId, owner: t.name })), where);
      }
    }
    const query = { query: 'SELECT * FROM devices WHERE tags.both = 1' };
    const token = { 'x-ms-continuation': (await at(a, 'POST', '/devices/query', query, { 'x-ms-max-item-count': '1' })).headers['x-ms-continuation'] };
    await want(200, at(a, 'POST', '/devices/query', query, token));
    await want(400, at(z, 'POST', '/devices/query', query, token));
    for (const t of [a, z]) await want(200, at(t, 'POST', '/devices', ['query-1', 'query-2', `query-${t.name}`].map((id) => ({ id, importMode: 'delete' }))));
  });

  test('an identity of the one is none at the other\'s hub', async () => {
    const at = (t, method, target, options = {}) => b.request(method, `${target}?api-version=2021-04-12`,
      { host: t.hub.host, body: options.body, headers: { Authorization: sas(options.login ?? t.hub.login, { resource: t.hub.host }), ...options.headers } });
    const any = { 'If-Match': '*' };
    await want(200, at(z, 'PUT', '/devices/own', { body: { statusReason: 'z' } }));
    await want(200, at(z, 'PUT', '/devices/own/modules/m', { body: {} }));
    for (const [method, target] of [['GET', '/devices/own'], ['PUT', '/devices/own'], ['DELETE', '/devices/own'], ['POST', '/devices'], ['GET', '/devices/own/modules'],
      ['DELETE', '/devices/own/modules/m'], ['GET', '/statistics/devices'], ['GET', '/statistics/service'], ['GET', '/twins/own/modules/m']]) {
      await want(401, at(z, method, target, { login: a.hub.login, headers: any }));
    }
    for (const target of ['/devices/own', '/devices/own/modules/m', '/twins/own/modules/m']) await want(404, at(a, 'GET', target));
    await want(200, at(a, 'PUT', '/devices/own', { body: { statusReason: 'a' } })); // of the same ID, and another
    await want(204, at(a, 'DELETE', '/devices/own', { headers: any }));
    assert.equal((await want(200, at(z, 'GET', '/devices/own'))).json.statusReason, 'z');
    await want(200, at(z, 'GET', '/devices/own/modules/m'));
    await want(204, at(z, 'DELETE', '/devices/own', { headers: any }));
  });

  test('whatever a hub has, a login or a device of the other\'s hub reaches none of it', async () => {
    const V = 'api-version=2021-04-12';
    const at = (t, method, target, { as, body, headers } = {}) => b.request(method, target, { host: t.hub.host, body, headers: { Authorization: as ?? sas(t.hub.login, { resource: t.hub.host }), ...headers } });
    const sasKey = (key) => ({ authentication: { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } } });
    const keyOf = { a: crypto.randomBytes(32).toString('base64'), z: crypto.randomBytes(32).toString('base64') };
    for (const t of [a, z]) {
      await want(200, at(t, 'PUT', `/devices/box?${V}`, { body: sasKey(keyOf[t.name]) }));
      await want(200, at(t, 'PUT', `/devices/box/modules/m?${V}`, { body: sasKey(keyOf[t.name]) }));
      await want(201, at(t, 'POST', `/messages/deviceBound?${V}`, { body: `for ${t.name}`, headers: { 'iothub-to': '/devices/box/messages/deviceBound', 'iothub-ack': 'full', 'iothub-messageid': `of-${t.name}`, 'Content-Type': 'text/plain' } }));
    }
    const guid = crypto.randomUUID();
    const service = ['GET /devices', 'POST /devices', 'POST /devices/query', 'GET /devices/box', 'PUT /devices/box', 'DELETE /devices/box',
      'GET /devices/box/modules', 'GET /devices/box/modules/m', 'PUT /devices/box/modules/m', 'DELETE /devices/box/modules/m', 'GET /statistics/devices', 'GET /statistics/service',
      'GET /twins/box', 'PATCH /twins/box', 'PUT /twins/box', 'GET /twins/box/modules/m', 'PATCH /twins/box/modules/m', 'PUT /twins/box/modules/m',
      'POST /twins/box/methods', 'POST /twins/box/modules/m/methods', 'POST /digitaltwins/box/commands/c', 'POST /digitaltwins/box/components/x/commands/c',
      'GET /messages/events', 'POST /messages/devicebound', 'DELETE /devices/box/commands', 'DELETE /devices/box/modules/m/commands',
      'GET /messages/servicebound/feedback', `DELETE /messages/servicebound/feedback/${guid}`, `POST /messages/servicebound/feedback/${guid}/abandon`];
    const own = ['POST /devices/box/messages/events', 'POST /devices/box/modules/m/messages/events', 'GET /devices/box/messages/devicebound', `DELETE /devices/box/messages/devicebound/${guid}`,
      `POST /devices/box/messages/devicebound/${guid}/abandon`, 'GET /devices/box/modules/m/messages/devicebound', `DELETE /devices/box/modules/m/messages/devicebound/${guid}`,
      `POST /devices/box/modules/m/messages/devicebound/${guid}/abandon`];
    const byKey = (t, key, path) => deviceToken(`${t.hub.host}${path}`, key);
    // of the back end: the other hub's, either instance's, the server's; and what a device has, its own key
    const strangers = [sas(a.hub.login), sas(a.hub.login, { resource: z.hub.host }), sas(a.login, { resource: z.hub.host }), sas(z.login, { resource: z.hub.host }), sas(b.dev.serverConnectionString, { resource: z.hub.host })];
    for (const [routes, more] of [[service, [byKey(z, keyOf.z, '/devices/box'), byKey(z, keyOf.z, '')]], [own, [byKey(a, keyOf.a, '/devices/box'), byKey(z, keyOf.a, '/devices/box'), byKey(a, keyOf.z, '/devices/box'), byKey(z, keyOf.z, '/devices/other')]]]) {
      for (const route of routes) {
        const [method, path] = route.split(' ');
        for (const as of [...strangers, ...more]) {
          const r = await want(401, at(z, method, `${path}?${V}`, { as, body: method === 'GET' || method === 'DELETE' ? undefined : {}, headers: { 'If-Match': '*' } }), route);
          assert.ok(!r.text.includes(keyOf.z) && !r.text.includes('generationId'), r.text);
        }
      }
    }
    // the module's key is not its device's, nor the device's its module's, though they were the same text: the token's reach decides
    await want(401, at(z, 'POST', `/devices/box/messages/events?${V}`, { as: byKey(z, keyOf.z, '/devices/box/modules/m'), body: 'x' }));
    await want(401, at(z, 'POST', `/devices/box/modules/m/messages/events?${V}`, { as: byKey(z, keyOf.z, '/devices/box/modules/n'), body: 'x' }));
    // each one's queue, feedback and purge are its own
    const received = await want(200, at(a, 'GET', `/devices/box/messages/devicebound?${V}`, { as: byKey(a, keyOf.a, '/devices/box') }));
    assert.equal(received.text, 'for a');
    const lock = received.headers.etag.slice(1, -1);
    await want(412, at(z, 'DELETE', `/devices/box/messages/devicebound/${lock}?${V}`, { as: byKey(z, keyOf.z, '/devices/box') }));
    await want(204, at(a, 'DELETE', `/devices/box/messages/devicebound/${lock}?${V}`, { as: byKey(a, keyOf.a, '/devices/box') }));
    await want(204, at(z, 'GET', `/messages/servicebound/feedback?${V}`));
    const told = await want(200, at(a, 'GET', `/messages/servicebound/feedback?${V}`));
    assert.deepEqual(told.json.map((f) => f.originalMessageId), ['of-a']);
    await want(412, at(z, 'DELETE', `/messages/servicebound/feedback/${told.headers.etag.slice(1, -1)}?${V}`));
    assert.equal((await want(200, at(a, 'DELETE', `/devices/box/commands?${V}`))).json.totalMessagesPurged, 0);
    assert.equal((await want(200, at(z, 'GET', `/devices/box?${V}`))).json.cloudToDeviceMessageCount, 1);
    // a twin's change is the one's alone
    await want(200, at(a, 'PATCH', `/twins/box?${V}`, { body: { tags: { of: 'a' }, properties: { desired: { of: 'a' } } } }));
    const twin = (await want(200, at(z, 'GET', `/twins/box?${V}`))).json;
    assert.deepEqual([twin.tags, twin.properties.desired.of, twin.version], [undefined, undefined, 2]);
    // events: a's telemetry is read by nobody at z
    await want(204, at(a, 'POST', `/devices/box/messages/events?${V}`, { as: byKey(a, keyOf.a, '/devices/box'), body: 'said at a' }));
    await want(204, at(z, 'POST', `/devices/box/messages/events?${V}`, { as: byKey(z, keyOf.z, '/devices/box'), body: 'said at z' }));
    const read = await b.ok('hub', 'monitor-events', '--from', 'start', '--device-id', 'box', '--count', '1', '--output', 'json', '--timeout', '20', '--hub-login', z.hub.login);
    assert.ok(read.includes('said at z') && !read.includes('said at a'), read);
    // a method waits for the device of its own hub
    const m = await b.mqtt({}, { servername: a.hub.host });
    assert.equal(await m.connect({ clientId: 'box', username: `${a.hub.host}/box/?${V}`, password: byKey(a, keyOf.a, '/devices/box') }), 0);
    await m.subscribe('$iothub/methods/POST/#', 0);
    await want(404, at(z, 'POST', `/twins/box/methods?${V}`, { body: { methodName: 'go', responseTimeoutInSeconds: 5 } }));
    assert.ok(m.packets.every((p) => p.type !== 'publish'));
    m.end();
    for (const t of [a, z]) await want(204, at(t, 'DELETE', `/devices/box?${V}`, { headers: { 'If-Match': '*' } }));
  });

  test('settings and CAs of a hub are the business of the instance that made it', async () => {
    const settings = '/berth/v1/hubs/hub', ca1 = `${settings}/certificates/ca1`;
    await want(200, ask(z, 'PATCH', settings, { body: { properties: { disableModuleSAS: true } } }));
    assert.equal((await want(200, ask(a, 'GET', settings))).json.properties.disableModuleSAS, false);
    await want(200, ask(z, 'PATCH', settings, { body: { properties: { disableModuleSAS: null } } }));
    await want(200, ask(z, 'PUT', '/berth/v1/hubs/another', { body: { hostName: 'another.z.localhost', link: false } }));
    for (const [method, body] of [['GET'], ['PATCH', {}], ['DELETE']]) await want(404, ask(a, method, '/berth/v1/hubs/another', { body }));
    await want(204, ask(z, 'DELETE', '/berth/v1/hubs/another'));
    await want(200, ask(z, 'PUT', ca1, { body: caBody(onlyA.cert) }));
    await want(404, ask(a, 'GET', ca1));
    await want(404, ask(a, 'DELETE', ca1));
    // alone at its own hub's door it counts
    const d = await pki.make('by-ca', { issuer: onlyA });
    const connect = async (t) => {
      const m = await b.mqtt(d, { servername: t.hub.host });
      const code = await m.connect({ clientId: 'by-ca', username: `${t.hub.host}/by-ca/?api-version=2021-04-12` });
      m.destroy();
      return code;
    };
    const identity = (t, method, more = {}) => b.request(method, '/devices/by-ca?api-version=2021-04-12', { host: t.hub.host, ...more, headers: { Authorization: sas(t.hub.login, { resource: t.hub.host }), ...more.headers } });
    for (const t of [a, z]) await want(200, identity(t, 'PUT', { body: { authentication: { type: 'certificateAuthority' } } }));
    assert.equal(await connect(z), 0);
    assert.equal(await connect(a), 5);
    for (const [method, target, body] of [['GET', settings], ['PATCH', settings, {}], ['GET', '/berth/v1/hubs/hub/certificates'], ['GET', ca1], ['PUT', ca1, caBody(ca.cert)], ['DELETE', ca1],
      ['POST', `${ca1}/generateVerificationCode`], ['POST', `${ca1}/verify`, {}]]) {
      for (const as of [sas(a.login), sas(a.login, { resource: z.host }), sas(z.hub.login, { resource: z.host })]) await want(401, ask(z, method, target, { body, as }), `${method} ${target}`);
    }
    await want(204, ask(z, 'DELETE', ca1));
    assert.equal(await connect(z), 5);
    for (const t of [a, z]) await want(204, identity(t, 'DELETE', { headers: { 'If-Match': '*' } }));
  });

  test('a device of the one is nobody at the other\'s hub', async () => {
    const d = await pki.make('walker', { issuer: ca });
    await register(a.idScope, 'walker', { device: d });
    const connect = async (host) => {
      const m = await b.mqtt(d, { servername: host });
      const code = await m.connect({ clientId: 'walker', username: `${host}/walker/?api-version=2021-04-12` });
      m.destroy();
      return code;
    };
    assert.equal(await connect(a.hub.host), 0);
    assert.notEqual(await connect(z.hub.host), 0);
  });

  test('a hub is shared by its connection string, seen masked, and left alone once unlinked', async () => {
    const link = `/berth/v1/linkedHubs/${z.hub.host}`;
    const linked = await want(200, ask(a, 'PUT', link, { body: { connectionString: z.hub.login, applyAllocationPolicy: false } }));
    assert.match(linked.json.connectionString, /SharedAccessKey=\*\*\*\*$/);
    assert.ok(!(await ask(a, 'GET', '/berth/v1/instance')).text.includes(parseConnectionString(z.hub.login).SharedAccessKey));
    await want(204, ask(a, 'DELETE', `/enrollmentGroups/own?${API}`)); // one group a signing certificate
    await want(200, ask(a, 'PUT', `/enrollmentGroups/guests?${API}`, {
      body: signing('guests', onlyA.cert, { allocationPolicy: 'static', iotHubs: [z.hub.host], reprovisionPolicy: { updateHubAssignment: false, migrateDeviceData: false } }),
    }));
    const d = await pki.make('guest', { issuer: onlyA });
    assert.equal((await register(a.idScope, 'guest', { device: d })).body.registrationState.assignedHub, z.hub.host);
    const thumbprint = async () => (await b.request('GET', '/devices/guest?api-version=2021-04-12', { host: z.hub.host, headers: { Authorization: sas(z.hub.login) } })).json.authentication.x509Thumbprint.primaryThumbprint;
    const before = await thumbprint();
    await want(409, ask(z, 'DELETE', '/berth/v1/hubs/hub'));
    await want(204, ask(a, 'DELETE', link));
    // "never" keeps its hub, but no longer writes there
    const renewed = await pki.make('guest', { issuer: onlyA });
    assert.equal((await register(a.idScope, 'guest', { device: renewed })).body.registrationState.assignedHub, z.hub.host);
    assert.equal(await thumbprint(), before);
  });

  test('a hub that took a deleted one\'s name knows nothing of it', async () => {
    const host = 'reused.localhost';
    const hub = (await want(200, ask(a, 'PUT', '/berth/v1/hubs/reused', { body: { hostName: host } }))).json;
    await want(200, ask(a, 'PUT', `/enrollments/old?${API}`, { body: { registrationId: 'old', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: GROUP_KEY, secondaryKey: GROUP_KEY } }, allocationPolicy: 'static', iotHubs: [host] } }));
    assert.equal((await register(a.idScope, 'old', { password: deviceToken(`${a.idScope}/registrations/old`, GROUP_KEY, { skn: 'registration' }) })).body.registrationState.assignedHub, host);
    const connect = async (deviceId, key) => {
      const m = await b.mqtt({}, { servername: host });
      return { m, code: await m.connect({ clientId: deviceId, username: `${host}/${deviceId}/?api-version=2021-04-12`, password: deviceToken(`${host}/devices/${deviceId}`, key) }) };
    };
    const { m, code } = await connect('old', GROUP_KEY);
    assert.equal(code, 0);
    await m.publish('devices/old/messages/events/', 'secret of a');
    assert.notEqual((await connect('visitor', GROUP_KEY)).code, 0);
    assert.equal((await ask(a, 'GET', '/berth/v1/decisions?registrationId=visitor')).json.value.length, 1);
    await want(409, ask(a, 'DELETE', '/berth/v1/hubs/reused'));
    await want(204, ask(a, 'DELETE', '/berth/v1/hubs/reused?force=true'));
    await m.closed; // its session is cut off
    await want(401, b.request('GET', '/devices?api-version=2021-04-12', { host, headers: { Authorization: sas(hub.connectionString) } }));
    const next = (await want(200, ask(z, 'PUT', '/berth/v1/hubs/reused', { body: { hostName: host } }))).json;
    const devices = await want(200, b.request('GET', '/devices?api-version=2021-04-12', { host, headers: { Authorization: sas(next.connectionString) } }));
    assert.deepEqual(devices.json, []);
    assert.notEqual((await connect('old', GROUP_KEY)).code, 0);
    const doors = await want(200, ask(z, 'GET', '/berth/v1/decisions?registrationId=visitor'));
    assert.deepEqual(doors.json.value, []);
    // the log has the old event, the new hub does not show it: an event of its own comes first
    await want(200, ask(z, 'PUT', `/enrollments/new?${API}`, { body: { registrationId: 'new', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: GROUP_KEY, secondaryKey: GROUP_KEY } }, allocationPolicy: 'static', iotHubs: [host] } }));
    await register(z.idScope, 'new', { password: deviceToken(`${z.idScope}/registrations/new`, GROUP_KEY, { skn: 'registration' }) });
    const fresh = await connect('new', GROUP_KEY);
    assert.equal(fresh.code, 0);
    await fresh.m.publish('devices/new/messages/events/', 'of z');
    fresh.m.end();
    const text = await new Promise((resolve, reject) => {
      const r = https.request({ host: '127.0.0.1', port: b.httpsPort, servername: 'localhost', ca: b.ca, path: '/messages/events?from=start', agent: false, headers: { Host: host, Authorization: sas(next.connectionString) } }, (answer) => {
        let seen = '';
        answer.on('data', (d) => { seen += d; if (seen.includes('of z')) { r.destroy(); resolve(seen); } });
        answer.on('end', () => reject(new Error(`ended: ${seen}`)));
      });
      r.on('error', (e) => reject(e));
      r.end();
    });
    assert.ok(!text.includes('secret of a'), text);
  });
});

test('metrics tell nothing of whose they are', async () => {
  const { text } = await b.request('GET', '/metrics');
  for (const word of [a.idScope, z.idScope, a.host, z.hub.host, 'factory', 'twin']) assert.ok(!text.includes(word), word);
});

test('an instance that is deleted is unknown at once, and its neighbour is untouched', async () => {
  const refusedYet = await askServer('DELETE', '/berth/v1/instances/a');
  assert.equal(refusedYet.status, 409, refusedYet.text);
  await until('it is gone', async () => (await askServer('DELETE', '/berth/v1/instances/a?force=true')).status === 204);
  const d = await pki.make('late', { issuer: ca });
  const r = await register(a.idScope, 'late', { device: d });
  assert.equal(r.status, 401);
  await want(404, ask(a, 'GET', '/berth/v1/instance'));
  assert.equal((await register(z.idScope, 'late', { device: d })).body.status, 'assigned');
  await want(404, askServer('GET', '/berth/v1/instances/a'));
  // a new one of its name and host is empty
  const again = await makeTenant('a');
  assert.notEqual(again.idScope, a.idScope);
  await want(401, ask(again, 'GET', '/berth/v1/instance', { login: a.login }));
  assert.deepEqual((await want(200, ask(again, 'POST', `/enrollments/query?${API}`, { body: { query: 'SELECT *' } }))).json, []);
  assert.deepEqual((await want(200, ask(again, 'GET', '/berth/v1/certificates'))).json.value, []);
});

test('a second tenant in three commands', async () => {
  const made = JSON.parse(await b.ok('instance', 'create', 'second', '--host-name', 'second.localhost', '--output', 'json'));
  const login = ['--login', made.connectionString];
  await b.ok('hub', 'create', 'second-hub', '--host-name', 'hub.second.localhost', ...login);
  await b.ok('enrollment-group', 'create', 'line', '--certificate-path', ca.certFile, ...login);
  const d = await pki.make('first', { issuer: ca });
  assert.equal((await register(made.properties.idScope, 'first', { device: d })).body.registrationState.assignedHub, 'hub.second.localhost');

  await b.ok('policy', 'create', 'reader', '--rights', 'EnrollmentRead', ...login);
  assert.match(await b.ok('policy', 'list', ...login), /reader +EnrollmentRead/);
  await b.ok('policy', 'renew-key', 'reader', '--key', 'primary', ...login);
  const reader = (await b.json('connection-string', 'show', '--policy-name', 'reader', ...login)).connectionString;
  assert.match(await b.ok('enrollment-group', 'list', '--login', reader), /line/);
  assert.equal((await b.cli('policy', 'list', '--login', reader)).code, 4);
  assert.equal((await b.cli('policy', 'create', 'reader', '--rights', 'EnrollmentRead', ...login)).code, 5);
  await b.ok('policy', 'update', 'reader', '--rights', 'EnrollmentRead,RegistrationStatusRead', ...login);
  await b.ok('policy', 'delete', 'reader', '--yes', ...login);
  await b.ok('instance', 'update', '--allocation-policy', 'static', ...login);
  assert.equal((await b.json('instance', 'show', ...login)).properties.allocationPolicy, 'Static');
  await b.ok('linked-hub', 'update', 'hub.second.localhost', '--allocation-weight', '9', ...login);
  assert.match(await b.ok('linked-hub', 'list', ...login), /hub\.second\.localhost +9 +true/);
  await b.ok('linked-hub', 'create', '--connection-string', b.dev.hubs[0].connectionString, ...login);
  assert.match(await b.ok('linked-hub', 'show', 'localhost', ...login), /\*\*\*\*/);
  assert.equal((await b.cli('linked-hub', 'create', 'localhost', ...login)).code, 5);
  await b.ok('linked-hub', 'delete', 'localhost', ...login);
  assert.equal((await b.cli('hub', 'delete', 'second-hub', ...login)).code, 5);
  await b.ok('hub', 'delete', 'second-hub', '--force', ...login);
  assert.equal((await b.cli('instance', 'delete', 'second')).code, 5);
  await b.ok('instance', 'delete', 'second', '--force');
  assert.equal((await b.cli('instance', 'show', 'second')).code, 3);
  assert.doesNotMatch(await b.ok('instance', 'list'), /second/);
  assert.ok(!fs.readFileSync(path.join(b.dir, 'dev.json'), 'utf8').includes('second'));
});
