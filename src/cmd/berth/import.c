/* cmd/berth/import.c: `berth enrollment import`, `enrollment-group import`: what is imported, where
 * an interrupted import goes on, and how it went. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/import_run.h"

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static err check_state(struct import *im, const struct import_state *was)
{
    struct import_state now = im->state;

    if (strcmp(was->mode, im->kind.mode) != 0 || strcmp(was->collection, im->kind.collection)) {
        return err_set(ERR_PRECONDITION, "the import of %s was begun as --mode %s of %s", im->file,
                       was->mode, was->collection);
    }
    if (strcmp(was->host, im->state.host) != 0) {
        return err_set(ERR_PRECONDITION, "the import of %s was begun to %s, not %s", im->file,
                       was->host, im->state.host);
    }
    if (was->digest_len > 0) {
        TRY(berth_import_state_digest(im->cli, im->records.fd, &now, was->digest_len));
    }
    if (strcmp(was->digest, now.digest) != 0 || im->size < was->offset) {
        return err_set(ERR_PRECONDITION,
                       "%s is not the file whose import was interrupted; without %s it is "
                       "imported from its beginning",
                       im->file, im->state_path);
    }
    return OK;
}

static err take_up(struct import *im)
{
    bool resumes = berth_options_flag(&im->cli->options, "resume");
    struct import_state was;
    err e;

    if (im->is_stdin) {
        im->state_path = NULL;
        return resumes ? berth_cli_usage(im->cli, "--resume wants a file, not standard input") : OK;
    }
    im->state_path = berth_import_state_path(im->cli, im->file);
    TRY(berth_import_state_digest(im->cli, im->records.fd, &im->state, 0));
    e = berth_import_state_read(im->cli, im->state_path, &was);
    if (err_is(e, ERR_NOT_FOUND)) {
        return resumes ? err_set(ERR_NOT_FOUND,
                                 "there is nothing to resume: no import of %s was interrupted",
                                 im->file)
                       : OK;
    }
    TRY(e);
    if (!resumes) {
        return err_set(ERR_EXISTS,
                       "an import of %s was interrupted behind line %lld: --resume goes on there; "
                       "without %s it begins again",
                       im->file, (long long)(was.line - 1), im->state_path);
    }
    TRY(check_state(im, &was));
    was.mode = im->kind.mode;
    was.collection = im->kind.collection;
    was.host = im->state.host;
    im->state = was;
    im->known = was.sent;
    im->before = was.done + was.there;
    return OK;
}

/* The lines that fail; with CSV, its header before them. What an interrupted run wrote of lines
 * that are sent again is cut off; when the file is not that run's, it begins anew. */
static err open_errors(struct import *im, struct span header)
{
    const char *path = berth_cli_text(im->cli, "errors");
    struct stat input, output = { .st_size = 0 };
    int fd;

    if (path == NULL) {
        return OK;
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && fstat(fd, &output) == 0 && fstat(im->records.fd, &input) == 0 &&
        input.st_dev == output.st_dev && input.st_ino == output.st_ino) {
        (void)close(fd);
        return berth_cli_usage(im->cli, "--errors is the file that is imported");
    }
    if (fd >= 0 && output.st_size < im->state.errors_len) {
        im->state.errors_len = 0;
    }
    if (fd < 0 || ftruncate(fd, (off_t)im->state.errors_len) != 0 || lseek(fd, 0, SEEK_END) < 0 ||
        (im->errors = fdopen(fd, "r+")) == NULL) {
        return err_set(ERR_IO, "cannot write %s: %s", path, strerror(errno));
    }
    im->errors_path = path;
    if (im->state.errors_len == 0 && header.len > 0) {
        (void)fprintf(im->errors, "%.*s%s", SPAN_FMT(header),
                      span_ends_with(header, SPAN("\n")) ? "" : "\n");
    }
    return OK;
}

/* The header of CSV; then to where an interrupted import goes on. */
static err begin(struct import *im)
{
    struct span header = SPAN_NONE;
    struct record record;
    bool is_there = true;

    if (im->is_csv) {
        TRY(berth_records_next(&im->records, &record, &is_there));
        if (!is_there || record.is_too_long) {
            return err_set(ERR_MALFORMED, "%s has no header line", im->file);
        }
        TRY(arena_copy(&im->cli->arena, span_of(record.text, record.len), &header));
        if (!err_is_ok(
                berth_rows_decode_header(im->kind.kind, record.text, record.len, &im->rows))) {
            return err_set(ERR_MALFORMED, "%s:%lld: %s", im->file, (long long)record.line,
                           berth_cli_printf(im->cli, "%s", err_detail()));
        }
        im->rows.dir = im->dir;
        im->rows.only_id = strcmp(im->kind.mode, "delete") == 0;
    }
    if (im->state.offset > 0) {
        TRY(berth_records_seek(&im->records, im->state.offset, im->state.line));
    }
    return open_errors(im, header);
}

static void print_json(const struct import *im, bool is_finished)
{
    uint8_t memory[512];
    struct buf out = buf_over(memory, sizeof(memory) - 1);
    struct json_writer w = json_writer_over(&out);
    int64_t ms = berth_progress_elapsed_ms(&im->progress);

    json_write_begin_object(&w, NULL);
    json_write_int(&w, "done", im->state.done);
    json_write_int(&w, "alreadyThere", im->state.there);
    json_write_int(&w, "failed", im->state.failed);
    json_write_bool(&w, "isFinished", is_finished);
    json_write_int(&w, "milliseconds", ms);
    json_write_int(&w, "perSecond", (im->state.done + im->state.there - im->before) * 1000 / ms);
    json_write_end_object(&w);
    (void)puts(buf_cstr(&out));
}

static void print_words(const struct import *im)
{
    char memory[200];
    struct buf out = buf_over(memory, sizeof(memory) - 1);
    int64_t ms = berth_progress_elapsed_ms(&im->progress);
    const char *verb = strcmp(im->kind.mode, "create") == 0   ? "created"
                       : strcmp(im->kind.mode, "delete") == 0 ? "deleted"
                                                              : "updated";

    berth_progress_number(im->state.done, &out);
    buf_printf(&out, " %s", verb);
    if (im->state.there > 0) {
        buf_add_str(&out, ", ");
        berth_progress_number(im->state.there, &out);
        buf_printf(&out, " were %s already", verb);
    }
    if (im->state.failed > 0) {
        buf_add_str(&out, ", ");
        berth_progress_number(im->state.failed, &out);
        buf_add_str(&out, " failed");
    }
    buf_printf(&out, " in %.1f s (", (double)ms / 1000);
    berth_progress_number((im->state.done + im->state.there - im->before) * 1000 / ms, &out);
    buf_add_str(&out, " a second)");
    (void)puts(buf_cstr(&out));
}

/* Says how it went; keeps the state unless the whole file is behind us. */
static err end(struct import *im, err e)
{
    bool is_finished = err_is_ok(e) && !berth_import_is_stopped(im);
    const char *why = berth_cli_printf(im->cli, "%s", err_is_ok(e) ? "" : err_detail());
    const char *how = "";

    berth_progress_clear(&im->progress);
    if (is_finished && im->state_path != NULL) {
        (void)unlink(im->state_path);
    } else {
        im->state.sent = err_is_ok(e) ? im->state.offset : im->state.sent;
        TRY(berth_import_save(im));
        how = im->state_path != NULL ? "; the same command with --resume goes on there" : "";
    }
    if (im->errors != NULL && fclose(im->errors) != 0 && err_is_ok(e)) {
        return err_set(ERR_IO, "cannot write %s: %s", im->errors_path, strerror(errno));
    }
    if (im->errors != NULL && is_finished && im->state.failed == 0) {
        (void)unlink(im->errors_path);
    }
    if (im->cli->is_json) {
        print_json(im, is_finished);
    } else {
        print_words(im);
    }
    (void)fflush(stdout);
    im->cli->exit_status = im->state.failed > 0 || !is_finished ? BERTH_EXIT_FAILED : 0;
    if (is_finished) {
        return OK;
    }
    return err_set(err_is_ok(e) ? ERR_CLOSED : e.code, "%s%sstopped behind line %lld%s", why,
                   why[0] ? "; " : "", (long long)(im->state.line - 1), how);
}

static err open_file(struct import *im, int *ret_fd)
{
    struct stat about;

    *ret_fd = im->is_stdin ? STDIN_FILENO : open(im->file, O_RDONLY | O_CLOEXEC);
    if (*ret_fd < 0 || fstat(*ret_fd, &about) != 0) {
        return err_set(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot read %s: %s", im->file,
                       strerror(errno));
    }
    if (S_ISDIR(about.st_mode)) {
        return err_set(ERR_IO, "cannot read %s: it is a directory", im->file);
    }
    if (!S_ISREG(about.st_mode)) {
        im->is_stdin = true; /* a pipe by name is as little resumable */
    }
    im->size = S_ISREG(about.st_mode) && !im->is_stdin ? (int64_t)about.st_size : 0;
    return OK;
}

static err find_format(struct import *im)
{
    const char *format = berth_cli_text(im->cli, "format"), *slash = strrchr(im->file, '/');
    struct span name = span_str(im->file);

    if (format == NULL && span_ends_with(name, SPAN(".csv"))) {
        format = "csv";
    } else if (format == NULL &&
               (span_ends_with(name, SPAN(".jsonl")) || span_ends_with(name, SPAN(".ndjson")))) {
        format = "jsonl";
    }
    if (format == NULL) {
        return berth_cli_usage(
            im->cli, "is %s CSV or JSON lines? Its name does not tell: give --format", im->file);
    }
    im->is_csv = strcmp(format, "csv") == 0;
    im->dir = slash == NULL || im->is_stdin
                  ? "."
                  : berth_cli_printf(im->cli, "%.*s", (int)(slash - im->file), im->file);
    return OK;
}

static err prepare_and_run(struct import *im)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };
    struct endpoint service;

    TRY(berth_cli_service(im->cli, &service));
    im->state.mode = im->kind.mode;
    im->state.collection = im->kind.collection;
    im->state.host = service.host;
    im->state.line = 1;
    TRY(take_up(im));
    TRY(begin(im));
    TRY(berth_import_open(im, &service));
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    berth_progress_begin(&im->progress, im->cli->is_json, im->kind.collection, im->state.offset);
    return end(im, berth_import_run(im));
}

static err import(struct cli *cli, enum enrollment_kind kind)
{
    bool is_group = kind == ENROLLMENT_GROUP;
    struct import im = {
        .cli = cli,
        .kind = { .kind = kind,
                  .mode = berth_cli_text(cli, "mode"),
                  .collection = is_group ? "enrollmentGroups" : "enrollments",
                  .id_name = berth_enrollment_column(kind, VALUE_ID),
                  .path = is_group ? "/enrollmentGroups?" BERTH_SERVICE_API_VERSION
                                   : "/enrollments?" BERTH_SERVICE_API_VERSION },
        .interrupted = &interrupted,
        .file = berth_cli_text(cli, "file"),
        .stops_on_error = berth_options_flag(&cli->options, "stop-on-error"),
    };
    int fd = -1;
    err e;

    im.is_stdin = strcmp(im.file, "-") == 0;
    TRY(find_format(&im));
    TRY(open_file(&im, &fd));
    e = berth_records_open(&im.records, fd, im.is_csv, im.file);
    if (err_is_ok(e)) {
        e = prepare_and_run(&im);
    }
    berth_import_close(&im);
    berth_records_close(&im.records);
    if (fd > STDIN_FILENO) {
        (void)close(fd);
    }
    return e;
}

err berth_enrollment_import(struct cli *cli)
{
    return import(cli, ENROLLMENT_INDIVIDUAL);
}

err berth_enrollment_group_import(struct cli *cli)
{
    return import(cli, ENROLLMENT_GROUP);
}
