/* api/dps_tpm.c: TPM members of provisioning's bodies. Knows base64 and names; what the bytes are
 * is attest/'s. */
#include "api/dps_tpm.h"

#include "util/base64.h"
#include "json/writer.h"

static err refuse(struct arena *arena, const char *member, const char *what,
                  struct verdict *ret_verdict)
{
    struct verdict v = VERDICT(FIELD_INVALID);

    TRY(arena_printf(arena, &v.detail, "tpm%s %s.", member, what));
    *ret_verdict = v;
    return OK;
}

/* Empty text is not absent bytes: something was sent. */
static err decode(struct arena *arena, struct span text, const char *member, struct span *ret_bytes,
                  struct verdict *ret_verdict)
{
    struct buf out = arena_buf(arena);
    err e = base64_decode(text, &out);

    if (err_is(e, ERR_MALFORMED)) {
        return refuse(arena, member, "is not base64", ret_verdict);
    }
    TRY(e);
    return arena_buf_end(arena, &out, ret_bytes);
}

static err decode_key(json *tpm, struct arena *arena, const char *name, const char *member,
                      struct span *ret_bytes, struct verdict *ret_verdict)
{
    struct span text = SPAN_NONE;

    if (!err_is_ok(json_get_text(tpm, name, &text))) {
        return refuse(arena, member, "is not text", ret_verdict);
    }
    return span_is_absent(text) ? OK : decode(arena, text, member, ret_bytes, ret_verdict);
}

static err decode_certificates(json *list, struct arena *arena, struct dps_tpm *tpm,
                               struct verdict *ret_verdict)
{
    static const char member[] = ".endorsementCertificates";

    if (list == NULL || json_is_null(list)) {
        return OK;
    }
    if (!json_is_array(list) || json_array_len(list) > LIMIT_CHAIN_CERTIFICATES) {
        return refuse(arena, member, "is not a list of at most 8 certificates", ret_verdict);
    }
    for (size_t i = 0; i < json_array_len(list) && verdict_is_granted(*ret_verdict); i++) {
        struct span text = json_text(json_array_at(list, i));

        if (span_is_empty(text)) {
            return refuse(arena, member, "holds something that is not text", ret_verdict);
        }
        TRY(decode(arena, text, member, &tpm->certificates[i], ret_verdict));
        tpm->n_certificates = i + 1;
    }
    return OK;
}

err dps_tpm_decode(json *tpm, struct arena *arena, struct dps_tpm *ret_tpm,
                   struct verdict *ret_verdict)
{
    struct dps_tpm t = { 0 };
    struct verdict v = VERDICT(GRANTED);

    if (!json_is_object(tpm)) {
        return refuse(arena, "", "is not an object", ret_verdict);
    }
    TRY(decode_key(tpm, arena, "endorsementKey", ".endorsementKey", &t.endorsement_key, &v));
    if (verdict_is_granted(v) && span_is_absent(t.endorsement_key)) {
        return refuse(arena, ".endorsementKey", "is missing", ret_verdict);
    }
    if (verdict_is_granted(v)) {
        TRY(decode_key(tpm, arena, "storageRootKey", ".storageRootKey", &t.storage_root_key, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(decode_certificates(json_member(tpm, "endorsementCertificates"), arena, &t, &v));
    }
    *ret_tpm = t;
    *ret_verdict = v;
    return OK;
}

err dps_tpm_parse_certificates(struct crypto *c, const struct dps_tpm *tpm,
                               struct crypto_cert *ret_certs[LIMIT_CHAIN_CERTIFICATES], size_t *n)
{
    for (*n = 0; *n < tpm->n_certificates; (*n)++) {
        struct span der = tpm->certificates[*n];

        if (der.len > LIMIT_CERTIFICATE_DER) {
            return ERR(MALFORMED);
        }
        TRY(crypto_x509_decode(c, der, &ret_certs[*n]));
    }
    return OK;
}

err dps_tpm_write_challenge(const struct env *env, struct span blob, struct span *ret_body)
{
    struct buf out = arena_buf(env->arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "message", reason_info(REASON_TPM_CHALLENGED)->message);
    json_write_base64(&w, "authenticationKey", blob);
    json_write_str(&w, "keyName", "registration");
    json_write_str(&w, "trackingId", env->tracking_id);
    json_write_end_object(&w);
    return arena_buf_end(env->arena, &out, ret_body);
}
