// The service API byte for byte as each official client writes its requests, and read as strictly as that client reads the answers
// (reference dps-service-api.md 11). What is no client's own spelling is in service_api.test.mjs.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, devCa, parseConnectionString } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

let b, pki, ca, leaf, policy, registered;
const base64 = (x) => Buffer.from(x).toString('base64');
const der = (pem) => new crypto.X509Certificate(pem).raw;

before(async () => {
  b = await Berthd.start();
  policy = parseConnectionString(b.dev.serviceConnectionString);
  pki = new Pki();
  ca = await pki.make('Clients CA', { ca: true });
  leaf = await pki.make('leaf', { issuer: ca });
  registered = await pki.make('registered-1', { issuer: devCa(b) });
  const m = await b.mqtt(registered);
  assert.equal((await provision(m, { idScope: b.dev.idScope, registrationId: registered.cn })).body.status, 'assigned');
  m.end();
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

// ---- the wire ----

function exchange(text) {
  return new Promise((resolve, reject) => {
    const s = tls.connect({ host: '127.0.0.1', port: b.httpsPort, servername: 'localhost', ca: b.ca }, () => s.write(text));
    let got = Buffer.alloc(0);
    s.on('error', reject);
    s.on('end', () => reject(new Error(`closed before the answer was whole:\n${got}`)));
    s.on('data', (d) => {
      got = Buffer.concat([got, d]);
      const end = got.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [line, ...headers] = got.subarray(0, end).toString().split('\r\n');
      const length = Number(headers.find((h) => /^content-length:/i.test(h))?.split(':')[1] ?? 0); // no length: no body
      if (got.length < end + 4 + length) return;
      s.removeAllListeners('end');
      s.destroy();
      resolve({ line, headers: headers.map((h) => h.split(/: (.*)/s)), text: got.subarray(end + 4).toString(), length });
    });
  });
}

function assertNoNull(value, path = '$') {
  assert.notEqual(value, null, `${path} is null`);
  if (typeof value === 'object') for (const [k, v] of Object.entries(value)) assertNoNull(v, `${path}.${k}`);
}

// What holds for every answer, whoever asked.
async function ask(text) {
  const r = await exchange(text);
  const context = `${text}\n${r.line}\n${r.text}`;
  const [, status, reason] = /^HTTP\/1\.1 (\d{3}) (\S.*)$/.exec(r.line) ?? assert.fail(`status line without a reason phrase: ${r.line}`);
  assert.equal(r.text.length > 0 ? Buffer.byteLength(r.text) : 0, r.length, context); // neither more nor less than Content-Length
  const header = (name) => r.headers.find(([n]) => n === name)?.[1]; // in the very case
  assert.match(header('x-ms-request-id') ?? '', /^[0-9a-f-]{36}$/, context);
  let json;
  if (r.text.length > 0) {
    assert.match(header('Content-Type') ?? '', /application\/json/, context);
    json = JSON.parse(r.text);
    assertNoNull(json);
  }
  if (Number(status) >= 300) {
    assert.equal(header('x-ms-error-code'), String(json.errorCode), context);
    assert.equal(typeof json.message, 'string', context);
    assert.match(json.timestampUtc, date, context);
  }
  return { status: Number(status), reason, header, json, text: r.text, context };
}

function sign(sr, se) {
  return crypto.createHmac('sha256', Buffer.from(policy.SharedAccessKey, 'base64')).update(`${sr}\n${se}`).digest('base64');
}

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const lowerEscapes = (text) => text.replace(/%[0-9A-F]{2}/g, (x) => x.toLowerCase());
const date = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$/;

function compose(method, target, headers, body = '') {
  return `${method} ${target} HTTP/1.1\r\n${headers.filter((h) => h).join('\r\n')}\r\n\r\n${body}`;
}

const x509 = (kind, primary, secondary) => ({ type: 'x509', x509: { [kind]: { primary, ...(secondary === undefined ? {} : { secondary }) } } });

// ---- C ----

describe('C', () => {
  const version = '2018-04-01';
  // URL_EncodeString: lower-case hex. Host with its port; content-length in lower case, and only with a body or a POST.
  const encode = (id) => lowerEscapes(encodeURIComponent(id));
  const c = (method, path, { body, etag, extra = [] } = {}) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const se = inAnHour();
    return ask(compose(method, `${path}?api-version=${version}`, ['UserAgent: iothub_dps_prov_client/1.0', 'Accept: application/json',
      method !== 'DELETE' && 'Content-Type: application/json; charset=utf-8',
      `Authorization: SharedAccessSignature sr=localhost&sig=${lowerEscapes(encodeURIComponent(sign('localhost', se)))}&se=${se}&skn=${policy.SharedAccessKeyName}`,
      etag !== undefined && `If-Match: ${etag}`, ...extra, 'Host: localhost:443', (text || method === 'POST') && `content-length: ${Buffer.byteLength(text)}`], text));
  };
  const individual = (id, certificate) => ({ registrationId: id, attestation: x509('clientCertificates', { certificate }), provisioningStatus: 'enabled' });

  // What its parsers insist on.
  function assertReadable(e) {
    assert.match(e.provisioningStatus, /^(enabled|disabled)$/);
    assert.ok(['tpm', 'x509'].includes(e.attestation.type));
    const sources = Object.values(e.attestation.x509);
    assert.equal(sources.length, 1);
    if (!('caReferences' in e.attestation.x509)) {
      assert.ok(sources[0].primary);
      for (const slot of Object.values(sources[0])) assert.equal(typeof slot.info, 'object');
    }
    assert.equal(typeof e.capabilities.iotEdge, 'boolean'); // newer releases; older ones pass it over, and say nothing of it
    for (const name of ['allocationPolicy', 'iotHubs', 'reprovisionPolicy']) assert.equal(name in e, false, name);
  }

  test('an individual enrollment from a bare base64 certificate, which it encodes again', async () => {
    const path = `/enrollments/${encode('c:1')}`;
    assert.equal(path, '/enrollments/c%3a1');
    const made = await c('PUT', path, { body: individual('c:1', base64(base64(der(leaf.cert)))) });
    assert.equal(made.status, 200, made.context);
    assertReadable(made.json);
    const got = await c('GET', path);
    assert.equal(got.status, 200, got.context);
    assertReadable(got.json);
    const again = await c('PUT', path, { body: { ...got.json, deviceId: 'c-device' }, etag: got.json.etag });
    assert.equal(again.status, 200, again.context);
    assert.equal(again.json.deviceId, 'c-device');
    assert.deepEqual(again.json.attestation, got.json.attestation);
    assert.equal((await c('DELETE', path, { etag: got.json.etag })).status, 412);
    const gone = await c('DELETE', path, { etag: again.json.etag });
    assert.equal(gone.status, 204);
    assert.equal(gone.text, '');
  });

  test('groups: PEM in base64, and names of CA certificates in base64', async () => {
    const up = await b.service('PUT', '/berth/v1/certificates/Clients-CA', { body: { properties: { certificate: ca.cert, isVerified: true } } });
    assert.equal(up.status, 200, up.text);
    const signing = await c('PUT', '/enrollmentGroups/c-signing', { body: { enrollmentGroupId: 'c-signing', attestation: x509('signingCertificates', { certificate: base64(ca.cert) }), provisioningStatus: 'disabled' } });
    assert.equal(signing.status, 200, signing.context);
    assertReadable(signing.json);
    const named = await c('PUT', '/enrollmentGroups/c-named', { body: { enrollmentGroupId: 'c-named', attestation: x509('caReferences', base64('Clients-CA'), base64('Clients-CA')) } });
    assert.equal(named.status, 200, named.context);
    assert.deepEqual(named.json.attestation.x509, { caReferences: { primary: 'Clients-CA', secondary: 'Clients-CA' } });
    for (const id of ['c-signing', 'c-named']) assert.equal((await c('DELETE', `/enrollmentGroups/${id}`)).status, 204);
  });

  test('bulk with a trailing slash; errors is an array even when empty', async () => {
    const enrollments = ['c-bulk-1', 'c-bulk-2'].map((id) => individual(id, base64(leaf.cert)));
    const made = await c('POST', '/enrollments/', { body: { mode: 'create', enrollments } });
    assert.equal(made.status, 200, made.context);
    assert.deepEqual(made.json, { errors: [], isSuccessful: true });
    const again = await c('POST', '/enrollments/', { body: { mode: 'create', enrollments } });
    assert.equal(again.status, 200);
    assert.equal(again.json.isSuccessful, false);
    for (const e of again.json.errors) assert.deepEqual([typeof e.registrationId, typeof e.errorCode, typeof e.errorStatus], ['string', 'number', 'string']);
    assert.deepEqual((await c('POST', '/enrollments/', { body: { mode: 'delete', enrollments } })).json, { errors: [], isSuccessful: true });
  });

  test('queries: "*", item type in its exact case, registrations without a body', async () => {
    for (const id of ['c-q-1', 'c-q-2', 'c-q-3']) assert.equal((await c('PUT', `/enrollments/${id}`, { body: individual(id, leaf.cert) })).status, 200);
    let token;
    const seen = [];
    do {
      const r = await c('POST', '/enrollments/query', { body: { query: '*' }, extra: [...(token ? [`x-ms-continuation: ${token}`] : []), 'x-ms-max-item-count: 2'] });
      assert.equal(r.status, 200, r.context);
      assert.equal(r.header('x-ms-item-type'), 'Enrollment');
      r.json.forEach(assertReadable);
      seen.push(...r.json.map((e) => e.registrationId));
      token = r.header('x-ms-continuation');
    } while (token !== undefined);
    for (const id of ['c-q-1', 'c-q-2', 'c-q-3']) {
      assert.ok(seen.includes(id), id);
      assert.equal((await c('DELETE', `/enrollments/${id}`)).status, 204);
    }
    const states = await c('POST', '/registrations/dev/query', {});
    assert.equal(states.status, 200, states.context);
    assert.equal(states.header('x-ms-item-type'), 'DeviceRegistration');
    assert.deepEqual(states.json.map((s) => [s.registrationId, s.status]), [['registered-1', 'assigned']]);
    assert.equal((await c('GET', '/registrations/registered-1')).json.status, 'assigned');
  });
});

// ---- C# ----

describe('C#', () => {
  // The whole request head in the case and order of HttpClient; the ID as new Uri() leaves it.
  const cs = (method, path, { body, etag, extra = [] } = {}) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const se = inAnHour();
    const quoted = etag !== undefined && (etag.startsWith('"') ? etag : `"${etag}"`);
    return ask(compose(method, `${path}?api-version=2019-03-31`, ['Host: localhost', 'Accept: application/json',
      `Authorization: SharedAccessSignature sr=${encodeURIComponent('localhost')}&sig=${encodeURIComponent(sign('localhost', se))}&se=${se}&skn=${policy.SharedAccessKeyName}`,
      'User-Agent: Microsoft.Azure.Devices.Provisioning.Service/1.18.4', quoted && `If-Match: ${quoted}`, ...extra,
      text && 'Content-Type: application/json; charset=utf-8', text && `Content-Length: ${Buffer.byteLength(text)}`], text));
  };
  const group = (id, more = {}) => ({ enrollmentGroupId: id, attestation: x509('signingCertificates', { certificate: base64(der(ca.cert)) }), ...more });

  function assertReadable(e) {
    for (const certificates of Object.values(e.attestation.x509)) {
      assert.ok(certificates.primary, 'primary certificate cannot be null');
      for (const { info } of Object.values(certificates)) {
        assert.match(info.notBeforeUtc, date);
        assert.match(info.notAfterUtc, date);
        assert.equal(info.version, 3);
      }
    }
  }

  test('create, 409 without If-Match, update by the etag that it quotes', async () => {
    const path = '/enrollmentGroups/cs-group';
    const made = await cs('PUT', path, { body: group('cs-group', { iotHubs: ['localhost'], allocationPolicy: 'static' }) });
    assert.equal(made.status, 200, made.context);
    assertReadable(made.json);
    const twice = await cs('PUT', path, { body: group('cs-group') });
    assert.equal(twice.status, 409);
    assert.equal(twice.reason, 'Conflict');
    const got = await cs('GET', path);
    const bare = got.json.etag.replaceAll('"', '');
    const changed = await cs('PUT', path, { body: { ...got.json, provisioningStatus: 'disabled' }, etag: bare });
    assert.equal(changed.status, 200, changed.context);
    assertReadable(changed.json);
    assert.deepEqual(changed.json.iotHubs, ['localhost']);
    const late = await cs('PUT', path, { body: got.json, etag: bare });
    assert.equal(late.status, 412);
    assert.match(late.reason, /\S/);
    const any = await cs('PUT', path, { body: { ...got.json, provisioningStatus: 'enabled' }, etag: '*' });
    assert.equal(any.status, 200, any.context);
    assert.equal((await cs('DELETE', path, { etag: '*' })).status, 204);
    const gone = await cs('GET', path);
    assert.equal(gone.status, 404);
    assert.equal(gone.json.errorCode, 404201);
  });

  test('paging by headers that it looks up in lower case, until there is no token', async () => {
    for (const id of ['cs-1', 'cs-2', 'cs-3']) assert.equal((await cs('PUT', `/enrollments/${id}`, { body: { registrationId: id, attestation: x509('clientCertificates', { certificate: leaf.cert.trim() }) } })).status, 200);
    let token, pages = 0;
    const seen = [];
    do {
      const r = await cs('POST', '/enrollments/query', { body: { query: 'SELECT * FROM enrollments' }, extra: ['x-ms-max-item-count: 1', ...(token ? [`x-ms-continuation: ${token}`] : [])] });
      assert.equal(r.status, 200, r.context);
      assert.equal(r.header('x-ms-item-type'), 'Enrollment');
      r.json.filter((e) => e.attestation.type === 'x509').forEach(assertReadable);
      seen.push(...r.json.map((e) => e.registrationId));
      token = r.header('x-ms-continuation');
      pages++;
    } while (token !== undefined);
    assert.ok(pages >= 3);
    assert.deepEqual(seen.filter((id) => id.startsWith('cs-')), ['cs-1', 'cs-2', 'cs-3']);
    assert.equal((await cs('POST', '/enrollments/query', { body: { query: '' } })).status, 200);
  });

  test('bulk: each item by its own etag', async () => {
    const first = (await cs('GET', '/enrollments/cs-1')).json;
    const second = (await cs('GET', '/enrollments/cs-2')).json;
    assert.equal((await cs('PUT', '/enrollments/cs-2', { body: second, etag: second.etag })).status, 200); // its etag is old now
    const r = await cs('POST', '/enrollments', { body: { mode: 'updateIfMatchETag', enrollments: [{ ...first, deviceId: 'x' }, second] } });
    assert.equal(r.status, 200, r.context);
    assert.equal(r.json.isSuccessful, false);
    assert.deepEqual(r.json.errors.map((e) => [e.registrationId, e.errorCode]), [['cs-2', 412001]]);
    assert.equal((await cs('GET', '/enrollments/cs-1')).json.deviceId, 'x');
    const gone = await cs('POST', '/enrollments', { body: { mode: 'delete', enrollments: ['cs-1', 'cs-2', 'cs-3'].map((registrationId) => ({ registrationId })) } });
    assert.deepEqual(gone.json, { errors: [], isSuccessful: true });
  });
});

// ---- Node ----

describe('Node', () => {
  const n = (method, target, { body, etag, extra = [] } = {}) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const se = Date.now(); // milliseconds where seconds are meant: it never expires
    return ask(compose(method, `${target}?api-version=2021-10-01`, ['Accept: application/json', 'Content-Type: application/json; charset=utf-8', etag !== undefined && `If-Match: ${etag}`, ...extra,
      `Authorization: SharedAccessSignature sr=localhost&sig=${encodeURIComponent(sign('localhost', se))}&skn=${encodeURIComponent(policy.SharedAccessKeyName)}&se=${se}`,
      `Request-Id: ${crypto.randomUUID()}`, 'User-Agent: azure-iot-provisioning-service/1.11.2', text && `Content-Length: ${Buffer.byteLength(text)}`,
      !text && method === 'POST' && 'Content-Length: 0', 'Host: localhost', 'Connection: keep-alive'], text));
  };

  test('lower-case group path, raw host, skn before se, escapes in upper case', async () => {
    const path = `/enrollmentGroups/${encodeURIComponent('node:g')}`;
    assert.equal(path, '/enrollmentGroups/node%3Ag');
    const made = await n('PUT', path, { body: { enrollmentGroupId: 'node:g', attestation: { type: 'symmetricKey' }, etag: '' } });
    assert.equal(made.status, 200, made.context);
    const mechanism = await n('POST', `/enrollmentgroups/${encodeURIComponent('node:g')}/attestationmechanism`);
    assert.equal(mechanism.status, 200, mechanism.context);
    assert.deepEqual(mechanism.json, made.json.attestation);
    assert.equal((await n('DELETE', path, { etag: made.json.etag })).status, 204);
  });

  test('bulk in the spelling of its type', async () => {
    const enrollments = [{ registrationId: 'node-1', attestation: x509('clientCertificates', { certificate: leaf.cert }) }];
    assert.deepEqual((await n('POST', '/enrollments/', { body: { mode: 'create', enrollments } })).json, { errors: [], isSuccessful: true });
    const { etag } = (await n('GET', '/enrollments/node-1')).json;
    assert.deepEqual((await n('POST', '/enrollments/', { body: { mode: 'updateIfMatchEtag', enrollments: [{ ...enrollments[0], etag }] } })).json, { errors: [], isSuccessful: true });
    assert.equal((await n('POST', '/enrollments/', { body: { mode: 'updateIfMatchEtag', enrollments: [{ ...enrollments[0], etag }] } })).json.errors[0].errorCode, 412001);
    assert.deepEqual((await n('POST', '/enrollments/', { body: { mode: 'delete', enrollments } })).json, { errors: [], isSuccessful: true });
  });
});

// ---- Java ----

describe('Java', () => {
  // The host as typed in the connection string, in lower case in sr; header names in lower case where it writes them so; IDs raw.
  const j = (method, path, { body, etag } = {}) => {
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    const se = inAnHour();
    return ask(compose(method, `${path}?api-version=2019-03-31`, [`authorization: SharedAccessSignature sr=localhost&sig=${encodeURIComponent(sign('localhost', se))}&se=${se}&skn=${policy.SharedAccessKeyName}`,
      'Request-Id: 1001', 'Accept: application/json', 'Content-Type: application/json', 'charset: utf-8', etag !== undefined && `If-Match: ${etag}`,
      'User-Agent: Java-SDK', 'Host: LocalHost', 'Connection: keep-alive', (text || method === 'POST') && `Content-Length: ${Buffer.byteLength(text)}`], text));
  };

  function assertDates(value) {
    for (const [k, v] of Object.entries(value)) {
      if (/Utc$/.test(k)) assert.match(v, date, k);
      else if (typeof v === 'object') assertDates(v);
    }
  }

  test('IDs as they are, every date in UTC with Z, "{}" where nothing is to be said', async () => {
    const path = '/enrollments/java:a.b_c-1';
    const made = await j('PUT', path, { body: { registrationId: 'java:a.b_c-1', attestation: x509('clientCertificates', { certificate: leaf.cert }, { certificate: ca.cert }), provisioningStatus: 'enabled', capabilities: { iotEdge: true },
      initialTwin: { tags: { a: [1, { b: 2 }] }, properties: { desired: { c: 'd' } } } } });
    assert.equal(made.status, 200, made.context);
    assertDates(made.json);
    assert.equal(made.json.capabilities.iotEdge, true);
    const mechanism = await j('POST', `${path}/attestationmechanism`, { body: '{}' });
    assert.equal(mechanism.status, 200, mechanism.context);
    assertDates(mechanism.json);
    const got = await j('GET', path);
    assert.deepEqual(got.json.initialTwin, { tags: { a: [1, { b: 2 }] }, properties: { desired: { c: 'd' } } });
    const changed = await j('PUT', path, { body: { ...got.json, attestation: { type: 'x509', x509: { clientCertificates: { primary: got.json.attestation.x509.clientCertificates.primary } } } }, etag: got.json.etag });
    assert.equal(changed.status, 200, changed.context); // the secondary is left out: removed
    assert.deepEqual(Object.keys(changed.json.attestation.x509.clientCertificates), ['primary']);
    assert.equal((await j('DELETE', path)).status, 204);
  });

  test('the texts of its query builder', async () => {
    for (const [path, query, type] of [['/enrollments/query', 'select * from enrollments', 'Enrollment'], ['/enrollmentGroups/query', 'select * from enrollmentGroups', 'EnrollmentGroup'],
      ['/registrations/dev/query', 'select * from deviceRegistrations', 'DeviceRegistration']]) {
      const r = await j('POST', path, { body: { query } });
      assert.equal(r.status, 200, r.context);
      assert.equal(r.header('x-ms-item-type'), type);
      r.json.forEach(assertDates);
    }
  });

  test('each refusal has the status that it tells apart', async () => {
    for (const [status, method, path, more] of [[400, 'PUT', '/enrollments/java-x', { body: '{' }], [404, 'GET', '/enrollments/java-x', {}], [405, 'PUT', '/enrollments', { body: {} }],
      [412, 'PUT', '/enrollments/java-x', { body: { registrationId: 'java-x', attestation: { type: 'symmetricKey' } }, etag: '"1"' }]]) {
      const r = await j(method, path, more);
      assert.equal(r.status, status, r.context);
      assert.equal(Math.floor(r.json.errorCode / 1000), status);
    }
  });
});

// ---- the CLI (Python, generated from the specification) ----

describe('CLI', () => {
  const cli = (method, path, { body, etag, version = '2021-10-01' } = {}) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const se = inAnHour();
    return ask(compose(method, `${path}?api-version=${version}`, ['Host: localhost', 'User-Agent: azsdk-python-iotdps/1.0 Python/3.11', 'Accept-Encoding: gzip, deflate', 'Accept: application/json', 'Connection: keep-alive',
      etag !== undefined && `If-Match: ${etag}`, 'Content-Type: application/json; charset=utf-8', `x-ms-client-request-id: ${crypto.randomUUID()}`,
      `Authorization: SharedAccessSignature sr=localhost&sig=${encodeURIComponent(sign('localhost', se))}&se=${se}&skn=${encodeURIComponent(policy.SharedAccessKeyName)}`,
      (text || method !== 'GET') && `Content-Length: ${Buffer.byteLength(text)}`], text));
  };

  test('symmetric keys: in the answers to PUT, hidden from GET, shown when asked for; the update cycle', async () => {
    const path = '/enrollments/cli-key';
    const body = { registrationId: 'cli-key', attestation: { type: 'symmetricKey' }, allocationPolicy: 'static', iotHubs: ['localhost'], deviceId: 'cli-device',
      initialTwin: { tags: { key: 'value' }, properties: { desired: { values: [{ key1: 'value1' }, { key2: 'value2' }] } } }, optionalDeviceInformation: { key: 'value' } };
    const made = await cli('PUT', path, { body });
    assert.equal(made.status, 200, made.context);
    const keys = made.json.attestation.symmetricKey;
    for (const key of [keys.primaryKey, keys.secondaryKey]) assert.equal(Buffer.from(key, 'base64').length, 64);
    assert.notEqual(keys.primaryKey, keys.secondaryKey);
    for (const name of ['deviceId', 'allocationPolicy', 'iotHubs', 'initialTwin', 'optionalDeviceInformation']) assert.deepEqual(made.json[name], body[name], name);
    assert.deepEqual(made.json.reprovisionPolicy, { updateHubAssignment: true, migrateDeviceData: true });
    const got = await cli('GET', path);
    assert.equal(got.status, 200);
    assert.deepEqual(got.json.attestation, { type: 'symmetricKey' });
    const mechanism = await cli('POST', `${path}/attestationmechanism`);
    assert.equal(mechanism.status, 200, mechanism.context);
    assert.deepEqual(mechanism.json, { type: 'symmetricKey', symmetricKey: keys });
    const swapped = { primaryKey: keys.secondaryKey, secondaryKey: keys.primaryKey };
    const changed = await cli('PUT', path, { body: { ...got.json, attestation: { type: 'symmetricKey', symmetricKey: swapped }, provisioningStatus: 'disabled' }, etag: '*' });
    assert.equal(changed.status, 200, changed.context);
    assert.deepEqual(changed.json.attestation.symmetricKey, swapped);
    assert.equal(changed.json.provisioningStatus, 'disabled');
    assert.equal((await cli('DELETE', path, { etag: '*' })).status, 204);
  });

  test('a primary certificate taken away: the secondary stays alone', async () => {
    const path = '/enrollments/cli-x509';
    assert.equal((await cli('PUT', path, { body: { registrationId: 'cli-x509', attestation: x509('clientCertificates', { certificate: leaf.cert }, { certificate: ca.cert }) } })).status, 200);
    const got = (await cli('GET', path)).json;
    const { secondary } = got.attestation.x509.clientCertificates;
    const changed = await cli('PUT', path, { body: { ...got, attestation: { type: 'x509', x509: { clientCertificates: { secondary } } } }, etag: '*' });
    assert.equal(changed.status, 200, changed.context);
    assert.deepEqual(changed.json.attestation.x509.clientCertificates, { secondary });
    const lost = await cli('PUT', path, { body: got, etag: '*' }); // there is no primary any more to keep
    assert.equal(lost.status, 400, lost.context);
    assert.equal((await cli('DELETE', path, { etag: '*' })).status, 204);
  });

  test('lists: SELECT *, registrations without a body', async () => {
    for (const path of ['/enrollments/query', '/enrollmentGroups/query']) {
      const r = await cli('POST', path, { body: { query: 'SELECT *' } });
      assert.equal(r.status, 200, r.context);
      assert.ok(Array.isArray(r.json));
    }
    const states = await cli('POST', '/registrations/dev/query');
    assert.equal(states.status, 200, states.context);
    assert.ok(states.json.some((s) => s.registrationId === 'registered-1'));
  });

  test('a registration: shown, deleted by its etag, gone', async () => {
    const d = await pki.make('cli-registered', { issuer: devCa(b) });
    const m = await b.mqtt(d);
    await provision(m, { idScope: b.dev.idScope, registrationId: d.cn });
    m.end();
    const shown = await cli('GET', '/registrations/cli-registered');
    assert.equal(shown.status, 200, shown.context);
    assert.equal(shown.json.assignedHub, 'localhost');
    assert.equal((await cli('DELETE', '/registrations/cli-registered', { etag: '"AAAA"' })).status, 412);
    assert.equal((await cli('DELETE', '/registrations/cli-registered', { etag: shown.json.etag })).status, 204);
    const gone = await cli('GET', '/registrations/cli-registered');
    assert.equal(gone.status, 404);
    assert.equal(gone.json.errorCode, 404201);
  });

  test('bulk of groups', async () => {
    const enrollmentGroups = ['cli-g1', 'cli-g2'].map((enrollmentGroupId) => ({ enrollmentGroupId, attestation: { type: 'symmetricKey' } }));
    assert.deepEqual((await cli('POST', '/enrollmentGroups', { body: { mode: 'create', enrollmentGroups } })).json, { errors: [], isSuccessful: true });
    const again = await cli('POST', '/enrollmentGroups', { body: { mode: 'create', enrollmentGroups } });
    assert.deepEqual(again.json.errors.map((e) => [e.enrollmentGroupId, e.errorCode]), [['cli-g1', 409201], ['cli-g2', 409201]]);
    assert.deepEqual((await cli('POST', '/enrollmentGroups', { body: { mode: 'delete', enrollmentGroups } })).json, { errors: [], isSuccessful: true });
  });

  test('the newest and its older self on one group: neither loses what the other knows', async () => {
    const path = '/enrollmentGroups/cli-next', version = '2026-11-02-preview';
    const names = { namespaceName: 'my-space', certificateAuthorityName: 'my-ca', certificatePolicyName: 'my-policy' };
    const made = await cli('PUT', path, { version, body: { enrollmentGroupId: 'cli-next', attestation: { type: 'symmetricKey' }, deviceTypeRefs: ['t'], ...names } });
    assert.equal(made.status, 200, made.context);
    const older = await cli('GET', path);
    for (const name of [...Object.keys(names), 'deviceTypeRefs', 'credentialPolicyName']) assert.equal(name in older.json, false, name);
    const put = await cli('PUT', path, { body: { ...older.json, provisioningStatus: 'disabled' }, etag: '*' });
    assert.equal(put.status, 200, put.context);
    const newest = (await cli('GET', path, { version })).json;
    for (const [name, value] of Object.entries(names)) assert.equal(newest[name], value);
    assert.deepEqual(newest.deviceTypeRefs, ['t']);
    assert.equal(newest.provisioningStatus, 'disabled');
    const partial = await cli('PUT', path, { version, body: { ...newest, certificatePolicyName: null }, etag: '*' });
    assert.equal(partial.status, 400, partial.context);
    assert.match(partial.json.message, /namespaceName/);
    const cleared = await cli('PUT', path, { version, body: { ...newest, namespaceName: null, certificateAuthorityName: null, certificatePolicyName: null }, etag: '*' });
    assert.equal(cleared.status, 200, cleared.context);
    for (const name of Object.keys(names)) assert.equal(name in cleared.json, false, name);
    assert.equal((await cli('DELETE', path, { etag: '*' })).status, 204);
  });
});
