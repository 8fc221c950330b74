// links: berth_cli
/* tests/fuzz/fuzz_csv.c: records are found alike however much of the text is there, their fields
 * lie within them, and what is read and written again reads as the same. */
#include "cmd/berth/csv.h"
#include "fuzz.h"

enum { FIELDS = 64 };

static void write_again(const struct span *fields, size_t n, size_t len)
{
    uint8_t *memory = malloc(2 * len + 3 * n + 1), *copy;
    struct buf out = buf_over(memory, 2 * len + 3 * n + 1);
    struct span again[FIELDS];
    size_t m = 0;

    FUZZ_CHECK(memory != NULL);
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&out, i > 0 ? "," : "");
        berth_csv_encode(fields[i], &out);
    }
    buf_add_str(&out, "\n");
    FUZZ_CHECK(!out.failed);
    copy = memory;
    FUZZ_CHECK(err_is_ok(berth_csv_decode(copy, out.len, again, FIELDS, &m)));
    FUZZ_CHECK(m == n);
    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK(span_eq(fields[i], again[i]));
    }
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);
    size_t len = 0, lines = 0, all = 0;

    while (berth_csv_measure(rest, true, &len, &lines)) {
        uint8_t *record = malloc(len);
        struct span fields[FIELDS];
        size_t n = 0, cut;

        FUZZ_CHECK(record != NULL && len > 0 && len <= rest.len && lines > 0);
        if (len < rest.len) {
            FUZZ_CHECK(berth_csv_measure(span_first(rest, len), false, &cut, &lines) && cut == len);
            FUZZ_CHECK(!berth_csv_measure(span_first(rest, len - 1), false, &cut, &lines));
        }
        memcpy(record, rest.data, len);
        if (err_is_ok(berth_csv_decode(record, len, fields, FIELDS, &n))) {
            FUZZ_CHECK(n > 0);
            write_again(fields, n, len);
        }
        free(record);
        rest = span_from(rest, len);
        all += len;
    }
    FUZZ_CHECK(all == size);
    return 0;
}
