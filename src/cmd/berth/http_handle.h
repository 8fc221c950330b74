/* cmd/berth/http_handle.h: what every curl handle of ours is set to, whether it asks once (http.c)
 * or is one of many (transfer.c): which server, by which name, trusted how, logged in as whom. */
#ifndef CMD_BERTH_HTTP_HANDLE_H
#define CMD_BERTH_HTTP_HANDLE_H

#include <curl/curl.h>

#include "cmd/berth/cli.h"

/* How long a login that was added to headers is good for. */
enum { BERTH_HTTP_TOKEN_LIFE_S = 600 };

AUTO_DEFINE(curl, CURL *, curl_easy_cleanup)
AUTO_DEFINE(slist, struct curl_slist *, curl_slist_free_all)

/* A line more; without memory the list stays as it is. */
void berth_http_handle_add(struct curl_slist **list, const char *text);
/* Adds the headers of every request; without a key in `to` no login. content_type: NULL: JSON.
 * ERR_MALFORMED: the key of the login is not base64. */
err berth_http_handle_headers(struct cli *cli, const struct endpoint *to, const char *content_type,
                              struct curl_slist **headers);
/* path: with its query. *connect_to is made, and is to live as long as the handle. */
void berth_http_handle_target(struct cli *cli, CURL *curl, const struct endpoint *to,
                              const char *path, struct curl_slist **connect_to);

#endif
