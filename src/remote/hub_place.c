/* remote/hub_place.c: a device on a hub elsewhere: made, or, when it is there, refreshed.
 *
 *   with reset_twin: it may be new      POST /devices (create, with its twin), or PUT /devices/{id}
 *                                           |  409: it is there
 *                                           v
 *   without: it was there ---------> GET /devices/{id} --404--> it is new
 *                                           |  another credential: PUT, If-Match its ETag
 *                                           |                    --412--> GET again
 *                                           v
 *                                    reset_twin: PUT /twins/{id}
 *
 * Each of them may be made again after a crash, or when an answer was lost. */
#include "model/limits.h"
#include "remote/hub.h"
#include "remote/hub_error.h"
#include "remote/hub_json.h"

enum { TRIES = 4, ALREADY_EXISTS = 409001 };

/* What came of a step. */
enum placing {
    PLACING_ON,    /* it went well: the next step */
    PLACING_THERE, /* not made: it is there */
    PLACING_GONE,  /* it was there, and is no longer */
    PLACING_STALE, /* another changed it meanwhile */
    PLACING_ENDED, /* the answer is made */
};

struct work {
    struct hub_talk talk;
    const struct placement *p;
    const char *etag; /* of the device that was read */
    json *device;
    bool has_made;
    struct elsewhere_answer answer;
};

static err end(struct work *w, const struct remote_http_reply *reply, enum placing *ret_what)
{
    *ret_what = PLACING_ENDED;
    return remote_hub_judge(&w->talk, reply, &w->answer);
}

static bool is_good(const struct remote_http_reply *reply)
{
    return reply->stage == REMOTE_HTTP_DONE && reply->status >= 200 && reply->status <= 299;
}

/* ---- twins ---- */

static err send_twin(struct work *w, bool is_reset, enum placing *ret_what)
{
    struct hub_request r = { .method = is_reset ? "PUT" : "PATCH",
                             .folder = "twins",
                             .device_id = w->p->device_id };
    struct remote_http_reply reply;

    TRY(remote_hub_json_twin(w->talk.call.env->arena, w->p, &r.body));
    TRY(remote_hub_send(&w->talk, &r, &reply));
    if (is_good(&reply)) {
        *ret_what = PLACING_ON;
        return OK;
    }
    if (remote_hub_has_no_device(&reply)) {
        *ret_what = PLACING_GONE;
        return OK;
    }
    return end(w, &reply, ret_what);
}

/* ---- it is new ---- */

/* Of a 400 with a list: the first error. */
static struct span first_error(const json *result, int64_t *ret_code)
{
    json *e = json_array_at(json_member(result, "errors"), 0);
    struct span name = json_text(json_member(e, "errorCode"));

    *ret_code = remote_hub_error_code(name);
    if (span_is_absent(name)) {
        (void)json_get_int(e, "errorCode", ret_code);
    }
    return json_text(json_member(e, "errorStatus"));
}

static err judge_bulk(struct work *w, const json *result, const struct remote_http_reply *reply,
                      enum placing *ret_what)
{
    int64_t code = 0;
    struct span words = first_error(result, &code);

    if (code == ALREADY_EXISTS) {
        *ret_what = PLACING_THERE;
        return OK;
    }
    TRY(end(w, reply, ret_what));
    if (json_array_len(json_member(result, "errors")) == 0) {
        return OK;
    }
    w->answer.error_code = code != 0 ? code : w->answer.error_code;
    return arena_copy(w->talk.call.env->arena, span_first(words, LIMIT_ERROR_MESSAGE),
                      &w->answer.message);
}

/* A hub that cannot be told what was reported takes the rest. */
static err send_bulk(struct work *w, bool with_reported, struct remote_http_reply *ret_reply)
{
    struct hub_request r = { .method = "POST", .folder = "devices", .device_id = SPAN_NONE };

    TRY(remote_hub_json_bulk(w->talk.call.env->arena, w->p, with_reported, &r.body));
    return remote_hub_send(&w->talk, &r, ret_reply);
}

static err create_with_twin(struct work *w, bool with_reported, enum placing *ret_what)
{
    AUTO(json) json *result = NULL;
    struct remote_http_reply reply;

    TRY(send_bulk(w, with_reported, &reply));
    if (reply.stage == REMOTE_HTTP_DONE) {
        (void)json_parse(reply.body, LIMIT_JSON_DEPTH, &result);
    }
    if (!is_good(&reply)) {
        return judge_bulk(w, result, &reply, ret_what);
    }
    *ret_what = PLACING_ON;
    w->has_made = true;
    return json_array_len(json_member(result, "warnings")) > 0 /* DeviceRegisteredWithoutTwin */
               ? send_twin(w, false, ret_what)
               : OK;
}

static err create_alone(struct work *w, enum placing *ret_what)
{
    struct hub_request r = { .method = "PUT", .folder = "devices", .device_id = w->p->device_id };
    struct remote_http_reply reply;

    TRY(remote_hub_json_new(w->talk.call.env->arena, w->p, &r.body));
    TRY(remote_hub_send(&w->talk, &r, &reply));
    if (is_good(&reply)) {
        *ret_what = PLACING_ON;
        w->has_made = true;
        return OK;
    }
    if (reply.stage == REMOTE_HTTP_DONE && reply.status == 409) {
        *ret_what = PLACING_THERE;
        return OK;
    }
    return end(w, &reply, ret_what);
}

static err create(struct work *w, enum placing *ret_what)
{
    const bool has_reported = remote_hub_json_has_reported(w->p);

    if (!remote_hub_json_has_twin(w->p)) {
        return create_alone(w, ret_what);
    }
    TRY(create_with_twin(w, has_reported, ret_what));
    if (has_reported && *ret_what == PLACING_ENDED && w->answer.http_status == 400) {
        return create_with_twin(w, false, ret_what);
    }
    return OK;
}

/* ---- it is there ---- */

static err read_device(struct work *w, enum placing *ret_what)
{
    struct hub_request get = {
        .method = "GET", .folder = "devices", .device_id = w->p->device_id, .body = SPAN_NONE
    };
    struct remote_http_reply reply;
    struct span etag, quoted;

    TRY(remote_hub_send(&w->talk, &get, &reply));
    if (remote_hub_has_no_device(&reply)) {
        *ret_what = PLACING_GONE;
        return OK;
    }
    json_free(w->device);
    w->device = NULL;
    if (!is_good(&reply)) {
        return end(w, &reply, ret_what);
    }
    (void)json_parse(reply.body, LIMIT_JSON_DEPTH, &w->device);
    etag = json_text(json_member(w->device, "etag"));
    if (span_is_empty(etag)) {
        *ret_what = PLACING_ENDED;
        return remote_hub_judge_garbage(&w->talk, &reply, &w->answer);
    }
    TRY(arena_printf(w->talk.call.env->arena, &quoted, "\"%.*s\"", SPAN_FMT(etag)));
    w->etag = (const char *)quoted.data;
    *ret_what = PLACING_ON;
    return OK;
}

static err change_device(struct work *w, enum placing *ret_what)
{
    struct hub_request put = {
        .method = "PUT", .folder = "devices", .device_id = w->p->device_id, .if_match = w->etag
    };
    struct remote_http_reply reply;

    TRY(remote_hub_json_changed(w->talk.call.env->arena, w->p, w->device, &put.body));
    TRY(remote_hub_send(&w->talk, &put, &reply));
    if (is_good(&reply)) {
        *ret_what = PLACING_ON;
    } else if (remote_hub_has_no_device(&reply)) {
        *ret_what = PLACING_GONE;
    } else if (reply.stage == REMOTE_HTTP_DONE && reply.status == 412) {
        *ret_what = PLACING_STALE;
    } else {
        return end(w, &reply, ret_what);
    }
    return OK;
}

static err refresh(struct work *w, enum placing *ret_what)
{
    TRY(read_device(w, ret_what));
    if (*ret_what == PLACING_ON && !remote_hub_json_is_same(w->p, w->device)) {
        TRY(change_device(w, ret_what));
    }
    if (*ret_what != PLACING_ON) {
        return OK;
    }
    return w->p->reset_twin ? send_twin(w, true, ret_what) : OK;
}

/* ---- both ---- */

static err place(struct work *w)
{
    enum placing what = w->p->reset_twin ? PLACING_GONE : PLACING_THERE;

    for (int i = 0; i < TRIES && what != PLACING_ON && what != PLACING_ENDED; i++) {
        TRY(what == PLACING_GONE ? create(w, &what) : refresh(w, &what));
    }
    if (what == PLACING_ON) {
        w->answer = (struct elsewhere_answer){ .outcome = ELSEWHERE_DONE, .http_status = 200 };
    } else if (what != PLACING_ENDED) {
        w->answer = (struct elsewhere_answer){
            .outcome = ELSEWHERE_RETRY,
            .http_status = 412,
            .error_code = 412001,
            .message = SPAN("The device is being changed by another at the same time.")
        };
    }
    return OK;
}

err remote_hub_place(struct remote_http_pool *pool, const struct env *env,
                     const struct linked_hub *link, const struct placement *p,
                     struct elsewhere_answer *ret_answer)
{
    struct work w = { .p = p };
    err e;

    TRY(remote_hub_begin(pool, env, link, LIMIT_ELSEWHERE_MS, &w.talk));
    e = place(&w);
    remote_hub_end(&w.talk);
    json_free(w.device);
    TRY(e);
    w.answer.has_made = w.has_made && w.answer.outcome != ELSEWHERE_DONE;
    *ret_answer = w.answer;
    return OK;
}
