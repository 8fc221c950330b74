// Many enrollments from a file and to a file: CSV and JSON lines, lines that fail, interruptions of every kind, and what export writes
// read again.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Berthd, Pki, bin, tempDir, until } from '../lib/berth.mjs';

const API = 'api-version=2021-10-01';
let b, dir;

before(async () => { b = await Berthd.start(); dir = tempDir(); });
after(async () => { await b?.stop(); });

const file = (name, text) => { const at = path.join(dir, name); if (text !== undefined) fs.writeFileSync(at, text); return at; };
const key = (seed) => crypto.createHash('sha512').update(seed).digest('base64');
const ids = (prefix, n) => Array.from({ length: n }, (_, i) => `${prefix}-${String(i).padStart(5, '0')}`);
const csvOf = (list) => `registrationId,attestationType,primaryKey,secondaryKey\n${list.map((id) => `${id},symmetrickey,${key(id)},${key(`2${id}`)}\n`).join('')}`;
const get = async (id) => (await b.service('GET', `/enrollments/${id}?${API}`)).json;
const exists = async (id) => (await b.service('GET', `/enrollments/${id}?${API}`)).status === 200;

async function exported(...args) {
  const text = await b.ok('enrollment', 'export', ...args);
  return text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}
const allOf = async (prefix) => (await exported()).map((e) => e.registrationId).filter((id) => id.startsWith(`${prefix}-`));

// A berth that may be sent signals to: {child, ended: Promise of {code, signal, stdout, stderr}}.
function start(...args) {
  const child = spawn(path.join(bin, 'berth'), args, { env: { ...process.env, BERTH_DEV: b.dir } });
  const out = { stdout: '', stderr: '' };
  child.stdout.on('data', (d) => { out.stdout += d; });
  child.stderr.on('data', (d) => { out.stderr += d; });
  return { child, ended: new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, ...out }))) };
}

test('a CSV file of all that cells may be', async () => {
  const pki = new Pki();
  const device = await pki.make('c-cert');
  fs.copyFileSync(device.certFile, file('c.pem'));
  const at = file('all.csv', '\ufeffregistrationId,deviceId,attestationType,primaryKey,secondaryKey,certificatePath,certificate,provisioningStatus,allocationPolicy,iotHubs,reprovisionPolicy,edgeEnabled,initialTwin,deviceInformation,members\r\n' +
    `c-key,"dev,1",symmetricKey,${key('c')},${key('d')},,,disabled,static,${b.dev.hubs[0].hostName},never,true,"{""tags"":{""name"":""Zoë\u00a0\\""x\\""""},\r\n""properties"":{""desired"":{""a"":[1,{}]}}}","{""serial"":""9""}","{""deviceTypeRefs"":[""t""]}"\r\n` +
    '\r\n' +
    'c-cert,,,,,c.pem,,,,,,,,,\r\n' +
    `c-pem,,x509,,,,"${device.cert}",enabled,,,,,,,\r\n` +
    'c-made,,symmetrickey,,,,,,,,,,,,');
  assert.match(await b.ok('enrollment', 'import', at), /^4 created in /);
  const e = await get('c-key');
  assert.equal(e.deviceId, 'dev,1');
  assert.equal(e.provisioningStatus, 'disabled');
  assert.equal(e.allocationPolicy, 'static');
  assert.deepEqual(e.iotHubs, [b.dev.hubs[0].hostName]);
  assert.deepEqual(e.reprovisionPolicy, { updateHubAssignment: false, migrateDeviceData: false });
  assert.deepEqual(e.capabilities, { iotEdge: true });
  assert.deepEqual(e.initialTwin, { tags: { name: 'Zoë\u00a0"x"' }, properties: { desired: { a: [1, {}] } } });
  assert.deepEqual(e.optionalDeviceInformation, { serial: '9' });
  const sha = new crypto.X509Certificate(device.cert).fingerprint.replaceAll(':', '');
  for (const id of ['c-cert', 'c-pem']) assert.equal((await get(id)).attestation.x509.clientCertificates.primary.info.sha1Thumbprint, sha);
  const keys = await b.json('enrollment', 'show', 'c-key', '--show-keys');
  assert.equal(keys.attestation.symmetricKey.primaryKey, key('c'));
  assert.equal(fs.existsSync(`${at}.berth-import`), false);
});

test('JSON lines from standard input, one that comes late; the summary for programs', async () => {
  const line = (id) => `${JSON.stringify({ registrationId: id, attestation: { type: 'symmetricKey' } })}\n`;
  const list = ids('j', 2000);
  const { child, ended } = start('enrollment', 'import', '-', '--format', 'jsonl', '-o', 'json');
  child.stdin.write(list.slice(0, -1).map(line).join(''));
  await until('what came is not held back until there is more', () => exists(list.at(-2)), 60000);
  child.stdin.end(line(list.at(-1)).trim());
  const r = await ended;
  assert.equal(r.code, 0, r.stderr);
  assert.equal(r.stderr, '');
  const summary = JSON.parse(r.stdout);
  assert.equal(summary.done, 2000);
  assert.equal(summary.failed, 0);
  assert.equal(summary.isFinished, true);
  assert.deepEqual(await allOf('j'), list);
});

test('lines that fail are named, do not hold up others, and can be imported again', async () => {
  const list = ids('e', 60);
  const lines = csvOf(list).split('\n');
  await b.ok('enrollment', 'create', list[20], '--at', 'symmetrickey');
  lines[5] = `${list[4]},symmetrickey,"${key('x')}`; // no closing quote: costs its line, not the rest of the file
  lines[7] = `${list[6]},symmetrickey,not base64,`;
  lines[9] = `${list[8]},symmetrickey,a,b,c`;
  lines[11] = `${list[10]},x509,,`;
  lines[13] = ',symmetrickey,,';
  lines[15] = 'has blank,symmetrickey,,';
  lines[61] = `${list[0]},symmetrickey,,`; // again, and the last without its line's end
  const at = file('errors.csv', lines.join('\n'));
  const errors = file('failed.csv');
  let r = await b.cli('enrollment', 'import', at, '--errors', errors, '--concurrency', '1'); // of an ID's two lines the first is made
  assert.equal(r.code, 1);
  const told = r.stderr.split('\n').filter((l) => l.startsWith(at)).map((l) => l.slice(at.length + 1));
  assert.deepEqual(told.map((l) => Number(l.split(':')[0])), [6, 8, 10, 12, 14, 16, 22, 62], r.stderr);
  assert.match(told[0], /^6: field 3 has no closing quote/);
  assert.match(told[1], /^8: e-00006: .*base64/);
  assert.match(told[2], /^10: 5 fields, but the header has 4/);
  assert.match(told[3], /^12: e-00010: certificatePath or caName is missing/);
  assert.match(told[4], /^14: registrationId is empty/);
  assert.match(told[5], /^16: has blank: /);
  assert.match(told[6], /^22: e-00020: .*exists.*\(409201\)/);
  assert.match(told[7], /^62: e-00000: .*exists/);
  assert.match(r.stdout, /^53 created, 8 failed/);
  assert.deepEqual(fs.readFileSync(errors, 'utf8').split('\n'), [lines[0], ...[6, 8, 10, 12, 14, 16, 22, 62].map((n) => lines[n - 1]), '']);

  // Mended, the file of failed lines is a file to import.
  const again = file('again.csv', fs.readFileSync(errors, 'utf8').replace(/,symmetrickey,".*|,symmetrickey,not base64,|,symmetrickey,a,b,c|,x509,,/g, ',symmetrickey,,'));
  r = await b.cli('enrollment', 'import', again);
  assert.match(r.stdout, /^4 created, 4 failed/, r.stderr);
});

test('a header that is wrong, a file that is not there, a format that nobody told', async () => {
  const cases = [
    [file('h1.csv', 'registrationId,colour\n'), 1, /h1\.csv:1: there is no column 'colour'; the columns are registrationId, deviceId/],
    [file('h2.csv', 'deviceId\n'), 1, /the first line has no column registrationId/],
    [file('h3.csv', ''), 1, /has no header line/],
    [path.join(dir, 'gone.csv'), 3, /cannot read .*gone\.csv: No such file/],
    [file('h4.txt', ''), 2, /give --format/],
    [file('h5.jsonl', '{"registrationId":"x"\n[]\n{}\n{"registrationId":"x","attestation":{"type":"none"}}\n'), 1,
      /h5\.jsonl:1: .*\n.*h5\.jsonl:2: not a JSON object\n.*h5\.jsonl:3: registrationId is missing\n.*h5\.jsonl:4: x: attestation\.type/],
  ];
  for (const [at, code, message] of cases) {
    const r = await b.cli('enrollment', 'import', at);
    assert.equal(r.code, code, r.stderr);
    assert.match(r.stderr, message);
  }
});

test('--stop-on-error ends early; --resume goes on behind it, with the same errors file', async () => {
  const list = ids('s', 400);
  const at = file('stop.csv', csvOf(list).replace(`${list[30]},symmetrickey`, `${list[30]},colour`));
  const errors = file('stopped.csv');
  let r = await b.cli('enrollment', 'import', at, '--stop-on-error', '--concurrency', '1', '--errors', errors);
  assert.equal(r.code, 1);
  assert.match(r.stderr, /stop\.csv:32: s-00030: attestationType is one of/);
  assert.match(r.stderr, /stopped behind line \d+; the same command with --resume goes on there/);
  assert.ok((await allOf('s')).length < 399);
  r = await b.cli('enrollment', 'import', at);
  assert.equal(r.code, 5);
  assert.match(r.stderr, /was interrupted behind line \d+: --resume goes on there/);
  r = await b.cli('enrollment', 'import', at, '--resume', '--errors', errors);
  assert.equal(r.code, 1, 'a line of it has failed');
  assert.match(r.stdout, /^399 created, 1 failed/);
  assert.equal((await allOf('s')).length, 399);
  assert.equal(fs.readFileSync(errors, 'utf8').split('\n').length, 3);
  r = await b.cli('enrollment', 'import', at, '--resume');
  assert.equal(r.code, 3);
  assert.match(r.stderr, /nothing to resume/);
});

test('--resume with another errors file: it begins anew', async () => {
  const list = ids('n', 60);
  const at = file('anew.csv', csvOf(list).replace(`${list[3]},symmetrickey`, `${list[3]},colour`).replace(`${list[59]},symmetrickey`, `${list[59]},colour`));
  const first = file('first.csv'), second = file('second.csv');
  assert.equal((await b.cli('enrollment', 'import', at, '--stop-on-error', '--concurrency', '1', '--errors', first)).code, 1);
  assert.match(fs.readFileSync(first, 'utf8'), /n-00003/);
  assert.equal((await b.cli('enrollment', 'import', at, '--resume', '--errors', second)).code, 1);
  const [header, ...failed] = fs.readFileSync(second, 'utf8').trim().split('\n');
  assert.equal(header, 'registrationId,attestationType,primaryKey,secondaryKey');
  assert.deepEqual(failed.map((line) => line.split(',')[0]), [list[59]]);
});

for (const signal of ['SIGINT', 'SIGKILL']) {
  test(`${signal} in the middle: resumed, nothing is lost and nothing fails`, async () => {
    const list = ids(signal.toLowerCase(), 12000);
    const at = file(`${signal}.csv`, csvOf(list));
    const { child, ended } = start('enrollment', 'import', at, '--concurrency', '4');
    await until('some are there', () => exists(list[500]), 60000);
    child.kill(signal);
    const r = await ended;
    if (signal === 'SIGINT') {
      assert.equal(r.code, 1);
      assert.match(r.stderr, /stopped behind line \d+; the same command with --resume goes on there/);
    }
    const n = (await allOf(signal.toLowerCase())).length;
    assert.ok(n > 500 && n < 12000, `${n} were there before it was resumed`);
    const again = await b.json('enrollment', 'import', at, '--resume');
    assert.equal(again.failed, 0);
    assert.equal(again.done + again.alreadyThere, 12000);
    assert.equal(again.isFinished, true);
    if (signal === 'SIGINT') assert.equal(again.alreadyThere, 0);
    else assert.ok(again.alreadyThere > 0);
    assert.deepEqual(await allOf(signal.toLowerCase()), list);
    assert.equal(fs.existsSync(`${at}.berth-import`), false);
    assert.match(await b.ok('enrollment', 'import', at, '--mode', 'delete'), /^12,000 deleted/);
  });
}

test('another file, another mode: not resumed', async () => {
  const at = file('other.csv', csvOf(ids('o', 30)).replace('o-00010,symmetrickey', 'o-00010,colour'));
  assert.equal((await b.cli('enrollment', 'import', at, '--stop-on-error')).code, 1);
  let r = await b.cli('enrollment', 'import', at, '--resume', '--mode', 'update');
  assert.equal(r.code, 5);
  assert.match(r.stderr, /begun as --mode create of enrollments/);
  file('other.csv', csvOf(ids('p', 30)));
  r = await b.cli('enrollment', 'import', at, '--resume');
  assert.equal(r.code, 5);
  assert.match(r.stderr, /is not the file whose import was interrupted/);
});

test('the server goes away and comes back: the import waits for it', async () => {
  const list = ids('w', 12000);
  const at = file('wait.csv', csvOf(list));
  const { ended } = start('enrollment', 'import', at, '--concurrency', '4', '-o', 'json');
  await until('some are there', () => exists(list[300]), 60000);
  await b.kill();
  await b.restart();
  assert.equal(await exists(list.at(-1)), false, 'it was killed in the middle');
  const r = await ended;
  assert.equal(r.code, 0, r.stderr);
  const summary = JSON.parse(r.stdout);
  assert.equal(summary.done + summary.alreadyThere, 12000);
  assert.deepEqual(await allOf('w'), list);
  await b.ok('enrollment', 'import', at, '--mode', 'delete');
});

test('SIGKILL of the server: what was acknowledged is there, and each request whole or not at all', async () => {
  const acknowledged = new Set();
  let sent = 0, over = false;
  const client = async () => {
    while (!over) {
      const n = sent++;
      const enrollments = ids(`k-${n}`, 10).map((registrationId) => ({ registrationId, attestation: { type: 'symmetricKey' } }));
      try {
        const r = await b.service('POST', `/enrollments?${API}`, { body: { mode: 'create', enrollments } });
        assert.deepEqual(r.json, { errors: [], isSuccessful: true }, r.text);
        acknowledged.add(n);
      } catch (e) {
        if (!over) throw e;
      }
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, client));
  await Promise.race([clients, until('a storm', () => acknowledged.size > 50, 60000)]);
  over = true;
  await b.kill();
  await clients;
  await b.restart();
  const there = new Map();
  for (const id of await allOf('k')) there.set(Number(id.split('-')[1]), (there.get(Number(id.split('-')[1])) ?? 0) + 1);
  assert.deepEqual([...acknowledged].filter((n) => !there.has(n)), [], 'lost');
  assert.deepEqual([...there].filter(([, n]) => n !== 10), [], 'in part');
  for (const n of there.keys()) {
    const body = { mode: 'delete', enrollments: ids(`k-${n}`, 10).map((registrationId) => ({ registrationId })) };
    assert.equal((await b.service('POST', `/enrollments?${API}`, { body })).json.isSuccessful, true);
  }
});

// Without what the service alone writes.
const essence = (list) => list.map(({ etag, createdDateTimeUtc, lastUpdatedDateTimeUtc, registrationState, ...rest }) => rest);

for (const format of ['csv', 'jsonl']) {
  test(`what export writes import reads: ${format}`, async () => {
    const hasNoCertificate = (e) => e.attestation.x509?.clientCertificates === undefined;
    const before = (await exported('--show-keys'));
    assert.ok(before.length > 2000 && before.find((e) => e.registrationId === 'c-key').initialTwin.tags.name.includes('"x"'));
    assert.deepEqual(before.find((e) => e.registrationId === 'c-key').deviceTypeRefs, ['t'], 'of the newest version too');
    const at = file(`out.${format}`);
    const r = await b.cli('enrollment', 'export', at, '--show-keys', '--concurrency', '8');
    assert.equal(r.code, 0, r.stderr);
    assert.match(r.stderr, /2 with a certificate of which the service gives the description only/);
    assert.equal(fs.statSync(at).mode & 0o777, 0o600);
    assert.equal((await b.cli('enrollment', 'export', at)).code, 5, 'not overwritten');
    // Over themselves all of them, certificates too.
    assert.match(await b.ok('enrollment', 'import', at, '--mode', 'update'), new RegExp(`^${before.length.toLocaleString('en')} updated`));
    assert.deepEqual(essence(await exported('--show-keys')), essence(before));
    // The ETags are old now.
    const stale = await b.cli('enrollment', 'import', at, '--mode', 'updateIfMatchETag');
    assert.equal(stale.code, 1);
    assert.match(stale.stdout, /^0 updated, /);
    // Deleted and made again: all but those with a certificate.
    await b.ok('enrollment', 'export', at, '--show-keys', '--force');
    assert.match(await b.ok('enrollment', 'import', at, '--mode', 'delete'), /deleted in/);
    assert.deepEqual(await exported(), []);
    const made = await b.cli('enrollment', 'import', at);
    assert.match(made.stdout, / created, 2 failed/);
    assert.deepEqual(essence(await exported('--show-keys')), essence(before.filter(hasNoCertificate)));
    // For the next format.
    const pki = new Pki();
    for (const id of ['c-cert', 'c-pem']) await b.ok('enrollment', 'create', id, '--certificate-path', (await pki.make(id)).certFile);
  });
}

test('enrollment groups likewise', async () => {
  const at = file('groups.csv', `enrollmentGroupId,attestationType,primaryKey,secondaryKey,caName,provisioningStatus\ng-1,symmetrickey,${key('g')},${key('h')},,disabled\ng-2,,${key('i')},${key('j')},,\n`);
  await b.ok('enrollment-group', 'import', at);
  const out = file('groups.jsonl');
  await b.ok('enrollment-group', 'export', out, '--show-keys');
  const list = fs.readFileSync(out, 'utf8').trim().split('\n').map((l) => JSON.parse(l));
  assert.deepEqual(list.map((g) => g.enrollmentGroupId), ['dev', 'dev-key', 'g-1', 'g-2']);
  assert.equal(list[2].attestation.symmetricKey.primaryKey, key('g'));
  assert.equal(list[2].provisioningStatus, 'disabled');
  await b.ok('enrollment-group', 'import', at, '--mode', 'delete');
  assert.equal((await b.json('enrollment-group', 'list')).length, 2);
  const csv = await b.ok('enrollment-group', 'export', '--format', 'csv');
  assert.match(csv, /^enrollmentGroupId,attestationType,primaryKey,/);
  assert.match(csv, /\r\ndev-key,symmetricKey,,,/);
});
