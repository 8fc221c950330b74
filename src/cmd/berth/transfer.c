/* cmd/berth/transfer.c: curl's multi interface. Jobs wait in a line for one of so many handles;
 * each handle keeps its connection. What an answer means is the caller's. */
#include "cmd/berth/transfer.h"

#include "cmd/berth/http.h"
#include "cmd/berth/http_handle.h"

enum {
    REQUEST_TIMEOUT_S = 60,
    ATTEMPTS_MAX = 10,
    BACKOFF_FIRST_MS = 100, /* doubled each time … */
    BACKOFF_MAX_MS = 5000,  /* … up to this: some 25 seconds in all, a server's restart */
    RETRY_AFTER_MAX_S = 60,
    TOKEN_RENEWED_MS = BERTH_HTTP_TOKEN_LIFE_S * 1000 / 2,
};

struct lane {
    CURL *curl;
    struct curl_slist *headers, *connect_to;
    int64_t token_ms; /* when the login in the headers was made */
    struct transfer_job *job;
    char error[CURL_ERROR_SIZE];
};

struct transfer {
    struct cli *cli;
    struct endpoint to;
    CURLM *multi;
    struct transfer_job *first, *last; /* waiting for a lane */
    bool gives_up;
    bool is_known;          /* the server has answered: it is worth waiting for */
    size_t n_lanes, n_done; /* done since berth_transfer_wait began */
    struct lane lanes[TRANSFER_CONNECTIONS_MAX];
};

static size_t on_body(char *data, size_t size, size_t n, void *context)
{
    struct transfer_job *job = context;

    buf_add(&job->reply, span_of(data, size * n));
    return job->reply.failed ? 0 : size * n;
}

static err open_lane(struct transfer *t, struct lane *lane)
{
    CURL *c = curl_easy_init();

    if (c == NULL) {
        return ERR(NOMEM);
    }
    lane->curl = c;
    berth_http_handle_target(t->cli, c, &t->to, "/", &lane->connect_to);
    (void)curl_easy_setopt(c, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, lane->error);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)REQUEST_TIMEOUT_S);
    (void)curl_easy_setopt(c, CURLOPT_PRIVATE, lane);
    return OK;
}

static void close_lane(struct transfer *t, struct lane *lane)
{
    if (lane->job != NULL) {
        (void)curl_multi_remove_handle(t->multi, lane->curl);
    }
    if (lane->curl != NULL) {
        curl_easy_cleanup(lane->curl);
    }
    curl_slist_free_all(lane->headers);
    curl_slist_free_all(lane->connect_to);
}

err berth_transfer_open(struct cli *cli, const struct endpoint *to, size_t n_connections,
                        struct transfer **ret_transfer)
{
    AUTO(transfer) struct transfer *t = ARENA_NEW(&cli->arena, struct transfer);

    if (t == NULL) {
        return ERR(NOMEM);
    }
    *t = (struct transfer){ .cli = cli, .to = *to, .n_lanes = n_connections };
    t->multi = curl_multi_init();
    if (t->multi == NULL) {
        return ERR(NOMEM);
    }
    (void)curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, (long)n_connections);
    for (size_t i = 0; i < n_connections; i++) {
        TRY(open_lane(t, &t->lanes[i]));
    }
    *ret_transfer = t;
    t = NULL;
    return OK;
}

void berth_transfer_close(struct transfer *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < t->n_lanes; i++) {
        close_lane(t, &t->lanes[i]);
    }
    if (t->multi != NULL) {
        (void)curl_multi_cleanup(t->multi);
    }
}

static void enqueue(struct transfer *t, struct transfer_job *job)
{
    job->next = NULL;
    if (t->last != NULL) {
        t->last->next = job;
    } else {
        t->first = job;
    }
    t->last = job;
}

void berth_transfer_send(struct transfer *t, struct transfer_job *job)
{
    job->is_done = job->is_again = false;
    job->status = job->n_attempts = 0;
    job->due_ms = 0;
    job->why[0] = '\0';
    enqueue(t, job);
}

static void finish(struct transfer *t, struct transfer_job *job)
{
    job->is_done = true;
    t->n_done++;
}

/* ---- starting ---- */

static err renew_headers(struct transfer *t, struct lane *lane)
{
    int64_t now_ms = berth_cli_now_ms();

    if (lane->headers != NULL && now_ms - lane->token_ms < TOKEN_RENEWED_MS) {
        return OK;
    }
    curl_slist_free_all(lane->headers);
    lane->headers = NULL;
    TRY(berth_http_handle_headers(t->cli, &t->to, NULL, &lane->headers));
    lane->token_ms = now_ms;
    (void)curl_easy_setopt(lane->curl, CURLOPT_HTTPHEADER, lane->headers);
    return OK;
}

static err start(struct transfer *t, struct lane *lane, struct transfer_job *job)
{
    CURL *c = lane->curl;
    size_t mark = t->cli->arena.used;

    TRY(renew_headers(t, lane));
    job->reply = buf_over(job->reply_memory, sizeof(job->reply_memory) - 1);
    job->n_attempts++;
    lane->job = job;
    lane->error[0] = '\0';
    (void)curl_easy_setopt(c, CURLOPT_URL,
                           berth_cli_printf(t->cli, "https://%s%s", t->to.host, job->path));
    (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)job->body.len);
    (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS,
                           job->body.len > 0 ? (const char *)job->body.data : "");
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, job);
    t->cli->arena.used = mark; /* curl keeps a copy of the URL */
    return curl_multi_add_handle(t->multi, c) == CURLM_OK ? OK : ERR(NOMEM);
}

/* The next that is due; NULL: none. *sleep_ms becomes the time until one is. */
static struct transfer_job *take_due(struct transfer *t, int64_t now_ms, int *sleep_ms)
{
    struct transfer_job *before = NULL;

    for (struct transfer_job *job = t->first; job != NULL; before = job, job = job->next) {
        if (job->due_ms > now_ms) {
            int64_t wait_ms = job->due_ms - now_ms;

            *sleep_ms = wait_ms < *sleep_ms ? (int)wait_ms : *sleep_ms;
            continue;
        }
        *(before ? &before->next : &t->first) = job->next;
        t->last = t->last == job ? before : t->last;
        return job;
    }
    return NULL;
}

static err start_due(struct transfer *t, int *sleep_ms)
{
    int64_t now_ms = t->first != NULL ? berth_cli_now_ms() : 0;

    for (size_t i = 0; i < t->n_lanes && t->first != NULL; i++) {
        struct transfer_job *job;

        if (t->lanes[i].job != NULL) {
            continue;
        }
        job = take_due(t, now_ms, sleep_ms);
        if (job == NULL) {
            return OK;
        }
        TRY(start(t, &t->lanes[i], job));
    }
    return OK;
}

/* ---- ending ---- */

static bool is_worth_again(const struct transfer *t, CURLcode result, long status)
{
    switch (result) {
    case CURLE_OK:
        return status == 429 || status == 503;
    case CURLE_COULDNT_CONNECT:
        return t->is_known;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR: /* closed in the middle of a handshake */
        return true;
    default:
        return false;
    }
}

static void say_why(struct transfer *t, struct lane *lane, CURLcode result, long status)
{
    struct transfer_job *job = lane->job;
    struct buf text = buf_over(job->why, sizeof(job->why) - 1);

    if (result == CURLE_OK) {
        berth_http_explain((int)status, buf_span(&job->reply), job->what, &text);
    } else {
        buf_printf(&text, "%s port %d: %s", t->to.address ? t->to.address : t->to.host, t->to.port,
                   lane->error[0] ? lane->error : curl_easy_strerror(result));
    }
    (void)buf_cstr(&text);
}

static int64_t backoff_ms(CURL *curl, int n_attempts)
{
    int64_t wait_ms = BACKOFF_FIRST_MS;
    curl_off_t asked_s = 0;

    (void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &asked_s);
    for (int i = 1; i < n_attempts && wait_ms < BACKOFF_MAX_MS; i++) {
        wait_ms *= 2;
    }
    wait_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS;
    asked_s = asked_s < RETRY_AFTER_MAX_S ? asked_s : RETRY_AFTER_MAX_S;
    return asked_s * 1000 > wait_ms ? (int64_t)asked_s * 1000 : wait_ms;
}

static void on_end(struct transfer *t, struct lane *lane, CURLcode result)
{
    struct transfer_job *job = lane->job;
    long status = 0;

    (void)curl_easy_getinfo(lane->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_multi_remove_handle(t->multi, lane->curl);
    job->status = result == CURLE_OK ? (int)status : 0;
    t->is_known = t->is_known || job->status != 0;
    if (job->status < 200 || job->status > 299) {
        say_why(t, lane, result, status);
    }
    lane->job = NULL;
    if (is_worth_again(t, result, status) && !t->gives_up && job->n_attempts < ATTEMPTS_MAX) {
        job->is_again = job->is_again || result != CURLE_OK; /* refused as busy: surely not done */
        job->due_ms = berth_cli_now_ms() + backoff_ms(lane->curl, job->n_attempts);
        enqueue(t, job);
        return;
    }
    finish(t, job);
}

static void take_ends(struct transfer *t)
{
    const CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(t->multi, &left)) != NULL) {
        CURLcode result = message->data.result;
        struct lane *lane = NULL;

        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&lane);
        on_end(t, lane, result);
    }
}

err berth_transfer_wait(struct transfer *t, int timeout_ms)
{
    int64_t end_ms = berth_cli_now_ms() + timeout_ms;
    int running;

    t->n_done = 0;
    for (;;) {
        int sleep_ms = timeout_ms;
        int64_t left_ms;

        TRY(start_due(t, &sleep_ms));
        if (curl_multi_perform(t->multi, &running) != CURLM_OK) {
            return ERR(NOMEM);
        }
        take_ends(t);
        left_ms = end_ms - berth_cli_now_ms();
        if (t->n_done > 0 || left_ms <= 0) {
            TRY(start_due(t, &sleep_ms));
            return curl_multi_perform(t->multi, &running) == CURLM_OK ? OK : ERR(NOMEM);
        }
        sleep_ms = left_ms < sleep_ms ? (int)left_ms : sleep_ms;
        if (curl_multi_poll(t->multi, NULL, 0, sleep_ms, NULL) != CURLM_OK) {
            return ERR(NOMEM);
        }
    }
}

void berth_transfer_give_up(struct transfer *t)
{
    struct transfer_job *job = t->first, *next;

    t->gives_up = true;
    t->first = t->last = NULL;
    for (; job != NULL; job = next) {
        next = job->next;
        if (job->n_attempts > 0) {
            finish(t, job);
        } else {
            enqueue(t, job);
        }
    }
}
