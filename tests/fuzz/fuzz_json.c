// links: berth_json
/* tests/fuzz/fuzz_json.c: what parses, prints; and what was printed parses and prints the same. */
#include "fuzz.h"
#include "json/json.h"

enum { DEPTH = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A real or an escape may grow to six times its length and more. */
    size_t cap = 64 + 32 * size;
    AUTO(json) json *first = NULL;
    AUTO(json) json *again = NULL;
    uint8_t *texts;
    struct buf a, b;

    if (!err_is_ok(json_parse(span_of(data, size), DEPTH, &first))) {
        return 0;
    }
    texts = malloc(2 * cap);
    FUZZ_CHECK(texts != NULL);
    a = buf_over(texts, cap);
    b = buf_over(texts + cap, cap);
    FUZZ_CHECK(err_is_ok(json_print(first, &a)));
    FUZZ_CHECK(err_is_ok(json_parse(buf_span(&a), DEPTH, &again)));
    FUZZ_CHECK(err_is_ok(json_print(again, &b)));
    FUZZ_CHECK(span_eq(buf_span(&a), buf_span(&b)));
    free(texts);
    return 0;
}
