/* cmd/berth/resource.c: show, delete and list for every resource of the service API (reference
 * dps-service-api.md 2, 3, 5.1). */
#include "cmd/berth/resource.h"

#include "cmd/berth/enrollment_body.h"
#include "model/limits.h"
#include "json/writer.h"

enum { JSON_DEPTH = 32 };

struct http_request berth_resource_request(struct cli *cli, const struct resource *r,
                                           const char *method)
{
    const char *id = berth_cli_text(cli, r->option);

    return (struct http_request){
        .method = method,
        .path = berth_cli_printf(cli, "%s/%s?" BERTH_SERVICE_API_VERSION, r->collection,
                                 berth_http_escape(cli, id)),
        .what = berth_cli_printf(cli, "%s '%s'", r->word, id),
    };
}

err berth_resource_send(struct cli *cli, const struct resource *r,
                        const struct http_request *request)
{
    struct endpoint service;
    json *document = NULL;

    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, request, &document));
    return document ? berth_view_show(cli, r->show, document) : OK;
}

err berth_resource_show(struct cli *cli, const struct resource *r)
{
    struct http_request request = berth_resource_request(cli, r, "GET");

    return berth_resource_send(cli, r, &request);
}

err berth_resource_delete(struct cli *cli, const struct resource *r)
{
    struct http_request request = berth_resource_request(cli, r, "DELETE");
    struct endpoint service;
    struct http_reply reply;

    request.if_match = berth_cli_text(cli, "etag");
    TRY(berth_cli_service(cli, &service));
    return berth_http_send(cli, &service, &request, &reply);
}

err berth_resource_begin_update(struct cli *cli, const struct resource *r,
                                struct http_request *ret_put, json **ret_stored)
{
    struct http_request request = berth_resource_request(cli, r, "GET");
    const char *etag = berth_cli_text(cli, "etag");
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, &request, ret_stored));
    request.method = "PUT";
    request.if_match = etag ? etag : berth_cli_cstr(cli, berth_view_text(cli, *ret_stored, "etag"));
    *ret_put = request;
    return OK;
}

/* The service counts characters of the query from 1: "At character 12: …". 0: it named none. */
static size_t find_position(const char *sentence)
{
    static const char label[] = "At character ";
    const char *at = strstr(sentence, label);
    int64_t position = 0;
    size_t n;

    if (at == NULL) {
        return 0;
    }
    at += strlen(label);
    n = strspn(at, "0123456789");
    return span_parse_int(span_of(at, n), &position) ? (size_t)position : 0;
}

/* The query with a caret under the place, for people. */
static err show_position(struct cli *cli, const struct resource_query *query, err e)
{
    size_t position = find_position(err_detail()), width;

    if (err_is(e, ERR_MALFORMED) && !cli->is_json && query->text != NULL && position > 0 &&
        position <= strlen(query->text) + 1) {
        width = berth_table_width(span_of(query->text, position - 1));
        cli->below = berth_cli_printf(cli, "  %s\n  %*s^\n", query->text, (int)width, "");
    }
    return e;
}

static err get_page(struct cli *cli, const struct endpoint *service,
                    const struct resource_query *query, struct http_request *request,
                    struct http_reply *ret_reply)
{
    err e = berth_http_send(cli, service, request, ret_reply);

    return err_is_ok(e) ? e : show_position(cli, query, e);
}

static err make_query_body(struct cli *cli, const char *text, struct span *ret_body)
{
    struct buf out = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&out);

    if (text == NULL) {
        return OK;
    }
    json_write_begin_object(&w, NULL);
    json_write_str(&w, "query", text);
    json_write_end_object(&w);
    return arena_buf_end(&cli->arena, &out, ret_body);
}

err berth_resource_query(struct cli *cli, const struct resource_query *query)
{
    struct http_request request = { .method = "POST", .path = query->path, .what = query->what };
    int64_t left = query->top > 0 ? query->top : INT64_MAX;
    char token[BERTH_HTTP_CONTINUATION_MAX];
    struct endpoint service;
    struct http_reply reply;
    size_t mark;

    TRY(make_query_body(cli, query->text, &request.body));
    TRY(query->find_endpoint != NULL ? query->find_endpoint(cli, &service)
                                     : berth_cli_service(cli, &service));
    mark = cli->arena.used;
    do {
        AUTO(json) json *page = NULL;

        request.page = left < LIMIT_PAGE ? left : LIMIT_PAGE;
        TRY(get_page(cli, &service, query, &request, &reply));
        if (!err_is_ok(json_parse(reply.body, JSON_DEPTH, &page)) || !json_is_array(page)) {
            return err_set(ERR_IO, "%s: the server's answer is not a JSON array", query->what);
        }
        TRY(query->on_page(query->context, page));
        left -= (int64_t)json_array_len(page);
        request.page_from = SPAN_NONE;
        if (!span_is_absent(reply.continuation)) {
            memcpy(token, reply.continuation.data, reply.continuation.len);
            request.page_from = span_of(token, reply.continuation.len);
        }
        cli->arena.used = mark;
    } while (!span_is_absent(request.page_from) && left > 0);
    return OK;
}

static err on_page(void *context, json *page)
{
    struct view_list *list = context;

    TRY(berth_view_add(list, page));
    berth_view_flush(list);
    return OK;
}

err berth_resource_list(struct cli *cli, const struct resource *r, const char *path,
                        const char *query)
{
    struct view_list list;
    struct resource_query q = { .path = path,
                                .what = r->plural,
                                .text = query,
                                .top = berth_options_int(&cli->options, "top"),
                                .on_page = on_page,
                                .context = &list };

    berth_view_begin(&list, cli, r->list);
    TRY(berth_resource_query(cli, &q));
    berth_view_end(&list, r->plural);
    return OK;
}

const char *berth_resource_query_text(struct cli *cli, const char *what, const char *order)
{
    const char *where = berth_cli_text(cli, "where");

    return berth_cli_printf(cli, "SELECT %s%s%s%s%s", what, where ? " WHERE " : "",
                            where ? where : "", order ? " ORDER BY " : "", order ? order : "");
}

/* The answer to SELECT COUNT() is one row with one member, whatever its name. */
static err on_count(void *context, json *page)
{
    struct cli *cli = context;
    struct json_iter it = json_first(json_array_at(page, 0));
    int64_t count = 0;

    if (it.name == NULL || !err_is_ok(json_get_int(it.object, it.name, &count))) {
        return err_set(ERR_IO, "the server's answer is not a count");
    }
    (void)printf(cli->is_json ? "{\n  \"count\": %lld\n}\n" : "%lld\n", (long long)count);
    return OK;
}

err berth_resource_list_where(struct cli *cli, const struct resource *r)
{
    bool is_count = berth_options_flag(&cli->options, "count");
    const char *path = berth_cli_printf(cli, "%s/query?" BERTH_SERVICE_API_VERSION, r->collection);
    const char *text =
        berth_resource_query_text(cli, is_count ? "COUNT()" : "*", berth_cli_text(cli, "order-by"));
    struct resource_query count = {
        .path = path, .what = r->plural, .text = text, .on_page = on_count, .context = cli
    };

    return is_count ? berth_resource_query(cli, &count) : berth_resource_list(cli, r, path, text);
}
