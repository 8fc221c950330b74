/* store/decision.c: a decision as the row it is kept as. Knows that a reason is stored by its
 * token; what is in a decision is its maker's. */
#include "store/decision.h"

err store_decision_put(struct store_tx *tx, const struct decision *d)
{
    struct decision_row row = {
        .tracking_id = d->tracking_id,
        .time_ms = d->time_ms,
        .id_scope = d->id_scope,
        .registration_key = d->registration_key,
        .registration_id = d->registration_id,
        .operation = d->operation,
        .transport = d->transport,
        .peer = d->peer,
        .reason = span_str(reason_info(d->reason)->token),
        .enrollment = d->enrollment,
        .hub = d->hub,
        .device_id = d->device_id,
        .certificate = d->certificate,
        .considered = d->considered,
        .allocation = d->allocation,
    };

    return store_put(tx, &KIND_DECISION, &row);
}

static err put(struct store_tx *tx, void *arg)
{
    const struct decision *d = arg;

    return store_decision_put(tx, d);
}

err store_decision_write(struct store *s, const struct decision *d)
{
    struct decision copy = *d;

    return store_write(s, put, &copy);
}
