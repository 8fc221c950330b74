/* api/service_query_row.h: what queries of the service API are about: enrollments, enrollment
 * groups and registrations. The record of a row is the struct enrollment or the struct
 * registration. */
#ifndef API_SERVICE_QUERY_ROW_H
#define API_SERVICE_QUERY_ROW_H

#include "api/query_row.h"
#include "core/listing.h"

const struct query_schema *service_query_row_schema(enum core_listing_of of);

#endif
