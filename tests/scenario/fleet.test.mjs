// A fleet at once: many devices register twice and talk, nothing fails, and afterwards nothing is left open. Under the sanitizers
// this is where loops, workers and writers meet.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { Berthd, until } from '../lib/berth.mjs';

const metric = (text, name) => Number(new RegExp(`^${name} ([0-9.e+]+)$`, 'm').exec(text)?.[1]);

test('300 devices, twice, with 20 messages each', async () => {
  const b = await Berthd.start({ args: ['--loops', '2', '--core-dumps', 'yes'] }); // or only root may look at its files
  const files = () => fs.readdirSync(`/proc/${b.child.pid}/fd`).length;
  const before = files();
  const r = await b.json('fleet', '--devices', '300', '--concurrency', '60', '--rounds', '2', '--messages', '20', '--timeout', '60');
  assert.equal(r.failed, 0, JSON.stringify(r));
  const registrations = await b.json('registration', 'list', 'dev');
  assert.equal(registrations.length, 300);
  assert.ok(registrations.every((x) => x.status === 'assigned'));
  const metrics = await until('all connections are closed', async () => {
    const { text } = await b.request('GET', '/metrics');
    return metric(text, 'berth_connections_open') <= 1 && text; // this request's own
  });
  assert.equal(metric(metrics, 'berth_telemetry_events_total'), 300 * 2 * 20);
  assert.equal(metric(metrics, 'berth_tasks_in_flight'), 1);
  await until('descriptors are given back', () => files() <= before + 12); // the store's read handles are made when needed
  await b.stop();
});

test('SIGTERM in the middle of a fleet: what was begun is finished in time', async () => {
  const b = await Berthd.start({ args: ['--loops', '2'] });
  const { text } = await b.request('GET', '/metrics');
  assert.equal(metric(text, 'berth_telemetry_events_total'), 0);
  const fleet = b.cli('fleet', '--devices', '60', '--concurrency', '60', '--rounds', '1000', '--messages', '20', '--timeout', '10');
  await until('a fleet', async () => {
    const page = await b.request('GET', '/metrics').catch(() => ({ text: '' }));
    return metric(page.text, 'berth_telemetry_events_total') > 500;
  }, 60000);
  const at = Date.now();
  assert.deepEqual(await b.kill('SIGTERM'), { code: 0, signal: null }, b.stderr.slice(-8000));
  assert.ok(Date.now() - at < 12000, 'within the drain limit and what it takes to close');
  assert.equal((await fleet).code, 1);
  fs.rmSync(b.dir, { recursive: true });
});

test('40 devices stay and send, then all come back at once: nothing is lost, and each one\'s messages are in order', async () => {
  const b = await Berthd.start();
  const r = await b.json('fleet', '--devices', '40', '--hold', '3', '--interval', '100', '--message-size', '20', '--timeout', '60');
  assert.equal(r.failed, 0, JSON.stringify(r));
  assert.equal(r.latencyMs.return.count, 40);
  assert.ok(r.messages >= 40, JSON.stringify(r));
  const text = await b.ok('hub', 'monitor-events', '--from', 'start', '--count', String(r.messages), '--timeout', '20', '--output', 'json');
  const next = {};
  for (const e of text.trim().split('\n').map(JSON.parse)) {
    next[e.deviceId] = (next[e.deviceId] ?? 0) + 1;
    assert.equal(parseInt(e.body, 10), next[e.deviceId], e.deviceId);
  }
  assert.equal(Object.values(next).reduce((a, n) => a + n), r.messages);
  for (const wrong of [['--interval', '100'], ['--hold', '3', '--rounds', '2'], ['--hold', '3', '--keep-alive', '1', '--interval', '2000']]) {
    assert.equal((await b.cli('fleet', '--devices', '1', ...wrong)).code, 2, wrong.join(' '));
  }
  await b.stop();
});
