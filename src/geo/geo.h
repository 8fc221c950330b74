/* geo/geo.h: where on earth an address is, by a database in MaxMind's format (GeoLite2-City and
 * its like): what names a place has "location": {"latitude", "longitude"}. */
#ifndef GEO_GEO_H
#define GEO_GEO_H

#include "geo/sphere.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/span.h"

/* One of a process, shared by all its threads. */
struct geo;

/* Takes the file into memory, so that whatever becomes of the file later does no harm. ERR_IO,
 * ERR_MALFORMED (not such a database), ERR_TOO_LARGE: err_detail names the file and says why;
 * ERR_NOMEM. */
err geo_open(const char *path, struct geo **ret_geo);
/* NULL-safe. When nobody asks any more. */
void geo_close(struct geo *g);
AUTO_DEFINE(geo, struct geo *, geo_close)

/* Takes the file anew; the old contents serve until then, and if it fails, as geo_open does. Any
 * thread. NULL-safe: OK. */
err geo_reload(struct geo *g);

/* Of "192.0.2.1:40000", "[2001:db8::1]:40000" or either without a port. False: the database has no
 * place for it, as of private addresses; or it is none; or there is no database (NULL). Does not
 * block, but for a reload's moment. Any thread. */
bool geo_find(struct geo *g, struct span address, struct geo_point *ret_point);

/* What the database says it is, for the log: "GeoLite2-City, 2025-06-01". NUL-terminated. */
enum { GEO_TITLE_MAX = 96 };
void geo_title(struct geo *g, char ret_title[GEO_TITLE_MAX]);

#endif
