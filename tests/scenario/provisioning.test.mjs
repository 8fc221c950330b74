// A fleet owner makes a CA, proves its possession, enrolls a group; devices never seen before provision, land on their hub and talk.
// Told once, over each transport. Refusals: each its own reason, the right code on the wire, a decision record behind it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, sha256Hex, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

let b, pki, root, line;

const register = {
  async mqtt(d, { idScope = b.dev.idScope, registrationId = d.cn, payload } = {}) {
    const m = await b.mqtt(d);
    try {
      return await provision(m, { idScope, registrationId, payload });
    } finally {
      m.end();
    }
  },
  async http(d, { idScope = b.dev.idScope, registrationId = d.cn, payload } = {}) {
    const at = `/${idScope}/registrations/${registrationId}`;
    let r = await b.request('PUT', `${at}/register?api-version=2019-03-31`, { device: d, body: { registrationId, ...(payload !== undefined ? { payload } : {}) } });
    if (r.status !== 202) return { status: r.status, body: r.json, headers: r.headers };
    assert.equal(r.json.status, 'assigning');
    assert.equal(r.headers['retry-after'], '1');
    r = await b.request('GET', `${at}/operations/${r.json.operationId}?api-version=2019-03-31`, { device: d });
    return { status: r.status, body: r.json };
  },
};

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  root = await pki.make('Fleet Root', { ca: true, days: 400 });
  line = await pki.make('Line 1', { ca: true, issuer: root, days: 300, pathlen: 0 });
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('the owner uploads the CA and proves possession', async () => {
  await b.ok('certificate', 'create', 'fleet', '--path', root.certFile);
  const group = { enrollmentGroupId: 'fleet', attestation: { type: 'x509', x509: { caReferences: { primary: 'fleet' } } } };
  assert.equal((await b.service('PUT', '/enrollmentGroups/fleet?api-version=2021-10-01', { body: group })).status, 200);

  const early = await pki.make('too-early', { issuer: root });
  const refused = await register.mqtt(early);
  assert.equal(refused.status, 401);
  assert.equal(refused.body.errorCode, 401002);
  const explained = await b.json('explain', refused.body.trackingId);
  assert.equal(explained.reason, 'ca-not-verified');

  const { properties } = await b.json('certificate', 'generate-verification-code', 'fleet');
  assert.match(properties.verificationCode, /^[0-9A-F]{48}$/);
  const wrong = await pki.make('not the code', { issuer: root });
  assert.notEqual((await b.cli('certificate', 'verify', 'fleet', '--path', wrong.certFile)).code, 0);
  const proof = await pki.make(properties.verificationCode, { issuer: root });
  await b.ok('certificate', 'verify', 'fleet', '--path', proof.certFile);
  assert.equal((await b.json('certificate', 'show', 'fleet')).properties.isVerified, true);
  assert.equal((await register.mqtt(early)).body.status, 'assigned');
});

for (const transport of ['mqtt', 'http']) {
  describe(`over ${transport}`, () => {
    const go = (...args) => register[transport](...args);

    test('a group admits a device never seen before; it lands on the hub and its telemetry is read', async () => {
      const d = await pki.make(`first-boot-${transport}`, { issuer: line });
      const r = await go(d, { payload: { model: 'x' } });
      assert.equal(r.status, 200);
      assert.equal(r.body.status, 'assigned');
      const s = r.body.registrationState;
      assert.equal(s.registrationId, d.cn);
      assert.equal(s.deviceId, d.cn);
      assert.equal(s.assignedHub, 'localhost');
      assert.equal(s.substatus, 'initialAssignment');
      assert.match(s.createdDateTimeUtc, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
      assert.equal('errorCode' in s, false);

      const m = await b.mqtt(d);
      assert.equal(await m.connect({ clientId: d.cn, username: `localhost/${d.cn}/?api-version=2021-04-12`, clean: false }), 0);
      await m.publish(`devices/${d.cn}/messages/events/%24.ct=text%2Fplain&color=red%20%26%20blue`, 'hello');
      m.end();
      const events = (await b.ok('hub', 'monitor-events', '--from', 'start', '--device-id', d.cn, '--count', '1', '--output', 'json')).trim().split('\n').map(JSON.parse);
      assert.equal(events[0].body, 'hello');
      assert.equal(events[0].applicationProperties.color, 'red & blue');
      assert.equal(events[0].systemProperties['content-type'] ?? events[0].systemProperties['iothub-content-type'], 'text/plain');
    });

    test('re-registration keeps the assignment; a new leaf moves the thumbprint', async () => {
      const d = await pki.make(`again-${transport}`, { issuer: line });
      const one = await go(d);
      const fresh = await pki.make(d.cn, { issuer: line });
      const two = await go(fresh);
      assert.equal(two.body.status, 'assigned');
      assert.equal(two.body.registrationState.createdDateTimeUtc, one.body.registrationState.createdDateTimeUtc);
      const identity = await b.hub('GET', `/devices/${d.cn}?api-version=2021-04-12`);
      assert.equal(identity.json.authentication.x509Thumbprint.primaryThumbprint, sha256Hex(fresh.cert));
    });

    test('individual enrollment: either slot, RSA as well', async () => {
      const one = await pki.make(`solo-${transport}`, { type: 'rsa' });
      const two = await pki.make(one.cn);
      const body = { registrationId: one.cn, deviceId: `dev-${one.cn}`, attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: one.cert }, secondary: { certificate: two.cert } } } },
        initialTwin: { tags: { floor: 3 }, properties: { desired: { speed: 7 } } } };
      assert.equal((await b.service('PUT', `/enrollments/${one.cn}?api-version=2021-10-01`, { body })).status, 200);
      assert.equal((await go(one)).body.registrationState.deviceId, `dev-${one.cn}`);
      assert.equal((await go(two)).body.status, 'assigned');
      assert.equal((await b.hub('GET', `/devices/dev-${one.cn}?api-version=2021-04-12`)).json.authentication.x509Thumbprint.primaryThumbprint, sha256Hex(two.cert));
      const third = await pki.make(one.cn, { issuer: line });
      const r = await go(third);
      assert.equal(r.status, 401);
      assert.equal((await b.json('explain', r.body.trackingId)).reason, 'certificate-mismatch');
    });

    test('each refusal has its own reason', async () => {
      const second = await pki.make('Line 2', { ca: true, issuer: root, pathlen: 0 });
      const below = await pki.make('Line 2 sub', { ca: true, issuer: second });
      const impostor = await pki.make('Fleet Root', { ca: true });
      const n = (name) => `${name}-${transport}`;
      const cases = [
        ['issuer-unknown', await pki.make(n('stranger'))],
        ['certificate-expired', await pki.make(n('old'), { issuer: line, startdate: '20200101000000Z', enddate: '20210101000000Z' })],
        ['certificate-not-yet-valid', await pki.make(n('young'), { issuer: line, startdate: '20900101000000Z', enddate: '20910101000000Z' })],
        ['certificate-wrong-purpose', await pki.make(n('server'), { issuer: line, eku: 'serverAuth' })],
        ['path-too-long', await pki.make(n('deep'), { issuer: below })],
        ['certificate-bad-signature', await pki.make(n('forged'), { issuer: impostor })],
        ['common-name-mismatch', await pki.make(n('me'), { issuer: line }), { registrationId: n('you') }],
        ['scope-unknown', await pki.make(n('lost'), { issuer: line }), { idScope: '0neFFFFFFFF' }],
        ['client-certificate-missing', { cn: n('naked') }],
      ];
      for (const [reason, d, options] of cases) {
        const r = await go(d, options);
        assert.equal(r.status, 401, reason);
        assert.equal(r.body.errorCode, 401002, reason);
        assert.match(r.body.trackingId, /^[0-9a-f-]{36}$/);
        if (reason === 'scope-unknown') continue; // its record belongs to no instance: the server's log has it
        assert.equal((await b.json('explain', r.body.trackingId)).reason, reason);
      }
    });

    test('a disabled individual enrollment wins over the group; a disabled group over its parent', async () => {
      const d = await pki.make(`stolen-${transport}`, { issuer: line });
      assert.equal((await go(d)).body.status, 'assigned');
      const body = { registrationId: d.cn, provisioningStatus: 'disabled', attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: d.cert } } } } };
      assert.equal((await b.service('PUT', `/enrollments/${d.cn}?api-version=2021-10-01`, { body })).status, 200);
      const r = await go(d);
      assert.equal(r.status, 200);
      assert.equal(r.body.status, 'disabled');
      const state = await b.service('GET', `/registrations/${d.cn}?api-version=2021-10-01`);
      assert.equal(state.json.status, 'disabled');
      assert.equal('assignedHub' in state.json, false);

      const bad = await pki.make(`Bad line ${transport}`, { ca: true, issuer: root });
      const group = { enrollmentGroupId: `bad-${transport}`, provisioningStatus: 'disabled', attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: bad.cert } } } } };
      assert.equal((await b.service('PUT', `/enrollmentGroups/bad-${transport}?api-version=2021-10-01`, { body: group })).status, 200);
      const e = await pki.make(`from-bad-${transport}`, { issuer: bad });
      assert.equal((await go(e)).body.status, 'disabled');
      assert.equal((await b.service('DELETE', `/enrollmentGroups/bad-${transport}?api-version=2021-10-01`)).status, 204);
      assert.equal((await go(e)).body.status, 'assigned'); // the parent matches again, through the chain the device sent
    });

    test('no linked hub that fits: the operation fails with 401001', async () => {
      const d = await pki.make(`homeless-${transport}`);
      const body = { registrationId: d.cn, iotHubs: ['nowhere.example'], attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: d.cert } } } } };
      const put = await b.service('PUT', `/enrollments/${d.cn}?api-version=2021-10-01`, { body });
      if (put.status === 400) return assert.match(put.json.message, /iotHubs|linked/i); // refused already when enrolled
      const r = await go(d);
      assert.equal(r.body.status, 'failed');
      assert.equal(r.body.registrationState.errorCode, 401001);
    });
  });
}

test('status lookup over HTTPS', async () => {
  const d = await pki.make('lookup', { issuer: line });
  await register.http(d);
  const r = await b.request('POST', `/${b.dev.idScope}/registrations/lookup?api-version=2019-03-31`, { device: d, body: { registrationId: 'lookup' } });
  assert.equal(r.status, 200);
  assert.equal(r.json.status, 'assigned');
  const other = await pki.make('somebody-else', { issuer: line });
  assert.equal((await b.request('POST', `/${b.dev.idScope}/registrations/lookup?api-version=2019-03-31`, { device: other, body: {} })).status, 401);
});

test('a device may not poll or fake the operation of another', async () => {
  const d = await pki.make('victim', { issuer: line });
  const first = await b.request('PUT', `/${b.dev.idScope}/registrations/victim/register?api-version=2019-03-31`, { device: d, body: {} });
  const other = await pki.make('attacker', { issuer: line });
  const poll = await b.request('GET', `/${b.dev.idScope}/registrations/victim/operations/${first.json.operationId}?api-version=2019-03-31`, { device: other });
  assert.equal(poll.status, 401);
  const odd = await b.request('GET', `/${b.dev.idScope}/registrations/victim/operations/4.0000000000000000.no?api-version=2019-03-31`, { device: d });
  assert.equal(odd.status, 404);
  assert.equal(odd.json.errorCode, 404203);
  // Nor does it learn from the answer whether an ID is registered.
  const unknown = await b.request('GET', `/${b.dev.idScope}/registrations/nobody/operations/${first.json.operationId}?api-version=2019-03-31`, { device: other });
  const told = ({ status, json: { errorCode, message } }) => ({ status, errorCode, message });
  assert.deepEqual(told(unknown), told(poll));
});

test('a CA in use is not deleted, unless forced', async () => {
  const r = await b.cli('certificate', 'delete', 'fleet');
  assert.equal(r.code, 5);
  assert.match(r.stderr, /fleet/);
  await b.ok('certificate', 'delete', 'fleet', '--force');
  const d = await pki.make('afterwards', { issuer: root });
  const refused = await register.mqtt(d);
  assert.equal(refused.status, 401);
});

test('one log line a request, with its tracking ID', async () => {
  const d = await pki.make('logged');
  const r = await register.mqtt(d);
  const line = await until('the log line', () => b.stderr.split('\n').find((l) => l.includes(r.body.trackingId)));
  assert.match(line, /register/);
  assert.match(line, /issuer-unknown/);
});
