/* api/service_query_row.c: one table of all that can be named, for the three listings. A member is
 * absent exactly when enrollment_json.c or dps_json.c leaves it out of the row's JSON. What is not
 * in the table cannot be asked for: certificates and keys are not. */
#include "api/service_query_row.h"

#include "api/enrollment_json.h"

enum { INDIVIDUALS = 1 << CORE_LISTING_INDIVIDUALS, GROUPS = 1 << CORE_LISTING_GROUPS };
enum { ENROLLMENTS = INDIVIDUALS | GROUPS, REGISTRATIONS = 1 << CORE_LISTING_REGISTRATIONS };
enum document { HUBS, TWIN, EXTRA, PAYLOAD };

static const struct enrollment *enrollment_of(const struct query_row *row)
{
    return row->record;
}

static const struct registration *registration_of(const struct query_row *row)
{
    return row->record;
}

static struct query_value undefined(void)
{
    return query_row_of_text(SPAN_NONE);
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
READ(id, query_row_of_text(enrollment_of(row)->id))
READ(device_id, query_row_of_text(enrollment_of(row)->device_id))
READ(attestation,
     query_row_of_text(span_str(model_attestation_word(enrollment_of(row)->attestation))))
READ(edge, query_row_of_bool(enrollment_of(row)->iot_edge != 0))
READ(status, query_row_of_text(enrollment_of(row)->provisioning_status == PROVISIONING_ENABLED
                                   ? SPAN("enabled")
                                   : SPAN("disabled")))
READ(update, query_row_of_bool(enrollment_of(row)->update_hub_assignment != 0))
READ(migrate, query_row_of_bool(enrollment_of(row)->migrate_device_data != 0))
READ(created, query_row_of_time(enrollment_of(row)->created_ms))
READ(updated, query_row_of_time(enrollment_of(row)->updated_ms))
READ(allocation, enrollment_of(row)->allocation_policy == ALLOCATION_DEFAULT
                     ? undefined()
                     : query_row_of_text(
                           span_str(model_allocation_word(enrollment_of(row)->allocation_policy))))

static struct query_value of_reference(const struct enrollment *e, struct span slot)
{
    return e->x509_source == X509_SOURCE_CA_REFERENCE ? query_row_of_text(slot) : undefined();
}
READ(reference_primary, of_reference(enrollment_of(row), enrollment_of(row)->x509_primary))
READ(reference_secondary, of_reference(enrollment_of(row), enrollment_of(row)->x509_secondary))

/* Enrollments' etags hold their quotes. */
static err read_etag(struct query_row *row, const struct query_member *m,
                     struct query_value *ret_value)
{
    struct span text;

    (void)m;
    TRY(arena_printf(row->env->arena, &text, "\"%.*s\"", SPAN_FMT(enrollment_of(row)->etag)));
    *ret_value = query_row_of_text(text);
    return OK;
}

static err read_hubs(struct query_row *row, const struct query_member *m,
                     struct query_value *ret_value)
{
    json *hubs;

    (void)m;
    TRY(query_row_document(row, HUBS, enrollment_of(row)->iot_hubs, &hubs));
    *ret_value = query_row_of_json(hubs);
    return OK;
}

static err read_only_hub(struct query_row *row, const struct query_member *m,
                         struct query_value *ret_value)
{
    json *hubs;

    (void)m;
    TRY(query_row_document(row, HUBS, enrollment_of(row)->iot_hubs, &hubs));
    *ret_value =
        json_array_len(hubs) == 1 ? query_row_of_json(json_array_at(hubs, 0)) : undefined();
    return OK;
}

static err read_twin(struct query_row *row, const struct query_member *m,
                     struct query_value *ret_value)
{
    json *twin;

    (void)m;
    TRY(query_row_document(row, TWIN, enrollment_of(row)->initial_twin, &twin));
    *ret_value = query_row_of_json(twin);
    return OK;
}

static err read_extra(struct query_row *row, const struct query_member *m,
                      struct query_value *ret_value)
{
    json *extra;

    TRY(query_row_document(row, EXTRA, enrollment_of(row)->extra, &extra));
    *ret_value = query_row_of_json(json_member(extra, m->name));
    return OK;
}

/* Some members of a registration go with one status. */
static bool is_in(const struct query_row *row, enum registration_status status)
{
    return registration_of(row)->status == status;
}

READ(r_id, query_row_of_text(registration_of(row)->id))
READ(r_created, query_row_of_time(registration_of(row)->created_ms))
READ(r_updated, query_row_of_time(registration_of(row)->updated_ms))
READ(r_status,
     query_row_of_text(span_str(model_registration_status_word(registration_of(row)->status))))
READ(r_etag, query_row_of_text(registration_of(row)->etag))
READ(r_hub, is_in(row, REGISTRATION_ASSIGNED)
                ? query_row_of_text(registration_of(row)->assigned_hub)
                : undefined())
READ(r_device, is_in(row, REGISTRATION_ASSIGNED)
                   ? query_row_of_text(registration_of(row)->device_id)
                   : undefined())
READ(r_substatus,
     is_in(row, REGISTRATION_ASSIGNED)
         ? query_row_of_text(span_str(model_substatus_word(registration_of(row)->substatus)))
         : undefined())

static bool has_error(const struct query_row *row)
{
    return is_in(row, REGISTRATION_FAILED) && registration_of(row)->error_code != 0;
}

READ(r_error, has_error(row) ? query_row_of_int(registration_of(row)->error_code) : undefined())
READ(r_message,
     has_error(row) ? query_row_of_text(registration_of(row)->error_message) : undefined())

static err read_payload(struct query_row *row, const struct query_member *m,
                        struct query_value *ret_value)
{
    json *payload;

    (void)m;
    TRY(query_row_document(row, PAYLOAD, registration_of(row)->payload, &payload));
    *ret_value = query_row_of_json(payload);
    return OK;
}

/* ---- objects that are made of columns ---- */

static err write_attestation(struct query_row *row, const char *name, struct json_writer *w)
{
    return enrollment_json_write_attestation(row->env, enrollment_of(row), false, name, w);
}

static err write_capabilities(struct query_row *row, const char *name, struct json_writer *w)
{
    json_write_begin_object(w, name);
    json_write_bool(w, "iotEdge", enrollment_of(row)->iot_edge != 0);
    json_write_end_object(w);
    return OK;
}

static err write_reprovision(struct query_row *row, const char *name, struct json_writer *w)
{
    json_write_begin_object(w, name);
    json_write_bool(w, "updateHubAssignment", enrollment_of(row)->update_hub_assignment != 0);
    json_write_bool(w, "migrateDeviceData", enrollment_of(row)->migrate_device_data != 0);
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

const struct query_schema *service_query_row_schema(enum core_listing_of of)
{
    static const struct query_schema schemas[] = {
#define SCHEMA(of_) .members = members, .n_members = MEMBERS, .of = 1u << (of_)
        [CORE_LISTING_INDIVIDUALS] = { .from = "enrollments",
                                       .twin = "initialTwin",
                                       SCHEMA(CORE_LISTING_INDIVIDUALS) },
        [CORE_LISTING_GROUPS] = { .from = "enrollmentGroups",
                                  .twin = "initialTwin",
                                  SCHEMA(CORE_LISTING_GROUPS) },
        [CORE_LISTING_REGISTRATIONS] = { .from = "deviceRegistrations",
                                         .from_old = "registrations",
                                         SCHEMA(CORE_LISTING_REGISTRATIONS) },
    };

    return &schemas[of];
}
