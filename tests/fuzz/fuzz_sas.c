// links: berth_attest
/* tests/fuzz/fuzz_sas.c: shared access signatures as strangers send them. What parses is whole, and
 * covers itself. */
#include "attest/sas.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t block[64 * 1024];
    struct arena arena;
    struct sas_token token;
    err e;

    arena_init(&arena, block, sizeof block);
    e = sas_parse(span_of(data, size), &arena, &token);
    if (!err_is_ok(e)) {
        FUZZ_CHECK(err_is(e, ERR_MALFORMED) || err_is(e, ERR_NOMEM) || err_is(e, ERR_TOO_LARGE));
        return 0;
    }
    FUZZ_CHECK(token.signature.len > 0);
    FUZZ_CHECK(token.expiry_s >= 0);
    FUZZ_CHECK(token.resource_text.len > 0);
    FUZZ_CHECK(token.resource.len == 0 || sas_covers(&token, token.resource));
    return 0;
}
