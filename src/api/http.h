/* api/http.h: HTTP requests of all kinds: one table of routes, one call a request. Handlers run on
 * a worker and may block. */
#ifndef API_HTTP_H
#define API_HTTP_H

#include "api/surface.h"
#include "proto/http1/conn.h"
#include "json/json.h"

enum { HTTP_PATH_PARAMS = 3, HTTP_REPLY_HEADERS = 12 };

/* A body that goes on: events as they arrive. next() runs on a worker each time the last bytes were
 * sent and there may be more (a signal of `wake_on`, or the heartbeat). */
struct http_stream {
    unsigned wake_on; /* of enum bus_signal */
    int64_t until_ms; /* then it ends, in good order: the token's expiry */
    /* Appends what there is to `body` (nothing is fine). `heartbeat`: LIMIT_STREAM_HEARTBEAT_MS
     * went by without anything. */
    err (*next)(struct http_stream *s, const struct env *env, const struct service *service,
                bool heartbeat, struct buf *body);
    bool more; /* out of next(): the page was full, call again at once */
    /* The handler's own, copied with the stream into the connection; no pointers into the request.
     */
    int64_t position; /* negative: at the start, whatever that is */
    int64_t told;     /* the position that the reader knows */
    int64_t since_ms; /* what is older is not shown */
    int64_t from_ms;  /* nor this, to begin with */
    unsigned sources;
    bool has_partition;
    int partition;
    char hub[256];
    char device_id[132];
};

/* A request that waits for a device, without a worker. `answer` runs on one when the call is over,
 * with call->parked.call and nothing else of the request but its route. */
struct hub_call;
struct http_call;
struct http_parked {
    struct hub_call *call; /* NULL: it does not wait. The connection's once the handler returns. */
    err (*answer)(struct http_call *call);
};

struct http_call {
    const struct http_route *route;
    const struct http1_request *request;
    const struct service *service;
    const struct peer *peer;
    struct env *env;
    struct access_note *note;
    struct span params[HTTP_PATH_PARAMS]; /* percent-decoded {…} parts of the path, in order */
    struct span api_version;              /* absent when not given; well-formed otherwise */
    int64_t token_until_ms;               /* once authorized: when that ends */
    int retry_after_s;                    /* of a refusal by a limit of the hub's; 0: unknown */
    /* the reply */
    int status; /* 0: handler forgot: 500 */
    struct http1_header headers[HTTP_REPLY_HEADERS];
    size_t n_headers;
    const struct http1_header *more_headers; /* in the arena: as many as the handler likes */
    size_t n_more_headers;
    struct span body; /* in the arena; absent: none */
    bool close;       /* the connection, after it */
    bool is_stream;   /* with status 200: the body is what `stream` gives */
    struct http_stream stream;
    struct http_parked parked; /* out, instead of an answer */
};

typedef err (*http_handler)(struct http_call *call);

struct http_route {
    const char *method; /* "GET" (serves HEAD too); "": the path is known, but takes no method */
    const char *path; /* "/enrollments/{id}/attestationmechanism"; fixed parts match without case, a
                         trailing '/' is passed over */
    /* A fault becomes 500 INTERNAL; ERR_BUSY 429 THROTTLED, ERR_CLOSED 503 UNAVAILABLE. */
    http_handler handle;
    const char *surface; /* for the log and metrics */
    const char *operation;
    bool needs_api_version;
    bool takes_any_body; /* not JSON alone */
    bool is_unsafe;      /* a GET that changes something (RFC 9110 9.2.1): does not serve HEAD */
    enum surface_turn turn;
    void (*refuse)(const struct env *env, struct verdict v,
                   struct buf *out); /* error body of this surface */
};

/* Tables of routes, one a file, each ended by a zero row; the first match wins (router.h). */
extern const struct http_route HTTP_OPS_ROUTES[]; /* ops_http.c: /healthz, /metrics */
extern const struct http_route HTTP_DPS_ROUTES[]; /* dps_http.c: device API */
extern const struct http_route
    HTTP_SERVICE_ROUTES[]; /* service_http.c: enrollments, groups, registrations */
extern const struct http_route HTTP_MANAGE_ROUTES[]; /* manage_http.c: /berth/v1/… */
extern const struct http_route HTTP_HUB_ROUTES[];    /* hub_http.c: devices, event stream */

/* For handlers. */
void http_call_header(struct http_call *call, const char *name, struct span value);
/* The ETag header; the quotes are put on here. */
err http_call_etag(struct http_call *call, struct span etag);
/* JSON body already printed in the arena. */
err http_call_json(struct http_call *call, int status, struct span json_text);
/* Refuses with the route's error body; sets x-ms-error-code (on a hub iothub-errorcode),
 * note.reason and status. Replaces an answer given before. */
err http_call_refuse(struct http_call *call, struct verdict v);
/* The same with a detail to print. */
err http_call_refuse_with(struct http_call *call, enum reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct span http_call_header_in(const struct http_call *call, struct span name);
/* A query parameter, decoded into the arena; absent when missing. */
err http_call_query(struct http_call *call, struct span name, struct span *ret_value);
/* The body as a JSON object. An empty one gives NULL when `may_be_empty`.
 * Anything else is BODY_MALFORMED with where and why. The document is the caller's. */
err http_call_body_object(struct http_call *call, bool may_be_empty, json **ret_document,
                          struct verdict *ret_verdict);
/* The same of a JSON array. */
err http_call_body_array(struct http_call *call, json **ret_document, struct verdict *ret_verdict);
/* Half of the room that is left in the arena, for a body that is written while rows are read into
 * the other half. */
struct buf http_call_body_room(struct http_call *call);
/* If-Match with W/ and quotes stripped, into the arena. */
struct core_match;
err http_call_if_match(struct http_call *call, struct core_match *ret_match);
/* An ETag as any client spells it; points into the text. Empty: not given. */
struct core_match http_match_of(struct span text);

/* Checks the Authorization header for a policy of the instance or hub that the Host header names
 * (its port is passed over): finds it, the policy, the key, the expiry, the resource, the right.
 * *ret_verdict says which of these failed. Sets note.scope. On a hub the request then counts
 * against the hub's limits: HUB_THROTTLED, MESSAGE_QUOTA_EXCEEDED. */
struct instance;
struct hub;
err http_call_authorize_instance(struct http_call *call, int64_t right,
                                 struct instance *ret_instance, struct verdict *ret_verdict);
err http_call_authorize_hub(struct http_call *call, int64_t right, struct hub *ret_hub,
                            struct verdict *ret_verdict);
/* Who calls a device's route: the device or module (module_id absent: the device), by a token of
 * its keys or of a policy with DeviceConnect in the Authorization header, or by the certificate of
 * its TLS connection; the hub is the Host header's. Verdicts are hub_login's, a refusal leaves its
 * decision record; then HUB_THROTTLED, MESSAGE_QUOTA_EXCEEDED. Sets note.scope and note.id. */
struct hub_session;
err http_call_authorize_device(struct http_call *call, struct span device_id, struct span module_id,
                               struct hub_session *ret_session, struct verdict *ret_verdict);
/* The same for a policy of the server with ServerConfig, whatever the Host header names. */
err http_call_authorize_server(struct http_call *call, struct verdict *ret_verdict);

#endif
