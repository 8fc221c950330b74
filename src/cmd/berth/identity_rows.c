/* cmd/berth/identity_rows.c: cells to the members of an item. What values the hub takes is for it
 * to say; only what could not be written as JSON is refused here. */
#include "cmd/berth/identity_rows.h"

#include "cmd/berth/csv.h"
#include "model/limits.h"
#include "util/utf8.h"
#include "json/json.h"

static const char *const NAMES[IDENTITY_COLUMNS] = {
    [COLUMN_DEVICE_ID] = "deviceId",
    [COLUMN_MODULE_ID] = "moduleId",
    [COLUMN_STATUS] = "status",
    [COLUMN_STATUS_REASON] = "statusReason",
    [COLUMN_AUTH_METHOD] = "authMethod",
    [COLUMN_PRIMARY_KEY] = "primaryKey",
    [COLUMN_SECONDARY_KEY] = "secondaryKey",
    [COLUMN_PRIMARY_THUMBPRINT] = "primaryThumbprint",
    [COLUMN_SECONDARY_THUMBPRINT] = "secondaryThumbprint",
    [COLUMN_EDGE_ENABLED] = "edgeEnabled",
    [COLUMN_DEVICE_SCOPE] = "deviceScope",
    [COLUMN_TAGS] = "tags",
    [COLUMN_DESIRED] = "desired",
};

static const struct {
    const char *word, *wire;
} METHODS[] = {
    { "shared_private_key", "sas" },
    { "x509_thumbprint", "selfSigned" },
    { "x509_ca", "certificateAuthority" },
};

static err refuse_column(struct span name)
{
    char memory[400];
    struct buf all = buf_over(memory, sizeof(memory) - 1);

    for (int i = 0; i < IDENTITY_COLUMNS; i++) {
        buf_printf(&all, "%s%s", i > 0 ? ", " : "", NAMES[i]);
    }
    name = span_first(name, 40);
    return err_set(ERR_MALFORMED, "there is no column '%.*s'; the columns are %s", SPAN_FMT(name),
                   buf_cstr(&all));
}

static err add_column(struct identity_rows *rows, struct span name)
{
    for (int i = 0; i < IDENTITY_COLUMNS; i++) {
        if (!span_eq_nocase(name, span_str(NAMES[i]))) {
            continue;
        }
        for (size_t k = 0; k < rows->n; k++) {
            if (rows->columns[k] == (enum identity_column)i) {
                return err_set(ERR_MALFORMED, "the column %s is there twice", NAMES[i]);
            }
        }
        rows->columns[rows->n++] = (enum identity_column)i;
        return OK;
    }
    return refuse_column(name);
}

err berth_identity_rows_decode_header(uint8_t *record, size_t len, struct identity_rows *ret_rows)
{
    struct span names[IDENTITY_COLUMNS + 1];
    struct identity_rows rows = { .n = 0 };
    size_t n = 0;

    TRY(berth_csv_decode(record, len, names, IDENTITY_COLUMNS + 1, &n));
    for (size_t i = 0; i < n; i++) {
        TRY(add_column(&rows, span_trim(names[i])));
    }
    for (size_t i = 0; i < rows.n; i++) {
        if (rows.columns[i] == COLUMN_DEVICE_ID) {
            *ret_rows = rows;
            return OK;
        }
    }
    return err_set(ERR_MALFORMED, "the first line has no column deviceId");
}

static err wrong(const char *why)
{
    return err_set(ERR_UNSUPPORTED, "%s", why);
}

static err write_object(struct json_writer *w, const char *name, struct span text)
{
    AUTO(json) json *object = NULL;

    if (span_is_absent(text)) {
        return OK;
    }
    if (!err_is_ok(json_parse(text, LIMIT_JSON_DEPTH, &object)) || !json_is_object(object)) {
        return err_set(ERR_UNSUPPORTED, "%s is not a JSON object", name);
    }
    json_write_value(w, name, object);
    return OK;
}

static void write_pair(struct json_writer *w, const char *object, const char *names[2],
                       struct span primary, struct span secondary)
{
    if (span_is_absent(primary) && span_is_absent(secondary)) {
        return;
    }
    json_write_begin_object(w, object);
    json_write_text_if(w, names[0], primary);
    json_write_text_if(w, names[1], secondary);
    json_write_end_object(w);
}

static err write_authentication(struct json_writer *w, const struct span *at)
{
    static const char *keys[] = { "primaryKey", "secondaryKey" };
    static const char *thumbprints[] = { "primaryThumbprint", "secondaryThumbprint" };
    struct span word = at[COLUMN_AUTH_METHOD];
    const char *type = NULL;

    for (size_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++) {
        type = span_eq(word, span_str(METHODS[i].word)) ? METHODS[i].wire : type;
    }
    if (!span_is_absent(word) && type == NULL) {
        return wrong("authMethod is none of shared_private_key, x509_thumbprint and x509_ca");
    }
    if (type == NULL) {
        bool is_x509 = at[COLUMN_PRIMARY_THUMBPRINT].len + at[COLUMN_SECONDARY_THUMBPRINT].len > 0;

        type = METHODS[is_x509 ? 1 : 0].wire;
    }
    json_write_begin_object(w, "authentication");
    json_write_str(w, "type", type);
    write_pair(w, "symmetricKey", keys, at[COLUMN_PRIMARY_KEY], at[COLUMN_SECONDARY_KEY]);
    write_pair(w, "x509Thumbprint", thumbprints, at[COLUMN_PRIMARY_THUMBPRINT],
               at[COLUMN_SECONDARY_THUMBPRINT]);
    json_write_end_object(w);
    return OK;
}

static bool says_authentication(const struct span *at)
{
    size_t len = 0;

    for (int i = COLUMN_AUTH_METHOD; i <= COLUMN_SECONDARY_THUMBPRINT; i++) {
        len += at[i].len;
    }
    return len > 0;
}

static err write_item(struct json_writer *w, const struct span *at, const char *mode)
{
    struct span edge = at[COLUMN_EDGE_ENABLED];

    if (!span_is_absent(edge) && !span_eq(edge, SPAN("true")) && !span_eq(edge, SPAN("false"))) {
        return wrong("edgeEnabled is neither true nor false");
    }
    json_write_begin_object(w, NULL);
    json_write_text(w, "id", at[COLUMN_DEVICE_ID]);
    json_write_text_if(w, "moduleId", at[COLUMN_MODULE_ID]);
    json_write_str(w, "importMode", mode);
    json_write_text_if(w, "status", at[COLUMN_STATUS]);
    json_write_text_if(w, "statusReason", at[COLUMN_STATUS_REASON]);
    json_write_text_if(w, "deviceScope", at[COLUMN_DEVICE_SCOPE]);
    if (!span_is_absent(edge)) {
        json_write_begin_object(w, "capabilities");
        json_write_bool(w, "iotEdge", span_eq(edge, SPAN("true")));
        json_write_end_object(w);
    }
    if (says_authentication(at)) {
        TRY(write_authentication(w, at));
    }
    TRY(write_object(w, "tags", at[COLUMN_TAGS]));
    if (!span_is_absent(at[COLUMN_DESIRED])) {
        json_write_begin_object(w, "properties");
        TRY(write_object(w, "desired", at[COLUMN_DESIRED]));
        json_write_end_object(w);
    }
    json_write_end_object(w);
    return OK;
}

err berth_identity_rows_decode(const struct identity_rows *rows, uint8_t *record, size_t len,
                               const char *mode, struct json_writer *w,
                               struct identity_row *ret_row)
{
    struct span cells[IDENTITY_COLUMNS + 1], at[IDENTITY_COLUMNS] = { { NULL, 0 } };
    size_t n = 0;
    err e = berth_csv_decode(record, len, cells, IDENTITY_COLUMNS + 1, &n);

    if (!err_is_ok(e) && !err_is(e, ERR_TOO_LARGE)) {
        return ERR(UNSUPPORTED); /* the detail stays */
    }
    if (!err_is_ok(e) || n != rows->n) {
        return err_set(ERR_UNSUPPORTED, "it has another number of fields than the first line");
    }
    for (size_t i = 0; i < n; i++) {
        if (!utf8_is_text(cells[i])) {
            return err_set(ERR_UNSUPPORTED, "%s is not UTF-8", NAMES[rows->columns[i]]);
        }
        at[rows->columns[i]] = cells[i].len > 0 ? cells[i] : SPAN_NONE;
    }
    if (span_is_absent(at[COLUMN_DEVICE_ID])) {
        return wrong("deviceId is empty");
    }
    TRY(write_item(w, at, mode));
    *ret_row = (struct identity_row){ at[COLUMN_DEVICE_ID], at[COLUMN_MODULE_ID] };
    return OK;
}

err berth_identity_rows_decode_json(struct cli *cli, struct span line, const char *mode,
                                    struct json_writer *w, struct identity_row *ret_row)
{
    AUTO(json) json *item = NULL;
    struct span id;

    if (!err_is_ok(json_parse(span_trim(line), LIMIT_JSON_DEPTH, &item)) || !json_is_object(item)) {
        return wrong("it is not a JSON object");
    }
    id = json_text(json_member(item, "id"));
    if (id.len == 0) {
        return wrong("it has no \"id\"");
    }
    ret_row->device = span_str(berth_cli_cstr(cli, id));
    id = json_text(json_member(item, "moduleId"));
    ret_row->module = id.len > 0 ? span_str(berth_cli_cstr(cli, id)) : SPAN_NONE;
    json_write_begin_object(w, NULL);
    if (json_member(item, "importMode") == NULL) {
        json_write_str(w, "importMode", mode);
    }
    for (struct json_iter it = json_first(item); it.name != NULL; json_next(&it)) {
        json_write_value(w, it.name, it.value);
    }
    json_write_end_object(w);
    return OK;
}
