// tests/lib/swtpm.mjs: software TPMs (swtpm) for tests, and the CA that plays their manufacturer. Each TPM has a directory and two
// ports of its own: commands, and beside it the control channel, as tpm2-tss expects them.
import { spawn, execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { endWithTests, tempDir, until } from './berth.mjs';

const run = promisify(execFile);

// A root and an issuing CA below it, made when the first TPM is: {root, issuer}: files (PEM).
export class Manufacturer {
  constructor() {
    this.dir = tempDir();
    this.root = this.file('swtpm-localca-rootca-cert.pem');
    this.issuer = this.file('issuercert.pem');
    fs.writeFileSync(this.file('localca.conf'), `statedir = ${this.dir}\nsigningkey = ${this.file('signkey.pem')}\n` +
      `issuercert = ${this.issuer}\ncertserial = ${this.file('certserial')}\n`);
    fs.writeFileSync(this.file('localca.options'), '');
    fs.writeFileSync(this.file('setup.conf'), `create_certs_tool= /usr/bin/swtpm_localca\ncreate_certs_tool_config = ${this.file('localca.conf')}\n` +
      `create_certs_tool_options = ${this.file('localca.options')}\nactive_pcr_banks = sha256\n`);
  }

  file(name) { return path.join(this.dir, name); }
}

const listensOn = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
  socket.on('error', () => resolve(false));
});

export class Swtpm {
  // options: manufacturer, whose certificate the endorsement key gets; none: a TPM without keys and certificate.
  static async start({ manufacturer } = {}) {
    const t = new Swtpm();
    t.dir = tempDir();
    t.manufacturer = manufacturer;
    await run('swtpm_setup', ['--tpm2', '--tpm-state', t.dir, '--logfile', path.join(t.dir, 'setup.log'), '--config', (manufacturer ?? new Manufacturer()).file('setup.conf'),
      ...(manufacturer ? ['--create-ek-cert'] : [])]).catch((e) => { throw new Error(`swtpm_setup: ${e.stderr}${fs.readFileSync(path.join(t.dir, 'setup.log'), 'utf8')}`); });
    for (let tries = 0; !await t.spawn(); tries++) if (tries === 20) throw new Error(`swtpm does not start: ${t.stderr}`);
    return t;
  }

  // False: one of the ports was somebody else's.
  async spawn() {
    const port = 20000 + 2 * Math.floor(Math.random() * 6000);
    if (await listensOn(port) || await listensOn(port + 1)) return false;
    this.child = spawn('swtpm', ['socket', '--tpm2', '--tpmstate', `dir=${this.dir}`, '--server', `type=tcp,port=${port}`,
      '--ctrl', `type=tcp,port=${port + 1}`, '--flags', 'not-need-init,startup-clear'], { stdio: ['ignore', 'ignore', 'pipe'] });
    endWithTests(this.child);
    this.stderr = '';
    this.child.stderr.on('data', (d) => { this.stderr += d; });
    this.port = port;
    this.tcti = `swtpm:host=127.0.0.1,port=${port}`;
    return until('swtpm is ready', async () => this.child.exitCode !== null || await listensOn(port)).then(() => this.child.exitCode === null);
  }

  // One of tpm2-tools against this TPM: an independent witness. Resolves to its standard output.
  async tool(name, ...args) { return (await run(name, args, { env: { ...process.env, TPM2TOOLS_TCTI: this.tcti } })).stdout; }

  async stop() {
    const gone = new Promise((resolve) => { this.child.on('exit', resolve); });
    this.child.kill();
    if (this.child.exitCode === null && this.child.signalCode === null) await gone;
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
