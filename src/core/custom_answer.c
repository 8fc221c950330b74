/* core/custom_answer.c: what a webhook or a rule answered, judged, and what is kept of it. Who asks
 * is core/custom.c's and the errands'. An answer is outside input. */
#include "core/custom.h"

#include "core/initial_twin.h"
#include "model/limits.h"
#include "model/records.h"
#include "json/json.h"
#include "json/writer.h"

struct reading_answer {
    struct arena *arena;
    const json *request, *document;
    struct core_custom_answer answer;
    struct span wrong;
};

static err wrong(struct reading_answer *a, const char *sentence)
{
    return arena_copy(a->arena, span_str(sentence), &a->wrong);
}

static bool is_given(const json *v)
{
    return v != NULL && !json_is_null(v);
}

/* One of linkedHubs, whatever its case. */
static err read_hub(struct reading_answer *a)
{
    struct span name = json_text(json_member(a->document, "iotHubHostName"));
    const json *hubs = json_member(a->request, "linkedHubs");

    if (span_is_empty(name)) {
        return wrong(a, "Custom allocation failed: the answer names no iotHubHostName.");
    }
    for (size_t i = 0; i < json_array_len(hubs); i++) {
        if (span_eq_nocase(json_text(json_array_at(hubs, i)), name)) {
            return model_fold(a->arena, name, &a->answer.hub);
        }
    }
    if (!model_is_host_name(name)) {
        return wrong(a, "Custom allocation failed: its iotHubHostName is not a host name.");
    }
    return arena_printf(a->arena, &a->wrong,
                        "Custom allocation failed: %.*s is not one of the linkedHubs.",
                        SPAN_FMT(name));
}

static err read_twin(struct reading_answer *a)
{
    const char *what;

    TRY(core_initial_twin_read(a->arena, json_member(a->document, "initialTwin"),
                               &a->answer.initial_twin, &what));
    return what == NULL ? OK
                        : arena_printf(a->arena, &a->wrong,
                                       "Custom allocation failed: its initialTwin %s.", what);
}

static err read_payload(struct reading_answer *a)
{
    const json *payload = json_member(a->document, "payload");
    struct buf out;

    if (!is_given(payload)) {
        return OK;
    }
    if (!json_is_object(payload)) {
        return wrong(a, "Custom allocation failed: its payload is not an object.");
    }
    out = arena_buf(a->arena);
    TRY(json_print(payload, &out));
    TRY(arena_buf_end(a->arena, &out, &a->answer.payload));
    return a->answer.payload.len <= LIMIT_CUSTOM_PAYLOAD
               ? OK
               : arena_printf(a->arena, &a->wrong,
                              "Custom allocation failed: its payload is larger than %d bytes.",
                              LIMIT_CUSTOM_PAYLOAD);
}

static err read_members(struct reading_answer *a)
{
    err (*const readers[])(struct reading_answer *) = { read_hub, read_twin, read_payload };

    if (!json_is_object(a->document)) {
        return wrong(a, "Custom allocation failed: the answer is not a JSON object.");
    }
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]) && span_is_absent(a->wrong); i++) {
        TRY(readers[i](a));
    }
    return OK;
}

err core_custom_read_answer(struct arena *arena, struct span request, struct span answer,
                            struct core_custom_answer *ret_answer, struct span *ret_wrong)
{
    AUTO(json) json *asked = NULL;
    AUTO(json) json *document = NULL;
    struct reading_answer a = { .arena = arena };
    err e = json_parse(request, LIMIT_CUSTOM_DEPTH, &asked);

    if (!err_is_ok(e)) {
        return err_is(e, ERR_NOMEM) ? e : ERR(CORRUPT);
    }
    e = json_parse(answer, LIMIT_JSON_DEPTH, &document);
    if (err_is(e, ERR_MALFORMED) || err_is(e, ERR_TOO_LARGE)) {
        document = NULL; /* no object */
    } else {
        TRY(e);
    }
    a.request = asked;
    a.document = document;
    TRY(read_members(&a));
    if (span_is_absent(a.wrong)) {
        *ret_answer = a.answer;
    }
    *ret_wrong = a.wrong;
    return OK;
}

err core_custom_webhook_failed(struct arena *arena, int http_status, struct span *ret_message)
{
    return http_status != 0
               ? arena_printf(arena, ret_message, "Custom allocation failed with status code: %d",
                              http_status)
               : arena_copy(arena, SPAN("Custom allocation failed: the webhook did not answer."),
                            ret_message);
}

/* ---- what is kept ---- */

/* JSON as it is, or how much of it there was. */
static void write_part(struct json_writer *w, const char *name, const char *size_name,
                       struct span part)
{
    if (part.len <= LIMIT_TRANSCRIPT_PART) {
        json_write_raw_if(w, name, part);
    } else {
        json_write_int(w, size_name, (int64_t)part.len);
    }
}

/* An answer is JSON only if we are lucky: else it is kept as text. */
static void write_answer(struct json_writer *w, struct span answer)
{
    AUTO(json) json *document = NULL;

    if (answer.len <= LIMIT_TRANSCRIPT_PART && !span_is_absent(answer) &&
        !err_is_ok(json_parse(answer, LIMIT_JSON_DEPTH, &document))) {
        json_write_text(w, "answerText", answer);
    } else if (document != NULL) {
        json_write_value(w, "answer", document);
    } else {
        write_part(w, "answer", "answerBytes", answer);
    }
}

err core_custom_record(struct arena *arena, const struct core_custom_transcript *t,
                       struct span *ret_json)
{
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);
    size_t query = span_find(t->url, '?');

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "policy", "custom");
    json_write_str(&w, "kind", t->kind == CORE_CUSTOM_RULE ? "rule" : "webhook");
    json_write_text_if(&w, "hub", t->hub);
    if (t->is_pending) {
        json_write_bool(&w, "pending", true);
    }
    json_write_text_if(&w, "error", t->error);
    json_write_text_if(&w, "url", span_first(t->url, query));
    if (!span_is_absent(t->rule_sha256)) {
        json_write_hex_upper(&w, "ruleSha256", t->rule_sha256);
    }
    write_part(&w, "request", "requestBytes", t->request);
    write_answer(&w, t->answer);
    json_write_raw_if(&w, "log", t->log);
    if (t->tries > 0) {
        json_write_int(&w, "tries", t->tries);
    }
    if (!t->is_pending) {
        json_write_int(&w, "durationMicroseconds", t->duration_us);
    }
    json_write_end_object(&w);
    return arena_buf_end(arena, &out, ret_json);
}
