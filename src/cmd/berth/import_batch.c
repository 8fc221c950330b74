/* cmd/berth/import_batch.c: items into a request, errors out of its answer. */
#include "cmd/berth/import_batch.h"

#include "model/reason.h"
#include "json/writer.h"

enum {
    BODY_END = 8, /* "]}" and a comma */
    WHY_MAX = 512,
    TEXTS_BYTES = LIMIT_HTTP_BODY + LIMIT_IMPORT_RECORD + IMPORT_ITEMS_MAX * WHY_MAX,
    MEMORY = LIMIT_HTTP_BODY + TEXTS_BYTES,
    REPLY_DEPTH = 8,
};

err berth_import_batch_open(struct import_batch *b)
{
    b->memory = berth_cli_map(MEMORY);
    return b->memory != NULL ? OK : ERR(NOMEM);
}

void berth_import_batch_close(struct import_batch *b)
{
    berth_cli_unmap(b->memory, MEMORY);
    b->memory = NULL;
}

void berth_import_batch_begin(struct import_batch *b, const struct import_kind *kind)
{
    b->n_items = b->n_sent = 0;
    b->body = buf_over(b->memory, LIMIT_HTTP_BODY);
    b->texts = buf_over((uint8_t *)b->memory + LIMIT_HTTP_BODY, TEXTS_BYTES);
    b->job.path = kind->path;
    b->job.what = kind->collection;
    buf_printf(&b->body, "{\"mode\":\"%s\",\"%s\":[", kind->mode, kind->collection);
}

static struct span keep(struct import_batch *b, struct span text)
{
    size_t at = b->texts.len;

    buf_add(&b->texts, text);
    return b->texts.failed ? SPAN_NONE : span_of(b->texts.data + at, text.len);
}

static bool has_id(const struct import_batch *b, struct span id)
{
    for (size_t i = 0; i < b->n_items; i++) {
        if (b->items[i].is_sent && span_eq_nocase(b->items[i].id, id)) {
            return true;
        }
    }
    return false;
}

bool berth_import_batch_fits(const struct import_batch *b, struct span raw, struct span body,
                             struct span id)
{
    return b->n_items < IMPORT_ITEMS_MAX &&
           b->texts.len + raw.len + id.len + (size_t)IMPORT_ITEMS_MAX * WHY_MAX <= b->texts.cap &&
           (span_is_absent(body) ||
            (b->n_sent < LIMIT_BULK && b->body.len + body.len + BODY_END <= b->body.cap &&
             !has_id(b, id)));
}

void berth_import_batch_add(struct import_batch *b, const struct record *record, struct span raw,
                            struct span body, struct span id, struct span why)
{
    struct import_item *item = &b->items[b->n_items++];

    *item = (struct import_item){ .line = record->line,
                                  .offset = record->offset,
                                  .raw = keep(b, raw),
                                  .id = keep(b, id),
                                  .is_sent = !span_is_absent(body) };
    if (item->is_sent) {
        buf_add_str(&b->body, b->n_sent > 0 ? "," : "");
        buf_add(&b->body, body);
        b->n_sent++;
    } else {
        item->outcome = IMPORT_FAILED;
        item->why = keep(b, span_first(why, WHY_MAX));
    }
}

bool berth_import_batch_end(struct import_batch *b)
{
    buf_add_str(&b->body, "]}");
    b->job.body = buf_span(&b->body);
    return b->n_sent > 0;
}

static void fail_item(struct import_batch *b, struct import_item *item, struct span words,
                      int64_t code)
{
    char memory[WHY_MAX];
    struct buf why = buf_over(memory, sizeof(memory));

    while (words.len > 0 && words.data[words.len - 1] == '.') {
        words.len--;
    }
    buf_add(&why, span_first(words, WHY_MAX - 32));
    if (code != 0) {
        buf_printf(&why, " (%lld)", (long long)code);
    }
    item->outcome = IMPORT_FAILED;
    item->why = keep(b, buf_span(&why));
}

/* A creation that found it there, a deletion that did not: what a first, unanswered one leaves.
 * Other conflicts, such as a key that is in use, are none. */
static bool is_trace(const struct import_kind *kind, int64_t code)
{
    return (strcmp(kind->mode, "create") == 0 &&
            code == reason_info(REASON_RESOURCE_EXISTS)->error_code) ||
           (strcmp(kind->mode, "delete") == 0 &&
            code == reason_info(REASON_RESOURCE_NOT_FOUND)->error_code);
}

/* The error's item: errors are in the order of the items. */
static struct import_item *find_item(struct import_batch *b, struct span id, size_t *from)
{
    for (size_t n = 0; n < b->n_items; n++) {
        size_t i = (*from + n) % b->n_items;

        if (b->items[i].is_sent && span_eq_nocase(b->items[i].id, id)) {
            *from = i + 1;
            return &b->items[i];
        }
    }
    return NULL;
}

static err judge_items(struct import_batch *b, const struct import_kind *kind, int64_t known)
{
    AUTO(json) json *document = NULL;
    bool is_successful = false;
    const json *errors;
    size_t from = 0;

    if (!err_is_ok(json_parse(buf_span(&b->job.reply), REPLY_DEPTH, &document)) ||
        !err_is_ok(json_get_bool(document, "isSuccessful", &is_successful))) {
        return err_set(ERR_IO, "%s: the server's answer is not that of a bulk request",
                       kind->collection);
    }
    errors = json_member(document, "errors");
    for (size_t i = 0; i < json_array_len(errors); i++) {
        const json *e = json_array_at(errors, i);
        struct import_item *item = find_item(b, json_text(json_member(e, kind->id_name)), &from);
        int64_t code = 0;

        (void)json_get_int(e, "errorCode", &code);
        if (item == NULL) {
            return err_set(ERR_IO, "%s: the server tells of an error of '%.*s', which was not sent",
                           kind->collection, SPAN_FMT(json_text(json_member(e, kind->id_name))));
        }
        if (is_trace(kind, code) && (b->job.is_again || item->offset < known)) {
            item->outcome = IMPORT_THERE;
        } else {
            fail_item(b, item, json_text(json_member(e, "errorStatus")), code);
        }
    }
    return is_successful || json_array_len(errors) > 0
               ? OK
               : err_set(ERR_IO, "%s: the server says that something failed, but not what",
                         kind->collection);
}

err berth_import_batch_judge(struct import_batch *b, const struct import_kind *kind, int64_t known)
{
    int status = b->job.status;

    if (b->n_sent == 0) {
        return OK;
    }
    for (size_t i = 0; i < b->n_items; i++) {
        b->items[i].outcome = b->items[i].is_sent ? IMPORT_DONE : IMPORT_FAILED;
    }
    if (status >= 200 && status <= 299) {
        return judge_items(b, kind, known);
    }
    if (status != 400 && status != 413) {
        return err_set(status == 401 || status == 403 ? ERR_DENIED : ERR_IO, "%s", b->job.why);
    }
    for (size_t i = 0; i < b->n_items; i++) {
        if (b->items[i].is_sent) {
            fail_item(b, &b->items[i], span_str(b->job.why), 0);
        }
    }
    return OK;
}
