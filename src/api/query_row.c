/* api/query_row.c: one table of all that can be named, for the three listings. A member is absent
 * exactly when enrollment_json.c or dps_json.c leaves it out of the row's JSON. What is not in the
 * table cannot be asked for: certificates and keys are not. */
#include "api/query_row.h"

#include "api/enrollment_json.h"
#include "model/limits.h"

enum { INDIVIDUALS = 1 << CORE_LISTING_INDIVIDUALS, GROUPS = 1 << CORE_LISTING_GROUPS };
enum { ENROLLMENTS = INDIVIDUALS | GROUPS, REGISTRATIONS = 1 << CORE_LISTING_REGISTRATIONS };
enum document { HUBS, TWIN, EXTRA, PAYLOAD };

static struct query_value undefined(void)
{
    return (struct query_value){ .type = QUERY_VALUE_UNDEFINED };
}

static struct query_value of_text(struct span text)
{
    return span_is_absent(text) ? undefined()
                                : (struct query_value){ .type = QUERY_VALUE_TEXT, .text = text };
}

static struct query_value of_bool(int64_t truth)
{
    return (struct query_value){ .type = QUERY_VALUE_BOOL, .truth = truth != 0 };
}

static struct query_value of_time(int64_t time_ms)
{
    return (struct query_value){ .type = QUERY_VALUE_TIME, .time_ms = time_ms };
}

struct query_value query_row_of_json(json *v)
{
    struct query_value result = { .json = v };

    if (v == NULL) {
        return undefined();
    }
    if (json_is_object(v)) {
        result.type = QUERY_VALUE_OBJECT;
    } else if (json_is_array(v)) {
        result.type = QUERY_VALUE_LIST;
    } else if (json_find_number(v, &result.number)) {
        result.type = QUERY_VALUE_NUMBER;
    } else if (json_find_bool(v, &result.truth)) {
        result.type = QUERY_VALUE_BOOL;
    } else if (json_is_null(v)) {
        result.type = QUERY_VALUE_NULL;
    } else {
        result.type = QUERY_VALUE_TEXT;
        result.text = json_text(v);
    }
    return result;
}

/* The parsed text of a column; NULL when it is absent. */
static err document_of(struct query_row *row, enum document which, struct span text,
                       json **ret_document)
{
    err e;

    if (row->documents[which] == NULL && !span_is_absent(text)) {
        row->n_parsed += text.len;
        e = json_parse(text, LIMIT_JSON_DEPTH, &row->documents[which]);
        if (err_is(e, ERR_MALFORMED) || err_is(e, ERR_TOO_LARGE)) {
            return err_set(ERR_CORRUPT, "stored JSON is unreadable");
        }
        TRY(e);
    }
    *ret_document = row->documents[which];
    return OK;
}

void query_row_done(struct query_row *row)
{
    for (int i = 0; i < QUERY_DOCUMENTS; i++) {
        json_free(row->documents[i]);
        row->documents[i] = NULL;
    }
}

/* ---- values ---- */

#define READ(name, expression)                                                                     \
    static err read_##name(struct query_row *row, const struct query_member *m,                    \
                           struct query_value *ret_value)                                          \
    {                                                                                              \
        (void)m;                                                                                   \
        *ret_value = (expression);                                                                 \
        return OK;                                                                                 \
    }

READ(whole, ((void)row, (struct query_value){ .type = QUERY_VALUE_OBJECT }))
READ(id, of_text(row->enrollment->id))
READ(device_id, of_text(row->enrollment->device_id))
READ(attestation, of_text(span_str(model_attestation_word(row->enrollment->attestation))))
READ(edge, of_bool(row->enrollment->iot_edge))
READ(status,
     of_text(row->enrollment->provisioning_status == PROVISIONING_ENABLED ? SPAN("enabled")
                                                                          : SPAN("disabled")))
READ(update, of_bool(row->enrollment->update_hub_assignment))
READ(migrate, of_bool(row->enrollment->migrate_device_data))
READ(created, of_time(row->enrollment->created_ms))
READ(updated, of_time(row->enrollment->updated_ms))
READ(allocation, row->enrollment->allocation_policy == ALLOCATION_DEFAULT
                     ? undefined()
                     : of_text(span_str(model_allocation_word(row->enrollment->allocation_policy))))

static struct query_value of_reference(const struct enrollment *e, struct span slot)
{
    return e->x509_source == X509_SOURCE_CA_REFERENCE ? of_text(slot) : undefined();
}
READ(reference_primary, of_reference(row->enrollment, row->enrollment->x509_primary))
READ(reference_secondary, of_reference(row->enrollment, row->enrollment->x509_secondary))

/* Enrollments' etags hold their quotes. */
static err read_etag(struct query_row *row, const struct query_member *m,
                     struct query_value *ret_value)
{
    struct span text;

    (void)m;
    TRY(arena_printf(row->env->arena, &text, "\"%.*s\"", SPAN_FMT(row->enrollment->etag)));
    *ret_value = of_text(text);
    return OK;
}

static err read_hubs(struct query_row *row, const struct query_member *m,
                     struct query_value *ret_value)
{
    json *hubs;

    (void)m;
    TRY(document_of(row, HUBS, row->enrollment->iot_hubs, &hubs));
    *ret_value = query_row_of_json(hubs);
    return OK;
}

static err read_only_hub(struct query_row *row, const struct query_member *m,
                         struct query_value *ret_value)
{
    json *hubs;

    (void)m;
    TRY(document_of(row, HUBS, row->enrollment->iot_hubs, &hubs));
    *ret_value =
        json_array_len(hubs) == 1 ? query_row_of_json(json_array_at(hubs, 0)) : undefined();
    return OK;
}

static err read_twin(struct query_row *row, const struct query_member *m,
                     struct query_value *ret_value)
{
    json *twin;

    (void)m;
    TRY(document_of(row, TWIN, row->enrollment->initial_twin, &twin));
    *ret_value = query_row_of_json(twin);
    return OK;
}

static err read_extra(struct query_row *row, const struct query_member *m,
                      struct query_value *ret_value)
{
    json *extra;

    TRY(document_of(row, EXTRA, row->enrollment->extra, &extra));
    *ret_value = query_row_of_json(json_member(extra, m->name));
    return OK;
}

/* Some members of a registration go with one status. */
static bool is_in(const struct query_row *row, enum registration_status status)
{
    return row->registration->status == status;
}

READ(r_id, of_text(row->registration->id))
READ(r_created, of_time(row->registration->created_ms))
READ(r_updated, of_time(row->registration->updated_ms))
READ(r_status, of_text(span_str(model_registration_status_word(row->registration->status))))
READ(r_etag, of_text(row->registration->etag))
READ(r_hub,
     is_in(row, REGISTRATION_ASSIGNED) ? of_text(row->registration->assigned_hub) : undefined())
READ(r_device,
     is_in(row, REGISTRATION_ASSIGNED) ? of_text(row->registration->device_id) : undefined())
READ(r_substatus, is_in(row, REGISTRATION_ASSIGNED)
                      ? of_text(span_str(model_substatus_word(row->registration->substatus)))
                      : undefined())

static bool has_error(const struct query_row *row)
{
    return is_in(row, REGISTRATION_FAILED) && row->registration->error_code != 0;
}

static struct query_value of_int(int64_t n)
{
    return (struct query_value){
        .type = QUERY_VALUE_NUMBER,
        .number = { .is_integer = true, .integer = n, .real = (double)n },
    };
}
READ(r_error, has_error(row) ? of_int(row->registration->error_code) : undefined())
READ(r_message, has_error(row) ? of_text(row->registration->error_message) : undefined())

static err read_payload(struct query_row *row, const struct query_member *m,
                        struct query_value *ret_value)
{
    json *payload;

    (void)m;
    TRY(document_of(row, PAYLOAD, row->registration->payload, &payload));
    *ret_value = query_row_of_json(payload);
    return OK;
}

/* ---- objects that are made of columns ---- */

static err write_attestation(struct query_row *row, const char *name, struct json_writer *w)
{
    return enrollment_json_write_attestation(row->env, row->enrollment, false, name, w);
}

static err write_capabilities(struct query_row *row, const char *name, struct json_writer *w)
{
    json_write_begin_object(w, name);
    json_write_bool(w, "iotEdge", row->enrollment->iot_edge != 0);
    json_write_end_object(w);
    return OK;
}

static err write_reprovision(struct query_row *row, const char *name, struct json_writer *w)
{
    json_write_begin_object(w, name);
    json_write_bool(w, "updateHubAssignment", row->enrollment->update_hub_assignment != 0);
    json_write_bool(w, "migrateDeviceData", row->enrollment->migrate_device_data != 0);
    json_write_end_object(w);
    return OK;
}

/* ---- the table ---- */

static const char *const status_words[] = { "enabled", "disabled", NULL };
static const char *const attestation_words[] = { "none", "tpm", "x509", "symmetricKey", NULL };
static const char *const allocation_words[] = { "hashed", "geoLatency", "static", "custom", NULL };
static const char *const registration_words[] = { "unassigned", "assigning", "assigned",
                                                  "failed",     "disabled",  NULL };
static const char *const substatus_words[] = { "initialAssignment", "deviceDataMigrated",
                                               "deviceDataReset",
                                               "reprovisionedToInitialAssignment", NULL };

/* clang-format off: one member a line */
#define T(name_, of_, read_)                                                                       \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_TEXT, .read = read_                          \
    }
#define NAME(name_, of_, read_, order_)                                                            \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_TEXT, .is_caseless = true, .order = order_,  \
        .read = read_                                                                              \
    }
#define WORD(name_, of_, read_, words_)                                                            \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_TEXT, .is_caseless = true, .words = words_,  \
        .read = read_                                                                              \
    }
#define B(name_, of_, read_)                                                                       \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_BOOL, .read = read_                          \
    }
#define N(name_, of_, read_)                                                                       \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_NUMBER, .read = read_                        \
    }
#define TIME(name_, of_, read_, order_)                                                            \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_TIME, .order = order_, .read = read_         \
    }
#define LIST(name_, of_, read_, is_caseless_)                                                      \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_LIST, .is_caseless = is_caseless_,           \
        .read = read_                                                                              \
    }
#define MADE(name_, of_, write_)                                                                   \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_OBJECT, .read = read_whole, .write = write_  \
    }
#define OPEN(name_, of_, read_)                                                                    \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_OBJECT, .is_open = true, .read = read_       \
    }

static const struct query_member members[] = {
    NAME("registrationId", INDIVIDUALS, read_id, CORE_LISTING_BY_ID),
    NAME("enrollmentGroupId", GROUPS, read_id, CORE_LISTING_BY_ID),
    T("deviceId", INDIVIDUALS, read_device_id),
    MADE("attestation", ENROLLMENTS, write_attestation),
    WORD("attestation.type", ENROLLMENTS, read_attestation, attestation_words),
    T("attestation.x509.caReferences.primary", ENROLLMENTS, read_reference_primary),
    T("attestation.x509.caReferences.secondary", ENROLLMENTS, read_reference_secondary),
    MADE("capabilities", ENROLLMENTS, write_capabilities),
    B("capabilities.iotEdge", ENROLLMENTS, read_edge),
    OPEN("initialTwin", ENROLLMENTS, read_twin),
    T("etag", ENROLLMENTS, read_etag),
    WORD("provisioningStatus", ENROLLMENTS, read_status, status_words),
    MADE("reprovisionPolicy", ENROLLMENTS, write_reprovision),
    B("reprovisionPolicy.updateHubAssignment", ENROLLMENTS, read_update),
    B("reprovisionPolicy.migrateDeviceData", ENROLLMENTS, read_migrate),
    TIME("createdDateTimeUtc", ENROLLMENTS, read_created, CORE_LISTING_ANY),
    TIME("lastUpdatedDateTimeUtc", ENROLLMENTS, read_updated, CORE_LISTING_BY_UPDATED),
    WORD("allocationPolicy", ENROLLMENTS, read_allocation, allocation_words),
    LIST("iotHubs", ENROLLMENTS, read_hubs, true),
    NAME("iotHubHostName", ENROLLMENTS, read_only_hub, CORE_LISTING_ANY),
    OPEN("optionalDeviceInformation", INDIVIDUALS, read_extra),
    OPEN("customAllocationDefinition", ENROLLMENTS, read_extra),
    T("credentialPolicyName", ENROLLMENTS, read_extra),
    T("namespaceName", ENROLLMENTS, read_extra),
    T("certificateAuthorityName", ENROLLMENTS, read_extra),
    T("certificatePolicyName", ENROLLMENTS, read_extra),
    LIST("deviceTypeRefs", ENROLLMENTS, read_extra, false),

    NAME("registrationId", REGISTRATIONS, read_r_id, CORE_LISTING_BY_ID),
    TIME("createdDateTimeUtc", REGISTRATIONS, read_r_created, CORE_LISTING_ANY),
    NAME("assignedHub", REGISTRATIONS, read_r_hub, CORE_LISTING_ANY),
    T("deviceId", REGISTRATIONS, read_r_device),
    WORD("status", REGISTRATIONS, read_r_status, registration_words),
    WORD("substatus", REGISTRATIONS, read_r_substatus, substatus_words),
    N("errorCode", REGISTRATIONS, read_r_error),
    T("errorMessage", REGISTRATIONS, read_r_message),
    TIME("lastUpdatedDateTimeUtc", REGISTRATIONS, read_r_updated, CORE_LISTING_ANY),
    T("etag", REGISTRATIONS, read_r_etag),
    OPEN("payload", REGISTRATIONS, read_payload),
};
/* clang-format on */
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

/* How many of the names the member's own take; 0: it is another. */
static size_t match(const struct query_member *m, const char *const *names, size_t n)
{
    struct span rest = span_str(m->name);
    size_t taken = 0;

    while (!span_is_absent(rest)) {
        if (taken == n || !span_eq(span_cut(&rest, '.'), span_str(names[taken]))) {
            return 0;
        }
        taken++;
    }
    return taken;
}

bool query_row_find_member(enum core_listing_of of, const char *const *names, size_t n,
                           struct query_path *ret_path)
{
    for (int i = 0; i < MEMBERS; i++) {
        const struct query_member *m = &members[i];
        size_t taken = (m->of & 1u << of) != 0 ? match(m, names, n) : 0;

        if (taken > 0 && (taken == n || m->is_open)) {
            *ret_path = (struct query_path){
                .member = m, .inside = names + taken, .n_inside = n - taken, .last = names[n - 1]
            };
            return true;
        }
    }
    return false;
}

void query_row_print_members(enum core_listing_of of, bool is_ordering, struct buf *out)
{
    const char *separator = "";

    for (int i = 0; i < MEMBERS; i++) {
        bool is_top = strchr(members[i].name, '.') == NULL;

        if ((members[i].of & 1u << of) != 0 && is_top &&
            (!is_ordering || members[i].order != CORE_LISTING_ANY)) {
            buf_add_str(out, separator);
            buf_add_str(out, members[i].name);
            separator = ", ";
        }
    }
}

/* ---- paths ---- */

err query_row_value(struct query_row *row, const struct query_path *path,
                    struct query_value *ret_value)
{
    struct query_value v;

    TRY(path->member->read(row, path->member, &v));
    for (size_t i = 0; i < path->n_inside; i++) {
        v = query_row_of_json(v.type == QUERY_VALUE_OBJECT ? json_member(v.json, path->inside[i])
                                                           : NULL);
    }
    *ret_value = v;
    return OK;
}

err query_row_write(struct query_row *row, const struct query_path *path, const char *name,
                    struct json_writer *w)
{
    struct query_value v;

    if (path->n_inside == 0 && path->member->write != NULL) {
        return path->member->write(row, name, w);
    }
    TRY(query_row_value(row, path, &v));
    switch (v.type) {
    case QUERY_VALUE_UNDEFINED:
        break;
    case QUERY_VALUE_TEXT:
        json_write_text(w, name, v.text);
        break;
    case QUERY_VALUE_TIME:
        json_write_time(w, name, v.time_ms);
        break;
    case QUERY_VALUE_BOOL:
        json_write_bool(w, name, v.truth);
        break;
    case QUERY_VALUE_NULL:
        json_write_null(w, name);
        break;
    case QUERY_VALUE_NUMBER:
    case QUERY_VALUE_LIST:
    case QUERY_VALUE_OBJECT:
        if (v.json == NULL) {
            json_write_int(w, name, v.number.integer);
            break;
        }
        json_write_name(w, span_str(name));
        (void)json_print(v.json, w->out); /* `out` remembers what did not fit */
        w->need_comma = true;
        break;
    }
    return OK;
}
