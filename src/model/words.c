/* model/words.c: the rules of names and the words of the wire, of model/records.h: what is said,
 * not what it is good for. */
#include "model/records.h"

#include "model/limits.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* ---- names ---- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_alphanumeric(uint8_t c)
{
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_made_of(struct span s, const char *specials)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_alphanumeric(s.data[i]) && !is_one_of(s.data[i], specials)) {
            return false;
        }
    }
    return true;
}

err model_fold(struct arena *arena, struct span text, struct span *ret_folded)
{
    struct span copy;
    uint8_t *folded;

    TRY(arena_copy(arena, text, &copy));
    folded = (uint8_t *)copy.data; /* fresh from the arena: ours to write */
    for (size_t i = 0; i < copy.len; i++) {
        if (folded[i] >= 'A' && folded[i] <= 'Z') {
            folded[i] = (uint8_t)(folded[i] + ('a' - 'A'));
        }
    }
    *ret_folded = copy;
    return OK;
}

bool model_is_registration_id(struct span id)
{
    uint8_t last = id.len > 0 ? id.data[id.len - 1] : 0;

    return id.len >= 1 && id.len <= LIMIT_REGISTRATION_ID && is_made_of(id, "-._:") &&
           (is_alphanumeric(last) || last == '-');
}

bool model_is_device_id(struct span id)
{
    return id.len >= 1 && id.len <= LIMIT_DEVICE_ID && is_made_of(id, "-:.+%_#*?!(),=@;$'");
}

/* RFC 1123 section 2.1: labels of letters, digits and inner hyphens. */
static bool is_host_label(struct span label)
{
    return label.len >= 1 && label.len <= 63 && is_made_of(label, "-") && label.data[0] != '-' &&
           label.data[label.len - 1] != '-';
}

bool model_may_be_id_scope(struct span text)
{
    return span_starts_with(text, SPAN("0ne")) && span_find(text, '.') == text.len;
}

bool model_is_host_name(struct span name)
{
    struct span rest = name;

    if (name.len == 0 || name.len > LIMIT_HOST_NAME) {
        return false;
    }
    while (!span_is_absent(rest)) {
        if (!is_host_label(span_cut(&rest, '.'))) {
            return false;
        }
    }
    return true;
}

bool model_is_resource_name(struct span name)
{
    return name.len <= LIMIT_HUB_NAME && is_host_label(name);
}

bool model_is_policy_name(struct span name)
{
    return name.len >= 1 && name.len <= LIMIT_POLICY_NAME && is_made_of(name, "_-@.");
}

/* ---- words ---- */

static const char *const registration_status_words[] = {
    [REGISTRATION_UNASSIGNED] = "unassigned", [REGISTRATION_ASSIGNING] = "assigning",
    [REGISTRATION_ASSIGNED] = "assigned",     [REGISTRATION_FAILED] = "failed",
    [REGISTRATION_DISABLED] = "disabled",
};
static const char *const substatus_words[] = {
    [SUBSTATUS_INITIAL_ASSIGNMENT] = "initialAssignment",
    [SUBSTATUS_DEVICE_DATA_MIGRATED] = "deviceDataMigrated",
    [SUBSTATUS_DEVICE_DATA_RESET] = "deviceDataReset",
    [SUBSTATUS_REPROVISIONED_TO_INITIAL_ASSIGNMENT] = "reprovisionedToInitialAssignment",
};
static const char *const attestation_words[] = {
    [ATTESTATION_NONE] = "none",
    [ATTESTATION_TPM] = "tpm",
    [ATTESTATION_X509] = "x509",
    [ATTESTATION_SYMMETRIC_KEY] = "symmetricKey",
};
static const char *const allocation_words[] = {
    [ALLOCATION_HASHED] = "hashed",
    [ALLOCATION_GEO_LATENCY] = "geoLatency",
    [ALLOCATION_STATIC] = "static",
    [ALLOCATION_CUSTOM] = "custom",
};
static const char *const operation_words[] = {
    [OPERATION_REGISTER] = "register",
    [OPERATION_STATUS] = "status",
    [OPERATION_LOOKUP] = "lookup",
    [OPERATION_CONNECT] = "connect",
};
static const char *const transport_words[] = {
    [TRANSPORT_MQTT] = "mqtt",
    [TRANSPORT_HTTP] = "http",
};
static const char *const enrollment_kind_words[] = {
    [ENROLLMENT_INDIVIDUAL] = "individual",
    [ENROLLMENT_GROUP] = "group",
};
/* The word of the right 1 << position. */
static const char *const right_words[] = {
    "ServiceConfig", "EnrollmentRead",         "EnrollmentWrite",
    "DeviceConnect", "RegistrationStatusRead", "RegistrationStatusWrite",
    "RegistryRead",  "RegistryWrite",          "ServiceConnect",
    "ServerConfig",
};

/* Case is not looked at: the resource manager's API writes "Hashed", the service API "hashed". */
static bool parse_word(const char *const *words, int n, struct span word, int *ret_at)
{
    for (int i = 0; i < n; i++) {
        if (words[i] != NULL && span_eq_nocase(span_str(words[i]), word)) {
            *ret_at = i;
            return true;
        }
    }
    return false;
}

static const char *word_at(const char *const *words, int n, int at)
{
    return at >= 0 && at < n ? words[at] : NULL;
}

const char *model_registration_status_word(enum registration_status s)
{
    return word_at(registration_status_words, COUNT_OF(registration_status_words), (int)s);
}

const char *model_substatus_word(enum registration_substatus s)
{
    return word_at(substatus_words, COUNT_OF(substatus_words), (int)s);
}

const char *model_attestation_word(enum attestation_type t)
{
    return word_at(attestation_words, COUNT_OF(attestation_words), (int)t);
}

const char *model_allocation_word(enum allocation_policy p)
{
    return word_at(allocation_words, COUNT_OF(allocation_words), (int)p);
}

const char *model_operation_word(enum operation o)
{
    return word_at(operation_words, COUNT_OF(operation_words), (int)o);
}

const char *model_transport_word(enum transport t)
{
    return word_at(transport_words, COUNT_OF(transport_words), (int)t);
}

const char *model_enrollment_kind_word(enum enrollment_kind k)
{
    return word_at(enrollment_kind_words, COUNT_OF(enrollment_kind_words), (int)k);
}

bool model_parse_attestation(struct span word, enum attestation_type *ret_type)
{
    int at;

    if (!parse_word(attestation_words, COUNT_OF(attestation_words), word, &at)) {
        return false;
    }
    *ret_type = (enum attestation_type)at;
    return true;
}

bool model_parse_allocation(struct span word, enum allocation_policy *ret_policy)
{
    int at;

    if (!parse_word(allocation_words, COUNT_OF(allocation_words), word, &at)) {
        return false;
    }
    *ret_policy = (enum allocation_policy)at;
    return true;
}

void model_format_rights(int64_t rights, struct buf *out)
{
    const char *separator = "";

    for (int i = 0; i < COUNT_OF(right_words); i++) {
        if ((rights & (INT64_C(1) << i)) != 0) {
            buf_add_str(out, separator);
            buf_add_str(out, right_words[i]);
            separator = ", ";
        }
    }
}

bool model_parse_rights(struct span words, int64_t *ret_rights)
{
    struct span rest = words;
    int64_t rights = 0;

    while (!span_is_absent(rest)) {
        int at;

        if (!parse_word(right_words, COUNT_OF(right_words), span_trim(span_cut(&rest, ',')), &at)) {
            return false;
        }
        rights |= INT64_C(1) << at;
    }
    if (rights == 0) {
        return false;
    }
    *ret_rights = rights;
    return true;
}
