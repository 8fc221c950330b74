/* core/links_find.c: looking for one link among links and among candidates. Apart from links.c and
 * candidates.c as it needs no store: the command line picks hubs, too (core/custom_rule.c). */
#include "core/candidates.h"

const struct core_link *core_links_find(const struct core_links *links, struct span host_name)
{
    size_t low = 0;
    size_t high = links->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = span_compare(links->rows[middle].host_name, host_name);

        if (order == 0) {
            return &links->rows[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

bool core_candidates_has(const struct core_candidates *c, struct span host_name)
{
    const struct core_link *link = core_links_find(c->links, host_name);
    size_t low = 0;
    size_t high = c->n;

    while (link != NULL && low < high) {
        size_t middle = low + (high - low) / 2;
        size_t place = (size_t)(link - c->links->rows);

        if (c->at[middle] == place) {
            return true;
        }
        if (c->at[middle] < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}
