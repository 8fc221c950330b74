// The service API as raw requests: the spellings that the SDKs send, the headers and codes that they need back.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Berthd, Pki, parseConnectionString, sas } from '../lib/berth.mjs';
import crypto from 'node:crypto';

let b, pki, ca, leaf;
const v = 'api-version=2021-10-01';
const group = (id, more = {}) => ({ enrollmentGroupId: id, attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: ca.cert } } } }, ...more });
const individual = (id, more = {}) => ({ registrationId: id, attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: leaf.cert } } } }, ...more });

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  ca = await pki.make('Some CA', { ca: true });
  leaf = await pki.make('leaf', { issuer: ca });
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

test('authorization: every client\'s token spelling, and what is wrong with the others', async () => {
  const c = parseConnectionString(b.dev.serviceConnectionString);
  const sign = (sr, se, key = c.SharedAccessKey) => encodeURIComponent(crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64'));
  const se = Math.floor(Date.now() / 1000) + 3600;
  const name = c.SharedAccessKeyName;
  const lower = sign('localhost', se).replace(/%[0-9A-F]{2}/g, (x) => x.toLowerCase());
  const good = [
    `SharedAccessSignature sr=localhost&sig=${lower}&se=${se}&skn=${name}`,
    `SharedAccessSignature sr=localhost&sig=${sign('localhost', se)}&skn=${name}&se=${se}`,
    `SharedAccessSignature sr=LocalHost&sig=${sign('LocalHost', se)}&se=${se}&skn=${name}`,
    `SharedAccessSignature se=${se}&skn=${name}&sr=localhost&sig=${sign('localhost', se)}`,
  ];
  const past = se - 7200;
  const bad = [
    undefined, '', 'Bearer abc', 'SharedAccessSignature', `SharedAccessSignature sr=localhost&se=${se}&skn=${name}`,
    `SharedAccessSignature sr=localhost&sig=${sign('localhost', past)}&se=${past}&skn=${name}`,
    `SharedAccessSignature sr=localhost&sig=${sign('localhost', se, 'AAAAAAAAAAAAAAAAAAAAAAAA')}&se=${se}&skn=${name}`,
    `SharedAccessSignature sr=elsewhere&sig=${sign('elsewhere', se)}&se=${se}&skn=${name}`,
    `SharedAccessSignature sr=localhost&sig=${sign('localhost', se)}&se=${se}&skn=nobody`,
    `SharedAccessSignature sr=localhost&sig=${sign('localhost', se)}&se=${se}`,
    `SharedAccessSignature sr=localhost&sig=${sign('localhost', se)}&se=${se + 1}&skn=${name}`,
  ];
  for (const token of good) assert.equal((await b.request('GET', `/enrollmentGroups/dev?${v}`, { headers: { Authorization: token } })).status, 200, token);
  for (const token of bad) {
    const r = await b.request('GET', `/enrollmentGroups/dev?${v}`, { headers: token === undefined ? {} : { Authorization: token } });
    assert.equal(r.status, 401, String(token));
    assert.equal(r.json.errorCode, 401002);
    assert.match(r.json.trackingId, /^[0-9a-f-]{36}$/);
    assert.equal(r.headers['x-ms-error-code'], '401002');
    assert.equal(r.headers['x-ms-request-id'], r.json.trackingId);
  }
  // the hub's policy opens no door of the provisioning service
  assert.equal((await b.request('GET', `/enrollmentGroups/dev?${v}`, { headers: { Authorization: sas(b.dev.hubs[0].connectionString) } })).status, 401);
});

describe('ETag and If-Match', () => {
  const at = `/enrollmentGroups/etag?${v}`;
  test('the whole table of reference section 3', async () => {
    const created = await b.service('PUT', at, { body: group('etag') });
    assert.equal(created.status, 200);
    const { etag } = created.json;
    assert.match(etag, /^"[^"]+"$/);
    assert.equal((await b.service('PUT', at, { body: group('etag') })).status, 409);
    assert.equal((await b.service('PUT', at, { body: group('etag'), headers: { 'If-Match': '"no"' } })).status, 412);
    const second = await b.service('PUT', at, { body: created.json, headers: { 'If-Match': etag } });
    assert.equal(second.status, 200, second.text); // info-only certificate keeps the stored one
    assert.notEqual(second.json.etag, etag);
    let current;
    for (const spelling of [() => '*', () => '"*"', () => `W/${current}`, () => current.replaceAll('"', '')]) {
      const r = await b.service('PUT', at, { body: group('etag'), headers: { 'If-Match': spelling() } });
      assert.equal(r.status, 200, String(spelling));
      current = r.json.etag;
    }
    assert.equal((await b.service('DELETE', at, { headers: { 'If-Match': etag } })).status, 412);
    assert.equal((await b.service('DELETE', at)).status, 204);
    const gone = await b.service('DELETE', at);
    assert.equal(gone.status, 404);
    assert.equal(gone.json.errorCode, 404201);
  });
});

test('certificates in all four spellings; the answer carries info only', async () => {
  const der = new crypto.X509Certificate(leaf.cert).raw;
  const spellings = [leaf.cert, leaf.cert.trim(), der.toString('base64'), Buffer.from(leaf.cert).toString('base64'), Buffer.from(der.toString('base64')).toString('base64')];
  for (const [i, certificate] of spellings.entries()) {
    const id = `spelling-${i}`;
    const r = await b.service('PUT', `/enrollments/${id}?${v}`, { body: individual(id, { attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate } } } } }) });
    assert.equal(r.status, 200, r.text);
    const { primary } = r.json.attestation.x509.clientCertificates;
    assert.deepEqual(Object.keys(primary), ['info']);
    assert.deepEqual(Object.keys(primary.info).sort(), ['issuerName', 'notAfterUtc', 'notBeforeUtc', 'serialNumber', 'sha1Thumbprint', 'sha256Thumbprint', 'subjectName', 'version']);
    assert.equal(primary.info.subjectName, 'CN=leaf');
    assert.equal(primary.info.version, 3);
    assert.match(primary.info.sha256Thumbprint, /^[0-9A-F]{64}$/);
  }
});

test('defaults, read-only members and unknown members', async () => {
  const body = individual('members', { optionalDeviceInformation: { shelf: [1, 2] }, iotEdge: 1, etag: '"x"', createdDateTimeUtc: 'x', registrationState: { status: 'assigned' },
    initialTwin: { tags: { a: 1 }, properties: { desired: { b: { c: null } } } } });
  delete body.iotEdge;
  const r = await b.service('PUT', `/enrollments/members?${v}`, { body });
  assert.equal(r.status, 200, r.text);
  assert.deepEqual(r.json.reprovisionPolicy, { updateHubAssignment: true, migrateDeviceData: true });
  assert.deepEqual(r.json.capabilities, { iotEdge: false });
  assert.equal(r.json.provisioningStatus, 'enabled');
  assert.deepEqual(r.json.optionalDeviceInformation, { shelf: [1, 2] });
  assert.deepEqual(r.json.initialTwin.tags, { a: 1 });
  assert.equal('registrationState' in r.json, false);
  assert.equal(JSON.stringify(r.json).includes('null,'), false);
});

test('refused bodies name the member', async () => {
  const cases = [
    ['not JSON', '{', /JSON/i], ['an array', [], /./], ['another ID', individual('other'), /registrationId/], ['no attestation', { registrationId: 'bad' }, /attestation/],
    ['two kinds of certificates', individual('bad', { attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: leaf.cert } }, caReferences: { primary: 'x' } } } }), /x509|one/],
    ['no certificate', individual('bad', { attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: 'AAAA' } } } } }), /certificate/],
    ['unknown status', individual('bad', { provisioningStatus: 'perhaps' }), /provisioningStatus/],
    ['unknown policy', individual('bad', { allocationPolicy: 'dice' }), /allocationPolicy/],
    ['static without a hub', individual('bad', { allocationPolicy: 'static' }), /static|iotHubs/],
    ['a foreign device ID', individual('bad', { deviceId: 'a b' }), /deviceId/],
    ['signing certificates for an individual', individual('bad', { attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: ca.cert } } } } }), /clientCertificates/],
  ];
  for (const [what, body, wanted] of cases) {
    const r = await b.service('PUT', `/enrollments/bad?${v}`, { body });
    assert.equal(r.status, 400, `${what}: ${r.text}`);
    assert.match(r.json.message, wanted, what);
  }
  assert.equal((await b.service('PUT', `/enrollments/${encodeURIComponent('bad id')}?${v}`, { body: individual('bad id') })).status, 400);
  assert.equal((await b.service('PUT', '/enrollments/bad', { body: individual('bad') })).status, 400); // no api-version
  assert.equal((await b.service('PUT', `/enrollments?${v}`, { body: individual('bad') })).status, 405);
});

test('queries: texts, paging, headers in lower case', async () => {
  for (let i = 0; i < 7; i++) assert.equal((await b.service('PUT', `/enrollments/page-${i}?${v}`, { body: individual(`page-${i}`) })).status, 200);
  for (const query of ['SELECT *', 'SELECT * FROM enrollments', 'select * from enrollments', '*', '']) {
    const r = await b.service('POST', `/enrollments/query?${v}`, { body: { query } });
    assert.equal(r.status, 200, query);
    assert.ok(r.json.length >= 7);
    assert.ok(r.rawHeaders.includes('x-ms-item-type'));
    assert.equal(r.headers['x-ms-item-type'], 'Enrollment');
    assert.equal(r.headers['x-ms-continuation'], undefined);
  }
  const seen = [];
  let token;
  do {
    const r = await b.service('POST', `/enrollments/query?${v}`, { body: { query: 'SELECT *' }, headers: { 'x-ms-max-item-count': '3', ...(token ? { 'x-ms-continuation': token } : {}) } });
    assert.ok(r.json.length <= 3);
    seen.push(...r.json.map((e) => e.registrationId));
    token = r.headers['x-ms-continuation'];
  } while (token);
  assert.equal(new Set(seen).size, seen.length);
  assert.deepEqual(seen, [...seen].sort());
  const where = await b.service('POST', `/enrollments/query?${v}`, { body: { query: "SELECT * FROM enrollments WHERE registrationId = 'page-1'" } });
  assert.ok(where.status === 400 || where.json.length === 1, 'never everything');
  const groups = await b.service('POST', `/enrollmentGroups/query?${v}`, { body: { query: 'SELECT * FROM enrollmentGroups' } });
  assert.equal(groups.headers['x-ms-item-type'], 'EnrollmentGroup');
  const none = await b.service('POST', `/registrations/dev/query?${v}`);
  assert.equal(none.status, 200);
  assert.deepEqual(none.json, []);
  assert.equal(none.headers['x-ms-item-type'], 'DeviceRegistration');
});

test('spelling traps of paths', async () => {
  assert.equal((await b.service('PUT', `/enrollments/a%3ab.c?${v}`, { body: individual('a:b.c') })).status, 200);
  assert.equal((await b.service('GET', `/Enrollments/a:b.c/?${v}`)).status, 200);
  assert.equal((await b.service('GET', `/enrollments/A:B.C?${v}`)).json.registrationId, 'a:b.c');
  assert.equal((await b.service('POST', `/enrollmentgroups/dev/attestationmechanism?${v}`, { body: {} })).json.type, 'x509');
  assert.equal((await b.service('POST', `/enrollmentGroups/dev/attestationmechanism?${v}`, { headers: { 'Content-Type': 'application/json', 'Content-Length': '0' } })).status, 200);
  assert.equal((await b.service('PUT', `/enrollments/query?${v}`, { body: individual('query') })).status, 200);
  assert.equal((await b.service('GET', `/enrollments/query?${v}`)).json.registrationId, 'query');
  assert.equal((await b.service('GET', `/nowhere?${v}`)).status, 404);
  assert.equal((await b.service('PATCH', `/enrollments/query?${v}`, { body: {} })).status, 405);
});

test('a signing certificate serves one group', async () => {
  const own = await pki.make('Own CA', { ca: true });
  const body = (id) => ({ enrollmentGroupId: id, attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: own.cert } } } } });
  assert.equal((await b.service('PUT', `/enrollmentGroups/one?${v}`, { body: body('one') })).status, 200);
  assert.equal((await b.service('PUT', `/enrollmentGroups/two?${v}`, { body: body('two') })).status, 409);
  assert.equal((await b.service('DELETE', `/enrollmentGroups/one?${v}`)).status, 204);
  assert.equal((await b.service('PUT', `/enrollmentGroups/two?${v}`, { body: body('two') })).status, 200);
});

test('bulk: ten large items, created and then updated', async () => {
  const text = 'x'.repeat(44000);
  const enrollments = Array.from({ length: 10 }, (_, i) => individual(`bulk-${i}`, { initialTwin: { tags: { text } }, optionalDeviceInformation: { text } }));
  for (const mode of ['create', 'update']) {
    const r = await b.service('POST', `/enrollments?${v}`, { body: { mode, enrollments } });
    assert.equal(r.status, 200, `${mode}: ${r.text}`);
    assert.deepEqual(r.json, { errors: [], isSuccessful: true }, mode);
  }
  const many = { mode: 'delete', enrollments: [...enrollments, individual('bulk-10')].map(({ registrationId }) => ({ registrationId })) };
  assert.equal((await b.service('POST', `/enrollments?${v}`, { body: many })).status, 400);
  many.enrollments.shift();
  const r = await b.service('POST', `/enrollments?${v}`, { body: many });
  assert.equal(r.status, 200, r.text);
  assert.equal(r.json.isSuccessful, false);
  assert.deepEqual(r.json.errors.map((e) => [e.registrationId, e.errorCode]), [['bulk-10', 404201]]);
});

// iotHubHostName is all that a client of 2018-04-01 can say about hubs.
test('the legacy single hub', async () => {
  const old = 'api-version=2018-04-01';
  const put = async (version, more) => {
    const r = await b.service('PUT', `/enrollments/legacy?${version}`, { body: individual('legacy', more), headers: { 'If-Match': '*' } });
    if (r.status !== 200) return r.status;
    const { iotHubs, iotHubHostName } = (await b.service('GET', `/enrollments/legacy?${v}`)).json; // 2018-04-01 is not given iotHubs
    assert.equal(r.json.iotHubHostName, iotHubHostName);
    return { hubs: iotHubs, host: iotHubHostName };
  };
  await b.service('PUT', `/enrollments/legacy?${v}`, { body: individual('legacy') });
  assert.deepEqual(await put(old, { iotHubHostName: 'LOCALHOST' }), { hubs: ['LOCALHOST'], host: 'LOCALHOST' });
  assert.equal(await put(old, { iotHubHostName: 'elsewhere.example' }), 400);
  assert.equal(await put(old, { iotHubHostName: 7 }), 400);
  assert.deepEqual(await put(v, { iotHubHostName: 'localhost', allocationPolicy: 'static' }), { hubs: ['localhost'], host: 'localhost' });
  assert.deepEqual(await put(v, { iotHubHostName: 'elsewhere.example', iotHubs: ['localhost'] }), { hubs: ['localhost'], host: 'localhost' }); // what is newer counts
  assert.deepEqual(await put(old, {}), { hubs: ['localhost'], host: 'localhost' }); // it does not know of iotHubs
  const second = await b.service('PUT', '/berth/v1/hubs/second', { body: { hostName: 'second.example' } });
  assert.equal(second.status, 200, second.text);
  assert.deepEqual(await put(v, { iotHubs: ['localhost', 'second.example'] }), { hubs: ['localhost', 'second.example'], host: undefined });
  assert.deepEqual(await put(old, {}), { hubs: ['localhost', 'second.example'], host: undefined });
  assert.deepEqual(await put(v, {}), { hubs: undefined, host: undefined });
});
