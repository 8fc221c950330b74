/* front/conn.h: one connection: its socket, TLS session, buffers and times, and the surface that
 * gives its bytes a meaning (driven in front/drive.c). Lives on one loop; freed when the socket is
 * closed and nothing of it is out on a worker, in the sink or on the bus. */
#ifndef FRONT_CONN_H
#define FRONT_CONN_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "front/loop.h"

/*  HANDSHAKE --> OPEN --> CLOSING --> LINGER --> GONE
 *      |          |          |                     ^
 *      +----------+----------+---------------------+   broken, overdue, cut
 * CLOSING sends what is left; LINGER waits for the peer to close, so that a reset does not overtake
 * the last answer. */
enum front_conn_state { CONN_HANDSHAKE, CONN_OPEN, CONN_CLOSING, CONN_LINGER, CONN_GONE };

/* A task of the surface's, in one mapping with its arena. */
struct front_task {
    struct task task;
    struct front_job job;   /* to a worker */
    struct front_post post; /* and back, also from the sink */
    struct front_conn *conn;
    struct front_task *next; /* of the connection's appends */
    int64_t began_us;
    bool is_back;
    struct env_turn turn;
    size_t arena_mark; /* what lies behind belongs to one run */
    bool is_put_back;  /* to wait for its turn */
};

struct front_input {
    uint8_t *data;
    size_t len, cap;
    size_t held; /* consumed by a request that a worker still reads */
};

struct front_conn {
    struct front_loop *loop;
    const struct front_endpoint *endpoint;
    struct front_conn *prev, *next; /* of the loop */
    struct front_conn *ready_next;
    bool is_ready;

    enum front_conn_state state;
    int fd;
    uv_poll_t poll;
    uv_timer_t timer;
    int n_handles;  /* of libuv's not yet closed */
    int armed;      /* what poll waits for */
    int64_t due_ms; /* of timer; INT64_MAX: not armed */
    struct front_tls_session *tls;
    struct peer peer;
    struct crypto_cert **chain; /* peer.chain */

    bool has_spoken;                                    /* an event came */
    bool is_put_off;                                    /* its handshake was given more time */
    bool has_slot;                                      /* counts as a handshake in flight */
    bool is_read_blocked;                               /* until the socket is readable */
    bool is_write_blocked;                              /* until it is writable */
    int64_t handshake_ms, slot_ms, stall_ms, linger_ms; /* when over; INT64_MAX: not running */

    struct front_input in;
    struct buf out;

    /* front/drive.c's */
    struct front_surface_box *box; /* NULL: not open yet */
    bool wants_close;              /* the surface is done */
    bool is_farewell_done;         /* closed() was called */
    struct front_task *work;       /* out on a worker */
    struct front_task *appends;    /* out to the sink, oldest first */
    size_t n_appends;
    unsigned held_signals; /* arrived while work was out */
    atomic_uint signals;   /* not 0: signal_post is on its way */
    struct front_post signal_post;
};

/* Takes over the socket. */
void front_conn_accept(struct front_listener *listener, int fd,
                       const struct sockaddr_storage *from);
/* Reads, sends and closes as far as may be. Called by the loop; may free it. */
void front_conn_visit(struct front_conn *c);
/* Closes the socket now. */
void front_conn_cut(struct front_conn *c);
/* Frees it if it is gone and nothing is out. */
void front_conn_free_if_over(struct front_conn *c);
/* Room for more input. False: it is at its limit. */
bool front_conn_grow_input(struct front_conn *c);
/* Forgets the first n bytes of the input. */
void front_conn_drop_input(struct front_conn *c, size_t n);

#endif
