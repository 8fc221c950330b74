/* cmd/berth/resource.c: show, delete and list for every resource of the service API (reference
 * dps-service-api.md 2, 3, 5.1). */
#include "cmd/berth/resource.h"

#include "cmd/berth/enrollment_body.h"

enum { PAGE = 500 };

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

err berth_resource_list(struct cli *cli, const struct resource *r, const char *path,
                        const char *query)
{
    int64_t top = berth_options_int(&cli->options, "top"), left = top > 0 ? top : INT64_MAX;
    struct http_request request = { .method = "POST", .path = path, .what = r->plural };
    struct endpoint service;
    struct http_reply reply;
    struct view_list list;

    if (query != NULL) {
        request.body = span_str(berth_cli_printf(cli, "{\"query\":\"%s\"}", query));
    }
    TRY(berth_cli_service(cli, &service));
    berth_view_begin(&list, cli, r->list);
    do {
        json *page = NULL;
        size_t before = list.n;

        request.page = left < PAGE ? left : PAGE;
        TRY(berth_http_send(cli, &service, &request, &reply));
        if (!err_is_ok(json_parse(reply.body, 32, &page))) {
            return err_set(ERR_IO, "%s: the server's answer is not JSON", r->plural);
        }
        berth_cli_keep(cli, page);
        TRY(berth_view_add(&list, page));
        left -= (int64_t)(list.n - before);
        request.page_from = reply.continuation;
    } while (!span_is_absent(reply.continuation) && left > 0);
    berth_view_end(&list, r->plural);
    return OK;
}
