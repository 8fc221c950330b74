/* cmd/berth/import_run.c: records to batches, batches to the service and to their end. They are
 * sent in the file's order and come to an end in it, whatever the order of their answers, so that
 * one place in the file tells how far it is. */
#include "cmd/berth/import_run.h"

#include <errno.h>
#include <unistd.h>

enum {
    BATCHES_PER_CONNECTION =
        2, /* one under way, one ready: an answer that is late holds up others */
    WAIT_MS = 200,
    RESERVE = 1024 * 1024, /* bytes that may be sent before the state is written again */
};

/* ---- what a batch leaves behind ---- */

err berth_import_save(struct import *im)
{
    err e;

    if (im->state_path == NULL) {
        return OK;
    }
    if (im->errors != NULL) {
        if (fflush(im->errors) != 0 || fsync(fileno(im->errors)) != 0) {
            return err_set(ERR_IO, "cannot write %s: %s", im->errors_path, strerror(errno));
        }
        im->state.errors_len = (int64_t)ftello(im->errors);
    }
    e = berth_import_state_write(im->state_path, &im->state);
    if (!err_is_ok(e)) {
        (void)fprintf(stderr, "berth: %s; the import goes on, but could not be taken up again\n",
                      err_detail());
        im->state_path = NULL;
    }
    return OK;
}

static err report_failed(struct import *im, const struct import_item *item)
{
    bool has_end = span_ends_with(item->raw, SPAN("\n"));

    berth_progress_clear(&im->progress);
    (void)fprintf(stderr, "%s:%lld: %.*s%s%.*s\n", im->file, (long long)item->line,
                  SPAN_FMT(item->id), item->id.len > 0 ? ": " : "", SPAN_FMT(item->why));
    if (im->errors != NULL && item->raw.len > 0 &&
        (fwrite(item->raw.data, 1, item->raw.len, im->errors) != item->raw.len ||
         (!has_end && fputc('\n', im->errors) == EOF))) {
        return err_set(ERR_IO, "cannot write %s: %s", im->errors_path, strerror(errno));
    }
    return OK;
}

static err retire(struct import *im, struct import_batch *b)
{
    TRY(berth_import_batch_judge(b, &im->kind, im->known));
    for (size_t i = 0; i < b->n_items; i++) {
        const struct import_item *item = &b->items[i];

        im->state.done += item->outcome == IMPORT_DONE;
        im->state.there += item->outcome == IMPORT_THERE;
        im->state.failed += item->outcome == IMPORT_FAILED;
        if (item->outcome == IMPORT_FAILED) {
            im->has_error = true;
            TRY(report_failed(im, item));
        }
    }
    im->state.offset = b->end_offset;
    im->state.line = b->end_line;
    im->first = (im->first + 1) % im->ring;
    im->n_batches--;
    return OK;
}

bool berth_import_is_stopped(const struct import *im)
{
    return *im->interrupted != 0 || (im->stops_on_error && im->has_error);
}

/* Brings batches to their end, as many as are ready; the one being filled (the last) is none. */
static err retire_ready(struct import *im, size_t n_filling)
{
    while (im->n_batches > n_filling && im->batches[im->first].job.is_done) {
        TRY(retire(im, &im->batches[im->first]));
    }
    berth_progress_show(&im->progress, im->state.done + im->state.there - im->before,
                        im->state.failed, im->state.offset, im->size);
    return OK;
}

static err wait(struct import *im, size_t n_filling)
{
    if (*im->interrupted != 0) {
        berth_transfer_give_up(im->transfer);
    }
    TRY(berth_transfer_wait(im->transfer, WAIT_MS));
    return retire_ready(im, n_filling);
}

/* ---- filling ---- */

static struct import_batch *filling(const struct import *im)
{
    return &im->batches[(im->first + im->n_batches - 1) % im->ring];
}

/* Waits for room in the ring, if need be. */
static err begin_batch(struct import *im)
{
    while (im->n_batches == im->ring) {
        TRY(wait(im, 0));
    }
    im->n_batches++;
    berth_import_batch_begin(filling(im), &im->kind);
    return OK;
}

/* Before anything is sent, the state says that it may have been. */
static err send_batch(struct import *im)
{
    struct import_batch *b = filling(im);

    if (b->n_items == 0) {
        im->n_batches--;
        return OK;
    }
    if (!berth_import_batch_end(b)) {
        b->job.is_done = true;
        return OK;
    }
    if (b->end_offset > im->state.sent) {
        im->state.sent = b->end_offset + RESERVE;
        TRY(berth_import_save(im));
    }
    berth_transfer_send(im->transfer, &b->job);
    return OK;
}

static err decode_line(struct import *im, struct span line, struct span *ret_body,
                       struct span *ret_id)
{
    AUTO(json) json *document = NULL;
    struct span id;

    TRY(json_parse(line, LIMIT_JSON_DEPTH - 2, &document));
    id = json_text(json_member(document, im->kind.id_name));
    if (!json_is_object(document)) {
        return err_set(ERR_MALFORMED, "not a JSON object");
    }
    if (id.len == 0) {
        return err_set(ERR_MALFORMED, "%s is missing", im->kind.id_name);
    }
    *ret_body = line;
    return arena_copy(&im->cli->arena, id, ret_id);
}

static err decode_row(struct import *im, const struct record *record, struct span *ret_body,
                      struct span *ret_id)
{
    struct buf out = buf_over(im->scratch, LIMIT_HTTP_BODY);
    struct json_writer w = json_writer_over(&out);

    TRY(berth_rows_decode(im->cli, &im->rows, record->text, record->len, &w, ret_id));
    if (out.failed) {
        return err_set(ERR_MALFORMED, "larger than the service takes");
    }
    *ret_body = buf_span(&out);
    return OK;
}

static err decode(struct import *im, const struct record *record, struct span *ret_body,
                  struct span *ret_id)
{
    if (record->is_too_long) {
        return err_set(ERR_MALFORMED, "more than %d bytes%s; not taken over to --errors",
                       LIMIT_IMPORT_RECORD, im->is_csv ? " (is a quote missing?)" : "");
    }
    return im->is_csv
               ? decode_row(im, record, ret_body, ret_id)
               : decode_line(im, span_trim(span_of(record->text, record->len)), ret_body, ret_id);
}

/* Into the batch, or, when that is full, into the next. */
static err take_record(struct import *im, struct record *record)
{
    struct span raw, body = SPAN_NONE, id = SPAN_NONE, why = SPAN_NONE;
    size_t mark = im->cli->arena.used;
    err e;

    TRY(arena_copy(&im->cli->arena, span_of(record->text, record->is_too_long ? 0 : record->len),
                   &raw));
    e = decode(im, record, &body, &id);
    if (err_is(e, ERR_NOMEM)) {
        return e;
    }
    if (!err_is_ok(e)) {
        body = SPAN_NONE;
        why = span_str(err_detail());
    }
    if (im->is_csv && err_is(e, ERR_MALFORMED) && !record->is_too_long) {
        berth_records_cut(&im->records, record, raw);
        raw = span_first(raw, record->len);
    }
    if (!berth_import_batch_fits(filling(im), raw, body, id)) {
        why = span_str(berth_cli_cstr(im->cli, why));
        TRY(send_batch(im));
        TRY(begin_batch(im));
    }
    if (berth_import_batch_fits(filling(im), raw, body, id)) {
        berth_import_batch_add(filling(im), record, raw, body, id, why);
    } else {
        berth_import_batch_add(filling(im), record, raw, SPAN_NONE, id,
                               SPAN("larger than the service takes"));
    }
    filling(im)->end_offset = record->end_offset;
    filling(im)->end_line = im->records.line;
    im->cli->arena.used = mark;
    return OK;
}

/* Ends what is under way. */
static err drain(struct import *im)
{
    TRY(send_batch(im));
    while (im->n_batches > 0) {
        TRY(retire_ready(im, 0));
        if (im->n_batches > 0) {
            TRY(wait(im, 0));
        }
    }
    return OK;
}

/* A pipe has nothing for now: what came is not to wait for what may come. */
static err on_wait(void *context)
{
    struct import *im = context;

    TRY(drain(im));
    return begin_batch(im);
}

err berth_import_run(struct import *im)
{
    im->records.on_wait = on_wait;
    im->records.context = im;
    TRY(begin_batch(im));
    while (!berth_import_is_stopped(im)) {
        struct record record;
        bool is_there = false;
        err e = berth_records_next(&im->records, &record, &is_there);

        if (err_is(e, ERR_CLOSED)) {
            continue; /* a signal: see above */
        }
        TRY(e);
        if (!is_there) {
            break;
        }
        TRY(take_record(im, &record));
        TRY(retire_ready(im, 1));
    }
    return drain(im);
}

err berth_import_open(struct import *im, const struct endpoint *service)
{
    size_t n = (size_t)berth_options_int(&im->cli->options, "concurrency");

    im->ring = BATCHES_PER_CONNECTION * n + 1;
    im->batches = berth_cli_map(im->ring * sizeof(*im->batches));
    im->scratch = berth_cli_map(LIMIT_HTTP_BODY);
    if (im->batches == NULL || im->scratch == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < im->ring; i++) {
        TRY(berth_import_batch_open(&im->batches[i]));
    }
    return berth_transfer_open(im->cli, service, n, &im->transfer);
}

void berth_import_close(struct import *im)
{
    berth_transfer_close(im->transfer);
    for (size_t i = 0; im->batches != NULL && i < im->ring; i++) {
        berth_import_batch_close(&im->batches[i]);
    }
    berth_cli_unmap(im->scratch, LIMIT_HTTP_BODY);
    berth_cli_unmap(im->batches, im->ring * sizeof(*im->batches));
}
