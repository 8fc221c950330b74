/* cmd/berth/http.h: requests to the service API, the hub's API and berthd's own, signed with the
 * policy of the connection string; and a device's, with a token of its own or none. */
#ifndef CMD_BERTH_HTTP_H
#define CMD_BERTH_HTTP_H

#include "cmd/berth/cli.h"

enum { BERTH_HTTP_CONTINUATION_MAX = 1024 };

struct http_request {
    const char *method;
    const char *path;           /* with its query, percent-encoded */
    struct span body;           /* absent: none */
    const char *if_match;       /* NULL: none */
    const char *what;           /* "enrollment 'd1'": for the sentence when it fails */
    int64_t page;               /* x-ms-max-item-count; 0: not sent */
    struct span page_from;      /* x-ms-continuation; absent: not sent */
    const char *token;          /* for Authorization where the endpoint has no policy; NULL: none */
    const char *content_type;   /* NULL: JSON */
    const char *const *headers; /* "name: value" lines more, ending with NULL; NULL: none */
    int timeout_s;              /* 0: a minute */
};

struct http_reply {
    int status;
    struct span body;
    struct span continuation; /* absent: no more pages */
    struct span headers;      /* all of them, as lines: berth_http_header */
    int retry_after_s;        /* 0: none given */
};

/* Sends it and waits. Only 2xx is OK; else ERR_NOT_FOUND (404), ERR_DENIED (401, 403), ERR_EXISTS
 * (409), ERR_PRECONDITION (412), ERR_BUSY (429), ERR_MALFORMED (other 4xx), ERR_IO (5xx, no
 * connection, or a device that is not connected), with the server's sentence and tracking ID as
 * err_detail. */
err berth_http_send(struct cli *cli, const struct endpoint *to, const struct http_request *request,
                    struct http_reply *ret_reply);
/* The same, but every status is OK: the caller tells them apart. */
err berth_http_exchange(struct cli *cli, const struct endpoint *to,
                        const struct http_request *request, struct http_reply *ret_reply);
/* What berth_http_send gives for an answer that is no success. */
err berth_http_fault(int status, struct span body, const char *what);
/* As berth_http_send, and the body as JSON; NULL for an empty one. Lives as long as the command. */
err berth_http_json(struct cli *cli, const struct endpoint *to, const struct http_request *request,
                    json **ret_document);

/* The value of the answer's first header of that name, case ignored; absent: none. */
struct span berth_http_header(const struct http_reply *reply, const char *name);
/* Takes the next header off *lines; false at the end. */
bool berth_http_next_header(struct span *lines, struct span *ret_name, struct span *ret_value);

/* Receives a body piece by piece; false ends the transfer without an error. */
struct http_stream {
    bool (*on_data)(void *context, struct span data);
    bool (*is_over)(void *context); /* asked once a second and more */
    void *context;
};
/* A GET that goes on. OK: is_over or on_data ended it. ERR_CLOSED: the server did. */
err berth_http_stream(struct cli *cli, const struct endpoint *to, const char *path,
                      const struct http_stream *stream);

/* Text as one segment of a path. */
const char *berth_http_escape(struct cli *cli, const char *text);

/* One sentence out of an error body of any of the three kinds (reference dps-service-api.md 7,
 * iothub-service-api.md 11.1, doc/wire/manage.md). */
void berth_http_explain(int status, struct span body, const char *what, struct buf *out);

#endif
