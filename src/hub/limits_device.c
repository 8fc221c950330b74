/* hub/limits_device.c: a set-associative table: a device's hash says in which set of WAYS lines its
 * line may be. A line is a device's key and buckets, 64 bytes. Each lock is that of many sets. */
#include "hub/limits_device.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "crypto/crypto.h"
#include "model/limits.h"

enum { WAYS = 8, SETS = LIMIT_THROTTLED_DEVICES / WAYS, LOCKS = 64 };

struct line {
    uint64_t key; /* 0: nobody's */
    struct throttle_bucket buckets[THROTTLE_OF_DEVICE];
};
_Static_assert(sizeof(struct line) == 64, "a cache line");

struct limits_device {
    uint64_t seed; /* so that nobody picks a name that shares another's line */
    pthread_mutex_t locks[LOCKS];
    struct line *lines; /* mapped; what is never used takes no memory */
};

enum { LINES_SIZE = LIMIT_THROTTLED_DEVICES * sizeof(struct line) };

err hub_limits_device_new(struct limits_device **ret_table)
{
    struct limits_device *t = calloc(1, sizeof *t);

    if (t == NULL) {
        return ERR(NOMEM);
    }
    t->lines = mmap(NULL, LINES_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (t->lines == MAP_FAILED) {
        free(t);
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_init(&t->locks[i], NULL);
    }
    crypto_random(&t->seed, sizeof t->seed);
    *ret_table = t;
    return OK;
}

void hub_limits_device_free(struct limits_device *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_destroy(&t->locks[i]);
    }
    (void)munmap(t->lines, LINES_SIZE);
    free(t);
}

/* splitmix64's finalizer. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t hash(uint64_t h, struct span s)
{
    for (size_t at = 0; at < s.len; at += sizeof(uint64_t)) {
        size_t n = s.len - at < sizeof(uint64_t) ? s.len - at : sizeof(uint64_t);
        uint64_t word = 0;

        memcpy(&word, s.data + at, n);
        h = mix(h ^ word) + UINT64_C(0x9e3779b97f4a7c15);
    }
    return mix(h ^ s.len);
}

/* When the last of its buckets is full. */
static int64_t full_ns(const struct line *line)
{
    int64_t latest = 0;

    for (size_t i = 0; i < THROTTLE_OF_DEVICE; i++) {
        int64_t at = atomic_load_explicit(&line->buckets[i].full_ns, memory_order_relaxed);

        latest = at > latest ? at : latest;
    }
    return line->key == 0 ? 0 : latest;
}

static struct line *line_of(struct line *set, uint64_t key)
{
    struct line *fullest = set;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
        if (full_ns(&set[i]) < full_ns(fullest)) {
            fullest = &set[i];
        }
    }
    memset(fullest, 0, sizeof *fullest);
    fullest->key = key;
    return fullest;
}

struct throttle_bucket *hub_limits_device_lock(struct limits_device *t,
                                               const struct limits_device_key *whose,
                                               enum throttle_operation op,
                                               struct limits_device_place *ret_place)
{
    uint64_t key = hash(hash(t->seed + whose->epoch, whose->host), whose->client_id) | 1;
    size_t set = (size_t)(key >> 32) % SETS;

    assert(op > THROTTLE_NOTHING && (int)op <= THROTTLE_OF_DEVICE);
    ret_place->lock = &t->locks[set % LOCKS];
    (void)pthread_mutex_lock(ret_place->lock);
    return &line_of(&t->lines[set * WAYS], key)->buckets[op - 1];
}

void hub_limits_device_unlock(struct limits_device_place *place)
{
    (void)pthread_mutex_unlock(place->lock);
}
