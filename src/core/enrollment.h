/* core/enrollment.h: the operator's side of enrollments: rules, and the indexes that registration
 * searches by (anchors, ca_references), kept in step in one transaction. */
#ifndef CORE_ENROLLMENT_H
#define CORE_ENROLLMENT_H

#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"

struct store_tx;

/* If-Match of reference dps-service-api.md 3, quotes and W/ already taken off. */
struct core_match {
    bool is_given;
    bool is_any;        /* "*" */
    bool may_be_absent; /* for a put: what does not exist is created */
    struct span etag;
};

/* Creates or replaces. *e is complete but for key, etag, created_ms, updated_ms, which are filled
 * in. Certificates are DER already. An x509 slot that is absent while `keep_slot[i]` is set keeps
 * the stored certificate (info-only PUT, reference 4.4). Symmetric keys that are absent are those
 * stored, or made. Refusals: FIELD_INVALID,
 * CERTIFICATE_INVALID, CERTIFICATE_IN_USE (a signing certificate serves one group only),
 * KEY_IN_USE (so does a symmetric key),
 * RESOURCE_EXISTS, ETAG_MISMATCH; detail says which member. */
struct core_enrollment_put {
    struct core_match match;
    bool keep_slot[SLOTS];
    struct span fresh_keys[SLOTS]; /* core_enrollment_prepare's */
};
err core_enrollment_put(const struct env *env, const struct core_enrollment_put *how,
                        struct enrollment *e, struct verdict *ret_verdict);
/* RESOURCE_NOT_FOUND, ETAG_MISMATCH. Registrations stay. */
err core_enrollment_delete(const struct env *env, struct span id_scope, enum enrollment_kind kind,
                           struct span id, const struct core_match *match,
                           struct verdict *ret_verdict);

/* The same as parts of a write transaction of the caller's. A refusal has changed nothing there; a
 * detail of it is in the arena.
 *
 * A put is prepared before the transaction: checked as far as that needs no store; *e and
 * how->fresh_keys are filled in. */
err core_enrollment_prepare(const struct env *env, struct core_enrollment_put *how,
                            struct enrollment *e, struct verdict *ret_verdict);
err core_enrollment_put_in(const struct env *env, struct store_tx *tx,
                           const struct core_enrollment_put *how, const struct enrollment *e,
                           struct enrollment *ret_stored, struct verdict *ret_verdict);
/* Of `key` id_scope, kind and key count. */
err core_enrollment_delete_in(const struct env *env, struct store_tx *tx,
                              const struct enrollment *key, const struct core_match *match,
                              struct verdict *ret_verdict);

/* RESOURCE_NOT_FOUND. */
err core_enrollment_get(const struct env *env, struct span id_scope, enum enrollment_kind kind,
                        struct span id, struct enrollment *ret_enrollment,
                        struct verdict *ret_verdict);
/* Registrations for the operator; lists of both are core/listing.h's. */
err core_registration_get(const struct env *env, struct span id_scope, struct span id,
                          struct registration *ret_registration, struct verdict *ret_verdict);
err core_registration_delete(const struct env *env, struct span id_scope, struct span id,
                             const struct core_match *match, struct verdict *ret_verdict);

/* Decision records of an ID scope, and of its devices at the doors of the hubs linked to it. By
 * tracking ID: RESOURCE_NOT_FOUND. Of a registration, and of the device it became: newest first, at
 * most `limit` (up to LIMIT_DECISIONS_TOP). */
err core_decision_get(const struct env *env, struct span id_scope, struct span tracking_id,
                      struct decision_row *ret_row, struct verdict *ret_verdict);
err core_decision_list(const struct env *env, struct span id_scope, struct span registration_id,
                       size_t limit, struct decision_row **ret_rows, size_t *ret_n);
/* Drops the oldest beyond LIMIT_DECISIONS_KEPT and LIMIT_DECISIONS_AGE_MS, at most `most` rows.
 * Called now and then by front/. */
err core_decision_prune(const struct env *env, size_t most, size_t *ret_dropped);

#endif
