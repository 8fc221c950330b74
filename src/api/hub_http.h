/* api/hub_http.h: what the files of the hub's HTTP API share. */
#ifndef API_HUB_HTTP_H
#define API_HUB_HTTP_H

#include "api/http.h"

/* GET /messages/events: hub_events.c. */
err hub_events_open(struct http_call *call);

/* GET, PATCH and PUT /twins/{id}: hub_twin_http.c. */
err hub_twin_http_get(struct http_call *call);
err hub_twin_http_patch(struct http_call *call);
err hub_twin_http_put(struct http_call *call);

#endif
