/* json/json.h: bounded reading of JSON (RFC 8259) over jansson, and typed getters. The only folder
 * that calls jansson. Writing is json/writer.h. */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/span.h"

/* A parsed value. A document is owned by who parsed it; values inside it are borrowed from it. */
typedef struct json_t json;

/* At most max_depth levels of nesting; U+0000 in strings, duplicate keys and bytes behind the value
 * are refused. `text` may be any JSON value. ERR_MALFORMED: err_detail says what and where;
 * ERR_TOO_LARGE: nested too deep. */
err json_parse(struct span text, int max_depth, json **ret_document);
void json_free(json *document);
AUTO_DEFINE(json, json *, json_free)

bool json_is_object(const json *v);
bool json_is_array(const json *v);
bool json_is_string(const json *v);
bool json_is_null(const json *v);

/* The member, or NULL; NULL too when v is not an object. A member that is null is given
 * (json_is_null). */
json *json_member(const json *v, const char *name);
size_t json_array_len(const json *v);
json *json_array_at(const json *v, size_t i);

/* Typed members. Missing or null: OK, the result keeps its value (set a default before). Another
 * type: ERR_MALFORMED, err_detail names the member. 3.0 is an integer. Spans are borrowed from the
 * document. */
err json_get_text(const json *object, const char *name, struct span *ret_text);
err json_get_bool(const json *object, const char *name, bool *ret_value);
err json_get_int(const json *object, const char *name, int64_t *ret_value);
struct span json_text(const json *string); /* absent when it is no string */

/* Whole numbers are exact. */
struct json_number {
    bool is_integer; /* else `real` alone counts */
    int64_t integer;
    double real;
};
/* False: v is of another type. */
bool json_find_number(const json *v, struct json_number *ret_number);
bool json_find_bool(const json *v, bool *ret_value);

/* Members of an object in their order: `for (json_iter it = json_first(o); it.name;
 * json_next(&it))`. */
struct json_iter {
    const char *name; /* NULL at the end */
    json *value;
    json *object;
    void *at;
};
struct json_iter json_first(json *object);
void json_next(struct json_iter *it);

/* Compact text, members in their given order, real numbers as shortest text that reads back equal.
 */
err json_print(const json *v, struct buf *out);
/* The same as a value among others; failure sticks in the buf. */
struct json_writer;
void json_write_value(struct json_writer *w, const char *name, const json *v);
void json_write_number(struct json_writer *w, const char *name, struct json_number number);

#endif
