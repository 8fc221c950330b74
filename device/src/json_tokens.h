/* device/src/json_tokens.h: reading a few members out of a JSON object without a tree and without
 * allocation, over jsmn. */
#ifndef BERTH_DEVICE_JSON_TOKENS_H
#define BERTH_DEVICE_JSON_TOKENS_H

#include "berth/provisioning.h"

#define JSMN_HEADER
#include <jsmn.h>

struct berth_json {
    struct span text;
    jsmntok_t tokens[BERTH_RESPONSE_TOKENS_MAX];
    int n;
};

/* One JSON object, and white space. ERR_MALFORMED; ERR_TOO_LARGE. */
err berth_json_parse(struct span text, struct berth_json *ret_json);
/* Index of the member's value in the object at `object`; -1 when there is none. */
int berth_json_find(const struct berth_json *j, int object, const char *name);
/* A string member, unescaped, NUL behind it. Absent or null: "". ERR_MALFORMED: another type, a bad
 * escape or U+0000; ERR_TOO_LARGE: `size` is too small. */
err berth_json_text(const struct berth_json *j, int object, const char *name, char *out,
                    size_t size);
/* A member that is an integer of at most 9 digits. Absent or null: *ret_value is kept. */
err berth_json_int(const struct berth_json *j, int object, const char *name, int *ret_value);

#endif
