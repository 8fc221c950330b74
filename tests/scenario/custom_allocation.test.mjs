// Rules: a script on the enrollment sends each device to its hub, by ID, payload and certificate; one that fails fails the registration
// in words for the device and others for the operator; a recorded request is asked again of a changed rule, and of a webhook. Webhooks: what they
// are sent, what becomes of their answers, and who waits for a slow one.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Berthd, Pki, deriveKey, deviceToken, sas, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const API = 'api-version=2021-10-01', HUB_API = 'api-version=2021-04-12', A = 'localhost', B = 'b.localhost';
const KEY = crypto.randomBytes(64).toString('base64');
let b, hubB, rules, hook;

const write = (name, text) => { const file = path.join(rules, name); fs.writeFileSync(file, text); return file; };
const put = (definition, more = {}) => b.service('PUT', `/enrollmentGroups/g?${API}`, { headers: { 'If-Match': '*' }, body: {
  enrollmentGroupId: 'g', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: KEY, secondaryKey: KEY } }, allocationPolicy: 'custom', customAllocationDefinition: definition, ...more } });
async function register(id, payload) {
  const m = await b.mqtt();
  const password = deviceToken(`${b.dev.idScope}/registrations/${id}`, deriveKey(KEY, id), { skn: 'registration' });
  const { body } = await provision(m, { idScope: b.dev.idScope, registrationId: id, password, payload });
  m.end();
  return body;
}
const decision = (id) => b.json('explain', id);
const twinOnB = async (id) => (await b.request('GET', `/twins/${id}?${HUB_API}`, { host: B, headers: { Authorization: sas(hubB) } })).json;

// `answer` of a request gives status and body, or promises them.
async function startHook() {
  const { certFile, key, cert } = await new Pki().make('localhost', { eku: 'serverAuth', san: 'DNS:localhost' });
  const h = { caFile: certFile, asked: [], answer: undefined };
  h.server = https.createServer({ key, cert }, (req, res) => {
    let text = '';
    req.on('data', (d) => { text += d; }).on('end', async () => {
      h.asked.push({ url: req.url, body: JSON.parse(text) });
      const [status, body] = await h.answer();
      res.writeHead(status, { 'Content-Type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  await new Promise((r) => { h.server.listen(0, '127.0.0.1', r); });
  h.url = `https://localhost:${h.server.address().port}`;
  return h;
}

const RULE = `
local sites = { north = '${A}', south = '${B}' }
function allocate(request)
  local device = request.deviceRuntimeContext
  log('asked of', device.registrationId)
  if device.registrationId:match('^line%-%d+$') then
    return { hub = '${B}', initialTwin = { tags = { kind = 'line' } }, payload = { slot = hash(device.registrationId) % 4 } }
  end
  local site = device.payload and device.payload.site
  if site then return { hub = sites[site] or error('no such site: ' .. tostring(site)) } end
  local least
  for _, hub in ipairs(request.hubs) do
    if not least or hub.devices < least.devices then least = hub end
  end
  return least
end`;

before(async () => {
  hook = await startHook();
  b = await Berthd.start({ args: ['--elsewhere-ca-file', hook.caFile] });
  rules = b.dir;
  hubB = (await b.json('hub', 'create', 'b', '--host-name', B)).connectionString;
  await b.ok('enrollment-group', 'create', 'g', '--attestation-type', 'symmetrickey', '--primary-key', KEY, '--secondary-key', KEY,
    '--allocation-policy', 'custom', '--allocation-rule', write('rule.lua', RULE));
});
after(async () => { hook?.server.closeAllConnections(); hook?.server.close(); await b?.stop(); });

test('a rule sends devices where their IDs, payloads and the hubs\' loads say', async () => {
  const line = await register('line-7');
  assert.deepEqual([line.status, line.registrationState.assignedHub], ['assigned', B]);
  assert.ok(Number.isInteger(line.registrationState.payload.slot));
  assert.equal((await twinOnB('line-7')).tags.kind, 'line');
  assert.equal((await register('n', { site: 'north' })).registrationState.assignedHub, A);
  assert.equal((await register('s', { site: 'south' })).registrationState.assignedHub, B);
  assert.equal((await register('l1')).registrationState.assignedHub, A); // 1 to 2
});

test('a rule that fails fails the registration: the device learns that, the operator why', async () => {
  const { status, registrationState: r } = await register('lost', { site: 'east' });
  assert.deepEqual([status, r.status, r.errorCode, r.errorMessage], ['failed', 'failed', 400207, "Custom allocation failed: the enrollment's rule has an error."]);
  const text = (await b.cli('explain', 'lost')).stdout;
  assert.match(text, /custom-allocation-failed/);
  const d = await decision('lost');
  assert.match(d.allocation.error, /no such site: east/);
  assert.deepEqual(d.allocation.log, ['asked of lost']);
  const shown = await b.ok('explain', d.trackingId);
  assert.match(shown, /Allocated by a rule/);
  assert.match(shown, /no such site: east/);
});

test('a rule that does not compile is refused with its line; so is one beside a webhook', async () => {
  for (const [definition, says] of [[{ rule: 'x = 1\nreturn (' }, /does not compile: rule:2:/], [{ rule: 'return 1', webhookUrl: 'https://x' }, /both/], [{ webhookUrl: 'http://x', apiVersion: '2021-10-01' }, /https:/]]) {
    const r = await put(definition);
    assert.equal(r.status, 400, r.text);
    assert.match(r.json.message ?? r.text, says);
  }
});

test('a rule that never ends holds up nobody else for long', async () => {
  const r = await put({ rule: "if request.deviceRuntimeContext.registrationId:match('^bad') then while true do end end return request.linkedHubs[1]" });
  assert.equal(r.status, 200, r.text);
  const all = await Promise.all([...Array(20)].map((_, i) => register(i % 2 ? `bad${i}` : `good${i}`)));
  all.forEach((body, i) => assert.equal(body.status, i % 2 ? 'failed' : 'assigned', JSON.stringify(body)));
});

test('allocation test asks again, and changes nothing', async () => {
  const { trackingId, allocation } = await decision('lost');
  const changed = write('changed.lua', RULE.replace("south = ", `east = '${B}', south = `));
  const now = await b.json('allocation', 'test', trackingId, '--rule', changed, '--expect', B);
  assert.deepEqual([now.recorded.error, now.now.hub, now.sameHub], [allocation.error, B, false]);
  const same = await b.cli('allocation', 'test', trackingId, '--rule', path.join(rules, 'rule.lua'));
  assert.equal(same.code, 1, same.stdout);
  assert.match(same.stdout, /no such site: east/);
  assert.equal((await b.cli('allocation', 'test', trackingId, '--rule', changed, '--expect', A)).code, 1);
  assert.equal((await register('lost', { site: 'east' })).status, 'assigned'); // by the rule of the test before
  const file = write('request.json', JSON.stringify(allocation.request));
  assert.equal((await b.json('allocation', 'test', '--request', file, '--rule', changed)).now.hub, B);
  assert.equal((await b.cli('allocation', 'test')).code, 2);
  const plain = await decision('line-7');
  assert.equal((await b.json('allocation', 'test', plain.trackingId, '--rule', path.join(rules, 'rule.lua'))).sameHub, true);
});

test('a webhook is asked, and the registration waits for it', async () => {
  await put({ webhookUrl: `${hook.url}/api?code=k`, apiVersion: '2021-10-01' });
  hook.answer = () => [200, { iotHubHostName: B, initialTwin: { tags: { by: 'hook' } }, payload: { from: 'hook' } }];
  const body = await register('w1', { model: 3 });
  assert.deepEqual([body.status, body.registrationState.assignedHub, body.registrationState.payload], ['assigned', B, { from: 'hook' }]);
  assert.equal((await twinOnB('w1')).tags.by, 'hook');
  const { url, body: asked } = hook.asked.at(-1);
  assert.equal(url, '/api?code=k');
  assert.deepEqual(Object.keys(asked), ['enrollmentGroup', 'deviceRuntimeContext', 'linkedHubs']);
  assert.deepEqual(asked.deviceRuntimeContext, { registrationId: 'w1', symmetricKey: {}, payload: { model: 3 } });
  assert.deepEqual(asked.linkedHubs.sort(), [B, A]);
  assert.deepEqual(asked.enrollmentGroup.attestation, { type: 'symmetricKey' });
  assert.equal(asked.enrollmentGroup.customAllocationDefinition.webhookUrl, `${hook.url}/api?****`);
  const d = await decision('w1');
  assert.deepEqual([d.allocation.kind, d.allocation.hub, d.allocation.url, d.allocation.request], ['webhook', B, `${hook.url}/api`, asked]);
  assert.match(await b.ok('explain', d.trackingId), /Allocated by a webhook/);
});

test('a webhook that fails fails the registration, in Azure\'s words; one that recovers does not', async () => {
  for (const [answer, says] of [
    [[400, 'no'], 'Custom allocation failed with status code: 400'],
    [[200, { iotHubHostName: 'elsewhere.example' }], 'Custom allocation failed: elsewhere.example is not one of the linkedHubs.'],
    [[200, 'OK'], 'Custom allocation failed: the answer is not a JSON object.']]) {
    hook.answer = () => answer;
    const { status, registrationState: r } = await register('w2');
    assert.deepEqual([status, r.errorCode, r.errorMessage], ['failed', 400207, says]);
  }
  let asked = 0;
  hook.answer = () => (++asked === 1 ? [500, {}] : [200, { iotHubHostName: A }]);
  const body = await register('w3');
  assert.deepEqual([body.status, body.registrationState.assignedHub, asked], ['assigned', A, 2]);
});

test('a webhook that is slow holds up its own devices alone', async () => {
  let release;
  const held = new Promise((r) => { release = r; });
  hook.answer = async () => { await held; return [200, { iotHubHostName: B }]; };
  const slow = register('w4');
  await until('the webhook is asked', () => hook.asked.at(-1)?.body.deviceRuntimeContext.registrationId === 'w4');
  assert.ok(await b.provisionByKey('other'));
  release();
  assert.equal((await slow).status, 'assigned');
});

test('allocation test asks a webhook', async () => {
  const { trackingId } = await decision('lost');
  const ask = (...args) => b.cli('allocation', 'test', trackingId, '--webhook-url', `${hook.url}/api?code=k`, '--webhook-ca-file', hook.caFile, ...args);
  hook.answer = () => [200, { iotHubHostName: B }];
  assert.equal(JSON.parse((await ask('--output', 'json')).stdout).now.hub, B);
  assert.deepEqual([hook.asked.at(-1).url, hook.asked.at(-1).body.deviceRuntimeContext.registrationId], ['/api?code=k', 'lost']);
  hook.answer = () => [500, {}];
  const failed = await ask();
  assert.equal(failed.code, 1);
  assert.match(failed.stdout, /Custom allocation failed with status code: 500/);
});

test('rules go through export and import', async () => {
  await put({ rule: 'return request.linkedHubs[1]\n-- "x", y' });
  const file = path.join(rules, 'groups.csv');
  await b.ok('enrollment-group', 'export', file, '--format', 'csv');
  assert.match(fs.readFileSync(file, 'utf8'), /allocationRule/);
  await b.ok('enrollment-group', 'import', file, '--mode', 'update');
  const shown = await b.json('enrollment-group', 'show', 'g');
  assert.equal(shown.customAllocationDefinition.rule, 'return request.linkedHubs[1]\n-- "x", y');
});
