// Nothing acknowledged is lost: a storm of registrations and telemetry, SIGKILL in the middle, restart, and every acknowledged
// registration, device and QoS 1 message is found. Several times, at different instants, on one growing store.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd, Pki, devCa, sleep } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const instants = [120, 300, 550, 900]; // ms into the storm
const fleet = 40;
let b, pki;
const certificates = [];
const acknowledged = { registrations: new Map(), messages: new Set() };

// One device, over and over: registers, connects, sends, until the server dies.
async function life(d, round, isOver) {
  for (let n = 0; !isOver(); n++) {
    let m;
    try {
      m = await b.mqtt(d);
      const r = await provision(m, { idScope: b.dev.idScope, registrationId: d.cn });
      if (r.body?.status === 'assigned') acknowledged.registrations.set(d.cn, r.body.registrationState);
      m.end();
      m = await b.mqtt(d);
      if (await m.connect({ clientId: d.cn, username: `localhost/${d.cn}/?api-version=2021-04-12` }) !== 0) continue;
      for (let i = 0; i < 20 && !isOver(); i++) {
        const text = `${d.cn}/${round}/${n}/${i}`;
        await m.publish(`devices/${d.cn}/messages/events/`, text);
        acknowledged.messages.add(text);
      }
      m.end();
    } catch {
      m?.destroy();
    }
  }
}

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  for (let i = 0; i < fleet * instants.length; i++) certificates.push(await pki.make(`storm-${i}`, { issuer: devCa(b) }));
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

for (const [round, instant] of instants.entries()) {
  test(`SIGKILL ${instant} ms into the storm`, async () => {
    let over = false;
    // new devices each round, and all those of the rounds before again
    const storm = certificates.slice(0, fleet * (round + 1)).slice(-fleet * 2).map((d) => life(d, round, () => over));
    await sleep(instant);
    await b.kill('SIGKILL');
    over = true;
    await Promise.all(storm);
    await b.restart();

    for (const [id, state] of acknowledged.registrations) {
      const r = await b.service('GET', `/registrations/${id}?api-version=2021-10-01`);
      assert.equal(r.status, 200, `registration ${id}`);
      assert.equal(r.json.status, 'assigned');
      assert.equal(r.json.assignedHub, state.assignedHub);
      assert.equal((await b.hub('GET', `/devices/${id}?api-version=2021-04-12`)).status, 200, `device ${id}`);
    }
    const stored = await b.ok('hub', 'monitor-events', '--from', 'start', '--timeout', '3', '--output', 'json');
    const bodies = stored.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line).body);
    const found = new Set(bodies);
    const lost = [...acknowledged.messages].filter((text) => !found.has(text));
    assert.deepEqual(lost, []);
    assert.equal(bodies.length, found.size, 'no message twice');
  });
}

test('the storms were storms', () => {
  assert.ok(acknowledged.registrations.size >= fleet, `${acknowledged.registrations.size} registrations`);
  assert.ok(acknowledged.messages.size >= 100, `${acknowledged.messages.size} messages`);
});
