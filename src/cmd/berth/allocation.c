/* cmd/berth/allocation.c: `berth allocation test`: a recorded request of policy "custom", asked
 * again, here and now, of a changed rule or a webhook. It runs what berthd runs (core/custom.h); it
 * changes nothing anywhere. */
#include <time.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/file.h"
#include "cmd/berth/http.h"
#include "cmd/berth/view.h"
#include "core/custom.h"
#include "model/limits.h"
#include "json/writer.h"

/* What was asked and decided, and what is decided now. */
struct replay {
    struct cli *cli;
    struct span request;  /* JSON */
    const json *recorded; /* `allocation` of the decision; NULL: --request */
    struct core_custom_answer answer;
    struct core_custom_transcript now;
};

static struct span text(const struct replay *r, const json *object, const char *path)
{
    struct span s = berth_view_text(r->cli, object, path);

    return span_is_absent(s) ? SPAN("") : s;
}

/* ---- the request ---- */

static err print_json(struct cli *cli, const json *value, struct span *ret_text)
{
    struct buf out = arena_buf(&cli->arena);

    TRY(json_print(value, &out));
    return arena_buf_end(&cli->arena, &out, ret_text);
}

static err read_recorded(struct replay *r, const char *id)
{
    struct cli *cli = r->cli;
    struct http_request get = {
        .method = "GET",
        .path = berth_cli_printf(cli, "/berth/v1/decisions/%s", berth_http_escape(cli, id)),
        .what = berth_cli_printf(cli, "tracking ID %s", id),
    };
    struct endpoint service;
    json *decision = NULL;
    const json *request;

    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, &get, &decision));
    r->recorded = json_member(decision, "allocation");
    request = json_member(r->recorded, "request");
    if (json_member(r->recorded, "requestBytes") != NULL) {
        return err_set(ERR_UNSUPPORTED,
                       "the request of %s was too large to be recorded (%.*s bytes)", id,
                       SPAN_FMT(text(r, r->recorded, "requestBytes")));
    }
    if (!json_is_object(request)) {
        return err_set(ERR_UNSUPPORTED,
                       "the decision %s was not made by a rule or a webhook: nothing was asked",
                       id);
    }
    return print_json(cli, request, &r->request);
}

/* A request alone, or a decision as `berth explain ID --output json` prints it. */
static err read_file(struct replay *r, const char *path)
{
    struct cli *cli = r->cli;
    json *document = NULL;
    const json *allocation;
    struct span file;
    err e;

    TRY(berth_file_read(&cli->arena, path, &file));
    e = json_parse(file, LIMIT_CUSTOM_DEPTH + 2, &document);
    if (!err_is_ok(e)) {
        return err_set(ERR_MALFORMED, "%s is no JSON: %s", path, err_detail());
    }
    berth_cli_keep(cli, document);
    allocation = json_member(document, "allocation");
    if (json_is_object(json_member(allocation, "request"))) {
        r->recorded = allocation;
        return print_json(cli, json_member(allocation, "request"), &r->request);
    }
    if (!json_is_array(json_member(document, "linkedHubs"))) {
        return err_set(ERR_MALFORMED, "%s is no request: it has no linkedHubs", path);
    }
    r->request = file;
    return OK;
}

static err read_request(struct replay *r)
{
    const char *id = berth_cli_text(r->cli, "tracking-id");
    const char *path = berth_cli_text(r->cli, "request");

    if ((id == NULL) == (path == NULL)) {
        return berth_cli_usage(r->cli, "give a tracking ID, or else --request FILE");
    }
    return id != NULL ? read_recorded(r, id) : read_file(r, path);
}

/* ---- asking ---- */

static int64_t clock_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static err ask_rule(struct replay *r, const char *path)
{
    struct span source;

    TRY(berth_file_read(&r->cli->arena, path, &source));
    if (source.len > LIMIT_RULE_SOURCE) {
        return err_set(ERR_TOO_LARGE, "%s is longer than a rule may be (%d bytes)", path,
                       LIMIT_RULE_SOURCE);
    }
    return core_custom_run_rule(&r->cli->arena, source, r->request, &r->answer, &r->now);
}

/* "https://host[:port]/path" */
static err split_url(struct replay *r, const char *url, struct endpoint *ret_to,
                     const char **ret_path)
{
    struct span rest = span_from(span_str(url), strlen("https://"));
    struct endpoint to = { .port = 443, .ca_file = berth_cli_text(r->cli, "webhook-ca-file") };
    size_t slash = span_find(rest, '/');
    struct span authority = span_first(rest, slash);
    size_t colon = span_find(authority, ':');
    int64_t port = to.port;

    if (!span_starts_with_nocase(span_str(url), SPAN("https://")) || colon == 0 ||
        (colon < authority.len &&
         (!span_parse_int(span_from(authority, colon + 1), &port) || port < 1 || port > 65535))) {
        return berth_cli_usage(r->cli, "--webhook-url is not https://HOST[:PORT]/PATH");
    }
    to.host = berth_cli_cstr(r->cli, span_first(authority, colon));
    to.port = (int)port;
    *ret_to = to;
    *ret_path = slash < rest.len ? berth_cli_cstr(r->cli, span_from(rest, slash)) : "/";
    return OK;
}

static err ask_webhook(struct replay *r, const char *url)
{
    struct http_request post = { .method = "POST",
                                 .body = r->request,
                                 .what = "the webhook",
                                 .timeout_s = LIMIT_WEBHOOK_MS / 1000 };
    int64_t begun_us = clock_us();
    struct http_reply reply;
    struct endpoint to;

    TRY(split_url(r, url, &to, &post.path));
    TRY(berth_http_exchange(r->cli, &to, &post, &reply));
    r->now = (struct core_custom_transcript){ .kind = CORE_CUSTOM_WEBHOOK,
                                              .duration_us = clock_us() - begun_us,
                                              .answer = reply.body };
    if (reply.status < 200 || reply.status > 299) {
        return core_custom_webhook_failed(&r->cli->arena, reply.status, &r->now.error);
    }
    TRY(core_custom_read_answer(&r->cli->arena, r->request, reply.body, &r->answer, &r->now.error));
    r->now.hub = r->answer.hub;
    return OK;
}

static err ask(struct replay *r)
{
    const char *rule = berth_cli_text(r->cli, "rule");
    const char *url = berth_cli_text(r->cli, "webhook-url");
    err e;

    if ((rule == NULL) == (url == NULL)) {
        return berth_cli_usage(r->cli, "give --rule FILE, or else --webhook-url URL");
    }
    e = rule != NULL ? ask_rule(r, rule) : ask_webhook(r, url);
    return err_is(e, ERR_CORRUPT) ? err_set(ERR_MALFORMED, "the request is no JSON object") : e;
}

/* ---- showing ---- */

static bool has_same_hub(const struct replay *r)
{
    return span_eq(text(r, r->recorded, "hub"),
                   span_is_absent(r->answer.hub) ? SPAN("") : r->answer.hub);
}

static err show_json(const struct replay *r)
{
    bool is_same = has_same_hub(r);
    struct buf out = arena_buf(&r->cli->arena);
    struct json_writer w = json_writer_over(&out);
    json *document = NULL;
    struct span body;

    json_write_begin_object(&w, NULL);
    if (r->recorded != NULL) {
        json_write_begin_object(&w, "recorded");
        json_write_text_if(&w, "hub", json_text(json_member(r->recorded, "hub")));
        json_write_text_if(&w, "error", json_text(json_member(r->recorded, "error")));
        json_write_end_object(&w);
        json_write_bool(&w, "sameHub", is_same);
    }
    json_write_begin_object(&w, "now");
    json_write_text_if(&w, "hub", r->answer.hub);
    json_write_text_if(&w, "error", r->now.error);
    json_write_raw_if(&w, "initialTwin", r->answer.initial_twin);
    json_write_raw_if(&w, "payload", r->answer.payload);
    json_write_raw_if(&w, "log", r->now.log);
    json_write_int(&w, "durationMicroseconds", r->now.duration_us);
    json_write_end_object(&w);
    json_write_end_object(&w);
    TRY(arena_buf_end(&r->cli->arena, &out, &body));
    TRY(json_parse(body, LIMIT_CUSTOM_DEPTH, &document));
    berth_cli_keep(r->cli, document);
    return berth_view_json(r->cli, document);
}

static void show_if(const char *title, struct span value)
{
    if (value.len > 0) {
        (void)printf("  %-12s %.*s\n", title, SPAN_FMT(value));
    }
}

static err show_log(struct span log)
{
    AUTO(json) json *lines = NULL;

    if (span_is_absent(log)) {
        return OK;
    }
    TRY(json_parse(log, LIMIT_JSON_DEPTH, &lines));
    for (size_t i = 0; i < json_array_len(lines); i++) {
        show_if(i == 0 ? "log" : "", json_text(json_array_at(lines, i)));
    }
    return OK;
}

static err show_table(const struct replay *r)
{
    if (r->recorded != NULL) {
        (void)puts("Recorded");
        show_if("hub", text(r, r->recorded, "hub"));
        show_if("error", text(r, r->recorded, "error"));
        show_if("payload", text(r, r->recorded, "answer.payload"));
        show_if("initial twin", text(r, r->recorded, "answer.initialTwin"));
        (void)puts(has_same_hub(r) ? "\nNow, the same hub" : "\nNow, a different outcome");
    } else {
        (void)puts("Now");
    }
    show_if("hub", r->answer.hub);
    show_if("error", r->now.error);
    show_if("payload", r->answer.payload);
    show_if("initial twin", r->answer.initial_twin);
    (void)printf("  %-12s %lld us\n", "took", (long long)r->now.duration_us);
    return show_log(r->now.log);
}

err berth_allocation_test(struct cli *cli)
{
    struct replay r = { .cli = cli };
    const char *expected = berth_cli_text(cli, "expect");

    TRY(read_request(&r));
    TRY(ask(&r));
    TRY(cli->is_json ? show_json(&r) : show_table(&r));
    if (!span_is_absent(r.now.error) ||
        (expected != NULL && !span_eq_nocase(span_str(expected), r.answer.hub))) {
        cli->exit_status = BERTH_EXIT_FAILED;
    }
    return OK;
}
