// `berth hub` as somebody types it who knows `az iot hub`: every noun and verb against a real server, and what is said of wrong input.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Berthd, bin, endWithTests, parseConnectionString, until } from '../lib/berth.mjs';

const API = 'api-version=2021-04-12';
let b;

before(async () => { b = await Berthd.start(); });
after(async () => { await b?.stop(); });

const file = (name, text) => {
  const at = path.join(b.dir, name);
  fs.writeFileSync(at, text);
  return at;
};
// Fails with that exit code, and a sentence that the pattern fits, and nothing on stdout.
async function fails(code, pattern, ...args) {
  const r = await b.cli('hub', ...args);
  assert.equal(r.code, code, `${args.join(' ')}\n${r.stdout}${r.stderr}`);
  assert.match(r.stderr, pattern);
  assert.equal(r.stdout, '');
}
const hub = (...args) => b.json('hub', ...args);

// `berth device simulate --receive`, for a device that is made for it. What it tells is collected in .lines.
async function simulated(id, ...args) {
  await hub('device-identity', 'create', id);
  const { connectionString } = await hub('device-identity', 'connection-string', 'show', id);
  return receiver(id, connectionString, '--count', '0', ...args);
}
async function receiver(id, connectionString, ...args) {
  const child = spawn(path.join(bin, 'berth'), ['device', 'simulate', '--connection-string', connectionString, '--receive', ...args],
    { env: { ...process.env, BERTH_DEV: b.dir }, stdio: ['ignore', 'pipe', 'pipe'] });
  const device = { child, lines: [] };
  endWithTests(child);
  let rest = '';
  child.stdout.on('data', (d) => {
    const parts = (rest + d).split('\n');
    rest = parts.pop();
    device.lines.push(...parts);
  });
  child.stderr.on('data', (d) => device.lines.push(String(d)));
  device.exited = new Promise((resolve) => child.on('exit', resolve));
  device.says = (pattern) => until(`${id} says ${pattern}`, async () => device.lines.find((l) => pattern.test(l)));
  device.end = async () => { child.kill('SIGTERM'); return device.exited; };
  await device.says(/: twin: /);
  return device;
}

test('device identities: made, shown, changed, keys renewed, deleted', async () => {
  let d = await hub('device-identity', 'create', 'plain');
  assert.deepEqual([d.deviceId, d.status, d.authentication.type], ['plain', 'enabled', 'sas']);
  const { primaryKey, secondaryKey } = d.authentication.symmetricKey;
  assert.equal(Buffer.from(primaryKey, 'base64').length, 32);
  await fails(5, /'plain': .*\(DeviceAlreadyExists\); tracking ID [-0-9a-f]+/, 'device-identity', 'create', 'plain');

  d = await hub('device-identity', 'renew-key', '-d', 'plain', '--key-type', 'swap');
  assert.deepEqual(d.authentication.symmetricKey, { primaryKey: secondaryKey, secondaryKey: primaryKey });
  d = await hub('device-identity', 'renew-key', 'plain', '--kt', 'secondary');
  assert.equal(d.authentication.symmetricKey.primaryKey, secondaryKey);
  assert.notEqual(d.authentication.symmetricKey.secondaryKey, primaryKey);
  await fails(5, /\(PreconditionFailed\)/, 'device-identity', 'renew-key', 'plain', '--key-type', 'both', '--etag', 'bm8=');
  await fails(2, /--key-type is missing/, 'device-identity', 'renew-key', 'plain');

  const keys = [16, 64].map((n) => crypto.randomBytes(n).toString('base64'));
  d = await hub('device-identity', 'create', 'keyed', '--primary-key', keys[0], '--secondary-key', keys[1]);
  assert.deepEqual(Object.values(d.authentication.symmetricKey), keys);
  await fails(2, /go together/, 'device-identity', 'create', 'half', '--primary-key', keys[0]);

  const print = crypto.randomBytes(32).toString('hex').toUpperCase();
  d = await hub('device-identity', 'create', 'certified', '--auth-method', 'x509_thumbprint', '--primary-thumbprint', print, '--status', 'disabled',
    '--status-reason', 'not yet', '--edge-enabled');
  assert.deepEqual([d.authentication.type, d.authentication.x509Thumbprint.primaryThumbprint], ['selfSigned', print]);
  assert.deepEqual([d.status, d.statusReason, d.capabilities.iotEdge], ['disabled', 'not yet', true]);
  await fails(2, /wants --primary-thumbprint/, 'device-identity', 'create', 'x', '--auth-method', 'x509_thumbprint');
  await fails(1, /\(ArgumentInvalid\)/, 'device-identity', 'create', 'x', '--primary-thumbprint', 'no hex');
  await fails(2, /--auth-method is one of .*, not 'password'/, 'device-identity', 'create', 'x', '--auth-method', 'password');
  await fails(2, /ID is missing/, 'device-identity', 'create');

  d = await hub('device-identity', 'update', 'certified', '--status', 'enabled');
  assert.deepEqual([d.status, d.authentication.x509Thumbprint.primaryThumbprint, d.capabilities.iotEdge], ['enabled', print, true]);
  d = await hub('device-identity', 'update', 'certified', '--auth-method', 'shared_private_key', '--etag', d.etag);
  assert.equal(d.authentication.type, 'sas');
  await fails(2, /say what to change/, 'device-identity', 'update', 'certified');
  await fails(3, /\(DeviceNotFound\)/, 'device-identity', 'update', 'nobody', '--status', 'enabled');
  assert.equal((await hub('device-identity', 'disable', 'certified', '--reason', 'lost')).statusReason, 'lost');
  assert.equal((await hub('device-identity', 'enable', 'certified')).status, 'enabled');
  assert.equal((await hub('device-identity', 'create', 'by-ca', '--auth-method', 'x509_ca')).authentication.type, 'certificateAuthority');

  assert.deepEqual((await hub('device-identity', 'list')).map((x) => x.deviceId).sort(), ['by-ca', 'certified', 'keyed', 'plain']);
  assert.equal((await hub('device-identity', 'list', '--top', '2')).length, 2);
  assert.match(await b.ok('hub', 'device-identity', 'list'), /^DEVICE +STATUS/);
  await fails(5, /\(PreconditionFailed\)/, 'device-identity', 'delete', 'keyed', '--etag', 'bm8=');
  await b.ok('hub', 'device-identity', 'delete', 'keyed', '--yes');
  await fails(3, /\(DeviceNotFound\)/, 'device-identity', 'delete', 'keyed');
  await fails(3, /\(DeviceNotFound\)/, 'device-identity', 'show', 'keyed');
});

test('many identities from a file: what fails is told by its line, the rest is done', async () => {
  const n = 230;
  const rows = Array.from({ length: n }, (_, i) => `bulk-${i},${i % 2 ? 'disabled' : ''},"{""n"":${i}}"`);
  rows[7] = 'bulk-7,maybe,';
  rows[150] = 'bulk-150,,nonsense';
  const csv = file('devices.csv', `deviceId,status,tags\n${rows.join('\n')}\n`);
  const r = await b.cli('hub', 'device-identity', 'import', csv, '--output', 'json');
  assert.equal(r.code, 1, r.stderr);
  assert.deepEqual(JSON.parse(r.stdout), { done: n - 2, failed: 2 });
  assert.match(r.stderr, /devices\.csv:9: 'bulk-7': .*\(ArgumentInvalid\)/);
  assert.match(r.stderr, /devices\.csv:152: tags is not a JSON object/);
  assert.equal((await hub('device-identity', 'show', 'bulk-229')).status, 'disabled');
  assert.deepEqual((await hub('device-twin', 'show', 'bulk-228')).tags, { n: 228 });
  const again = await b.cli('hub', 'device-identity', 'import', csv);
  assert.equal(again.code, 1);
  assert.match(again.stdout, /^0 done, 230 failed/);
  assert.match(again.stderr, /devices\.csv:2: 'bulk-0': .*\(DeviceAlreadyExists\)/);
  const lines = file('gone.jsonl', Array.from({ length: n }, (_, i) => `{"id":"bulk-${i}"}\n`).filter((_, i) => i !== 7 && i !== 150).join(''));
  assert.match(await b.ok('hub', 'device-identity', 'import', lines, '--mode', 'delete'), /^228 done, 0 failed/);
  await fails(3, /DeviceNotFound/, 'device-identity', 'show', 'bulk-229');
  await fails(1, /there is no column 'colour'/, 'device-identity', 'import', file('wrong.csv', 'deviceId,colour\n'));
  await fails(2, /give --format/, 'device-identity', 'import', file('devices', ''));
  await fails(3, /cannot read/, 'device-identity', 'import', 'no-such.csv');
});

test('modules of a device, and their twins', async () => {
  await hub('device-identity', 'create', 'carrier');
  let m = await hub('module-identity', 'create', 'carrier', 'cam', '--managed-by', 'crew');
  assert.deepEqual([m.deviceId, m.moduleId, m.managedBy, m.authentication.type], ['carrier', 'cam', 'crew', 'sas']);
  await fails(5, /\(ModuleAlreadyExistsOnDevice\)|\(409301\)/, 'module-identity', 'create', 'carrier', 'cam');
  await fails(3, /DeviceNotFound|404001/, 'module-identity', 'create', 'nobody', 'cam');
  await hub('module-identity', 'create', '--device-id', 'carrier', '--module-id', 'mic');
  assert.deepEqual((await hub('module-identity', 'list', 'carrier')).map((x) => x.moduleId), ['cam', 'mic']);
  m = await hub('module-identity', 'update', 'carrier', 'cam', '--managed-by', 'others', '--etag', m.etag);
  assert.equal((await hub('module-identity', 'show', 'carrier', 'cam')).managedBy, 'others');
  const renewed = await hub('module-identity', 'renew-key', 'carrier', 'cam', '--key-type', 'primary');
  assert.notEqual(renewed.authentication.symmetricKey.primaryKey, m.authentication.symmetricKey.primaryKey);
  const login = parseConnectionString((await hub('module-identity', 'connection-string', 'show', 'carrier', 'cam')).connectionString);
  assert.deepEqual(login, { HostName: 'localhost', DeviceId: 'carrier', ModuleId: 'cam', SharedAccessKey: renewed.authentication.symmetricKey.primaryKey });

  let twin = await hub('module-twin', 'update', 'carrier', 'cam', '--desired', '{"fps":25}', '--tags', '{"lens":"wide"}');
  assert.deepEqual([twin.moduleId, twin.tags, twin.properties.desired.fps], ['cam', { lens: 'wide' }, 25]);
  twin = await hub('module-twin', 'replace', 'carrier', 'cam', '--json', `@${file('twin.json', '{"tags":{"lens":"tele"}}')}`);
  assert.deepEqual([twin.tags, twin.properties.desired.fps], [{ lens: 'tele' }, undefined]);
  assert.equal((await hub('module-twin', 'show', 'carrier', 'cam')).etag, twin.etag);
  await fails(2, /--desired is not JSON/, 'module-twin', 'update', 'carrier', 'cam', '--desired', 'fps=25');
  await fails(2, /--tags is not a JSON object/, 'device-twin', 'update', 'carrier', '--tags', '[]');
  await fails(3, /no-such-file/, 'device-twin', 'update', 'carrier', '--tags', '@no-such-file');
  await fails(3, /ModuleNotFound|404010/, 'module-twin', 'show', 'carrier', 'nose');
  await b.ok('hub', 'module-identity', 'delete', 'carrier', 'mic', '--yes');
  await fails(3, /ModuleNotFound|404010/, 'module-identity', 'show', 'carrier', 'mic');
});

test('connection strings and tokens are what the hub lets in', async () => {
  const d = await hub('device-identity', 'create', 'teller');
  for (const [type, key] of [['primary', 'primaryKey'], ['secondary', 'secondaryKey']]) {
    const login = await b.ok('hub', 'device-identity', 'connection-string', 'show', 'teller', '--key-type', type);
    assert.ok(login.includes(`HostName=localhost;DeviceId=teller;SharedAccessKey=${d.authentication.symmetricKey[key]}`), login);
  }
  const { sas } = await hub('generate-sas-token', '--device-id', 'teller', '--duration', '60');
  assert.equal(sas.split('&')[0], 'SharedAccessSignature sr=localhost%2Fdevices%2Fteller');
  const se = Number(/se=(\d+)/.exec(sas)[1]);
  assert.ok(Math.abs(se - Date.now() / 1000 - 60) < 30, sas);
  const send = (token) => b.request('POST', `/devices/teller/messages/events?${API}`, { body: 'x', headers: { Authorization: token } });
  assert.equal((await send(sas)).status, 204);
  assert.equal((await send(`${sas}x`.replace('teller', 'Teller'))).status, 401);
  const owner = (await hub('generate-sas-token')).sas;
  assert.equal((await b.request('GET', `/devices/teller?${API}`, { headers: { Authorization: owner } })).status, 200);
  assert.equal((await hub('generate-sas-token', '--policy-name', 'iothubowner')).sas.includes('skn=iothubowner'), true);
  await fails(2, /give --hub-login of the policy 'service'/, 'generate-sas-token', '--policy-name', 'service');
  await fails(2, /--module-id wants --device-id/, 'generate-sas-token', '--module-id', 'm');
  await hub('device-identity', 'create', 'x509', '--primary-thumbprint', 'A'.repeat(40));
  assert.equal((await hub('device-identity', 'connection-string', 'show', 'x509')).connectionString, 'HostName=localhost;DeviceId=x509;x509=true');
  await fails(1, /'x509' has no keys/, 'generate-sas-token', '-d', 'x509');
});

test('a simulated device hears of everything, and answers', async () => {
  const device = await simulated('listener');
  await b.ok('hub', 'device-twin', 'update', 'listener', '--desired', '{"led":"on"}');
  await device.says(/desired properties, version 2: .*"led":"on"/);

  assert.deepEqual(await hub('invoke-device-method', 'listener', '--method-name', 'echo', '--method-payload', '{"a":[1]}'), { status: 200, payload: { a: [1] } });
  await device.says(/method echo called with \{"a":\[1\]\}; answered 200/);
  assert.deepEqual(await hub('invoke-device-method', 'listener', '--mn', 'echo', '--mp', `@${file('payload.json', '"text"')}`), { status: 200, payload: 'text' });
  assert.equal((await hub('invoke-device-method', 'listener', '--mn', 'nothing')).payload, null);
  await fails(2, /--method-payload is not JSON/, 'invoke-device-method', 'listener', '--mn', 'echo', '--mp', 'text');
  await fails(2, /--connect-timeout is at most --timeout/, 'invoke-device-method', 'listener', '--mn', 'echo', '--connect-timeout', '60');
  await fails(2, /--method-name is missing/, 'invoke-device-method', 'listener');

  const sent = await hub('c2d-message', 'send', 'listener', '--data', 'window open', '--properties', 'level=2;room=k', '--message-id', 'm-1', '--wait');
  assert.deepEqual([sent.messageId, sent.outcome], ['m-1', 'Success']);
  await device.says(/message: window open \(message ID m-1, .*level=2, room=k\)/);
  assert.equal(await device.end(), 0);
  await fails(1, /'echo' of 'listener': .*isn't online/, 'invoke-device-method', 'listener', '--mn', 'echo');
  await fails(3, /\(DeviceNotFound\)|\(404001\)/, 'invoke-device-method', 'nobody', '--mn', 'echo');
  await fails(3, /NotFound|40401|40400/, 'invoke-module-method', 'listener', 'nose', '--mn', 'echo');
});

test('what a device says itself is exit status 7', async () => {
  const device = await simulated('stubborn', '--method-response-code', '418', '--method-response-payload', '{"i":"am"}');
  const r = await b.cli('hub', 'invoke-device-method', 'stubborn', '--mn', 'brew', '--output', 'json');
  assert.deepEqual([r.code, JSON.parse(r.stdout)], [7, { status: 418, payload: { i: 'am' } }]);
  await device.end();
  for (const [why, ...args] of [[/is not JSON/, '--method-response-payload', 'no'], [/has no DeviceId/, '--connection-string', b.dev.hubs[0].connectionString],
    [/x509=true wants --cert and --key/, '--connection-string', 'HostName=h;DeviceId=d;x509=true'], [/not more/, '--connection-string', 'x', '--tpm'],
    [/go with x509=true/, '--connection-string', 'HostName=h;DeviceId=d;SharedAccessKey=AAAA', '--cert', 'c', '--key', 'k']]) {
    const wrong = await b.cli('device', 'simulate', ...args);
    assert.equal(wrong.code, 2, args.join(' '));
    assert.match(wrong.stderr, why);
  }
});

test('a simulated module hears what is for it, not for its device', async () => {
  await hub('device-identity', 'create', 'house');
  await hub('module-identity', 'create', 'house', 'fan');
  const { connectionString } = await hub('module-identity', 'connection-string', 'show', 'house', 'fan');
  const fan = await receiver('house/fan', connectionString, '--count', '1', '--message', '{device}');
  assert.deepEqual(await hub('invoke-module-method', 'house', 'fan', '--mn', 'spin', '--mp', '7'), { status: 200, payload: 7 });
  await b.ok('hub', 'module-twin', 'update', 'house', 'fan', '--desired', '{"rpm":100}');
  await fan.says(/^house\/fan: desired properties, version 2: .*"rpm":100/);
  await b.ok('hub', 'c2d-message', 'send', 'house', '--data', 'for the device');
  assert.equal((await hub('c2d-message', 'send', 'house', '-m', 'fan', '--data', 'for the fan', '--wait')).outcome, 'Success');
  await fan.says(/^house\/fan: message: for the fan/);
  assert.ok(!fan.lines.some((l) => /for the device/.test(l)));
  const [line] = (await b.ok('hub', 'monitor-events', '-d', 'house', '--from', 'start', '--count', '1', '--timeout', '20', '--output', 'json')).trim().split('\n').map(JSON.parse);
  assert.deepEqual([line.deviceId, line.moduleId, line.body], ['house', 'fan', 'house']);
  assert.equal(await fan.end(), 0);
});

test('a simulated device with a certificate under a CA of the hub', async () => {
  const { certFile, keyFile } = b.dev.deviceCa, own = path.join(b.dir, 'door');
  const [{ name }] = await hub('list');
  await hub('certificate', 'create', 'line', '--hub-name', name, '--path', certFile);
  await hub('certificate', 'verify', 'line', '--hub-name', name, '--ca-cert', certFile, '--ca-key', keyFile);
  await hub('device-identity', 'create', 'door', '--am', 'x509_ca');
  await b.ok('ca', 'create-device', 'door', '--out', own);
  const { connectionString } = await hub('device-identity', 'connection-string', 'show', 'door');
  const as = (text) => b.cli('device', 'simulate', '--connection-string', text, '--cert', `${own}.chain.pem`, '--key', `${own}.key.pem`);
  const r = await as(connectionString);
  assert.equal(r.code, 0, r.stdout + r.stderr);
  assert.match(r.stdout, /^door: sent 1 of 1/m);
  await hub('device-identity', 'create', 'gate', '--am', 'x509_ca');
  assert.equal((await as(connectionString.replace('door', 'gate'))).code, 6);
});

test('a device that is shut out is not connected any more in the answer', async () => {
  const device = await simulated('stolen');
  assert.equal((await hub('device-identity', 'show', 'stolen')).connectionState, 'Connected');
  assert.equal((await hub('device-identity', 'disable', 'stolen', '--reason', 'reported stolen')).connectionState, 'Disconnected');
  assert.equal(await device.exited, 6);
});

test('nouns and verbs that there are not, and the manual page', async () => {
  for (const [words, said] of [[[], '`hub` wants a verb'], [['fly'], "`hub` has no verb 'fly'"], [['certificate'], '`hub certificate` wants a verb'],
    [['device-twin', 'shew', 'd'], "`hub device-twin` has no verb 'shew'"]]) {
    const r = await b.cli('hub', ...words);
    assert.equal(r.code, 2);
    assert.ok(r.stderr.startsWith(`berth: ${said}; \`berth hub`), r.stderr);
  }
  assert.match((await b.cli('--man')).stdout, /^As: berth hub device\\-identity create thermostat\n\.br\nor: /m);
});

test('messages wait for a device, which completes, rejects or gives them back over HTTPS', async () => {
  const key = (await hub('device-identity', 'create', 'mailbox')).authentication.symmetricKey.primaryKey;
  const receive = (...args) => b.json('device', 'c2d-message', 'receive', 'mailbox', ...args);
  assert.equal(await receive(), null);
  assert.match(await b.ok('device', 'c2d-message', 'receive', 'mailbox'), /^No message waits/);

  await hub('c2d-message', 'send', 'mailbox', '--data', 'one', '--mid', '1', '--ack', 'full', '--ct', 'text/plain', '--ce', 'utf-8', '--cid', 'c', '--uid', 'u',
    '--expiry', '+600', '-p', 'a=1;b=');
  const one = await receive('--symmetric-key', key);
  assert.deepEqual([one.messageId, one.body, one.correlationId, one.userId, one.contentType, one.contentEncoding, one.ack, one.deliveryCount],
    ['1', 'one', 'c', 'u', 'text/plain', 'utf-8', 'full', 1]);
  assert.equal(one.properties.a, '1');
  assert.ok(Math.abs(Date.parse(one.expiry) - Date.now() - 600000) < 60000, one.expiry);
  assert.equal(await receive(), null); // locked
  await b.ok('device', 'c2d-message', 'abandon', 'mailbox', '--etag', one.etag);
  const again = await receive('--reject');
  assert.deepEqual([again.messageId, again.deliveryCount], ['1', 2]);

  const two = file('two.bin', Buffer.from([0xff, 0x00]));
  const waiting = b.cli('hub', 'c2d-message', 'send', 'mailbox', '--data-file-path', two, '--mid', '2', '--wait', '--output', 'json');
  const got = await until('the message', () => receive('--complete'));
  assert.deepEqual(got.bodyBase64, '/wA=');
  const outcome = await waiting;
  assert.deepEqual([outcome.code, JSON.parse(outcome.stdout).outcome], [0, 'Success'], outcome.stderr);

  // What --wait passed over is still there for who asks, unless it was in one batch with what it waited for: then it is told.
  if (!/^berth: told together with it: .* mailbox  Rejected  1$/m.test(outcome.stderr)) {
    const r = await b.cli('hub', 'monitor-feedback', '--count', '1', '--timeout', '30', '--output', 'json');
    assert.equal(r.code, 0, r.stderr + outcome.stderr);
    const record = JSON.parse(r.stdout);
    assert.deepEqual([record.originalMessageId, record.deviceId, record.statusCode], ['1', 'mailbox', 'Rejected']);
  }

  const rejected = b.cli('hub', 'c2d-message', 'send', 'mailbox', '--data', 'three', '--mid', '3', '--wait');
  const three = await until('the message', () => receive());
  await b.ok('device', 'c2d-message', 'reject', 'mailbox', '-e', three.etag);
  const said = await rejected;
  assert.equal(said.code, 7, said.stderr);
  assert.match(said.stdout, /outcome +Rejected/);

  const four = await hub('c2d-message', 'send', 'mailbox', '--data', 'four');
  assert.match(four.messageId, /^[0-9a-f]{8}-/);
  const taken = await receive();
  await b.ok('device', 'c2d-message', 'complete', 'mailbox', '-e', taken.etag);
  assert.notEqual((await b.cli('device', 'c2d-message', 'complete', 'mailbox', '-e', taken.etag)).code, 0);
  assert.equal((await b.cli('device', 'c2d-message', 'receive', 'mailbox', '--complete', '--reject')).code, 2);
  assert.equal((await b.cli('device', 'c2d-message', 'receive', 'mailbox', '--symmetric-key', crypto.randomBytes(32).toString('base64'))).code, 4);
});

test('messages are purged, and the sender told; a message that nobody takes', async () => {
  await hub('device-identity', 'create', 'heap');
  for (const n of ['1', '2']) await hub('c2d-message', 'send', 'heap', '--data', n, '--mid', `p${n}`, '--ack', 'negative');
  const purged = await hub('c2d-message', 'purge', 'heap', '--yes');
  assert.deepEqual([purged.deviceId, purged.totalMessagesPurged], ['heap', 2]);
  const lines = (await b.ok('hub', 'monitor-feedback', '--device-id', 'heap', '--count', '2', '--timeout', '30')).trim().split('\n');
  assert.deepEqual(lines.map((l) => l.split(/ {2,}/).slice(1)), [['heap', 'Purged', 'p1'], ['heap', 'Purged', 'p2']]);
  await fails(1, /0 of 1 records came within 1 s/, 'monitor-feedback', '--count', '1', '--timeout', '1');
  const late = await b.cli('hub', 'c2d-message', 'send', 'heap', '--data', 'x', '--wait', '--timeout', '1');
  assert.equal(late.code, 1);
  assert.match(late.stderr, /is sent, but nothing is known of it yet/);

  await fails(3, /\(DeviceNotFound\)/, 'c2d-message', 'send', 'nobody', '--data', 'x');
  await fails(3, /\(DeviceNotFound\)/, 'c2d-message', 'purge', 'nobody', '--yes');
  await fails(2, /say what to send/, 'c2d-message', 'send', 'heap');
  await fails(2, /--properties wants 'name=value/, 'c2d-message', 'send', 'heap', '--data', 'x', '--properties', 'a');
  await fails(2, /in the past/, 'c2d-message', 'send', 'heap', '--data', 'x', '--expiry', '2020-01-01T00:00:00Z');
  await fails(2, /--wait wants --ack full/, 'c2d-message', 'send', 'heap', '--data', 'x', '--wait', '--ack', 'positive');
  await fails(1, /MessageTooLarge/, 'c2d-message', 'send', 'heap', '--data-file-path', file('large', 'x'.repeat(65537)));
});

test('queries: twins, columns of any kind, pages, counts', async () => {
  const n = 1250; // more than a page
  const id = (i) => `q-${String(i).padStart(4, '0')}`;
  const rows = Array.from({ length: n }, (_, i) => JSON.stringify({ id: id(i), tags: { shelf: i % 2 ? 'odd' : 'even', at: { row: i } } }));
  await b.ok('hub', 'device-identity', 'import', file('shelves.jsonl', rows.join('\n')));
  const even = await hub('query', "SELECT * FROM devices WHERE tags.shelf = 'even'");
  assert.equal(even.length, 625);
  assert.equal(even[0].tags.shelf, 'even');
  assert.equal((await hub('query', '--query-command', "SELECT deviceId FROM devices WHERE tags.shelf = 'odd'", '--top', '5')).length, 5);
  assert.deepEqual(await hub('query', '-q', "SELECT COUNT() AS n FROM devices WHERE tags.shelf = 'odd'"), [{ n: 625 }]);
  const all = (await b.ok('hub', 'query', 'SELECT deviceId FROM devices WHERE is_defined(tags.shelf)')).trim().split('\n');
  assert.deepEqual([all.shift(), new Set(all).size, all.length], ['deviceId', n, n]);
  assert.equal((await hub('query', 'SELECT * FROM devices WHERE is_defined(tags.shelf)', '--top', '1100')).length, 1100);
  const twins = await b.ok('hub', 'query', "SELECT * FROM devices WHERE deviceId = 'q-0003'");
  assert.match(twins, /^DEVICE +STATUS +CONNECTION +AUTH +VERSION +TAGS\nq-0003 +enabled +Disconnected +sas +\d+ +\{"shelf":"odd"/);
  const at = await b.ok('hub', 'query', "SELECT deviceId, tags.at AS at FROM devices WHERE deviceId = 'q-0003'");
  assert.match(at, /^deviceId +at\.row\nq-0003 +3\n$/);
  assert.equal(await b.ok('hub', 'query', "SELECT * FROM devices WHERE deviceId = 'none'"), 'No rows.\n');
  assert.deepEqual(await hub('query', "SELECT * FROM devices WHERE deviceId = 'none'"), []);
  await fails(1, /ArgumentInvalid/, 'query', 'SELECT * FROM devices WHERE');
  await fails(2, /QUERY is missing/, 'query');
});

test('a login with a wrong key', async () => {
  const wrong = b.dev.hubs[0].connectionString.replace(/SharedAccessKey=.*/, `SharedAccessKey=${crypto.randomBytes(32).toString('base64')}`);
  for (const command of [['device-identity', 'list'], ['query', 'SELECT * FROM devices'], ['c2d-message', 'send', 'd', '--data', 'x'],
    ['invoke-device-method', 'd', '--mn', 'm'], ['monitor-feedback', '--timeout', '5'], ['c2d-message', 'purge', 'd', '--yes']]) {
    const r = await b.cli('hub', ...command, '--hub-login', wrong);
    assert.equal(r.code, 4, `${command.join(' ')}: ${r.stderr}`);
    assert.match(r.stderr, /IotHubUnauthorized/);
  }
});
