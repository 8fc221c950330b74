/* cmd/berth/view.c: JSON to columns, lines or indented JSON. Knows paths into objects, not what
 * they mean. */
#include "cmd/berth/view.h"

#include "util/timefmt.h"

enum { TITLE_WIDTH = 17, INDENT = 2 };

struct span berth_view_time(struct cli *cli, int64_t time_ms)
{
    char memory[40];
    struct buf iso = buf_over(memory, sizeof(memory));

    timefmt_iso(time_ms, &iso);
    return span_str(berth_cli_printf(cli, "%.10s %.8sZ", memory, memory + 11));
}

/* Thu, 12 Oct 2017 19:23:50 GMT -> 2017-10-12 19:23:50Z; anything else as it is. */
static struct span short_http_time(struct cli *cli, struct span text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int m = 0; m < 12; m++) {
        if (span_eq(span_first(span_from(text, 8), 3), span_of(months + (ptrdiff_t)3 * m, 3))) {
            return span_str(berth_cli_printf(cli, "%.4s-%02d-%.2s %.8sZ", text.data + 12, m + 1,
                                             text.data + 5, text.data + 17));
        }
    }
    return text;
}

/* 2022-08-31T22:02:50.5160000Z -> 2022-08-31 22:02:50Z; the year 1 is "never". */
static struct span short_time(struct cli *cli, struct span text)
{
    int64_t ms;

    if (text.len == 29 && span_ends_with(text, SPAN(" GMT"))) {
        return short_http_time(cli, text);
    }
    if (text.len < 20 || text.data[10] != 'T' || !err_is_ok(timefmt_parse_iso(text, &ms))) {
        return text;
    }
    if (span_starts_with(text, SPAN("0001-01-01"))) {
        return SPAN_NONE;
    }
    return berth_view_time(cli, ms);
}

static struct span print(struct cli *cli, const json *value)
{
    struct buf out = arena_buf(&cli->arena);
    struct span text = SPAN_NONE;

    return err_is_ok(json_print(value, &out)) && err_is_ok(arena_buf_end(&cli->arena, &out, &text))
               ? text
               : SPAN_NONE;
}

static struct span join(struct cli *cli, const json *array)
{
    const char *text = "";

    for (size_t i = 0; i < json_array_len(array); i++) {
        const json *item = json_array_at(array, i);
        struct span s = json_is_string(item) ? json_text(item) : print(cli, item);

        text = berth_cli_printf(cli, "%s%s%.*s", text, i > 0 ? ", " : "", SPAN_FMT(s));
    }
    return span_str(text);
}

static const json *follow(struct cli *cli, const json *object, struct span path)
{
    while (object != NULL && !span_is_absent(path)) {
        struct span names = span_cut(&path, '.');
        const json *member = NULL;

        while (member == NULL && !span_is_absent(names)) {
            member = json_member(object, berth_cli_cstr(cli, span_cut(&names, '/')));
        }
        object = member;
    }
    return object;
}

struct span berth_view_value(struct cli *cli, const json *value)
{
    return json_is_null(value)     ? SPAN_NONE
           : json_is_string(value) ? short_time(cli, json_text(value))
           : json_is_array(value)  ? join(cli, value)
                                   : print(cli, value);
}

struct span berth_view_text(struct cli *cli, const json *object, const char *path)
{
    struct span rest = span_str(path);

    while (!span_is_absent(rest)) {
        const json *value = follow(cli, object, span_cut(&rest, '|'));

        if (value != NULL && !json_is_null(value)) {
            return berth_view_value(cli, value);
        }
    }
    return SPAN_NONE;
}

/* Compact JSON, indented. Knows strings only to leave what is in them alone. */
static void print_indented(struct span text, int depth, FILE *out)
{
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i], next = i + 1 < text.len ? (char)text.data[i + 1] : 0;

        if (in_string) {
            (void)fputc(c, out);
            if (c == '\\') {
                (void)fputc(next, out);
                i++;
            }
            in_string = c != '"';
        } else if ((c == '{' && next == '}') || (c == '[' && next == ']')) {
            (void)fprintf(out, "%c%c", c, next);
            i++;
        } else if (c == '{' || c == '[' || c == ',') {
            depth += c != ',';
            (void)fprintf(out, "%c\n%*s", c, depth * INDENT, "");
        } else if (c == '}' || c == ']') {
            depth--;
            (void)fprintf(out, "\n%*s%c", depth * INDENT, "", c);
        } else {
            (void)fprintf(out, c == ':' ? "%c " : "%c", c);
            in_string = c == '"';
        }
    }
}

err berth_view_json(struct cli *cli, const json *value)
{
    struct span text = print(cli, value);

    if (span_is_absent(text)) {
        return ERR(NOMEM);
    }
    print_indented(text, 0, stdout);
    (void)putchar('\n');
    return OK;
}

void berth_view_begin(struct view_list *l, struct cli *cli, const struct view_column *columns)
{
    const char *titles[TABLE_COLUMNS_MAX];
    size_t n = 0;

    for (; n < TABLE_COLUMNS_MAX && columns[n].title != NULL; n++) {
        titles[n] = columns[n].title;
    }
    *l = (struct view_list){ .cli = cli, .columns = columns };
    berth_table_init(&l->table, &cli->arena, titles, n);
}

err berth_view_add_one(struct view_list *l, const json *item)
{
    struct span cells[TABLE_COLUMNS_MAX];

    if (l->cli->is_json) {
        (void)printf("%s\n%*s", l->n > 0 ? "," : "[", INDENT, "");
        print_indented(print(l->cli, item), 1, stdout);
    } else {
        for (size_t c = 0; c < l->table.n_columns; c++) {
            cells[c] = berth_view_text(l->cli, item, l->columns[c].path);
        }
        TRY(berth_table_add(&l->table, cells));
    }
    l->n++;
    return OK;
}

err berth_view_add(struct view_list *l, const json *array)
{
    for (size_t i = 0; i < json_array_len(array); i++) {
        TRY(berth_view_add_one(l, json_array_at(array, i)));
    }
    return OK;
}

void berth_view_flush(struct view_list *l)
{
    if (!l->cli->is_json && l->table.n_rows > 0) {
        berth_table_print(&l->table, stdout);
    }
}

void berth_view_end(struct view_list *l, const char *what)
{
    if (l->cli->is_json) {
        (void)puts(l->n > 0 ? "\n]" : "[]");
    } else if (l->n == 0) {
        (void)printf("No %s.\n", what);
    } else {
        berth_view_flush(l);
    }
}

void berth_view_line(const char *title, struct span text)
{
    bool is_quoted = text.len > 1 && text.data[0] == '"' && text.data[text.len - 1] == '"';

    if (is_quoted) { /* an ETag: a shell would take the quotes off */
        text = span_first(span_from(text, 1), text.len - 2);
    }
    (void)printf("%-*s  %.*s\n", TITLE_WIDTH, title, SPAN_FMT(text));
}

err berth_view_show(struct cli *cli, const struct view_column *columns, const json *object)
{
    if (cli->is_json) {
        return berth_view_json(cli, object);
    }
    for (; columns->title != NULL; columns++) {
        struct span text = berth_view_text(cli, object, columns->path);

        if (text.len > 0) {
            berth_view_line(columns->title, text);
        }
    }
    return OK;
}
