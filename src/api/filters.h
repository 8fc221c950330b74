/* api/filters.h: the topic filters of one hub session, packed into bytes: each is one byte of QoS,
 * two of length (big-endian), then the filter. What is kept of a session between connections. */
#ifndef API_FILTERS_H
#define API_FILTERS_H

#include "model/limits.h"
#include "util/span.h"

/* All zero: none. What it holds is a block of its own, as large as it has been: most sessions have
 * a few short ones. */
struct filters {
    uint8_t *bytes;
    size_t len, cap;
};

void filters_free(struct filters *f); /* leaves none */

/* Adds a well-formed filter, or changes its QoS (0 or 1). False: LIMIT_FILTERS or
 * LIMIT_SUBSCRIPTIONS is reached, or there is no memory; nothing changed. */
bool filters_add(struct filters *f, struct span filter, uint8_t qos);
void filters_remove(struct filters *f, struct span filter);
/* The highest QoS of those that match; -1: none does. */
int filters_match(const struct filters *f, struct span topic);
struct span filters_span(const struct filters *f);
/* From filters_span, in place of what was there. False when it is not whole: *f is empty then. */
bool filters_load(struct filters *f, struct span packed);

#endif
