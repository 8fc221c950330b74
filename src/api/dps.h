/* api/dps.h: one request of provisioning's device API from the claim to the answer, the same over
 * every transport. */
#ifndef API_DPS_H
#define API_DPS_H

#include "api/surface.h"

/* What core/ is given by this server. */
extern const struct core_tools DPS_TOOLS;

struct dps_request {
    enum operation operation;              /* REGISTER, STATUS or LOOKUP */
    struct span id_scope, registration_id; /* as presented */
    struct span token;                     /* shared access signature, or absent */
    struct span operation_id;              /* STATUS */
    struct span body;                      /* not looked at by STATUS */
};

struct dps_reply {
    struct verdict verdict;
    int status;        /* HTTP, or the {status} of a response topic */
    struct span body;  /* JSON in the arena; absent: refused, the caller writes the error body.
                          TPM_CHALLENGED: refused, with a body of its own */
    int retry_after_s; /* 0: none; THROTTLED: the caller knows */
};

/* Decides; blocks on the store. Sessions of a credential that the device no longer has are cut off.
 * Faults: those of core/, but ERR_BUSY, which is THROTTLED. */
err dps_answer(const struct env *env, const struct service *service, const struct peer *peer,
               const struct dps_request *request, struct dps_reply *ret_reply);

#endif
