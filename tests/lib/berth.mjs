// tests/lib/berth.mjs: starts and stops berthd for a test, runs the CLI against it, makes certificates. Each test has its own
// directory and ports; nothing is left behind, also when a test fails half way: what still runs when all are over is killed.
import { spawn, execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import crypto from 'node:crypto';
import { after } from 'node:test';
import { Mqtt, provision } from './mqtt.mjs';

const run = promisify(execFile);
export const bin = process.env.BERTH_BIN ?? path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../../build/bin');
export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

export async function until(what, test, within = 20000) {
  const end = Date.now() + within;
  for (;;) {
    const value = await test();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what}`);
    await sleep(20);
  }
}

// Below those that the system gives to connections going out: of these one may be taken again before berthd is there.
async function freePort() {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 22000);
    const listens = (host) => new Promise((resolve) => {
      const server = net.createServer().on('error', (e) => resolve(e.code !== 'EADDRINUSE'))
        .listen(port, host, () => server.close(() => resolve(true)));
    });
    if (await listens('127.0.0.1') && await listens('::1')) return port; // without IPv6 the second is never in use
  }
}

const children = new Set();
const dirs = new Set();
const leftBehindAfter = 15000; // ms for a file's own hooks, which come after the one below

function killAll() {
  for (const child of children) child.kill('SIGKILL');
}

after(() => { setTimeout(killAll, leftBehindAfter).unref(); }); // a server that runs would hold up the end of the process
process.on('exit', () => {
  killAll();
  for (const dir of dirs) {
    try { fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 }); } catch { /* a mount is its maker's */ }
  }
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

// A program of a test's own: does not outlive the tests either.
export function endWithTests(child) {
  children.add(child);
  child.on('exit', () => children.delete(child));
}

export function tempDir() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'berth-test-'));
  dirs.add(dir);
  return dir;
}

export class Berthd {
  // options: dir, mqttPort, httpsPort, args, wrapper (e.g. ['valgrind', …]); conf: a server without --dev, {file, ca}: its
  // berthd.conf, and what to trust its certificate by, which has the name localhost
  static async start(options = {}) {
    const b = new Berthd();
    b.ownsDir = options.dir === undefined;
    b.dir = options.dir ?? tempDir();
    b.mqttPort = options.mqttPort ?? await freePort();
    b.httpsPort = options.httpsPort ?? await freePort();
    b.args = options.args ?? [];
    b.wrapper = options.wrapper ?? [];
    b.conf = options.conf;
    await b.spawn(options.readyWithin);
    return b;
  }

  async spawn(readyWithin = 30000) {
    const what = this.conf ? ['-c', this.conf.file] : ['--dev', '--data', this.dir];
    const command = [...this.wrapper, path.join(bin, 'berthd'), ...what, '--mqtt-port', String(this.mqttPort),
      '--https-port', String(this.httpsPort), ...this.args];
    this.stderr = '';
    this.stdout = '';
    this.child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stderr.on('data', (d) => { this.stderr += d; });
    this.child.stdout.on('data', (d) => { this.stdout += d; });
    const { child } = this;
    children.add(child);
    this.exited = new Promise((resolve) => this.child.on('exit', (code, signal) => {
      children.delete(child);
      this.exitCode = code;
      resolve({ code, signal });
    }));
    let gone = false;
    this.exited.then(() => { gone = true; });
    try {
      await until('berthd is ready', async () => {
        if (gone) throw new Error(`berthd ended (${this.exitCode})\n${this.stdout}${this.stderr}`);
        if (this.conf) this.ca = this.conf.ca;
        else {
          try { this.readDev(); } catch (e) { if (e.code === 'ENOENT') return false; throw e; } // or it was the last one's, taken away
        }
        return this.request('GET', '/healthz').then((r) => r.status === 200, () => false);
      }, readyWithin);
    } catch (e) {
      this.child.kill('SIGKILL');
      throw e;
    }
  }

  readDev() {
    this.dev = JSON.parse(fs.readFileSync(path.join(this.dir, 'dev.json')));
    this.ca = fs.readFileSync(this.dev.serverCaFile);
  }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    return this.exited;
  }

  // SIGTERM; the exit code must be 0, else the log is shown.
  async stop() {
    const { code, signal } = await this.kill('SIGTERM');
    if (this.ownsDir) fs.rmSync(this.dir, { recursive: true, force: true });
    if (code !== 0) throw new Error(`berthd ended with ${code ?? signal}\n${this.stderr.slice(-8000)}`);
  }

  async restart() { await this.spawn(); }

  // The CLI. Resolves to {code, stdout, stderr}; never rejects.
  async cli(...args) {
    try {
      const { stdout, stderr } = await run(path.join(bin, 'berth'), args, { env: { ...process.env, BERTH_DEV: this.dir }, maxBuffer: 64 << 20 });
      return { code: 0, stdout, stderr };
    } catch (e) {
      return { code: e.code, stdout: e.stdout ?? '', stderr: e.stderr ?? String(e) };
    }
  }

  async ok(...args) {
    const r = await this.cli(...args);
    if (r.code !== 0) throw new Error(`berth ${args.join(' ')}: ${r.code}\n${r.stdout}${r.stderr}`);
    return r.stdout;
  }

  async json(...args) { return JSON.parse(await this.ok(...args, '--output', 'json')); }

  mqtt(device = {}, options = {}) {
    return Mqtt.open({ port: this.mqttPort, ca: this.ca, cert: device.chain, key: device.key, ...options });
  }

  // A session of a device at the hub, by its certificate unless there is a password among the options of CONNECT.
  async session(device, clientId, options = {}) {
    const m = await this.mqtt(device);
    const code = await m.connect({ clientId, username: `localhost/${clientId}/?api-version=2021-04-12&DeviceClientType=test`, ...options });
    if (code !== 0) throw new Error(`${clientId}: CONNACK ${code}`);
    return m;
  }

  // Provisions a device by the key that is derived for it in the group of --dev; resolves to the key.
  async provisionByKey(registrationId) {
    const key = deriveKey(this.dev.groups.symmetricKey.primaryKey, registrationId);
    const m = await this.mqtt();
    const password = deviceToken(`${this.dev.idScope}/registrations/${registrationId}`, key, { skn: 'registration' });
    const { body } = await provision(m, { idScope: this.dev.idScope, registrationId, password });
    if (body?.status !== 'assigned') throw new Error(`${registrationId}: ${JSON.stringify(body)}`);
    m.end();
    return key;
  }

  // The first events of a device or module, as `berth hub monitor-events` shows them.
  async events(id, count) {
    const out = await this.ok('hub', 'monitor-events', '--from', 'start', '--device-id', id, '--count', String(count), '--timeout', '20', '--output', 'json');
    return out.trim().split('\n').filter(Boolean).map(JSON.parse);
  }

  // A client of the azure-iothub SDK, which has no option for whom to trust.
  trusting(client) {
    client._restApiClient.setOptions({ http: { agent: new https.Agent({ ca: this.ca }) } });
    return client;
  }

  // A raw HTTPS request. options: body (string or object), headers, device (certificate), host, keepRaw.
  request(method, target, options = {}) {
    const body = options.body === undefined ? undefined : typeof options.body === 'string' ? options.body : JSON.stringify(options.body);
    return new Promise((resolve, reject) => {
      const r = https.request({
        host: '127.0.0.1', port: this.httpsPort, servername: 'localhost', ca: this.ca, method, path: target, agent: false,
        cert: options.device?.chain, key: options.device?.key,
        headers: { Host: options.host ?? 'localhost', ...(body === undefined ? {} : { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(body) }), ...options.headers },
      }, (answer) => {
        const parts = [];
        answer.on('data', (d) => parts.push(d));
        answer.on('end', () => {
          const text = Buffer.concat(parts).toString();
          let json;
          try { json = JSON.parse(text); } catch { json = undefined; }
          resolve({ status: answer.statusCode, reason: answer.statusMessage, headers: answer.headers, rawHeaders: answer.rawHeaders, text, json });
        });
        answer.on('error', reject);
      });
      r.on('error', reject);
      r.end(body);
    });
  }

  // The same with a shared access signature of the service or the hub policy of dev.json.
  service(method, target, options = {}) {
    return this.request(method, target, { ...options, headers: { Authorization: sas(this.dev.serviceConnectionString), ...options.headers } });
  }

  hub(method, target, options = {}) {
    return this.request(method, target, { ...options, headers: { Authorization: sas(this.dev.hubs[0].connectionString), ...options.headers } });
  }
}

export function parseConnectionString(text) {
  return Object.fromEntries(text.split(';').map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]));
}

export function sas(connectionString, { ttl = 3600, resource, key } = {}) {
  const c = parseConnectionString(connectionString);
  const sr = encodeURIComponent(resource ?? c.HostName);
  const se = Math.floor(Date.now() / 1000) + ttl;
  const sig = crypto.createHmac('sha256', Buffer.from(key ?? c.SharedAccessKey, 'base64')).update(`${sr}\n${se}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=${encodeURIComponent(c.SharedAccessKeyName)}`;
}

// A device's token, by its own key: for provisioning (skn "registration") or, without skn, for the hub. spell: how sr is written.
export function deviceToken(resource, key, { ttl = 3600, skn, spell = encodeURIComponent } = {}) {
  const sr = spell(resource);
  const se = Math.floor(Date.now() / 1000) + ttl;
  const sig = crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}${skn === undefined ? '' : `&skn=${skn}`}`;
}

// What a device of a group computes (reference dps-device-api.md 6.3).
export const deriveKey = (groupKey, registrationId) => crypto.createHmac('sha256', Buffer.from(groupKey, 'base64')).update(registrationId).digest('base64');

// ---- certificates, by the openssl command: an independent maker ----

const subject = (cn) => `/CN=${cn.replaceAll('/', '\\/')}`;

export class Pki {
  constructor(dir = tempDir()) { this.dir = dir; this.n = 0; }
  remove() { fs.rmSync(this.dir, { recursive: true, force: true }); }
  file(name) { return path.join(this.dir, name); }

  async key(type) {
    const file = this.file(`k${this.n++}.pem`);
    const how = type === 'rsa' ? ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'] : ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    await run('openssl', ['genpkey', ...how, '-out', file]);
    return file;
  }

  // issuer: what make() gave; none: self-signed. san: "DNS:localhost,…". Gives {cn, certFile, keyFile, cert, key, chain}: chain = leaf and intermediates, PEM.
  async make(cn, { issuer, ca = false, pathlen, days = 30, eku = ca ? undefined : 'clientAuth', san, type = 'ec', startdate, enddate } = {}) {
    const keyFile = await this.key(type);
    const base = this.file(`c${this.n++}`);
    const ext = [`basicConstraints=critical,CA:${ca ? 'TRUE' : 'FALSE'}${pathlen === undefined ? '' : `,pathlen:${pathlen}`}`,
      `keyUsage=critical,${ca ? 'keyCertSign,cRLSign' : 'digitalSignature'}`, ...(eku ? [`extendedKeyUsage=${eku}`] : []), ...(san ? [`subjectAltName=${san}`] : []),
      'subjectKeyIdentifier=hash', ...(issuer ? ['authorityKeyIdentifier=keyid'] : [])];
    fs.writeFileSync(`${base}.cnf`, `[req]\ndistinguished_name=dn\n[dn]\n[ext]\n${ext.join('\n')}\n` +
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${base}.db\nnew_certs_dir=${this.dir}\nserial=${base}.srl\ndefault_md=sha256\npolicy=p\nx509_extensions=ext\nunique_subject=no\n[p]\ncommonName=supplied\n`);
    fs.writeFileSync(`${base}.db`, '');
    fs.writeFileSync(`${base}.srl`, crypto.randomBytes(8).toString('hex').replace(/^./, '1'));
    await run('openssl', ['req', '-new', '-key', keyFile, '-subj', subject(cn), '-out', `${base}.csr`, '-config', `${base}.cnf`]);
    await run('openssl', ['ca', '-batch', '-notext', '-config', `${base}.cnf`, '-in', `${base}.csr`, '-out', `${base}.pem`, '-keyfile', issuer ? issuer.keyFile : keyFile,
      ...(issuer ? ['-cert', issuer.certFile] : ['-selfsign']), ...(startdate ? ['-startdate', startdate] : []), ...(enddate ? ['-enddate', enddate] : ['-days', String(days)])]);
    const cert = fs.readFileSync(`${base}.pem`, 'utf8');
    return { cn, certFile: `${base}.pem`, keyFile, cert, key: fs.readFileSync(keyFile, 'utf8'),
      chain: cert + (issuer && issuer.isIntermediate ? issuer.chain : ''), isIntermediate: ca && issuer !== undefined };
  }
}

export const sha256Hex = (pem) => new crypto.X509Certificate(pem).fingerprint256.replaceAll(':', '');

// The CA that `berthd --dev` made and whose devices the group "dev" admits.
export const devCa = (b) => ({ certFile: b.dev.deviceCa.certFile, keyFile: b.dev.deviceCa.keyFile });
