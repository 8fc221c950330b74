/* cmd/berth/manage.c: pages, questions and patience for the nouns of management. */
#include "cmd/berth/manage.h"

#include <unistd.h>

enum { PAGE_DEPTH = 16, LINK_MAX = 8192, BUSY_TRIES = 20 };

err berth_manage_list(struct cli *cli, const struct endpoint *to, const char *path,
                      const struct view_column *columns, const char *what)
{
    struct http_request request = { .method = "GET", .path = path, .what = what };
    struct view_list list;

    berth_view_begin(&list, cli, columns);
    while (request.path != NULL) {
        json *page = NULL;
        struct span next;

        TRY(berth_http_json(cli, to, &request, &page));
        TRY(berth_view_add(&list, json_member(page, "value")));
        next = json_text(json_member(page, "nextLink"));
        request.path = span_is_absent(next) ? NULL : berth_cli_cstr(cli, next);
    }
    berth_view_end(&list, what);
    return OK;
}

/* A page; its nextLink goes into `next`, "" when it was the last. */
static err hand_page(struct cli *cli, const struct manage_each *each, struct span body,
                     struct buf *next)
{
    AUTO(json) json *page = NULL;
    const json *items;

    if (!err_is_ok(json_parse(body, PAGE_DEPTH, &page))) {
        return err_set(ERR_IO, "%s: the server's answer is not JSON", each->what);
    }
    items = json_member(page, "value");
    for (size_t i = 0; i < json_array_len(items); i++) {
        TRY(each->fn(cli, json_array_at(items, i), each->arg));
    }
    if (each->end_page != NULL) {
        each->end_page(each->arg);
    }
    next->len = 0;
    buf_add(next, json_text(json_member(page, "nextLink")));
    return buf_ok(next);
}

err berth_manage_ask(struct cli *cli, const struct endpoint *to, const struct http_request *request,
                     struct http_reply *ret_reply)
{
    for (int tries = 0;; tries++) {
        TRY(berth_http_exchange(cli, to, request, ret_reply));
        if (ret_reply->status != 429 || tries == BUSY_TRIES) {
            break;
        }
        (void)sleep(ret_reply->retry_after_s > 0 ? (unsigned)ret_reply->retry_after_s : 1);
    }
    return ret_reply->status >= 200 && ret_reply->status <= 299
               ? OK
               : berth_http_fault(ret_reply->status, ret_reply->body, request->what);
}

err berth_manage_each(struct cli *cli, const struct endpoint *to, const struct manage_each *each)
{
    char path[LINK_MAX];
    struct buf next = buf_over(path, sizeof(path) - 1);
    size_t mark = cli->arena.used;
    struct http_request request = { .method = each->method, .path = path, .what = each->what };
    struct http_reply reply;

    buf_add_str(&next, each->path);
    do {
        cli->arena.used = mark;
        request.path = buf_cstr(&next);
        TRY(berth_manage_ask(cli, to, &request, &reply));
        TRY(hand_page(cli, each, reply.body, &next));
    } while (next.len > 0);
    cli->arena.used = mark;
    return OK;
}

err berth_manage_send(struct cli *cli, const struct endpoint *to,
                      const struct http_request *request, const struct view_column *columns)
{
    json *document = NULL;

    TRY(berth_http_json(cli, to, request, &document));
    return document != NULL ? berth_view_show(cli, columns, document) : OK;
}

err berth_manage_confirm(struct cli *cli, const char *verb, const char *what)
{
    char answer[16] = "";

    if (berth_options_flag(&cli->options, "yes") || !isatty(STDIN_FILENO)) {
        return OK;
    }
    (void)fprintf(stderr, "%s %s? [y/N] ", verb, what);
    if (fgets(answer, sizeof(answer), stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y')) {
        return OK;
    }
    return err_set(ERR_CLOSED, "%s stays", what);
}

err berth_manage_delete(struct cli *cli, const struct endpoint *to, const char *path,
                        const char *what, bool is_forced)
{
    struct http_request request = {
        .method = "DELETE",
        .path = is_forced ? berth_cli_printf(cli, "%s?force=true", path) : path,
        .what = what,
    };
    bool has_dots = false;
    size_t mark = cli->arena.used;
    struct http_reply reply;

    TRY(berth_manage_confirm(cli, "Delete", what));
    do {
        cli->arena.used = mark; /* of the request before */
        TRY(berth_http_send(cli, to, &request, &reply));
        if (reply.status == 202 && isatty(STDERR_FILENO)) {
            (void)fputc('.', stderr);
            has_dots = true;
        }
    } while (reply.status == 202);
    if (has_dots) {
        (void)fputc('\n', stderr);
    }
    return OK;
}
