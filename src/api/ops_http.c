/* api/ops_http.c: for whoever runs the server: is it well, and its figures. */
#include "api/error.h"
#include "api/http.h"
#include "api/metrics.h"

static err on_health(struct http_call *call)
{
    bool is_draining = call->service->is_draining != NULL && call->service->is_draining();

    return is_draining ? http_call_json(call, 503, SPAN("{\"status\":\"draining\"}"))
                       : http_call_json(call, 200, SPAN("{\"status\":\"ok\"}"));
}

static err on_metrics(struct http_call *call)
{
    struct buf out;

    if (!call->service->metrics_public && !call->peer->is_loopback) {
        return http_call_refuse(call, VERDICT(ROUTE_NOT_FOUND));
    }
    out = http_call_body_room(call);
    metrics_print(call->service, &out);
    TRY(buf_ok(&out));
    http_call_header(call, "Content-Type", SPAN("text/plain; version=0.0.4; charset=utf-8"));
    call->status = 200;
    call->body = buf_span(&out);
    return OK;
}

#define OPS(path_, handle_)                                                                        \
    {                                                                                              \
        .method = "GET", .path = path_, .handle = handle_, .surface = "ops",                       \
        .operation = "GET " path_, .refuse = error_write_management                                \
    }

const struct http_route HTTP_OPS_ROUTES[] = {
    OPS("/healthz", on_health),
    OPS("/metrics", on_metrics),
    { 0 },
};
