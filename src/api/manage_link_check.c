/* api/manage_link_check.c: POST /berth/v1/linkedHubs/{hostName}/check: would the hub do what
 * provisioning will ask of it? Nothing is changed, neither here nor there. It may take seconds, on
 * a worker: only a few are looked at at a time. */
#include "api/manage_http.h"
#include "core/link.h"
#include "model/elsewhere.h"
#include "model/limits.h"

#include <stdatomic.h>

static atomic_int under_way;

struct question {
    const char *word;
    const char *advice; /* when it failed */
};

static const struct question QUESTIONS[ELSEWHERE_QUESTIONS] = {
    [ELSEWHERE_NAME] = { "name",
                         "Check the host name and this server's name service, or link the hub with "
                         "an address to connect to." },
    [ELSEWHERE_CONNECT] = { "connect",
                            "Is the hub up, and does a firewall let this server through to it? "
                            "Another port is said by an address: host:port." },
    [ELSEWHERE_TLS] = { "certificate",
                        "Link the hub with the CA certificates that its certificate is under; it "
                        "must be for the hub's host name." },
    [ELSEWHERE_ANSWER] = { "answer",
                           "Does the address lead to a hub? If it is throttled or down, try again "
                           "later." },
    [ELSEWHERE_TOKEN] = { "token",
                          "Link the hub with a connection string that is in force: its policy or "
                          "key has gone, or the clocks differ." },
    [ELSEWHERE_REGISTRY_WRITE] = { "registryWrite",
                                   "Give the policy the right RegistryWrite, or take another." },
    [ELSEWHERE_SERVICE_CONNECT] = { "serviceConnect",
                                    "Give the policy the right ServiceConnect, or take another." },
    [ELSEWHERE_CLOCK] = { "clock", "Set the clocks: tokens are good for a limited time." },
};

static void write_check(struct json_writer *w, const struct question *q, bool is_good,
                        struct span words)
{
    json_write_begin_object(w, NULL);
    json_write_str(w, "check", q->word);
    json_write_str(w, "result", is_good ? "passed" : "failed");
    json_write_text_if(w, "message", words);
    if (!is_good) {
        json_write_str(w, "advice", q->advice);
    }
    json_write_end_object(w);
}

static void begin(struct json_writer *w, const struct linked_hub *link, bool is_good)
{
    json_write_begin_object(w, NULL);
    json_write_text(w, "name", link->host_name);
    json_write_bool(w, "isRemote", link->is_remote != 0);
    json_write_bool(w, "isGood", is_good);
}

static void write_checks(struct json_writer *w, const struct elsewhere_report *r)
{
    json_write_begin_array(w, "checks");
    for (int q = 0; q < ELSEWHERE_QUESTIONS; q++) {
        if (r->is_asked[q]) {
            write_check(w, &QUESTIONS[q], r->is_good[q], r->words[q]);
        }
    }
    json_write_end_array(w);
}

static bool is_good(const struct elsewhere_report *r)
{
    bool is_all = r->is_asked[ELSEWHERE_SERVICE_CONNECT];

    for (int q = 0; q < ELSEWHERE_QUESTIONS; q++) {
        is_all = is_all && (r->is_good[q] || !r->is_asked[q]);
    }
    return is_all;
}

static err answer_elsewhere(struct http_call *call, const struct linked_hub *link,
                            const struct elsewhere_report *r)
{
    struct buf out = http_call_body_room(call);
    struct json_writer w = json_writer_over(&out);

    begin(&w, link, is_good(r));
    write_checks(&w, r);
    if (r->connect_ms > 0) {
        json_write_int(&w, "connectMilliseconds", r->connect_ms);
    }
    if (r->answer_ms > 0) {
        json_write_int(&w, "answerMilliseconds", r->answer_ms);
    }
    if (r->is_asked[ELSEWHERE_CLOCK]) {
        json_write_int(&w, "clockAheadSeconds", r->skew_ms / 1000);
    }
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

/* Of a hub of this store: it is there, and so is the policy that it is linked by. */
static err answer_here(struct http_call *call, const struct linked_hub *link, struct verdict v)
{
    static const struct question hub = {
        "hub", "Unlink the hub; it comes back when its maker makes it again."
    };
    static const struct question policy = {
        "policy", "Link the hub with a connection string of a policy that is in force and has "
                  "RegistryWrite and ServiceConnect."
    };
    const bool has_hub = v.reason != REASON_FIELD_INVALID;
    struct buf out = http_call_body_room(call);
    struct json_writer w = json_writer_over(&out);

    begin(&w, link, verdict_is_granted(v));
    json_write_begin_array(&w, "checks");
    write_check(&w, &hub, has_hub, has_hub ? SPAN_NONE : v.detail);
    if (has_hub && !span_is_absent(link->connection_string)) {
        write_check(&w, &policy, verdict_is_granted(v), v.detail);
    }
    json_write_end_array(&w);
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

static err look_elsewhere(struct http_call *call, const struct linked_hub *link)
{
    const struct elsewhere *elsewhere = call->service->elsewhere;
    struct elsewhere_report report;
    err e = OK;
    bool has_room;

    if (elsewhere == NULL) {
        return http_call_refuse(call, VERDICT(UNAVAILABLE));
    }
    has_room = atomic_fetch_add(&under_way, 1) < LIMIT_LINK_CHECKS;
    if (has_room) {
        e = elsewhere->check(elsewhere->arg, call->env, link, call->service->is_draining, &report);
    }
    (void)atomic_fetch_sub(&under_way, 1);
    TRY(e);
    return has_room ? answer_elsewhere(call, link, &report)
                    : http_call_refuse(call, VERDICT(THROTTLED));
}

err manage_link_check(struct http_call *call)
{
    struct instance instance;
    struct linked_hub link;
    struct verdict v, standing;
    bool is_found = true;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_link_verify(call->env, instance.id_scope, call->params[0], &link, &is_found,
                             &standing));
        v = is_found ? v : VERDICT(RESOURCE_NOT_FOUND);
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    return link.is_remote ? look_elsewhere(call, &link) : answer_here(call, &link, standing);
}
