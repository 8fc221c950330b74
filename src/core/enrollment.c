/* core/enrollment.c: creating, replacing, deleting and reading enrollments. Knows the rules of
 * reference dps-service-api.md 6 that are about meaning; JSON and headers are api/'s, registering
 * is core/register.c's. */
#include "core/enrollment.h"

#include "core/anchor.h"
#include "core/instance.h"
#include "core/key_groups.h"
#include "core/match.h"
#include "core/rules.h"
#include "model/limits.h"

static const char *const slot_words[SLOTS] = { "primary", "secondary" };

/* One put within a transaction. */
struct putting {
    const struct env *env;
    struct store_tx *tx;
    const struct core_enrollment_put *how;
    const struct enrollment *given; /* what the caller wants */
    struct enrollment e;            /* what is written */
    struct verdict verdict;
};

static struct span *slot_of(struct enrollment *e, size_t slot)
{
    return slot == SLOT_PRIMARY ? &e->x509_primary : &e->x509_secondary;
}

static err find(struct store_tx *tx, const struct env *env, const struct enrollment *key,
                struct enrollment *ret_enrollment, bool *ret_found)
{
    return store_find(tx, &KIND_ENROLLMENT, key, env->arena, ret_enrollment, ret_found);
}

/* ---- put ---- */

/* An empty slot that is to keep its certificate takes the stored one. */
static void keep_slots(const struct core_enrollment_put *how, const struct enrollment *was,
                       bool existed, struct enrollment *e)
{
    struct enrollment old = *was;

    for (size_t i = 0; i < SLOTS; i++) {
        if (how->keep_slot[i] && span_is_absent(*slot_of(e, i)) && existed &&
            old.x509_source == e->x509_source) {
            *slot_of(e, i) = *slot_of(&old, i);
        }
    }
}

/* Keys that are not given: those stored, or fresh ones for what had none. */
static void keep_keys(const struct core_enrollment_put *how, const struct enrollment *was,
                      bool existed, struct enrollment *e)
{
    bool has_stored = existed && was->attestation == ATTESTATION_SYMMETRIC_KEY;

    if (e->attestation == ATTESTATION_SYMMETRIC_KEY && span_is_absent(e->primary_key)) {
        e->primary_key = has_stored ? was->primary_key : how->fresh_keys[SLOT_PRIMARY];
        e->secondary_key = has_stored ? was->secondary_key : how->fresh_keys[SLOT_SECONDARY];
    }
}

/* One is there at least, and none is to be kept that never was. */
static err check_slots_filled(struct putting *w)
{
    struct enrollment *e = &w->e;
    bool is_missing = span_is_absent(e->x509_primary) && span_is_absent(e->x509_secondary);

    for (size_t i = 0; i < SLOTS; i++) {
        is_missing = is_missing || (w->how->keep_slot[i] && span_is_absent(*slot_of(e, i)));
    }
    if (e->x509_source != X509_SOURCE_NONE && is_missing) {
        return core_match_refuse(w->env, REASON_FIELD_INVALID, &w->verdict,
                                 "attestation.%s: a certificate is missing",
                                 model_attestation_word(e->attestation));
    }
    return OK;
}

/* A signing certificate serves one group only. */
static err check_signing(struct putting *w, struct span der, const char *slot)
{
    struct span other;

    TRY(core_anchor_other_group(w->env, w->tx, w->e.id_scope, der, w->e.key, &other));
    if (span_is_absent(other)) {
        return OK;
    }
    return core_match_refuse(w->env, REASON_CERTIFICATE_IN_USE, &w->verdict,
                             "signingCertificates.%s is used by enrollment group %.*s.", slot,
                             SPAN_FMT(other));
}

static err check_reference(struct putting *w, struct span name, const char *slot)
{
    struct certificate c = { .id_scope = w->e.id_scope, .name = name };
    bool is_found;

    TRY(store_find(w->tx, &KIND_CERTIFICATE, &c, w->env->arena, &c, &is_found));
    if (is_found) {
        return OK;
    }
    return core_match_refuse(w->env, REASON_FIELD_INVALID, &w->verdict,
                             "caReferences.%s: there is no certificate of this name.", slot);
}

/* What a slot must be, unless it stays as it was: an enrollment whose CA certificate is gone can
 * still be disabled. */
static err check_changed_slots(struct putting *w, struct enrollment *was)
{
    for (size_t i = 0; i < SLOTS && verdict_is_granted(w->verdict); i++) {
        struct span now = *slot_of(&w->e, i);
        bool is_same = was->x509_source == w->e.x509_source && span_eq(now, *slot_of(was, i));

        if (span_is_absent(now) || is_same) {
            continue;
        }
        if (w->e.x509_source == X509_SOURCE_SIGNING) {
            TRY(check_signing(w, now, slot_words[i]));
        } else if (w->e.x509_source == X509_SOURCE_CA_REFERENCE) {
            TRY(check_reference(w, now, slot_words[i]));
        }
    }
    return OK;
}

/* A group's key leads to no other group. One that is not given is fresh or stored. */
static err check_keys(struct putting *w, const struct enrollment *was)
{
    static const char *const words[SLOTS] = { "primaryKey", "secondaryKey" };
    const struct span given[SLOTS] = { w->given->primary_key, w->given->secondary_key };
    bool is_key_group =
        w->e.kind == ENROLLMENT_GROUP && w->e.attestation == ATTESTATION_SYMMETRIC_KEY;

    for (size_t i = 0; i < SLOTS && is_key_group && verdict_is_granted(w->verdict); i++) {
        struct span other = SPAN_NONE;
        bool is_same = span_eq(given[i], was->primary_key) || span_eq(given[i], was->secondary_key);

        if (!span_is_absent(given[i]) && !is_same) {
            TRY(core_key_groups_other(w->env, w->tx, w->e.id_scope, given[i], w->e.key, &other));
        }
        if (!span_is_absent(other)) {
            TRY(core_match_refuse(w->env, REASON_KEY_IN_USE, &w->verdict,
                                  "symmetricKey.%s is a key of enrollment group %.*s.", words[i],
                                  SPAN_FMT(other)));
        }
    }
    return OK;
}

/* Puts the rows that registration searches by, or takes them away. */
static err keep_index(const struct env *env, struct store_tx *tx, struct enrollment *e,
                      bool is_there)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct span value = *slot_of(e, i);
        struct core_anchor_owner owner = { e->id_scope, ANCHOR_OF_GROUP, e->key, (int64_t)i };
        struct ca_reference ref = { e->id_scope, value, e->kind, e->key, (int64_t)i };

        if (span_is_absent(value)) {
            continue;
        }
        if (e->x509_source == X509_SOURCE_SIGNING) {
            TRY(is_there ? core_anchor_add(env, tx, &owner, value)
                         : core_anchor_drop(env, tx, &owner, value));
        } else if (e->x509_source == X509_SOURCE_CA_REFERENCE) {
            TRY(is_there ? store_put(tx, &KIND_CA_REFERENCE, &ref)
                         : store_delete(tx, &KIND_CA_REFERENCE, &ref));
        }
    }
    return OK;
}

/* Row and indexes, from what was there to what is wanted. */
static err replace(struct putting *w, struct enrollment *was, bool existed)
{
    w->e.created_ms = existed ? was->created_ms : w->env->now_ms;
    if (existed) {
        TRY(keep_index(w->env, w->tx, was, false));
    }
    TRY(keep_index(w->env, w->tx, &w->e, true));
    TRY(core_key_groups_keep(w->env, w->tx, existed ? was : NULL, &w->e));
    return store_put(w->tx, &KIND_ENROLLMENT, &w->e);
}

/* All that may refuse comes before the first change. */
static err put(struct putting *w)
{
    struct enrollment was = { 0 };
    bool existed, is_live;

    TRY(core_instance_is_live(w->env, w->tx, w->e.id_scope, &is_live));
    if (!is_live) {
        w->verdict = VERDICT(RESOURCE_NOT_FOUND);
        return OK;
    }
    TRY(find(w->tx, w->env, w->given, &was, &existed));
    w->verdict.reason = core_match_put(&w->how->match, existed, was.etag);
    if (!verdict_is_granted(w->verdict)) {
        return OK;
    }
    keep_slots(w->how, &was, existed, &w->e);
    keep_keys(w->how, &was, existed, &w->e);
    TRY(check_slots_filled(w));
    TRY(check_changed_slots(w, &was));
    TRY(check_keys(w, &was));
    if (verdict_is_granted(w->verdict) && !span_eq(w->e.iot_hubs, was.iot_hubs)) {
        TRY(core_rules_check_hubs(w->env, w->tx, &w->e, &w->verdict));
    }
    return verdict_is_granted(w->verdict) ? replace(w, &was, existed) : OK;
}

err core_enrollment_put_in(const struct env *env, struct store_tx *tx,
                           const struct core_enrollment_put *how, const struct enrollment *e,
                           struct enrollment *ret_stored, struct verdict *ret_verdict)
{
    struct putting w = { .env = env, .tx = tx, .how = how, .given = e, .e = *e };

    TRY(put(&w));
    if (verdict_is_granted(w.verdict)) {
        *ret_stored = w.e;
    }
    *ret_verdict = w.verdict;
    return OK;
}

static err make_keys(const struct env *env, struct span ret_keys[SLOTS])
{
    for (size_t i = 0; i < SLOTS; i++) {
        uint8_t *key = arena_alloc(env->arena, LIMIT_SYMMETRIC_KEY);

        if (key == NULL) {
            return ERR(NOMEM);
        }
        env->random(key, LIMIT_SYMMETRIC_KEY);
        ret_keys[i] = span_of(key, LIMIT_SYMMETRIC_KEY);
    }
    return OK;
}

err core_enrollment_prepare(const struct env *env, struct core_enrollment_put *how,
                            struct enrollment *e, struct verdict *ret_verdict)
{
    struct enrollment made = *e;
    struct verdict verdict;

    TRY(core_rules_check(env, e, &verdict));
    if (!verdict_is_granted(verdict)) {
        *ret_verdict = verdict;
        return OK;
    }
    TRY(model_fold(env->arena, made.id, &made.key));
    TRY(core_match_new_etag(env, &made.etag));
    if (made.attestation == ATTESTATION_SYMMETRIC_KEY && span_is_absent(made.primary_key)) {
        TRY(make_keys(env, how->fresh_keys));
    }
    made.updated_ms = env->now_ms;
    *e = made;
    *ret_verdict = verdict;
    return OK;
}

/* A transaction of one call. */
struct enrollment_work {
    const struct env *env;
    const struct core_enrollment_put *how;
    const struct core_match *match;
    const struct enrollment *given; /* what is looked for, or wanted */
    struct enrollment e;            /* what is found, or written */
    struct verdict verdict;
};

static err put_one(struct store_tx *tx, void *arg)
{
    struct enrollment_work *w = arg;

    return core_enrollment_put_in(w->env, tx, w->how, w->given, &w->e, &w->verdict);
}

err core_enrollment_put(const struct env *env, const struct core_enrollment_put *how,
                        struct enrollment *e, struct verdict *ret_verdict)
{
    struct core_enrollment_put prepared = *how;
    struct enrollment given = *e;
    struct enrollment_work w = { .env = env, .how = &prepared, .given = &given };

    TRY(core_enrollment_prepare(env, &prepared, &given, &w.verdict));
    if (verdict_is_granted(w.verdict)) {
        TRY(store_write(env->store, put_one, &w));
    }
    if (verdict_is_granted(w.verdict)) {
        *e = w.e;
    }
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- delete, get ---- */

err core_enrollment_delete_in(const struct env *env, struct store_tx *tx,
                              const struct enrollment *key, const struct core_match *match,
                              struct verdict *ret_verdict)
{
    struct enrollment e = { 0 };
    struct verdict v = { 0 };
    bool is_found;

    TRY(find(tx, env, key, &e, &is_found));
    v.reason = core_match_change(match, is_found, e.etag);
    if (verdict_is_granted(v)) {
        TRY(keep_index(env, tx, &e, false));
        TRY(core_key_groups_keep(env, tx, &e, NULL));
        TRY(store_delete(tx, &KIND_ENROLLMENT, &e));
    }
    *ret_verdict = v;
    return OK;
}

static err delete_one(struct store_tx *tx, void *arg)
{
    struct enrollment_work *w = arg;

    return core_enrollment_delete_in(w->env, tx, w->given, w->match, &w->verdict);
}

err core_enrollment_delete(const struct env *env, struct span id_scope, enum enrollment_kind kind,
                           struct span id, const struct core_match *match,
                           struct verdict *ret_verdict)
{
    struct enrollment key = { .id_scope = id_scope, .kind = kind };
    struct enrollment_work w = { .env = env, .match = match, .given = &key };

    TRY(model_fold(env->arena, id, &key.key));
    TRY(store_write(env->store, delete_one, &w));
    *ret_verdict = w.verdict;
    return OK;
}

static err get(struct store_tx *tx, void *arg)
{
    struct enrollment_work *w = arg;
    bool is_found;

    TRY(find(tx, w->env, w->given, &w->e, &is_found));
    w->verdict = is_found ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    return OK;
}

err core_enrollment_get(const struct env *env, struct span id_scope, enum enrollment_kind kind,
                        struct span id, struct enrollment *ret_enrollment,
                        struct verdict *ret_verdict)
{
    struct enrollment key = { .id_scope = id_scope, .kind = kind };
    struct enrollment_work w = { .env = env, .given = &key };

    TRY(model_fold(env->arena, id, &key.key));
    TRY(store_read(env->store, get, &w));
    if (verdict_is_granted(w.verdict)) {
        *ret_enrollment = w.e;
    }
    *ret_verdict = w.verdict;
    return OK;
}
