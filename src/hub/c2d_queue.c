/* hub/c2d_queue.c: what the functions of hub/c2d.h do to rows. */
#include "hub/c2d_queue.h"

#include "hub/feedback.h"

err c2d_queue_open(struct c2d_queue_tx *q, const struct hub_c2d_owner *owner, bool *ret_found)
{
    bool is_there;

    q->row = (struct c2d_queue){ .hub = owner->hub, .client_id = owner->client_id };
    TRY(store_find(q->tx, &KIND_C2D_QUEUE, &q->row, q->env->arena, &q->row, &is_there));
    *ret_found = is_there && span_eq(q->row.generation_id, owner->generation_id);
    q->row.generation_id = owner->generation_id;
    return OK;
}

err c2d_queue_next(const struct c2d_queue_tx *q, int64_t after, struct c2d_message *ret_message,
                   bool *ret_found)
{
    const struct c2d_message key = { .hub = q->row.hub,
                                     .client_id = q->row.client_id,
                                     .sequence = after };
    struct store_scan scan = { .prefix = &key, .n_prefix = 2, .after = &key, .limit = 1 };
    struct c2d_message *rows;
    size_t n;

    TRY(store_scan(q->tx, &KIND_C2D_MESSAGE, &scan, q->env->arena, &rows, &n));
    *ret_found = n > 0;
    if (n > 0) {
        *ret_message = rows[0];
    }
    return OK;
}

err c2d_queue_find(const struct c2d_queue_tx *q, int64_t sequence, struct c2d_message *ret_message,
                   bool *ret_found)
{
    const struct c2d_message key = { .hub = q->row.hub,
                                     .client_id = q->row.client_id,
                                     .sequence = sequence };

    return store_find(q->tx, &KIND_C2D_MESSAGE, &key, q->env->arena, ret_message, ret_found);
}

static bool is_asked_for(enum c2d_ack ack, enum feedback_status status)
{
    return ack == C2D_ACK_FULL ||
           ack == (status == FEEDBACK_SUCCESS ? C2D_ACK_POSITIVE : C2D_ACK_NEGATIVE);
}

err c2d_queue_end(const struct c2d_queue_tx *q, const struct c2d_message *m,
                  enum feedback_status status)
{
    struct feedback f = { .hub = m->hub,
                          .client_id = m->client_id,
                          .generation_id = q->row.generation_id,
                          .message_id = m->message_id,
                          .status = status,
                          .enqueued_ms = q->env->now_ms,
                          .expires_ms = q->env->now_ms + q->settings->feedback_ttl_ms };

    TRY(store_delete(q->tx, &KIND_C2D_MESSAGE, m));
    return is_asked_for(m->ack, status) ? hub_feedback_put(q->tx, q->env, &f) : OK;
}

err c2d_queue_end_if_dead(const struct c2d_queue_tx *q, const struct c2d_message *m,
                          bool *ret_is_dead)
{
    bool is_expired = m->expires_ms <= q->env->now_ms;

    *ret_is_dead = is_expired || m->delivery_count >= q->settings->c2d_max_deliveries;
    if (!*ret_is_dead) {
        return OK;
    }
    return c2d_queue_end(q, m, is_expired ? FEEDBACK_EXPIRED : FEEDBACK_DELIVERY_COUNT_EXCEEDED);
}
