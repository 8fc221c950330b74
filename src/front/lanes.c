/* front/lanes.c: lists of jobs, and a bit for each that is not empty, so that whose turn it is
 * takes a handful of instructions whoever waits. A lane's place is free as soon as it is empty. */
#include "front/lanes.h"

#include <assert.h>

enum { DOOR_TURNS = 3, NOWHERE = -1 };

static uint64_t bit(unsigned i)
{
    return UINT64_C(1) << i;
}

/* ---- finding ---- */

static bool is_lane_of(const struct front_lane_queue *q, const struct front_lane *lane)
{
    return q->kind == lane->kind && q->owner == lane->owner;
}

bool front_lane_is_same(const struct front_lane *a, const struct front_lane *b)
{
    return a->kind == b->kind && a->owner == b->owner && a->group == b->group;
}

/* Where the lane is; when it is nowhere, with `claim` where it may be. */
static int find_lane(const struct front_lanes *l, const struct front_lane *lane, bool claim)
{
    for (uint64_t left = l->waiting; left != 0; left &= left - 1) {
        int i = __builtin_ctzll(left);

        if (is_lane_of(&l->lanes[i], lane)) {
            return i;
        }
    }
    if (~l->waiting == 0) {
        return (int)(lane->owner % FRONT_LANES); /* with somebody else */
    }
    return claim ? __builtin_ctzll(~l->waiting) : NOWHERE;
}

static int find_row(const struct front_lane_queue *q, uint32_t group, bool claim)
{
    for (uint64_t left = q->waiting; left != 0; left &= left - 1) {
        int i = __builtin_ctzll(left);

        if (q->rows[i].group == group) {
            return i;
        }
    }
    if (~q->waiting == 0) {
        return (int)(group % FRONT_LANE_ROWS);
    }
    return claim ? __builtin_ctzll(~q->waiting) : NOWHERE;
}

static struct front_lane_queue *lane_of(struct front_lanes *l, const struct front_lane *lane)
{
    int i;

    if (lane->kind == FRONT_LANE_DOOR) {
        return l->door.n > 0 ? &l->door : NULL;
    }
    i = find_lane(l, lane, false);
    return i == NOWHERE ? NULL : &l->lanes[i];
}

static struct front_row *row_of(struct front_lane_queue *q, const struct front_lane *lane)
{
    int i = q == NULL ? NOWHERE : find_row(q, lane->group, false);

    return i == NOWHERE ? NULL : &q->rows[i];
}

struct pacing_line *front_lanes_line(struct front_lanes *l, const struct front_lane *lane)
{
    struct front_row *row = row_of(lane_of(l, lane), lane);

    return row == NULL ? NULL : &row->line;
}

/* ---- getting in line ---- */

static void put_in_row(struct front_row *row, struct front_job *job)
{
    struct front_job **after = NULL; /* a pointer to the job that it stands behind */

    if (job->lane.is_finishing) {
        after = row->last_finishing != NULL ? &row->last_finishing : NULL;
    } else {
        after = row->n > 0 ? &row->last : NULL;
    }
    job->next = after != NULL ? (*after)->next : row->head;
    if (after != NULL) {
        (*after)->next = job;
    } else {
        row->head = job;
    }
    if (job->lane.is_finishing) {
        row->last_finishing = job;
    }
    if (job->next == NULL) {
        row->last = job;
    }
    row->n++;
}

static void put_in_lane(struct front_lane_queue *q, struct front_job *job)
{
    int i = find_row(q, job->lane.group, true);
    struct front_row *row = &q->rows[i];

    if (row->n == 0) {
        *row = (struct front_row){ .group = job->lane.group };
        q->waiting |= bit((unsigned)i);
    }
    put_in_row(row, job);
    q->n++;
}

static struct front_guess *guess_of(struct front_lanes *l, uint64_t sign)
{
    return &l->guesses[(sign ^ sign >> 32) % FRONT_GUESSES];
}

void front_lanes_learn(struct front_lanes *l, uint64_t sign, const struct front_lane *lane)
{
    *guess_of(l, sign) = (struct front_guess){ sign, *lane };
}

static void guess_lane(struct front_lanes *l, struct front_job *job)
{
    const struct front_guess *guess = guess_of(l, job->sign);
    bool is_finishing = job->lane.is_finishing;

    if (job->sign != 0 && job->lane.kind == FRONT_LANE_DOOR && guess->sign == job->sign) {
        job->lane = guess->lane;
        job->lane.is_finishing = is_finishing;
    }
}

void front_lanes_put(struct front_lanes *l, struct front_job *job)
{
    struct front_lane_queue *q = &l->door;

    guess_lane(l, job);
    if (job->lane.kind != FRONT_LANE_DOOR) {
        int i = find_lane(l, &job->lane, true);

        q = &l->lanes[i];
        l->waiting |= bit((unsigned)i);
    }
    if (q->n == 0) {
        q->kind = job->lane.kind;
        q->owner = job->lane.owner;
        l->n_lanes[q->kind]++;
    }
    put_in_lane(q, job);
    l->n++;
    l->n_jobs[q->kind]++;
}

/* ---- turns ---- */

/* The first that waits, from the one on whose turn it is. */
static unsigned whose_turn(uint64_t waiting, unsigned turn)
{
    uint64_t behind = waiting >> turn << turn;

    return (unsigned)__builtin_ctzll(behind != 0 ? behind : waiting);
}

static struct front_job *take_from_lane(struct front_lane_queue *q)
{
    unsigned i = whose_turn(q->waiting, q->turn);
    struct front_row *row = &q->rows[i];
    struct front_job *job = row->head;

    row->head = job->next;
    row->last_finishing = row->last_finishing == job ? NULL : row->last_finishing;
    row->n--;
    q->n--;
    if (row->n == 0) {
        q->waiting &= ~bit(i);
    }
    q->turn = (i + 1) % FRONT_LANE_ROWS;
    return job;
}

static int64_t *debt_of(struct front_lanes *l, enum front_lane_kind kind, uint32_t owner)
{
    return &l->owed_us[(owner + kind) % FRONT_DEBTS];
}

void front_lanes_spent(struct front_lanes *l, const struct front_lane *lane, int64_t took_us)
{
    int64_t *debt = debt_of(l, lane->kind, lane->owner);
    int64_t more_us = took_us < FRONT_DEBT_MAX_US ? took_us - FRONT_TURN_US : FRONT_DEBT_MAX_US;

    if (lane->kind != FRONT_LANE_DOOR && more_us > 0) {
        *debt = *debt + more_us < FRONT_DEBT_MAX_US ? *debt + more_us : FRONT_DEBT_MAX_US;
    }
}

/* Ends: each round pays, and what is owed has a bound. */
static unsigned next_lane(struct front_lanes *l)
{
    unsigned i = whose_turn(l->waiting, l->turn);
    bool are_several = (l->waiting & (l->waiting - 1)) != 0;
    int64_t *debt;

    while (debt = debt_of(l, l->lanes[i].kind, l->lanes[i].owner), are_several && *debt > 0) {
        *debt -= FRONT_TURN_US < *debt ? FRONT_TURN_US : *debt;
        i = whose_turn(l->waiting, (i + 1) % FRONT_LANES);
    }
    return i;
}

struct front_job *front_lanes_take(struct front_lanes *l)
{
    struct front_lane_queue *q = &l->door;
    struct front_job *job;

    if (l->n == 0) {
        return NULL;
    }
    if (l->door.n > 0 && (l->waiting == 0 || l->door_turns < DOOR_TURNS)) {
        l->door_turns++;
    } else {
        unsigned i = next_lane(l);

        l->door_turns = 0;
        l->turn = (i + 1) % FRONT_LANES;
        q = &l->lanes[i];
        l->waiting &= q->n == 1 ? ~bit(i) : ~UINT64_C(0);
    }
    job = take_from_lane(q);
    l->n--;
    l->n_jobs[q->kind]--;
    l->n_lanes[q->kind] -= q->n == 0;
    return job;
}

/* ---- how many ---- */

static size_t at_least_one(uint64_t bits)
{
    return bits == 0 ? 1 : (size_t)__builtin_popcountll(bits);
}

size_t front_lanes_ahead(struct front_lanes *l, const struct front_lane *lane, size_t *ret_shares)
{
    struct front_lane_queue *q = lane_of(l, lane);
    const struct front_row *row = row_of(q, lane);
    size_t shares = at_least_one(l->waiting) * at_least_one(q != NULL ? q->waiting : 0);
    size_t ahead = row == NULL ? 0 : row->n * shares;

    *ret_shares = shares;
    return ahead < l->n ? ahead : l->n;
}

bool front_lanes_is_full(struct front_lanes *l, const struct front_lane *lane, size_t places)
{
    struct front_lane_queue *q = lane_of(l, lane);
    const struct front_row *row = row_of(q, lane);
    size_t of_lane = q != NULL ? q->n : 0, of_row = row != NULL ? row->n : 0;
    size_t left = places > l->n ? places - l->n : 0;

    if (lane->is_finishing || left == 0) {
        return left == 0;
    }
    return of_lane >= left ||
           (lane->kind != FRONT_LANE_OTHER && of_row > 0 && of_row + of_lane >= left);
}
