/* hub/method.h: direct methods: one call from the back end's request to its end, without protocol
 * (reference iothub-service-api.md 7). The times are here, the ways are hub/bus_call.h's. A call
 * needs no thread: whoever made it looks when it is told to, or when its time has come. */
#ifndef HUB_METHOD_H
#define HUB_METHOD_H

#include "hub/bus_call.h"
#include "model/env.h"
#include "model/reason.h"

struct hub_method {
    struct span hub, client_id;
    struct span name;    /* hub_method_is_name */
    struct span payload; /* JSON, <= LIMIT_METHOD_PAYLOAD */
    int64_t connect_ms;  /* how long to wait for a device that is not there; <= response_ms */
    int64_t response_ms; /* from when it is, to its answer */
};

/* 1 to LIMIT_METHOD_NAME characters: printable ASCII without $ ( ) < > @ , ; : \ " / [ ] ? = { }
 * and space, nor + and #, which no topic can have. */
bool hub_method_is_name(struct span name);

/* How a call ended. */
struct hub_method_end {
    enum reason reason;  /* GRANTED: answered. DEVICE_NOT_ONLINE, DEVICE_TIMEOUT, THROTTLED,
                            DEVICE_NOT_FOUND, MODULE_NOT_FOUND (it went meanwhile), UNAVAILABLE
                            (the server stops) */
    int64_t status;      /* the device's own */
    struct span payload; /* as the device sent it; lives as long as the call */
    int64_t waited_ms;   /* since begin */
};

/* A call, on the heap: its maker's until hub_call_free. */
struct hub_call {
    struct bus_call bus_call;
    struct bus *bus;           /* NULL: not begun */
    struct bus_letter *letter; /* until begun */
    /* The owner's, for hub_call_begin's tell. */
    void *owner;
    void (*tell)(struct hub_call *c);
    int64_t connect_ms, response_ms;
    int64_t began_ms;
    int64_t posted_ms; /* since when the device is there; INT64_MAX: it is not */
    int64_t drain_ms;  /* when the server that stops no longer waits; INT64_MAX: it does not stop */
    bool is_refused;   /* too many */
    bool is_over;
    struct hub_method_end end;
};

/* Looks whether the device may be called, and makes the call. Blocks. DEVICE_NOT_FOUND,
 * MODULE_NOT_FOUND, DEVICE_NOT_ONLINE (disabled; or not connected, and not to be waited for). */
err hub_method_prepare(const struct env *env, struct bus *bus, const struct hub_method *m,
                       struct hub_call **ret_call, struct verdict *ret_verdict);

/* The rest never blocks; one thread at a time. */

/* Sends it on its way. `tell` is called on any thread, with a lock held: it must only see to it
 * that hub_call_look is called soon. */
void hub_call_begin(struct hub_call *c, struct bus *bus, void *owner,
                    void (*tell)(struct hub_call *c), int64_t now_ms);
/* Is it over? Then c->end says how, and nothing more is told. `stops`: the server is shutting
 * down. */
bool hub_call_look(struct hub_call *c, bool stops, int64_t now_ms);
/* When to look without being told. */
int64_t hub_call_deadline(const struct hub_call *c);
/* Gives it up if it is not over. NULL-safe. */
void hub_call_free(struct hub_call *c);

#endif
