/* cmd/berth/export.c: `berth enrollment export`, `enrollment-group export`: the pages of a query to
 * a file that import reads. Keys are asked for one by one, several at a time; a page is in memory.
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/enrollment_keys.h"
#include "cmd/berth/file.h"
#include "cmd/berth/progress.h"
#include "cmd/berth/rows.h"
#include "cmd/berth/transfer.h"

enum { JOBS = 64, JSON_DEPTH = 32, ROW_MAX = 1024 * 1024 };

struct export
{
    struct cli *cli;
    enum enrollment_kind kind;
    const char *collection, *word; /* "/enrollments", "enrollments" */
    bool is_csv, shows_keys;
    const char *file, *beside; /* NULL: standard output */
    FILE *out;
    uint8_t *row;              /* ROW_MAX */
    struct transfer *transfer; /* NULL without keys */
    struct transfer_job *jobs; /* JOBS */
    int64_t n, n_without_keys, n_descriptions;
    struct progress progress;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static struct span type_of(const json *enrollment)
{
    return json_text(json_member(json_member(enrollment, "attestation"), "type"));
}

static bool has_keys(const json *enrollment)
{
    return span_eq(type_of(enrollment), SPAN("symmetricKey"));
}

/* A certificate of which there is the description alone. */
static bool has_description(const json *enrollment)
{
    const json *attestation = json_member(enrollment, "attestation");
    const json *part = json_member(attestation, "x509");

    part = part != NULL ? part : json_member(attestation, "tpm");
    return json_member(part, "clientCertificates") != NULL ||
           json_member(part, "signingCertificates") != NULL;
}

static err write_out(struct export *x, struct span text)
{
    return fwrite(text.data, 1, text.len, x->out) == text.len
               ? OK
               : err_set(ERR_IO, "cannot write %s: %s", x->file ? x->file : "the output",
                         strerror(errno));
}

static err write_one(struct export *x, const json *enrollment)
{
    struct buf row = buf_over(x->row, ROW_MAX);

    if (x->is_csv) {
        TRY(berth_rows_encode(x->cli, x->kind, enrollment, &row));
    } else {
        TRY(json_print(enrollment, &row));
        buf_add_u8(&row, '\n');
        TRY(buf_ok(&row));
    }
    x->n++;
    x->n_descriptions += has_description(enrollment);
    x->n_without_keys += has_keys(enrollment) && !x->shows_keys;
    return write_out(x, buf_span(&row));
}

static err write_with_keys(struct export *x, json *enrollment, const struct transfer_job *job)
{
    AUTO(json) json *mechanism = NULL, *whole = NULL;
    struct span text;

    if (job->status == 404) {
        return OK; /* deleted meanwhile */
    }
    if (job->status != 200) {
        return err_set(job->status == 401 || job->status == 403 ? ERR_DENIED : ERR_IO, "%s",
                       job->why);
    }
    TRY(json_parse(buf_span(&job->reply), JSON_DEPTH, &mechanism));
    TRY(berth_enrollment_keys_merge(x->cli, enrollment, mechanism, &text));
    TRY(json_parse(text, JSON_DEPTH, &whole));
    return write_one(x, whole);
}

static err ask_for_keys(struct export *x, const json *enrollment, struct transfer_job *job)
{
    struct span id = json_text(json_member(enrollment, berth_enrollment_column(x->kind, VALUE_ID)));

    job->path =
        berth_cli_printf(x->cli, "%s/%s/attestationmechanism?" BERTH_SERVICE_API_VERSION,
                         x->collection, berth_http_escape(x->cli, berth_cli_cstr(x->cli, id)));
    job->body = SPAN_NONE;
    job->what = berth_cli_printf(x->cli, "the keys of '%.*s'", SPAN_FMT(id));
    berth_transfer_send(x->transfer, job);
    return OK;
}

/* At most JOBS items of a page, from `begin`. */
static err write_some(struct export *x, const json *page, size_t begin, size_t n)
{
    for (size_t i = 0; i < n && x->shows_keys; i++) {
        if (has_keys(json_array_at(page, begin + i))) {
            TRY(ask_for_keys(x, json_array_at(page, begin + i), &x->jobs[i]));
        }
    }
    for (size_t i = 0; i < n; i++) {
        json *enrollment = json_array_at(page, begin + i);

        if (!x->shows_keys || !has_keys(enrollment)) {
            TRY(write_one(x, enrollment));
            continue;
        }
        while (!x->jobs[i].is_done) {
            TRY(berth_transfer_wait(x->transfer, 1000));
        }
        TRY(write_with_keys(x, enrollment, &x->jobs[i]));
    }
    return OK;
}

static err on_page(void *context, json *page)
{
    struct export *x = context;
    size_t n = json_array_len(page);

    for (size_t i = 0; i < n; i += JOBS) {
        size_t mark = x->cli->arena.used;

        if (interrupted != 0) {
            return err_set(ERR_CLOSED, "interrupted; nothing was written");
        }
        TRY(write_some(x, page, i, n - i < JOBS ? n - i : JOBS));
        x->cli->arena.used = mark;
        berth_progress_show(&x->progress, x->n, 0, 0, 0);
    }
    return OK;
}

static err write_all(struct export *x)
{
    struct buf header = buf_over(x->row, ROW_MAX);
    struct resource_query query = {
        .path = berth_cli_printf(x->cli, "%s/query?" BERTH_SERVICE_API_VERSION, x->collection),
        .what = x->word,
        .text = berth_resource_query_text(x->cli, "*", NULL),
        .on_page = on_page,
        .context = x
    };

    if (x->is_csv) {
        berth_rows_encode_header(x->kind, &header);
        TRY(write_out(x, buf_span(&header)));
    }
    return berth_resource_query(x->cli, &query);
}

/* ---- beginning and end ---- */

static err open_out(struct export *x)
{
    mode_t before;

    x->out = stdout;
    if (x->file == NULL) {
        return OK;
    }
    if (berth_file_exists(x->file) && !berth_options_flag(&x->cli->options, "force")) {
        return err_set(ERR_EXISTS, "%s exists; --force overwrites it", x->file);
    }
    x->beside = berth_cli_printf(x->cli, "%s.%ld.tmp", x->file, (long)getpid());
    before = umask(0077);
    if (!x->shows_keys) {
        (void)umask(before);
    }
    x->out = fopen(x->beside, "wxe");
    (void)umask(before);
    return x->out != NULL ? OK : err_set(ERR_IO, "cannot write %s: %s", x->beside, strerror(errno));
}

/* The file gets its name when it is whole and on the disk. */
static err close_out(struct export *x, err e)
{
    bool is_written;

    if (x->out == NULL || x->beside == NULL) {
        return e;
    }
    is_written = fflush(x->out) == 0 && fsync(fileno(x->out)) == 0;
    is_written = fclose(x->out) == 0 && is_written;
    if (err_is_ok(e) && (!is_written || rename(x->beside, x->file) != 0)) {
        e = err_set(ERR_IO, "cannot write %s: %s", x->file, strerror(errno));
    }
    if (!err_is_ok(e)) {
        (void)unlink(x->beside);
    }
    return e;
}

static void tell(struct export *x)
{
    char memory[100];
    struct buf number = buf_over(memory, sizeof(memory) - 1);

    if (x->cli->is_json) {
        (void)fprintf(x->file ? stdout : stderr,
                      "{\"exported\":%lld,\"withoutKeys\":%lld,\"withoutCertificates\":%lld}\n",
                      (long long)x->n, (long long)x->n_without_keys, (long long)x->n_descriptions);
        return;
    }
    berth_progress_number(x->n, &number);
    (void)fprintf(x->file ? stdout : stderr, "%s %s%s%s\n", buf_cstr(&number), x->word,
                  x->file ? " in " : "", x->file ? x->file : "");
    if (x->n_without_keys > 0) {
        (void)fprintf(stderr, "%lld without their symmetric keys: --show-keys writes these too.\n",
                      (long long)x->n_without_keys);
    }
    if (x->n_descriptions > 0) {
        (void)fprintf(stderr,
                      "%lld with a certificate of which the service gives the description only: "
                      "they can be imported over themselves, not elsewhere.\n",
                      (long long)x->n_descriptions);
    }
}

static err find_format(struct export *x)
{
    const char *format = berth_cli_text(x->cli, "format");
    struct span name = span_str(x->file);

    if (format == NULL && span_ends_with(name, SPAN(".csv"))) {
        format = "csv";
    } else if (format == NULL && (x->file == NULL || span_ends_with(name, SPAN(".jsonl")) ||
                                  span_ends_with(name, SPAN(".ndjson")))) {
        format = "jsonl";
    }
    if (format == NULL) {
        return berth_cli_usage(
            x->cli, "%s: CSV or JSON lines? The name does not tell: give --format", x->file);
    }
    x->is_csv = strcmp(format, "csv") == 0;
    return OK;
}

static err prepare(struct export *x)
{
    struct endpoint service;

    x->row = arena_alloc(&x->cli->arena, ROW_MAX);
    if (x->row == NULL) {
        return ERR(NOMEM);
    }
    if (!x->shows_keys) {
        return OK;
    }
    x->jobs = ARENA_ARRAY(&x->cli->arena, JOBS, struct transfer_job);
    if (x->jobs == NULL) {
        return ERR(NOMEM);
    }
    TRY(berth_cli_service(x->cli, &service));
    return berth_transfer_open(
        x->cli, &service, (size_t)berth_options_int(&x->cli->options, "concurrency"), &x->transfer);
}

static err export(struct cli *cli, enum enrollment_kind kind)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };
    const char *file = berth_cli_text(cli, "file");
    bool is_group = kind == ENROLLMENT_GROUP;
    struct export x = { .cli = cli,
                        .kind = kind,
                        .collection = is_group ? "/enrollmentGroups" : "/enrollments",
                        .word = is_group ? "enrollment groups" : "enrollments",
                        .file = file == NULL || strcmp(file, "-") == 0 ? NULL : file,
                        .shows_keys = berth_options_flag(&cli->options, "show-keys") };
    err e;

    TRY(find_format(&x));
    e = prepare(&x);
    if (err_is_ok(e)) {
        e = open_out(&x);
    }
    if (err_is_ok(e)) {
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        berth_progress_begin(&x.progress, cli->is_json, x.word, 0);
        e = close_out(&x, write_all(&x));
        berth_progress_clear(&x.progress);
    }
    berth_transfer_close(x.transfer);
    TRY(e);
    tell(&x);
    return OK;
}

err berth_enrollment_export(struct cli *cli)
{
    return export(cli, ENROLLMENT_INDIVIDUAL);
}

err berth_enrollment_group_export(struct cli *cli)
{
    return export(cli, ENROLLMENT_GROUP);
}
