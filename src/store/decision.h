/* store/decision.h: writes decision records; for whoever decides (core/, hub/). */
#ifndef STORE_DECISION_H
#define STORE_DECISION_H

#include "store/store.h"

/* In a transaction of the caller's. */
err store_decision_put(struct store_tx *tx, const struct decision *d);
/* In one of its own. Faults as store_write. */
err store_decision_write(struct store *s, const struct decision *d);

#endif
