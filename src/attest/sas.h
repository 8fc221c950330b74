/* attest/sas.h: shared access signatures, both ways: reading and checking what clients of all SDKs
 * send, and making them for our own tools. reference dps-service-api.md 1.1, dps-device-api.md 6.3,
 * iothub-device-api.md 2.3. */
#ifndef ATTEST_SAS_H
#define ATTEST_SAS_H

#include "crypto/crypto.h"
#include "model/reason.h"
#include "util/arena.h"

struct sas_token {
    struct span signed_text;   /* sr LF se, each exactly as in the token */
    struct span resource_text; /* sr exactly as in the token */
    struct span resource;      /* decoded, without scheme, port and query */
    struct span signature;     /* decoded bytes */
    int64_t expiry_s;
    struct span expiry_text;
    struct span key_name; /* skn decoded; absent or empty when not given */
};

/* "SharedAccessSignature sr=…&sig=…&se=…[&skn=…]", fields in any order. ERR_MALFORMED; ERR_NOMEM.
 */
err sas_parse(struct span text, struct arena *arena, struct sas_token *ret_token);

/* Is the signature by one of the keys, and not expired (skew LIMIT_SAS_SKEW_MS)? Constant time per
 * key. Gives GRANTED, TOKEN_EXPIRED or TOKEN_BAD_SIGNATURE. */
err sas_check(struct crypto *c, const struct sas_token *token, const struct span *keys,
              size_t n_keys, int64_t now_ms, enum reason *ret_reason);

/* Does the token's resource cover `resource` ("host/devices/d"): equal, or a prefix by whole
 * segments, ASCII case ignored? */
bool sas_covers(const struct sas_token *token, struct span resource);

/* Makes a token; key_name absent: without skn. resource is percent-encoded in it. */
err sas_make(struct crypto *c, struct span resource, struct span key, struct span key_name,
             int64_t expiry_s, struct buf *out);

/* The two halves of it, for a key that is not ours to read (in a TPM): what its HMAC-SHA256 is
 * over, and the token with that signature. ERR_NOMEM. */
void sas_signed_text(struct span resource, int64_t expiry_s, struct buf *out);
err sas_format(struct span resource, struct span signature, struct span key_name, int64_t expiry_s,
               struct buf *out);

/* When what a token that was accepted at now_ms opened must end: at its expiry. A clock that is
 * behind was allowed for at the door: such a token has what is left of the allowance. */
int64_t sas_until_ms(const struct sas_token *token, int64_t now_ms);

#endif
