/* front/lanes.h: who is next of those that wait for a worker. No threads, no clock: front/work.c
 * has both. Inside front/ only.
 *
 *   door ------ row by address ...          requests of devices that nobody knows yet
 *   lane of a scope ------ row by group     the same, once they have proven whose they are
 *   lane of the strangers - row by address  ... and when they have proven nothing
 *   lane of a hub, of an address            everything else
 *
 * Lanes take turns, and in a lane its rows; the door, where work is short, has DOOR_TURNS of them
 * for each of all lanes together. In a row those that finish what was begun go before those that
 * begin; else it is first come, first served. A lane is whoever's has jobs in it, so that tenants
 * share one only if more than FRONT_LANES of them wait at once; rows likewise.
 *
 * A turn is worth FRONT_TURN_US of a worker: a lane whose job took longer is passed over until that
 * is paid, while others wait. Else who has long jobs (a rule may run for LIMIT_RULE_MS) had nearly
 * all the time there is. */
#ifndef FRONT_LANES_H
#define FRONT_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/pacing.h"

enum { FRONT_LANES = 64, FRONT_LANE_ROWS = 64, FRONT_DEBTS = 256 };
enum { FRONT_TURN_US = 5000, FRONT_DEBT_MAX_US = 200 * FRONT_TURN_US };

struct front_worker;

enum front_lane_kind {
    FRONT_LANE_OTHER,     /* owner: a hub, or an address; one row */
    FRONT_LANE_SCOPE,     /* owner: the scope, group: an enrollment group, or 0: all individuals */
    FRONT_LANE_STRANGERS, /* group: an address */
    FRONT_LANE_DOOR,      /* group: an address */
    FRONT_LANE_KINDS
};

/* Whose a job is. Numbers are hashes. */
struct front_lane {
    enum front_lane_kind kind;
    bool is_finishing; /* and not beginning anything */
    uint32_t owner, group;
};

struct front_job {
    struct front_job *next; /* the queue's */
    struct front_lane lane;
    uint64_t sign; /* by which its lane may be guessed while it is at the door; 0: there is none */
    int64_t began_us; /* the queue's: when it was begun */
    /* Owns the job from here on. */
    void (*run)(struct front_job *job, struct front_worker *w);
};

struct front_row {
    struct front_job *head, *last_finishing, *last; /* the lasts: only when there is such a job */
    size_t n;
    uint32_t group;
    struct pacing_line line; /* of those that were sent away */
};

struct front_lane_queue {
    enum front_lane_kind kind;
    uint32_t owner;
    size_t n;
    uint64_t waiting; /* a bit for each row that has a job */
    unsigned turn;    /* the row that is looked at first */
    struct front_row rows[FRONT_LANE_ROWS];
};

/* What jobs with this sign turned out to be of late. */
struct front_guess {
    uint64_t sign;
    struct front_lane lane;
};
enum { FRONT_GUESSES = 1024 };

/* All zero: nobody waits. */
struct front_lanes {
    struct front_lane_queue lanes[FRONT_LANES];
    struct front_lane_queue door;
    uint64_t waiting;
    unsigned turn, door_turns;
    size_t n;
    size_t n_lanes[FRONT_LANE_KINDS], n_jobs[FRONT_LANE_KINDS]; /* that wait, by their kind */
    struct front_guess guesses[FRONT_GUESSES];
    int64_t owed_us[FRONT_DEBTS]; /* by owner, also while nobody of it waits */
};

/* What is for the door, and has a sign that was learned, goes straight to the lane of the others
 * that had it, so that it need not wait twice. It is a guess: anybody may show that sign. */
void front_lanes_put(struct front_lanes *l, struct front_job *job);
void front_lanes_learn(struct front_lanes *l, uint64_t sign, const struct front_lane *lane);
/* NULL: nobody waits. */
struct front_job *front_lanes_take(struct front_lanes *l);
/* A job of this lane took a worker so long. */
void front_lanes_spent(struct front_lanes *l, const struct front_lane *lane, int64_t took_us);

bool front_lane_is_same(const struct front_lane *a, const struct front_lane *b);

/* What a job that got in line now would have before it, in jobs: those of its own row and as many
 * of each other one that takes turns with it. *ret_shares: how many rows that are, at least 1. */
size_t front_lanes_ahead(struct front_lanes *l, const struct front_lane *lane, size_t *ret_shares);

/* No place for it. What is left of `places` tells how much one may have: a lane no more than is
 * free, and a row no more than is then left of that; so there is always room for who has nothing
 * yet. Who finishes what was begun is refused only when there is no place at all. */
bool front_lanes_is_full(struct front_lanes *l, const struct front_lane *lane, size_t places);

/* The line of those that were sent away from this row; NULL: nobody waits in it. */
struct pacing_line *front_lanes_line(struct front_lanes *l, const struct front_lane *lane);

#endif
