/* cmd/berth/http_handle.c: connecting by another address than the name, and shared access
 * signatures. */
#include "cmd/berth/http_handle.h"

#include "attest/sas.h"
#include "util/base64.h"

enum { CONNECT_TIMEOUT_S = 10 };

void berth_http_handle_add(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);

    *list = longer ? longer : *list;
}

static err add_authorization(struct cli *cli, const struct endpoint *to,
                             struct curl_slist **headers)
{
    uint8_t memory[512], text_memory[1024];
    struct buf key = buf_over(memory, sizeof(memory));
    struct buf text = buf_over(text_memory, sizeof(text_memory));

    if (!err_is_ok(base64_decode(span_str(to->key), &key))) {
        return err_set(ERR_MALFORMED, "the SharedAccessKey of the connection string is not base64");
    }
    buf_add_str(&text, "Authorization: ");
    TRY(sas_make(cli->crypto, span_str(to->host), buf_span(&key), span_str(to->policy),
                 berth_cli_now_ms() / 1000 + BERTH_HTTP_TOKEN_LIFE_S, &text));
    crypto_wipe(memory, sizeof(memory));
    berth_http_handle_add(headers, buf_cstr(&text));
    return OK;
}

err berth_http_handle_headers(struct cli *cli, const struct endpoint *to, const char *content_type,
                              struct curl_slist **headers)
{
    if (to->key != NULL) {
        TRY(add_authorization(cli, to, headers));
    }
    berth_http_handle_add(headers, "Expect:");
    berth_http_handle_add(
        headers, berth_cli_printf(cli, "Content-Type: %s",
                                  content_type ? content_type : "application/json; charset=utf-8"));
    return OK;
}

void berth_http_handle_target(struct cli *cli, CURL *curl, const struct endpoint *to,
                              const char *path, struct curl_slist **connect_to)
{
    /* The URL keeps port 443, so that the Host header is the bare name whatever the real port. */
    berth_http_handle_add(connect_to,
                          berth_cli_printf(cli, "%s:443:%s:%d", to->host,
                                           to->address ? to->address : to->host, to->port));
    (void)curl_easy_setopt(curl, CURLOPT_URL,
                           berth_cli_printf(cli, "https://%s%s", to->host, path));
    (void)curl_easy_setopt(curl, CURLOPT_CONNECT_TO, *connect_to);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    if (to->ca_file != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, to->ca_file);
        (void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
}
