/* cmd/berth/provision_tpm.c: the requests of TPM attestation, and what their answers ask of the
 * TPM. Knows the order and the JSON; waiting and telling are simulate.c's. */
#include "cmd/berth/provision_tpm.h"

#include "attest/sas.h"
#include "cmd/berth/http.h"
#include "util/base32.h"
#include "util/base64.h"
#include "json/writer.h"

enum {
    TOKEN_LASTS_S = 3600,
    BLOB_MAX = 4096,
    ANSWER_DEPTH = 32,
    RETRY_AFTER_S = 2 /* when the service names no time */
};

err berth_provision_tpm_registration_id(struct crypto *c, struct span endorsement_key,
                                        char ret_id[PROVISION_TPM_REGISTRATION_ID_MAX])
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct buf id = buf_over(ret_id, PROVISION_TPM_REGISTRATION_ID_MAX);

    TRY(crypto_sha256(c, endorsement_key, digest));
    base32_encode_lower(span_of(digest, sizeof(digest)), &id);
    (void)buf_cstr(&id);
    return buf_ok(&id);
}

err berth_provision_tpm_token(struct tpm_client *tpm, struct span resource, struct span key_name,
                              struct buf *out)
{
    int64_t expiry_s = berth_cli_now_ms() / 1000 + TOKEN_LASTS_S;
    uint8_t mac[BERTH_TPM_CLIENT_MAC_LEN];
    char memory[BERTH_TPM_CLIENT_TEXT_MAX];
    struct buf text = buf_over(memory, sizeof(memory));

    sas_signed_text(resource, expiry_s, &text);
    TRY(buf_ok(&text));
    TRY(berth_tpm_client_sign(tpm, buf_span(&text), mac));
    return sas_format(resource, span_of(mac, sizeof(mac)), key_name, expiry_s, out);
}

static err registration_token(const struct provision_tpm *p, const char **ret_token)
{
    char memory[1024];
    struct buf token = buf_over(memory, sizeof(memory));
    const char *resource =
        berth_cli_printf(p->cli, "%s/registrations/%s", p->id_scope, p->registration_id);

    TRY(berth_provision_tpm_token(p->device->tpm, span_str(resource), SPAN("registration"),
                                  &token));
    *ret_token = berth_cli_cstr(p->cli, buf_span(&token));
    return OK;
}

/* {"registrationId":…,"tpm":{"endorsementKey":…,"storageRootKey":…[,"endorsementCertificates":…]}}
 */
static err make_body(const struct provision_tpm *p, struct span *ret_body)
{
    const struct provision_tpm_device *d = p->device;
    struct buf out = arena_buf(&p->cli->arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "registrationId", p->registration_id);
    json_write_begin_object(&w, "tpm");
    json_write_base64(&w, "endorsementKey", berth_tpm_client_endorsement_key(d->tpm));
    json_write_base64(&w, "storageRootKey", berth_tpm_client_storage_root_key(d->tpm));
    if (d->n_certificates > 0) {
        json_write_begin_array(&w, "endorsementCertificates");
        for (size_t i = 0; i < d->n_certificates; i++) {
            json_write_base64(&w, NULL, d->certificates[i]);
        }
        json_write_end_array(&w);
    }
    json_write_end_object(&w);
    json_write_end_object(&w);
    return arena_buf_end(&p->cli->arena, &out, ret_body);
}

static err send(const struct provision_tpm *p, struct http_reply *ret_reply)
{
    struct http_request request = { .method = "PUT", .what = "registration" };
    const char *at =
        berth_cli_printf(p->cli, "/%s/registrations/%s", berth_http_escape(p->cli, p->id_scope),
                         berth_http_escape(p->cli, p->registration_id));

    if (p->step != PROVISION_TPM_CHALLENGE) {
        TRY(registration_token(p, &request.token));
    }
    if (p->step == PROVISION_TPM_POLLING) {
        request.method = "GET";
        request.path =
            berth_cli_printf(p->cli, "%s/operations/%s?api-version=" BERTH_PROVISIONING_API_VERSION,
                             at, berth_http_escape(p->cli, p->result.operation_id));
    } else {
        request.path =
            berth_cli_printf(p->cli, "%s/register?api-version=" BERTH_PROVISIONING_API_VERSION, at);
        TRY(make_body(p, &request.body));
    }
    return berth_http_exchange(p->cli, p->endpoint, &request, ret_reply);
}

/* The member authenticationKey of the object into the TPM. ERR_NOT_FOUND: there is none. */
static err activate(const struct provision_tpm *p, const json *object)
{
    struct span text = json_text(json_member(object, "authenticationKey"));
    uint8_t memory[BLOB_MAX];
    struct buf blob = buf_over(memory, sizeof(memory));

    if (span_is_absent(text)) {
        return err_set(ERR_NOT_FOUND, "the service sent no authentication key");
    }
    if (!err_is_ok(base64_decode(text, &blob))) {
        return err_set(ERR_MALFORMED, "the service's authentication key is not base64");
    }
    return berth_tpm_client_activate(p->device->tpm, buf_span(&blob));
}

/* Has the service decided? The answer to a challenge that is no challenge is a refusal. */
static err take_decision(struct provision_tpm *p, const json *answer)
{
    const json *state = json_member(answer, "registrationState");

    if (p->result.status == BERTH_STATUS_ASSIGNING) {
        p->step = PROVISION_TPM_POLLING;
        return OK;
    }
    if (p->result.status == BERTH_STATUS_ASSIGNED) {
        TRY(activate(p, json_member(state, "tpm")));
        if (p->device->persists) {
            TRY(berth_tpm_client_persist(p->device->tpm));
        }
    }
    p->step = PROVISION_TPM_DONE;
    return OK;
}

static err take_answer(struct provision_tpm *p, const struct http_reply *reply)
{
    AUTO(json) json *answer = NULL;
    struct berth_provisioning_result result;

    if (!err_is_ok(json_parse(reply->body, ANSWER_DEPTH, &answer)) ||
        !err_is_ok(berth_provisioning_decode_body(reply->status, reply->body, &result))) {
        return err_set(ERR_MALFORMED, "the service answered %d, and not as a provisioning service",
                       reply->status);
    }
    result.retry_after_s = reply->retry_after_s ? reply->retry_after_s : RETRY_AFTER_S;
    if (result.operation_id[0] == '\0') {
        memcpy(result.operation_id, p->result.operation_id, sizeof(result.operation_id));
    }
    p->result = result;
    if (reply->status == 429 || reply->status >= 500) {
        return OK; /* the same again, later */
    }
    if (p->step == PROVISION_TPM_CHALLENGE && reply->status == 401) {
        err e = activate(p, answer);

        if (err_is_ok(e)) {
            p->step = PROVISION_TPM_REGISTERING;
            p->result = (struct berth_provisioning_result){ .status = BERTH_STATUS_NONE };
            return OK;
        }
        if (!err_is(e, ERR_NOT_FOUND)) {
            return e;
        }
    }
    return take_decision(p, answer);
}

err berth_provision_tpm_next(struct provision_tpm *p)
{
    struct http_reply reply;

    TRY(send(p, &reply));
    return take_answer(p, &reply);
}
