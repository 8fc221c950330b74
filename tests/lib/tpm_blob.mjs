// tests/lib/tpm_blob.mjs: makes authenticationKey blobs as a provisioning service does (reference dps-device-api.md 6.5; TPM 2.0 part 1
// chapters 23 and 24), from node's crypto alone: an independent maker to hold the device, and berthd, against.
import crypto from 'node:crypto';

const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };
const sized = (...parts) => { const bytes = Buffer.concat(parts); return Buffer.concat([u16(bytes.length), bytes]); };
const sha256 = (...parts) => crypto.createHash('sha256').update(Buffer.concat(parts)).digest();
const hmac = (key, ...parts) => crypto.createHmac('sha256', key).update(Buffer.concat(parts)).digest();
const cfb = (key, bytes) => crypto.createCipheriv('aes-128-cfb', key, Buffer.alloc(16)).update(bytes);
const label = (text) => Buffer.from(`${text}\0`);
// One block of KDFa is enough for 256 bits.
const kdfa = (key, name, context, bits) => hmac(key, u32(1), label(name), context, u32(bits)).subarray(0, bits / 8);

// TPM2B_PUBLIC without its size is what a name is a digest of.
const nameOf = (tpm2b) => Buffer.concat([Buffer.from([0, 0x0b]), sha256(tpm2b.subarray(2))]);

// The modulus ends a TPM2B_PUBLIC of an RSA key.
function rsaKey(tpm2b) {
  return crypto.createPublicKey({ format: 'jwk', key: { kty: 'RSA', e: 'AQAB', n: tpm2b.subarray(-256).toString('base64url') } });
}

const toRsa = (tpm2b, secret, purpose) => sized(crypto.publicEncrypt({ key: rsaKey(tpm2b), padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256', oaepLabel: label(purpose) }, secret));

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
