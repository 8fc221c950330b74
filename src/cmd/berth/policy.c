/* cmd/berth/policy.c: `berth policy` and `berth connection-string`: who may do what with the
 * provisioning service. */
#include "cmd/berth/commands.h"
#include "cmd/berth/manage.h"
#include "json/writer.h"

static const struct view_column LIST[] = {
    { "POLICY", "keyName" },
    { "RIGHTS", "rights" },
    { NULL, NULL },
};

static const struct view_column SHOW[] = {
    { "policy", "keyName" },
    { "rights", "rights" },
    { "primary key", "primaryKey" },
    { "secondary key", "secondaryKey" },
    { NULL, NULL },
};

static const struct view_column LOGIN[] = {
    { "connection string", "connectionString" },
    { NULL, NULL },
};

static struct http_request request(struct cli *cli, const char *method, const char *suffix)
{
    const char *name = berth_cli_text(cli, "policy-name");

    return (struct http_request){
        .method = method,
        .path =
            berth_cli_printf(cli, "/berth/v1/policies/%s%s", berth_http_escape(cli, name), suffix),
        .what = berth_cli_printf(cli, "policy '%s'", name),
    };
}

static err send(struct cli *cli, const struct http_request *r)
{
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_send(cli, &service, r, SHOW);
}

err berth_policy_list(struct cli *cli)
{
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_list(cli, &service, "/berth/v1/policies", LIST, "policies");
}

err berth_policy_show(struct cli *cli)
{
    bool with_keys = berth_options_flag(&cli->options, "show-keys");
    struct http_request r = with_keys ? request(cli, "POST", "/listkeys") : request(cli, "GET", "");

    return send(cli, &r);
}

static err put(struct cli *cli, struct span rights)
{
    struct http_request r = request(cli, "PUT", "");
    struct buf body = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&body);

    json_write_begin_object(&w, NULL);
    json_write_text(&w, "rights", rights);
    json_write_text_if(&w, "primaryKey", span_str(berth_cli_text(cli, "primary-key")));
    json_write_text_if(&w, "secondaryKey", span_str(berth_cli_text(cli, "secondary-key")));
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &r.body));
    return send(cli, &r);
}

/* What is there already is not to be changed by a slip. */
err berth_policy_create(struct cli *cli)
{
    struct http_request r = request(cli, "GET", "");
    struct endpoint service;
    struct http_reply reply;
    err e;

    TRY(berth_cli_service(cli, &service));
    e = berth_http_send(cli, &service, &r, &reply);
    if (err_is_ok(e)) {
        return err_set(ERR_EXISTS, "%s is there already: `berth policy update` changes it", r.what);
    }
    return err_is(e, ERR_NOT_FOUND) ? put(cli, span_str(berth_cli_text(cli, "rights"))) : e;
}

err berth_policy_update(struct cli *cli)
{
    struct http_request r = request(cli, "GET", "");
    struct endpoint service;
    json *stored = NULL;
    const char *rights = berth_cli_text(cli, "rights");

    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, &r, &stored));
    return put(cli, rights != NULL ? span_str(rights) : json_text(json_member(stored, "rights")));
}

err berth_policy_delete(struct cli *cli)
{
    struct http_request r = request(cli, "DELETE", "");
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_delete(cli, &service, r.path, r.what, false);
}

err berth_policy_renew_key(struct cli *cli)
{
    struct http_request r = request(cli, "POST", "/regenerateKey");

    r.body = span_str(berth_cli_printf(cli, "{\"key\":\"%s\"}", berth_cli_text(cli, "key")));
    return send(cli, &r);
}

err berth_connection_string_show(struct cli *cli)
{
    struct http_request r = request(cli, "POST", "/listkeys");
    bool is_second = strcmp(berth_cli_text(cli, "key-type"), "secondary") == 0;
    struct endpoint service;
    json *policy = NULL;
    json *shown = NULL;
    struct span key;
    struct buf body;
    struct json_writer w;
    struct span text;

    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, &r, &policy));
    key = json_text(json_member(policy, is_second ? "secondaryKey" : "primaryKey"));
    text =
        span_str(berth_cli_printf(cli, "HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=%.*s",
                                  service.host, berth_cli_text(cli, "policy-name"), SPAN_FMT(key)));
    body = arena_buf(&cli->arena);
    w = json_writer_over(&body);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "connectionString", text);
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &text));
    TRY(json_parse(text, 2, &shown));
    berth_cli_keep(cli, shown);
    return berth_view_show(cli, LOGIN, shown);
}
