// Nothing acknowledged is lost: a storm of registrations and telemetry, SIGKILL in the middle, restart, and every acknowledged
// registration, device and QoS 1 message is found. Several times, at different instants, on one growing store.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Berthd, Pki, devCa, sleep, until } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

const instants = [30, 150, 400, 900]; // ms after the first acknowledgements of both kinds
const newcomers = 25; // a round: devices that register, over and over
const talkers = 5; // devices that send, as fast as they are acknowledged
let b, pki;
const certificates = [];
const senders = [];
const acknowledged = { registrations: new Map(), messages: new Set() };

async function registerForEver(d, isOver) {
  while (!isOver()) {
    let m;
    try {
      m = await b.mqtt(d);
      const r = await provision(m, { idScope: b.dev.idScope, registrationId: d.cn });
      if (r.body?.status === 'assigned') acknowledged.registrations.set(d.cn, r.body.registrationState);
      m.end();
    } catch {
      m?.destroy();
      await sleep(1);
    }
  }
}

async function sendForEver(d, round, isOver) {
  let m;
  try {
    m = await b.mqtt(d);
    assert.equal(await m.connect({ clientId: d.cn, username: `localhost/${d.cn}/?api-version=2021-04-12` }), 0);
    for (let i = 0; !isOver(); i++) {
      const text = `${d.cn}/${round}/${i}`;
      await m.publish(`devices/${d.cn}/messages/events/`, text);
      acknowledged.messages.add(text);
    }
  } catch {
    m?.destroy(); // the server is gone
  }
}

before(async () => {
  b = await Berthd.start();
  pki = new Pki();
  for (let i = 0; i < newcomers * instants.length; i++) certificates.push(await pki.make(`storm-${i}`, { issuer: devCa(b) }));
  for (let i = 0; i < talkers; i++) {
    const d = await pki.make(`talker-${i}`, { issuer: devCa(b) });
    const m = await b.mqtt(d);
    assert.equal((await provision(m, { idScope: b.dev.idScope, registrationId: d.cn })).body.status, 'assigned');
    m.end();
    senders.push(d);
  }
});
after(async () => {
  pki?.remove();
  await b?.stop();
});

for (const [round, instant] of instants.entries()) {
  test(`SIGKILL ${instant} ms into the storm`, async () => {
    const had = { registrations: acknowledged.registrations.size, messages: acknowledged.messages.size };
    let over = false;
    const isOver = () => over;
    const storm = [...certificates.slice(newcomers * round, newcomers * (round + 1)).map((d) => registerForEver(d, isOver)),
      ...senders.map((d) => sendForEver(d, round, isOver))];
    await until('a storm', () => acknowledged.registrations.size > had.registrations && acknowledged.messages.size > had.messages, 60000);
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
    assert.deepEqual([...acknowledged.messages].filter((text) => !found.has(text)), [], 'lost');
    assert.equal(bodies.length, found.size, 'no message twice');
    for (const d of senders) {
      const numbers = bodies.filter((text) => text.startsWith(`${d.cn}/${round}/`)).map((text) => Number(text.split('/')[2]));
      assert.deepEqual(numbers, numbers.map((_, i) => i), 'in order, none missing');
    }
  });
}
