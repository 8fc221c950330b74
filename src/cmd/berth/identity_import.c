/* cmd/berth/identity_import.c: `berth hub device-identity import`: many identities from a file, a
 * hundred a request. What fails is told by its line; the rest is done. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/hub_api.h"
#include "cmd/berth/identity_rows.h"
#include "cmd/berth/progress.h"
#include "cmd/berth/records.h"
#include "model/limits.h"

enum {
    BODY_BYTES = 512 * 1024,            /* a request is closed behind the item that passes it */
    BODY_MAX = BODY_BYTES + 256 * 1024, /* and the largest item fits yet */
    BUSY_MAX = 60,                      /* times the hub may say that it is */
    ANSWER_DEPTH = 8
};

static volatile sig_atomic_t interrupted;

/* One item of the request that is being made. */
struct sent {
    const char *device, *module; /* module "": none */
    int64_t line;
    bool has_failed;
};

struct import {
    struct cli *cli;
    struct endpoint hub;
    const char *file, *mode;
    bool is_csv;
    struct records records;
    struct identity_rows rows;
    struct progress progress;
    struct sent sent[LIMIT_HUB_BULK];
    size_t n;
    uint8_t *memory; /* BODY_MAX */
    struct buf body;
    size_t mark; /* of the command's memory, when a request begins */
    int64_t done, failed;
};

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static void fail_line(struct import *im, int64_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fail_line(struct import *im, int64_t line, const char *format, ...)
{
    va_list args;

    im->failed++;
    berth_progress_clear(&im->progress);
    (void)fprintf(stderr, "%s:%lld: ", im->file, (long long)line);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

/* --- A request. ---------------------------------------------------------------------------- */

static void begin_request(struct import *im)
{
    im->cli->arena.used = im->mark;
    im->body = buf_over(im->memory, BODY_MAX);
    im->n = 0;
}

/* A hub that is throttled says 429. */
static err post(struct import *im, struct http_reply *ret_reply)
{
    struct http_request request = { .method = "POST",
                                    .path = "/devices?" BERTH_HUB_API_QUERY,
                                    .body = buf_span(&im->body),
                                    .what = "identities" };

    for (int i = 0; !interrupted; i++) {
        struct timespec pause = { .tv_sec = 1 };

        TRY(berth_http_exchange(im->cli, &im->hub, &request, ret_reply));
        if (ret_reply->status != 429 || i == BUSY_MAX) {
            return OK;
        }
        pause.tv_sec = ret_reply->retry_after_s > 0 ? ret_reply->retry_after_s : 1;
        (void)nanosleep(&pause, NULL);
    }
    return err_set(ERR_CLOSED, "interrupted");
}

static struct sent *find_sent(struct import *im, const json *error)
{
    struct span device = json_text(json_member(error, "deviceId"));
    struct span module = json_text(json_member(error, "moduleId"));

    for (size_t i = 0; i < im->n; i++) {
        if (!im->sent[i].has_failed && span_eq(device, span_str(im->sent[i].device)) &&
            span_eq(module, span_str(im->sent[i].module))) {
            return &im->sent[i];
        }
    }
    return NULL;
}

static err take_errors(struct import *im, const json *errors)
{
    for (size_t i = 0; i < json_array_len(errors); i++) {
        const json *error = json_array_at(errors, i);
        struct sent *s = find_sent(im, error);
        struct span why = json_text(json_member(error, "errorStatus"));
        struct span code = json_text(json_member(error, "errorCode"));

        if (s == NULL) {
            return err_set(ERR_IO, "the hub tells of a failure of '%.*s', which was not sent",
                           SPAN_FMT(json_text(json_member(error, "deviceId"))));
        }
        s->has_failed = true;
        while (why.len > 0 && why.data[why.len - 1] == '.') {
            why.len--;
        }
        fail_line(im, s->line, "'%s%s%s': %.*s (%.*s)", s->device, s->module[0] ? "/" : "",
                  s->module, SPAN_FMT(why), SPAN_FMT(code));
        im->done--;
    }
    return OK;
}

static err send_request(struct import *im)
{
    struct http_reply reply = { .status = 0 };
    AUTO(json) json *answer = NULL;
    bool is_good = false;

    if (im->n == 0) {
        return OK;
    }
    buf_add_u8(&im->body, ']');
    TRY(buf_ok(&im->body));
    TRY(post(im, &reply));
    if ((reply.status != 200 && reply.status != 400) ||
        !err_is_ok(json_parse(reply.body, ANSWER_DEPTH, &answer)) ||
        json_member(answer, "isSuccessful") == NULL) {
        return berth_http_fault(reply.status, reply.body, "identities");
    }
    im->done += (int64_t)im->n;
    TRY(json_get_bool(answer, "isSuccessful", &is_good));
    if (!is_good) {
        TRY(take_errors(im, json_member(answer, "errors")));
    }
    berth_progress_show(&im->progress, im->done, im->failed, im->records.offset, 0);
    begin_request(im);
    return OK;
}

/* --- The lines. ---------------------------------------------------------------------------- */

static err decode(struct import *im, struct record *record, struct identity_row *ret_row)
{
    struct json_writer w = json_writer_over(&im->body);

    if (record->is_too_long) {
        return err_set(ERR_UNSUPPORTED, "the line is too long");
    }
    buf_add_str(&im->body, im->n == 0 ? "[" : ",");
    return im->is_csv ? berth_identity_rows_decode(&im->rows, record->text, record->len, im->mode,
                                                   &w, ret_row)
                      : berth_identity_rows_decode_json(im->cli, span_of(record->text, record->len),
                                                        im->mode, &w, ret_row);
}

static err add_line(struct import *im, struct record *record)
{
    size_t len = im->body.len;
    struct identity_row row = { SPAN_NONE, SPAN_NONE };
    err e = decode(im, record, &row);

    if (err_is_ok(e) && im->body.failed) {
        e = err_set(ERR_UNSUPPORTED, "the line is too long");
    }
    if (err_is(e, ERR_UNSUPPORTED)) {
        im->body.len = len;
        im->body.failed = false;
        fail_line(im, record->line, "%s", err_detail());
        return OK;
    }
    TRY(e);
    im->sent[im->n++] = (struct sent){ .device = berth_cli_cstr(im->cli, row.device),
                                       .module = berth_cli_cstr(im->cli, row.module),
                                       .line = record->line };
    return im->n == LIMIT_HUB_BULK || im->body.len > BODY_BYTES ? send_request(im) : OK;
}

static err read_header(struct import *im)
{
    struct record record;
    bool is_there = false;
    err e;

    TRY(berth_records_next(&im->records, &record, &is_there));
    if (!is_there) {
        return err_set(ERR_MALFORMED, "%s is empty", im->file);
    }
    e = berth_identity_rows_decode_header(record.text, record.len, &im->rows);
    return err_is_ok(e) ? OK
                        : err_set(e.code, "%s:1: %s", im->file,
                                  berth_cli_printf(im->cli, "%s", err_detail()));
}

static err read_all(struct import *im)
{
    bool is_there = true;

    im->mark = im->cli->arena.used;
    begin_request(im);
    while (is_there && !interrupted) {
        struct record record;

        TRY(berth_records_next(&im->records, &record, &is_there));
        if (is_there) {
            TRY(add_line(im, &record));
        }
    }
    return interrupted ? err_set(ERR_CLOSED, "interrupted") : send_request(im);
}

/* --- The command. -------------------------------------------------------------------------- */

static err find_format(struct import *im)
{
    const char *format = berth_cli_text(im->cli, "format");
    struct span name = span_str(im->file);

    if (format == NULL && !span_ends_with(name, SPAN(".csv")) &&
        !span_ends_with(name, SPAN(".jsonl")) && !span_ends_with(name, SPAN(".ndjson"))) {
        return berth_cli_usage(
            im->cli, "is %s CSV or JSON lines? Its name does not tell: give --format", im->file);
    }
    im->is_csv = format != NULL ? strcmp(format, "csv") == 0 : span_ends_with(name, SPAN(".csv"));
    return OK;
}

static err report(struct import *im, err e)
{
    /* Lines of a request that was not answered are not counted: some of them may be done. */
    const char *why = berth_cli_printf(im->cli, "%s", err_is_ok(e) ? "" : err_detail());
    int64_t line = im->n > 0 ? im->sent[0].line : im->records.line;

    berth_progress_clear(&im->progress);
    if (im->cli->is_json) {
        (void)printf("{\n  \"done\": %lld,\n  \"failed\": %lld\n}\n", (long long)im->done,
                     (long long)im->failed);
    } else {
        (void)printf("%lld done, %lld failed\n", (long long)im->done, (long long)im->failed);
    }
    if (!err_is_ok(e)) {
        return err_set(e.code, "%s; stopped before line %lld", why, (long long)line);
    }
    im->cli->exit_status = im->failed > 0 ? BERTH_EXIT_FAILED : 0;
    return OK;
}

static err run(struct import *im, int fd)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
    err e;

    TRY(berth_records_open(&im->records, fd, im->is_csv, im->file));
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    berth_progress_begin(&im->progress, im->cli->is_json, "identities", 0);
    e = im->is_csv ? read_header(im) : OK;
    if (err_is_ok(e)) {
        e = report(im, read_all(im));
    }
    berth_records_close(&im->records);
    return e;
}

err berth_identity_import(struct cli *cli)
{
    struct import im = { .cli = cli,
                         .file = berth_cli_text(cli, "file"),
                         .mode = berth_cli_text(cli, "mode"),
                         .memory = arena_alloc(&cli->arena, BODY_MAX) };
    bool is_stdin = strcmp(im.file, "-") == 0;
    int fd;
    err e;

    if (im.memory == NULL) {
        return ERR(NOMEM);
    }
    TRY(find_format(&im));
    TRY(berth_cli_hub(cli, &im.hub));
    fd = is_stdin ? STDIN_FILENO : open(im.file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot read %s: %s", im.file,
                       strerror(errno));
    }
    e = run(&im, fd);
    if (!is_stdin) {
        (void)close(fd);
    }
    return e;
}
