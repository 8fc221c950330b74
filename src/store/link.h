/* store/link.h: what every change of a linked hub owes the caches of links; for whoever changes
 * them (core/, hub/). */
#ifndef STORE_LINK_H
#define STORE_LINK_H

#include "store/store.h"

/* Counts the instance's links_version on: in the transaction that puts or deletes a linked hub of
 * it. Without such an instance nothing is done: nobody reads its links. */
err store_links_changed(struct store_tx *tx, struct arena *arena, struct span id_scope);

#endif
