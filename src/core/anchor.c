/* core/anchor.c: rows of KIND_ANCHOR. Knows how a certificate becomes one; which certificates are
 * anchors is decided by their owners. */
#include "core/anchor.h"

#include "crypto/x509.h"
#include "model/limits.h"

static err digest(const struct env *env, struct span der, struct span *ret_sha256)
{
    uint8_t *bytes = arena_alloc(env->arena, CRYPTO_SHA256_LEN);

    if (bytes == NULL) {
        return ERR(NOMEM);
    }
    TRY(crypto_sha256(env->crypto, der, bytes));
    *ret_sha256 = span_of(bytes, CRYPTO_SHA256_LEN);
    return OK;
}

err core_anchor_add(const struct env *env, struct store_tx *tx,
                    const struct core_anchor_owner *owner, struct span der)
{
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    struct anchor row = { .id_scope = owner->id_scope,
                          .owner_type = owner->type,
                          .owner = owner->owner,
                          .slot = owner->slot,
                          .der = der };

    TRY(crypto_x509_decode(env->crypto, der, &cert));
    row.subject_hash = crypto_x509_subject_hash(env->crypto, cert);
    TRY(digest(env, der, &row.sha256));
    return store_put(tx, &KIND_ANCHOR, &row);
}

/* All rows of one certificate, whoever owns them. */
static err rows_of(const struct env *env, struct store_tx *tx, struct span id_scope,
                   struct span der, struct anchor **ret_rows, size_t *ret_n)
{
    struct anchor prefix = { .id_scope = id_scope };
    struct store_scan scan = {
        .index = ANCHOR_BY_SHA256, .prefix = &prefix, .n_prefix = 2, .limit = LIMIT_PAGE
    };

    TRY(digest(env, der, &prefix.sha256));
    return store_scan(tx, &KIND_ANCHOR, &scan, env->arena, ret_rows, ret_n);
}

err core_anchor_drop(const struct env *env, struct store_tx *tx,
                     const struct core_anchor_owner *owner, struct span der)
{
    struct anchor *rows;
    size_t n;

    TRY(rows_of(env, tx, owner->id_scope, der, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if (rows[i].owner_type == owner->type && span_eq(rows[i].owner, owner->owner) &&
            rows[i].slot == owner->slot) {
            TRY(store_delete(tx, &KIND_ANCHOR, &rows[i]));
        }
    }
    return OK;
}

err core_anchor_other_group(const struct env *env, struct store_tx *tx, struct span id_scope,
                            struct span der, struct span group, struct span *ret_other)
{
    struct anchor *rows;
    size_t n;

    *ret_other = SPAN_NONE;
    TRY(rows_of(env, tx, id_scope, der, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if (rows[i].owner_type == ANCHOR_OF_GROUP && !span_eq(rows[i].owner, group)) {
            *ret_other = rows[i].owner;
        }
    }
    return OK;
}
