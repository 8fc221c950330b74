/* cmd/berth/linked_hub_check.c: `berth linked-hub check`: the server asks, one hub after the other,
 * and what it found is shown here. */
#include "cmd/berth/commands.h"
#include "cmd/berth/manage.h"

enum { CHECK_COLUMN = 16 };

struct checking {
    struct endpoint service;
    bool is_list; /* --output json: an array, although there may be only one */
    int n, failed;
};

/* ---- for people ---- */

/* Control characters of another server do not reach the terminal. */
static void print_text(const char *before, struct span text)
{
    (void)fputs(before, stdout);
    for (size_t i = 0; i < text.len; i++) {
        (void)putchar(text.data[i] < ' ' || text.data[i] == 0x7f ? '?' : text.data[i]);
    }
    (void)putchar('\n');
}

static void show_check(const json *check)
{
    struct span name = json_text(json_member(check, "check"));
    struct span message = json_text(json_member(check, "message"));
    struct span advice = json_text(json_member(check, "advice"));

    (void)printf("  %-*.*s", CHECK_COLUMN, SPAN_FMT(name));
    print_text("", json_text(json_member(check, "result")));
    if (!span_is_empty(message)) {
        print_text("      ", message);
    }
    if (!span_is_empty(advice)) {
        print_text("      -> ", advice);
    }
}

static void show_times(const json *result)
{
    int64_t connect_ms = 0, answer_ms = 0, ahead_s = 0;

    (void)json_get_int(result, "connectMilliseconds", &connect_ms);
    (void)json_get_int(result, "answerMilliseconds", &answer_ms);
    (void)json_get_int(result, "clockAheadSeconds", &ahead_s);
    if (connect_ms > 0) {
        (void)printf("  connected in %lld ms", (long long)connect_ms);
    }
    if (answer_ms > 0) {
        (void)printf("%sanswered in %lld ms", connect_ms > 0 ? ", " : "  ", (long long)answer_ms);
    }
    if (answer_ms > 0 && ahead_s != 0) {
        (void)printf(", its clock is %lld s %s", (long long)(ahead_s > 0 ? ahead_s : -ahead_s),
                     ahead_s > 0 ? "ahead" : "behind");
    }
    if (connect_ms > 0 || answer_ms > 0) {
        (void)putchar('\n');
    }
}

static void show(const json *result, bool is_good)
{
    const json *checks = json_member(result, "checks");
    bool is_remote = false;

    (void)json_get_bool(result, "isRemote", &is_remote);
    (void)printf("%.*s (%s): %s\n", SPAN_FMT(json_text(json_member(result, "name"))),
                 is_remote ? "elsewhere" : "of this server",
                 is_good ? "can be used" : "CANNOT BE USED");
    for (size_t i = 0; i < json_array_len(checks); i++) {
        show_check(json_array_at(checks, i));
    }
    show_times(result);
}

/* ---- asking ---- */

static err check_one(struct cli *cli, struct checking *c, const char *host)
{
    struct http_request r = {
        .method = "POST",
        .path =
            berth_cli_printf(cli, "/berth/v1/linkedHubs/%s/check", berth_http_escape(cli, host)),
        .what = berth_cli_printf(cli, "linked hub '%s'", host),
    };
    bool is_good = false;
    json *result = NULL;

    TRY(berth_http_json(cli, &c->service, &r, &result));
    TRY(json_get_bool(result, "isGood", &is_good));
    c->n++;
    c->failed += !is_good;
    if (!cli->is_json) {
        show(result, is_good);
        return OK;
    }
    if (c->is_list && c->n > 1) {
        (void)puts(",");
    }
    return berth_view_json(cli, result);
}

static err check_all(struct cli *cli, struct checking *c)
{
    struct http_request r = { .method = "GET",
                              .path = "/berth/v1/linkedHubs",
                              .what = "linked hubs" };
    json *list = NULL;
    const json *hubs;

    c->is_list = cli->is_json;
    TRY(berth_http_json(cli, &c->service, &r, &list));
    hubs = json_member(list, "value");
    if (c->is_list) {
        (void)puts("[");
    }
    for (size_t i = 0; i < json_array_len(hubs); i++) {
        struct span host = json_text(json_member(json_array_at(hubs, i), "name"));

        TRY(check_one(cli, c, berth_cli_cstr(cli, host)));
    }
    if (c->is_list) {
        (void)puts("]");
    } else if (c->n == 0) {
        (void)puts("No linked hubs.");
    }
    return OK;
}

err berth_linked_hub_check(struct cli *cli)
{
    const char *host = berth_cli_text(cli, "linked-hub");
    struct checking c = { .n = 0 };

    TRY(berth_cli_service(cli, &c.service));
    TRY(host != NULL ? check_one(cli, &c, host) : check_all(cli, &c));
    if (c.failed == 0) {
        return OK;
    }
    cli->exit_status = BERTH_EXIT_FAILED;
    return host != NULL ? err_set(ERR_IO, "the hub cannot be used as it is linked")
                        : err_set(ERR_IO, "%d of %d linked hubs cannot be used as they are linked",
                                  c.failed, c.n);
}
