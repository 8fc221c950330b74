/* cmd/seal.c: which keys there are, which are in use, and what follows from that. The file is
 * seal_file.c's, the cipher crypto/seal.c's, the walk over the rows store/reseal.c's. Keys are told
 * of by their IDs alone. */
#include "cmd/seal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/seal_file.h"
#include "crypto/crypto.h"
#include "store/seal.h"

enum {
    TELL_EVERY_MS = 10 * 1000,
    YIELD_US = 2000,   /* to those who wait for the writer, after each of our transactions */
    SCRUB_TRIES = 100, /* readers of the log are in the way for moments */
    SCRUB_AGAIN_US = 100 * 1000,
    SENTENCE = 512,
};

struct seal {
    const struct config *config;
    struct store *store;
    void (*tell)(enum config_log_level level, const char *event, const char *text);
    struct crypto_seal *ring;
    struct store_sealer sealer;
    struct metrics *metrics; /* once serving */
    pthread_t thread;
    bool has_thread;
    atomic_bool is_stopping;
    int64_t told_ms;
};

static int64_t wall_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void say(const struct seal *s, enum config_log_level level, const char *event,
                const char *format, ...) __attribute__((format(printf, 4, 5)));
static void say(const struct seal *s, enum config_log_level level, const char *event,
                const char *format, ...)
{
    char text[SENTENCE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    s->tell(level, event, text);
}

/* ---- the ring as a sealer ---- */

static uint32_t on_current(void *ctx)
{
    return crypto_seal_current(ctx);
}

static bool on_has(void *ctx, uint32_t key)
{
    return crypto_seal_has(ctx, key);
}

static err on_seal(void *ctx, uint32_t key, struct span aad, struct span plain, uint8_t *ret_sealed)
{
    return crypto_seal_seal(ctx, key, aad, plain, ret_sealed);
}

static err on_open(void *ctx, struct span aad, struct span sealed, uint8_t *ret_plain)
{
    return crypto_seal_open(ctx, aad, sealed, ret_plain);
}

/* ---- keys ---- */

/* The IDs of the file's keys, in its order, all of them in the ring. */
static err add_keys(struct crypto_seal *ring, const struct seal_file *f, uint32_t *ret_ids)
{
    for (size_t i = 0; i < f->n_keys; i++) {
        TRY(crypto_seal_add(ring, f->keys[i], &ret_ids[i]));
    }
    return OK;
}

static bool has_id(const uint32_t *ids, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* "the key in FILE is 99aabbcc", "the keys in FILE are …". */
static void describe(const struct seal_file *f, const uint32_t *ids, char *ret_text, size_t size)
{
    struct buf out = buf_over(ret_text, size - 1);

    buf_printf(&out, f->n_keys == 1 ? "the key in %s is" : "the keys in %s are", f->path);
    for (size_t i = 0; i < f->n_keys; i++) {
        buf_printf(&out, "%s %08x", i > 0 ? "," : "", ids[i]);
    }
    (void)buf_cstr(&out);
}

/* Is every key that the store uses in the file? */
static err check_keys(const struct config *c, const struct store_seal_keys *used,
                      const struct seal_file *f, const uint32_t *ids)
{
    char text[PATH_MAX];

    for (size_t i = 0; i < used->n; i++) {
        if (!has_id(ids, f->n_keys, used->ids[i])) {
            describe(f, ids, text, sizeof(text));
            return err_set(ERR_SEALED, "%s is sealed under key %08x; %s: give the right key",
                           c->store, used->ids[i], text);
        }
    }
    return OK;
}

static err make_file(struct seal *s, struct seal_file *f)
{
    uint8_t key[CRYPTO_SEAL_KEY_LEN];
    uint32_t id = 0;
    err e;

    crypto_random(key, sizeof(key));
    e = crypto_seal_id(s->ring, key, &id);
    if (err_is_ok(e)) {
        e = seal_file_put_new(f, key, id, wall_ms());
    }
    crypto_wipe(key, sizeof(key));
    TRY(e);
    say(s, CONFIG_LOG_INFO, "seal-key-made",
        "Made the sealing key %08x in %s: keep a copy of it, apart from backups of %s.", id,
        f->path, s->config->store);
    return OK;
}

/* A store that is sealed never gets a new key because the old one is not found. */
static err missing_file(const struct config *c, const struct store_seal_keys *used,
                        const struct seal_file *f)
{
    if (used->n > 0) {
        return err_set(ERR_SEALED,
                       "%s is sealed under key %08x, and its file %s is not there: put it back, or "
                       "name it by seal-key",
                       c->store, used->ids[0], f->path);
    }
    return err_set(ERR_SEALED,
                   "the seal key %s is not there; (umask 077; openssl rand -base64 32 >%s) makes "
                   "one",
                   f->path, f->path);
}

static err find_keys(struct seal *s, const struct store_seal_keys *used, struct seal_file *f)
{
    bool exists = false;

    TRY(seal_file_find(s->config, f, &exists));
    if (exists) {
        return seal_file_read(f);
    }
    return used->n == 0 && f->origin == SEAL_FILE_OWN ? make_file(s, f)
                                                      : missing_file(s->config, used, f);
}

/* ---- sealing anew ---- */

static bool on_step(void *arg, const struct store_reseal_left *left, size_t n)
{
    struct seal *s = arg;
    int64_t now_ms = wall_ms();

    for (size_t i = 0; s->metrics != NULL && i < n && i < METRICS_SEAL_KEYS; i++) {
        atomic_store(&s->metrics->reseal_left[i].rows, left[i].rows);
        atomic_store(&s->metrics->reseal_left[i].key, left[i].key);
    }
    if (now_ms - s->told_ms >= TELL_EVERY_MS || now_ms < s->told_ms) {
        for (size_t i = 0; i < n && left[i].rows > 0; i++) {
            say(s, CONFIG_LOG_INFO, "resealing", "Rows left under key %08x: %llu.", left[i].key,
                (unsigned long long)left[i].rows);
        }
        s->told_ms = now_ms;
    }
    if (store_write_backlog(s->store) > 0) {
        (void)usleep(YIELD_US);
    }
    return !atomic_load(&s->is_stopping);
}

static err reseal(struct seal *s, uint64_t *ret_rows)
{
    const struct store_reseal how = { .on_step = on_step, .arg = s };

    s->told_ms = wall_ms();
    return store_reseal(s->store, &how, ret_rows);
}

/* Stores of before secrets were sealed. Before anybody is served. */
static err seal_all(struct seal *s)
{
    uint64_t rows = 0;

    TRY(reseal(s, &rows));
    if (rows > 0) {
        say(s, CONFIG_LOG_INFO, "sealed",
            "The secrets of %llu rows of %s were not sealed, and now are, under key %08x. Backups "
            "of before hold them in the clear.",
            (unsigned long long)rows, s->config->store, crypto_seal_current(s->ring));
    }
    return OK;
}

/* What was deleted is in the write-ahead log yet. */
static err scrub(struct seal *s)
{
    err e = store_scrub(s->store, false);

    for (int i = 0; i < SCRUB_TRIES && err_is(e, ERR_BUSY) && !atomic_load(&s->is_stopping); i++) {
        (void)usleep(SCRUB_AGAIN_US);
        e = store_scrub(s->store, false);
    }
    return e;
}

static void *run_reseal(void *arg)
{
    struct seal *s = arg;
    uint32_t id = crypto_seal_current(s->ring);
    uint64_t rows = 0;
    err e = reseal(s, &rows);

    if (err_is_ok(e)) {
        e = scrub(s);
        say(s, err_is_ok(e) ? CONFIG_LOG_INFO : CONFIG_LOG_WARNING, "resealed",
            "Every secret is sealed under key %08x (%llu rows anew): no row uses another, which "
            "may be taken out of the seal-key file.%s%s",
            id, (unsigned long long)rows,
            err_is_ok(e) ? "" : " The write-ahead log could not be emptied: ",
            err_is_ok(e) ? "" : err_detail());
    } else if (err_is(e, ERR_CLOSED)) {
        say(s, CONFIG_LOG_INFO, "reseal-paused", "Sealing anew under key %08x goes on later.", id);
    } else {
        say(s, CONFIG_LOG_ERROR, "reseal-failed", "Sealing anew under key %08x: %s", id,
            err_detail());
    }
    return NULL;
}

static void start_if_due(struct seal *s)
{
    struct store_seal_keys used;
    err e = store_seal_keys(s->store, &used);

    if (s->metrics != NULL) {
        atomic_store(&s->metrics->seal_key, crypto_seal_current(s->ring));
    }
    if (err_is_ok(e) && used.n <= 1) {
        return;
    }
    atomic_store(&s->is_stopping, false);
    if (err_is_ok(e) && pthread_create(&s->thread, NULL, run_reseal, s) != 0) {
        e = err_set(ERR_IO, "no thread can be made");
    }
    s->has_thread = err_is_ok(e);
    if (s->has_thread) {
        say(s, CONFIG_LOG_INFO, "resealing",
            "Sealing everything anew under key %08x, in the background.",
            crypto_seal_current(s->ring));
    } else {
        say(s, CONFIG_LOG_ERROR, "reseal-failed", "Sealing anew: %s", err_detail());
    }
}

void seal_start(struct seal *s, struct metrics *m)
{
    s->metrics = m;
    start_if_due(s);
}

void seal_stop(struct seal *s)
{
    if (s != NULL && s->has_thread) {
        atomic_store(&s->is_stopping, true);
        (void)pthread_join(s->thread, NULL);
        s->has_thread = false;
    }
}

/* ---- opening ---- */

static err open_with(struct seal *s, struct seal_file *f)
{
    uint32_t ids[SEAL_FILE_KEYS_MAX];
    struct store_seal_keys used;
    err e;

    TRY(store_seal_keys(s->store, &used));
    TRY(find_keys(s, &used, f));
    TRY(add_keys(s->ring, f, ids));
    TRY(check_keys(s->config, &used, f, ids));
    crypto_seal_use(s->ring, ids[0]);
    store_use_sealer(s->store, &s->sealer);
    e = store_seal_check(s->store);
    if (err_is(e, ERR_SEALED)) {
        return err_set(ERR_SEALED,
                       "%s is sealed under another key than %08x of %s: give the right "
                       "key",
                       s->config->store, ids[0], f->path);
    }
    TRY(e);
    TRY(store_seal_note(s->store, ids[0], wall_ms()));
    return used.is_whole ? OK : seal_all(s);
}

err seal_open(const struct config *c, struct store *store,
              void (*tell)(enum config_log_level level, const char *event, const char *text),
              struct seal **ret_seal)
{
    AUTO(seal) struct seal *s = calloc(1, sizeof(*s));
    struct seal_file f = { 0 };
    err e;

    if (s == NULL) {
        return ERR(NOMEM);
    }
    s->config = c;
    s->store = store;
    s->tell = tell;
    TRY(crypto_seal_new(crypto_random, &s->ring));
    s->sealer = (struct store_sealer){ .ctx = s->ring,
                                       .added = CRYPTO_SEAL_ADDED,
                                       .current = on_current,
                                       .has = on_has,
                                       .key_of = crypto_seal_key_of,
                                       .seal = on_seal,
                                       .open = on_open };
    e = open_with(s, &f);
    seal_file_done(&f);
    if (!err_is_ok(e)) {
        store_use_sealer(store, NULL); /* it goes with s */
        return e;
    }
    *ret_seal = s;
    s = NULL;
    return OK;
}

void seal_free(struct seal *s)
{
    if (s != NULL) {
        crypto_seal_free(s->ring);
        free(s);
    }
}

/* ---- the file has changed ---- */

static err take_file(struct seal *s, struct seal_file *f)
{
    uint32_t ids[SEAL_FILE_KEYS_MAX];
    struct store_seal_keys used;
    bool exists = false;

    TRY(store_seal_keys(s->store, &used));
    TRY(seal_file_find(s->config, f, &exists));
    if (!exists) {
        return missing_file(s->config, &used, f);
    }
    TRY(seal_file_read(f));
    TRY(add_keys(s->ring, f, ids));
    TRY(check_keys(s->config, &used, f, ids));
    TRY(store_seal_note(s->store, ids[0], wall_ms()));
    crypto_seal_use(s->ring, ids[0]); /* now that a crash would find it noted */
    return OK;
}

void seal_reload(struct seal *s)
{
    struct seal_file f = { 0 };
    err e;

    seal_stop(s);
    e = take_file(s, &f);
    seal_file_done(&f);
    if (err_is_ok(e)) {
        say(s, CONFIG_LOG_INFO, "seal-key", "Secrets are sealed under key %08x.",
            crypto_seal_current(s->ring));
    } else {
        say(s, CONFIG_LOG_ERROR, "seal-key-failed",
            "Secrets are sealed under key %08x as before: %s", crypto_seal_current(s->ring),
            err_detail());
    }
    start_if_due(s);
}

/* ---- berthd rotate-seal-key ---- */

static err read_old(const struct config *c, struct seal_file *f)
{
    bool exists = false;

    TRY(seal_file_find(c, f, &exists));
    if (f->origin == SEAL_FILE_CREDENTIAL) {
        return err_set(ERR_SEALED,
                       "the key is the systemd credential %s: make that anew, with a new key on a "
                       "line before those in it, and restart berthd",
                       f->path);
    }
    if (!exists) {
        return err_set(ERR_SEALED, "%s is not there: there is no key yet to change from", f->path);
    }
    return seal_file_read(f);
}

static err put_new(struct seal_file *f, uint32_t *ret_id)
{
    AUTO(crypto_seal) struct crypto_seal *ring = NULL;
    uint8_t key[CRYPTO_SEAL_KEY_LEN];
    err e;

    TRY(crypto_seal_new(crypto_random, &ring));
    crypto_random(key, sizeof(key));
    e = crypto_seal_id(ring, key, ret_id);
    if (err_is_ok(e)) {
        e = seal_file_put_new(f, key, *ret_id, wall_ms());
    }
    crypto_wipe(key, sizeof(key));
    return e;
}

/* A number in a file may be of a process that is long gone. */
static bool is_berthd(int64_t pid)
{
    char path[64], name[32] = "";
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%lld/comm", (long long)pid);
    f = fopen(path, "re");
    if (f == NULL) {
        return false;
    }
    if (fgets(name, sizeof(name), f) == NULL) {
        name[0] = '\0';
    }
    (void)fclose(f);
    return strcmp(name, "berthd\n") == 0;
}

static void tell_server(const struct config *c, FILE *out)
{
    int64_t pid = 0;
    err e = store_sqlite_holder(c->store, &pid);

    if (err_is_ok(e) && pid == 0) {
        (void)fprintf(out, "No berthd serves %s: it is sealed anew at the next start.\n", c->store);
    } else if (err_is_ok(e) && is_berthd(pid) && kill((pid_t)pid, SIGHUP) == 0) {
        (void)fprintf(out,
                      "Told berthd (process %lld): its log says when all is sealed anew and the "
                      "old key may be taken out.\n",
                      (long long)pid);
    } else {
        (void)fprintf(out,
                      "berthd could not be told (process %lld): send it SIGHUP, or systemctl "
                      "reload berthd.\n",
                      (long long)pid);
    }
}

err seal_rotate(const struct config *c, FILE *out)
{
    struct seal_file f = { 0 };
    uint32_t id = 0;
    err e = read_old(c, &f);

    if (err_is_ok(e)) {
        e = put_new(&f, &id);
    }
    seal_file_done(&f);
    TRY(e);
    (void)fprintf(out, "Key %08x is the first of %s now. Keep a copy of it.\n", id, f.path);
    tell_server(c, out);
    return fflush(out) == 0 ? OK : err_set(ERR_IO, "the output cannot be written");
}
