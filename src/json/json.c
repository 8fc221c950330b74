/* json/json.c: JSON text to jansson's values and back. What jansson leaves open is settled here:
 * nesting, and how real numbers are spelled. Some names of json.h are macros of jansson's, hence
 * the brackets around them. */
#include "json/json.h"

#include <jansson.h>
#include <stdlib.h>

#include "json/writer.h"

/* Levels of nesting: 0 for a scalar, 1 for []. Stops looking at one more than `limit`. */
static int depth_of(const json *v, int limit)
{
    int deepest = 0;
    size_t i;
    json *child;

    if (!json_is_array(v) && !json_is_object(v)) {
        return 0;
    }
    if (limit == 0) {
        return 1;
    }
    json_array_foreach(v, i, child)
    {
        int depth = depth_of(child, limit - 1);
        deepest = depth > deepest ? depth : deepest;
    }
    for (struct json_iter it = json_first((json *)v); it.name != NULL; json_next(&it)) {
        int depth = depth_of(it.value, limit - 1);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

err json_parse(struct span text, int max_depth, json **ret_document)
{
    const char *bytes = span_is_absent(text) ? "" : (const char *)text.data;
    json_error_t why;
    json *document = json_loadb(bytes, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);

    if (document == NULL) {
        enum json_error_code code = json_error_code(&why);

        return err_set(code == json_error_out_of_memory    ? ERR_NOMEM
                       : code == json_error_stack_overflow ? ERR_TOO_LARGE
                                                           : ERR_MALFORMED,
                       "JSON, line %d column %d (byte %d): %s", why.line, why.column, why.position,
                       why.text);
    }
    if (depth_of(document, max_depth) > max_depth) {
        json_free(document);
        return err_set(ERR_TOO_LARGE, "JSON nested deeper than %d levels", max_depth);
    }
    *ret_document = document;
    return OK;
}

void json_free(json *document)
{
    json_decref(document);
}

bool(json_is_object)(const json *v)
{
    return json_is_object(v);
}

bool(json_is_array)(const json *v)
{
    return json_is_array(v);
}

bool(json_is_string)(const json *v)
{
    return json_is_string(v);
}

bool(json_is_null)(const json *v)
{
    return json_is_null(v);
}

json *json_member(const json *v, const char *name)
{
    return json_object_get(v, name);
}

size_t json_array_len(const json *v)
{
    return json_array_size(v);
}

json *json_array_at(const json *v, size_t i)
{
    return json_array_get(v, i);
}

/* The member when it is given and not null. */
static const json *given_member(const json *object, const char *name)
{
    const json *v = json_object_get(object, name);

    return json_is_null(v) ? NULL : v;
}

err json_get_text(const json *object, const char *name, struct span *ret_text)
{
    const json *v = given_member(object, name);

    if (v == NULL) {
        return OK;
    }
    if (!json_is_string(v)) {
        return err_set(ERR_MALFORMED, "%s is not a string", name);
    }
    *ret_text = json_text(v);
    return OK;
}

err json_get_bool(const json *object, const char *name, bool *ret_value)
{
    const json *v = given_member(object, name);

    if (v == NULL) {
        return OK;
    }
    if (!json_is_boolean(v)) {
        return err_set(ERR_MALFORMED, "%s is neither true nor false", name);
    }
    *ret_value = json_is_true(v);
    return OK;
}

err json_get_int(const json *object, const char *name, int64_t *ret_value)
{
    static const double exact = 9007199254740992.0; /* 2^53 */
    const json *v = given_member(object, name);
    double real = json_real_value(v);

    if (v == NULL) {
        return OK;
    }
    if (json_is_integer(v)) {
        *ret_value = json_integer_value(v);
        return OK;
    }
    /* JSON has one kind of number: 3.0 is an integer (some clients print all numbers so). */
    if (json_is_real(v) && real >= -exact && real <= exact && (double)(int64_t)real == real) {
        *ret_value = (int64_t)real;
        return OK;
    }
    return err_set(ERR_MALFORMED, "%s is not an integer", name);
}

struct span json_text(const json *string)
{
    return json_is_string(string) ? span_of(json_string_value(string), json_string_length(string))
                                  : SPAN_NONE;
}

bool json_find_number(const json *v, struct json_number *ret_number)
{
    if (!json_is_number(v)) {
        return false;
    }
    *ret_number = (struct json_number){ .is_integer = json_is_integer(v),
                                        .integer = json_integer_value(v),
                                        .real = json_number_value(v) };
    return true;
}

bool json_find_bool(const json *v, bool *ret_value)
{
    if (!json_is_boolean(v)) {
        return false;
    }
    *ret_value = json_is_true(v);
    return true;
}

static struct json_iter iter_at(json *object, void *at)
{
    return (struct json_iter){
        .name = json_object_iter_key(at),
        .value = json_object_iter_value(at),
        .object = object,
        .at = at,
    };
}

struct json_iter json_first(json *object)
{
    return iter_at(object, json_object_iter(object));
}

void json_next(struct json_iter *it)
{
    *it = iter_at(it->object, json_object_iter_next(it->object, it->at));
}

/* The fewest digits that read back equal; jansson itself takes 17 for all but a few. */
static void print_real(const json *real, struct json_writer *w)
{
    char text[64];
    size_t len = 0;

    for (size_t digits = 1; digits <= 17; digits++) {
        len =
            json_dumpb(real, text, sizeof(text) - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        if (len == 0 || len >= sizeof(text)) {
            w->out->failed = true;
            return;
        }
        text[len] = '\0';
        if (strtod(text, NULL) == json_real_value(real)) {
            break;
        }
    }
    json_write_raw_if(w, NULL, span_of(text, len));
}

static void print(const json *v, struct json_writer *w);

static void print_object(const json *v, struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    for (struct json_iter it = json_first((json *)v); it.name != NULL; json_next(&it)) {
        json_write_name(w, span_str(it.name));
        print(it.value, w);
    }
    json_write_end_object(w);
}

static void print_array(const json *v, struct json_writer *w)
{
    size_t i;
    json *item;

    json_write_begin_array(w, NULL);
    json_array_foreach(v, i, item)
    {
        print(item, w);
    }
    json_write_end_array(w);
}

/* As deep as json_parse let it become. */
static void print(const json *v, struct json_writer *w)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        print_object(v, w);
        return;
    case JSON_ARRAY:
        print_array(v, w);
        return;
    case JSON_STRING:
        json_write_text(w, NULL, json_text(v));
        return;
    case JSON_INTEGER:
        json_write_int(w, NULL, json_integer_value(v));
        return;
    case JSON_REAL:
        print_real(v, w);
        return;
    case JSON_TRUE:
    case JSON_FALSE:
        json_write_bool(w, NULL, json_is_true(v));
        return;
    case JSON_NULL:
        json_write_null(w, NULL);
        return;
    }
}

err json_print(const json *v, struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    print(v, &w);
    return buf_ok(out);
}

void json_write_value(struct json_writer *w, const char *name, const json *v)
{
    if (name != NULL) {
        json_write_name(w, span_str(name));
    }
    print(v, w);
}

void json_write_number(struct json_writer *w, const char *name, struct json_number number)
{
    AUTO(json) json *real = NULL;

    if (number.is_integer) {
        json_write_int(w, name, number.integer);
        return;
    }
    real = json_real(number.real);
    if (real == NULL) { /* no memory, or no finite number */
        w->out->failed = true;
        return;
    }
    json_write_value(w, name, real);
}
