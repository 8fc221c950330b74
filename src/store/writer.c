/* store/writer.c: the queue under one mutex; the thread sleeps on one condition, signalled only
 * when the queue stops being empty. */
#include "store/writer.h"

#include <pthread.h>
#include <stdlib.h>

struct store_writer {
    struct store_writer_config config;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    void *head, *tail;
    size_t queued;
    uint64_t jobs, batches;
    bool closing;
};

static void set_next(void *job, void *next)
{
    *(void **)job = next;
}

void *store_writer_next(const void *job)
{
    return *(void *const *)job;
}

/* At most batch_limit jobs off the front; the last one's link is cut. */
static void *take_batch(struct store_writer *w, size_t *ret_n)
{
    void *first = w->head;
    void *last = first;
    size_t n = 1;

    while (n < w->config.batch_limit && store_writer_next(last) != NULL) {
        last = store_writer_next(last);
        n++;
    }
    w->head = store_writer_next(last);
    if (w->head == NULL) {
        w->tail = NULL;
    }
    set_next(last, NULL);
    w->queued -= n;
    w->jobs += n;
    w->batches++;
    *ret_n = n;
    return first;
}

static void *writer_main(void *arg)
{
    struct store_writer *w = (struct store_writer *)arg;

    (void)pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (w->head == NULL && !w->closing) {
            (void)pthread_cond_wait(&w->wake, &w->mutex);
        }
        if (w->head == NULL) {
            break;
        }
        size_t n;
        void *first = take_batch(w, &n);

        (void)pthread_mutex_unlock(&w->mutex);
        w->config.run(w->config.context, first, n);
        (void)pthread_mutex_lock(&w->mutex);
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return NULL;
}

err store_writer_open(const struct store_writer_config *config, struct store_writer **ret_writer)
{
    struct store_writer *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        return ERR(NOMEM);
    }
    w->config = *config;
    (void)pthread_mutex_init(&w->mutex, NULL);
    (void)pthread_cond_init(&w->wake, NULL);
    if (pthread_create(&w->thread, NULL, writer_main, w) != 0) {
        (void)pthread_cond_destroy(&w->wake);
        (void)pthread_mutex_destroy(&w->mutex);
        free(w);
        return err_set(ERR_IO, "cannot start the store's writer thread");
    }
    *ret_writer = w;
    return OK;
}

void store_writer_close(struct store_writer *w)
{
    if (w == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&w->mutex);
    w->closing = true;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->mutex);
    (void)pthread_join(w->thread, NULL);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w);
}

err store_writer_push(struct store_writer *w, void *job)
{
    bool was_empty;

    set_next(job, NULL);
    (void)pthread_mutex_lock(&w->mutex);
    if (w->queued >= w->config.queue_limit) {
        (void)pthread_mutex_unlock(&w->mutex);
        return ERR(BUSY);
    }
    was_empty = w->tail == NULL;
    if (was_empty) {
        w->head = job;
    } else {
        set_next(w->tail, job);
    }
    w->tail = job;
    w->queued++;
    if (was_empty) {
        /* Under the mutex: once it is free, the job may end and the writer be closed. */
        (void)pthread_cond_signal(&w->wake);
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return OK;
}

size_t store_writer_backlog(struct store_writer *w)
{
    size_t queued;

    (void)pthread_mutex_lock(&w->mutex);
    queued = w->queued;
    (void)pthread_mutex_unlock(&w->mutex);
    return queued;
}

void store_writer_totals(struct store_writer *w, uint64_t *ret_jobs, uint64_t *ret_batches)
{
    (void)pthread_mutex_lock(&w->mutex);
    *ret_jobs = w->jobs;
    *ret_batches = w->batches;
    (void)pthread_mutex_unlock(&w->mutex);
}
