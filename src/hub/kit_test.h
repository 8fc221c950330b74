/* hub/kit_test.h: for this folder's tests: the store in memory, a bus, a request's memory, and a
 * clock that is an integer. What else env has is the test's own. */
#ifndef HUB_KIT_TEST_H
#define HUB_KIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/bus.h"
#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"
#include "store/store.h"
#include "util/arena.h"

#define KIT    __attribute__((unused)) static
#define NOW_MS 1750000000000LL
#define HUB    SPAN("hub.example")

#define assert_ok(call)      assert_string_equal(err_name(call), err_name(OK))
#define assert_span(text, s) assert_true(span_eq(span_str(text), (s)))
#define assert_reason(expected, v)                                                                 \
    assert_string_equal(reason_info(REASON_##expected)->token, reason_info((v).reason)->token)

KIT struct store *store;
KIT struct bus *bus;
KIT struct arena arena;
KIT struct env env;

KIT void kit_open(void)
{
    enum { ROOM = 4 * 1024 * 1024 };
    void *block = malloc(ROOM);

    assert_non_null(block);
    arena_init(&arena, block, ROOM);
    assert_ok(store_mem_open(&store));
    assert_ok(bus_new(&bus));
    env = (struct env){ .store = store, .arena = &arena, .now_ms = NOW_MS };
}

KIT void kit_close(void)
{
    bus_free(bus);
    store_close(store);
    free(arena.block);
}

struct kit_row {
    const struct kind *kind;
    const void *record;
};

KIT err kit_put_row(struct store_tx *tx, void *arg)
{
    const struct kit_row *row = arg;

    return store_put(tx, row->kind, row->record);
}

KIT void kit_put(const struct kind *kind, const void *record)
{
    struct kit_row row = { kind, record };

    assert_ok(store_write(store, kit_put_row, &row));
}

KIT void assert_text(const char *expected, struct span s)
{
    if (!span_eq(span_str(expected), s)) {
        fail_msg("%.*s\nis not\n%s", SPAN_FMT(s), expected);
    }
}

#endif
