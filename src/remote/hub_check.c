/* remote/hub_check.c: would a hub do what it will be asked for? Asks about a device that cannot be
 * there, as its ID is made of random bytes: GET /devices shows that the token is taken, DELETE
 * /devices that it may write (a hub looks at rights first, and then for the device), GET /twins
 * that it may write twins: ServiceConnect is one right for both. */
#include "model/limits.h"
#include "remote/hub.h"
#include "remote/hub_error.h"
#include "util/hex.h"

enum { PROBE_BYTES = 16 };

struct look {
    struct hub_talk talk;
    struct span probe;
    struct elsewhere_report *report;
};

static void note(struct elsewhere_report *r, enum elsewhere_question q, bool is_good,
                 struct span words)
{
    r->is_asked[q] = true;
    r->is_good[q] = is_good;
    r->words[q] = words;
}

static err make_probe(const struct env *env, struct span *ret_probe)
{
    uint8_t bytes[PROBE_BYTES];
    struct buf out = arena_buf(env->arena);

    env->random(bytes, sizeof(bytes));
    buf_add_str(&out, "berth-check-");
    hex_encode_lower(span_of(bytes, sizeof(bytes)), &out);
    return arena_buf_end(env->arena, &out, ret_probe);
}

/* How far it came, and what stopped it. */
static void note_way(struct elsewhere_report *r, const struct remote_http_reply *reply)
{
    static const struct {
        enum remote_http_stage stage;
        enum elsewhere_question question;
    } ways[] = { { REMOTE_HTTP_NAME, ELSEWHERE_NAME },
                 { REMOTE_HTTP_CONNECT, ELSEWHERE_CONNECT },
                 { REMOTE_HTTP_TLS, ELSEWHERE_TLS } };

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (reply->stage == ways[i].stage) {
            note(r, ways[i].question, false, reply->problem);
            return;
        }
        if (reply->stage == REMOTE_HTTP_STOPPED) {
            break;
        }
        note(r, ways[i].question, true, SPAN_NONE);
    }
    if (reply->stage != REMOTE_HTTP_DONE) {
        note(r, ELSEWHERE_ANSWER, false, reply->problem);
    }
}

static err ask(struct look *l, const char *method, const char *folder, const char *if_match,
               bool is_anew, struct remote_http_reply *ret_reply)
{
    struct hub_request r = { .method = method,
                             .folder = folder,
                             .device_id = l->probe,
                             .body = SPAN_NONE,
                             .if_match = if_match,
                             .is_anew = is_anew };

    TRY(remote_hub_send(&l->talk, &r, ret_reply));
    l->report->answer_ms = ret_reply->took_ms;
    return OK;
}

/* Notes what the answer says to a question: 401 that the right is not there, 404 that it is.
 * *ret_on: it makes sense to ask more. */
static err judge(struct look *l, enum elsewhere_question q, const struct remote_http_reply *reply,
                 bool *ret_on)
{
    struct elsewhere_answer a;

    if (remote_hub_has_no_device(reply)) {
        note(l->report, ELSEWHERE_ANSWER, true, SPAN_NONE);
        note(l->report, q, true, SPAN_NONE);
        *ret_on = true;
        return OK;
    }
    TRY(remote_hub_judge(&l->talk, reply, &a));
    *ret_on = reply->stage == REMOTE_HTTP_DONE && reply->status == 401;
    if (*ret_on) {
        note(l->report, ELSEWHERE_ANSWER, true, SPAN_NONE);
        note(l->report, q, false, a.message);
    } else {
        note(l->report, ELSEWHERE_ANSWER, false,
             a.outcome == ELSEWHERE_DONE
                 ? SPAN("It says that it has a device that nobody made: it is no hub.")
                 : a.message);
    }
    return OK;
}

static err note_clock(struct look *l, const struct remote_http_reply *reply)
{
    const struct env *env = l->talk.call.env;
    struct elsewhere_report *r = l->report;
    struct span words = SPAN_NONE;
    bool is_good;

    if (reply->date_ms == 0) {
        return OK;
    }
    /* Its Date has no fractions, ours is of when the check was asked for. */
    r->skew_ms = (reply->date_ms - env->now_ms) / 1000 * 1000;
    is_good = r->skew_ms <= LIMIT_SAS_SKEW_MS && r->skew_ms >= -LIMIT_SAS_SKEW_MS;
    if (!is_good) {
        TRY(arena_printf(env->arena, &words, "Its clock is %lld s %s ours.",
                         (long long)(r->skew_ms > 0 ? r->skew_ms : -r->skew_ms) / 1000,
                         r->skew_ms > 0 ? "ahead of" : "behind"));
    }
    note(r, ELSEWHERE_CLOCK, is_good, words);
    return OK;
}

/* A right that is lacking looks like a key that is wrong: one that is there tells them apart. */
static void settle_token(struct elsewhere_report *r)
{
    const bool writes = r->is_good[ELSEWHERE_REGISTRY_WRITE];
    const bool connects = r->is_good[ELSEWHERE_SERVICE_CONNECT];

    if (r->is_asked[ELSEWHERE_TOKEN] && !r->is_good[ELSEWHERE_TOKEN] && (writes || connects)) {
        note(r, ELSEWHERE_TOKEN, true, SPAN_NONE);
    }
    if (r->is_asked[ELSEWHERE_TOKEN] && !r->is_good[ELSEWHERE_TOKEN]) {
        r->is_asked[ELSEWHERE_REGISTRY_WRITE] = r->is_asked[ELSEWHERE_SERVICE_CONNECT] = false;
    }
}

static err look(struct look *l)
{
    static const struct {
        enum elsewhere_question question;
        const char *method, *folder, *if_match;
    } asked[] = {
        { ELSEWHERE_TOKEN, "GET", "devices", NULL },
        { ELSEWHERE_REGISTRY_WRITE, "DELETE", "devices", "*" },
        { ELSEWHERE_SERVICE_CONNECT, "GET", "twins", NULL },
    };
    struct remote_http_reply reply;
    bool goes_on = true;

    for (size_t i = 0; i < sizeof asked / sizeof *asked && goes_on; i++) {
        TRY(ask(l, asked[i].method, asked[i].folder, asked[i].if_match, i == 0, &reply));
        if (i == 0) {
            note_way(l->report, &reply);
            l->report->connect_ms = reply.tls_ms;
        }
        if (reply.stage != REMOTE_HTTP_DONE) {
            if (i > 0) {
                note(l->report, ELSEWHERE_ANSWER, false, reply.problem);
            }
            return OK;
        }
        if (i == 0) {
            TRY(note_clock(l, &reply));
        }
        TRY(judge(l, asked[i].question, &reply, &goes_on));
    }
    settle_token(l->report);
    return OK;
}

err remote_hub_check(struct remote_http_pool *pool, const struct env *env,
                     const struct linked_hub *link, bool (*is_over)(void),
                     struct elsewhere_report *ret_report)
{
    struct elsewhere_report report = { .connect_ms = 0 };
    struct look l = { .report = &report };
    err e;

    TRY(make_probe(env, &l.probe));
    TRY(remote_hub_begin(pool, env, link, LIMIT_LINK_CHECK_MS, &l.talk));
    l.talk.call.is_over = is_over;
    e = look(&l);
    remote_hub_end(&l.talk);
    TRY(e);
    *ret_report = report;
    return OK;
}
