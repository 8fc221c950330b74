// Start, 100 registrations, stop: valgrind finds no error and nothing lost.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Berthd, Pki, devCa, tempDir } from '../lib/berth.mjs';
import { provision } from '../lib/mqtt.mjs';

test('100 registrations under valgrind', { timeout: 280000 }, async () => {
  const logs = tempDir();
  const b = await Berthd.start({ readyWithin: 120000, args: ['--loops', '1', '--workers', '2'],
    wrapper: ['valgrind', '--quiet', '--leak-check=full', '--errors-for-leak-kinds=definite,indirect,possible', '--show-leak-kinds=definite,indirect,possible',
      '--num-callers=30', '--error-exitcode=99', `--log-file=${path.join(logs, '%p.log')}`, `--suppressions=${new URL('suppressions.txt', import.meta.url).pathname}`] });
  const pki = new Pki();
  const devices = [];
  for (let i = 0; i < 10; i++) devices.push(await pki.make(`v-${i}`, { issuer: devCa(b) }));
  for (let i = 0; i < 100; i++) {
    const d = devices[i % devices.length];
    const m = await b.mqtt(d);
    const r = await provision(m, { idScope: b.dev.idScope, registrationId: d.cn });
    assert.equal(r.body.status, 'assigned');
    m.end();
    await m.closed;
  }
  const { code } = await b.kill('SIGTERM');
  const report = fs.readdirSync(logs).map((f) => fs.readFileSync(path.join(logs, f), 'utf8')).join('');
  assert.equal(code, 0, report || b.stderr);
  assert.equal(report, '');
  pki.remove();
  fs.rmSync(b.dir, { recursive: true });
  fs.rmSync(logs, { recursive: true });
});
