/* hub/ca.h: devices and modules that are proven by a certificate under a CA of their hub (reference
 * iothub-device-api.md 2.4). The CAs are uploaded certificates (core/certificate.h) that stand
 * under the hub's host name. Inside hub/ only. */
#ifndef HUB_CA_H
#define HUB_CA_H

#include "crypto/x509.h"
#include "model/env.h"
#include "model/reason.h"
#include "store/store.h"

struct hub_ca {
    struct certificate *rows;
    size_t n;
};
/* All of the hub's. */
err hub_ca_read(struct store_tx *tx, struct span hub, struct arena *arena, struct hub_ca *ret_ca);

/* What is shown: leaf first, then help in any order. */
struct hub_ca_claim {
    struct span client_id;
    struct crypto_cert *const *chain;
    size_t n_chain; /* 1 or more */
};
/* GRANTED, IDENTITY_NAME_MISMATCH, or as attest_path_judge. *ret_considered: JSON array of the CA
 * that decided, in the arena. ERR_CORRUPT: a stored certificate cannot be parsed. */
err hub_ca_judge(const struct env *env, const struct hub_ca *ca, const struct hub_ca_claim *claim,
                 struct verdict *ret_verdict, struct span *ret_considered);

#endif
