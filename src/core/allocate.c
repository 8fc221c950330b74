/* core/allocate.c: the choice of a hub: weighted rendezvous hashing. Each candidate draws a number
 * from (device, hub), the highest score -weight / ln(draw) wins; so a hub gets its share by weight,
 * and adding or removing one moves only what it wins or loses.
 *
 * The logarithm is taken in integers: the choice must be the same on every machine and with every
 * C library, as several berthd may serve one store. */
#include "core/allocate.h"

#include <assert.h>

enum { LOG_FRACTION_BITS = 24 };

/* FNV-1a over both texts with a byte between, finished by splitmix64's mixer. Never 0. */
static uint64_t draw(struct span device, struct span hub)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < device.len; i++) {
        h = (h ^ device.data[i]) * 0x100000001b3U;
    }
    h = (h ^ 0xff) * 0x100000001b3U;
    for (size_t i = 0; i < hub.len; i++) {
        h = (h ^ hub.data[i]) * 0x100000001b3U;
    }
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9U;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebU;
    h ^= h >> 31;
    return h != 0 ? h : 1;
}

/* -log2(h / 2^64), fixed point: at most 64 << LOG_FRACTION_BITS, at least 1. The fraction comes bit
 * by bit: squaring the mantissa doubles its logarithm. */
static uint64_t minus_log2(uint64_t h)
{
    unsigned exponent = 63;
    uint64_t mantissa; /* in [2^31, 2^32) */
    uint64_t log;

    while ((h >> 63) == 0) {
        h <<= 1;
        exponent--;
    }
    mantissa = h >> 32;
    log = exponent;
    for (int i = 0; i < LOG_FRACTION_BITS; i++) {
        uint64_t square = mantissa * mantissa;
        unsigned bit = (unsigned)(square >> 63);

        log = log << 1 | bit;
        mantissa = square >> (31 + bit);
    }
    return ((uint64_t)64 << LOG_FRACTION_BITS) - log;
}

static bool is_wanted(const struct allocate_query *q, struct span hub)
{
    for (size_t i = 0; i < q->n_wanted; i++) {
        if (span_eq(q->wanted[i], hub)) {
            return true;
        }
    }
    return false;
}

static bool is_candidate(const struct allocate_query *q, const struct linked_hub *link)
{
    return q->n_wanted > 0 ? is_wanted(q, link->host_name) : link->apply_allocation_policy != 0;
}

static enum reason pick_hashed(const struct allocate_query *q, struct span *ret_hub)
{
    const struct linked_hub *best = NULL;
    uint64_t best_log = 0;

    for (size_t i = 0; i < q->n_links; i++) {
        const struct linked_hub *link = &q->links[i];
        uint64_t log;

        if (!is_candidate(q, link)) {
            continue;
        }
        assert(link->weight >= 1 && link->weight <= 1000);
        log = minus_log2(draw(q->registration_key, link->host_name));
        /* weight / log is the higher one; crosswise, as 1000 * (64 << 24) fits. */
        if (best == NULL || (uint64_t)link->weight * best_log > (uint64_t)best->weight * log) {
            best = link;
            best_log = log;
        }
    }
    if (best == NULL) {
        return REASON_HUB_NOT_FOUND;
    }
    *ret_hub = best->host_name;
    return REASON_GRANTED;
}

static enum reason pick_static(const struct allocate_query *q, struct span *ret_hub)
{
    return q->n_wanted == 1 ? pick_hashed(q, ret_hub) : REASON_HUB_NOT_FOUND;
}

enum reason core_allocate(const struct allocate_query *q, struct span *ret_hub)
{
    bool is_supported = q->policy == ALLOCATION_DEFAULT || q->policy == ALLOCATION_HASHED ||
                        q->policy == ALLOCATION_STATIC;

    if (q->keep_current && !span_is_absent(q->current_hub)) {
        *ret_hub = q->current_hub;
        return REASON_GRANTED;
    }
    if (!is_supported) {
        return REASON_ALLOCATION_UNSUPPORTED;
    }
    return q->policy == ALLOCATION_STATIC ? pick_static(q, ret_hub) : pick_hashed(q, ret_hub);
}
