/* remote/http.h: requests over https to one server, one after the other, within one span of time.
 * Knows TLS, names and addresses; not what a request means. */
#ifndef REMOTE_HTTP_H
#define REMOTE_HTTP_H

#include "model/env.h"
#include "remote/remote.h"

struct remote_http_pool;

/* Handles of libcurl with the connections that they keep: as many as calls were ever under way at
 * once. Thread-safe. */
err remote_http_open(const struct remote_config *config, struct remote_http_pool **ret_pool);
void remote_http_stop(struct remote_http_pool *p);
void remote_http_close(struct remote_http_pool *p);

/* Whom to talk to. */
struct remote_http_target {
    struct span host;    /* the name in its certificate, and in the Host header */
    struct span address; /* "host[:port]" to connect to instead of host:443; or absent */
    struct span ca;      /* PEM: whom to trust; absent: the configured, or the system's */
};

struct remote_http_call {
    struct remote_http_pool *pool;
    const struct env *env;
    struct remote_http_target target;
    int64_t left_ms;       /* of the time that all its requests have together */
    bool (*is_over)(void); /* asked now and then: gives up; NULL: never. With the pool's stop */
    struct remote_http_handle *handle;
};

/* Where a request ended. In the order in which they are come to. */
enum remote_http_stage {
    REMOTE_HTTP_NAME,    /* the host name has no address, or the name service does not answer */
    REMOTE_HTTP_CONNECT, /* nobody listens, no way there, an address that may not be used */
    REMOTE_HTTP_TLS,     /* certificate, or no TLS at all */
    REMOTE_HTTP_ANSWER,  /* none in time, cut off, no HTTP, too long */
    REMOTE_HTTP_STOPPED, /* it was we: the server stops */
    REMOTE_HTTP_DONE,    /* a whole answer, whatever it says */
};

struct remote_http_request {
    const char *method;
    struct span path;      /* with its query; with `url` absent */
    struct span url;       /* the whole of it, of a target without address */
    struct span body;      /* JSON; absent: none */
    struct span token;     /* Authorization; or absent */
    const char *if_match;  /* or NULL */
    int page;              /* x-ms-max-item-count; 0: not sent */
    struct span page_from; /* x-ms-continuation; or absent */
    size_t answer_max;
    bool is_anew; /* over a new connection, the name resolved now */
};

/* Spans are in the arena. */
struct remote_http_reply {
    enum remote_http_stage stage;
    struct span problem; /* unless DONE: a clause: "its certificate is not trusted (…)" */
    int status;
    struct span body;
    struct span error_name;                       /* iothub-errorcode; or absent */
    struct span page_next;                        /* x-ms-continuation; or absent */
    int64_t retry_after_ms;                       /* 0: it did not say */
    int64_t date_ms;                              /* of the other side's clock; 0: it did not say */
    int64_t name_ms, connect_ms, tls_ms, took_ms; /* from the beginning to the end of each; 0: not
                                                     done, or on a connection that was there */
};

/* Takes a handle; the last that talked to the host, if it is free. ERR_NOMEM. */
err remote_http_begin(struct remote_http_call *call);
/* ERR_NOMEM alone; all else is in the reply. */
err remote_http_send(struct remote_http_call *call, const struct remote_http_request *request,
                     struct remote_http_reply *ret_reply);
void remote_http_end(struct remote_http_call *call);

#endif
