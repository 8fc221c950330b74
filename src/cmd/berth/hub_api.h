/* cmd/berth/hub_api.h: what the nouns of a hub's own REST API have in common (reference
 * iothub-service-api.md): which device or module is meant, paths, JSON from the command line. */
#ifndef CMD_BERTH_HUB_API_H
#define CMD_BERTH_HUB_API_H

#include "cmd/berth/http.h"

#define BERTH_HUB_API_QUERY "api-version=2021-04-12"

/* A device, or one of its modules. */
struct hub_who {
    const char *device;
    const char *module; /* NULL: the device itself */
};

/* By --device-id and, where the command has it, --module-id. */
struct hub_who berth_hub_api_who(const struct cli *cli);
/* "{collection}/{device}[/modules/{module}]{suffix}?api-version=…", IDs escaped. */
const char *berth_hub_api_path(struct cli *cli, const char *collection, struct hub_who who,
                               const char *suffix);
/* "{before} 'd'" or "{before} 'd/m'". */
const char *berth_hub_api_what(struct cli *cli, const char *before, struct hub_who who);
/* Sends to the hub; as berth_http_json. */
err berth_hub_api_json(struct cli *cli, const struct http_request *request, json **ret_document);

/* The value of an option: JSON text, or @ and the file that holds it; NULL when it is not given.
 * The document lives as long as the command. A usage error: not JSON. */
err berth_hub_api_read_json(struct cli *cli, const char *option, json **ret_value);
/* Text of our own writing as a document that lives as long as the command. */
err berth_hub_api_parse(struct cli *cli, struct span text, json **ret_document);

#endif
