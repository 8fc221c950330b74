/* hub/bus.h: how an event reaches a session, of a device or a module, that lives on another loop: a
 * newer connection takes over, an operator cuts a device off, telemetry has become readable.
 * In-process; the interface is what a message bus between processes will implement. All functions
 * are thread-safe and quick. */
#ifndef HUB_BUS_H
#define HUB_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/span.h"

enum bus_signal {
    BUS_TAKEN_OVER = 1 << 0, /* another connection of this device was accepted */
    BUS_CUT_OFF = 1 << 1,    /* the identity was disabled, deleted or given another credential */
    BUS_EVENTS = 1 << 2,     /* telemetry became durable */
    BUS_LETTERS = 1 << 3,    /* something lies in the member's box: bus_take */
    BUS_C2D = 1 << 4,        /* there may be a message for it in its queue: hub/c2d.h */
    BUS_CALL = 1 << 8,       /* a call of this connection's moved on: hub/bus_call.h */
};

/* Something for a device that is connected now; nobody keeps it for one that is not. */
struct bus_letter {
    struct bus_letter *next; /* the bus's */
    enum {
        BUS_LETTER_DESIRED,
        BUS_LETTER_METHOD, /* of a call (hub/bus_call.h); only that puts them in */
        BUS_LETTER_ANSWER, /* to one; in no box */
    } kind;
    int64_t number;        /* DESIRED: the version of the desired properties; ANSWER: its status */
    struct span name, rid; /* METHOD */
    struct span payload;   /* JSON; of an ANSWER as the device sent it */
};

struct bus;

/* A connection's place on the bus. Memory is the caller's; spans must stay valid until bus_leave.
 * `tell` is called on any thread, with a lock of the bus held: it must only pass the signal on. */
struct bus_member {
    struct bus_member *next_, *prev_;
    bool is_session_, is_superseded_, is_cut_off_;
    uint64_t order_; /* of joining */
    struct bus_letter *box_, **box_end_;
    size_t n_box_, box_bytes_;
    struct span hub, client_id; /* client_id absent: listens to the hub's events only */
    struct span session_id;     /* by bus_claim: what its session is known by, unlike any other */
    struct span generation_id;  /* of the identity; set before bus_claim */
    int64_t now_ms;             /* set before bus_claim and bus_leave, for who watches */
    void (*tell)(struct bus_member *m, unsigned signals);
};

err bus_new(struct bus **ret_bus);
void bus_free(struct bus *b);

/* Calls `saw` (quick, with the lock of the bus held) for each session that begins or ends, in that
 * order: of a client that is taken over first the end of the old one. Numbers rise. One watcher;
 * NULL: nobody watches. */
typedef void (*bus_saw_fn)(void *arg, const struct bus_member *m, bool is_connected,
                           uint64_t number, int64_t now_ms);
void bus_watch(struct bus *b, bus_saw_fn saw, void *arg);

/* From now on the member is told BUS_CUT_OFF (and BUS_EVENTS without a device ID). Join before the
 * identity is read, so that no change slips between. */
void bus_join(struct bus *b, struct bus_member *m);
/* Makes the joined member the device's one session; the one that was is told BUS_TAKEN_OVER. */
void bus_claim(struct bus *b, struct bus_member *m);
/* The member was let in: of those of its client that joined before it, none may change any more
 * what is kept for the client. True: there is such a one. */
bool bus_supersede(struct bus *b, const struct bus_member *m);
bool bus_is_superseded(struct bus *b, const struct bus_member *m);
/* No `tell` runs or will run after this returns. Harmless when not joined. */
void bus_leave(struct bus *b, struct bus_member *m);

/* Of a device its modules', too. */
void bus_cut_off(struct bus *b, struct span hub, struct span client_id);
/* The identity is gone: the same, and calls to it (hub/bus_call.h) end. */
void bus_forget(struct bus *b, struct span hub, struct span client_id);
void bus_events(struct bus *b);
/* Puts a copy of the letter into the box of the device's session, which is told BUS_LETTERS. False:
 * it has none, or LIMIT_LETTERS or LIMIT_LETTER_BYTES lie there already. */
bool bus_post(struct bus *b, struct span hub, struct span client_id,
              const struct bus_letter *letter);
/* The letter that came first, the caller's to free with bus_letter_free; NULL: the box is empty.
 * What is left in it at bus_leave is dropped. */
struct bus_letter *bus_take(struct bus *b, struct bus_member *m);
/* A copy in one block, or NULL: no memory. */
struct bus_letter *bus_letter_new(const struct bus_letter *letter);
void bus_letter_free(struct bus_letter *letter); /* NULL-safe */
/* Between these two nobody else is: whoever changes what letters tell of holds on from before the
 * change until the letter is posted, so that letters come in the order of the changes. Not quick:
 * waits for as long as others hold on. */
void bus_order_begin(struct bus *b, struct span hub, struct span client_id);
void bus_order_end(struct bus *b, struct span hub, struct span client_id);
/* Tells the device's session, if it has one, BUS_C2D. */
void bus_c2d(struct bus *b, struct span hub, struct span client_id);
/* Is this the device's session now, or is it over? */
bool bus_is_session(struct bus *b, struct span hub, struct span client_id, struct span session_id);
/* Has the device a session, one that is not about to end because it was cut off? */
bool bus_is_connected(struct bus *b, struct span hub, struct span client_id);
size_t bus_sessions(struct bus *b);
/* Hands the client IDs of the hub's sessions to `each`, a part of the table at a time: *at is 0 at
 * first, and where the next call goes on afterwards. False: nothing was left. `each` runs with a
 * lock of the bus held and must be quick; a span lasts until it returns. Who comes or goes between
 * two calls may be among them or not. */
bool bus_list(struct bus *b, struct span hub, size_t *at,
              void (*each)(void *arg, struct span client_id), void *arg);
/* The hub's devices, not modules, that have one. Not quick: looks at all sessions. */
size_t bus_count_devices(struct bus *b, struct span hub);

#endif
