// Many storm a server with one worker, few want to register: whose turn it is goes by tenant, then by group, whatever the number of
// connections and addresses. What a request waited for is counted in answers that others got meanwhile, not in time.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, test } from 'node:test';
import { Berthd, deriveKey, deviceToken, sas } from '../lib/berth.mjs';
import { publishPacket } from '../lib/mqtt.mjs';

const API = 'api-version=2021-10-01';
const STORM = 160, ADDRESSES = 16; // connections, and where they come from
const FEW = 9;
const MOST = STORM / 4; // answers to others while one waits; first come, first served, it would be about STORM
let b, stormy, calm;

const ask = (t, method, target, body) => b.request(method, target, { host: t.host, body, headers: { Authorization: sas(t.login, { resource: t.host }) } });
const ok = async (promise) => {
  const r = await promise;
  assert.ok(r.status < 300, `${r.status} ${r.text}`);
  return r.json;
};

async function makeTenant(name, groups) {
  const host = `${name}.localhost`;
  const made = await ok(b.request('PUT', `/berth/v1/instances/${name}`, {
    body: { properties: { serviceOperationsHostName: host } }, headers: { Authorization: sas(b.dev.serverConnectionString) },
  }));
  const t = { host, login: made.connectionString, idScope: made.properties.idScope, keys: {} };
  await ok(ask(t, 'PUT', '/berth/v1/hubs/hub', { hostName: `hub.${host}` }));
  for (const id of groups) {
    t.keys[id] = crypto.randomBytes(64).toString('base64');
    await ok(ask(t, 'PUT', `/enrollmentGroups/${id}?${API}`, { enrollmentGroupId: id, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: t.keys[id], secondaryKey: t.keys[id] } } }));
  }
  return t;
}

const password = (t, id, key) => deviceToken(`${t.idScope}/registrations/${id}`, deriveKey(key, id), { skn: 'registration' });

async function connect(t, id, key, localAddress) {
  const m = await b.mqtt({}, { localAddress });
  assert.equal(await m.connect({ clientId: id, username: `${t.idScope}/registrations/${id}/api-version=2019-03-31`, password: password(t, id, key) }), 0);
  await m.subscribe('$dps/registrations/res/#', 0);
  return m;
}

const REGISTER = publishPacket('$dps/registrations/PUT/iotdps-register/?$rid=r', '');
const poll = (operationId) => publishPacket(`$dps/registrations/GET/iotdps-get-operationstatus/?$rid=p&operationId=${operationId}`, '');
const statusOf = (p) => Number(p.topic.split('/')[3]);

// STORM devices that register without end, as fast as they are answered. Resolves once each had two answers.
async function storm(t, key, status) {
  const s = { answers: 0, odd: [], isOver: false };
  const turn = async (m) => {
    while (!s.isOver) {
      m.send(REGISTER);
      const p = await m.next('publish', 60000);
      s.answers++;
      if (statusOf(p) !== status) s.odd.push(`${p.topic} ${p.payload}`);
    }
  };
  s.devices = [];
  for (let i = 0; i < STORM; i += ADDRESSES) {
    s.devices.push(...await Promise.all(Array.from({ length: ADDRESSES }, (_, k) => connect(t, `storm-${i + k}`, key, `127.0.0.${2 + k}`))));
  }
  s.turns = s.devices.map((m) => turn(m));
  while (s.answers < 2 * STORM) await new Promise((r) => setTimeout(r, 10));
  s.end = async () => {
    s.isOver = true;
    await Promise.all(s.turns);
    for (const m of s.devices) m.end();
    assert.deepEqual(s.odd, []);
  };
  return s;
}

// FEW devices register one after the other; resolves to how many answers the storm got while each of their requests waited.
async function registerFew(t, prefix, key, s) {
  const waits = { register: [], poll: [] };
  const counted = async (what, request) => {
    const before = s.answers;
    const answer = await request();
    waits[what].push(s.answers - before);
    return answer;
  };
  for (let i = 0; i < FEW; i++) {
    const id = `${prefix}-${i}`;
    const m = await connect(t, id, key);
    const answer = (what, bytes) => counted(what, () => { m.send(bytes); return m.next('publish', 60000); });
    const registered = await answer('register', REGISTER);
    assert.equal(statusOf(registered), 202, registered.payload);
    const polled = await answer('poll', poll(JSON.parse(registered.payload).operationId));
    assert.equal(JSON.parse(polled.payload).status, 'assigned');
    m.end();
  }
  const id = `${prefix}-https`, at = `/${t.idScope}/registrations/${id}`, headers = { Authorization: password(t, id, key) };
  const registered = await b.request('PUT', `${at}/register?api-version=2019-03-31`, { headers, body: { registrationId: id } });
  assert.equal(registered.status, 202, registered.text);
  assert.equal(registered.rawHeaders.filter((h) => /^(retry-after|location|content-type)$/i.test(h)).length, 3);
  const polled = await b.request('GET', `${at}/operations/${registered.json.operationId}?api-version=2019-03-31`, { headers });
  assert.deepEqual([polled.status, polled.json.status], [200, 'assigned']);
  return waits;
}

async function counter(name) {
  const { text } = await b.request('GET', '/metrics');
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)[1]);
}

async function survives(t, prefix, key, s) {
  const answers = s.answers, putBack = await counter('berth_requests_put_back_total');
  try {
    const few = await registerFew(t, prefix, key, s);
    for (const [what, waits] of Object.entries(few)) {
      waits.sort((x, y) => x - y);
      assert.ok(waits[FEW >> 1] <= MOST, `while one ${what} waited, others got ${waits} answers`);
    }
    assert.ok(s.answers > answers, 'the storm goes on');
    assert.ok(await counter('berth_requests_put_back_total') > putBack);
    assert.ok(await counter('berth_requests_waiting\\{lane="scope"\\}') + await counter('berth_requests_waiting\\{lane="door"\\}') + await counter('berth_requests_waiting\\{lane="strangers"\\}') > 0);
  } finally {
    await s.end();
  }
}

before(async () => {
  b = await Berthd.start({ args: ['--workers', '1', '--loops', '1'] });
  stormy = await makeTenant('stormy', ['one', 'other']);
  calm = await makeTenant('calm', ['group']);
});
after(async () => { await b?.stop(); });

test('one tenant\'s storm does not starve another', { timeout: 60000 }, async () => {
  await survives(calm, 'tenant', calm.keys.group, await storm(stormy, stormy.keys.one, 202));
});

test('nor one group\'s storm another group of its tenant', { timeout: 60000 }, async () => {
  await survives(stormy, 'group', stormy.keys.other, await storm(stormy, stormy.keys.one, 202));
});

test('nor do strangers, who know the ID scope and have no key, the tenant whose it is', { timeout: 60000 }, async () => {
  await survives(calm, 'known', calm.keys.group, await storm(calm, crypto.randomBytes(64).toString('base64'), 401));
});
