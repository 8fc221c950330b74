// links: berth_api
/* tests/fuzz/fuzz_dps_body.c: the body of a registration. A payload that is taken is canonical: as
 * the payload of another body it comes out the same. A TPM's certificates and keys go on to be
 * parsed and judged as those of a claim. */
#include "api/dps_json.h"
#include "fuzz.h"

static enum reason parse(struct span text, struct arena *arena, struct dps_json_body *ret_body)
{
    struct verdict v;

    FUZZ_CHECK(err_is_ok(dps_json_parse_body(text, SPAN("dev1"), arena, ret_body, &v)));
    return v.reason;
}

static void check_tpm(const struct dps_tpm *tpm, struct arena *arena)
{
    static struct crypto *crypto;
    struct crypto_cert *certs[LIMIT_CHAIN_CERTIFICATES];
    struct claim claim = { .registration_id = SPAN("dev1"),
                           .tpm = { .endorsement_key = tpm->endorsement_key,
                                    .storage_root_key = tpm->storage_root_key,
                                    .certificates = certs } };
    struct env env = { .arena = arena };
    struct verdict v;
    size_t n = 0;
    err e;

    if (crypto == NULL) {
        FUZZ_CHECK(err_is_ok(crypto_new(CRYPTO_SERVING, &crypto)));
    }
    env.crypto = crypto;
    e = dps_tpm_parse_certificates(crypto, tpm, certs, &n);
    FUZZ_CHECK(err_is_ok(e) || err_is(e, ERR_MALFORMED));
    FUZZ_CHECK(n <= tpm->n_certificates);
    claim.tpm.n_certificates = n;
    FUZZ_CHECK(err_is_ok(attest_tpm_precheck_group(&env, &claim, &v)));
    FUZZ_CHECK(verdict_is_granted(v) == false); /* "dev1" is made of no key */
    while (n > 0) {
        crypto_x509_free(certs[--n]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A real or an escape may grow to six times its length and more. */
    size_t room = 4096 + 128 * size;
    uint8_t *block = malloc(room);
    struct dps_json_body first = { 0 }, again;
    struct arena arena;
    struct span text;

    FUZZ_CHECK(block != NULL);
    arena_init(&arena, block, room);
    if (parse(span_of(data, size), &arena, &first) != REASON_GRANTED) {
        free(block);
        return 0;
    }
    if (!span_is_absent(first.tpm.endorsement_key)) {
        check_tpm(&first.tpm, &arena);
    }
    if (!span_is_absent(first.payload)) {
        FUZZ_CHECK(
            err_is_ok(arena_printf(&arena, &text, "{\"payload\":%.*s}", SPAN_FMT(first.payload))));
        if (parse(text, &arena, &again) == REASON_GRANTED) { /* or too large by now */
            FUZZ_CHECK(span_eq(first.payload, again.payload));
        }
    }
    free(block);
    return 0;
}
