/* util/connection_string.c: connection strings taken apart. */
#include "util/connection_string.h"

struct part {
    struct span name;
    struct span value;
    bool is_optional;
};

static err take(struct span text, struct part *parts, size_t n)
{
    struct span value = text, name = span_cut(&value, '=');

    if (text.len > 0 && span_is_absent(value)) {
        return err_set(ERR_MALFORMED, "the connection string has a part without '=': %.*s",
                       SPAN_FMT(text));
    }
    for (size_t i = 0; i < n; i++) {
        if (!span_eq(name, parts[i].name)) {
            continue;
        }
        if (!span_is_absent(parts[i].value)) {
            return err_set(ERR_MALFORMED, "the connection string has %.*s twice", SPAN_FMT(name));
        }
        parts[i].value = value;
    }
    return OK;
}

static err parse(struct span text, struct part *parts, size_t n)
{
    struct span rest = span_trim(text);

    while (rest.len > 0) {
        TRY(take(span_cut(&rest, ';'), parts, n));
    }
    for (size_t i = 0; i < n; i++) {
        if (parts[i].value.len == 0 && !parts[i].is_optional) {
            return err_set(ERR_MALFORMED, "the connection string has no %.*s",
                           SPAN_FMT(parts[i].name));
        }
    }
    return OK;
}

err connection_string_parse(struct span text, struct connection_string *ret_parts)
{
    struct part parts[] = { { .name = SPAN("HostName") },
                            { .name = SPAN("SharedAccessKeyName") },
                            { .name = SPAN("SharedAccessKey") } };

    TRY(parse(text, parts, 3));
    *ret_parts = (struct connection_string){ .host = parts[0].value,
                                             .policy = parts[1].value,
                                             .key = parts[2].value };
    return OK;
}

err connection_string_parse_device(struct span text, struct connection_string_device *ret_parts)
{
    struct part parts[] = { { .name = SPAN("HostName") },
                            { .name = SPAN("DeviceId") },
                            { .name = SPAN("SharedAccessKey"), .is_optional = true },
                            { .name = SPAN("ModuleId"), .is_optional = true },
                            { .name = SPAN("x509"), .is_optional = true } };
    bool is_by_certificate;

    TRY(parse(text, parts, 5));
    is_by_certificate = span_eq_nocase(parts[4].value, SPAN("true"));
    if (parts[2].value.len == 0 && !is_by_certificate) {
        return err_set(ERR_MALFORMED, "the connection string has no SharedAccessKey");
    }
    if (parts[2].value.len > 0 && is_by_certificate) {
        return err_set(ERR_MALFORMED, "the connection string has both SharedAccessKey and x509");
    }
    *ret_parts =
        (struct connection_string_device){ .host = parts[0].value,
                                           .device = parts[1].value,
                                           .key = is_by_certificate ? SPAN_NONE : parts[2].value,
                                           .module = parts[3].value };
    return OK;
}
