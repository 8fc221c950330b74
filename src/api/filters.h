/* api/filters.h: the topic filters of one hub session, packed into bytes: each is one byte of QoS,
 * two of length (big-endian), then the filter. What is kept of a session between connections. */
#ifndef API_FILTERS_H
#define API_FILTERS_H

#include "model/limits.h"
#include "util/span.h"

struct filters {
    size_t len;
    uint8_t bytes[LIMIT_FILTERS];
};

/* Adds a well-formed filter, or changes its QoS (0 or 1). False: no room; nothing changed. */
bool filters_add(struct filters *f, struct span filter, uint8_t qos);
void filters_remove(struct filters *f, struct span filter);
/* The highest QoS of those that match; -1: none does. */
int filters_match(const struct filters *f, struct span topic);
struct span filters_span(const struct filters *f);
/* From filters_span. False when it is not whole: *f is empty then. */
bool filters_load(struct filters *f, struct span packed);

#endif
