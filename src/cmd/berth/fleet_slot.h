/* cmd/berth/fleet_slot.h: one device at work, and what the slots of a fleet share. Inside the fleet
 * only.
 *
 *   FREE -> CONNECTING -> HANDSHAKING -> TALKING <-> WAITING (retry-after)
 *                ^                          |
 *                |  to the hub              v
 *                +---------------------- CLOSING -> FREE
 *
 * With --hold a slot that is at the hub stays TALKING, and its wake_ns says when to speak next; all
 * are cut off together at cut_ns, and go to the hub once more.
 *
 * CLOSING waits for the server's end of the connection, so that it is the server that keeps the
 * closed connection in TIME_WAIT and the local ports last. */
#ifndef CMD_BERTH_FLEET_SLOT_H
#define CMD_BERTH_FLEET_SLOT_H

#include <sys/socket.h>

#include "berth/hub_client.h"
#include "berth/provisioning.h"
#include "cmd/berth/fleet.h"

#define FLEET_NS_PER_S 1000000000LL
#define FLEET_NEVER    INT64_MAX

enum { FLEET_WINDOW_MAX = 64, FLEET_IN_BYTES = 4096 };

enum fleet_phase { FREE, CONNECTING, HANDSHAKING, TALKING, WAITING, CLOSING };

struct fleet_slot {
    enum fleet_phase phase;
    bool at_hub, is_counted, is_held, has_returned;
    int fd;
    SSL *ssl;
    const struct fleet_identity *who;
    int64_t due_ns, began_ns, wake_ns, give_up_ns;
    struct berth_provisioning provisioning;
    struct berth_provisioning_result result; /* of the service, while at the hub */
    struct berth_hub_client hub;
    int64_t sent_ns[FLEET_WINDOW_MAX];
    int sent, acknowledged;
    uint8_t *in, *out;
    struct fleet_slot *next_free;
};

struct fleet_engine {
    const struct fleet_plan *plan;
    struct fleet_stats *stats;
    struct fleet_slot *slots, *free_slots;
    uint64_t begun, ended;
    int64_t start_ns, now_ns, scan_ns;
    uint64_t held; /* arrived at the hub to stay */
    int64_t
        cut_ns; /* when all that stay are cut off; FLEET_NEVER: not all are there, or it is done */
    int epoll;
    struct sockaddr_storage address;
    socklen_t address_len;
    size_t out_bytes;
    uint8_t *message;
};

/* Takes a free slot for the next device and begins to connect. */
void berth_fleet_slot_begin(struct fleet_engine *e);
/* Something happened on its socket: as far as it goes without waiting. */
void berth_fleet_slot_drive(struct fleet_engine *e, struct fleet_slot *s);
/* Looks at the clock (e->now_ns): ends a wait, or gives up. */
void berth_fleet_slot_tick(struct fleet_engine *e, struct fleet_slot *s);
/* It stays at the hub: cuts it off and lets it connect anew. */
void berth_fleet_slot_cut(struct fleet_engine *e, struct fleet_slot *s);
/* Frees what it holds. */
void berth_fleet_slot_drop(struct fleet_slot *s);

/* When the numbered run is due to begin under --rate. */
int64_t berth_fleet_slot_due_ns(const struct fleet_engine *e, uint64_t number);
int64_t berth_fleet_slot_now_ns(void);

#endif
