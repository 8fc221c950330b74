/* cmd/berth/hub_api.c: IDs to paths, and JSON given on the command line. */
#include "cmd/berth/hub_api.h"

#include "cmd/berth/file.h"
#include "model/limits.h"

struct hub_who berth_hub_api_who(const struct cli *cli)
{
    return (struct hub_who){ .device = berth_cli_text(cli, "device-id"),
                             .module = berth_cli_text_if(cli, "module-id") };
}

const char *berth_hub_api_path(struct cli *cli, const char *collection, struct hub_who who,
                               const char *suffix)
{
    const char *device = berth_http_escape(cli, who.device);

    return who.module == NULL
               ? berth_cli_printf(cli, "%s/%s%s?" BERTH_HUB_API_QUERY, collection, device, suffix)
               : berth_cli_printf(cli, "%s/%s/modules/%s%s?" BERTH_HUB_API_QUERY, collection,
                                  device, berth_http_escape(cli, who.module), suffix);
}

const char *berth_hub_api_what(struct cli *cli, const char *before, struct hub_who who)
{
    return berth_cli_printf(cli, "%s '%s%s%s'", before, who.device, who.module ? "/" : "",
                            who.module ? who.module : "");
}

err berth_hub_api_json(struct cli *cli, const struct http_request *request, json **ret_document)
{
    struct endpoint hub;

    TRY(berth_cli_hub(cli, &hub));
    return berth_http_json(cli, &hub, request, ret_document);
}

err berth_hub_api_parse(struct cli *cli, struct span text, json **ret_document)
{
    TRY(json_parse(text, LIMIT_JSON_DEPTH, ret_document));
    berth_cli_keep(cli, *ret_document);
    return OK;
}

err berth_hub_api_read_json(struct cli *cli, const char *option, json **ret_value)
{
    const char *value = berth_cli_text(cli, option);
    struct span text = span_str(value);

    *ret_value = NULL;
    if (value == NULL) {
        return OK;
    }
    if (value[0] == '@') {
        TRY(berth_file_read(&cli->arena, value + 1, &text));
    }
    return err_is_ok(berth_hub_api_parse(cli, text, ret_value))
               ? OK
               : berth_cli_usage(cli,
                                 "--%s is not JSON (a text wants quotes of its own: "
                                 "'\"text\"')",
                                 option);
}
