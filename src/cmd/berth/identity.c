/* cmd/berth/identity.c: `berth hub device-identity` and `berth hub module-identity`: who may
 * connect to a hub, and how each proves itself (reference iothub-service-api.md 3, 4). A command
 * that has --module-id is about a module. */
#include "cmd/berth/commands.h"

#include "attest/sas.h"
#include "cmd/berth/identity_body.h"
#include "cmd/berth/manage.h"
#include "util/base64.h"
#include "json/writer.h"

enum { KEY_BYTES = 32, LIST_MAX = 1000, TOKEN_BYTES = 2048 };

static const struct view_column DEVICES[] = {
    { "DEVICE", "deviceId" },
    { "STATUS", "status" },
    { "CONNECTION", "connectionState" },
    { "AUTH", "authentication.type" },
    { "REASON", "statusReason" },
    { "LAST ACTIVITY", "lastActivityTime" },
    { NULL, NULL },
};

static const struct view_column MODULES[] = {
    { "MODULE", "moduleId" },
    { "CONNECTION", "connectionState" },
    { "AUTH", "authentication.type" },
    { "MANAGED BY", "managedBy" },
    { "LAST ACTIVITY", "lastActivityTime" },
    { NULL, NULL },
};

static const struct view_column IDENTITY[] = {
    { "device ID", "deviceId" },
    { "module ID", "moduleId" },
    { "managed by", "managedBy" },
    { "status", "status" },
    { "status reason", "statusReason" },
    { "connection", "connectionState" },
    { "authentication", "authentication.type" },
    { "thumbprint", "authentication.x509Thumbprint.primaryThumbprint" },
    { "second thumbprint", "authentication.x509Thumbprint.secondaryThumbprint" },
    { "edge", "capabilities.iotEdge" },
    { "scope", "deviceScope" },
    { "parents", "parentScopes" },
    { "messages waiting", "cloudToDeviceMessageCount" },
    { "last activity", "lastActivityTime" },
    { "generation", "generationId" },
    { "etag", "etag" },
    { NULL, NULL },
};

static const struct view_column LOGIN[] = {
    { "connection string", "connectionString" },
    { NULL, NULL },
};

static const struct view_column SAS[] = {
    { "token", "sas" },
    { NULL, NULL },
};

static struct http_request request_of(struct cli *cli, struct hub_who who, const char *method)
{
    return (struct http_request){
        .method = method,
        .path = berth_hub_api_path(cli, "/devices", who, ""),
        .what = berth_hub_api_what(cli, who.module != NULL ? "module identity" : "device identity",
                                   who),
    };
}

static err get(struct cli *cli, struct hub_who who, json **ret_identity)
{
    struct http_request request = request_of(cli, who, "GET");

    TRY(berth_hub_api_json(cli, &request, ret_identity));
    return *ret_identity != NULL
               ? OK
               : err_set(ERR_IO, "%s: the server's answer is empty", request.what);
}

/* Over --etag if the command has it and it is given, or else over what was just read. */
static err put(struct cli *cli, struct hub_who who, json *stored, struct span body)
{
    struct http_request request = request_of(cli, who, "PUT");
    const char *etag = berth_cli_text_if(cli, "etag");
    json *identity = NULL;

    request.body = body;
    if (stored != NULL) {
        request.if_match =
            etag != NULL ? etag : berth_cli_cstr(cli, json_text(json_member(stored, "etag")));
    }
    TRY(berth_hub_api_json(cli, &request, &identity));
    return berth_view_show(cli, IDENTITY, identity);
}

static err list(struct cli *cli, const char *path, const struct view_column *columns,
                const char *what, size_t *ret_n)
{
    struct http_request request = { .method = "GET", .path = path, .what = what };
    struct view_list rows;
    json *document = NULL;

    TRY(berth_hub_api_json(cli, &request, &document));
    berth_view_begin(&rows, cli, columns);
    TRY(berth_view_add(&rows, document));
    berth_view_end(&rows, what);
    *ret_n = rows.n;
    return OK;
}

err berth_identity_list(struct cli *cli)
{
    long long top = (long long)berth_options_int(&cli->options, "top");
    size_t n = 0;

    TRY(list(cli, berth_cli_printf(cli, "/devices?top=%lld&" BERTH_HUB_API_QUERY, top), DEVICES,
             "device identities", &n));
    if (n == LIST_MAX) {
        (void)fprintf(stderr, "berth: there may be more; `berth hub query --query-command "
                              "'SELECT * FROM devices'` shows them all\n");
    }
    return OK;
}

err berth_identity_list_modules(struct cli *cli)
{
    struct hub_who who = { .device = berth_cli_text(cli, "device-id") };
    size_t n = 0;

    return list(cli, berth_hub_api_path(cli, "/devices", who, "/modules"), MODULES,
                berth_hub_api_what(cli, "modules of", who), &n);
}

err berth_identity_show(struct cli *cli)
{
    json *identity = NULL;

    TRY(get(cli, berth_hub_api_who(cli), &identity));
    return berth_view_show(cli, IDENTITY, identity);
}

err berth_identity_create(struct cli *cli)
{
    struct hub_who who = berth_hub_api_who(cli);
    struct span body;

    TRY(berth_identity_body(cli, who, NULL, &body));
    return put(cli, who, NULL, body);
}

err berth_identity_update(struct cli *cli)
{
    struct hub_who who = berth_hub_api_who(cli);
    json *stored = NULL;
    struct span body;

    TRY(get(cli, who, &stored));
    TRY(berth_identity_body(cli, who, stored, &body));
    return put(cli, who, stored, body);
}

err berth_identity_delete(struct cli *cli)
{
    struct http_request request = request_of(cli, berth_hub_api_who(cli), "DELETE");
    const char *etag = berth_cli_text(cli, "etag");
    struct endpoint hub;
    struct http_reply reply;

    request.if_match = etag != NULL ? etag : "*";
    TRY(berth_cli_hub(cli, &hub));
    TRY(berth_manage_confirm(cli, "Delete", request.what));
    return berth_http_send(cli, &hub, &request, &reply);
}

static err put_status(struct cli *cli, const char *status, const char *reason)
{
    struct hub_who who = berth_hub_api_who(cli);
    json *stored = NULL;
    struct span body;

    TRY(get(cli, who, &stored));
    TRY(berth_identity_body_status(cli, stored, status, reason, &body));
    return put(cli, who, stored, body);
}

err berth_identity_disable(struct cli *cli)
{
    return put_status(cli, "disabled", berth_cli_text(cli, "reason"));
}

err berth_identity_enable(struct cli *cli)
{
    return put_status(cli, "enabled", NULL);
}

/* --- Keys. --------------------------------------------------------------------------------- */

static err read_key(struct cli *cli, const json *identity, const char *member, struct span *ret_key)
{
    const json *authentication = json_member(identity, "authentication");

    *ret_key = json_text(json_member(json_member(authentication, "symmetricKey"), member));
    if (!span_eq(json_text(json_member(authentication, "type")), SPAN("sas")) ||
        ret_key->len == 0) {
        return err_set(ERR_MALFORMED, "%s has no keys: it proves itself by a certificate",
                       berth_hub_api_what(cli, "the identity", berth_hub_api_who(cli)));
    }
    return OK;
}

static struct span new_key(struct cli *cli)
{
    uint8_t key[KEY_BYTES];
    char memory[KEY_BYTES * 2];
    struct buf text = buf_over(memory, sizeof(memory));
    const char *copy;

    crypto_random(key, sizeof(key));
    base64_encode(span_of(key, sizeof(key)), &text);
    copy = berth_cli_cstr(cli, buf_span(&text));
    crypto_wipe(key, sizeof(key));
    crypto_wipe(memory, sizeof(memory));
    return span_str(copy);
}

err berth_identity_renew_key(struct cli *cli)
{
    const char *which = berth_cli_text(cli, "key-type");
    struct hub_who who = berth_hub_api_who(cli);
    bool is_swap = strcmp(which, "swap") == 0, is_both = strcmp(which, "both") == 0;
    json *stored = NULL;
    struct span primary, secondary, body;

    TRY(get(cli, who, &stored));
    TRY(read_key(cli, stored, is_swap ? "secondaryKey" : "primaryKey", &primary));
    TRY(read_key(cli, stored, is_swap ? "primaryKey" : "secondaryKey", &secondary));
    if (is_both || strcmp(which, "primary") == 0) {
        primary = new_key(cli);
    }
    if (is_both || strcmp(which, "secondary") == 0) {
        secondary = new_key(cli);
    }
    TRY(berth_identity_body_keys(cli, stored, primary, secondary, &body));
    return put(cli, who, stored, body);
}

/* {"name": text} */
static err show_text(struct cli *cli, const struct view_column *columns, struct span text)
{
    struct buf out = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&out);
    json *shown = NULL;
    struct span body;

    json_write_begin_object(&w, NULL);
    json_write_text(&w, columns->path, text);
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &out, &body));
    TRY(berth_hub_api_parse(cli, body, &shown));
    return berth_view_show(cli, columns, shown);
}

static const char *key_member(const struct cli *cli)
{
    return strcmp(berth_cli_text(cli, "key-type"), "secondary") == 0 ? "secondaryKey"
                                                                     : "primaryKey";
}

err berth_identity_connection_string(struct cli *cli)
{
    struct hub_who who = berth_hub_api_who(cli);
    json *identity = NULL;
    struct span key, type;
    const char *start;
    struct endpoint hub;

    TRY(berth_cli_hub(cli, &hub));
    TRY(get(cli, who, &identity));
    type = json_text(json_member(json_member(identity, "authentication"), "type"));
    start = berth_cli_printf(cli, "HostName=%s;DeviceId=%s%s%s", hub.host, who.device,
                             who.module ? ";ModuleId=" : "", who.module ? who.module : "");
    if (!span_eq(type, SPAN("sas"))) {
        return show_text(cli, LOGIN, span_str(berth_cli_printf(cli, "%s;x509=true", start)));
    }
    TRY(read_key(cli, identity, key_member(cli), &key));
    return show_text(
        cli, LOGIN,
        span_str(berth_cli_printf(cli, "%s;SharedAccessKey=%.*s", start, SPAN_FMT(key))));
}

/* What the token is for, and the key that it is signed by. */
static err choose_signer(struct cli *cli, const struct endpoint *hub, struct hub_who who,
                         const char **ret_resource, struct span *ret_key, struct span *ret_policy)
{
    const char *policy = berth_cli_text(cli, "policy-name");
    json *identity = NULL;

    if (who.device == NULL) {
        if (policy != NULL && strcmp(policy, hub->policy) != 0) {
            return berth_cli_usage(cli,
                                   "the login is that of the policy '%s': give --hub-login "
                                   "of the policy '%s'",
                                   hub->policy, policy);
        }
        *ret_resource = hub->host;
        *ret_key = span_str(hub->key);
        *ret_policy = span_str(hub->policy);
        return OK;
    }
    if (policy != NULL) {
        return berth_cli_usage(cli, "--device-id or --policy-name, not both");
    }
    TRY(get(cli, who, &identity));
    *ret_resource = berth_cli_printf(cli, "%s/devices/%s%s%s", hub->host, who.device,
                                     who.module ? "/modules/" : "", who.module ? who.module : "");
    *ret_policy = SPAN_NONE;
    return read_key(cli, identity, key_member(cli), ret_key);
}

err berth_identity_sas_token(struct cli *cli)
{
    struct hub_who who = berth_hub_api_who(cli);
    int64_t until_s = berth_cli_now_ms() / 1000 + berth_options_int(&cli->options, "duration");
    uint8_t key_memory[128], memory[TOKEN_BYTES];
    struct buf key = buf_over(key_memory, sizeof(key_memory));
    struct buf token = buf_over(memory, sizeof(memory));
    const char *resource = NULL;
    struct span encoded, policy;
    struct endpoint hub;

    if (who.module != NULL && who.device == NULL) {
        return berth_cli_usage(cli, "--module-id wants --device-id");
    }
    TRY(berth_cli_hub(cli, &hub));
    TRY(choose_signer(cli, &hub, who, &resource, &encoded, &policy));
    if (!err_is_ok(base64_decode(encoded, &key))) {
        return err_set(ERR_MALFORMED, "the key of the login is not base64");
    }
    TRY(sas_make(cli->crypto, span_str(resource), buf_span(&key), policy, until_s, &token));
    crypto_wipe(key_memory, sizeof(key_memory));
    return show_text(cli, SAS, buf_span(&token));
}
