/* util/connection_string.c: connection strings taken apart. */
#include "util/connection_string.h"

err connection_string_parse(struct span text, struct connection_string *ret_parts)
{
    struct connection_string parts = { SPAN_NONE, SPAN_NONE, SPAN_NONE };
    const struct {
        struct span name;
        struct span *value;
    } known[] = {
        { SPAN("HostName"), &parts.host },
        { SPAN("SharedAccessKeyName"), &parts.policy },
        { SPAN("SharedAccessKey"), &parts.key },
    };
    struct span rest = span_trim(text);

    while (rest.len > 0) {
        struct span part = span_cut(&rest, ';'), value = part, name = span_cut(&value, '=');

        if (part.len > 0 && span_is_absent(value)) {
            return err_set(ERR_MALFORMED, "the connection string has a part without '=': %.*s",
                           SPAN_FMT(part));
        }
        for (size_t i = 0; i < 3; i++) {
            if (!span_eq(name, known[i].name)) {
                continue;
            }
            if (!span_is_absent(*known[i].value)) {
                return err_set(ERR_MALFORMED, "the connection string has %.*s twice",
                               SPAN_FMT(name));
            }
            *known[i].value = value;
        }
    }
    for (size_t i = 0; i < 3; i++) {
        if (known[i].value->len == 0) {
            return err_set(ERR_MALFORMED, "the connection string has no %.*s",
                           SPAN_FMT(known[i].name));
        }
    }
    *ret_parts = parts;
    return OK;
}
