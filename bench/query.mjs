// bench/query.mjs: what a query costs in a store of N individual enrollments. Started by bench/query, with BERTH_BIN.
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { Berthd, bin, sas } from '../tests/lib/berth.mjs';

const v = 'api-version=2021-10-01';
const sizes = process.argv.slice(2).map(Number);

// One connection that stays: no handshake is measured.
function connect(b) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const authorization = sas(b.dev.serviceConnectionString);
  return {
    close: () => agent.destroy(),
    ask: (method, target, body, headers = {}) => new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const r = https.request({
        agent, host: '127.0.0.1', port: b.httpsPort, servername: 'localhost', ca: b.ca, method, path: target,
        headers: { Host: 'localhost', Authorization: authorization,
          ...(text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }), ...headers },
      }, (answer) => {
        const parts = [];
        answer.on('data', (d) => parts.push(d));
        answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(parts).toString() }));
      });
      r.on('error', reject);
      r.end(text);
    }),
  };
}

const query = (c, text, headers) => c.ask('POST', `/enrollments/query?${v}`, { query: text }, headers);

async function measure(c, n, what, ask, times = 30) {
  const ms = [];
  let r;
  for (let i = 0; i < times; i++) {
    const start = process.hrtime.bigint();
    r = await ask();
    ms.push(Number(process.hrtime.bigint() - start) / 1e6);
    if (r.status !== 200) throw new Error(`${what}: ${r.status} ${r.text}`);
  }
  ms.sort((a, b) => a - b);
  const rows = r.text.startsWith('[{"count"') ? r.text : r.text.startsWith('[') ? `${JSON.parse(r.text).length} rows` : '1 row';
  const more = r.headers['x-ms-continuation'] ? ', more' : '';
  console.log(`${String(n).padStart(9)}  ${what.padEnd(46)} ${ms[ms.length >> 1].toFixed(2).padStart(9)} ${ms[Math.floor(ms.length * 0.95)].toFixed(2).padStart(9)}  ${rows}${more}`);
}

// The token in front of the last page of 100.
async function lastPage(c, n) {
  const text = 'SELECT *';
  let token;
  for (let left = n; left > 100;) {
    const count = Math.min(1000, left - 100);
    const r = await query(c, text, { 'x-ms-max-item-count': String(count), ...(token ? { 'x-ms-continuation': token } : {}) });
    token = r.headers['x-ms-continuation'];
    left -= JSON.parse(r.text).length;
  }
  return token;
}

async function run(n) {
  const b = await Berthd.start();
  const { dir } = b;
  const store = path.join(dir, 'berth.db');
  await b.kill('SIGTERM');
  let start = Date.now();
  execFileSync(path.join(bin, 'query_fill'), [store, b.dev.idScope, '0', String(n)], { stdio: 'inherit' });
  const filled = (Date.now() - start) / 1000;
  await b.restart();
  const bytes = fs.statSync(store).size;
  console.log(`${String(n).padStart(9)}  (filled in ${filled.toFixed(1)} s; ${(bytes / 1e6).toFixed(0)} MB, ${(bytes / n).toFixed(0)} bytes an enrollment)`);
  const c = connect(b);
  const middle = `device-${String(n >> 1).padStart(8, '0')}`;
  const last = { 'x-ms-continuation': await lastPage(c, n) };
  const time = new Date(1700000000000 + n - 50).toISOString();

  await measure(c, n, 'GET by ID', () => c.ask('GET', `/enrollments/${middle}?${v}`));
  await measure(c, n, "WHERE registrationId = '…'", () => query(c, `SELECT * WHERE registrationId = '${middle}'`));
  await measure(c, n, 'SELECT *, first page of 100', () => query(c, 'SELECT *'));
  await measure(c, n, 'SELECT *, last page of 100', () => query(c, 'SELECT *', last));
  await measure(c, n, 'SELECT registrationId, page of 100', () => query(c, 'SELECT registrationId'));
  await measure(c, n, "WHERE provisioningStatus = 'disabled', page", () => query(c, "SELECT * WHERE provisioningStatus = 'disabled'"));
  await measure(c, n, 'WHERE lastUpdatedDateTimeUtc >= (last 50)', () => query(c, `SELECT * WHERE lastUpdatedDateTimeUtc >= '${time}'`));
  await measure(c, n, "WHERE …tags.site = 'plant-7', page (most)", () => query(c, "SELECT * WHERE initialTwin.tags.site = 'plant-7'"));
  await measure(c, n, "WHERE …tags.site = 'rare', one request", () => query(c, "SELECT * WHERE initialTwin.tags.site = 'rare'"), 10);
  await measure(c, n, 'COUNT()', () => query(c, 'SELECT COUNT()'), 10);
  await measure(c, n, "COUNT() WHERE provisioningStatus = 'disabled'", () => query(c, "SELECT COUNT() WHERE provisioningStatus = 'disabled'"), 10);
  await measure(c, n, "COUNT() WHERE provisioningStatus = 'enabled'", () => query(c, "SELECT COUNT() WHERE provisioningStatus = 'enabled'"), 10);
  await measure(c, n, "COUNT() WHERE …tags.line = 7 AND 90,000 IDs", () => query(c, "SELECT COUNT() WHERE initialTwin.tags.line = 7 AND registrationId < 'device-00090000'"), 3);
  c.close();
  await b.kill('SIGTERM');
  fs.rmSync(dir, { recursive: true, force: true });
}

console.log('        N  request                                               p50 ms    p95 ms  answer');
for (const n of sizes) await run(n);
process.exit(0);
