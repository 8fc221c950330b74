/* api/manage_decision.c: why a device was granted or refused: stored decisions, and what would be
 * decided on a certificate (doc/wire/manage.md). */
#include "api/decision_json.h"
#include "api/dps.h"
#include "api/manage_http.h"
#include "core/core.h"
#include "core/enrollment.h"
#include "model/limits.h"

err manage_decision_get(struct http_call *call)
{
    struct instance instance;
    struct decision_row row;
    struct verdict v;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(http_call_authorize_instance(call, RIGHT_REGISTRATION_STATUS_READ, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_decision_get(call->env, instance.id_scope, call->params[0], &row, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    out = http_call_body_room(call);
    decision_json_write(&row, &w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

err manage_decision_list(struct http_call *call)
{
    struct instance instance;
    struct decision_row *rows = NULL;
    size_t n = 0;
    int64_t top = LIMIT_DECISIONS_TOP_DEFAULT;
    struct span id, top_text;
    struct verdict v;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(http_call_authorize_instance(call, RIGHT_REGISTRATION_STATUS_READ, &instance, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(http_call_query(call, SPAN("registrationId"), &id));
    TRY(http_call_query(call, SPAN("top"), &top_text));
    if (span_is_empty(id)) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID, "registrationId is missing.");
    }
    if ((!span_is_absent(top_text) && !span_parse_int(top_text, &top)) || top < 1 ||
        top > LIMIT_DECISIONS_TOP) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID, "top is not between 1 and %d.",
                                     LIMIT_DECISIONS_TOP);
    }
    call->note->id = id;
    TRY(core_decision_list(call->env, instance.id_scope, id, (size_t)top, &rows, &n));
    out = http_call_body_room(call);
    json_write_begin_object(&w, NULL);
    json_write_begin_array(&w, "value");
    for (size_t i = 0; i < n; i++) {
        decision_json_write(&rows[i], &w);
    }
    json_write_end_array(&w);
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

/* ---- explain ---- */

struct chain {
    struct crypto_cert *certs[LIMIT_CHAIN_CERTIFICATES];
    size_t n;
};

static void free_chain(struct chain *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        crypto_x509_free(chain->certs[i]);
    }
    chain->n = 0;
}
AUTO_DEFINE(chain, struct chain *, free_chain)

static size_t find_text(struct span s, struct span wanted)
{
    for (size_t i = 0; i + wanted.len <= s.len; i++) {
        if (span_starts_with(span_from(s, i), wanted)) {
            return i;
        }
    }
    return s.len;
}

/* The next PEM block, without the text that tools print around it; all of it when there is none.
 * *rest is empty behind the last. */
static struct span cut_pem(struct span *rest)
{
    size_t begin = find_text(*rest, SPAN("-----BEGIN CERTIFICATE-----"));
    struct span end = SPAN("-----END CERTIFICATE-----");
    struct span from = span_from(*rest, begin < rest->len ? begin : 0);
    size_t at = find_text(from, end);
    size_t len = at < from.len ? at + end.len : from.len;

    *rest = span_from(from, len);
    if (find_text(*rest, SPAN("-----BEGIN CERTIFICATE-----")) == rest->len) {
        *rest = SPAN_NONE;
    }
    return span_first(from, len);
}

/* ERR_MALFORMED: one of them is unreadable, or there is none; ERR_TOO_LARGE: too many. */
static err decode_chain(struct crypto *crypto, struct span text, struct chain *chain)
{
    struct span rest = span_trim(text);

    do {
        struct span block = cut_pem(&rest);

        if (chain->n == LIMIT_CHAIN_CERTIFICATES) {
            return ERR(TOO_LARGE);
        }
        TRY(crypto_x509_decode_any(crypto, block, &chain->certs[chain->n]));
        chain->n++;
    } while (!span_is_empty(rest));
    return OK;
}

static err explain(struct http_call *call, const struct instance *instance, struct span text)
{
    struct chain chain = { .n = 0 };
    AUTO(chain) struct chain *owned = &chain;
    struct decision decision;
    struct buf out;
    struct json_writer w = json_writer_over(&out);
    err e = decode_chain(call->env->crypto, text, owned);

    if (err_is(e, ERR_MALFORMED) || err_is(e, ERR_TOO_LARGE)) {
        return http_call_refuse_with(
            call, REASON_CERTIFICATE_INVALID,
            "certificate is neither a certificate nor a PEM bundle of at most %d, leaf first.",
            LIMIT_CHAIN_CERTIFICATES);
    }
    TRY(e);
    TRY(core_explain(call->env, &DPS_TOOLS, instance->id_scope, chain.certs, chain.n, &decision));
    out = http_call_body_room(call);
    decision_json_write_dry(&decision, &w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

err manage_decision_explain(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct span text = SPAN_NONE;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_REGISTRATION_STATUS_READ, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(http_call_body_object(call, false, &document, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    if (!err_is_ok(json_get_text(document, "certificate", &text)) || span_is_empty(text)) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID, "certificate is missing.");
    }
    return explain(call, &instance, text);
}
