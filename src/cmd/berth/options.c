/* cmd/berth/options.c: argv to values by a table of options. Knows --name VALUE, --name=VALUE,
 * -x VALUE, flags, operands and "--"; not what a value is good for. */
#include "cmd/berth/options.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/span.h"

enum { NAME_MAX_LEN = 40 };

struct place {
    int table, row;
};

static const struct place NOWHERE = { -1, -1 };

static const struct option *option_at(const struct options *o, struct place p)
{
    return &o->tables[p.table][p.row];
}

static bool is_named(const struct option *row, struct span name)
{
    return span_eq(name, span_str(row->name)) ||
           (row->alias != NULL && span_eq(name, span_str(row->alias)));
}

static struct place find(const struct options *o, struct span name)
{
    for (int t = 0; t < 2; t++) {
        for (int i = 0; o->tables[t][i].name != NULL; i++) {
            if (is_named(&o->tables[t][i], name)) {
                return (struct place){ t, i };
            }
        }
    }
    return NOWHERE;
}

static err fail(char *why, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static err fail(char *why, size_t size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, size, format, args);
    va_end(args);
    return ERR(MALFORMED);
}

size_t berth_options_distance(const char *a, const char *b, size_t limit)
{
    size_t row[NAME_MAX_LEN + 1], n = strlen(a), m = strlen(b);

    if (n > NAME_MAX_LEN || m > NAME_MAX_LEN) {
        return limit + 1;
    }
    for (size_t j = 0; j <= m; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t swap = diagonal + (a[i - 1] != b[j - 1]);
            size_t least = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;

            diagonal = row[j];
            row[j] = swap < least ? swap : least;
        }
    }
    return row[m] < limit ? row[m] : limit + (row[m] > limit);
}

static const char *nearest(const struct options *o, const char *name)
{
    const char *best = NULL;
    size_t least = 3;

    for (int t = 0; t < 2; t++) {
        for (int i = 0; o->tables[t][i].name != NULL; i++) {
            size_t distance = berth_options_distance(name, o->tables[t][i].name, 3);

            if (distance < least) {
                least = distance;
                best = o->tables[t][i].name;
            }
        }
    }
    return best;
}

static bool is_choice(const char *choices, const char *value)
{
    struct span rest = span_str(choices);

    while (!span_is_absent(rest)) {
        if (span_eq(span_cut(&rest, '|'), span_str(value))) {
            return true;
        }
    }
    return false;
}

static err set(struct options *o, struct place p, const char *value, char *why, size_t size)
{
    const struct option *row = option_at(o, p);
    int64_t number;

    if (o->values[p.table][p.row] != NULL) {
        return fail(why, size, "--%s is given twice", row->name);
    }
    if (row->kind == OPTION_CHOICE && !is_choice(row->value, value)) {
        return fail(why, size, "--%s is one of %s, not '%s'", row->name, row->value, value);
    }
    if (row->kind == OPTION_INT &&
        (!span_parse_int(span_str(value), &number) || number < row->min || number > row->max)) {
        return fail(why, size, "--%s wants a number from %lld to %lld, not '%s'", row->name,
                    (long long)row->min, (long long)row->max, value);
    }
    o->values[p.table][p.row] = value;
    return OK;
}

/* --name, --name=value, -x: what stands behind the hyphens, and the value after '=', or NULL. */
static struct span split(const char *argument, const char **ret_value)
{
    const char *name = argument + (argument[1] == '-' ? 2 : 1);
    const char *equals = argument[1] == '-' ? strchr(name, '=') : NULL;

    *ret_value = equals ? equals + 1 : NULL;
    return equals ? span_of(name, (size_t)(equals - name)) : span_str(name);
}

static bool is_bool(const char *value)
{
    return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
}

static err set_bool(struct options *o, struct place p, const char *value, char *why, size_t size)
{
    if (value != NULL && !is_bool(value)) {
        return fail(why, size, "--%s is true or false, not '%s'", option_at(o, p)->name, value);
    }
    return set(o, p, value ? value : "true", why, size);
}

static err parse_named(struct options *o, int argc, char *const *argv, int *at, char *why,
                       size_t size)
{
    const char *argument = argv[*at], *value = NULL, *near;
    struct span name = split(argument, &value);
    bool is_long = argument[1] == '-';
    struct place p = is_long == (name.len == 1) ? NOWHERE : find(o, name);
    char text[NAME_MAX_LEN + 1];

    if (p.table < 0) {
        (void)snprintf(text, sizeof(text), "%.*s", SPAN_FMT(name));
        near = nearest(o, text);
        return fail(why, size,
                    near ? "there is no option %s%s; did you mean --%s?"
                         : "there is no option %s%s",
                    is_long ? "--" : "-", text, near);
    }
    if (option_at(o, p)->kind == OPTION_FLAG) {
        return value ? fail(why, size, "--%s takes no value", option_at(o, p)->name)
                     : set(o, p, "", why, size);
    }
    if (option_at(o, p)->kind == OPTION_BOOL) {
        /* The value behind '=', else the next argument if it is one, else "true". */
        if (value == NULL && *at + 1 < argc && is_bool(argv[*at + 1])) {
            value = argv[++*at];
        }
        return set_bool(o, p, value, why, size);
    }
    if (value == NULL && *at + 1 >= argc) {
        return fail(why, size, "--%s wants a value", option_at(o, p)->name);
    }
    return set(o, p, value ? value : argv[++*at], why, size);
}

static err parse_operand(struct options *o, const char *argument, char *why, size_t size)
{
    for (int i = 0; o->tables[0][i].name != NULL; i++) {
        if ((o->tables[0][i].traits & OPTION_OPERAND) && o->values[0][i] == NULL) {
            return set(o, (struct place){ 0, i }, argument, why, size);
        }
    }
    return fail(why, size, "nothing is expected where '%s' stands", argument);
}

static err check_required(const struct options *o, char *why, size_t size)
{
    for (int i = 0; o->tables[0][i].name != NULL; i++) {
        const struct option *row = &o->tables[0][i];

        if ((row->traits & OPTION_REQUIRED) && o->values[0][i] == NULL) {
            return row->traits & OPTION_OPERAND ? fail(why, size, "%s is missing", row->value)
                                                : fail(why, size, "--%s is missing", row->name);
        }
    }
    return OK;
}

err berth_options_parse(struct options *o, const struct option *command,
                        const struct option *global, int argc, char *const *argv, char *why,
                        size_t why_size)
{
    bool only_operands = false;

    *o = (struct options){ .tables = { command, global } };
    for (int i = 0; i < argc; i++) {
        if (!only_operands && strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else if (!only_operands && argv[i][0] == '-' && argv[i][1] != '\0') {
            TRY(parse_named(o, argc, argv, &i, why, why_size));
        } else {
            TRY(parse_operand(o, argv[i], why, why_size));
        }
    }
    return find(o, SPAN("help")).table >= 0 && berth_options_flag(o, "help")
               ? OK
               : check_required(o, why, why_size);
}

bool berth_options_knows(const struct options *o, const char *name)
{
    return find(o, span_str(name)).table >= 0;
}

bool berth_options_has(const struct options *o, const char *name)
{
    struct place p = find(o, span_str(name));

    assert(p.table >= 0);
    return o->values[p.table][p.row] != NULL;
}

const char *berth_options_text(const struct options *o, const char *name)
{
    struct place p = find(o, span_str(name));

    assert(p.table >= 0);
    return o->values[p.table][p.row] ? o->values[p.table][p.row] : option_at(o, p)->default_value;
}

int64_t berth_options_int(const struct options *o, const char *name)
{
    int64_t value = 0;
    const char *text = berth_options_text(o, name);

    (void)(text && span_parse_int(span_str(text), &value));
    return value;
}

bool berth_options_flag(const struct options *o, const char *name)
{
    return berth_options_has(o, name) && strcmp(berth_options_text(o, name), "false") != 0;
}
