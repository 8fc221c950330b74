/* api/surface.h: what front/ drives and api/ implements: the meaning of one connection's bytes. A
 * surface runs on its connection's loop and never blocks; whatever may block becomes a task, which
 * runs from top to bottom on a worker thread.
 *
 *   front: bytes arrive --> step() --> SURFACE_WORK  --> worker: task->run() --> finish() -->
 * step() …
 *                                  \-> SURFACE_APPEND --> sink, durable      --> finish()
 *
 * While a task of SURFACE_WORK is out, step() is not called and the input stays where it is, so
 * spans into it hold until finish(). */
#ifndef API_SURFACE_H
#define API_SURFACE_H

#include "crypto/x509.h"
#include "hub/bus.h"
#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"
#include "store/sink.h"
#include "util/arena.h"
#include "util/buf.h"

struct geo;
struct core_loads;
struct core_errands;
struct hub_limits;
struct hub_presence;
struct metrics;
struct elsewhere;

/* What every surface may use; one for the process, read-only once serving. */
struct service {
    struct store *store;
    struct sink *sink;
    struct bus *bus;
    struct hub_presence *presence;     /* NULL: nobody wants to know */
    struct hub_limits *limits;         /* NULL: nothing is limited */
    const struct elsewhere *elsewhere; /* NULL: nobody elsewhere is talked to */
    struct geo *geo;                   /* NULL: no database */
    struct core_loads *loads;          /* NULL: none are kept */
    struct core_errands *errands;      /* NULL: nobody runs errands */
    struct metrics *metrics;
    const char *version;
    bool metrics_public;       /* /metrics for any peer, not only loopback */
    bool (*is_draining)(void); /* SIGTERM was received */
    /* A host name came or went: a hub or an instance was made or deleted. Any worker, may block.
     * NULL: nobody wants to know. */
    void (*hosts_changed)(void);
};

/* Who is at the other end; lives as long as the connection. */
struct peer {
    enum transport transport;
    char address[64]; /* "192.0.2.1:40000", "[::1]:40000" */
    bool is_loopback;
    struct crypto_cert *
        *chain; /* client certificates, leaf first; possession proven, trust not judged */
    size_t n_chain;
    bool has_unreadable_chain; /* more than LIMIT_CHAIN_CERTIFICATES, or oversize: n_chain is 0 */
};

/* What the log line of a request says. Spans must live as long as the task. One line is written for
 * each task, and for each refusal given without one (surface_io.note). */
struct access_note {
    const char
        *surface; /* "dps-mqtt", "dps-http", "service", "manage", "hub-mqtt", "hub-http", "ops" */
    const char *operation; /* "register", "get-operation-status", "connect", "telemetry", "PUT
                              /enrollments/{id}" … static text */
    struct span scope;     /* ID scope or hub, as named */
    struct span id;        /* registration, device, enrollment … */
    enum reason reason;
    int status;        /* on the wire; 0: none */
    const char *fault; /* what broke, for REASON_INTERNAL; NULL: nothing */
    bool quiet;        /* granted telemetry: counted, not logged */
    bool is_part;      /* the request goes on after this task: neither counted nor logged */
    int64_t waited_us; /* that it waited before this task, for a device */
    bool has_device_status;
    int64_t device_status; /* what a device answered a direct method with */
};

struct surface;

struct task {
    void (*run)(struct task *t); /* on a worker; unused with SURFACE_APPEND */
    const struct service *service;
    const struct peer *peer;
    struct env env; /* arena, time and tracking ID are set from the start; store, crypto, certs when
                       run is called */
    struct arena arena;
    struct sink_append append; /* SURFACE_APPEND: event filled by the surface, in the arena */
    err append_result;         /* set before finish(), and note.fault when it failed */
    void *state;               /* the surface's, in the arena */
    struct access_note note;
};

/* Whose turn a task takes. */
enum surface_turn {
    SURFACE_TURN_OWN,    /* surface.lane's */
    SURFACE_TURN_BEGIN,  /* that of whom the task finds it to be (env.turn): it begins something */
    SURFACE_TURN_FINISH, /* the same, and it asks for what was begun before */
};

/* One call's view of the connection. */
struct surface_io {
    uint8_t *in; /* received, not yet consumed; the surface may write into it (de-chunking) */
    size_t in_len;
    size_t consumed; /* out: bytes done with */
    struct buf *out; /* grows; sent in order */
    int64_t now_ms;
    /* A task to fill, or NULL when the server is at its limit: answer THROTTLED with
     * io->retry_after_s. Taken at most once a call; it must then be returned through *ret_task with
     * SURFACE_WORK or _APPEND. */
    struct task *(*new_task)(struct surface_io *io);
    enum surface_turn turn; /* in: set before new_task */
    int retry_after_s;      /* with finish(): of a task that ends with THROTTLED */
    struct task *task;      /* out: with SURFACE_WORK, SURFACE_APPEND */
    /* A decision made without a task (a malformed CONNECT, say): write its log line. Copies. */
    void (*note)(struct surface_io *io, const struct access_note *note);
};

enum surface_step {
    SURFACE_IDLE,   /* wait: for input, for a task, for out to drain, for a signal */
    SURFACE_AGAIN,  /* call step again */
    SURFACE_WORK,   /* run io->task on a worker; no step until its finish */
    SURFACE_APPEND, /* append io->task->append; call step again meanwhile; finishes come in order */
    SURFACE_CLOSE,  /* send what is in out, then close */
};

struct surface_ops {
    const char *name; /* "mqtt", "http" */
    const char *alpn; /* NULL or the one protocol name to agree to, e.g. "http/1.1" */
    size_t size;      /* of the surface's struct */
    void (*init)(struct surface *s, int64_t now_ms);
    /* Called when there is new input, when out has drained, after a finish, after SURFACE_AGAIN and
     * after on_deadline; once in a while without any of that. */
    enum surface_step (*step)(struct surface *s, struct surface_io *io);
    /* A task came back: write the answer. IDLE, AGAIN or CLOSE. The task dies after it. */
    enum surface_step (*finish)(struct surface *s, struct task *t, struct surface_io *io);
    /* Signals of enum bus_signal (or-ed since the last call) arrived. IDLE, AGAIN, or CLOSE. Not
     * called while a SURFACE_WORK task is out: then it follows the finish. */
    enum surface_step (*on_signal)(struct surface *s, unsigned signals, struct surface_io *io);
    /* The next time to call on_deadline; INT64_MAX: none. */
    int64_t (*deadline)(const struct surface *s);
    enum surface_step (*on_deadline)(struct surface *s,
                                     struct surface_io *io); /* AGAIN, IDLE or CLOSE */
    /* The connection is gone (by the peer, or after SURFACE_CLOSE). May give one last
     * SURFACE_APPEND (a will); anything else counts as IDLE. No call follows but finish() of
     * appends still out. */
    enum surface_step (*closed)(struct surface *s, struct surface_io *io);
    /* Has something begun that only waits for others? Then a server that stops lets it go on for a
     * while, and tells it nothing: step() is called, and asks service->is_draining. NULL: never. */
    bool (*is_busy)(const struct surface *s);
};

/* The first member of each surface's struct; filled by front/. */
struct surface {
    const struct surface_ops *ops;
    const struct service *service;
    const struct peer *peer;
    /* Whose turn its tasks take (front/work.h): the peer's address until the surface knows better.
     */
    uint32_t lane;
    /* The surface's: it takes no more input before its deadline, so none is read. */
    bool is_held_up;
    /* For bus_member.tell: thread-safe, passes signals to on_signal on the loop. */
    void (*tell)(struct surface *s, unsigned signals);
};

extern const struct surface_ops
    API_MQTT_SURFACE; /* 8883: DPS and hub devices, told apart by user name */
extern const struct surface_ops
    API_HTTP_SURFACE; /* 443: DPS devices, service API, management, hub, operations */

#endif
