/* api/enrollment_x509.c: certificates of enrollments. A certificate is kept as DER and given back
 * as X509CertificateInfo alone, as the real service does; so a client that sends back what it got
 * has info without certificate, which means "as before". */
#include "api/enrollment_x509.h"

#include "core/certificate.h"
#include "crypto/x509.h"
#include "crypto/x509_json.h"
#include "model/limits.h"
#include "util/base64.h"

static const char *const slot_names[SLOTS] = { "primary", "secondary" };

static const struct source {
    const char *name;
    enum x509_source source;
    enum enrollment_kind kind; /* 0: either */
} sources[] = {
    { "clientCertificates", X509_SOURCE_CLIENT, ENROLLMENT_INDIVIDUAL },
    { "signingCertificates", X509_SOURCE_SIGNING, ENROLLMENT_GROUP },
    { "caReferences", X509_SOURCE_CA_REFERENCE, 0 },
};
enum { SOURCES = sizeof(sources) / sizeof(sources[0]) };

/* One certificate of an attestation. */
struct place {
    const char *type; /* "x509", "tpm" */
    const struct source *source;
    int slot;
};

static bool is_given(const json *v)
{
    return v != NULL && !json_is_null(v);
}

/* A refusal that names the member. */
static err refuse(const struct env *env, enum reason reason, const struct place *at,
                  const char *what, struct verdict *ret_verdict)
{
    struct verdict v = { .reason = reason };

    TRY(arena_printf(env->arena, &v.detail, "attestation.%s.%s.%s %s.", at->type, at->source->name,
                     slot_names[at->slot], what));
    *ret_verdict = v;
    return OK;
}

static err decode_certificate(const struct env *env, struct span text, struct span *ret_der)
{
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    struct buf out;

    TRY(crypto_x509_decode_any(env->crypto, text, &cert));
    out = arena_buf(env->arena);
    TRY(crypto_x509_encode(cert, &out));
    return arena_buf_end(env->arena, &out, ret_der);
}

/* X = { "certificate"?: text, "info"?: … } */
static err decode_slot(const struct env *env, const struct place *at, const json *value,
                       struct span *ret_der, bool *ret_keep, struct verdict *ret_verdict)
{
    struct span text = SPAN_NONE;
    err e;

    if (!json_is_object(value) || !err_is_ok(json_get_text(value, "certificate", &text))) {
        return refuse(env, REASON_FIELD_INVALID, at, "is not an object with a member 'certificate'",
                      ret_verdict);
    }
    if (span_is_empty(span_trim(text))) {
        *ret_keep = json_is_object(json_member(value, "info"));
        return *ret_keep ? OK
                         : refuse(env, REASON_FIELD_INVALID, at, "has no certificate", ret_verdict);
    }
    e = decode_certificate(env, text, ret_der);
    if (err_is(e, ERR_MALFORMED) || err_is(e, ERR_TOO_LARGE)) {
        return refuse(env, REASON_CERTIFICATE_INVALID, at,
                      "is not a readable X.509 certificate (PEM, or base64 of DER)", ret_verdict);
    }
    return e;
}

static err is_uploaded(const struct env *env, const struct enrollment *e, struct span name,
                       bool *ret_is_uploaded)
{
    struct certificate certificate;
    struct verdict v;

    TRY(core_certificate_get(env, e->id_scope, name, &certificate, &v));
    *ret_is_uploaded = verdict_is_granted(v);
    return OK;
}

/* One SDK sends base64 of the name: the name as it is comes first, then what it decodes to. */
static err resolve_name(const struct env *env, const struct enrollment *e, struct span given,
                        struct span *ret_name)
{
    struct buf out;
    struct span decoded;
    bool is_there;

    TRY(arena_copy(env->arena, given, ret_name));
    TRY(is_uploaded(env, e, *ret_name, &is_there));
    out = arena_buf(env->arena);
    if (is_there || !err_is_ok(base64_decode(given, &out))) {
        return OK;
    }
    TRY(arena_buf_end(env->arena, &out, &decoded));
    TRY(is_uploaded(env, e, decoded, &is_there));
    if (is_there) {
        *ret_name = decoded;
    }
    return OK;
}

static err decode_reference(const struct env *env, const struct enrollment *e,
                            const struct place *at, const json *value, struct span *ret_name,
                            struct verdict *ret_verdict)
{
    struct span given = json_text(value);

    if (span_is_empty(given) || given.len > 2 * LIMIT_CERTIFICATE_NAME) {
        return refuse(env, REASON_FIELD_INVALID, at,
                      "is not the name of an uploaded CA certificate", ret_verdict);
    }
    return resolve_name(env, e, given, ret_name);
}

/* The one member that is given, with its source; NULL and a verdict otherwise. */
static err choose_source(const struct env *env, json *x509, const struct enrollment *e,
                         const struct source **ret_source, struct verdict *ret_verdict)
{
    struct verdict v = VERDICT(FIELD_INVALID);
    const struct source *found = NULL;
    int n = 0;

    for (int i = 0; i < SOURCES; i++) {
        if (is_given(json_member(x509, sources[i].name))) {
            found = &sources[i];
            n++;
        }
    }
    if (n == 1 && (found->kind == 0 || found->kind == e->kind)) {
        *ret_source = found;
        return OK;
    }
    TRY(arena_printf(
        env->arena, &v.detail, "attestation.%s of %s takes exactly one of %s and caReferences.",
        model_attestation_word(e->attestation),
        e->kind == ENROLLMENT_GROUP ? "an enrollment group" : "an individual enrollment",
        e->kind == ENROLLMENT_GROUP ? "signingCertificates" : "clientCertificates"));
    *ret_source = NULL;
    *ret_verdict = v;
    return OK;
}

err enrollment_x509_decode(const struct env *env, json *x509, struct enrollment *e,
                           bool ret_keep_slot[SLOTS], struct verdict *ret_verdict)
{
    struct span *slots[SLOTS] = { &e->x509_primary, &e->x509_secondary };
    struct verdict v = VERDICT(GRANTED);
    const struct source *s = NULL;
    struct place at = { .type = model_attestation_word(e->attestation) };
    bool is_empty = true;
    json *pair;

    TRY(choose_source(env, x509, e, &s, ret_verdict));
    if (s == NULL) {
        return OK;
    }
    at.source = s;
    pair = json_member(x509, s->name);
    e->x509_source = s->source;
    for (int i = 0; i < SLOTS && verdict_is_granted(v); i++) {
        json *value = json_member(pair, slot_names[i]);

        at.slot = i;
        ret_keep_slot[i] = false;
        *slots[i] = SPAN_NONE;
        if (!is_given(value)) {
            continue;
        }
        is_empty = false;
        if (s->source == X509_SOURCE_CA_REFERENCE) {
            TRY(decode_reference(env, e, &at, value, slots[i], &v));
        } else {
            TRY(decode_slot(env, &at, value, slots[i], &ret_keep_slot[i], &v));
        }
    }
    if (is_empty) {
        at.slot = SLOT_PRIMARY;
        return refuse(env, REASON_FIELD_INVALID, &at, "is missing", ret_verdict);
    }
    *ret_verdict = v;
    return OK;
}

/* ---- writing ---- */

static err write_info(const struct env *env, struct span der, struct json_writer *w)
{
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;

    if (!err_is_ok(crypto_x509_decode(env->crypto, der, &cert))) {
        return err_set(ERR_CORRUPT, "an enrollment's certificate is not DER");
    }
    json_write_begin_object(w, "info");
    TRY(crypto_x509_json_info(cert, w));
    json_write_end_object(w);
    return OK;
}

err enrollment_x509_write(const struct env *env, const struct enrollment *e, const char *name,
                          struct json_writer *w)
{
    struct span slots[SLOTS] = { e->x509_primary, e->x509_secondary };

    json_write_begin_object(w, name);
    for (int i = 0; i < SOURCES; i++) {
        if (sources[i].source != e->x509_source) {
            continue;
        }
        json_write_begin_object(w, sources[i].name);
        for (int k = 0; k < SLOTS; k++) {
            if (span_is_absent(slots[k])) {
                continue;
            }
            if (e->x509_source == X509_SOURCE_CA_REFERENCE) {
                json_write_text(w, slot_names[k], slots[k]);
                continue;
            }
            json_write_begin_object(w, slot_names[k]);
            TRY(write_info(env, slots[k], w));
            json_write_end_object(w);
        }
        json_write_end_object(w);
    }
    json_write_end_object(w);
    return OK;
}
