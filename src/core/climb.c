/* core/climb.c: from a leaf upward through issuers, sent by the device or stored: group signing
 * certificates and uploaded CA certificates alike, whether or not a group uses the latter, so that
 * a device may send its leaf alone. Knows names and key identifiers; signatures are checked when a
 * candidate is judged. Bounded in height, width and count; a certificate is climbed over once, so
 * loops end. */
#include "core/climb.h"

#include <assert.h>

#include "crypto/cert_cache.h"

void core_climb_start(struct core_climb *c, struct crypto_cert *const *chain, size_t n_chain)
{
    assert(n_chain <= LIMIT_CHAIN_CERTIFICATES);
    c->chain = chain;
    c->n_chain = n_chain;
    for (size_t i = 0; i < n_chain; i++) {
        c->certs[i] = chain[i];
    }
    c->n_certs = n_chain;
    c->level_of[0] = 1;
    c->level = 1;
}

void core_climb_done(struct core_climb *c)
{
    for (size_t i = 0; i < c->n_kept; i++) {
        crypto_x509_free(c->kept[i]);
    }
    c->n_kept = 0;
}

bool core_climb_may_rise(struct core_climb *c)
{
    bool is_any = false;

    for (size_t i = 0; i < c->n_certs; i++) {
        is_any = is_any || (c->level_of[i] == c->level && !crypto_x509_is_self_issued(c->certs[i]));
    }
    /* The leaf is level 1 and needs none between; the anchor is one more. */
    if (is_any && c->level > LIMIT_PATH_DEPTH + 1) {
        c->is_cut_short = true;
        return false;
    }
    return is_any;
}

err core_climb_keep(struct core_climb *c, struct span sha256, struct span der,
                    struct crypto_cert **ret_cert)
{
    struct crypto_cert *cert;
    err e = crypto_cert_cache_get(c->env->certs, sha256, der, &cert);

    if (err_is(e, ERR_MALFORMED)) {
        return err_set(ERR_CORRUPT, "a stored CA certificate cannot be parsed");
    }
    TRY(e);
    /* The cache may drop what it lent while the climb goes on. */
    assert(c->n_kept < sizeof c->kept / sizeof *c->kept);
    *ret_cert = c->kept[c->n_kept++] = crypto_x509_ref(cert);
    return OK;
}

/* Marks a certificate as reached, adding it when it is new. */
static void reach(struct core_climb *c, struct crypto_cert *cert)
{
    size_t i = 0;

    while (i < c->n_certs && c->certs[i] != cert && !crypto_x509_equal(c->certs[i], cert)) {
        i++;
    }
    if (i == c->n_certs) {
        assert(c->n_certs < LIMIT_TRUST_CERTIFICATES);
        c->certs[c->n_certs++] = cert;
    }
    if (c->level_of[i] == 0) {
        c->level_of[i] = c->level + 1;
    }
}

static bool is_full(struct core_climb *c)
{
    c->is_cut_short = c->is_cut_short || c->n_certs == LIMIT_TRUST_CERTIFICATES ||
                      c->n_kept >= LIMIT_TRUST_CERTIFICATES;
    return c->is_cut_short;
}

static struct core_considered *consider(struct core_climb *c)
{
    struct core_found *f = c->found;

    return f->n_considered < CORE_CONSIDERED_MAX ? &f->considered[f->n_considered++] : NULL;
}

static err describe_anchor(struct core_climb *c, const struct attest_anchor *anchor,
                           struct core_considered *entry)
{
    struct buf subject = arena_buf(c->env->arena);

    crypto_x509_subject(anchor->cert, &subject);
    TRY(arena_buf_end(c->env->arena, &subject, &entry->anchor_subject));
    entry->anchor_sha256 = anchor->sha256;
    entry->anchor_source = anchor->source;
    return OK;
}

err core_climb_consider(struct core_climb *c, const char *kind, struct span id,
                        const struct attest_judgement *j)
{
    struct core_considered *entry = consider(c);

    if (entry == NULL) {
        return OK;
    }
    *entry = (struct core_considered){
        .kind = kind, .id = id, .outcome = j->verdict.reason, .why = j->why
    };
    return j->anchor == NULL ? OK : describe_anchor(c, j->anchor, entry);
}

/* A stored certificate that was looked at without a group to judge. */
static err consider_alone(struct core_climb *c, const struct anchor *row,
                          const struct crypto_cert *cert, enum reason outcome, const char *why)
{
    struct core_considered *entry = consider(c);
    bool is_group = row->owner_type == ANCHOR_OF_GROUP;
    struct attest_anchor looked_at = {
        .cert = cert,
        .sha256 = row->sha256,
        .source = is_group ? "signing certificate" : "uploaded certificate",
    };

    if (entry == NULL) {
        return OK;
    }
    *entry = (struct core_considered){
        .kind = is_group ? "group" : "certificate", .id = row->owner, .outcome = outcome, .why = why
    };
    return describe_anchor(c, &looked_at, entry);
}

static void add_candidate(struct core_climb *c, struct span group, struct attest_anchor anchor)
{
    if (c->n_candidates == LIMIT_ANCHORS_PER_ISSUER) {
        c->is_cut_short = true;
        return;
    }
    c->candidates[c->n_candidates++] = (struct core_candidate){ .group = group, .anchor = anchor };
}

/* The groups that refer to an uploaded certificate. */
static err add_referring_groups(struct core_climb *c, const struct anchor *row,
                                struct crypto_cert *cert)
{
    struct ca_reference prefix = { .id_scope = c->id_scope,
                                   .certificate = row->owner,
                                   .enrollment_kind = ENROLLMENT_GROUP };
    struct store_scan scan = { .prefix = &prefix,
                               .n_prefix = 3,
                               .limit = LIMIT_ANCHORS_PER_ISSUER };
    struct certificate uploaded = { .id_scope = c->id_scope, .name = row->owner };
    struct ca_reference *refs;
    size_t n;

    TRY(store_scan(c->tx, &KIND_CA_REFERENCE, &scan, c->env->arena, &refs, &n));
    c->is_cut_short = c->is_cut_short || n == LIMIT_ANCHORS_PER_ISSUER;
    if (n == 0) {
        return consider_alone(c, row, cert, REASON_ISSUER_UNKNOWN,
                              "no enrollment group refers to it");
    }
    TRY(store_get(c->tx, &KIND_CERTIFICATE, &uploaded, c->env->arena, &uploaded));
    for (size_t i = 0; i < n; i++) {
        add_candidate(c, refs[i].enrollment,
                      (struct attest_anchor){ .cert = cert,
                                              .sha256 = row->sha256,
                                              .usable = uploaded.is_verified != 0,
                                              .source = "CA reference" });
    }
    return OK;
}

/* One stored certificate whose subject has the hash of the issuer's name. */
static err look_at_stored(struct core_climb *c, const struct crypto_cert *cert,
                          const struct anchor *row, bool is_judging)
{
    struct crypto_cert *stored;

    TRY(core_climb_keep(c, row->sha256, row->der, &stored));
    if (!crypto_x509_may_have_issued(stored, cert)) {
        c->has_lookalike = true;
        return is_judging ? consider_alone(c, row, stored, REASON_CERTIFICATE_BAD_SIGNATURE,
                                           "it has the issuer's name but another key")
                          : OK;
    }
    reach(c, stored);
    if (!is_judging) {
        return OK;
    }
    if (row->owner_type == ANCHOR_OF_CERTIFICATE) {
        return add_referring_groups(c, row, stored);
    }
    add_candidate(c, row->owner,
                  (struct attest_anchor){ .cert = stored,
                                          .sha256 = row->sha256,
                                          .usable = true,
                                          .source = "signing certificate" });
    return OK;
}

static err look_for_issuers(struct core_climb *c, const struct crypto_cert *cert, bool is_judging)
{
    struct anchor prefix = { .id_scope = c->id_scope,
                             .subject_hash = crypto_x509_issuer_hash(c->env->crypto, cert) };
    struct store_scan scan = { .prefix = &prefix,
                               .n_prefix = 2,
                               .limit = LIMIT_ANCHORS_PER_ISSUER };
    struct anchor *rows;
    size_t n;

    TRY(store_scan(c->tx, &KIND_ANCHOR, &scan, c->env->arena, &rows, &n));
    c->is_cut_short = c->is_cut_short || n == LIMIT_ANCHORS_PER_ISSUER;
    for (size_t i = 0; i < n && !is_full(c); i++) {
        TRY(look_at_stored(c, cert, &rows[i], is_judging));
    }
    for (size_t i = 1; i < c->n_chain; i++) {
        if (c->level_of[i] == 0 && crypto_x509_may_have_issued(c->chain[i], cert)) {
            c->level_of[i] = c->level + 1;
        }
    }
    return OK;
}

static err rise(struct core_climb *c, bool is_judging)
{
    size_t n = c->n_certs; /* what is reached now is of the next level */

    c->n_candidates = 0;
    c->has_lookalike = false;
    for (size_t i = 0; i < n; i++) {
        if (c->level_of[i] == c->level && !crypto_x509_is_self_issued(c->certs[i])) {
            TRY(look_for_issuers(c, c->certs[i], is_judging));
        }
    }
    c->level++;
    return OK;
}

err core_climb_rise(struct core_climb *c)
{
    return rise(c, true);
}

err core_climb_collect(struct core_climb *c)
{
    while (core_climb_may_rise(c)) {
        TRY(rise(c, false));
    }
    return OK;
}
