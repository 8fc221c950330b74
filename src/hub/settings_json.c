/* hub/settings_json.c: the JSON of a hub's settings, member by member: read with a name for
 * whatever is wrong, and printed as it was given. Plain members are a table; sku and limits have
 * rules of their own. */
#include "hub/settings_json.h"

#include "model/limits.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS };
enum { PATH_MAX = 96 };

enum leaf_kind { LEAF_COUNT, LEAF_DURATION, LEAF_BOOL };
struct leaf {
    const char *name;
    enum leaf_kind kind;
    size_t offset; /* in settings_given */
    int64_t least, most;
};
#define COUNT(name_, member_, most_)                                                               \
    {                                                                                              \
        name_, LEAF_COUNT, offsetof(struct settings_given, member_), 1, most_                      \
    }
#define DURATION(name_, member_, least_, most_)                                                    \
    {                                                                                              \
        name_, LEAF_DURATION, offsetof(struct settings_given, member_), least_, most_              \
    }
#define BOOL(name_, member_)                                                                       \
    {                                                                                              \
        name_, LEAF_BOOL, offsetof(struct settings_given, member_), 0, 0                           \
    }
#define LEAVES_END                                                                                 \
    {                                                                                              \
        NULL, LEAF_BOOL, 0, 0, 0                                                                   \
    }

/* Azure's ranges. */
static const struct leaf c2d_leaves[] = {
    COUNT("maxDeliveryCount", c2d_max_deliveries, LIMIT_C2D_DELIVERIES),
    DURATION("defaultTtlAsIso8601", c2d_ttl_ms, MINUTE_MS, LIMIT_C2D_TTL_MS),
    LEAVES_END,
};
static const struct leaf feedback_leaves[] = {
    COUNT("maxDeliveryCount", feedback_max_deliveries, LIMIT_C2D_DELIVERIES),
    DURATION("ttlAsIso8601", feedback_ttl_ms, MINUTE_MS, LIMIT_C2D_TTL_MS),
    DURATION("lockDurationAsIso8601", feedback_lock_ms, 5 * SECOND_MS, 5 * MINUTE_MS),
    LEAVES_END,
};
static const struct leaf property_leaves[] = {
    BOOL("disableDeviceSAS", is_device_sas_disabled),
    BOOL("disableModuleSAS", is_module_sas_disabled),
    LEAVES_END,
};

static int64_t *member_of(struct settings_given *given, const struct leaf *leaf)
{
    return (int64_t *)(void *)((uint8_t *)given + leaf->offset);
}

static int64_t value_of(const struct settings_given *given, const struct leaf *leaf)
{
    return *(const int64_t *)(const void *)((const uint8_t *)given + leaf->offset);
}

/* ---- durations: P[nD][T[nH][nM][nS]], ISO 8601 ---- */

/* One "n" and its letter. */
static bool cut_part(struct span *rest, uint8_t letter, int64_t unit_ms, int64_t *total_ms)
{
    size_t digits = 0;
    int64_t n;

    while (digits < rest->len && rest->data[digits] >= '0' && rest->data[digits] <= '9') {
        digits++;
    }
    if (digits == 0 || digits > 9 || digits == rest->len || rest->data[digits] != letter ||
        !span_parse_int(span_first(*rest, digits), &n)) {
        return false;
    }
    *total_ms += n * unit_ms;
    *rest = span_from(*rest, digits + 1);
    return true;
}

static bool parse_duration(struct span text, int64_t *ret_ms)
{
    struct span rest = span_from(text, 1);
    int64_t ms = 0;
    bool has_any;

    if (!span_starts_with(text, SPAN("P"))) {
        return false;
    }
    has_any = cut_part(&rest, 'D', DAY_MS, &ms);
    if (span_starts_with(rest, SPAN("T"))) {
        bool has_time;

        rest = span_from(rest, 1);
        has_time = cut_part(&rest, 'H', HOUR_MS, &ms);
        has_time = cut_part(&rest, 'M', MINUTE_MS, &ms) || has_time;
        has_time = cut_part(&rest, 'S', SECOND_MS, &ms) || has_time;
        if (!has_time) {
            return false;
        }
        has_any = true;
    }
    *ret_ms = ms;
    return has_any && rest.len == 0;
}

static void print_part(struct buf *out, int64_t *ms, int64_t unit_ms, char letter)
{
    if (*ms >= unit_ms) {
        buf_printf(out, "%lld%c", (long long)(*ms / unit_ms), letter);
        *ms %= unit_ms;
    }
}

static void print_duration(int64_t ms, struct buf *out)
{
    buf_add_u8(out, 'P');
    print_part(out, &ms, DAY_MS, 'D');
    if (ms > 0) {
        buf_add_u8(out, 'T');
        print_part(out, &ms, HOUR_MS, 'H');
        print_part(out, &ms, MINUTE_MS, 'M');
        print_part(out, &ms, SECOND_MS, 'S');
    }
}

/* ---- reading ---- */

static err wrong(const char *path, const char *name, const char *what)
{
    return err_set(ERR_MALFORMED, "%s%s %s.", path, name, what);
}

static err wrong_range(const char *path, const char *name, int64_t least, int64_t most)
{
    return err_set(ERR_MALFORMED, "%s%s is not a whole number from %lld to %lld.", path, name,
                   (long long)least, (long long)most);
}

static err read_count(const char *path, const char *name, const json *v, int64_t most,
                      int64_t *ret_value)
{
    struct json_number n;

    if (!json_find_number(v, &n) || !n.is_integer || n.integer < 1 || n.integer > most) {
        return wrong_range(path, name, 1, most);
    }
    *ret_value = n.integer;
    return OK;
}

static err read_duration(const char *path, const struct leaf *leaf, const json *v,
                         int64_t *ret_value)
{
    int64_t ms;

    if (!json_is_string(v) || !parse_duration(json_text(v), &ms) || ms < leaf->least ||
        ms > leaf->most) {
        char least[32], most[32];
        struct buf a = buf_over(least, sizeof least), b = buf_over(most, sizeof most);

        print_duration(leaf->least, &a);
        print_duration(leaf->most, &b);
        return err_set(ERR_MALFORMED, "%s%s is not an ISO 8601 duration from %.*s to %.*s.", path,
                       leaf->name, SPAN_FMT(buf_span(&a)), SPAN_FMT(buf_span(&b)));
    }
    *ret_value = ms;
    return OK;
}

static err read_leaf(const char *path, const struct leaf *leaf, const json *v,
                     struct settings_given *given)
{
    int64_t *member = member_of(given, leaf);
    bool flag;

    if (json_is_null(v)) {
        *member = 0;
        return OK;
    }
    switch (leaf->kind) {
    case LEAF_COUNT:
        return read_count(path, leaf->name, v, leaf->most, member);
    case LEAF_DURATION:
        return read_duration(path, leaf, v, member);
    default:
        if (!json_find_bool(v, &flag)) {
            return wrong(path, leaf->name, "is neither true nor false");
        }
        *member = flag ? SETTINGS_YES : SETTINGS_NO;
        return OK;
    }
}

static const struct leaf *find_leaf(const struct leaf *leaves, const char *name)
{
    while (leaves->name != NULL && strcmp(leaves->name, name) != 0) {
        leaves++;
    }
    return leaves->name != NULL ? leaves : NULL;
}

static void clear_leaves(const struct leaf *leaves, struct settings_given *given)
{
    for (; leaves->name != NULL; leaves++) {
        *member_of(given, leaves) = 0;
    }
}

/* An object of nothing but leaves, and perhaps one more object, of which `nested` reads all. */
struct branch {
    const char *path; /* "properties.cloudToDevice." */
    const struct leaf *leaves;
    const char *nested_name;
    err (*nested)(json *v, struct settings_given *given);
};

static err read_branch(const struct branch *b, json *object, struct settings_given *given)
{
    if (!json_is_object(object)) { /* without the point at the end of its path */
        return err_set(ERR_MALFORMED, "%.*s is not an object.", (int)strlen(b->path) - 1, b->path);
    }
    for (struct json_iter it = json_first(object); it.name != NULL; json_next(&it)) {
        const struct leaf *leaf = find_leaf(b->leaves, it.name);

        if (leaf != NULL) {
            TRY(read_leaf(b->path, leaf, it.value, given));
        } else if (b->nested != NULL && strcmp(it.name, b->nested_name) == 0) {
            TRY(b->nested(it.value, given));
        } else {
            return wrong(b->path, it.name, "is not a setting of a hub");
        }
    }
    return OK;
}

static err read_feedback(json *v, struct settings_given *given)
{
    static const struct branch b = { .path = "properties.cloudToDevice.feedback.",
                                     .leaves = feedback_leaves };

    if (json_is_null(v)) {
        clear_leaves(feedback_leaves, given);
        return OK;
    }
    return read_branch(&b, v, given);
}

static err read_c2d(json *v, struct settings_given *given)
{
    static const struct branch b = { .path = "properties.cloudToDevice.",
                                     .leaves = c2d_leaves,
                                     .nested_name = "feedback",
                                     .nested = read_feedback };

    if (json_is_null(v)) {
        clear_leaves(c2d_leaves, given);
        clear_leaves(feedback_leaves, given);
        return OK;
    }
    return read_branch(&b, v, given);
}

static err read_properties(json *v, struct settings_given *given)
{
    static const struct branch b = { .path = "properties.",
                                     .leaves = property_leaves,
                                     .nested_name = "cloudToDevice",
                                     .nested = read_c2d };

    if (json_is_null(v)) {
        clear_leaves(property_leaves, given);
        return read_c2d(v, given);
    }
    return read_branch(&b, v, given);
}

static err read_sku_name(const json *v, struct settings_given *given)
{
    enum throttle_tier tier;

    if (!throttle_parse_tier(json_text(v), &tier)) {
        return wrong("sku.", "name", "is none of F1, B1, B2, B3, S1, S2, S3");
    }
    given->tier = tier;
    return OK;
}

static err read_sku(json *v, struct settings_given *given)
{
    if (json_is_null(v)) {
        given->tier = given->units = 0;
        return OK;
    }
    if (!json_is_object(v)) {
        return wrong("", "sku", "is not an object");
    }
    for (struct json_iter it = json_first(v); it.name != NULL; json_next(&it)) {
        if (strcmp(it.name, "name") == 0) {
            TRY(read_sku_name(it.value, given));
        } else if (strcmp(it.name, "capacity") == 0) {
            TRY(read_count("sku.", "capacity", it.value, LIMIT_HUB_UNITS, &given->units));
        } else if (strcmp(it.name, "tier") != 0) { /* Azure's, which says nothing new */
            return wrong("sku.", it.name, "is not a setting of a hub");
        }
    }
    return OK;
}

static err read_period(const char *path, const json *v, int64_t *ret_ms)
{
    struct span word = json_text(v);

    if (span_eq(word, SPAN("second"))) {
        *ret_ms = SECOND_MS;
    } else if (span_eq(word, SPAN("minute"))) {
        *ret_ms = MINUTE_MS;
    } else if (span_eq(word, SPAN("hour"))) {
        *ret_ms = HOUR_MS;
    } else {
        return wrong(path, "per", "is none of second, minute, hour");
    }
    return OK;
}

static err read_rate_member(const char *path, const struct json_iter *it,
                            struct throttle_rate *rate)
{
    if (strcmp(it->name, "rate") == 0) {
        return read_count(path, "rate", it->value, THROTTLE_COUNT_MAX, &rate->count);
    }
    if (strcmp(it->name, "per") == 0) {
        return read_period(path, it->value, &rate->per_ms);
    }
    if (strcmp(it->name, "burst") == 0) {
        rate->burst = 0;
        return json_is_null(it->value)
                   ? OK
                   : read_count(path, "burst", it->value, THROTTLE_BURST_MAX, &rate->burst);
    }
    return wrong(path, it->name, "is not a setting of a hub: rate, per and burst are");
}

static err read_rate(const char *path, json *v, struct throttle_rate *rate)
{
    if (json_is_null(v)) {
        *rate = (struct throttle_rate){ 0 };
        return OK;
    }
    if (span_eq(json_text(v), SPAN("unlimited"))) {
        *rate = (struct throttle_rate){ .count = SETTINGS_UNLIMITED };
        return OK;
    }
    if (!json_is_object(v)) {
        return err_set(ERR_MALFORMED,
                       "%.*s is neither \"unlimited\" nor an object with rate, per and burst.",
                       (int)strlen(path) - 1, path);
    }
    if (rate->count <= 0) {
        *rate = (struct throttle_rate){ .per_ms = SECOND_MS };
    }
    for (struct json_iter it = json_first(v); it.name != NULL; json_next(&it)) {
        TRY(read_rate_member(path, &it, rate));
    }
    return rate->count > 0 ? OK : wrong(path, "rate", "is missing");
}

static err read_limit(const char *section, const struct json_iter *it,
                      struct throttle_rate limits[THROTTLE_OPERATIONS], int most)
{
    enum throttle_operation op;
    char path[PATH_MAX];
    struct buf out = buf_over(path, sizeof path - 1);

    if (!throttle_parse(span_str(it->name), &op) || (int)op > most) {
        return wrong(section, it->name, "is not an operation that has a limit");
    }
    buf_printf(&out, "%s%s.", section, it->name);
    path[out.len] = '\0';
    return read_rate(path, it->value, &limits[op]);
}

static err read_daily(const json *v, struct settings_given *given)
{
    if (json_is_null(v)) {
        given->daily_messages = 0;
        return OK;
    }
    if (span_eq(json_text(v), SPAN("unlimited"))) {
        given->daily_messages = SETTINGS_UNLIMITED;
        return OK;
    }
    return read_count("limits.", "dailyMessages", v, INT64_MAX / 2, &given->daily_messages);
}

static err read_limits(json *v, struct settings_given *given)
{
    if (json_is_null(v)) {
        memset(given->limits, 0, sizeof given->limits);
        given->daily_messages = 0;
        return OK;
    }
    if (!json_is_object(v)) {
        return wrong("", "limits", "is not an object");
    }
    for (struct json_iter it = json_first(v); it.name != NULL; json_next(&it)) {
        TRY(strcmp(it.name, "dailyMessages") == 0
                ? read_daily(it.value, given)
                : read_limit("limits.", &it, given->limits, THROTTLE_OPERATIONS));
    }
    return OK;
}

static err read_device_limits(json *v, struct settings_given *given)
{
    if (json_is_null(v)) {
        memset(given->device_limits, 0, sizeof given->device_limits);
        return OK;
    }
    if (!json_is_object(v)) {
        return wrong("", "deviceLimits", "is not an object");
    }
    for (struct json_iter it = json_first(v); it.name != NULL; json_next(&it)) {
        TRY(read_limit("deviceLimits.", &it, given->device_limits, THROTTLE_OF_DEVICE));
    }
    return OK;
}

err hub_settings_json_apply(json *object, struct settings_given *given)
{
    static const struct {
        const char *name;
        err (*read)(json *v, struct settings_given *given);
    } sections[] = { { "sku", read_sku },
                     { "properties", read_properties },
                     { "limits", read_limits },
                     { "deviceLimits", read_device_limits } };

    if (!json_is_object(object)) {
        return err_set(ERR_MALFORMED, "The settings are not an object.");
    }
    for (struct json_iter it = json_first(object); it.name != NULL; json_next(&it)) {
        size_t i = 0;

        while (i < sizeof sections / sizeof *sections && strcmp(it.name, sections[i].name) != 0) {
            i++;
        }
        if (i == sizeof sections / sizeof *sections) {
            return wrong("", it.name, "is not a setting of a hub");
        }
        TRY(sections[i].read(it.value, given));
    }
    if (given->units > 0 && given->tier == 0) {
        return wrong("sku.", "name", "is missing");
    }
    if (given->units > 1 && given->tier == THROTTLE_TIER_F1) {
        return err_set(ERR_MALFORMED, "sku.capacity of F1 is 1.");
    }
    return OK;
}

/* ---- printing ---- */

static void print_leaf(const struct settings_given *given, const struct leaf *leaf,
                       struct json_writer *w)
{
    int64_t value = value_of(given, leaf);
    char text[32];
    struct buf out = buf_over(text, sizeof text);

    if (value == 0) {
        return;
    }
    switch (leaf->kind) {
    case LEAF_COUNT:
        json_write_int(w, leaf->name, value);
        break;
    case LEAF_DURATION:
        print_duration(value, &out);
        json_write_text(w, leaf->name, buf_span(&out));
        break;
    case LEAF_BOOL:
        json_write_bool(w, leaf->name, value == SETTINGS_YES);
        break;
    }
}

static void print_leaves(const struct settings_given *given, const struct leaf *leaves,
                         struct json_writer *w)
{
    for (; leaves->name != NULL; leaves++) {
        print_leaf(given, leaves, w);
    }
}

static const char *period_word(int64_t per_ms)
{
    return per_ms == SECOND_MS ? "second" : per_ms == MINUTE_MS ? "minute" : "hour";
}

static void print_rates(const struct throttle_rate rates[THROTTLE_OPERATIONS],
                        struct json_writer *w)
{
    for (int op = 1; op < THROTTLE_OPERATIONS; op++) {
        const char *name = throttle_word((enum throttle_operation)op);

        if (rates[op].count == SETTINGS_UNLIMITED) {
            json_write_str(w, name, "unlimited");
        } else if (rates[op].count > 0) {
            json_write_begin_object(w, name);
            json_write_int(w, "rate", rates[op].count);
            json_write_str(w, "per", period_word(rates[op].per_ms));
            if (rates[op].burst > 0) {
                json_write_int(w, "burst", rates[op].burst);
            }
            json_write_end_object(w);
        }
    }
}

void hub_settings_json_members(const struct settings_given *given, struct json_writer *w)
{
    if (given->tier != 0) {
        json_write_begin_object(w, "sku");
        json_write_str(w, "name", throttle_tier_word((enum throttle_tier)given->tier));
        json_write_int(w, "capacity", given->units > 0 ? given->units : 1);
        json_write_end_object(w);
    }
    json_write_begin_object(w, "properties");
    print_leaves(given, property_leaves, w);
    json_write_begin_object(w, "cloudToDevice");
    print_leaves(given, c2d_leaves, w);
    json_write_begin_object(w, "feedback");
    print_leaves(given, feedback_leaves, w);
    json_write_end_object(w);
    json_write_end_object(w);
    json_write_end_object(w);
    json_write_begin_object(w, "limits");
    print_rates(given->limits, w);
    if (given->daily_messages == SETTINGS_UNLIMITED) {
        json_write_str(w, "dailyMessages", "unlimited");
    } else if (given->daily_messages > 0) {
        json_write_int(w, "dailyMessages", given->daily_messages);
    }
    json_write_end_object(w);
    json_write_begin_object(w, "deviceLimits");
    print_rates(given->device_limits, w);
    json_write_end_object(w);
}
