/* crypto/seal.c: the ring is a page of key slots that are written once and found by number: which
 * ones count is an atomic count, which one seals an atomic index, so nobody waits. Each thread has
 * a cipher context a direction, which keeps its key's schedule from one message to the next; they
 * are listed, so that the ring's end is theirs. What is sealed, and under which words, is the
 * caller's. */
#include "crypto/seal.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "crypto/context.h"

enum {
    VERSION = 1,
    ID_AT = 1,
    NONCE_AT = 5,
    NONCE_LEN = 12,
    TEXT_AT = NONCE_AT + NONCE_LEN,
    TAG_LEN = 16,
    NO_KEY = CRYPTO_SEAL_KEYS_MAX,
};
_Static_assert((int)TEXT_AT + (int)TAG_LEN == (int)CRYPTO_SEAL_ADDED, "the form above");

struct slot {
    uint32_t id;
    uint8_t key[CRYPTO_SEAL_KEY_LEN];
};

/* Of one thread, for one ring. */
struct hand {
    struct crypto_seal *seal;
    struct hand *next, *previous;
    EVP_CIPHER_CTX *sealing, *opening;
    unsigned sealing_slot, opening_slot; /* whose key is set; NO_KEY: none */
};

struct crypto_seal {
    void (*random)(void *ret_bytes, size_t len);
    struct crypto *crypto;
    EVP_CIPHER *cipher;
    struct slot *slots; /* a mapping of their own */
    atomic_uint n_slots, current;
    pthread_key_t hand; /* this thread's */
    bool has_hand;
    pthread_mutex_t mutex; /* guards hands */
    struct hand *hands;
};

enum { SLOTS_SIZE = sizeof(struct slot[CRYPTO_SEAL_KEYS_MAX]) };

/* ---- hands ---- */

static void free_hand(struct hand *h)
{
    EVP_CIPHER_CTX_free(h->sealing);
    EVP_CIPHER_CTX_free(h->opening);
    free(h);
}

/* The thread ends. */
static void drop_hand(void *arg)
{
    struct hand *h = arg;
    struct crypto_seal *s = h->seal;

    (void)pthread_mutex_lock(&s->mutex);
    if (h->next != NULL) {
        h->next->previous = h->previous;
    }
    if (h->previous != NULL) {
        h->previous->next = h->next;
    } else {
        s->hands = h->next;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    free_hand(h);
}

static struct hand *make_hand(struct crypto_seal *s)
{
    struct hand *h = calloc(1, sizeof(*h));

    if (h == NULL) {
        return NULL;
    }
    h->seal = s;
    h->sealing_slot = h->opening_slot = NO_KEY;
    h->sealing = EVP_CIPHER_CTX_new();
    h->opening = EVP_CIPHER_CTX_new();
    if (h->sealing == NULL || h->opening == NULL || pthread_setspecific(s->hand, h) != 0) {
        free_hand(h);
        return NULL;
    }
    (void)pthread_mutex_lock(&s->mutex);
    h->next = s->hands;
    if (h->next != NULL) {
        h->next->previous = h;
    }
    s->hands = h;
    (void)pthread_mutex_unlock(&s->mutex);
    return h;
}

static struct hand *hand_of(struct crypto_seal *s)
{
    struct hand *h = pthread_getspecific(s->hand);

    return h != NULL ? h : make_hand(s);
}

/* ---- life ---- */

static bool make_slots(struct crypto_seal *s)
{
    void *page = mmap(NULL, SLOTS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED) {
        return false;
    }
    s->slots = page;
    (void)mlock(page, SLOTS_SIZE); /* RLIMIT_MEMLOCK may forbid it */
    (void)madvise(page, SLOTS_SIZE, MADV_DONTDUMP);
    return true;
}

err crypto_seal_new(void (*random)(void *ret_bytes, size_t len), struct crypto_seal **ret_seal)
{
    AUTO(crypto_seal) struct crypto_seal *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return ERR(NOMEM);
    }
    s->random = random;
    (void)pthread_mutex_init(&s->mutex, NULL);
    atomic_init(&s->n_slots, 0);
    atomic_init(&s->current, NO_KEY);
    s->has_hand = pthread_key_create(&s->hand, drop_hand) == 0;
    if (!s->has_hand || !make_slots(s)) {
        return ERR(NOMEM);
    }
    TRY(crypto_new(CRYPTO_FULL, &s->crypto));
    s->cipher = EVP_CIPHER_fetch(s->crypto->lib, "AES-256-GCM", NULL);
    if (s->cipher == NULL) {
        return crypto_fail("AES-256-GCM");
    }
    *ret_seal = s;
    s = NULL;
    return OK;
}

void crypto_seal_free(struct crypto_seal *s)
{
    struct hand *next;

    if (s == NULL) {
        return;
    }
    if (s->has_hand) {
        (void)pthread_key_delete(s->hand); /* no drop_hand from here on */
    }
    for (struct hand *h = s->hands; h != NULL; h = next) {
        next = h->next;
        free_hand(h);
    }
    if (s->slots != NULL) {
        crypto_wipe(s->slots, SLOTS_SIZE);
        (void)munmap(s->slots, SLOTS_SIZE);
    }
    EVP_CIPHER_free(s->cipher);
    crypto_free(s->crypto);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

/* ---- keys ---- */

static uint32_t read_id(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_id(uint8_t *at, uint32_t id)
{
    at[0] = (uint8_t)(id >> 24);
    at[1] = (uint8_t)(id >> 16);
    at[2] = (uint8_t)(id >> 8);
    at[3] = (uint8_t)id;
}

/* NO_KEY: not in the ring. */
static unsigned slot_of(const struct crypto_seal *s, uint32_t id)
{
    unsigned n = atomic_load_explicit(&s->n_slots, memory_order_acquire);

    for (unsigned i = 0; i < n; i++) {
        if (s->slots[i].id == id) {
            return i;
        }
    }
    return NO_KEY;
}

err crypto_seal_id(struct crypto_seal *s, const uint8_t key[CRYPTO_SEAL_KEY_LEN], uint32_t *ret_id)
{
    uint8_t digest[CRYPTO_SHA256_LEN];

    TRY(crypto_hmac_sha256(s->crypto, span_of(key, CRYPTO_SEAL_KEY_LEN), SPAN("berth sealing key"),
                           digest));
    *ret_id = read_id(digest);
    return OK;
}

err crypto_seal_add(struct crypto_seal *s, const uint8_t key[CRYPTO_SEAL_KEY_LEN], uint32_t *ret_id)
{
    unsigned n = atomic_load(&s->n_slots);
    unsigned at;
    uint32_t id;

    TRY(crypto_seal_id(s, key, &id));
    at = slot_of(s, id);
    if (at == NO_KEY) {
        if (n == CRYPTO_SEAL_KEYS_MAX) {
            return err_set(ERR_TOO_LARGE, "more than %d sealing keys since the start",
                           CRYPTO_SEAL_KEYS_MAX);
        }
        s->slots[n].id = id;
        memcpy(s->slots[n].key, key, CRYPTO_SEAL_KEY_LEN);
        atomic_store_explicit(&s->n_slots, n + 1, memory_order_release);
    } else if (!crypto_equal(span_of(s->slots[at].key, CRYPTO_SEAL_KEY_LEN),
                             span_of(key, CRYPTO_SEAL_KEY_LEN))) {
        return err_set(ERR_EXISTS, "two sealing keys have the ID %08x", id);
    }
    *ret_id = id;
    return OK;
}

void crypto_seal_use(struct crypto_seal *s, uint32_t id)
{
    unsigned at = slot_of(s, id);

    assert(at != NO_KEY);
    atomic_store_explicit(&s->current, at, memory_order_release);
}

uint32_t crypto_seal_current(const struct crypto_seal *s)
{
    unsigned at = atomic_load_explicit(&s->current, memory_order_acquire);

    return at != NO_KEY ? s->slots[at].id : 0;
}

bool crypto_seal_has(const struct crypto_seal *s, uint32_t id)
{
    return slot_of(s, id) != NO_KEY;
}

bool crypto_seal_key_of(struct span sealed, uint32_t *ret_id)
{
    if (sealed.len < CRYPTO_SEAL_ADDED || sealed.data[0] != VERSION) {
        return false;
    }
    *ret_id = read_id(sealed.data + ID_AT);
    return true;
}

/* ---- messages ---- */

/* The context with the slot's key, which it has as a rule, and this nonce. */
static bool begin(const struct crypto_seal *s, EVP_CIPHER_CTX *ctx, unsigned *slot_in_ctx,
                  unsigned slot, const uint8_t *nonce, int is_sealing)
{
    if (*slot_in_ctx == slot) {
        return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, is_sealing, NULL) == 1;
    }
    *slot_in_ctx = NO_KEY;
    if (EVP_CipherInit_ex2(ctx, s->cipher, s->slots[slot].key, nonce, is_sealing, NULL) != 1) {
        return false;
    }
    *slot_in_ctx = slot;
    return true;
}

static bool run(EVP_CIPHER_CTX *ctx, struct span aad, struct span in, uint8_t *out)
{
    int len = 0;

    return (aad.len == 0 || EVP_CipherUpdate(ctx, NULL, &len, aad.data, (int)aad.len) == 1) &&
           (in.len == 0 || EVP_CipherUpdate(ctx, out, &len, in.data, (int)in.len) == 1);
}

err crypto_seal_seal(struct crypto_seal *s, uint32_t id, struct span aad, struct span plain,
                     uint8_t *ret_sealed)
{
    struct hand *h = hand_of(s);
    unsigned slot = slot_of(s, id);
    uint8_t rest[TAG_LEN];
    int len = 0;

    assert(slot != NO_KEY);
    if (h == NULL || plain.len > INT32_MAX || aad.len > INT32_MAX) {
        return ERR(NOMEM);
    }
    ret_sealed[0] = VERSION;
    write_id(ret_sealed + ID_AT, id);
    s->random(ret_sealed + NONCE_AT, NONCE_LEN);
    if (!begin(s, h->sealing, &h->sealing_slot, slot, ret_sealed + NONCE_AT, 1) ||
        !run(h->sealing, aad, plain, ret_sealed + TEXT_AT) ||
        EVP_CipherFinal_ex(h->sealing, rest, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(h->sealing, EVP_CTRL_AEAD_GET_TAG, TAG_LEN,
                            ret_sealed + TEXT_AT + plain.len) != 1) {
        h->sealing_slot = NO_KEY;
        return crypto_fail("sealing");
    }
    return OK;
}

err crypto_seal_open(struct crypto_seal *s, struct span aad, struct span sealed, uint8_t *ret_plain)
{
    struct hand *h = hand_of(s);
    uint8_t tag[TAG_LEN], rest[TAG_LEN];
    uint32_t id = 0;
    unsigned slot;
    struct span text;
    int len = 0;

    if (h == NULL || sealed.len > INT32_MAX || aad.len > INT32_MAX) {
        return ERR(NOMEM);
    }
    if (!crypto_seal_key_of(sealed, &id)) {
        return err_set(ERR_CORRUPT, "not of the form of a sealed secret");
    }
    slot = slot_of(s, id);
    if (slot == NO_KEY) {
        return err_set(ERR_SEALED, "sealed under key %08x, which is not in the ring", id);
    }
    text = span_of(sealed.data + TEXT_AT, sealed.len - CRYPTO_SEAL_ADDED);
    memcpy(tag, text.data + text.len, TAG_LEN);
    if (!begin(s, h->opening, &h->opening_slot, slot, sealed.data + NONCE_AT, 0) ||
        EVP_CIPHER_CTX_ctrl(h->opening, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) != 1 ||
        !run(h->opening, aad, text, ret_plain)) {
        h->opening_slot = NO_KEY;
        crypto_wipe(ret_plain, text.len);
        return crypto_fail("opening");
    }
    if (EVP_CipherFinal_ex(h->opening, rest, &len) != 1) {
        crypto_wipe(ret_plain, text.len);
        return err_set(ERR_CORRUPT, "not what was sealed under key %08x, or not in this place", id);
    }
    return OK;
}
