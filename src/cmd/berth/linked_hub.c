/* cmd/berth/linked_hub.c: `berth linked-hub`: the hubs that the provisioning service may assign
 * devices to. */
#include "cmd/berth/commands.h"
#include "cmd/berth/file.h"
#include "cmd/berth/manage.h"
#include "util/connection_string.h"
#include "json/writer.h"

static const struct view_column LIST[] = {
    { "HOST", "name" },
    { "WEIGHT", "allocationWeight" },
    { "ALLOCATE", "applyAllocationPolicy" },
    { "DEVICES", "devices" },
    { "DRAINING", "draining" },
    { "ELSEWHERE", "isRemote" },
    { "LOCATION", "location" },
    { "CONNECTION STRING", "connectionString" },
    { NULL, NULL },
};

static const struct view_column SHOW[] = {
    { "host", "name" },
    { "allocation weight", "allocationWeight" },
    { "allocate", "applyAllocationPolicy" },
    { "devices", "devices" },
    { "draining", "draining" },
    { "elsewhere", "isRemote" },
    { "address", "address" },
    { "CA certificates", "ca" },
    { "location", "location" },
    { "latitude", "latitude" },
    { "longitude", "longitude" },
    { "connection string", "connectionString" },
    { NULL, NULL },
};

static struct http_request request(struct cli *cli, const char *method, const char *host)
{
    return (struct http_request){
        .method = method,
        .path = berth_cli_printf(cli, "/berth/v1/linkedHubs/%s", berth_http_escape(cli, host)),
        .what = berth_cli_printf(cli, "linked hub '%s'", host),
    };
}

err berth_linked_hub_list(struct cli *cli)
{
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_list(cli, &service, "/berth/v1/linkedHubs", LIST, "linked hubs");
}

err berth_linked_hub_list_errands(struct cli *cli)
{
    static const struct view_column columns[] = {
        { "TYPE", "type" },   { "REGISTRATION", "registrationId" },
        { "HUB", "hub" },     { "STEP", "step" },
        { "TRIES", "tries" }, { "SINCE", "since" },
        { "DUE", "due" },     { "LAST ERROR", "lastError" },
        { NULL, NULL },
    };
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_list(cli, &service, "/berth/v1/errands", columns, "errands");
}

err berth_linked_hub_show(struct cli *cli)
{
    struct http_request r = request(cli, "GET", berth_cli_text(cli, "linked-hub"));
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_send(cli, &service, &r, SHOW);
}

/* Degrees as they were typed, or as they are stored. */
static err write_degrees(struct cli *cli, const char *name, const json *stored,
                         struct json_writer *w)
{
    const char *text = berth_cli_text(cli, name);
    AUTO(json) json *typed = NULL;
    struct json_number number;

    if (text == NULL) {
        if (json_find_number(stored, &number)) {
            json_write_number(w, name, number);
        }
        return OK;
    }
    if (!err_is_ok(json_parse(span_str(text), 1, &typed)) || !json_find_number(typed, &number)) {
        return berth_cli_usage(cli, "--%s: degrees as decimals, like 52.374 or -4.89", name);
    }
    json_write_number(w, name, number);
    return OK;
}

/* A new location without coordinates has its own, if it is one that the server knows. */
static err write_coordinates(struct cli *cli, const json *stored, struct json_writer *w)
{
    const bool is_new = berth_cli_text(cli, "location") != NULL ||
                        berth_cli_text(cli, "latitude") != NULL ||
                        berth_cli_text(cli, "longitude") != NULL;

    TRY(write_degrees(cli, "latitude", is_new ? NULL : json_member(stored, "latitude"), w));
    return write_degrees(cli, "longitude", is_new ? NULL : json_member(stored, "longitude"), w);
}

/* ca: what --hub-ca-file holds; absent: it is not given. */
static void write_way(struct cli *cli, struct span ca, const json *stored, struct json_writer *w)
{
    const char *address = berth_cli_text(cli, "address");

    json_write_text_if(w, "address",
                       address != NULL ? span_str(address)
                                       : json_text(json_member(stored, "address")));
    json_write_text_if(w, "ca", span_is_absent(ca) ? json_text(json_member(stored, "ca")) : ca);
}

/* What is not named stays as `stored` has it; NULL: as the server has it. */
static err put(struct cli *cli, const char *host, const json *stored)
{
    struct http_request r = request(cli, "PUT", host);
    const char *apply = berth_cli_text(cli, "apply-allocation-policy");
    const char *location = berth_cli_text(cli, "location");
    int64_t weight = berth_options_int(&cli->options, "allocation-weight");
    const char *ca_file = berth_cli_text(cli, "hub-ca-file");
    struct span ca = ca_file != NULL ? SPAN("") : SPAN_NONE;
    bool applies = true;
    struct endpoint service;
    struct buf body;
    struct json_writer w;

    TRY(json_get_bool(stored, "applyAllocationPolicy", &applies));
    if (weight == 0) {
        TRY(json_get_int(stored, "allocationWeight", &weight));
    }
    if (ca_file != NULL && *ca_file != '\0') {
        TRY(berth_file_read(&cli->arena, ca_file, &ca));
    }
    body = arena_buf(&cli->arena);
    w = json_writer_over(&body);
    json_write_begin_object(&w, NULL);
    json_write_text_if(&w, "connectionString", span_str(berth_cli_text(cli, "connection-string")));
    json_write_text_if(&w, "location",
                       location != NULL ? span_str(location)
                                        : json_text(json_member(stored, "location")));
    write_way(cli, ca, stored, &w);
    TRY(write_coordinates(cli, stored, &w));
    json_write_int(&w, "allocationWeight", weight > 0 ? weight : 1);
    json_write_bool(&w, "applyAllocationPolicy",
                    apply != NULL ? strcmp(apply, "true") == 0 : applies);
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &r.body));
    TRY(berth_cli_service(cli, &service));
    return berth_manage_send(cli, &service, &r, SHOW);
}

/* One that is there already is changed by update alone. */
err berth_linked_hub_create(struct cli *cli)
{
    const char *host = berth_cli_text(cli, "linked-hub");
    const char *text = berth_cli_text(cli, "connection-string");
    struct connection_string parts;
    struct http_request r;
    struct endpoint service;
    struct http_reply reply;
    err e;

    if (host == NULL && text == NULL) {
        return berth_cli_usage(cli, "name the hub: its host name or --connection-string");
    }
    if (host == NULL) {
        TRY(connection_string_parse(span_str(text), &parts));
        host = berth_cli_cstr(cli, parts.host);
    }
    r = request(cli, "GET", host);
    TRY(berth_cli_service(cli, &service));
    e = berth_http_send(cli, &service, &r, &reply);
    if (err_is_ok(e)) {
        return err_set(ERR_EXISTS, "%s is there already: `berth linked-hub update` changes it",
                       r.what);
    }
    return err_is(e, ERR_NOT_FOUND) ? put(cli, host, NULL) : e;
}

err berth_linked_hub_update(struct cli *cli)
{
    const char *host = berth_cli_text(cli, "linked-hub");
    struct http_request r = request(cli, "GET", host);
    struct endpoint service;
    json *stored = NULL;

    TRY(berth_cli_service(cli, &service));
    TRY(berth_http_json(cli, &service, &r, &stored));
    return put(cli, host, stored);
}

err berth_linked_hub_delete(struct cli *cli)
{
    struct http_request r = request(cli, "DELETE", berth_cli_text(cli, "linked-hub"));
    struct endpoint service;

    TRY(berth_cli_service(cli, &service));
    return berth_manage_delete(cli, &service, r.path, r.what, false);
}
