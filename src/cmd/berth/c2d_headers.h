/* cmd/berth/c2d_headers.h: a cloud-to-device message as HTTP headers, both ways (reference
 * iothub-device-api.md 11; doc/wire/hub-c2d.md): a back end sends it so, and a device receives it
 * so.
 */
#ifndef CMD_BERTH_C2D_HEADERS_H
#define CMD_BERTH_C2D_HEADERS_H

#include "cmd/berth/hub_api.h"

enum { C2D_PROPERTIES_MAX = 100 };

/* The headers of a message by the options of `c2d-message send`, ending with NULL, of the command's
 * memory. ack: "full" and so on. now_ms: what "+60" of --expiry counts from. A usage error: a
 * property without a name, one that HTTP cannot carry, a time that is none. */
err berth_c2d_headers(struct cli *cli, struct hub_who who, const char *message_id, const char *ack,
                      int64_t now_ms, const char *const **ret_headers);
/* {"messageId", …, "properties": {…}, "body" or "bodyBase64"} of what a device received. */
err berth_c2d_headers_read(struct cli *cli, const struct http_reply *reply, json **ret_message);

#endif
