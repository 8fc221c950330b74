/* core/region.h: where the regions of a cloud are. */
#ifndef CORE_REGION_H
#define CORE_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "util/span.h"

struct core_region {
    const char *name;        /* "westeurope" */
    int latitude, longitude; /* thousandths of a degree */
};

/* By "westeurope" or "West Europe". NULL: it is none that is known. */
const struct core_region *core_region_find(struct span text);

#endif
