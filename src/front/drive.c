/* front/drive.c: one surface's calls in the order that api/surface.h promises.
 *
 * Work is exclusive: while it is out the surface is not entered at all, since the worker may read
 * what the surface pointed it to; appends that come back meanwhile, signals and the end of the
 * connection wait for it. Appends come back in the order they were given. */
#include "front/drive.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/error.h"
#include "api/metrics.h"
#include "front/front.h"

enum { STEPS_AT_ONCE = 64, SAY_AGAIN_MS = 60 * 1000 };

struct front_surface_box {
    struct front_conn *conn;
    struct front_lane proven; /* whose its latest request turned out to be; else all zero */
    _Alignas(max_align_t) struct surface surface; /* and the rest of its struct behind */
};

#define OUTER(type, member, pointer) ((type *)(void *)((uint8_t *)(pointer)-offsetof(type, member)))

/* One entry into the surface. */
struct call {
    struct surface_io io; /* first: io's functions find the rest by it */
    struct front_conn *conn;
    struct front_task *task; /* taken in this call */
};

int64_t front_drive_wall_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t clock_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const struct service *service_of(const struct front_conn *c)
{
    return c->loop->config->service;
}

static const struct surface_ops *ops_of(const struct front_conn *c)
{
    return c->endpoint->surface;
}

/* ---- tasks ---- */

/* An operator wants to know, but not of each. */
static void say_throttled(struct front_loop *l, const struct access_note *note)
{
    const struct front_config *config = l->config;
    char text[256];

    if (front_loop_clock_ms(l) < l->say_throttled_ms || config->on_event == NULL) {
        return;
    }
    l->say_throttled_ms = front_loop_clock_ms(l) + SAY_AGAIN_MS;
    (void)snprintf(text, sizeof(text),
                   "%zu requests wait for a worker. Those of whom most are, '%.*s' among them, are "
                   "refused for now; all others are served.",
                   front_work_waiting(l->work), SPAN_FMT(span_first(note->scope, 64)));
    config->on_event(config->arg, FRONT_WARNING, "throttled", text);
}

static void report(const struct front_conn *c, const struct access_note *note,
                   const char *tracking_id, int64_t took_us)
{
    const struct front_config *config = c->loop->config;

    if (note->is_part) {
        return;
    }
    if (note->reason == REASON_THROTTLED) {
        say_throttled(c->loop, note);
    }
    took_us += note->waited_us;
    metrics_request(service_of(c)->metrics, note, (uint64_t)took_us);
    if (!note->quiet && config->on_access != NULL) {
        const struct front_access access = { note, &c->peer, tracking_id, took_us };

        config->on_access(config->arg, &access);
    }
}

static void on_note(struct surface_io *io, const struct access_note *note)
{
    struct call *call = (struct call *)io;

    report(call->conn, note, "", 0);
}

/* ---- turns ---- */

/* Without its port. */
static uint32_t hash_of_address(const struct peer *peer)
{
    const char *port = strrchr(peer->address, ':');

    return span_hash(port != NULL ? span_of(peer->address, (size_t)(port - peer->address))
                                  : span_str(peer->address));
}

/* Whose turn a task of the connection takes. Who has proven whose it is goes straight to its lane;
 * what it proves next is looked at there. */
static struct front_lane lane_of(const struct front_conn *c, enum surface_turn turn)
{
    struct front_lane lane = { .kind = FRONT_LANE_OTHER, .owner = c->box->surface.lane };

    if (turn == SURFACE_TURN_OWN) {
        return lane;
    }
    lane = c->box->proven.kind == FRONT_LANE_SCOPE
               ? c->box->proven
               : (struct front_lane){ .kind = FRONT_LANE_DOOR, .group = hash_of_address(&c->peer) };
    lane.is_finishing = turn == SURFACE_TURN_FINISH;
    return lane;
}

/* Devices whose leaf has the same issuer, and who name the same scope, are of the same group as a
 * rule. Only worth its while if there is a line. */
static uint64_t sign_of(const struct front_task *t)
{
    const struct front_conn *c = t->conn;
    struct front_loop *l = c->loop;
    uint64_t issuer;

    if (t->job.lane.kind != FRONT_LANE_DOOR || c->peer.n_chain == 0 ||
        front_work_waiting(l->work) == 0) {
        return 0;
    }
    issuer = (uint64_t)crypto_x509_issuer_hash(l->crypto, c->chain[0]);
    return (issuer << 32 | span_hash(t->task.note.scope)) + 1;
}

/* On a worker, within run_work. */
static bool on_take_turn(struct env_turn *turn, struct span id_scope, struct span group)
{
    struct front_task *t = OUTER(struct front_task, turn, turn);
    struct front_lane lane = { .kind = FRONT_LANE_STRANGERS };
    enum front_turn when;

    if (span_is_absent(id_scope)) {
        lane.group = hash_of_address(&t->conn->peer);
    } else {
        lane = (struct front_lane){ .kind = FRONT_LANE_SCOPE,
                                    .is_finishing = t->job.lane.is_finishing,
                                    .owner = span_hash(id_scope),
                                    .group = span_is_absent(group) ? 0 : span_hash(group) };
    }
    when = front_work_take_turn(t->conn->loop->work, &t->job, &lane);
    t->is_put_back = when == FRONT_TURN_LATER;
    if (when != FRONT_TURN_NOW) {
        _Atomic uint64_t *counter = when == FRONT_TURN_LATER
                                        ? &service_of(t->conn)->metrics->put_back
                                        : &service_of(t->conn)->metrics->throttled[lane.kind];

        (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    }
    return when == FRONT_TURN_NOW;
}

static int64_t on_wait_ms(struct env_turn *turn)
{
    struct front_task *t = OUTER(struct front_task, turn, turn);

    return front_work_wait_ms(t->conn->loop->work, &t->job.lane);
}

static void run_work(struct front_job *job, struct front_worker *w)
{
    struct front_task *t = OUTER(struct front_task, job, job);
    struct env *env = &t->task.env;

    t->is_put_back = false;
    t->task.arena.used = t->arena_mark;

    env->store = t->task.service->store;
    env->sink = t->task.service->sink;
    env->loads = t->task.service->loads;
    env->limits = t->task.service->limits;
    env->errands = t->task.service->errands;
    env->crypto = w->crypto;
    env->certs = w->certs;
    env->key_groups = w->key_groups;
    env->links = w->links;
    env->geo = t->task.service->geo;
    t->task.run(&t->task);
    front_work_spent(t->conn->loop->work, job);
    if (t->is_put_back) {
        front_work_submit(t->conn->loop->work, job);
    } else {
        front_loop_post(t->conn->loop, &t->post);
    }
}

static void on_appended(struct sink_append *a, err result)
{
    struct front_task *t = OUTER(struct front_task, task.append, a);

    t->task.append_result = result;
    if (!err_is_ok(result)) { /* the detail is this thread's */
        t->task.note.fault = error_fault_text(&t->task.arena, result);
    }
    front_loop_post(t->conn->loop, &t->post);
}

static void on_work_back(struct front_post *p);
static void on_append_back(struct front_post *p);

static struct front_task *make_task(struct front_conn *c)
{
    struct arena arena;
    struct front_task *t =
        front_memory_task_new(&c->loop->memory, sizeof(struct front_task), &arena);
    uint8_t id[GUID_BYTES];
    struct buf text;

    if (t == NULL) {
        return NULL;
    }
    t->conn = c;
    t->began_us = clock_us();
    t->task.service = service_of(c);
    t->task.peer = &c->peer;
    t->task.arena = arena;
    t->task.env.arena = &t->task.arena;
    t->task.env.now_ms = front_drive_wall_ms();
    t->task.env.random = crypto_random;
    crypto_random(id, sizeof(id));
    text = buf_over(t->task.env.tracking_id, sizeof(t->task.env.tracking_id));
    guid_format_v7(t->task.env.now_ms, id, &text);
    (void)atomic_fetch_add_explicit(&service_of(c)->metrics->tasks_in_flight, 1,
                                    memory_order_relaxed);
    return t;
}

static void drop_task(struct front_task *t)
{
    struct front_conn *c = t->conn;

    (void)atomic_fetch_sub_explicit(&service_of(c)->metrics->tasks_in_flight, 1,
                                    memory_order_relaxed);
    front_memory_task_free(&c->loop->memory, t, &t->task.arena);
}

static void end_task(struct front_task *t)
{
    report(t->conn, &t->task.note, t->task.env.tracking_id, clock_us() - t->began_us);
    drop_task(t);
}

static struct task *on_new_task(struct surface_io *io)
{
    struct call *call = (struct call *)io;
    struct front_conn *c = call->conn;
    struct front_lane lane = lane_of(c, io->turn);

    assert(call->task == NULL);
    if (!front_work_is_full(c->loop->work, &lane)) {
        call->task = make_task(c);
    }
    if (call->task == NULL) {
        io->retry_after_s = front_work_retry_after_s(c->loop->work, &lane);
        (void)atomic_fetch_add_explicit(&service_of(c)->metrics->throttled[lane.kind], 1,
                                        memory_order_relaxed);
        return NULL;
    }
    call->task->job.lane = lane;
    return &call->task->task;
}

static void start_work(struct front_conn *c, struct front_task *t)
{
    c->work = t;
    t->post.run = on_work_back;
    t->job.run = run_work;
    t->arena_mark = t->task.arena.used;
    t->job.sign = sign_of(t);
    if (t->job.lane.kind != FRONT_LANE_OTHER) {
        t->turn = (struct env_turn){ .take = on_take_turn, .wait_ms = on_wait_ms };
        t->task.env.turn = &t->turn;
    }
    front_work_submit(c->loop->work, &t->job);
}

static void start_append(struct front_conn *c, struct front_task *t)
{
    struct front_task **last = &c->appends;
    err e;

    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = t;
    c->n_appends++;
    t->post.run = on_append_back;
    t->task.append.done = on_appended;
    e = sink_append(service_of(c)->sink, &t->task.append);
    if (!err_is_ok(e)) { /* takes the same way, behind those that are out */
        t->task.append_result = e;
        front_loop_post(c->loop, &t->post);
    }
}

/* ---- calls ---- */

static struct call call_for(struct front_conn *c)
{
    return (struct call){
        .io = { .in = c->in.data != NULL ? c->in.data + c->in.held : NULL,
                .in_len = c->in.len - c->in.held,
                .out = &c->out,
                .now_ms = front_drive_wall_ms(),
                .new_task = on_new_task,
                .retry_after_s = 1,
                .note = on_note },
        .conn = c,
    };
}

/* Spans of a request hold until its finish(). */
static void let_go_of_input(struct front_conn *c)
{
    if (c->work == NULL && c->in.held > 0) {
        front_conn_drop_input(c, c->in.held);
        c->in.held = 0;
    }
}

/* What a call asked for. */
static void settle_call(struct front_conn *c, struct call *call, enum surface_step step)
{
    bool takes_task = step == SURFACE_WORK || step == SURFACE_APPEND;

    assert(call->io.consumed <= call->io.in_len);
    assert(!takes_task || (call->task != NULL && call->io.task == &call->task->task));
    if (call->task != NULL && !takes_task) {
        drop_task(call->task);
    }
    c->in.held += call->io.consumed;
    if (step == SURFACE_WORK) {
        start_work(c, call->task);
    } else if (step == SURFACE_APPEND) {
        start_append(c, call->task);
    } else if (step == SURFACE_CLOSE) {
        c->wants_close = true;
    }
    let_go_of_input(c);
}

static bool may_enter(const struct front_conn *c)
{
    return c->box != NULL && c->work == NULL && !c->is_farewell_done;
}

static bool may_step(const struct front_conn *c)
{
    return may_enter(c) && c->state == CONN_OPEN && !c->wants_close && !c->out.failed &&
           c->out.len < LIMIT_UNSENT;
}

void front_drive_step(struct front_conn *c)
{
    for (int i = 0; may_step(c); i++) {
        struct call call = call_for(c);
        enum surface_step step;

        if (i == STEPS_AT_ONCE) {
            front_loop_ready(c->loop, c); /* others first */
            return;
        }
        step = ops_of(c)->step(&c->box->surface, &call.io);
        settle_call(c, &call, step);
        if (step == SURFACE_IDLE) {
            return;
        }
    }
}

/* ---- ways back ---- */

static void finish(struct front_conn *c, struct front_task *t)
{
    struct call call = call_for(c);
    enum surface_step step;

    if (t->task.note.reason == REASON_THROTTLED) {
        call.io.retry_after_s = front_work_retry_after_s(c->loop->work, &t->job.lane);
    }
    if (t->job.lane.kind != FRONT_LANE_OTHER) {
        c->box->proven = t->job.lane;
    }
    step = ops_of(c)->finish(&c->box->surface, &t->task, &call.io);
    if (step != SURFACE_CLOSE) {
        step = SURFACE_IDLE; /* a step follows anyway */
    }
    settle_call(c, &call, step);
    end_task(t);
}

static void finish_appends(struct front_conn *c)
{
    while (c->appends != NULL && c->appends->is_back) {
        struct front_task *t = c->appends;

        c->appends = t->next;
        c->n_appends--;
        finish(c, t);
    }
}

static void pass_signals(struct front_conn *c)
{
    unsigned signals = c->held_signals;
    struct call call = call_for(c);
    enum surface_step step;

    if (signals == 0 || !may_enter(c) || c->wants_close) {
        return;
    }
    c->held_signals = 0;
    step = ops_of(c)->on_signal(&c->box->surface, signals, &call.io);
    assert(step != SURFACE_WORK && step != SURFACE_APPEND);
    settle_call(c, &call, step);
}

/* After whatever came back: what waited for it, and the visit that sends and steps. */
static void go_on(struct front_conn *c)
{
    if (c->work == NULL) {
        finish_appends(c);
        pass_signals(c);
    }
    if (c->state == CONN_GONE) {
        front_drive_farewell(c);
        front_conn_free_if_over(c);
        return;
    }
    front_drive_step(c);
    front_loop_ready(c->loop, c);
}

static void on_work_back(struct front_post *p)
{
    struct front_task *t = OUTER(struct front_task, post, p);
    struct front_conn *c = t->conn;

    finish_appends(c); /* they were given earlier */
    finish(c, t);
    c->work = NULL;
    let_go_of_input(c);
    go_on(c);
}

static void on_append_back(struct front_post *p)
{
    struct front_task *t = OUTER(struct front_task, post, p);

    t->is_back = true;
    go_on(t->conn);
}

static void on_signals(struct front_post *p)
{
    struct front_conn *c = OUTER(struct front_conn, signal_post, p);

    c->held_signals |= atomic_exchange(&c->signals, 0);
    go_on(c);
}

static void tell(struct surface *s, unsigned signals)
{
    struct front_conn *c = OUTER(struct front_surface_box, surface, s)->conn;

    if (atomic_fetch_or(&c->signals, signals) == 0) {
        front_loop_post(c->loop, &c->signal_post);
    }
}

/* ---- the connection's side ---- */

bool front_drive_open(struct front_conn *c)
{
    const struct surface_ops *ops = ops_of(c);

    assert(ops->size >= sizeof(struct surface));
    c->box = calloc(1, offsetof(struct front_surface_box, surface) + ops->size);
    if (c->box == NULL) {
        return false;
    }
    c->box->conn = c;
    c->signal_post.run = on_signals;
    c->box->surface.ops = ops;
    c->box->surface.service = service_of(c);
    c->box->surface.peer = &c->peer;
    c->box->surface.tell = tell;
    c->box->surface.lane = hash_of_address(&c->peer);
    ops->init(&c->box->surface, front_drive_wall_ms());
    return true;
}

int64_t front_drive_deadline_ms(const struct front_conn *c)
{
    return may_enter(c) && !c->wants_close ? ops_of(c)->deadline(&c->box->surface) : INT64_MAX;
}

void front_drive_on_deadline(struct front_conn *c)
{
    struct call call = call_for(c);
    enum surface_step step = ops_of(c)->on_deadline(&c->box->surface, &call.io);

    settle_call(c, &call, step);
    if (step == SURFACE_CLOSE) {
        (void)atomic_fetch_add_explicit(&service_of(c)->metrics->timeouts, 1, memory_order_relaxed);
    }
    front_drive_step(c);
}

void front_drive_farewell(struct front_conn *c)
{
    struct call call;
    enum surface_step step;

    if (!may_enter(c)) {
        return;
    }
    call = call_for(c);
    step = ops_of(c)->closed(&c->box->surface, &call.io);
    c->is_farewell_done = true;
    settle_call(c, &call, step == SURFACE_APPEND ? step : SURFACE_IDLE);
}

bool front_drive_wants_input(const struct front_conn *c)
{
    return may_step(c) && c->n_appends < LIMIT_APPENDS_IN_FLIGHT && !c->box->surface.is_held_up;
}

bool front_drive_is_idle(const struct front_conn *c)
{
    bool is_held_up = c->box != NULL && c->box->surface.is_held_up; /* what was read comes again */

    if (c->work != NULL || c->appends != NULL || (c->in.len > 0 && !is_held_up) || c->out.len > 0) {
        return false;
    }
    return !may_enter(c) || ops_of(c)->is_busy == NULL || !ops_of(c)->is_busy(&c->box->surface);
}

bool front_drive_is_over(struct front_conn *c)
{
    return c->work == NULL && c->appends == NULL &&
           (c->box == NULL || (c->is_farewell_done && atomic_load(&c->signals) == 0));
}

void front_drive_free(struct front_conn *c)
{
    free(c->box);
}
