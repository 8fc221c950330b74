/* cmd/berth/feedback.c: `berth hub monitor-feedback`, and waiting for what becomes of one message.
 * The hub is asked again and again: it has no other way over HTTPS. */
#include "cmd/berth/feedback.h"

#include <signal.h>
#include <time.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/hub_api.h"
#include "cmd/berth/view.h"

#define FEEDBACK_PATH "/messages/serviceBound/feedback"

enum { POLL_FIRST_MS = 100, POLL_MOST_MS = 1000, HELD_MAX = 64, RECORDS_DEPTH = 8, LOCK_MAX = 80 };

struct feedback_batch {
    json *records; /* an array; NULL: none waits. Its taker's to free */
    char lock[LOCK_MAX];
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static void catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal };

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static bool is_over(int64_t deadline_ms)
{
    return interrupted || berth_cli_now_ms() >= deadline_ms;
}

/* Longer each time; *wait_ms begins as 0. */
static void pause_until(int64_t deadline_ms, int64_t *wait_ms)
{
    int64_t left = deadline_ms - berth_cli_now_ms();
    struct timespec t;

    *wait_ms = *wait_ms == 0 ? POLL_FIRST_MS : *wait_ms * 2;
    *wait_ms = *wait_ms < POLL_MOST_MS ? *wait_ms : POLL_MOST_MS;
    left = left < *wait_ms ? left : *wait_ms;
    if (left > 0) {
        t = (struct timespec){ .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
        (void)nanosleep(&t, NULL);
    }
}

/* The next batch that nobody has locked. */
static err take_batch(struct cli *cli, const struct endpoint *hub, struct feedback_batch *ret)
{
    struct http_request request = { .method = "GET",
                                    .path = FEEDBACK_PATH "?" BERTH_HUB_API_QUERY,
                                    .what = "feedback" };
    size_t mark = cli->arena.used;
    struct feedback_batch batch = { .records = NULL };
    struct http_reply reply;
    struct span lock;

    TRY(berth_http_send(cli, hub, &request, &reply));
    if (reply.status != 204) {
        lock = berth_http_header(&reply, "etag");
        lock = span_starts_with(lock, SPAN("\"")) && lock.len > 1
                   ? span_first(span_from(lock, 1), lock.len - 2)
                   : lock;
        if (lock.len == 0 || lock.len >= sizeof(batch.lock)) {
            return err_set(ERR_IO, "feedback: the server's answer has no lock token");
        }
        memcpy(batch.lock, lock.data, lock.len);
        if (!err_is_ok(json_parse(reply.body, RECORDS_DEPTH, &batch.records)) ||
            !json_is_array(batch.records)) {
            json_free(batch.records);
            return err_set(ERR_IO, "feedback: the server's answer is not a JSON array");
        }
    }
    cli->arena.used = mark;
    *ret = batch;
    return OK;
}

static err settle(struct cli *cli, const struct endpoint *hub, const char *method, const char *lock,
                  const char *suffix)
{
    size_t mark = cli->arena.used;
    struct http_request request = {
        .method = method,
        .path = berth_cli_printf(cli, FEEDBACK_PATH "/%s%s?" BERTH_HUB_API_QUERY,
                                 berth_http_escape(cli, lock), suffix),
        .what = "feedback",
    };
    struct http_reply reply;

    TRY(berth_http_send(cli, hub, &request, &reply));
    cli->arena.used = mark;
    return OK;
}

/* Its records are gone from the hub; or, abandoned, come again. */
static err complete(struct cli *cli, const struct endpoint *hub, const char *lock)
{
    return settle(cli, hub, "DELETE", lock, "");
}

static err abandon(struct cli *cli, const struct endpoint *hub, const char *lock)
{
    return settle(cli, hub, "POST", lock, "/abandon");
}

static void print_record(struct cli *cli, const json *record, FILE *out)
{
    size_t mark = cli->arena.used;
    struct span time = berth_view_text(cli, record, "enqueuedTimeUtc");
    struct span device = berth_view_text(cli, record, "deviceId");
    struct span module = berth_view_text(cli, record, "moduleId");
    struct span status = berth_view_text(cli, record, "statusCode");
    struct span message = berth_view_text(cli, record, "originalMessageId");

    (void)fprintf(out, "%.*s  %.*s%s%.*s  %.*s  %.*s\n", SPAN_FMT(time), SPAN_FMT(device),
                  module.len > 0 ? "/" : "", SPAN_FMT(module), SPAN_FMT(status), SPAN_FMT(message));
    cli->arena.used = mark;
}

/* --- One message's. ------------------------------------------------------------------------ */

/* Batches of others, kept locked while ours is looked for: else they would come again at once. */
struct held {
    char locks[HELD_MAX][LOCK_MAX];
    size_t n;
};

static void let_go(struct cli *cli, const struct endpoint *hub, struct held *held)
{
    for (size_t i = 0; i < held->n; i++) {
        (void)abandon(cli, hub, held->locks[i]); /* or else its lock runs out */
    }
    held->n = 0;
}

static json *find_record(const json *records, const char *message_id)
{
    for (size_t i = 0; i < json_array_len(records); i++) {
        json *record = json_array_at(records, i);

        if (span_eq(json_text(json_member(record, "originalMessageId")), span_str(message_id))) {
            return record;
        }
    }
    return NULL;
}

static err take(struct cli *cli, const struct endpoint *hub, const struct feedback_batch *batch,
                json *record, json **ret_record)
{
    berth_cli_keep(cli, batch->records);
    for (size_t i = 0; i < json_array_len(batch->records); i++) {
        json *other = json_array_at(batch->records, i);

        if (other != record) {
            (void)fputs("berth: told together with it: ", stderr);
            print_record(cli, other, stderr);
        }
    }
    *ret_record = record;
    return complete(cli, hub, batch->lock);
}

static err look(struct cli *cli, const struct endpoint *hub, const char *message_id,
                struct held *held, bool *ret_was_some, json **ret_record)
{
    struct feedback_batch batch;
    json *record;

    TRY(take_batch(cli, hub, &batch));
    *ret_was_some = batch.records != NULL;
    record = find_record(batch.records, message_id);
    if (record != NULL) {
        return take(cli, hub, &batch, record, ret_record);
    }
    json_free(batch.records);
    if (*ret_was_some) {
        if (held->n == HELD_MAX) {
            let_go(cli, hub, held);
        }
        memcpy(held->locks[held->n++], batch.lock, sizeof(batch.lock));
    }
    return OK;
}

err berth_feedback_wait(struct cli *cli, const struct endpoint *hub, const char *message_id,
                        int64_t deadline_ms, json **ret_record)
{
    struct held held = { .n = 0 };
    json *record = NULL;
    int64_t wait_ms = 0;
    err e = OK;

    catch_signals();
    while (err_is_ok(e) && record == NULL && !is_over(deadline_ms)) {
        bool was_some = false;

        e = look(cli, hub, message_id, &held, &was_some, &record);
        if (err_is_ok(e) && record == NULL && !was_some) {
            pause_until(deadline_ms, &wait_ms);
        }
    }
    let_go(cli, hub, &held);
    TRY(e);
    *ret_record = record;
    return OK;
}

/* --- All. ---------------------------------------------------------------------------------- */

struct monitor {
    struct cli *cli;
    struct endpoint hub;
    struct held others; /* of other devices */
    const char *device; /* NULL: all */
    int64_t left, deadline_ms;
};

static bool is_wanted(const struct monitor *m, const json *record)
{
    return m->device == NULL ||
           span_eq(json_text(json_member(record, "deviceId")), span_str(m->device));
}

static bool has_only_wanted(const struct monitor *m, const json *records)
{
    for (size_t i = 0; i < json_array_len(records); i++) {
        if (!is_wanted(m, json_array_at(records, i))) {
            return false;
        }
    }
    return true;
}

static err show(struct monitor *m, const json *record)
{
    struct cli *cli = m->cli;
    size_t mark = cli->arena.used;
    struct buf out = arena_buf(&cli->arena);
    struct span text;

    if (!cli->is_json) {
        print_record(cli, record, stdout);
    } else {
        TRY(json_print(record, &out));
        TRY(arena_buf_end(&cli->arena, &out, &text));
        (void)puts((const char *)text.data);
    }
    cli->arena.used = mark;
    m->left -= m->left != INT64_MAX && m->left > 0;
    return OK;
}

/* A batch is shown, then completed: a record is shown twice rather than lost. One that holds
 * another device's stays. */
static err show_batch(struct monitor *m, const struct feedback_batch *batch)
{
    bool is_ours = has_only_wanted(m, batch->records);

    for (size_t i = 0; i < json_array_len(batch->records); i++) {
        json *record = json_array_at(batch->records, i);

        if (is_wanted(m, record)) {
            TRY(show(m, record));
        }
    }
    (void)fflush(stdout);
    if (is_ours) {
        return complete(m->cli, &m->hub, batch->lock);
    }
    if (m->others.n == HELD_MAX) {
        let_go(m->cli, &m->hub, &m->others);
    }
    memcpy(m->others.locks[m->others.n++], batch->lock, sizeof(batch->lock));
    return OK;
}

static err follow(struct monitor *m)
{
    int64_t wait_ms = 0;

    while (m->left > 0 && !is_over(m->deadline_ms)) {
        struct feedback_batch batch;
        err e;

        TRY(take_batch(m->cli, &m->hub, &batch));
        if (batch.records == NULL) {
            pause_until(m->deadline_ms, &wait_ms);
            continue;
        }
        wait_ms = 0;
        e = show_batch(m, &batch);
        json_free(batch.records);
        TRY(e);
    }
    return OK;
}

err berth_feedback_monitor(struct cli *cli)
{
    int64_t count = berth_options_int(&cli->options, "count");
    int64_t timeout_s = berth_options_int(&cli->options, "timeout");
    struct monitor m = { .cli = cli,
                         .device = berth_cli_text(cli, "device-id"),
                         .left = count > 0 ? count : INT64_MAX,
                         .deadline_ms =
                             timeout_s > 0 ? berth_cli_now_ms() + timeout_s * 1000 : INT64_MAX };
    err e;

    TRY(berth_cli_hub(cli, &m.hub));
    catch_signals();
    if (!cli->is_json) {
        (void)fprintf(stderr, "Feedback of %s (Ctrl-C ends):\n", m.hub.host);
    }
    e = follow(&m);
    let_go(cli, &m.hub, &m.others);
    TRY(e);
    if (count > 0 && m.left > 0 && !interrupted) {
        return err_set(ERR_TIMEOUT, "%lld of %lld records came within %lld s",
                       (long long)(count - m.left), (long long)count, (long long)timeout_s);
    }
    return OK;
}
