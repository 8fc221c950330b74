/* crypto/seal.h: a ring of sealing keys: secrets into bytes that only who has the key can read or
 * change, and back. AES-256-GCM, one nonce a message, drawn at random:
 *
 *     version (1)  key ID (4)  nonce (12)  ciphertext (as the secret)  tag (16)
 *
 * A key's ID is the front of a digest of it: it names the key and tells nothing of it. Several keys
 * open, one seals.
 *
 * Random nonces of 96 bits bound a key to 2^32 messages (NIST SP 800-38D section 8.3): at a
 * thousand a second, fifty days. Then, or long before, another key is to seal.
 *
 * Threads: any, all at once; sealing and opening take no lock. Keys lie in a page of their own that
 * is not swapped (where the system lets us) and not dumped. */
#ifndef CRYPTO_SEAL_H
#define CRYPTO_SEAL_H

#include "util/cleanup.h"
#include "util/err.h"
#include "util/span.h"

struct crypto_seal;

enum {
    CRYPTO_SEAL_KEY_LEN = 32,
    CRYPTO_SEAL_ADDED = 33,   /* bytes a sealed secret is longer */
    CRYPTO_SEAL_KEYS_MAX = 64 /* different keys in a ring's life */
};

/* `random`: as env.random, from any thread. */
err crypto_seal_new(void (*random)(void *ret_bytes, size_t len), struct crypto_seal **ret_seal);
/* Wipes the keys. No thread seals or opens any more; those that did may live on, or have ended.
 * NULL-safe. */
void crypto_seal_free(struct crypto_seal *s);
AUTO_DEFINE(crypto_seal, struct crypto_seal *, crypto_seal_free)

/* The ID of a key, also of one in no ring. */
err crypto_seal_id(struct crypto_seal *s, const uint8_t key[CRYPTO_SEAL_KEY_LEN], uint32_t *ret_id);
/* Opens with this key, too, from now on; done already is fine. One thread at a time.
 * ERR_TOO_LARGE: the ring is full. ERR_EXISTS: another key has the same ID. */
err crypto_seal_add(struct crypto_seal *s, const uint8_t key[CRYPTO_SEAL_KEY_LEN],
                    uint32_t *ret_id);
/* A key of the ring seals from now on. */
void crypto_seal_use(struct crypto_seal *s, uint32_t id);
/* The key that seals; 0 before the first crypto_seal_use. */
uint32_t crypto_seal_current(const struct crypto_seal *s);
bool crypto_seal_has(const struct crypto_seal *s, uint32_t id);

/* Which key sealed this, by its form alone. False: it cannot be sealed. */
bool crypto_seal_key_of(struct span sealed, uint32_t *ret_id);

/* plain.len + CRYPTO_SEAL_ADDED bytes to ret_sealed, under key `id` of the ring. `aad` must be the
 * same when it is opened. */
err crypto_seal_seal(struct crypto_seal *s, uint32_t id, struct span aad, struct span plain,
                     uint8_t *ret_sealed);
/* sealed.len - CRYPTO_SEAL_ADDED bytes to ret_plain, which is wiped on a fault. ERR_SEALED: the
 * ring does not have the key. ERR_CORRUPT: not what was sealed, or not with this `aad`. */
err crypto_seal_open(struct crypto_seal *s, struct span aad, struct span sealed,
                     uint8_t *ret_plain);

#endif
