/* cmd/berth/fleet_engine.c: many devices at a time on one thread: begins them when they are due,
 * waits for their sockets with epoll, and looks at their clocks. What a device does is
 * fleet_slot.c's. */
#include "cmd/berth/fleet_slot.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define NS_PER_MS 1000000LL
#define SCAN_NS   (10 * NS_PER_MS)

enum { OUT_BYTES = 1024, MESSAGE_OVERHEAD = 256, EVENTS = 256, ANSWER_MS = 2000 };

static int64_t next_due_ns(const struct fleet_engine *e)
{
    if (e->begun == e->plan->total || e->free_slots == NULL) {
        return FLEET_NEVER;
    }
    return e->plan->rate > 0 ? berth_fleet_slot_due_ns(e, e->begun) : e->now_ns;
}

/* Once all are at the hub, or have failed, the time that they stay begins; when it is over, all are
 * cut off. */
static void mind_hold(struct fleet_engine *e)
{
    const struct fleet_plan *plan = e->plan;

    if (plan->mode != FLEET_HOLD || e->stats->held_seconds > 0) {
        return;
    }
    if (e->cut_ns == FLEET_NEVER && e->held > 0 && e->held + e->ended >= plan->total) {
        e->cut_ns = e->now_ns + plan->hold_ns;
        (void)fprintf(stderr, "%llu devices are at the hub.\n", (unsigned long long)e->held);
    }
    if (e->now_ns < e->cut_ns) {
        return;
    }
    e->stats->held_seconds = (double)plan->hold_ns / 1e9;
    (void)fprintf(stderr, "All are cut off, and connect anew.\n");
    for (size_t i = 0; i < plan->concurrency; i++) {
        berth_fleet_slot_cut(e, &e->slots[i]);
    }
}

static err loop(struct fleet_engine *e)
{
    struct epoll_event events[EVENTS];

    while (e->ended < e->plan->total) {
        int64_t wait_ns;
        int n;

        e->now_ns = berth_fleet_slot_now_ns();
        while (next_due_ns(e) <= e->now_ns) {
            berth_fleet_slot_begin(e);
        }
        mind_hold(e);
        if (e->now_ns >= e->scan_ns) {
            for (size_t i = 0; i < e->plan->concurrency; i++) {
                berth_fleet_slot_tick(e, &e->slots[i]);
            }
            e->scan_ns = e->now_ns + SCAN_NS;
        }
        wait_ns = next_due_ns(e) - e->now_ns;
        wait_ns = wait_ns < e->scan_ns - e->now_ns ? wait_ns : e->scan_ns - e->now_ns;
        n = epoll_wait(e->epoll, events, EVENTS,
                       wait_ns > 0 ? (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS) : 0);
        if (n < 0 && errno != EINTR) {
            return err_set(ERR_IO, "epoll: %s", strerror(errno));
        }
        for (int i = 0; i < n; i++) {
            berth_fleet_slot_drive(e, events[i].data.ptr);
        }
    }
    return OK;
}

/* --- Beginning and end. -------------------------------------------------------------------- */

static bool answers(const struct addrinfo *at)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd wait = { .fd = fd, .events = POLLOUT };
    int fault = -1;
    socklen_t len = sizeof(fault);

    if (fd < 0) {
        return false;
    }
    if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
        fault = 0;
    } else if (errno == EINPROGRESS && poll(&wait, 1, ANSWER_MS) == 1) {
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &len);
    }
    (void)close(fd);
    return fault == 0;
}

/* Of a name with several addresses (localhost is ::1, too) the first that answers; else the first.
 */
static err find_address(struct fleet_engine *e)
{
    const struct endpoint *to = &e->plan->endpoint;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL, *at;
    const char *name = to->address ? to->address : to->host;
    char port[8];
    int fault;

    (void)snprintf(port, sizeof(port), "%d", to->port);
    fault = getaddrinfo(name, port, &hints, &list);
    if (fault != 0) {
        return err_set(ERR_IO, "cannot find %s: %s", name, gai_strerror(fault));
    }
    for (at = list; list->ai_next != NULL && at != NULL && !answers(at); at = at->ai_next) {
    }
    at = at != NULL ? at : list;
    memcpy(&e->address, at->ai_addr, at->ai_addrlen);
    e->address_len = at->ai_addrlen;
    freeaddrinfo(list);
    return OK;
}

static err make_slots(struct fleet_engine *e, struct arena *arena)
{
    const struct fleet_plan *plan = e->plan;

    e->out_bytes = OUT_BYTES;
    if (plan->mode >= FLEET_TELEMETRY) {
        e->out_bytes += plan->window * (plan->message_size + MESSAGE_OVERHEAD);
    }
    e->slots = ARENA_ARRAY(arena, plan->concurrency, struct fleet_slot);
    e->message = arena_alloc(arena, plan->message_size + 1);
    if (e->slots == NULL || e->message == NULL) {
        return ERR(NOMEM);
    }
    memset(e->message, 'm', plan->message_size);
    for (size_t i = plan->concurrency; i > 0; i--) {
        struct fleet_slot *s = &e->slots[i - 1];

        s->fd = -1;
        s->in = arena_alloc(arena, FLEET_IN_BYTES);
        s->out = arena_alloc(arena, e->out_bytes);
        if (s->in == NULL || s->out == NULL) {
            return err_set(ERR_NOMEM, "--concurrency is more than memory is set aside for");
        }
        s->next_free = e->free_slots;
        e->free_slots = s;
    }
    return OK;
}

static double cpu_seconds(void)
{
    struct rusage use;

    (void)getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

err berth_fleet_engine_run(struct arena *arena, const struct fleet_plan *plan,
                           struct fleet_stats *stats)
{
    struct fleet_engine e = { .plan = plan, .stats = stats, .cut_ns = FLEET_NEVER };
    double cpu;
    err result;

    TRY(find_address(&e));
    TRY(make_slots(&e, arena));
    e.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (e.epoll < 0) {
        return err_set(ERR_IO, "epoll: %s", strerror(errno));
    }
    cpu = cpu_seconds();
    e.start_ns = berth_fleet_slot_now_ns();
    result = loop(&e);
    stats->seconds = (double)(berth_fleet_slot_now_ns() - e.start_ns) / 1e9;
    stats->cpu_seconds = cpu_seconds() - cpu;
    for (size_t i = 0; i < plan->concurrency; i++) {
        berth_fleet_slot_drop(&e.slots[i]);
    }
    (void)close(e.epoll);
    return result;
}
