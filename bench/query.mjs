// bench/query.mjs: what a query costs in a store of N individual enrollments, and in a hub of N devices. Started by bench/query, with BERTH_BIN.
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { Berthd, bin, deviceToken, sas } from '../tests/lib/berth.mjs';

const v = 'api-version=2021-10-01', hv = 'api-version=2021-04-12';
const sizes = process.argv.slice(2).map(Number);

// One connection that stays: no handshake is measured.
function connect(b, connectionString = b.dev.serviceConnectionString) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const authorization = sas(connectionString);
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

// Some devices that can connect, and their sessions.
async function connectDevices(b, c, n) {
  const key = Buffer.alloc(32, 7).toString('base64'), sessions = [];
  for (let i = 0; i < n; i++) {
    const id = `live-${String(i).padStart(4, '0')}`;
    const r = await c.ask('PUT', `/devices/${id}?${hv}`, { deviceId: id, authentication: { type: 'sas', symmetricKey: { primaryKey: key, secondaryKey: key } } });
    if (r.status !== 200) throw new Error(r.text);
    const m = await b.mqtt();
    await m.connect({ clientId: id, username: `localhost/${id}/?${hv}`, password: deviceToken(`localhost/devices/${id}`, key) });
    sessions.push(m);
  }
  return sessions;
}

async function runHub(n) {
  const b = await Berthd.start();
  const { dir } = b;
  const store = path.join(dir, 'berth.db');
  const host = /HostName=([^;]+)/.exec(b.dev.hubs[0].connectionString)[1].toLowerCase();
  await b.kill('SIGTERM');
  const start = Date.now(), before = fs.statSync(store).size;
  execFileSync(path.join(bin, 'query_fill'), [store, '--hub', host, '0', String(n)], { stdio: 'inherit' });
  const filled = (Date.now() - start) / 1000, bytes = fs.statSync(store).size - before;
  await b.restart();
  console.log(`${String(n).padStart(9)}  (hub filled in ${filled.toFixed(1)} s; ${(bytes / n).toFixed(0)} bytes a device, its index of three tags with it)`);
  const c = connect(b, b.dev.hubs[0].connectionString);
  const sessions = await connectDevices(b, c, 50);
  const ask = (text, headers) => c.ask('POST', `/devices/query?${hv}`, { query: `${text.replace(' WHERE', ' FROM devices WHERE')}${text.includes('WHERE') ? '' : ' FROM devices'}` }, headers);
  const middle = `device-${String(n >> 1).padStart(8, '0')}`;

  await measure(c, n, 'GET twin by ID', () => c.ask('GET', `/twins/${middle}?${hv}`));
  await measure(c, n, "WHERE deviceId = '…'", () => ask(`SELECT * WHERE deviceId = '${middle}'`));
  await measure(c, n, 'SELECT *, page of 100', () => ask('SELECT *'));
  await measure(c, n, 'SELECT deviceId, page of 100', () => ask('SELECT deviceId'));
  await measure(c, n, "WHERE status = 'disabled', page", () => ask("SELECT * WHERE status = 'disabled'"));
  await measure(c, n, "WHERE connectionState = 'Connected'", () => ask("SELECT * WHERE connectionState = 'Connected'"));
  await measure(c, n, "WHERE tags.site = 'rare'", () => ask("SELECT * WHERE tags.site = 'rare'"));
  await measure(c, n, "WHERE tags.site = 'plant-7', page (most)", () => ask("SELECT * WHERE tags.site = 'plant-7'"));
  await measure(c, n, "WHERE tags.line IN [3, 4] AND …up > 990, page", () => ask('SELECT * WHERE tags.line IN [3, 4] AND properties.reported.up > 990'));
  await measure(c, n, 'WHERE …reported.up = -1, one request (scan)', () => ask('SELECT * WHERE properties.reported.up = -1'), 10);
  await measure(c, n, 'COUNT()', () => ask('SELECT COUNT()'), 10);
  await measure(c, n, "COUNT() WHERE status = 'disabled'", () => ask("SELECT COUNT() WHERE status = 'disabled'"), 10);
  await measure(c, n, "COUNT() WHERE tags.line = 7", () => ask('SELECT COUNT() WHERE tags.line = 7'), 10);
  if (n < 100000) await measure(c, n, 'GROUP BY properties.reported.fw', () => c.ask('POST', `/devices/query?${hv}`, { query: 'SELECT properties.reported.fw, COUNT() FROM devices GROUP BY properties.reported.fw' }), 3);
  await measure(c, n, 'GROUP BY …fw of 90,000 IDs', () => c.ask('POST', `/devices/query?${hv}`, { query: "SELECT properties.reported.fw, COUNT() FROM devices WHERE deviceId < 'device-00090000' GROUP BY properties.reported.fw" }), 3);
  for (const m of sessions) m.end();
  c.close();
  await b.kill('SIGTERM');
  fs.rmSync(dir, { recursive: true, force: true });
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
for (const n of sizes) {
  await run(n);
  await runHub(n);
}
process.exit(0);
