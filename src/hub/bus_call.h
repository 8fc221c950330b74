/* hub/bus_call.h: a direct method's way over the bus: from whoever called, who may be on any loop,
 * to the session of the device or module that is called, and the answer back. Thread-safe and
 * quick.
 *
 *   begin --> OFFLINE <--------- decline, session over ----------+
 *                |  a session is claimed, or subscribes          |
 *                +--> QUEUED --(room in its box)--> POSTED --(bus_take)--> TAKEN --> ANSWERED
 *   any but ANSWERED --(bus_forget)--> GONE
 *
 * A session that ends gives back what it has not taken; what it took stays TAKEN: the device may
 * answer on its next connection. Only a session of the very client ID that was called can answer,
 * as a call is looked for among those for that ID alone. */
#ifndef HUB_BUS_CALL_H
#define HUB_BUS_CALL_H

#include "hub/bus.h"

enum bus_call_state {
    BUS_CALL_OFFLINE,  /* no session, or one that does not take methods */
    BUS_CALL_QUEUED,   /* the session's box is full */
    BUS_CALL_POSTED,   /* lies in the session's box */
    BUS_CALL_TAKEN,    /* on its way to the device, or with it */
    BUS_CALL_ANSWERED, /* the end: bus_call_answer_of */
    BUS_CALL_GONE,     /* the end, too: whom it was for is no more (bus_forget) */
};

/* Memory is the caller's; spans must stay valid until bus_call_end. `tell` is called on any thread,
 * with a lock of the bus held, when the state has changed: it must only pass that on. */
struct bus_call {
    struct bus_call *next_, *prev_;
    enum bus_call_state state_;
    struct bus_letter *letter_; /* what is to be posted, or the answer */
    size_t bytes_;
    struct span hub, client_id; /* who is called */
    struct span rid;            /* nobody else's, and not to be guessed */
    void (*tell)(struct bus_call *c);
};

/* ---- the caller ---- */

/* Takes the letter (of kind METHOD, made by bus_letter_new) over and posts it, now or as soon as it
 * can be. False: LIMIT_CALLS, LIMIT_CALL_BYTES, the same of the hub or LIMIT_CALLS_DEVICE is
 * reached; the letter stays the caller's. */
bool bus_call_begin(struct bus *b, struct bus_call *c, struct bus_letter *letter);
enum bus_call_state bus_call_state(struct bus *b, struct bus_call *c);
/* Once it is ANSWERED; lives until bus_call_end. `number` is the device's status. */
const struct bus_letter *bus_call_answer_of(const struct bus_call *c);
/* No `tell` runs or will run after this returns; an answer that comes is dropped. A letter that was
 * not taken never is. Harmless when not begun. */
void bus_call_end(struct bus *b, struct bus_call *c);

/* ---- the session ---- */

/* It subscribed: what waited for that is posted. (bus_claim does the same.) */
void bus_call_ready(struct bus *b, struct bus_member *m);
/* What was taken is not for this device, which did not subscribe. Owns the letter. */
void bus_call_decline(struct bus *b, struct bus_member *m, struct bus_letter *letter);
/* The device's answer; number and payload are copied. False: no call for this client ID has that
 * rid and waits. */
bool bus_call_answer(struct bus *b, struct bus_member *m, struct span rid,
                     const struct bus_letter *answer);
/* Does anyone wait for this session's device? */
bool bus_call_is_awaited(struct bus *b, const struct bus_member *m);

/* Those begun and not ended. */
size_t bus_calls(struct bus *b);

#endif
