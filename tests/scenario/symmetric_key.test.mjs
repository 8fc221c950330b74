// Devices without certificates: a key of their own, or one derived from their group's. Over each transport; then the hub by the same key.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, deriveKey, deviceToken, sas, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const API = 'api-version=2021-10-01';
let b;

const tokenFor = (id, key, { idScope = b.dev.idScope, ...options } = {}) => deviceToken(`${idScope}/registrations/${id}`, key, { skn: 'registration', ...options });

// Reference dps-device-api.md 6.3: how each SDK spells sr and skn, and in which order it puts the fields.
const lower = (s) => encodeURIComponent(s).replace(/%../g, (c) => c.toLowerCase()), raw = (s) => s;
const sdks = {
  c: { spell: lower, order: 'sr sig se skn' },
  python: { spell: encodeURIComponent, skn: undefined, order: 'sr sig se' },
  node: { spell: raw, order: 'sr sig skn se' },
  csharp: { spell: encodeURIComponent, order: 'sr sig se skn' },
  java: { spell: raw, skn: '', order: 'sr sig se skn' },
  embedded: { spell: lower, skn: undefined, order: 'sr sig se' },
  cli: { spell: encodeURIComponent, order: 'sr sig se skn' },
};
const inOrder = (names, token) => {
  const fields = token.slice('SharedAccessSignature '.length).split('&');
  return `SharedAccessSignature ${names.split(' ').map((name) => fields.find((f) => f.startsWith(`${name}=`))).join('&')}`;
};

const register = {
  async mqtt(registrationId, password, { idScope = b.dev.idScope } = {}) {
    const m = await b.mqtt();
    try {
      return await provision(m, { idScope, registrationId, password });
    } finally {
      m.end();
    }
  },
  async http(registrationId, token, { idScope = b.dev.idScope } = {}) {
    const at = `/${idScope}/registrations/${registrationId}`;
    const headers = token === undefined ? {} : { Authorization: token };
    const r = await b.request('PUT', `${at}/register?api-version=2019-03-31`, { headers, body: { registrationId } });
    if (r.status !== 202) return { status: r.status, body: r.json };
    const polled = await b.request('GET', `${at}/operations/${r.json.operationId}?api-version=2019-03-31`, { headers });
    return { status: polled.status, body: polled.json };
  },
};

async function hubConnect(deviceId, password, options = {}) {
  const m = await b.mqtt(options.device);
  const code = await m.connect({ clientId: deviceId, username: `localhost/${deviceId}/?api-version=2021-04-12`, password });
  return { m, code };
}

before(async () => { b = await Berthd.start(); });
after(async () => { await b?.stop(); });

test('--dev makes the group dev-key and tells its key; a second start finds it again', async () => {
  const { symmetricKey } = b.dev.groups;
  assert.equal(symmetricKey.id, 'dev-key');
  assert.equal(Buffer.from(symmetricKey.primaryKey, 'base64').length, 64);
  assert.ok(b.stdout.includes(symmetricKey.primaryKey));
  await b.kill('SIGTERM');
  await b.restart();
  assert.deepEqual(b.dev.groups.symmetricKey, symmetricKey);
});

test('the service API shows keys to who puts them or asks for them, and to nobody else', async () => {
  const body = { enrollmentGroupId: 'made', attestation: { type: 'symmetricKey' } };
  const put = await b.service('PUT', `/enrollmentGroups/made?${API}`, { body });
  assert.equal(put.status, 200);
  const keys = put.json.attestation.symmetricKey;
  assert.equal(Buffer.from(keys.primaryKey, 'base64').length, 64);
  assert.notEqual(keys.primaryKey, keys.secondaryKey);
  assert.deepEqual((await b.service('GET', `/enrollmentGroups/made?${API}`)).json.attestation, { type: 'symmetricKey' });
  const list = await b.service('POST', `/enrollmentGroups/query?${API}`, { body: { query: 'SELECT *' } });
  assert.deepEqual(list.json.find((g) => g.enrollmentGroupId === 'made').attestation, { type: 'symmetricKey' });
  assert.deepEqual((await b.service('POST', `/enrollmentGroups/made/attestationmechanism?${API}`)).json, { type: 'symmetricKey', symmetricKey: keys });
  const again = await b.service('PUT', `/enrollmentGroups/made?${API}`, { body, headers: { 'If-Match': '*' } });
  assert.deepEqual(again.json.attestation.symmetricKey, keys);
  assert.equal((await b.json('enrollment-group', 'show', 'made')).attestation.symmetricKey, undefined);
  assert.deepEqual((await b.json('enrollment-group', 'show', 'made', '--show-keys')).attestation.symmetricKey, keys);
  const computed = await b.json('enrollment-group', 'compute-device-key', 'made', '--registration-id', 'Some-Device');
  assert.equal(computed.deviceKey, deriveKey(keys.primaryKey, 'Some-Device'));
  const offline = await b.json('enrollment-group', 'compute-device-key', '--key', keys.secondaryKey, '--registration-id', 'Some-Device');
  assert.equal(offline.deviceKey, deriveKey(keys.secondaryKey, 'Some-Device'));
});

for (const transport of ['mqtt', 'http']) {
  describe(`over ${transport}`, () => {
    const go = (...args) => register[transport](...args);

    test('a group admits by either of its keys; the hub knows the device by both; telemetry arrives', async () => {
      const id = `Meter-${transport}`;
      const { symmetricKey: keys } = (await b.service('POST', `/enrollmentGroups/dev-key/attestationmechanism?${API}`)).json;
      const primary = deriveKey(keys.primaryKey, id), secondary = deriveKey(keys.secondaryKey, id);
      for (const key of [primary, secondary, primary]) {
        const r = await go(id, tokenFor(id, key));
        assert.equal(r.status, 200, JSON.stringify(r.body));
        assert.equal(r.body.status, 'assigned');
        assert.equal(r.body.registrationState.deviceId, id);
      }
      const identity = (await b.hub('GET', `/devices/${id}?api-version=2021-04-12`)).json;
      assert.equal(identity.authentication.type, 'sas');
      assert.deepEqual(identity.authentication.symmetricKey, { primaryKey: primary, secondaryKey: secondary });
      assert.equal(identity.authentication.x509Thumbprint.primaryThumbprint, null);
      const target = `/devices/${id}?api-version=2021-04-12`, headers = { 'If-Match': '*' };
      assert.equal((await b.hub('PUT', target, { body: identity, headers })).status, 200);
      identity.authentication.symmetricKey.primaryKey = deriveKey(keys.primaryKey, 'another');
      const changed = await b.hub('PUT', target, { body: identity, headers });
      assert.equal(changed.status, 200, changed.text);
      assert.deepEqual(changed.json.authentication.symmetricKey, identity.authentication.symmetricKey);
      assert.notEqual((await hubConnect(id, deviceToken(`localhost/devices/${id}`, primary))).code, 0);
      await go(id, tokenFor(id, primary)); // provisioning puts back what the group says
      for (const key of [primary, secondary]) {
        const { m, code } = await hubConnect(id, deviceToken(`localhost/devices/${id}`, key));
        assert.equal(code, 0);
        await m.publish(`devices/${id}/messages/events/`, 'hello');
        m.end();
      }
      const events = (await b.ok('hub', 'monitor-events', '--from', 'start', '--device-id', id, '--count', '2', '--output', 'json')).trim().split('\n').map(JSON.parse);
      assert.equal(events[1].body, 'hello');
    });

    for (const [sdk, { order, ...how }] of Object.entries(sdks)) {
      test(`a token as ${sdk} spells it: group and individual, either key`, async () => {
        const solo = `solo-${sdk}-${transport}`;
        assert.equal((await b.service('PUT', `/enrollments/${solo}?${API}`, { body: { registrationId: solo, attestation: { type: 'symmetricKey' } } })).status, 200);
        for (const slot of ['primaryKey', 'secondaryKey']) {
          const { symmetricKey: group } = (await b.service('POST', `/enrollmentGroups/dev-key/attestationmechanism?${API}`)).json;
          const { symmetricKey: own } = (await b.service('POST', `/enrollments/${solo}/attestationmechanism?${API}`)).json;
          const member = `member-${sdk}-${transport}`;
          for (const [id, key] of [[member, deriveKey(group[slot], member)], [solo, own[slot]]]) {
            assert.equal((await go(id, inOrder(order, tokenFor(id, key, how)))).body.status, 'assigned', `${id} ${slot}`);
          }
        }
      });
    }

    test('a clock that is behind, and the case of the registration ID', async () => {
      const { primaryKey } = b.dev.groups.symmetricKey;
      const id = `Late-${transport}`;
      assert.equal((await go(id, tokenFor(id, deriveKey(primaryKey, id), { ttl: -280 }))).body.status, 'assigned');
      assert.equal((await go(id, tokenFor(id.toLowerCase(), deriveKey(primaryKey, id.toLowerCase())))).body.status, 'assigned');
      assert.equal((await go(id, tokenFor(id, deriveKey(primaryKey, id.toUpperCase())))).status, 401);
    });

    test('an individual enrollment: its own keys, its own device ID, and before any group', async () => {
      const id = `solo-${transport}`;
      const primaryKey = crypto.randomBytes(16).toString('base64'), secondaryKey = crypto.randomBytes(64).toString('base64');
      const body = { registrationId: id, deviceId: `dev-${id}`, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } } };
      const put = await b.service('PUT', `/enrollments/${id}?${API}`, { body });
      assert.equal(put.status, 200, put.text);
      for (const key of [primaryKey, secondaryKey]) {
        assert.equal((await go(id, tokenFor(id, key))).body.registrationState?.deviceId, `dev-${id}`);
      }
      const identity = (await b.hub('GET', `/devices/dev-${id}?api-version=2021-04-12`)).json;
      assert.deepEqual(identity.authentication.symmetricKey, { primaryKey, secondaryKey });
      const byGroup = await go(id, tokenFor(id, deriveKey(b.dev.groups.symmetricKey.primaryKey, id)));
      assert.equal(byGroup.status, 401);
      await b.ok('enrollment', 'update', id, '--provisioning-status', 'disabled');
      const disabled = await go(id, tokenFor(id, primaryKey));
      assert.equal(disabled.status, 200);
      assert.equal(disabled.body.status, 'disabled');
    });

    test('each refusal has its own reason', async () => {
      const { primaryKey } = b.dev.groups.symmetricKey;
      const id = `refused-${transport}`;
      const key = deriveKey(primaryKey, id);
      const cases = [
        ['token-bad-signature', tokenFor(id, crypto.randomBytes(32).toString('base64'))],
        ['token-bad-signature', tokenFor(id, primaryKey)], // the group's own key
        ['token-bad-signature', tokenFor(id, deriveKey(primaryKey, 'another'))],
        ['token-expired', tokenFor(id, key, { ttl: -320 })],
        ['token-scope', tokenFor('another', key)],
        ['token-scope', tokenFor(id, key, { idScope: '0ne0000FFFF' })],
        ['token-policy-unknown', tokenFor(id, key, { skn: 'provisioningserviceowner' })],
        ['token-malformed', 'SharedAccessSignature nonsense'],
        ['client-certificate-missing', undefined],
      ];
      for (const [reason, token] of cases) {
        const r = await go(id, token);
        assert.equal(r.status, 401, reason);
        assert.equal(r.body.errorCode, 401002, reason);
        assert.equal((await b.json('explain', r.body.trackingId)).reason, reason);
      }
    });
  });
}

test('the hub refuses other keys, other devices, late tokens; a policy lets any device in', async () => {
  const id = 'door';
  const key = deriveKey(b.dev.groups.symmetricKey.primaryKey, id);
  assert.equal((await register.mqtt(id, tokenFor(id, key))).body.status, 'assigned');
  const own = `localhost/devices/${id}`;
  const cases = [
    [5, undefined],
    [5, 'nonsense'],
    [5, deviceToken(own, b.dev.groups.symmetricKey.primaryKey)],
    [5, deviceToken(own, key, { ttl: -400 })],
    [5, deviceToken('localhost/devices/other', key)],
    [5, deviceToken(own, key, { skn: 'device' })],
    [0, deviceToken(own, key, { spell: (s) => s })],
    [0, sas(b.dev.hubs[0].connectionString)],
  ];
  for (const [expected, token] of cases) {
    const { m, code } = await hubConnect(id, token);
    assert.equal(code, expected, token);
    m.end();
  }
});

test('the hub knows a device whose ID has a question mark', async () => {
  const id = 'who?x', key = crypto.randomBytes(32).toString('base64');
  const body = { registrationId: 'who', deviceId: id, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: key } } };
  assert.equal((await b.service('PUT', `/enrollments/who?${API}`, { body })).status, 200);
  assert.equal((await register.mqtt('who', tokenFor('who', key))).body.registrationState.deviceId, id);
  for (const [expected, resource, options] of [[0, id, {}], [5, 'who', {}], [5, 'who?y', {}], [0, encodeURIComponent(id), { spell: (s) => s }]]) {
    const { m, code } = await hubConnect(id, deviceToken(`localhost/devices/${resource}`, key, options));
    assert.equal(code, expected, resource);
    m.end();
  }
});

test('no two groups have a key in common', async () => {
  const { id, primaryKey } = b.dev.groups.symmetricKey;
  const body = { enrollmentGroupId: 'twin', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: crypto.randomBytes(32).toString('base64'), secondaryKey: primaryKey } } };
  const put = await b.service('PUT', `/enrollmentGroups/twin?${API}`, { body });
  assert.equal(put.status, 409);
  assert.equal(put.json.errorCode, 409202);
  assert.ok(put.text.includes(id), put.text);
  assert.equal((await b.service('GET', `/enrollmentGroups/twin?${API}`)).status, 404);
});

test('what changes in a group holds for the next token, on every worker', async () => {
  const keys = [0, 1, 2].map(() => crypto.randomBytes(32).toString('base64'));
  const put = (primaryKey, secondaryKey, headers = {}) => b.service('PUT', `/enrollmentGroups/rolling?${API}`, { headers, body: { enrollmentGroupId: 'rolling', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } } } });
  const outcomes = async (key) => {
    const ids = Array.from({ length: 8 }, (_, i) => `rolling-${i}`); // at once: on as many workers as there are
    return new Set(await Promise.all(ids.map(async (id) => (await register.mqtt(id, tokenFor(id, deriveKey(key, id)))).status)));
  };
  assert.equal((await put(keys[0], keys[1])).status, 200);
  assert.deepEqual(await outcomes(keys[0]), new Set([200]));
  assert.equal((await put(keys[2], keys[1], { 'If-Match': '*' })).status, 200);
  assert.deepEqual(await outcomes(keys[0]), new Set([401]));
  assert.deepEqual(await outcomes(keys[2]), new Set([200]));
  await b.ok('enrollment-group', 'delete', 'rolling');
  assert.deepEqual(await outcomes(keys[1]), new Set([401]));
});

test('a session ends when its token does', async () => {
  const id = 'short';
  const key = deriveKey(b.dev.groups.symmetricKey.primaryKey, id);
  assert.equal((await register.mqtt(id, tokenFor(id, key))).body.status, 'assigned');
  const { m, code } = await hubConnect(id, deviceToken(`localhost/devices/${id}`, key, { ttl: 2 }));
  assert.equal(code, 0);
  await m.publish(`devices/${id}/messages/events/`, 'in time');
  await until('the hub ends the session', () => m.isClosed, 6000);
  await until('the log says why', () => b.stderr.includes('token-expired'));
});

test('new keys shut out who uses the old ones', async () => {
  const id = 'rolled';
  const [first, second, third] = [0, 1, 2].map(() => crypto.randomBytes(32).toString('base64'));
  await b.ok('enrollment', 'create', id, '--primary-key', first, '--secondary-key', second);
  assert.equal((await register.mqtt(id, tokenFor(id, first))).body.status, 'assigned');
  const { m, code } = await hubConnect(id, deviceToken(`localhost/devices/${id}`, first));
  assert.equal(code, 0);
  assert.match((await b.cli('enrollment', 'create', 'half', '--primary-key', first)).stderr, /both keys/);
  await b.ok('enrollment', 'update', id, '--primary-key', third); // the other one stays
  assert.equal((await register.mqtt(id, tokenFor(id, first))).status, 401);
  assert.equal((await register.mqtt(id, tokenFor(id, second))).body.status, 'assigned');
  await until('the old session is cut off', () => m.isClosed);
  const again = await hubConnect(id, deviceToken(`localhost/devices/${id}`, first));
  assert.equal(again.code, 5);
  again.m.end();
});

test('a certificate and a token: the enrollment says which counts', async () => {
  const pki = new Pki();
  try {
    const d = await pki.make('both');
    await b.ok('enrollment', 'create', d.cn, '--attestation-type', 'symmetrickey');
    const { primaryKey } = (await b.service('POST', `/enrollments/${d.cn}/attestationmechanism?${API}`)).json.symmetricKey;
    const m = await b.mqtt(d);
    const r = await provision(m, { idScope: b.dev.idScope, registrationId: d.cn, password: tokenFor(d.cn, primaryKey) });
    m.end();
    assert.equal(r.body.status, 'assigned');
    const alone = await b.mqtt(d);
    const refused = await provision(alone, { idScope: b.dev.idScope, registrationId: d.cn });
    alone.end();
    assert.equal(refused.status, 401);
    assert.equal((await b.json('explain', refused.body.trackingId)).reason, 'attestation-mismatch');
  } finally {
    pki.remove();
  }
});

test('berth device simulate goes all the way with a derived key', async () => {
  const id = 'simulated-by-key';
  const { deviceKey } = await b.json('enrollment-group', 'compute-device-key', 'dev-key', '--registration-id', id);
  const [r] = await b.json('device', 'simulate', '--symmetric-key', deviceKey, '--registration-id', id, '--count', '2', '--interval', '0');
  assert.equal(r.outcome, 'done', JSON.stringify(r));
  assert.equal(r.messagesSent, 2);
  const wrong = await b.cli('device', 'simulate', '--symmetric-key', deviceKey, '--registration-id', 'another', '--count', '0');
  assert.equal(wrong.code, 6);
});
