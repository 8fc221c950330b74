// A device with a TPM, against a provisioning service that is this file's: what it shows, asks, activates, signs and leaves behind.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Pki, bin, tempDir } from '../lib/berth.mjs';
import { Manufacturer, Swtpm } from '../lib/swtpm.mjs';
import { blobParts, joinBlob, registrationIdOf } from '../lib/tpm_blob.mjs';

const run = promisify(execFile);
const SCOPE = '0ne00000AAA';
let tpm, maker, pki, service;

async function berth(...args) {
  try {
    return { code: 0, ...await run(path.join(bin, 'berth'), args) };
  } catch (e) {
    return { code: e.code, stdout: e.stdout, stderr: e.stderr };
  }
}

// A service that challenges, then admits whoever signs with the key it was sent. `spoil` may change the blob's parts.
class Service {
  static async start() {
    const s = new Service();
    const { certFile, key, cert } = await pki.make('localhost', { eku: 'serverAuth', san: 'DNS:localhost' });
    s.caFile = certFile;
    s.server = https.createServer({ key, cert }, (request, response) => {
      let text = '';
      request.on('data', (d) => { text += d; });
      request.on('end', () => s.answer(request, text, response));
    });
    await new Promise((resolve) => { s.server.listen(0, '127.0.0.1', resolve); });
    s.reset();
    return s;
  }

  reset() { Object.assign(this, { requests: [], spoil: (parts) => parts, key: crypto.randomBytes(32), hubKey: crypto.randomBytes(32), busy: 0, last: {} }); }

  blob(key) {
    const { endorsementKey, storageRootKey } = this.last.tpm;
    return joinBlob(this.spoil(blobParts(Buffer.from(endorsementKey, 'base64'), Buffer.from(storageRootKey, 'base64'), key))).toString('base64');
  }

  isSigned(token, id) {
    const t = Object.fromEntries(token.replace('SharedAccessSignature ', '').split('&').map((f) => f.split('=')));
    const sig = crypto.createHmac('sha256', this.key).update(`${t.sr}\n${t.se}`).digest('base64');
    return decodeURIComponent(t.sr) === `${SCOPE}/registrations/${id}` && decodeURIComponent(t.sig) === sig && t.skn === 'registration';
  }

  answer(request, text, response) {
    const send = (status, body, headers = {}) => { response.writeHead(status, { 'Content-Type': 'application/json', ...headers }); response.end(JSON.stringify(body)); };
    const token = request.headers.authorization;
    this.requests.push({ method: request.method, url: request.url, token });
    if (request.method === 'PUT') this.last = JSON.parse(text);
    const id = this.last.registrationId;
    if (this.busy > 0) { this.busy--; return send(429, { errorCode: 429001, trackingId: 't', message: 'busy' }, { 'Retry-After': '1' }); }
    if (this.refusal) return send(401, this.refusal);
    if (token === undefined) return send(401, { authenticationKey: this.blob(this.key), keyName: 'registration', message: 'Challenge.', trackingId: 't' });
    if (!this.isSigned(token, id)) return send(401, { errorCode: 401002, trackingId: 'not-signed', message: 'Bad signature.' });
    if (request.method === 'PUT') return send(202, { operationId: 'op-1', status: 'assigning' }, { 'Retry-After': '1' });
    return send(200, { operationId: 'op-1', status: 'assigned',
      registrationState: { registrationId: id, status: 'assigned', assignedHub: 'hub.example', deviceId: id, tpm: { authenticationKey: this.blob(this.hubKey) } } });
  }

  simulate(...args) {
    return berth('device', 'simulate', '--tpm', ...(args.includes('--tcti') ? [] : ['--tcti', tpm.tcti]), '--endpoint', 'localhost', '--endpoint-address', '127.0.0.1', '--https-port', String(this.server.address().port),
      '--ca-file', this.caFile, '--id-scope', SCOPE, '--count', '0', ...args);
  }
}

before(async () => {
  maker = new Manufacturer();
  pki = new Pki(tempDir());
  [tpm, service] = await Promise.all([Swtpm.start({ manufacturer: maker }), Service.start()]);
});
after(async () => {
  service?.server.close();
  await tpm?.stop();
});

const show = async (...args) => JSON.parse((await run(path.join(bin, 'berth'), ['tpm', 'show', '--output', 'json', ...args])).stdout);
const leftInside = () => Promise.all(['handles-transient', 'handles-loaded-session'].map((what) => tpm.tool('tpm2_getcap', what))).then((parts) => parts.join(''));

describe('berth tpm show', () => {
  test('tells the keys as tpm2-tools does, the ID made of them, and the certificate', async () => {
    const shown = await show('--tcti', tpm.tcti);
    for (const [handle, member] of [['0x81010001', 'endorsementKey'], ['0x81000001', 'storageRootKey']]) {
      const file = path.join(pki.dir, member);
      await tpm.tool('tpm2_readpublic', '-c', handle, '-f', 'tss', '-o', file);
      assert.equal(shown[member], fs.readFileSync(file).toString('base64'));
    }
    assert.equal(shown.registrationId, registrationIdOf(Buffer.from(shown.endorsementKey, 'base64')));
    const certificate = new crypto.X509Certificate(Buffer.from(shown.endorsementCertificate, 'base64'));
    assert.ok(certificate.verify(new crypto.X509Certificate(fs.readFileSync(maker.issuer)).publicKey));
    assert.equal(certificate.publicKey.export({ format: 'jwk' }).n, Buffer.from(shown.endorsementKey, 'base64').subarray(-256).toString('base64url'));
    assert.equal(await leftInside(), '');
  });

  test('writes the certificate; an existing file stays unless forced', async () => {
    const file = path.join(pki.dir, 'ek.pem');
    const args = ['tpm', 'show', '--tcti', tpm.tcti, '--endorsement-certificate-out', file];
    const shown = await berth(...args);
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, /^certificate +issued by CN=swtpm-localca$/m);
    assert.match(fs.readFileSync(file, 'utf8'), /^-----BEGIN CERTIFICATE-----/);
    assert.notEqual((await berth(...args)).code, 0);
    assert.equal((await berth(...args, '--force')).code, 0);
  });

  test('a TPM without keys is given them once; without a certificate says so', async () => {
    const bare = await Swtpm.start();
    try {
      assert.equal(await bare.tool('tpm2_getcap', 'handles-persistent'), '');
      const first = await show('--tcti', bare.tcti);
      assert.deepEqual(await show('--tcti', bare.tcti), first);
      assert.equal(first.endorsementCertificate, undefined);
      assert.deepEqual((await bare.tool('tpm2_getcap', 'handles-persistent')).match(/0x\w+/g), ['0x81000001', '0x81010001']);
      const out = await berth('tpm', 'show', '--tcti', bare.tcti, '--endorsement-certificate-out', path.join(pki.dir, 'none.pem'));
      assert.equal(out.code, 3);
      assert.match(out.stderr, /holds no endorsement certificate/);
    } finally {
      await bare.stop();
    }
  });

  test('the made endorsement key is the one that a manufacturer certifies', async () => {
    const before = await show('--tcti', tpm.tcti);
    await tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81010001');
    assert.deepEqual(await show('--tcti', tpm.tcti), before);
  });

  test('where another kind of key is, the right one is made, the same each time, and not kept', async () => {
    const odd = await Swtpm.start();
    try {
      const context = path.join(pki.dir, 'odd.ctx');
      for (const [hierarchy, handle] of [['e', '0x81010001'], ['o', '0x81000001']]) {
        await odd.tool('tpm2_createprimary', '-C', hierarchy, '-G', 'ecc', '-c', context);
        await odd.tool('tpm2_evictcontrol', '-C', 'o', '-c', context, handle);
        await odd.tool('tpm2_flushcontext', '-t');
      }
      const first = await show('--tcti', odd.tcti);
      assert.equal(Buffer.from(first.endorsementKey, 'base64').length, 316);
      assert.equal(await odd.tool('tpm2_getcap', 'handles-transient'), '');
      await odd.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81010001');
      assert.deepEqual(await show('--tcti', odd.tcti), first);
      service.reset();
      const r = await service.simulate('--tcti', odd.tcti);
      assert.equal(r.code, 0, r.stdout + r.stderr);
      assert.equal(await odd.tool('tpm2_getcap', 'handles-transient'), '');
    } finally {
      await odd.stop();
    }
  });

  test('clear words when there is no TPM, or it wants an authorization', async () => {
    const none = await berth('tpm', 'show', '--tcti', 'swtpm:port=1');
    assert.equal(none.code, 1);
    assert.match(none.stderr, /^berth tpm show: no TPM answers at swtpm:port=1 \(/);
    const locked = await Swtpm.start();
    try {
      await locked.tool('tpm2_changeauth', '-c', 'o', 'secret');
      const r = await berth('tpm', 'show', '--tcti', locked.tcti);
      assert.equal(r.code, 4, r.stderr);
      assert.match(r.stderr, /the TPM cannot keep its endorsement key: tpm:session\(1\):/);
    } finally {
      await locked.stop();
    }
  });
});

describe('berth device simulate --tpm', () => {
  test('challenge, register, poll: each token signed by the key that the TPM was sent', async () => {
    service.reset();
    service.busy = 1;
    const r = await service.simulate();
    assert.equal(r.code, 0, r.stdout + r.stderr);
    const id = (await show('--tcti', tpm.tcti)).registrationId;
    assert.match(r.stdout, new RegExp(`${id}: assigned to hub\\.example as device ${id}`));
    assert.deepEqual(service.requests.map((q) => [q.method, q.token === undefined]), [['PUT', true], ['PUT', true], ['PUT', false], ['GET', false]]);
    assert.equal(service.requests[3].url, `/${SCOPE}/registrations/${id}/operations/op-1?api-version=2021-06-01`);
    const sent = service.last.tpm.endorsementCertificates;
    assert.equal(sent.length, 1);
    assert.equal(new crypto.X509Certificate(Buffer.from(sent[0], 'base64')).issuer, 'CN=swtpm-localca');
    assert.equal(await leftInside(), '');
    assert.doesNotMatch(await tpm.tool('tpm2_getcap', 'handles-persistent'), /0x81000100/);
  });

  test('--persist leaves the hub key where SDKs look for it, and replaces the one before', async () => {
    for (let i = 0; i < 2; i++) {
      service.reset();
      const r = await service.simulate('--persist');
      assert.equal(r.code, 0, r.stdout + r.stderr);
      const text = path.join(pki.dir, 'text');
      fs.writeFileSync(text, 'hub.example%2Fdevices%2Fd\n1893456000');
      const mac = await tpm.tool('tpm2_hmac', '-c', '0x81000100', '--hex', text);
      assert.equal(mac.trim(), crypto.createHmac('sha256', service.hubKey).update(fs.readFileSync(text)).digest('hex'));
    }
    await tpm.tool('tpm2_evictcontrol', '-C', 'o', '-c', '0x81000100');
  });

  test('sends the certificates of a file behind its own, and an ID of choice', async () => {
    service.reset();
    const file = path.join(pki.dir, 'chain.pem');
    const own = (await show('--tcti', tpm.tcti)).endorsementCertificate;
    const pem = (der) => `-----BEGIN CERTIFICATE-----\n${der.match(/.{1,64}/g).join('\n')}\n-----END CERTIFICATE-----\n`;
    fs.writeFileSync(file, pem(own) + fs.readFileSync(maker.issuer, 'utf8'));
    const r = await service.simulate('--endorsement-certificates', file, '--registration-id', 'pump-7');
    assert.equal(r.code, 0, r.stdout + r.stderr);
    assert.equal(service.last.registrationId, 'pump-7');
    assert.deepEqual(service.last.tpm.endorsementCertificates, [own, new crypto.X509Certificate(fs.readFileSync(maker.issuer)).raw.toString('base64')]);
  });

  const flip = (bytes, at) => { const copy = Buffer.from(bytes); copy[at < 0 ? copy.length + at : at] ^= 1; return copy; };
  for (const [what, spoil, words] of [
    ['the credential', (p) => ({ ...p, credential: flip(p.credential, -1) }), /TPM refuses the authentication key.*ActivateCredential/],
    ['the credential\'s secret', (p) => ({ ...p, credentialSecret: flip(p.credentialSecret, -1) }), /TPM refuses the authentication key.*ActivateCredential/],
    ['the duplicate', (p) => ({ ...p, duplicate: flip(p.duplicate, -1) }), /TPM refuses the authentication key.*Import/],
    ['the duplicate\'s seed', (p) => ({ ...p, duplicateSeed: flip(p.duplicateSeed, -1) }), /TPM refuses the authentication key.*Import/],
    ['the key\'s public part', (p) => ({ ...p, keyPublic: flip(p.keyPublic, -1) }), /TPM refuses the authentication key.*Import/],
    ['its end', (p) => ({ ...p, keyPublic: p.keyPublic.subarray(0, 20) }), /authentication key that the service sent is not one/],
  ]) {
    test(`a blob that was changed is refused by the TPM: ${what}`, async () => {
      service.reset();
      service.spoil = spoil;
      const r = await service.simulate();
      assert.notEqual(r.code, 0);
      assert.match(r.stdout, words);
      assert.equal(service.requests.length, 1);
      assert.equal(await leftInside(), '');
    });
  }

  test('a blob made for another TPM is refused', async () => {
    const other = await Swtpm.start();
    try {
      const theirs = await show('--tcti', other.tcti);
      for (const member of ['endorsementKey', 'storageRootKey']) {
        service.reset();
        service.spoil = () => {
          const keys = { ...service.last.tpm, [member]: theirs[member] };
          return blobParts(Buffer.from(keys.endorsementKey, 'base64'), Buffer.from(keys.storageRootKey, 'base64'), service.key);
        };
        const r = await service.simulate();
        assert.match(r.stdout, /TPM refuses the authentication key.*ActivateCredential/);
      }
    } finally {
      await other.stop();
    }
  });

  test('a refusal instead of a challenge is told with its tracking ID', async () => {
    service.reset();
    service.refusal = { errorCode: 401002, trackingId: 'abc-1', message: 'Unknown device.', timestampUtc: 'now' };
    const r = await service.simulate();
    service.refusal = undefined;
    assert.equal(r.code, 6);
    assert.match(r.stdout, /refused: Unknown device\. \(401002\); berth explain abc-1/);
  });

  test('options that contradict each other are usage errors', async () => {
    for (const [args, words] of [[['--symmetric-key', 'a2V5'], /one of/], [['--devices', '2'], /one device's/]]) {
      const r = await service.simulate(...args);
      assert.equal(r.code, 2);
      assert.match(r.stderr, words);
    }
    const r = await berth('device', 'simulate', '--endpoint', 'localhost', '--id-scope', SCOPE, '--persist');
    assert.equal(r.code, 2);
    assert.match(r.stderr, /--persist goes with --tpm/);
  });
});
