/* cmd/berth/rows.c: cells to values and values to cells. What is nested or rare is JSON in a cell;
 * what members mean together is enrollment_body.c's. */
#include "cmd/berth/rows.h"

#include "cmd/berth/csv.h"
#include "cmd/berth/pem.h"
#include "util/utf8.h"

/* ---- reading ---- */

static bool find_column(enum enrollment_kind kind, struct span name,
                        enum enrollment_value *ret_value)
{
    for (int i = 0; i < ENROLLMENT_VALUES; i++) {
        enum enrollment_value value = (enum enrollment_value)i;

        if (berth_enrollment_has_value(kind, value) &&
            span_eq_nocase(name, span_str(berth_enrollment_column(kind, value)))) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool has_column(const struct rows *rows, enum enrollment_value value)
{
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->columns[i] == value) {
            return true;
        }
    }
    return false;
}

static err refuse_column(enum enrollment_kind kind, struct span name)
{
    char memory[600];
    struct buf all = buf_over(memory, sizeof(memory) - 1);

    for (int i = 0; i < ENROLLMENT_VALUES; i++) {
        if (berth_enrollment_has_value(kind, (enum enrollment_value)i)) {
            buf_printf(&all, "%s%s", i > 0 ? ", " : "",
                       berth_enrollment_column(kind, (enum enrollment_value)i));
        }
    }
    return err_set(ERR_MALFORMED, "there is no column '%.*s'; the columns are %s",
                   span_first(name, 40).len > 0 ? (int)span_first(name, 40).len : 0,
                   (const char *)name.data, buf_cstr(&all));
}

err berth_rows_decode_header(enum enrollment_kind kind, uint8_t *record, size_t len,
                             struct rows *ret_rows)
{
    struct span names[ROWS_COLUMNS_MAX];
    struct rows rows = { .kind = kind };
    size_t n = 0;

    TRY(berth_csv_decode(record, len, names, ROWS_COLUMNS_MAX, &n));
    for (; rows.n < n; rows.n++) {
        enum enrollment_value value;

        if (!find_column(kind, span_trim(names[rows.n]), &value)) {
            return refuse_column(kind, span_trim(names[rows.n]));
        }
        if (has_column(&rows, value)) {
            return err_set(ERR_MALFORMED, "the column %s is there twice",
                           berth_enrollment_column(kind, value));
        }
        rows.columns[rows.n] = value;
    }
    if (!has_column(&rows, VALUE_ID)) {
        return err_set(ERR_MALFORMED, "the first line has no column %s",
                       berth_enrollment_column(kind, VALUE_ID));
    }
    *ret_rows = rows;
    return OK;
}

static err read_certificate(struct cli *cli, const char *dir, struct enrollment_values *v,
                            enum enrollment_value path, enum enrollment_value text)
{
    struct span at = v->at[path];
    bool is_absolute = span_starts_with(at, SPAN("/"));
    err e;

    if (span_is_absent(at)) {
        return OK;
    }
    if (!span_is_absent(v->at[text])) {
        return err_set(ERR_MALFORMED, "%s and %s are both given",
                       berth_enrollment_column(ENROLLMENT_INDIVIDUAL, path),
                       berth_enrollment_column(ENROLLMENT_INDIVIDUAL, text));
    }
    e = berth_pem_read(cli,
                       berth_cli_printf(cli, "%s%s%.*s", is_absolute ? "" : dir,
                                        is_absolute ? "" : "/", SPAN_FMT(at)),
                       &v->at[text]);
    return err_is_ok(e) || err_is(e, ERR_NOMEM) ? e : ERR(MALFORMED); /* the detail stays */
}

static err decode_cells(struct cli *cli, const struct rows *rows, const struct span *cells,
                        struct json_writer *w, struct span *ret_id)
{
    struct enrollment_values v = { .is_cells = true };

    for (size_t i = 0; i < rows->n; i++) {
        if (!utf8_is_text(cells[i])) {
            return err_set(ERR_MALFORMED, "%s is not UTF-8",
                           berth_enrollment_column(rows->kind, rows->columns[i]));
        }
        v.at[rows->columns[i]] = cells[i].len > 0 ? cells[i] : SPAN_NONE;
    }
    if (span_is_absent(v.at[VALUE_ID])) {
        return err_set(ERR_MALFORMED, "%s is empty", berth_enrollment_column(rows->kind, VALUE_ID));
    }
    *ret_id = v.at[VALUE_ID];
    if (rows->only_id) {
        berth_enrollment_body_write_id(rows->kind, &v, w);
        return OK;
    }
    TRY(read_certificate(cli, rows->dir, &v, VALUE_CERTIFICATE_PATH, VALUE_CERTIFICATE));
    TRY(read_certificate(cli, rows->dir, &v, VALUE_SECONDARY_CERTIFICATE_PATH,
                         VALUE_SECONDARY_CERTIFICATE));
    return berth_enrollment_body_write(cli, rows->kind, &v, NULL, w);
}

err berth_rows_decode(struct cli *cli, const struct rows *rows, uint8_t *record, size_t len,
                      struct json_writer *w, struct span *ret_id)
{
    struct span cells[ROWS_COLUMNS_MAX];
    size_t n = 0;
    err e = berth_csv_decode(record, len, cells, ROWS_COLUMNS_MAX, &n);

    if (err_is(e, ERR_TOO_LARGE) || (err_is_ok(e) && n != rows->n)) {
        return err_set(ERR_UNSUPPORTED, "%s%zu fields, but the header has %zu",
                       err_is_ok(e) ? "" : "more than ", err_is_ok(e) ? n : ROWS_COLUMNS_MAX,
                       rows->n);
    }
    TRY(e);
    e = decode_cells(cli, rows, cells, w, ret_id);
    return err_is(e, ERR_MALFORMED) ? ERR(UNSUPPORTED) : e; /* the detail stays */
}

/* ---- writing ---- */

/* Paths are for people; what they name is never known here. */
static bool is_written(enum enrollment_kind kind, enum enrollment_value value)
{
    static const enum enrollment_value never[] = {
        VALUE_CERTIFICATE,       VALUE_SECONDARY_CERTIFICATE,
        VALUE_CERTIFICATE_PATH,  VALUE_SECONDARY_CERTIFICATE_PATH,
        VALUE_INITIAL_TWIN_TAGS, VALUE_INITIAL_TWIN_PROPERTIES,
    };

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (never[i] == value) {
            return false;
        }
    }
    return berth_enrollment_has_value(kind, value);
}

void berth_rows_encode_header(enum enrollment_kind kind, struct buf *out)
{
    for (int i = 0; i < ENROLLMENT_VALUES; i++) {
        if (is_written(kind, (enum enrollment_value)i)) {
            buf_printf(out, "%s%s", i > 0 ? "," : "",
                       berth_enrollment_column(kind, (enum enrollment_value)i));
        }
    }
    buf_add_str(out, "\r\n");
}

/* What one row is made of; texts that are made are in the command's memory. */
struct encoding {
    struct cli *cli;
    enum enrollment_kind kind;
    const json *enrollment;
    struct enrollment_values v;
};

static err print(struct encoding *x, enum enrollment_value value, const json *member)
{
    struct buf out = arena_buf(&x->cli->arena);

    if (member == NULL || json_is_null(member)) {
        return OK;
    }
    TRY(json_print(member, &out));
    return arena_buf_end(&x->cli->arena, &out, &x->v.at[value]);
}

/* Is `object` made of these members and nothing else, all strings? */
static bool has_only(json *object, const char *a, const char *b)
{
    for (struct json_iter it = json_first(object); it.name != NULL; json_next(&it)) {
        if ((strcmp(it.name, a) != 0 && strcmp(it.name, b) != 0) || !json_is_string(it.value)) {
            return false;
        }
    }
    return true;
}

/* Words and names where they say it all, else the JSON: certificates, of which the service gives
 * the description only, are such a case. */
static err take_attestation(struct encoding *x)
{
    json *attestation = json_member(x->enrollment, "attestation");
    struct span type = json_text(json_member(attestation, "type"));
    json *keys = json_member(attestation, "symmetricKey"), *tpm = json_member(attestation, "tpm");
    json *ca = json_member(json_member(attestation, "x509"), "caReferences");

    if (span_eq(type, SPAN("symmetricKey")) && has_only(keys, "primaryKey", "secondaryKey")) {
        x->v.at[VALUE_PRIMARY_KEY] = json_text(json_member(keys, "primaryKey"));
        x->v.at[VALUE_SECONDARY_KEY] = json_text(json_member(keys, "secondaryKey"));
    } else if (span_eq(type, SPAN("tpm")) && x->kind == ENROLLMENT_INDIVIDUAL &&
               has_only(tpm, "endorsementKey", "storageRootKey")) {
        x->v.at[VALUE_ENDORSEMENT_KEY] = json_text(json_member(tpm, "endorsementKey"));
        x->v.at[VALUE_STORAGE_ROOT_KEY] = json_text(json_member(tpm, "storageRootKey"));
    } else if (span_eq(type, SPAN("x509")) && ca != NULL && has_only(ca, "primary", "secondary")) {
        x->v.at[VALUE_CA_NAME] = json_text(json_member(ca, "primary"));
        x->v.at[VALUE_SECONDARY_CA_NAME] = json_text(json_member(ca, "secondary"));
    } else {
        return print(x, VALUE_ATTESTATION, attestation);
    }
    x->v.at[VALUE_ATTESTATION_TYPE] = type;
    return OK;
}

static err take_hubs(struct encoding *x)
{
    json *hubs = json_member(x->enrollment, "iotHubs");
    struct buf out = arena_buf(&x->cli->arena);

    if (json_array_len(hubs) == 0) {
        x->v.at[VALUE_IOT_HUBS] = json_text(json_member(x->enrollment, "iotHubHostName"));
        return OK;
    }
    for (size_t i = 0; i < json_array_len(hubs); i++) {
        buf_add_str(&out, i > 0 ? " " : "");
        buf_add(&out, json_text(json_array_at(hubs, i)));
    }
    return arena_buf_end(&x->cli->arena, &out, &x->v.at[VALUE_IOT_HUBS]);
}

static err take_policies(struct encoding *x)
{
    json *reprovision = json_member(x->enrollment, "reprovisionPolicy");
    const char *word = berth_enrollment_reprovision_word(reprovision);
    json *webhook = json_member(x->enrollment, "customAllocationDefinition");
    bool is_edge = false;

    if (json_is_object(reprovision) && word != NULL) {
        x->v.at[VALUE_REPROVISION_POLICY] = span_str(word);
    } else {
        TRY(print(x, VALUE_REPROVISION_POLICY, reprovision));
    }
    TRY(json_get_bool(json_member(x->enrollment, "capabilities"), "iotEdge", &is_edge));
    x->v.at[VALUE_EDGE_ENABLED] = is_edge ? SPAN("true") : SPAN_NONE;
    x->v.at[VALUE_WEBHOOK_URL] = json_text(json_member(webhook, "webhookUrl"));
    x->v.at[VALUE_WEBHOOK_API_VERSION] = json_text(json_member(webhook, "apiVersion"));
    x->v.at[VALUE_ALLOCATION_RULE] = json_text(json_member(webhook, "rule"));
    return OK;
}

static err take_members(struct encoding *x)
{
    struct buf out = arena_buf(&x->cli->arena);
    struct json_writer w = json_writer_over(&out);
    size_t n = 0;

    json_write_begin_object(&w, NULL);
    for (struct json_iter it = json_first((json *)x->enrollment); it.name != NULL; json_next(&it)) {
        if (!berth_enrollment_knows_member(x->kind, it.name) && !json_is_null(it.value)) {
            json_write_name(&w, span_str(it.name));
            TRY(json_print(it.value, &out));
            w.need_comma = true;
            n++;
        }
    }
    json_write_end_object(&w);
    return n == 0 ? OK : arena_buf_end(&x->cli->arena, &out, &x->v.at[VALUE_MEMBERS]);
}

err berth_rows_encode(struct cli *cli, enum enrollment_kind kind, const json *enrollment,
                      struct buf *out)
{
    struct encoding x = { .cli = cli, .kind = kind, .enrollment = enrollment };
    static const struct {
        enum enrollment_value value;
        const char *member;
    } texts[] = { { VALUE_DEVICE_ID, "deviceId" },
                  { VALUE_PROVISIONING_STATUS, "provisioningStatus" },
                  { VALUE_ALLOCATION_POLICY, "allocationPolicy" },
                  { VALUE_ETAG, "etag" } };

    x.v.at[VALUE_ID] = json_text(json_member(enrollment, berth_enrollment_column(kind, VALUE_ID)));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        x.v.at[texts[i].value] = json_text(json_member(enrollment, texts[i].member));
    }
    TRY(take_attestation(&x));
    TRY(take_hubs(&x));
    TRY(take_policies(&x));
    TRY(print(&x, VALUE_INITIAL_TWIN, json_member(enrollment, "initialTwin")));
    if (kind == ENROLLMENT_INDIVIDUAL) {
        TRY(print(&x, VALUE_DEVICE_INFORMATION,
                  json_member(enrollment, "optionalDeviceInformation")));
    }
    TRY(take_members(&x));
    for (int i = 0; i < ENROLLMENT_VALUES; i++) {
        if (is_written(kind, (enum enrollment_value)i)) {
            buf_add_str(out, i > 0 ? "," : "");
            berth_csv_encode(x.v.at[i], out);
        }
    }
    buf_add_str(out, "\r\n");
    return buf_ok(out);
}
