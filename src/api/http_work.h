/* api/http_work.h: one request of a connection while it is with a worker: routed, answered, its
 * headers ready to be printed. For http.c alone. */
#ifndef API_HTTP_WORK_H
#define API_HTTP_WORK_H

#include "api/http.h"
#include "api/router.h"

enum { HTTP_WORK_HEADERS = HTTP_REPLY_HEADERS + 4 };

/* In the task's arena. */
struct http_work {
    struct http1_request request;
    struct router_match match;
    struct http_call call;
    struct http1_header few[HTTP_WORK_HEADERS]; /* headers, as a rule */
    struct http1_header *headers;               /* with room for a Retry-After */
    size_t n_headers;
    bool to_head, close;
    bool is_resumed; /* it waited for a device; call.parked says what became of that */
};

/* Makes the task run it. The caller fills match, or is_resumed and call.parked. When it is back,
 * call.parked.call without is_resumed says that it waits, and everything else is void. */
struct http_work *http_work_new(struct task *t, const struct http_route *route,
                                const struct http1_request *request);

#endif
