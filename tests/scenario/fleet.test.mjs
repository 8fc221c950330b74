// A fleet at once: many devices register twice and talk, nothing fails, and afterwards nothing is left open. Under the sanitizers
// this is where loops, workers and writers meet.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { Berthd, until } from '../lib/berth.mjs';

const metric = (text, name) => Number(new RegExp(`^${name} ([0-9.e+]+)$`, 'm').exec(text)?.[1]);

test('300 devices, twice, with 20 messages each', async () => {
  const b = await Berthd.start({ args: ['--loops', '2'] });
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
