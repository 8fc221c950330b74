/* core/allocate.h: which hub a device goes to: a pure function of what is handed in. */
#ifndef CORE_ALLOCATE_H
#define CORE_ALLOCATE_H

#include "model/reason.h"
#include "model/records.h"

struct allocate_query {
    enum allocation_policy policy; /* the enrollment's, or the instance's when that is DEFAULT */
    const struct linked_hub *links;
    size_t n_links;
    const struct span *wanted; /* the enrollment's iotHubs, folded; none: n_wanted 0 */
    size_t n_wanted;
    struct span registration_key;
    struct span current_hub; /* where it is now, or absent */
    bool keep_current;       /* there it stays: reprovision policy "never" */
};

/* Candidates: the wanted hubs that are linked; with none wanted, the linked ones that apply the
 * allocation policy. GRANTED and *ret_hub (borrowed from the query), or HUB_NOT_FOUND,
 * ALLOCATION_UNSUPPORTED. hashed: weighted rendezvous hashing, so that adding or removing a hub
 * moves only its share. static: the one wanted hub. */
enum reason core_allocate(const struct allocate_query *q, struct span *ret_hub);

#endif
