/* api/hub_http.h: what the files of the hub's HTTP API share. */
#ifndef API_HUB_HTTP_H
#define API_HUB_HTTP_H

#include "api/http.h"

/* GET /messages/events: hub_events.c. */
err hub_events_open(struct http_call *call);

#endif
