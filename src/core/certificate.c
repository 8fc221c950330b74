/* core/certificate.c: uploaded CA certificates and the proof of their possession. Certificates are
 * parsed and signatures checked on the caller's thread; the transaction sees that nothing changed
 * meanwhile. */
#include "core/certificate.h"

#include "core/anchor.h"
#include "core/instance.h"
#include "core/match.h"
#include "crypto/x509.h"
#include "model/limits.h"
#include "util/hex.h"

struct certificate_work {
    const struct env *env;
    const struct core_match *match;
    bool is_forced;
    const struct certificate *given; /* the row as it shall be; not changed by the transaction */
    struct certificate c;            /* the row as read, then as written */
    bool is_found;
    struct verdict verdict;
};

static err find(struct store_tx *tx, struct certificate_work *w)
{
    return store_find(tx, &KIND_CERTIFICATE, &w->c, w->env->arena, &w->c, &w->is_found);
}

static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t b = name.data[i];
        bool is_letter = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');

        if (!is_letter && !(b >= '0' && b <= '9') && b != '-' && b != '.' && b != '_') {
            return false;
        }
    }
    return name.len >= 1 && name.len <= LIMIT_CERTIFICATE_NAME;
}

/* ---- put ---- */

static err decode(const struct env *env, struct span text, struct crypto_cert **ret_cert,
                  struct verdict *ret_verdict)
{
    err e = crypto_x509_decode_any(env->crypto, text, ret_cert);

    *ret_verdict = VERDICT(GRANTED);
    if (err_is(e, ERR_MALFORMED)) {
        return core_match_refuse(env, REASON_CERTIFICATE_INVALID, ret_verdict,
                                 "It is no X.509 certificate that can be read.");
    }
    return e;
}

static err check_ca(const struct env *env, const struct crypto_cert *cert,
                    const struct crypto_x509_info *info, struct span der,
                    struct verdict *ret_verdict)
{
    if (!crypto_x509_is_ca(cert)) {
        return core_match_refuse(env, REASON_CERTIFICATE_INVALID, ret_verdict,
                                 "It is no CA certificate: its basic constraints lack CA:TRUE.");
    }
    if (info->not_after_ms < env->now_ms) {
        return core_match_refuse(env, REASON_CERTIFICATE_INVALID, ret_verdict, "It has expired.");
    }
    if (der.len > LIMIT_CERTIFICATE_DER) {
        return core_match_refuse(env, REASON_CERTIFICATE_INVALID, ret_verdict, "It is too large.");
    }
    return OK;
}

static err copy_digests(const struct env *env, const struct crypto_cert *cert,
                        struct certificate *c)
{
    uint8_t sha1[CRYPTO_SHA1_LEN], sha256[CRYPTO_SHA256_LEN];

    TRY(crypto_x509_sha1(cert, sha1));
    TRY(crypto_x509_sha256(cert, sha256));
    TRY(arena_copy(env->arena, span_of(sha1, sizeof sha1), &c->sha1));
    return arena_copy(env->arena, span_of(sha256, sizeof sha256), &c->sha256);
}

/* All of the row that follows from the certificate. */
static err describe(const struct env *env, struct span text, struct certificate *c,
                    struct verdict *ret_verdict)
{
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    struct crypto_x509_info info;
    struct buf out;

    TRY(decode(env, text, &cert, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    out = arena_buf(env->arena);
    TRY(crypto_x509_encode(cert, &out));
    TRY(arena_buf_end(env->arena, &out, &c->der));
    out = arena_buf(env->arena);
    crypto_x509_subject(cert, &out);
    TRY(arena_buf_end(env->arena, &out, &c->subject));
    TRY(copy_digests(env, cert, c));
    TRY(crypto_x509_info(cert, &info));
    c->not_after_ms = info.not_after_ms;
    return check_ca(env, cert, &info, c->der, ret_verdict);
}

static struct core_anchor_owner anchor_owner(const struct certificate *c)
{
    return (struct core_anchor_owner){ .id_scope = c->id_scope,
                                       .type = ANCHOR_OF_CERTIFICATE,
                                       .owner = c->name };
}

static err is_live(struct certificate_work *w, struct store_tx *tx, bool *ret_is)
{
    struct hub hub = { .host_name = w->given->id_scope };

    if (model_may_be_id_scope(w->given->id_scope)) {
        return core_instance_is_live(w->env, tx, w->given->id_scope, ret_is);
    }
    TRY(store_find(tx, &KIND_HUB, &hub, w->env->arena, &hub, ret_is));
    *ret_is = *ret_is && hub.life == LIFE_ACTIVE;
    return OK;
}

/* There is room for one more, and someone to have it. */
static err check_new(struct certificate_work *w, struct store_tx *tx)
{
    struct certificate prefix = { .id_scope = w->given->id_scope };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 1 };
    int most =
        model_may_be_id_scope(w->given->id_scope) ? LIMIT_CERTIFICATES : LIMIT_HUB_CERTIFICATES;
    bool is_there;
    int64_t n;

    TRY(is_live(w, tx, &is_there));
    TRY(store_count(tx, &KIND_CERTIFICATE, &scan, &n));
    if (!is_there) {
        w->verdict = VERDICT(RESOURCE_NOT_FOUND);
    } else if (n >= most) {
        return core_match_refuse(w->env, REASON_QUOTA_EXCEEDED, &w->verdict,
                                 "CA certificates: at most %d.", most);
    }
    return OK;
}

static err put(struct store_tx *tx, void *arg)
{
    struct certificate_work *w = arg;
    struct core_anchor_owner owner = anchor_owner(w->given);
    struct certificate was;

    w->c = *w->given;
    TRY(find(tx, w));
    was = w->c;
    w->verdict = (struct verdict){ .reason = core_match_put(w->match, w->is_found, was.etag) };
    if (verdict_is_granted(w->verdict) && !w->is_found) {
        TRY(check_new(w, tx));
    }
    if (!verdict_is_granted(w->verdict)) {
        return OK;
    }
    w->c = *w->given;
    if (w->is_found) {
        w->c.created_ms = was.created_ms;
        if (span_eq(was.sha256, w->c.sha256)) {
            w->c.is_verified = w->c.is_verified || was.is_verified;
            w->c.verification_code = was.verification_code;
        }
        TRY(core_anchor_drop(w->env, tx, &owner, was.der));
    }
    TRY(core_anchor_add(w->env, tx, &owner, w->c.der));
    return store_put(tx, &KIND_CERTIFICATE, &w->c);
}

err core_certificate_put(const struct env *env, struct span id_scope, struct span name,
                         struct span text, bool verified, const struct core_match *match,
                         struct certificate *ret_certificate, struct verdict *ret_verdict)
{
    struct certificate given = { .id_scope = id_scope,
                                 .name = name,
                                 .is_verified = verified,
                                 .created_ms = env->now_ms,
                                 .updated_ms = env->now_ms };
    struct certificate_work w = { .env = env, .match = match, .given = &given };

    if (!is_name(name)) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "name: up to %d of A-Z a-z 0-9 - . _", LIMIT_CERTIFICATE_NAME);
    }
    TRY(describe(env, text, &given, &w.verdict));
    if (verdict_is_granted(w.verdict)) {
        TRY(core_match_new_etag(env, &given.etag));
        TRY(store_write(env->store, put, &w));
    }
    if (verdict_is_granted(w.verdict)) {
        *ret_certificate = w.c;
    }
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- get, list, delete ---- */

static err read_one(struct store_tx *tx, void *arg)
{
    return find(tx, arg);
}

err core_certificate_get(const struct env *env, struct span id_scope, struct span name,
                         struct certificate *ret_certificate, struct verdict *ret_verdict)
{
    struct certificate_work w = { .env = env, .c = { .id_scope = id_scope, .name = name } };

    TRY(store_read(env->store, read_one, &w));
    if (w.is_found) {
        *ret_certificate = w.c;
    }
    *ret_verdict = w.is_found ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    return OK;
}

struct certificate_page {
    const struct env *env;
    struct store_scan scan;
    struct certificate *rows;
    size_t n;
};

static err read_page(struct store_tx *tx, void *arg)
{
    struct certificate_page *p = arg;

    return store_scan(tx, &KIND_CERTIFICATE, &p->scan, p->env->arena, &p->rows, &p->n);
}

err core_certificate_list(const struct env *env, struct span id_scope, struct span after,
                          size_t limit, struct certificate **ret_rows, size_t *ret_n)
{
    struct certificate prefix = { .id_scope = id_scope };
    struct certificate behind = { .id_scope = id_scope, .name = after };
    struct certificate_page p = {
        .env = env,
        .scan = { .prefix = &prefix,
                  .n_prefix = 1,
                  .after = span_is_absent(after) ? NULL : &behind,
                  .limit = limit },
    };

    TRY(store_read(env->store, read_page, &p));
    *ret_rows = p.rows;
    *ret_n = p.n;
    return OK;
}

/* Refuses while an enrollment refers to it. */
static err check_unused(struct store_tx *tx, struct certificate_work *w)
{
    struct ca_reference prefix = { .id_scope = w->c.id_scope, .certificate = w->c.name };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 2, .limit = 1 };
    struct ca_reference *refs;
    size_t n;

    TRY(store_scan(tx, &KIND_CA_REFERENCE, &scan, w->env->arena, &refs, &n));
    if (n == 0) {
        return OK;
    }
    return core_match_refuse(w->env, REASON_CERTIFICATE_IN_USE, &w->verdict, "%s %.*s does.",
                             refs[0].enrollment_kind == ENROLLMENT_GROUP ? "Enrollment group"
                                                                         : "Enrollment",
                             SPAN_FMT(refs[0].enrollment));
}

static err drop(struct store_tx *tx, void *arg)
{
    struct certificate_work *w = arg;
    struct core_anchor_owner owner;

    TRY(find(tx, w));
    w->verdict = (struct verdict){ .reason = core_match_change(w->match, w->is_found, w->c.etag) };
    if (verdict_is_granted(w->verdict) && !w->is_forced) {
        TRY(check_unused(tx, w));
    }
    if (!verdict_is_granted(w->verdict)) {
        return OK;
    }
    owner = anchor_owner(&w->c);
    TRY(core_anchor_drop(w->env, tx, &owner, w->c.der));
    return store_delete(tx, &KIND_CERTIFICATE, &w->c);
}

err core_certificate_delete(const struct env *env, struct span id_scope, struct span name,
                            bool force, const struct core_match *match, struct verdict *ret_verdict)
{
    struct certificate_work w = {
        .env = env, .match = match, .is_forced = force, .c = { .id_scope = id_scope, .name = name }
    };

    TRY(store_write(env->store, drop, &w));
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- proof of possession ---- */

/* Writes what the operator asked for onto the stored row; a row that is another one than was looked
 * at is left alone. */
static err change(struct store_tx *tx, void *arg)
{
    struct certificate_work *w = arg;

    w->c = *w->given;
    TRY(find(tx, w));
    w->verdict = (struct verdict){ .reason = core_match_change(w->match, w->is_found, w->c.etag) };
    if (!verdict_is_granted(w->verdict)) {
        return OK;
    }
    w->c.verification_code = w->given->verification_code;
    w->c.is_verified = w->c.is_verified || w->given->is_verified;
    w->c.etag = w->given->etag;
    w->c.updated_ms = w->env->now_ms;
    return store_put(tx, &KIND_CERTIFICATE, &w->c);
}

err core_certificate_generate_code(const struct env *env, struct span id_scope, struct span name,
                                   const struct core_match *match,
                                   struct certificate *ret_certificate, struct verdict *ret_verdict)
{
    uint8_t random[LIMIT_VERIFICATION_CODE_BYTES];
    struct certificate given = { .id_scope = id_scope, .name = name };
    struct certificate_work w = { .env = env, .match = match, .given = &given };
    struct buf code = arena_buf(env->arena);

    env->random(random, sizeof random);
    hex_encode_upper(span_of(random, sizeof random), &code);
    TRY(arena_buf_end(env->arena, &code, &given.verification_code));
    TRY(core_match_new_etag(env, &given.etag));
    TRY(store_write(env->store, change, &w));
    if (verdict_is_granted(w.verdict)) {
        *ret_certificate = w.c;
    }
    *ret_verdict = w.verdict;
    return OK;
}

static err refuse_proof(const struct env *env, struct verdict *ret_verdict, const char *text)
{
    return core_match_refuse(env, REASON_VERIFICATION_FAILED, ret_verdict, "%s", text);
}

/* Reference dps-service-api.md 8.3: signed by the CA's key, and its CN is the code. */
static err check_proof(const struct env *env, const struct certificate *c, struct span text,
                       struct verdict *ret_verdict)
{
    AUTO(crypto_cert) struct crypto_cert *proof = NULL;
    AUTO(crypto_cert) struct crypto_cert *ca = NULL;
    uint8_t room[LIMIT_REGISTRATION_ID];
    struct buf cn = buf_over(room, sizeof room);
    struct crypto_x509_info info;

    if (span_is_absent(c->verification_code)) {
        return refuse_proof(env, ret_verdict, "Ask for a verification code first.");
    }
    TRY(decode(env, text, &proof, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    if (!err_is_ok(crypto_x509_common_name(proof, &cn)) ||
        !span_eq(buf_span(&cn), c->verification_code)) {
        return refuse_proof(env, ret_verdict, "Its subject CN is not the verification code.");
    }
    TRY(crypto_x509_info(proof, &info));
    if (env->now_ms < info.not_before_ms || env->now_ms > info.not_after_ms) {
        return refuse_proof(env, ret_verdict, "It is outside its validity dates.");
    }
    TRY(crypto_x509_decode(env->crypto, c->der, &ca));
    if (!crypto_x509_is_signed_by(env->crypto, proof, ca)) {
        return refuse_proof(env, ret_verdict, "It is not signed by the CA's key.");
    }
    return OK;
}

err core_certificate_verify(const struct env *env, struct span id_scope, struct span name,
                            struct span text, const struct core_match *match,
                            struct certificate *ret_certificate, struct verdict *ret_verdict)
{
    struct core_match unchanged = { .is_given = true };
    struct certificate given;
    struct certificate_work w = { .env = env,
                                  .match = &unchanged,
                                  .given = &given,
                                  .c = { .id_scope = id_scope, .name = name } };

    TRY(store_read(env->store, read_one, &w));
    w.verdict = (struct verdict){ .reason = core_match_change(match, w.is_found, w.c.etag) };
    if (verdict_is_granted(w.verdict)) {
        TRY(check_proof(env, &w.c, text, &w.verdict));
    }
    if (verdict_is_granted(w.verdict)) {
        unchanged.etag = w.c.etag;
        given = w.c;
        given.is_verified = 1;
        given.verification_code = SPAN_NONE;
        TRY(core_match_new_etag(env, &given.etag));
        TRY(store_write(env->store, change, &w));
    }
    if (verdict_is_granted(w.verdict)) {
        *ret_certificate = w.c;
    }
    *ret_verdict = w.verdict;
    return OK;
}
