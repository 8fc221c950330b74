/* core/core.h: provisioning: who may register, where the device goes, what became of it. No
 * protocol, no backend, no clock. All functions may block on the store; run them on a worker. */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "attest/attest.h"
#include "model/placement.h"

/* What core/ does not know itself. */
struct core_tools {
    const struct placer *hubs; /* of this store */
    /* The enrollment as JSON in the shape of an api-version, without keys: what a webhook and a
     * rule see of it (reference dps-device-api.md 7.1). */
    err (*write_enrollment)(const struct env *env, const struct enrollment *e,
                            struct span api_version, struct span *ret_json);
};

/* What a device is told. */
struct core_outcome {
    struct verdict verdict; /* refused: nothing else holds, except for ENROLLMENT_DISABLED */
    bool has_registration;
    struct registration registration; /* as stored, spans in the request's arena */
    struct span challenge; /* TPM_CHALLENGED: the key to sign with, wrapped for the TPM (6.5) */
    struct placed placed;  /* its device on the hub */
    int64_t wait_ms; /* ASSIGNING: how long it is likely to be so; 0: not known, or not long */
};

/* Registers (OPERATION_REGISTER): attests, allocates, stores registration, hub device and decision
 * record in one transaction, and returns once that is durable. An enrollment that is changed or
 * deleted between the look at it and that transaction is looked at again. Granted:
 * registration.operation_id is the operation to poll and .status is what the poll will find
 * (ASSIGNED, FAILED, or ASSIGNING while a system elsewhere is waited for); what is answered now is
 * "assigning". Who asks again while ASSIGNING for what is on its way already gets that operation.
 * ENROLLMENT_DISABLED: the registration is stored as DISABLED and given back. TPM_CHALLENGED: a key
 * was stored to wait for, and is given wrapped. Any other refusal leaves a decision record only.
 * Faults: ERR_BUSY (queue full, or not its turn: env->turn; for the other functions likewise),
 * ERR_IO. */
err core_register(const struct env *env, const struct claim *claim, const struct core_tools *tools,
                  struct core_outcome *ret_outcome);

/* Polls an operation (OPERATION_STATUS). Only the evidence that registered may poll: a leaf is
 * compared with the one stored, no path is checked again; a token is judged again by the enrollment
 * that decided. Without a registration the claim is attested as for a lookup: OPERATION_NOT_FOUND
 * is for who is genuine. All others are told the same, whether or not the ID is registered and by
 * whatever evidence; the decision record knows more. */
err core_poll(const struct env *env, const struct claim *claim, struct core_outcome *ret_outcome);

/* Status lookup (OPERATION_LOOKUP): attests as register does, TPM_CHALLENGED included, changes
 * nothing but the decision record. */
err core_lookup(const struct env *env, const struct claim *claim, struct core_outcome *ret_outcome);

/* Leaves the decision record of a claim that was refused before anything was looked up: its body or
 * its certificates cannot be read. */
err core_refuse(const struct env *env, const struct claim *claim, struct verdict verdict);

/* What would happen to this certificate chain: the decision record of a dry run. id_scope folded;
 * the registration ID is the leaf's CN. chain[0] is the leaf. Nothing is stored. */
err core_explain(const struct env *env, const struct core_tools *tools, struct span id_scope,
                 struct crypto_cert *const *chain, size_t n_chain, struct decision *ret_decision);

#endif
