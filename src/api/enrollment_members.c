/* api/enrollment_members.c: members of enrollments by api-version. A version is given what it
 * knows, and its PUT leaves alone what it does not know and does not name (reference
 * dps-service-api.md 3, "version skew"). Members of 4.6 have two spellings: whichever came is kept.
 */
#include "api/enrollment_members.h"

#include "api/topic.h"
#include "model/limits.h"

/* The first that any SDK or tool sends. What its client cannot say counts as unknown to it. */
#define FIRST_DATE "2018-04-01"

/* Each says what is wrong with a value that is given, or NULL. */
typedef const char *(*rule)(const json *value);

static const char *wrong_object(const json *value)
{
    return json_is_object(value) ? NULL : "is not an object";
}

static const char *wrong_text(const json *value)
{
    return span_is_empty(json_text(value)) ? "is not a string, or empty" : NULL;
}

static const char *wrong_texts(const json *value)
{
    if (!json_is_array(value)) {
        return "is not an array of strings";
    }
    for (size_t i = 0; i < json_array_len(value); i++) {
        if (!json_is_string(json_array_at(value, i))) {
            return "is not an array of strings";
        }
    }
    return NULL;
}

static bool is_digit_or_lower(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

static bool is_alphanumeric(uint8_t c)
{
    return is_digit_or_lower(c) || (c >= 'A' && c <= 'Z');
}

/* All of `is_inner` or '-', the first without '-'. */
static bool is_name(struct span text, size_t longest, bool (*is_inner)(uint8_t c))
{
    if (text.len < LIMIT_ISSUANCE_NAME_MIN || text.len > longest || text.data[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '-' && !is_inner(text.data[i])) {
            return false;
        }
    }
    return true;
}

/* ^[a-z0-9][a-z0-9-]*[a-z0-9]$ */
static const char *wrong_namespace(const json *value)
{
    struct span text = json_text(value);

    return is_name(text, LIMIT_ISSUANCE_NAMESPACE, is_digit_or_lower) &&
                   text.data[text.len - 1] != '-'
               ? NULL
               : "is not 3 to 64 of a-z 0-9 -, '-' neither first nor last";
}

/* ^[0-9a-zA-Z][a-zA-Z0-9-]*$ */
static const char *wrong_issuance_name(const json *value)
{
    return is_name(json_text(value), LIMIT_ISSUANCE_NAME, is_alphanumeric)
               ? NULL
               : "is not 3 to 63 of A-Z a-z 0-9 -, '-' not first";
}

/* https://host[:port]/… of visible ASCII, and no user in it. */
static const char *wrong_url(struct span url)
{
    struct span rest = span_from(url, strlen("https://"));
    struct span host = rest;

    if (!span_starts_with_nocase(url, SPAN("https://"))) {
        return "has no webhookUrl that begins with https://";
    }
    if (url.len > LIMIT_WEBHOOK_URL) {
        return "has a webhookUrl longer than 2048 bytes";
    }
    for (size_t i = 0; i < url.len; i++) {
        if (url.data[i] <= ' ' || url.data[i] > '~') {
            return "has a webhookUrl with a byte that no URL has";
        }
    }
    for (size_t i = 0; i < rest.len; i++) {
        if (strchr("/?#", rest.data[i]) != NULL) {
            host = span_first(rest, i);
            break;
        }
    }
    if (host.len == 0 || host.data[0] == ':' || span_find(host, '@') < host.len) {
        return "has a webhookUrl without a host name, or with a user's name";
    }
    return NULL;
}
_Static_assert(LIMIT_WEBHOOK_URL == 2048, "as the sentence says");

static const char *wrong_rule(const json *value)
{
    struct span source = json_text(json_member(value, "rule"));

    if (json_member(value, "webhookUrl") != NULL || json_member(value, "apiVersion") != NULL) {
        return "has both a webhookUrl and a rule: it takes one or the other";
    }
    if (span_is_empty(source)) {
        return "has a rule that is not a string, or empty";
    }
    return source.len > LIMIT_RULE_SOURCE ? "has a rule longer than 32768 bytes" : NULL;
}
_Static_assert(LIMIT_RULE_SOURCE == 32768, "as the sentence says");

/* {"webhookUrl","apiVersion"} (Azure's) or {"rule"}. Whether a rule compiles is core's. */
static const char *wrong_custom(const json *value)
{
    struct span version = json_text(json_member(value, "apiVersion"));
    const char *wrong;

    if (json_member(value, "rule") != NULL) {
        return wrong_rule(value);
    }
    wrong = wrong_url(json_text(json_member(value, "webhookUrl")));
    if (wrong != NULL) {
        return wrong;
    }
    return topic_is_api_version(version) && span_compare(version, SPAN("2018-09-01")) >= 0
               ? NULL
               : "has no apiVersion of 2018-09-01-preview or later";
}

/* Members that not every version knows. Dates are those of api-versions, whose "-preview" does not
 * count. `until` empty: all later ones. */
static const struct versioned {
    const char *name;
    const char *since, *until;
    int set; /* members of one set are given together or not at all; 0: alone */
    rule wrong;
} versioned[] = {
    /* Given to all, as new releases of the C client read it of individual enrollments; not all say
     * it. */
    { "capabilities", "2018-09-01", "", 0, NULL },
    { "allocationPolicy", "2018-09-01", "", 0, NULL },
    { "iotHubs", "2018-09-01", "", 0, NULL },
    { "reprovisionPolicy", "2018-09-01", "", 0, NULL },
    { "customAllocationDefinition", "2018-09-01", "", 0, wrong_custom },
    { "optionalDeviceInformation", "2018-09-01", "", 0, wrong_object },
    { "clientCertificateIssuancePolicy", "2021-11-01", "2021-11-01", 0, wrong_object },
    { "credentialPolicyName", "2025-07-01", "2025-07-01", 0, wrong_text },
    { "namespaceName", "2026-11-01", "", 1, wrong_namespace },
    { "certificateAuthorityName", "2026-11-01", "", 1, wrong_issuance_name },
    { "certificatePolicyName", "2026-11-01", "", 1, wrong_issuance_name },
    { "deviceTypeRefs", "2026-11-02", "", 0, wrong_texts },
};
enum { VERSIONED = sizeof(versioned) / sizeof(versioned[0]) };

/* Acted on, or written by the service alone: these are not `extra`. */
static const char *const own_members[] = {
    "registrationId",
    "enrollmentGroupId",
    "deviceId",
    "registrationState",
    "attestation",
    "capabilities",
    "initialTwin",
    "provisioningStatus",
    "reprovisionPolicy",
    "allocationPolicy",
    "iotHubs",
    "iotHubHostName",
    "etag",
    "createdDateTimeUtc",
    "lastUpdatedDateTimeUtc",
};

static const struct versioned *find(const char *name)
{
    for (size_t i = 0; i < VERSIONED; i++) {
        if (strcmp(versioned[i].name, name) == 0) {
            return &versioned[i];
        }
    }
    return NULL;
}

static bool is_own(const char *name)
{
    for (size_t i = 0; i < sizeof(own_members) / sizeof(own_members[0]); i++) {
        if (strcmp(own_members[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool enrollment_members_is_known(struct span api_version, const char *name)
{
    struct span date = span_first(api_version, strlen(FIRST_DATE));
    const struct versioned *v = find(name);

    return v == NULL || span_is_empty(date) ||
           (span_compare(date, span_str(v->since)) >= 0 &&
            (v->until[0] == '\0' || span_compare(date, span_str(v->until)) <= 0));
}

/* Does the body speak of the member, or of one of its set? */
static bool is_spoken_of(const json *document, const char *name)
{
    const struct versioned *v = find(name);

    if (v == NULL || v->set == 0) {
        return json_member(document, name) != NULL;
    }
    for (size_t i = 0; i < VERSIONED; i++) {
        if (versioned[i].set == v->set && json_member(document, versioned[i].name) != NULL) {
            return true;
        }
    }
    return false;
}

bool enrollment_members_is_kept(const struct enrollment_json_put *put, const json *document,
                                const char *name)
{
    return put->stored != NULL && !enrollment_members_is_known(put->api_version, name) &&
           !is_spoken_of(document, name);
}

/* ---- reading ---- */

static err refuse(const struct env *env, struct verdict *ret_verdict, const char *name,
                  const char *what)
{
    struct verdict v = VERDICT(FIELD_INVALID);

    TRY(arena_printf(env->arena, &v.detail, "%s %s.", name, what));
    *ret_verdict = v;
    return OK;
}

static bool is_given(const json *document, const char *name)
{
    const json *value = json_member(document, name);

    return value != NULL && !json_is_null(value);
}

static bool is_set_whole(const json *document, int set)
{
    size_t given = 0;
    size_t size = 0;

    for (size_t i = 0; i < VERSIONED; i++) {
        if (versioned[i].set == set) {
            given += is_given(document, versioned[i].name);
            size++;
        }
    }
    return given == size;
}

/* The first thing that is wrong, in the verdict. */
static err check(const struct env *env, const struct enrollment_json_put *put, const json *document,
                 struct verdict *ret_verdict)
{
    *ret_verdict = VERDICT(GRANTED);
    if (put->kind == ENROLLMENT_GROUP && is_given(document, "optionalDeviceInformation")) {
        return refuse(env, ret_verdict, "optionalDeviceInformation",
                      "is not an enrollment group's member");
    }
    for (size_t i = 0; i < VERSIONED; i++) {
        const struct versioned *v = &versioned[i];
        const char *wrong;

        if (!is_given(document, v->name)) {
            continue;
        }
        wrong = v->wrong != NULL ? v->wrong(json_member(document, v->name)) : NULL;
        if (wrong == NULL && v->set != 0 && !is_set_whole(document, v->set)) {
            wrong = "is given without the others: namespaceName, certificateAuthorityName and "
                    "certificatePolicyName go together";
        }
        if (wrong != NULL) {
            return refuse(env, ret_verdict, v->name, wrong);
        }
    }
    return OK;
}

/* Failure sticks in the buf. */
static void write_member(const struct json_iter *it, struct json_writer *w)
{
    json_write_name(w, span_str(it->name));
    json_write_value(w, NULL, it->value);
}

err enrollment_members_decode(const struct env *env, const struct enrollment_json_put *put,
                              json *document, struct span *ret_extra, struct verdict *ret_verdict)
{
    AUTO(json) json *stored = NULL;
    struct buf out;
    struct json_writer w = json_writer_over(&out);
    struct span text;

    TRY(check(env, put, document, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    if (put->stored != NULL && !span_is_absent(put->stored->extra)) {
        TRY(json_parse(put->stored->extra, LIMIT_JSON_DEPTH, &stored));
    }
    out = arena_buf(env->arena);
    json_write_begin_object(&w, NULL);
    for (struct json_iter it = json_first(document); it.name != NULL; json_next(&it)) {
        if (!is_own(it.name) && !json_is_null(it.value)) {
            write_member(&it, &w);
        }
    }
    for (struct json_iter it = json_first(stored); it.name != NULL; json_next(&it)) {
        if (enrollment_members_is_kept(put, document, it.name)) {
            write_member(&it, &w);
        }
    }
    json_write_end_object(&w);
    TRY(arena_buf_end(env->arena, &out, &text));
    if (text.len > LIMIT_EXTRA_MEMBERS) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        return arena_printf(env->arena, &ret_verdict->detail,
                            "The members that are kept are larger than %d bytes together.",
                            LIMIT_EXTRA_MEMBERS);
    }
    *ret_extra = text.len > strlen("{}") ? text : SPAN_NONE;
    return OK;
}

/* ---- writing ---- */

err enrollment_members_write(struct span extra, struct span api_version, struct json_writer *w)
{
    AUTO(json) json *members = NULL;

    if (span_is_absent(extra)) {
        return OK;
    }
    TRY(json_parse(extra, LIMIT_JSON_DEPTH, &members));
    for (struct json_iter it = json_first(members); it.name != NULL; json_next(&it)) {
        if (enrollment_members_is_known(api_version, it.name)) {
            write_member(&it, w);
        }
    }
    return OK;
}
