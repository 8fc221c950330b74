/* api/enrollment_tpm.c: TPMs in enrollments. An endorsement key is no secret: it is given back as
 * it came. */
#include "api/enrollment_tpm.h"

#include "api/enrollment_x509.h"
#include "util/base64.h"

static err refuse(const struct env *env, const char *member, const char *what,
                  struct verdict *ret_verdict)
{
    struct verdict v = VERDICT(FIELD_INVALID);

    TRY(arena_printf(env->arena, &v.detail, "attestation.tpm%s %s.", member, what));
    *ret_verdict = v;
    return OK;
}

static err decode_key(const struct env *env, json *tpm, const char *member, struct span *ret_key,
                      struct verdict *ret_verdict)
{
    struct span text = SPAN_NONE;
    struct buf out;
    err e;

    if (!err_is_ok(json_get_text(tpm, member + 1, &text))) {
        return refuse(env, member, "is not text", ret_verdict);
    }
    if (span_is_empty(span_trim(text))) {
        return OK;
    }
    out = arena_buf(env->arena);
    e = base64_decode(text, &out);
    if (err_is(e, ERR_MALFORMED)) {
        return refuse(env, member, "is not base64", ret_verdict);
    }
    TRY(e);
    return arena_buf_end(env->arena, &out, ret_key);
}

err enrollment_tpm_decode(const struct env *env, json *tpm, struct enrollment *e,
                          bool ret_keep_slot[SLOTS], struct verdict *ret_verdict)
{
    *ret_verdict = VERDICT(GRANTED);
    if (!json_is_object(tpm)) {
        return refuse(env, "", "is missing", ret_verdict);
    }
    if (e->kind == ENROLLMENT_GROUP) {
        return enrollment_x509_decode(env, tpm, e, ret_keep_slot, ret_verdict);
    }
    TRY(decode_key(env, tpm, ".endorsementKey", &e->endorsement_key, ret_verdict));
    if (verdict_is_granted(*ret_verdict) && span_is_absent(e->endorsement_key)) {
        return refuse(env, ".endorsementKey", "is missing", ret_verdict);
    }
    return verdict_is_granted(*ret_verdict)
               ? decode_key(env, tpm, ".storageRootKey", &e->storage_root_key, ret_verdict)
               : OK;
}

err enrollment_tpm_write(const struct env *env, const struct enrollment *e, struct json_writer *w)
{
    if (e->kind == ENROLLMENT_GROUP) {
        return enrollment_x509_write(env, e, "tpm", w);
    }
    json_write_begin_object(w, "tpm");
    json_write_base64(w, "endorsementKey", e->endorsement_key);
    if (!span_is_absent(e->storage_root_key)) {
        json_write_base64(w, "storageRootKey", e->storage_root_key);
    }
    json_write_end_object(w);
    return OK;
}
