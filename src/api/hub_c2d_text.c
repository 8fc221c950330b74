/* api/hub_c2d_text.c: addresses taken apart, topics put together.
 *
 *     topic = prefix pair *( "&" pair )      pair = name "=" value, neither empty
 *
 * System properties come first, and "%24.to" always: one SDK looks for the first "%24", another
 * stops at a pair without a value, so those are left out (reference iothub-device-api.md 7). */
#include "api/hub_c2d_text.h"

#include "hub/c2d.h"
#include "hub/feedback.h"
#include "hub/identity.h"
#include "util/percent.h"
#include "util/timefmt.h"

static err decode(struct span text, struct arena *arena, struct span *ret_text)
{
    struct buf out = arena_buf(arena);

    TRY(percent_decode(text, &out));
    return arena_buf_end(arena, &out, ret_text);
}

static bool cut_fixed(struct span *rest, struct span word)
{
    return span_eq_nocase(span_cut(rest, '/'), word);
}

err hub_c2d_text_parse_to(struct span to, struct arena *arena, struct span *ret_client_id)
{
    struct span rest = to;
    struct span device, part, module = SPAN_NONE;

    if (!cut_fixed(&rest, SPAN("")) || !cut_fixed(&rest, SPAN("devices"))) {
        return ERR(MALFORMED);
    }
    TRY(decode(span_cut(&rest, '/'), arena, &device));
    part = span_cut(&rest, '/');
    if (span_eq_nocase(part, SPAN("modules"))) {
        TRY(decode(span_cut(&rest, '/'), arena, &module));
        if (span_is_empty(module)) {
            return ERR(MALFORMED);
        }
        part = span_cut(&rest, '/');
    }
    if (!span_eq_nocase(part, SPAN("messages")) || !cut_fixed(&rest, SPAN("devicebound")) ||
        !span_is_absent(rest)) {
        return ERR(MALFORMED);
    }
    return hub_identity_join(arena, device, module, ret_client_id);
}

void hub_c2d_text_prefix(struct span client_id, struct buf *out)
{
    buf_add_str(out, "devices/");
    buf_add(out, hub_identity_device(client_id));
    if (hub_identity_is_module(client_id)) {
        buf_add_str(out, "/modules/");
        buf_add(out, hub_identity_module(client_id));
    }
    buf_add_str(out, "/messages/devicebound/");
}

/* `name` is as it stands on the wire. */
static void add_pair(struct buf *out, const char *name, struct span value)
{
    if (span_is_empty(value)) {
        return;
    }
    if (out->len > 0 && out->data[out->len - 1] != '/') {
        buf_add_u8(out, '&');
    }
    buf_add_str(out, name);
    buf_add_u8(out, '=');
    percent_encode(value, out);
}

static void add_expiry(const struct c2d_message *m, struct buf *out)
{
    uint8_t room[40];
    struct buf text = buf_over(room, sizeof(room));

    if (m->is_expiry_given) {
        timefmt_iso(m->expires_ms, &text);
        add_pair(out, "%24.exp", buf_span(&text));
    }
}

static void add_target(const struct c2d_message *m, struct buf *out)
{
    uint8_t room[HUB_C2D_TEXT_PREFIX_MAX];
    struct buf text = buf_over(room, sizeof(room));

    if (!span_is_empty(m->target)) {
        add_pair(out, "%24.to", m->target);
        return;
    }
    buf_add_u8(&text, '/');
    hub_c2d_text_prefix(m->client_id, &text);
    add_pair(out, "%24.to", span_first(buf_span(&text), text.len - 1));
}

static void add_system(const struct c2d_message *m, struct buf *out)
{
    add_pair(out, "%24.mid", m->message_id);
    add_expiry(m, out);
    add_target(m, out);
    add_pair(out, "%24.cid", m->correlation_id);
    add_pair(out, "%24.uid", m->user_id);
    add_pair(out, "%24.ct", m->content_type);
    add_pair(out, "%24.ce", m->content_encoding);
    add_pair(out, "iothub-ack", span_str(hub_feedback_ack_word(m->ack)));
}

static void add_application(const struct hub_property *p, struct buf *out)
{
    if (!span_is_empty(p->value)) {
        buf_add_u8(out, '&');
        percent_encode(p->name, out);
        buf_add_u8(out, '=');
        percent_encode(p->value, out);
    }
}

err hub_c2d_text_topic(const struct c2d_message *m, struct arena *arena, struct span *ret_topic)
{
    struct hub_property properties[HUB_PROPERTIES_MAX];
    struct buf out;
    size_t n;

    TRY(hub_c2d_properties(m, arena, properties, &n));
    out = arena_buf(arena);
    hub_c2d_text_prefix(m->client_id, &out);
    add_system(m, &out);
    for (size_t i = 0; i < n; i++) {
        add_application(&properties[i], &out);
    }
    return arena_buf_end(arena, &out, ret_topic);
}
