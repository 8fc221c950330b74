/* front/front.c: the parts put together: sockets, loops, workers; reload, drain and the signals
 * that ask for them. */
#include "front/front.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/enrollment.h"
#include "front/listen.h"
#include "front/loop.h"

enum {
    FILES_SPARE = 512,    /* what the store and the rest of the process may still open … */
    FILES_SPARE_PART = 8, /* … or, where fewer may be open, this part of them */
    FILES_GUESS = 64,     /* open ones, where nobody can tell */
    FILES_LOW = 4096,
    PRUNE_EVERY_MS = 60 * 1000,
    PRUNE_AGAIN_MS = 1000, /* there was more than one job's worth */
    PRUNE_ROWS = 2000,     /* a job: others want to write too */
    PRUNE_ARENA = 4 * 1024 * 1024,
    STUCK_MS = 10 * 1000, /* from cutting connections to giving up on what workers hold */
    JOIN_POLL_MS = 10,
};

/* Something that a loop is told to do. */
struct order {
    struct front_post post;
    struct front_loop *loop;
    struct front *front;
    struct front_tls_source *source; /* of a reload */
};

struct front {
    struct front_config config;
    struct front_work *work;
    struct front_loop *loops;
    bool *is_joined;           /* a loop's thread */
    struct order *drains;      /* one a loop */
    int *ports;                /* one an endpoint */
    int *fds;                  /* not yet a loop's; -1: none */
    atomic_bool has_drained;   /* front_drain was called */
    _Atomic int64_t cut_at_ms; /* then */
    struct front_job prune;
    _Atomic int64_t prune_next_ms;
};

AUTO_DEFINE(front, struct front *, front_free)
AUTO_DEFINE(memory, void *, free)

static atomic_bool is_draining;

bool front_is_draining(void)
{
    return atomic_load_explicit(&is_draining, memory_order_relaxed);
}

static void say(const struct front *f, enum front_event_level level, const char *event,
                const char *text)
{
    if (f->config.on_event != NULL) {
        f->config.on_event(f->config.arg, level, event, text);
    }
}

static int64_t clock_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the process ---- */

static sigset_t our_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    return set;
}

/* To the hard limit, which is given back. */
static size_t raise_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return 0;
    }
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
        (void)getrlimit(RLIMIT_NOFILE, &files);
    }
    return (size_t)files.rlim_cur;
}

void front_init(void)
{
    sigset_t set = our_signals();
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    front_tls_init();
}

/* ---- opening ---- */

static size_t count_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    if (dir == NULL) {
        return FILES_GUESS;
    }
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n; /* with the directory itself, "." and ".." */
}

/* When all but connections is open: what may yet be is theirs, less what workers and writers need
 * to do their work. */
static void limit_connections(struct front *f, size_t files)
{
    size_t spare = files / FILES_SPARE_PART < FILES_SPARE ? files / FILES_SPARE_PART : FILES_SPARE;
    size_t taken = count_open_files() + (size_t)f->config.workers + spare;
    size_t loops = (size_t)f->config.loops;
    size_t room = files > taken ? files - taken : 0;
    size_t most = f->config.limits.connections < room ? f->config.limits.connections : room;
    char text[192];

    for (size_t i = 0; i < loops; i++) {
        f->loops[i].conns_max = most > loops ? most / loops : 1;
    }
    if (files < FILES_LOW) {
        (void)snprintf(text, sizeof(text),
                       "No more than %zu files may be open (ulimit -n; LimitNOFILE= in a systemd "
                       "unit), which leaves %zu connections: more will wait.",
                       files, f->loops[0].conns_max * loops);
        say(f, FRONT_WARNING, "few-files", text);
    }
}

/* fds[loop * n_endpoints + endpoint]. */
static err listen_all(struct front *f)
{
    size_t n = f->config.n_endpoints;
    AUTO(memory) void *row = calloc((size_t)f->config.loops, sizeof(int));
    int *one = row;

    if (one == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < n; i++) {
        TRY(front_listen_open(&f->config.endpoints[i], one, f->config.loops, &f->ports[i]));
        for (int k = 0; k < f->config.loops; k++) {
            f->fds[(size_t)k * n + i] = one[k];
        }
    }
    return OK;
}

static err init_loops(struct front *f, const struct front_tls_source *source)
{
    size_t n = f->config.n_endpoints;

    for (int i = 0; i < f->config.loops; i++) {
        int *mine = f->fds + (size_t)i * n;
        err e = front_loop_init(&f->loops[i], &f->config, f->work, source, mine);

        for (size_t k = 0; k < n; k++) {
            mine[k] = -1; /* the loop's */
        }
        TRY(e);
    }
    return OK;
}

static void pin(const struct front_loop *l, int core)
{
    cpu_set_t set;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    CPU_ZERO(&set);
    CPU_SET((size_t)(core % (cores > 0 ? cores : 1)), &set);
    (void)pthread_setaffinity_np(l->thread, sizeof(set), &set);
}

static err start_loops(struct front *f)
{
    for (int i = 0; i < f->config.loops; i++) {
        TRY(front_loop_start(&f->loops[i]));
        if (f->config.pin_loops) {
            pin(&f->loops[i], i);
        }
    }
    return OK;
}

static err make(const struct front_config *config, struct front **ret_front)
{
    size_t loops = (size_t)config->loops;
    AUTO(front) struct front *f = calloc(1, sizeof(*f));

    if (f == NULL) {
        return ERR(NOMEM);
    }
    f->config = *config;
    f->is_joined = calloc(loops, sizeof(*f->is_joined));
    f->drains = calloc(loops, sizeof(*f->drains));
    f->ports = calloc(config->n_endpoints, sizeof(*f->ports));
    f->fds = malloc(loops * config->n_endpoints * sizeof(*f->fds));
    f->loops = calloc(loops, sizeof(*f->loops));
    if (f->is_joined == NULL || f->drains == NULL || f->ports == NULL || f->fds == NULL ||
        f->loops == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < loops * config->n_endpoints; i++) {
        f->fds[i] = -1;
    }
    *ret_front = f;
    f = NULL;
    return OK;
}

err front_open(const struct front_config *config, struct front **ret_front)
{
    AUTO(front) struct front *f = NULL;
    AUTO(front_tls_source) struct front_tls_source *source = NULL;
    size_t files = raise_files();

    atomic_store(&is_draining, false);
    TRY(make(config, &f));
    TRY(listen_all(f));
    TRY(front_tls_source_load(&f->config.tls, &source));
    TRY(front_work_open(f->config.workers, f->config.service->metrics, &f->work));
    TRY(init_loops(f, source));
    limit_connections(f, files);
    TRY(start_loops(f));
    *ret_front = f;
    f = NULL;
    return OK;
}

int front_port(const struct front *f, size_t i)
{
    return f->ports[i];
}

void front_free(struct front *f)
{
    if (f == NULL) {
        return;
    }
    if (f->work != NULL) { /* not joined: opening failed, with perhaps some threads */
        front_drain(f);
        (void)front_join(f);
    }
    for (int i = 0; f->loops != NULL && i < f->config.loops; i++) {
        front_loop_done(&f->loops[i]);
    }
    for (size_t i = 0; f->fds != NULL && i < (size_t)f->config.loops * f->config.n_endpoints; i++) {
        if (f->fds[i] >= 0) {
            (void)close(f->fds[i]);
        }
    }
    free(f->loops);
    free(f->fds);
    free(f->ports);
    free(f->drains);
    free(f->is_joined);
    free(f);
}

/* ---- reloading ---- */

/* On the loop: the library context that the new one is made over is its alone. */
static void run_reload(struct front_post *p)
{
    struct order *o = (struct order *)p;
    struct front_tls *tls = NULL;
    err e = front_tls_new(o->loop->crypto, o->source, &tls);

    if (err_is_ok(e)) {
        front_loop_use_tls(o->loop, tls);
    } else {
        say(o->front, FRONT_ERROR, "reload-failed", err_detail());
    }
    front_tls_source_free(o->source);
    free(o);
}

/* Can a context be made of it? */
static err try_source(const struct front_tls_source *source)
{
    AUTO(crypto) struct crypto *c = NULL;
    AUTO(front_tls) struct front_tls *tls = NULL;

    TRY(crypto_new(CRYPTO_SERVING, &c));
    TRY(front_tls_new(c, source, &tls));
    front_tls_free(tls); /* before its library context */
    tls = NULL;
    return OK;
}

err front_reload(struct front *f)
{
    AUTO(front_tls_source) struct front_tls_source *source = NULL;

    TRY(front_tls_source_load(&f->config.tls, &source));
    TRY(try_source(source));
    for (int i = 0; i < f->config.loops; i++) {
        struct order *o = calloc(1, sizeof(*o));

        if (o == NULL) {
            return ERR(NOMEM);
        }
        o->post.run = run_reload;
        o->loop = &f->loops[i];
        o->front = f;
        o->source = front_tls_source_ref(source);
        front_loop_post(o->loop, &o->post);
    }
    return OK;
}

/* ---- ending ---- */

static void run_drain(struct front_post *p)
{
    front_loop_drain(((struct order *)p)->loop);
}

void front_drain(struct front *f)
{
    if (!atomic_exchange(&f->has_drained, true)) {
        atomic_store(&f->cut_at_ms, clock_ms() + f->config.limits.drain_ms);
        atomic_store(&is_draining, true);
        for (int i = 0; i < f->config.loops; i++) {
            f->drains[i].post.run = run_drain;
            f->drains[i].loop = &f->loops[i];
            if (f->loops[i].is_started) {
                front_loop_post(&f->loops[i], &f->drains[i].post);
            }
        }
    }
}

static bool are_loops_over(struct front *f)
{
    bool result = true;

    for (int i = 0; i < f->config.loops; i++) {
        if (f->loops[i].is_started && !f->is_joined[i]) {
            f->is_joined[i] = pthread_tryjoin_np(f->loops[i].thread, NULL) == 0;
            result = result && f->is_joined[i];
        }
    }
    return result;
}

/* The next of our signals within wait_ms, or 0. */
static int next_signal(int64_t wait_ms)
{
    sigset_t set = our_signals();
    struct timespec wait = { .tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000 };
    int signal = sigtimedwait(&set, NULL, &wait);

    return signal > 0 ? signal : 0;
}

static err wait_for_end(struct front *f, bool heeds_signals)
{
    while (!are_loops_over(f)) {
        int64_t over_ms = clock_ms() - atomic_load(&f->cut_at_ms);
        int signal = heeds_signals ? next_signal(JOIN_POLL_MS) : 0;

        if (signal == SIGTERM || signal == SIGINT) {
            _exit(1);
        }
        if (!heeds_signals) {
            (void)usleep(JOIN_POLL_MS * 1000);
        }
        if (over_ms >= STUCK_MS) {
            return err_set(ERR_TIMEOUT, "A request does not come to its end.");
        }
    }
    front_work_close(f->work);
    f->work = NULL;
    return OK;
}

err front_join(struct front *f)
{
    return wait_for_end(f, false);
}

/* ---- serving ---- */

static void run_prune(struct front_job *job, struct front_worker *w)
{
    struct front *f = (struct front *)(void *)((uint8_t *)job - offsetof(struct front, prune));
    AUTO(memory) void *block = malloc(PRUNE_ARENA);
    struct arena arena;
    struct env env = { .store = f->config.service->store,
                       .sink = f->config.service->sink,
                       .crypto = w->crypto,
                       .certs = w->certs,
                       .arena = &arena,
                       .random = crypto_random };
    struct timespec now;
    size_t dropped = 0;
    err e = ERR(NOMEM);

    (void)clock_gettime(CLOCK_REALTIME, &now);
    env.now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (block != NULL) {
        arena_init(&arena, block, PRUNE_ARENA);
        e = core_decision_prune(&env, PRUNE_ROWS, &dropped);
    }
    if (!err_is_ok(e)) {
        say(f, FRONT_WARNING, "prune-failed", err_detail());
    }
    atomic_store(&f->prune_next_ms,
                 clock_ms() + (dropped == PRUNE_ROWS ? PRUNE_AGAIN_MS : PRUNE_EVERY_MS));
}

static void prune_if_due(struct front *f)
{
    if (clock_ms() >= atomic_load(&f->prune_next_ms) && !front_work_is_strained(f->work)) {
        atomic_store(&f->prune_next_ms, INT64_MAX); /* until it is done */
        f->prune.run = run_prune;
        front_work_submit(f->work, &f->prune);
    }
}

err front_serve(struct front *f)
{
    for (;;) {
        int signal = next_signal(1000);

        prune_if_due(f);
        if (signal == SIGTERM || signal == SIGINT) {
            break;
        }
        if (signal == SIGHUP) {
            err e = front_reload(f);

            say(f, err_is_ok(e) ? FRONT_INFO : FRONT_ERROR,
                err_is_ok(e) ? "reloaded" : "reload-failed",
                err_is_ok(e) ? "The certificate files were read again." : err_detail());
            if (f->config.on_reload != NULL) {
                f->config.on_reload(f->config.arg);
            }
        }
    }
    say(f, FRONT_INFO, "draining", "Finishing what was begun; a second signal ends at once.");
    front_drain(f);
    return wait_for_end(f, true);
}
