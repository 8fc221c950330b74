/* cmd/berth/cli.c: where a command finds its servers and its login: options first, then dev.json
 * of --dev, then the environment, then dev.json of BERTH_DEV. */
#include "cmd/berth/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "cmd/berth/file.h"
#include "util/connection_string.h"

enum { HTTPS_PORT = 443, MQTT_PORT = 8883, DEV_JSON_DEPTH = 8 };

const char *berth_cli_text(const struct cli *cli, const char *name)
{
    return berth_options_text(&cli->options, name);
}

const char *berth_cli_text_if(const struct cli *cli, const char *name)
{
    return berth_options_knows(&cli->options, name) ? berth_cli_text(cli, name) : NULL;
}

const char *berth_cli_cstr(struct cli *cli, struct span s)
{
    const char *text = arena_cstr(&cli->arena, s);

    if (text == NULL) {
        (void)fputs("berth: out of memory\n", stderr);
        exit(BERTH_EXIT_FAILED);
    }
    return text;
}

const char *berth_cli_printf(struct cli *cli, const char *format, ...)
{
    struct buf out = arena_buf(&cli->arena);
    struct span text = SPAN_NONE;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf((char *)out.data, out.cap, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= out.cap ||
        !err_is_ok((out.len = (size_t)n, arena_buf_end(&cli->arena, &out, &text)))) {
        (void)fputs("berth: out of memory\n", stderr);
        exit(BERTH_EXIT_FAILED);
    }
    return (const char *)text.data;
}

void berth_cli_keep(struct cli *cli, json *document)
{
    struct kept_json *kept = ARENA_NEW(&cli->arena, struct kept_json);

    if (kept == NULL) {
        (void)fputs("berth: out of memory\n", stderr);
        exit(BERTH_EXIT_FAILED);
    }
    *kept = (struct kept_json){ .next = cli->kept, .document = document };
    cli->kept = kept;
}

void berth_cli_done(struct cli *cli)
{
    for (const struct kept_json *k = cli->kept; k != NULL; k = k->next) {
        json_free(k->document);
    }
    cli->kept = NULL;
    crypto_free(cli->crypto);
    cli->crypto = NULL;
}

void *berth_cli_map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void berth_cli_unmap(void *memory, size_t size)
{
    if (memory != NULL) {
        (void)munmap(memory, size);
    }
}

int64_t berth_cli_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static err read_dev(struct cli *cli, const char *dir)
{
    struct span text = SPAN_NONE;

    if (!err_is_ok(
            berth_file_read(&cli->arena, berth_cli_printf(cli, "%s/dev.json", dir), &text))) {
        return err_set(ERR_NOT_FOUND,
                       "there is no readable %s/dev.json: is `berthd --dev --data %s` running?",
                       dir, dir);
    }
    if (!err_is_ok(json_parse(text, DEV_JSON_DEPTH, &cli->dev))) {
        return err_set(ERR_MALFORMED, "%s/dev.json is not JSON", dir);
    }
    berth_cli_keep(cli, cli->dev);
    return OK;
}

err berth_cli_init(struct cli *cli)
{
    const char *dir = berth_cli_text(cli, "dev"), *environment = getenv("BERTH_DEV");
    const char *output = berth_cli_text(cli, "output");

    cli->is_json = output != NULL && strcmp(output, "json") == 0;
    cli->is_dev_option = dir != NULL;
    if (dir == NULL && environment != NULL && environment[0] != '\0') {
        dir = environment;
    }
    if (dir == NULL) {
        return OK;
    }
    cli->dev_dir = dir;
    cli->dev_result = read_dev(cli, dir);
    if (!err_is_ok(cli->dev_result)) {
        cli->dev_why = berth_cli_printf(cli, "%s", err_detail());
    }
    return cli->is_dev_option ? cli->dev_result : OK;
}

static const char *dev_text(struct cli *cli, const json *object, const char *member)
{
    struct span text = json_text(json_member(object, member));

    return span_is_absent(text) ? NULL : berth_cli_cstr(cli, text);
}

const char *berth_cli_dev_file(struct cli *cli, const char *object, const char *member)
{
    const json *in = object ? json_member(cli->dev, object) : cli->dev;
    const char *path = dev_text(cli, in, member), *inside;

    if (path == NULL || path[0] == '/') {
        return path;
    }
    inside = berth_cli_printf(cli, "%s/%s", cli->dev_dir, path);
    return berth_file_exists(inside) ? inside : path;
}

static const char *pick(struct cli *cli, const char *option, const char *variable, const char *dev)
{
    const char *given = berth_cli_text(cli, option), *environment = getenv(variable);

    if (given != NULL) {
        return given;
    }
    if (dev != NULL && (cli->is_dev_option || environment == NULL)) {
        return dev;
    }
    return environment != NULL && environment[0] != '\0' ? environment : dev;
}

static int pick_port(struct cli *cli, const char *option, const char *member, int fallback)
{
    int64_t port = berth_options_int(&cli->options, option);

    if (port == 0 && cli->dev != NULL) {
        (void)json_get_int(json_member(cli->dev, "ports"), member, &port);
    }
    return port > 0 && port <= 65535 ? (int)port : fallback;
}

/* A dev server's names may be known to nobody: all of them are at the device endpoint's host. */
static const char *pick_address(struct cli *cli)
{
    const char *given = berth_cli_text(cli, "endpoint-address");
    const char *dev = dev_text(cli, cli->dev, "deviceEndpoint");
    struct span rest = span_str(dev);

    if (given != NULL || dev == NULL) {
        return given;
    }
    return berth_cli_cstr(cli, span_cut(&rest, ':'));
}

static err login(struct cli *cli, const char *text, struct endpoint *ret_endpoint)
{
    struct connection_string parts;

    TRY(connection_string_parse(span_str(text), &parts));
    *ret_endpoint = (struct endpoint){
        .host = berth_cli_cstr(cli, parts.host),
        .address = pick_address(cli),
        .port = pick_port(cli, "https-port", "https", HTTPS_PORT),
        .ca_file =
            pick(cli, "ca-file", "BERTH_CA_FILE", berth_cli_dev_file(cli, NULL, "serverCaFile")),
        .policy = berth_cli_cstr(cli, parts.policy),
        .key = berth_cli_cstr(cli, parts.key),
    };
    return OK;
}

err berth_cli_service(struct cli *cli, struct endpoint *ret_endpoint)
{
    const char *text = pick(cli, "login", "BERTH_CONNECTION_STRING",
                            dev_text(cli, cli->dev, "serviceConnectionString"));

    if (text == NULL) {
        return berth_cli_missing(cli, "name a server: --dev DIR, --login CONNECTION-STRING, "
                                      "BERTH_DEV or BERTH_CONNECTION_STRING");
    }
    return login(cli, text, ret_endpoint);
}

err berth_cli_server(struct cli *cli, struct endpoint *ret_endpoint)
{
    const char *text = pick(cli, "server-login", "BERTH_SERVER_CONNECTION_STRING",
                            dev_text(cli, cli->dev, "serverConnectionString"));

    if (text == NULL) {
        return berth_cli_missing(cli,
                                 "name a server by its own login: --dev DIR, --server-login "
                                 "CONNECTION-STRING, BERTH_DEV or BERTH_SERVER_CONNECTION_STRING");
    }
    return login(cli, text, ret_endpoint);
}

/* By host name; NULL: the first. */
static const json *find_dev_hub(const struct cli *cli, const char *host)
{
    const json *hubs = json_member(cli->dev, "hubs");

    for (size_t i = 0; i < json_array_len(hubs); i++) {
        const json *hub = json_array_at(hubs, i);

        if (host == NULL ||
            span_eq_nocase(json_text(json_member(hub, "hostName")), span_str(host))) {
            return hub;
        }
    }
    return NULL;
}

err berth_cli_hub(struct cli *cli, struct endpoint *ret_endpoint)
{
    const char *wanted = berth_cli_text(cli, "hub");
    const json *dev = find_dev_hub(cli, wanted);
    const char *text = pick(cli, "hub-login", "BERTH_HUB_CONNECTION_STRING",
                            dev_text(cli, dev, "connectionString"));

    if (wanted != NULL && cli->dev != NULL && dev == NULL) {
        return err_set(ERR_NOT_FOUND, "%s/dev.json has no hub %s", cli->dev_dir, wanted);
    }
    if (text == NULL) {
        return berth_cli_missing(cli, "name a hub: --dev DIR, --hub-login CONNECTION-STRING, "
                                      "BERTH_DEV or BERTH_HUB_CONNECTION_STRING");
    }
    return login(cli, text, ret_endpoint);
}

void berth_cli_device_endpoint_at(struct cli *cli, const char *host, struct endpoint *ret_endpoint)
{
    *ret_endpoint = (struct endpoint){
        .host = host,
        .address = pick_address(cli),
        .port = pick_port(cli, "mqtt-port", "mqtt", MQTT_PORT),
        .ca_file =
            pick(cli, "ca-file", "BERTH_CA_FILE", berth_cli_dev_file(cli, NULL, "serverCaFile")),
    };
}

err berth_cli_device_endpoint(struct cli *cli, struct endpoint *ret_endpoint)
{
    const char *text =
        pick(cli, "endpoint", "BERTH_DEVICE_ENDPOINT", dev_text(cli, cli->dev, "deviceEndpoint"));
    struct span rest = span_str(text);

    if (text == NULL) {
        return berth_cli_missing(cli,
                                 "name the device endpoint: --dev DIR, --endpoint HOST, BERTH_DEV "
                                 "or BERTH_DEVICE_ENDPOINT");
    }
    berth_cli_device_endpoint_at(cli, berth_cli_cstr(cli, span_cut(&rest, ':')), ret_endpoint);
    return OK;
}

err berth_cli_device_https(struct cli *cli, struct endpoint *ret_endpoint)
{
    TRY(berth_cli_device_endpoint(cli, ret_endpoint));
    ret_endpoint->port = pick_port(cli, "https-port", "https", HTTPS_PORT);
    return OK;
}

err berth_cli_id_scope(struct cli *cli, const char **ret_id_scope)
{
    const char *scope = pick(cli, "id-scope", "BERTH_ID_SCOPE", dev_text(cli, cli->dev, "idScope"));

    if (scope == NULL) {
        return berth_cli_missing(cli, "--id-scope is missing (or --dev DIR, BERTH_ID_SCOPE)");
    }
    *ret_id_scope = scope;
    return OK;
}

err berth_cli_usage(struct cli *cli, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cli->exit_status = BERTH_EXIT_USAGE;
    return err_set(ERR_MALFORMED, "%s", text);
}

err berth_cli_missing(struct cli *cli, const char *sentence)
{
    return cli->dev_why != NULL ? err_set(cli->dev_result.code, "%s", cli->dev_why)
                                : berth_cli_usage(cli, "%s", sentence);
}

int berth_cli_exit_status(const struct cli *cli, err e)
{
    if (cli->exit_status != 0) {
        return cli->exit_status;
    }
    switch (e.code) {
    case ERR_NONE:
        return BERTH_EXIT_OK;
    case ERR_NOT_FOUND:
        return BERTH_EXIT_NOT_FOUND;
    case ERR_DENIED:
        return BERTH_EXIT_UNAUTHORIZED;
    case ERR_EXISTS:
    case ERR_PRECONDITION:
        return BERTH_EXIT_CONFLICT;
    default:
        return BERTH_EXIT_FAILED;
    }
}
