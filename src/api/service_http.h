/* api/service_http.h: what the files of the service API share. */
#ifndef API_SERVICE_HTTP_H
#define API_SERVICE_HTTP_H

#include "api/http.h"
#include "core/enrollment.h"

/* POST …/query: service_query.c. */
err service_query_enrollments(struct http_call *call);
err service_query_groups(struct http_call *call);
err service_query_registrations(struct http_call *call);
/* POST /enrollments, POST /enrollmentGroups: service_bulk.c. */
err service_bulk_enrollments(struct http_call *call);
err service_bulk_groups(struct http_call *call);

#endif
