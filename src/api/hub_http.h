/* api/hub_http.h: what the files of the hub's HTTP API share. */
#ifndef API_HUB_HTTP_H
#define API_HUB_HTTP_H

#include "api/http.h"

/* {device}, or {device}/{module} unless that is absent. FIELD_INVALID: one of them is no ID. */
err hub_http_join(struct http_call *call, struct span device_id, struct span module_id,
                  struct span *ret_client_id, struct verdict *ret_verdict);
/* The same of the first two parameters of the path. */
err hub_http_client_id(struct http_call *call, struct span *ret_client_id,
                       struct verdict *ret_verdict);

/* /devices[/{id}[/modules[/{module}]]], /statistics: hub_identity_http.c. */
err hub_identity_http_list(struct http_call *call);
err hub_identity_http_list_modules(struct http_call *call);
err hub_identity_http_get(struct http_call *call);
err hub_identity_http_put(struct http_call *call);
err hub_identity_http_delete(struct http_call *call);
err hub_identity_http_count_devices(struct http_call *call);
err hub_identity_http_count_connected(struct http_call *call);
/* POST /devices: hub_bulk_http.c. */
err hub_bulk_http_post(struct http_call *call);

/* POST /devices/query: hub_query.c. */
err hub_query(struct http_call *call);

/* GET /messages/events: hub_events.c. */
err hub_events_open(struct http_call *call);

/* GET, PATCH and PUT /twins/{id}[/modules/{module}]: hub_twin_http.c. */
err hub_twin_http_get(struct http_call *call);
err hub_twin_http_patch(struct http_call *call);
err hub_twin_http_put(struct http_call *call);

/* POST …/messages/events: hub_telemetry_http.c. */
err hub_telemetry_http_send(struct http_call *call);
/* POST …/methods and /digitaltwins/…/commands/{name}: hub_method_http.c. */
err hub_method_http_invoke(struct http_call *call);
err hub_method_http_command(struct http_call *call);

/* POST /messages/deviceBound, DELETE /devices/{id}[/modules/{module}]/commands, and the feedback at
 * /messages/serviceBound/feedback: hub_c2d_http.c. */
err hub_c2d_http_send(struct http_call *call);
err hub_c2d_http_purge(struct http_call *call);
err hub_c2d_http_feedback(struct http_call *call);
err hub_c2d_http_complete_feedback(struct http_call *call);
err hub_c2d_http_abandon_feedback(struct http_call *call);

/* /devices/{id}[/modules/{module}]/messages/deviceBound of the device itself:
 * hub_c2d_device_http.c. */
err hub_c2d_device_http_receive(struct http_call *call);
err hub_c2d_device_http_settle(struct http_call *call);
err hub_c2d_device_http_abandon(struct http_call *call);

#endif
