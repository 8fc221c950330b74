/* cmd/berth/reconcile.c: `berth reconcile`: asks for what registrations and hubs disagree about,
 * shows it, and has it mended if told to. Hubs of the server it compares itself; of a hub elsewhere
 * both lists are read and compared here. */
#include "cmd/berth/commands.h"
#include "cmd/berth/id_set.h"
#include "cmd/berth/manage.h"
#include "cmd/berth/progress.h"
#include "model/limits.h"
#include "json/writer.h"

enum { DEPTH = 16, MEND_TIMEOUT_S = 180, HUBS_MAX = 2 * LIMIT_LINKED_HUBS };
/* Virtual: only what is touched counts. */
#define KEPT_BYTES ((size_t)4 << 30)

enum kind { MISSING, DUPLICATE, STRAY, WAITING, OVERDUE, KINDS };
static const char *const KIND_WORDS[KINDS] = { "missing", "duplicate", "stray", "waiting",
                                               "overdue" };

struct difference {
    enum kind kind;
    struct span hub, device, registration, note;
    bool is_mended;
    struct span why; /* it was not; absent: nobody tried */
};

struct hub {
    const char *name;
    bool is_linked, is_elsewhere, is_comparable;
    int64_t devices;
};

struct reconcile {
    struct cli *cli;
    struct endpoint service;
    struct arena kept; /* what outlives a page */
    struct hub *hubs;
    size_t n_hubs;
    struct difference *differences;
    size_t n, cap;
    size_t n_of[KINDS];
    const struct hub *at;  /* the hub that is looked at */
    struct id_set devices; /* of a hub elsewhere, as registrations have them */
    struct progress progress;
    int64_t looked_at;
    bool mends[KINDS];
};

static struct span keep(struct reconcile *r, struct span text)
{
    struct span copy = SPAN_NONE;

    return err_is_ok(arena_copy(&r->kept, text, &copy)) ? copy : SPAN_NONE;
}

static err add(struct reconcile *r, const struct difference *d)
{
    struct difference *rows;

    if (r->n == r->cap) {
        r->cap = r->cap > 0 ? 2 * r->cap : 256;
        rows = ARENA_ARRAY(&r->kept, r->cap, struct difference);
        if (rows == NULL) {
            return ERR(NOMEM);
        }
        if (r->n > 0) {
            memcpy(rows, r->differences, r->n * sizeof(*rows));
        }
        r->differences = rows;
    }
    r->differences[r->n] = (struct difference){ .kind = d->kind,
                                                .hub = keep(r, d->hub),
                                                .device = keep(r, d->device),
                                                .registration = keep(r, d->registration),
                                                .note = keep(r, d->note) };
    r->n++;
    r->n_of[d->kind]++;
    return OK;
}

static struct span text_of(const json *item, const char *name)
{
    return json_text(json_member(item, name));
}

/* All pages of a list; fn gets the struct reconcile. */
static err each(struct reconcile *r, const char *path, const char *what,
                err (*fn)(struct cli *cli, const json *item, void *arg))
{
    const struct manage_each list = {
        .method = "GET", .path = path, .what = what, .fn = fn, .arg = r
    };

    return berth_manage_each(r->cli, &r->service, &list);
}

static const char *path_of(struct reconcile *r, const char *list)
{
    return berth_cli_printf(r->cli, "/berth/v1/linkedHubs/%s/%s",
                            berth_http_escape(r->cli, r->at->name), list);
}

static void show_progress(struct reconcile *r)
{
    berth_progress_show(&r->progress, ++r->looked_at, 0, 0, 0);
}

static void say(struct reconcile *r, const char *text)
{
    berth_progress_clear(&r->progress);
    (void)fprintf(stderr, "berth: %s: %s\n", r->at->name, text);
}

/* ---- lists ---- */

static err take_hub(struct cli *cli, const json *item, void *arg)
{
    struct reconcile *r = arg;
    struct hub hub = { .is_linked = false };

    (void)cli;
    if (r->n_hubs == HUBS_MAX) {
        return ERR(TOO_LARGE);
    }
    TRY(json_get_bool(item, "linked", &hub.is_linked));
    TRY(json_get_bool(item, "comparable", &hub.is_comparable));
    TRY(json_get_int(item, "devices", &hub.devices));
    hub.is_elsewhere = span_eq(text_of(item, "where"), SPAN("elsewhere"));
    hub.name = arena_cstr(&r->kept, text_of(item, "name"));
    if (hub.name == NULL) {
        return ERR(NOMEM);
    }
    r->hubs[r->n_hubs++] = hub;
    return OK;
}

static err take_missing(struct cli *cli, const json *item, void *arg)
{
    struct reconcile *r = arg;
    const struct difference d = { .kind = MISSING,
                                  .hub = span_str(r->at->name),
                                  .device = text_of(item, "deviceId"),
                                  .registration = text_of(item, "registrationId"),
                                  .note =
                                      r->at->is_linked ? SPAN_NONE : SPAN("not linked any more") };

    (void)cli;
    show_progress(r);
    return add(r, &d);
}

static err take_identity(struct cli *cli, const json *item, void *arg)
{
    struct reconcile *r = arg;
    struct span word = text_of(item, "difference");
    struct id_entry *entry = berth_id_set_find(&r->devices, text_of(item, "deviceId"));
    struct difference d = { .hub = span_str(r->at->name),
                            .device = text_of(item, "deviceId"),
                            .registration = text_of(item, "registrationId") };
    bool was_registered = false;

    if (entry != NULL) {
        entry->is_seen = true;
    }
    show_progress(r);
    if (span_is_absent(word)) {
        return OK;
    }
    d.kind = span_eq(word, SPAN("duplicate")) ? DUPLICATE : STRAY;
    if (d.kind == DUPLICATE) {
        d.note = span_str(
            berth_cli_printf(cli, "belongs to %.*s", SPAN_FMT(text_of(item, "placedHub"))));
    } else {
        TRY(json_get_bool(item, "wasRegistered", &was_registered));
        d.note = was_registered ? SPAN("was registered before") : SPAN("never registered here");
    }
    return add(r, &d);
}

static err take_device(struct cli *cli, const json *item, void *arg)
{
    struct reconcile *r = arg;

    (void)cli;
    show_progress(r);
    return berth_id_set_add(&r->devices, text_of(item, "deviceId"),
                            text_of(item, "registrationId"));
}

static err take_waiting(struct cli *cli, const json *item, void *arg)
{
    struct reconcile *r = arg;
    const struct difference d = {
        .kind = WAITING,
        .registration = text_of(item, "registrationId"),
        .note = span_str(
            berth_cli_printf(cli, "since %.*s", SPAN_FMT(berth_view_text(cli, item, "updated")))),
    };

    return add(r, &d);
}

static err take_errand(struct cli *cli, const json *item, void *arg)
{
    struct reconcile *r = arg;
    struct span last = text_of(item, "lastError");
    int64_t tries = 0;
    struct difference d = { .kind = OVERDUE,
                            .hub = text_of(item, "hub"),
                            .device = text_of(item, "deviceId"),
                            .registration = text_of(item, "registrationId") };

    TRY(json_get_int(item, "tries", &tries));
    d.note = span_str(berth_cli_printf(
        cli, "to %.*s since %.*s, %lld tries%s%.*s", SPAN_FMT(text_of(item, "type")),
        SPAN_FMT(berth_view_text(cli, item, "since")), (long long)tries,
        span_is_empty(last) ? "" : ": ", SPAN_FMT(last)));
    return add(r, &d);
}

/* ---- mending, and looking again ---- */

static void write_item(const struct difference *d, struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_str(w, "kind", KIND_WORDS[d->kind]);
    json_write_text_if(w, "registrationId", d->registration);
    json_write_text_if(w, "hub", d->hub);
    json_write_text_if(w, "deviceId", d->device);
    json_write_end_object(w);
}

/* Has up to LIMIT_MENDED differences mended, or only looked at again. Those that the service did
 * not come to are as they were: *ret_n is how many it did. */
static err send(struct reconcile *r, struct difference **batch, size_t n, bool is_dry,
                size_t *ret_n)
{
    AUTO(json) json *answer = NULL;
    struct http_request request = { .method = "POST",
                                    .path = "/berth/v1/reconcile",
                                    .what = "mending",
                                    .timeout_s = MEND_TIMEOUT_S };
    size_t mark = r->cli->arena.used;
    struct buf body = arena_buf(&r->cli->arena);
    struct json_writer w = json_writer_over(&body);
    struct http_reply reply;
    const json *items;

    json_write_begin_object(&w, NULL);
    json_write_bool(&w, "dryRun", is_dry);
    json_write_begin_array(&w, "items");
    for (size_t i = 0; i < n; i++) {
        write_item(batch[i], &w);
    }
    json_write_end_array(&w);
    json_write_end_object(&w);
    TRY(arena_buf_end(&r->cli->arena, &body, &request.body));
    TRY(berth_manage_ask(r->cli, &r->service, &request, &reply));
    if (!err_is_ok(json_parse(reply.body, DEPTH, &answer))) {
        return err_set(ERR_IO, "mending: the server's answer is not JSON");
    }
    items = json_member(answer, "value");
    *ret_n = json_array_len(items);
    for (size_t i = 0; i < *ret_n && i < n; i++) {
        struct span why = text_of(json_array_at(items, i), "why");

        batch[i]->is_mended = span_is_absent(why);
        batch[i]->why = keep(r, why);
    }
    r->cli->arena.used = mark;
    return *ret_n > 0 ? OK : err_set(ERR_IO, "mending: the server did nothing");
}

static void print_mended(struct reconcile *r, const struct difference *d)
{
    if (r->cli->is_json) {
        return;
    }
    (void)printf("%s %s %.*s%s%.*s", d->is_mended ? "mended" : "left  ", KIND_WORDS[d->kind],
                 SPAN_FMT(span_is_empty(d->device) ? d->registration : d->device),
                 span_is_empty(d->hub) ? "" : " on ", SPAN_FMT(d->hub));
    (void)printf("%s%.*s\n", d->is_mended ? "" : ": ", SPAN_FMT(d->why));
}

static err mend_all(struct reconcile *r)
{
    struct difference *batch[LIMIT_MENDED];
    size_t next = 0;

    for (;;) {
        size_t n = 0;
        size_t done;

        while (next < r->n && n < LIMIT_MENDED) {
            if (r->mends[r->differences[next].kind]) {
                batch[n++] = &r->differences[next];
            }
            next++;
        }
        if (n == 0) {
            return OK;
        }
        for (size_t at = 0; at < n; at += done) {
            TRY(send(r, batch + at, n - at, false, &done));
            for (size_t i = at; i < at + done; i++) {
                print_mended(r, batch[i]);
            }
        }
    }
}

/* ---- comparing ---- */

static err look_again(struct reconcile *r, struct difference *unseen, size_t n)
{
    struct difference *batch[LIMIT_MENDED];
    size_t done;

    for (size_t i = 0; i < n; i++) {
        batch[i] = &unseen[i];
    }
    for (size_t at = 0; at < n; at += done) {
        TRY(send(r, batch + at, n - at, true, &done));
    }
    for (size_t i = 0; i < n; i++) {
        if (unseen[i].is_mended) { /* it would be */
            TRY(add(r, &unseen[i]));
        }
    }
    return OK;
}

/* A hub elsewhere is listed while devices come and go: what it did not list the server asks it for
 * one by one before it is called missing. */
static err compare_unseen(struct reconcile *r)
{
    struct difference unseen[LIMIT_MENDED];
    size_t n = 0;

    for (size_t i = 0; i < r->devices.n; i++) {
        const struct id_entry *e = &r->devices.entries[i];

        if (e->is_seen) {
            continue;
        }
        unseen[n++] = (struct difference){
            .kind = MISSING, .hub = span_str(r->at->name), .device = e->id, .registration = e->name
        };
        if (n == LIMIT_MENDED) {
            TRY(look_again(r, unseen, n));
            n = 0;
        }
    }
    return look_again(r, unseen, n);
}

static err compare_elsewhere(struct reconcile *r)
{
    size_t mark = r->kept.used;
    size_t n = r->n;

    berth_id_set_init(&r->devices, &r->kept);
    TRY(each(r, path_of(r, "devices?top=1000"), r->at->name, take_device));
    TRY(each(r, path_of(r, "identities?top=1000"), r->at->name, take_identity));
    TRY(compare_unseen(r));
    berth_id_set_init(&r->devices, &r->kept);
    if (r->n == n) {
        r->kept.used = mark;
    }
    return OK;
}

static err compare_here(struct reconcile *r)
{
    err e;

    TRY(each(r, path_of(r, "devices?missing=true&top=1000"), r->at->name, take_missing));
    if (!r->at->is_linked) {
        return OK;
    }
    e = each(r, path_of(r, "identities?differences=true&top=1000"), r->at->name, take_identity);
    if (err_is(e, ERR_MALFORMED)) { /* another's, whose devices are not shown */
        say(r, err_detail());
        return OK;
    }
    return e;
}

static err compare_hub(struct reconcile *r, const struct hub *hub)
{
    r->at = hub;
    if (!hub->is_comparable) {
        say(r, berth_cli_printf(r->cli,
                                "not linked any more, and another's: its %lld devices of yours "
                                "are not compared",
                                (long long)hub->devices));
        return OK;
    }
    return hub->is_elsewhere ? compare_elsewhere(r) : compare_here(r);
}

static err compare_all(struct reconcile *r)
{
    const char *only = berth_cli_text(r->cli, "hub");
    bool is_found = false;

    TRY(each(r, "/berth/v1/reconcile/hubs", "hubs", take_hub));
    for (size_t i = 0; i < r->n_hubs; i++) {
        if (only == NULL || span_eq_nocase(span_str(only), span_str(r->hubs[i].name))) {
            is_found = true;
            TRY(compare_hub(r, &r->hubs[i]));
        }
    }
    if (only != NULL) {
        return is_found ? OK : err_set(ERR_NOT_FOUND, "linked hub '%s': Not found", only);
    }
    TRY(each(r, "/berth/v1/reconcile/registrations?top=1000", "registrations", take_waiting));
    return each(r, "/berth/v1/reconcile/errands?top=1000", "errands", take_errand);
}

/* ---- showing ---- */

static void write_difference(const struct reconcile *r, const struct difference *d,
                             struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_str(w, "kind", KIND_WORDS[d->kind]);
    json_write_text_if(w, "hub", d->hub);
    json_write_text_if(w, "deviceId", d->device);
    json_write_text_if(w, "registrationId", d->registration);
    json_write_text_if(w, "note", d->note);
    if (r->mends[d->kind]) {
        json_write_bool(w, "mended", d->is_mended);
        json_write_text_if(w, "why", d->why);
    }
    json_write_end_object(w);
}

/* One a line: any number of them. */
static err show_json(struct reconcile *r)
{
    (void)putchar('[');
    for (size_t i = 0; i < r->n; i++) {
        size_t mark = r->cli->arena.used;
        struct buf out = arena_buf(&r->cli->arena);
        struct json_writer w = json_writer_over(&out);

        write_difference(r, &r->differences[i], &w);
        TRY(buf_ok(&out));
        (void)printf("%s\n  %.*s", i > 0 ? "," : "", SPAN_FMT(buf_span(&out)));
        r->cli->arena.used = mark;
    }
    (void)puts(r->n > 0 ? "\n]" : "]");
    return OK;
}

static err show_table(struct reconcile *r)
{
    static const char *const titles[] = { "KIND", "HUB", "DEVICE", "REGISTRATION", "NOTE" };
    struct table table;

    if (r->n == 0) {
        (void)puts("Registrations and hubs agree.");
        return OK;
    }
    berth_table_init(&table, &r->cli->arena, titles, sizeof(titles) / sizeof(titles[0]));
    for (size_t i = 0; i < r->n; i++) {
        const struct difference *d = &r->differences[i];
        const struct span cells[] = { span_str(KIND_WORDS[d->kind]), d->hub, d->device,
                                      d->registration, d->note };

        TRY(berth_table_add(&table, cells));
    }
    berth_table_print(&table, stdout);
    return OK;
}

/* "3 missing, 1 stray": of those that are to be mended. */
static const char *count_text(struct reconcile *r)
{
    const char *text = "";

    for (size_t k = 0; k < KINDS; k++) {
        if (r->mends[k] && r->n_of[k] > 0) {
            text = berth_cli_printf(r->cli, "%s%s%zu %s", text, *text != '\0' ? ", " : "",
                                    r->n_of[k], KIND_WORDS[k]);
        }
    }
    return text;
}

/* ---- the command ---- */

static err read_kinds(struct reconcile *r)
{
    const char *text = berth_cli_text(r->cli, "mend");
    struct span rest = text != NULL ? span_str(text) : SPAN_NONE;

    while (!span_is_absent(rest)) {
        struct span word = span_trim(span_cut(&rest, ','));
        size_t k = 0;

        while (k < OVERDUE && !span_eq(word, span_str(KIND_WORDS[k]))) {
            k++;
        }
        if (k == OVERDUE) {
            return berth_cli_usage(r->cli,
                                   "--mend: '%.*s' is not missing, duplicate, stray or waiting",
                                   SPAN_FMT(word));
        }
        r->mends[k] = true;
    }
    return OK;
}

static err run(struct reconcile *r)
{
    const char *counts;
    size_t left = 0;

    TRY(read_kinds(r));
    TRY(berth_cli_service(r->cli, &r->service));
    berth_progress_begin(&r->progress, r->cli->is_json, "devices looked at", 0);
    TRY(compare_all(r));
    berth_progress_clear(&r->progress);
    if (!r->cli->is_json) {
        TRY(show_table(r));
    }
    counts = count_text(r);
    if (*counts != '\0') {
        err e = berth_manage_confirm(r->cli, "Mend", counts);

        TRY(err_is_ok(e) ? mend_all(r) : err_is(e, ERR_CLOSED) ? OK : e);
    }
    if (r->cli->is_json) {
        TRY(show_json(r));
    }
    for (size_t i = 0; i < r->n; i++) {
        left += !r->differences[i].is_mended;
    }
    r->cli->exit_status = left > 0 ? BERTH_EXIT_FAILED : BERTH_EXIT_OK;
    return OK;
}

/* 1 says that there are differences, as of diff(1): trouble of any other kind is 2 or more. */
static void set_trouble(struct cli *cli, err e)
{
    if (berth_cli_exit_status(cli, e) == BERTH_EXIT_FAILED) {
        cli->exit_status = BERTH_EXIT_USAGE;
    }
}

err berth_reconcile_run(struct cli *cli)
{
    struct reconcile *r = ARENA_NEW(&cli->arena, struct reconcile);
    void *block = berth_cli_map(KEPT_BYTES);
    err e = ERR(NOMEM);

    if (r != NULL && block != NULL) {
        *r = (struct reconcile){ .cli = cli };
        arena_init(&r->kept, block, KEPT_BYTES);
        r->hubs = ARENA_ARRAY(&r->kept, HUBS_MAX, struct hub);
        e = r->hubs != NULL ? run(r) : ERR(NOMEM);
    }
    if (!err_is_ok(e)) {
        set_trouble(cli, e);
    }
    if (block != NULL) {
        berth_cli_unmap(block, KEPT_BYTES);
    }
    return e;
}
