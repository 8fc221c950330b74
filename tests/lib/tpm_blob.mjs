// tests/lib/tpm_blob.mjs: makes authenticationKey blobs as a provisioning service does, and opens them as a TPM does (reference
// dps-device-api.md 6.5; TPM 2.0 part 1 chapters 23 and 24), from node's crypto alone: independent of both the device and berthd.
import crypto from 'node:crypto';

const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };
const sized = (...parts) => { const bytes = Buffer.concat(parts); return Buffer.concat([u16(bytes.length), bytes]); };
const sha256 = (...parts) => crypto.createHash('sha256').update(Buffer.concat(parts)).digest();
const hmac = (key, ...parts) => crypto.createHmac('sha256', key).update(Buffer.concat(parts)).digest();
const cfb = (key, bytes) => crypto.createCipheriv('aes-128-cfb', key, Buffer.alloc(16)).update(bytes);
const uncfb = (key, bytes) => crypto.createDecipheriv('aes-128-cfb', key, Buffer.alloc(16)).update(bytes);
const label = (text) => Buffer.from(`${text}\0`);
// One block of KDFa is enough for 256 bits.
const kdfa = (key, name, context, bits) => hmac(key, u32(1), label(name), context, u32(bits)).subarray(0, bits / 8);

// TPM2B_PUBLIC without its size is what a name is a digest of.
const nameOf = (tpm2b) => Buffer.concat([Buffer.from([0, 0x0b]), sha256(tpm2b.subarray(2))]);

// The modulus ends a TPM2B_PUBLIC of an RSA key.
function rsaKey(tpm2b) {
  return crypto.createPublicKey({ format: 'jwk', key: { kty: 'RSA', e: 'AQAB', n: tpm2b.subarray(-256).toString('base64url') } });
}

const oaep = (key, purpose) => ({ key, padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256', oaepLabel: label(purpose) });
const toRsa = (tpm2b, secret, purpose) => sized(crypto.publicEncrypt(oaep(rsaKey(tpm2b), purpose), secret));

// HMAC over what is encrypted, then that: for who holds the seed.
function wrap(seed, name, bytes) {
  const encrypted = cfb(kdfa(seed, 'STORAGE', name, 128), bytes);
  return Buffer.concat([sized(hmac(kdfa(seed, 'INTEGRITY', Buffer.alloc(0), 256), encrypted, name)), encrypted]);
}

// The five parts, so that a test may spoil one. ek, srk: TPM2B_PUBLIC; key: of the HMAC.
export function blobParts(ek, srk, key) {
  const innerKey = crypto.randomBytes(16), credentialSeed = crypto.randomBytes(32), duplicateSeed = crypto.randomBytes(32), obfuscation = crypto.randomBytes(32);
  const keyPublic = sized(Buffer.from('0008000b00040440', 'hex'), u16(0), Buffer.from('0005000b', 'hex'), sized(sha256(obfuscation, key)));
  const keyName = nameOf(keyPublic);
  const sensitive = sized(u16(8), u16(0), sized(obfuscation), sized(key));
  const inner = cfb(innerKey, Buffer.concat([sized(sha256(sensitive, keyName)), sensitive]));
  return {
    credential: sized(wrap(credentialSeed, nameOf(srk), sized(innerKey))),
    credentialSecret: toRsa(ek, credentialSeed, 'IDENTITY'),
    duplicate: sized(wrap(duplicateSeed, keyName, inner)),
    duplicateSeed: toRsa(srk, duplicateSeed, 'DUPLICATE'),
    keyPublic,
  };
}

export const joinBlob = (p) => Buffer.concat([p.credential, p.credentialSecret, p.duplicate, p.duplicateSeed, p.keyPublic, u16(0)]);
export const makeBlob = (ek, srk, key) => joinBlob(blobParts(ek, srk, key));

export function registrationIdOf(ek) {
  let bits = '';
  for (const byte of sha256(ek)) bits += byte.toString(2).padStart(8, '0');
  return bits.match(/.{1,5}/g).map((five) => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(five.padEnd(5, '0'), 2)]).join('');
}

// ---- the other side ----

function* sizedParts(bytes) {
  for (let at = 0; at < bytes.length;) {
    const n = bytes.readUInt16BE(at);
    if (at + 2 + n > bytes.length) throw new Error('cut short');
    yield bytes.subarray(at + 2, at + 2 + n);
    at += 2 + n;
  }
}

function unwrap(seed, name, bytes) {
  const n = bytes.readUInt16BE(0), mac = bytes.subarray(2, 2 + n), encrypted = bytes.subarray(2 + n);
  if (!hmac(kdfa(seed, 'INTEGRITY', Buffer.alloc(0), 256), encrypted, name).equals(mac)) throw new Error('integrity');
  return uncfb(kdfa(seed, 'STORAGE', name, 128), encrypted);
}

// Templates without size and modulus: TPMT_PUBLIC of an endorsement key and of a storage root key.
const ENDORSEMENT = '0001000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa00060080004300100800000000000100';
const STORAGE = '0001000b00030472000000060080004300100800000000000100';

function makeKey(template) {
  const { privateKey, publicKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { privateKey, wire: sized(Buffer.from(template, 'hex'), Buffer.from(publicKey.export({ format: 'jwk' }).n, 'base64url')) };
}

// A TPM for tests that must do what no TPM allows: keep a key it was sent, mix the keys of two.
export class SoftTpm {
  constructor() { this.ek = makeKey(ENDORSEMENT); this.srk = makeKey(STORAGE); }
  get registrationId() { return registrationIdOf(this.ek.wire); }
  get members() { return { endorsementKey: this.ek.wire.toString('base64'), storageRootKey: this.srk.wire.toString('base64') }; }

  // ActivateCredential, Import: the HMAC key of a blob (base64). Throws what a TPM would refuse.
  open(blob) {
    const [credential, credentialSecret, duplicate, seed, keyPublic] = sizedParts(Buffer.from(blob, 'base64'));
    const keyName = nameOf(sized(keyPublic));
    const [innerKey] = sizedParts(unwrap(crypto.privateDecrypt(oaep(this.ek.privateKey, 'IDENTITY'), credentialSecret), nameOf(this.srk.wire), credential));
    const inner = uncfb(innerKey, unwrap(crypto.privateDecrypt(oaep(this.srk.privateKey, 'DUPLICATE'), seed), keyName, duplicate));
    const [integrity, sensitive] = sizedParts(inner);
    if (!sha256(sized(sensitive), keyName).equals(integrity)) throw new Error('inner integrity');
    if (sensitive.readUInt16BE(0) !== 8) throw new Error('no keyed hash');
    const [, obfuscation, key] = sizedParts(sensitive.subarray(2));
    if (!keyPublic.subarray(-32).equals(sha256(obfuscation, key))) throw new Error('binding');
    return key;
  }
}
