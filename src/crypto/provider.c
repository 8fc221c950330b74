/* crypto/provider.c: a provider that passes on a part of the default provider.
 *
 * OpenSSL 3.0 and 3.1 decode a public key by trying decoders and key managements of every kind that
 * is loaded, for each key anew; with only those that a device server meets this takes a third of
 * the time. Nothing is implemented here: the algorithms, their context and the provider's own
 * functions are the default provider's, only the list of algorithms is ours. */
#include "crypto/provider.h"

#include <pthread.h>
#include <string.h>

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "crypto/crypto.h"

enum { MAX_NAMES = 20, MAX_ALGORITHMS = 64, MAX_FUNCTIONS = 16 };

static const char provider_name[] = "berth-filter";

/* What is passed on: algorithms by their first name, all of which must be found. Encoders serve
 * issuing and are on no hot path; decoders and key managements are what costs. */
struct filter {
    int operation;
    const char *property; /* must be part of the definition; NULL: any */
    const char *names[MAX_NAMES];
};

static const struct filter filters[] = {
    { OSSL_OP_DIGEST, NULL, { "SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512" } },
    { OSSL_OP_CIPHER,
      NULL,
      { "AES-128-GCM", "AES-256-GCM", "AES-128-CCM", "AES-256-CCM", "AES-128-CTR", "AES-256-CTR",
        "AES-128-CBC", "AES-256-CBC", "AES-128-ECB", "AES-256-ECB", "AES-128-CFB", "AES-256-CFB",
        "ChaCha20", "ChaCha20-Poly1305" } },
    { OSSL_OP_MAC, NULL, { "HMAC" } },
    { OSSL_OP_KDF, NULL, { "HKDF", "TLS13-KDF", "TLS1-PRF", "KBKDF" } },
    { OSSL_OP_RAND, NULL, { "CTR-DRBG", "SEED-SRC" } },
    /* RSA-PSS: without it libssl takes the signatures of TLS 1.3 with RSA keys for unavailable. */
    { OSSL_OP_KEYMGMT, NULL, { "EC", "RSA", "RSA-PSS", "X25519", "HMAC" } },
    { OSSL_OP_KEYEXCH, NULL, { "ECDH", "X25519" } },
    { OSSL_OP_SIGNATURE, NULL, { "ECDSA", "RSA", "HMAC" } },
    { OSSL_OP_ASYM_CIPHER, NULL, { "RSA" } },
    { OSSL_OP_ENCODER, NULL, { "EC", "RSA" } },
    { OSSL_OP_DECODER, "input=der,structure=SubjectPublicKeyInfo", { "EC", "RSA" } },
};

/* The same for every library context, made once; a zero entry ends each list. */
static OSSL_ALGORITHM algorithms[OSSL_OP__HIGHEST + 1][MAX_ALGORITHMS + 1];
static OSSL_DISPATCH functions[MAX_FUNCTIONS + 1];
static bool is_ready;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* OpenSSL hands an init function no argument of ours; loading calls it on the same thread. */
static _Thread_local OSSL_PROVIDER *whole_being_loaded;

static const OSSL_ALGORITHM *query_operation(void *context, int operation, int *no_cache)
{
    (void)context;
    *no_cache = 0;
    return operation >= 0 && operation <= OSSL_OP__HIGHEST ? algorithms[operation] : NULL;
}

/* The context belongs to the whole provider, which is unloaded by its owner. */
static void teardown(void *context)
{
    (void)context;
}

/* Names are "EC:id-ecPublicKey:1.2.840.10045.2.1". */
static bool is_first_name(const char *names, const char *name)
{
    size_t n = strlen(name);

    return strncmp(names, name, n) == 0 && (names[n] == '\0' || names[n] == ':');
}

/* Adds the algorithms of one name; false when there is none, or no room. */
static bool pass_on(const struct filter *f, const char *name, const OSSL_ALGORITHM *offered)
{
    OSSL_ALGORITHM *list = algorithms[f->operation];
    size_t n = 0;
    bool is_found = false;

    while (list[n].algorithm_names != NULL) {
        n++;
    }
    for (; offered->algorithm_names != NULL; offered++) {
        if (!is_first_name(offered->algorithm_names, name) ||
            (f->property != NULL && strstr(offered->property_definition, f->property) == NULL)) {
            continue;
        }
        if (n == MAX_ALGORITHMS) {
            return false;
        }
        list[n++] = *offered;
        is_found = true;
    }
    return is_found;
}

static bool copy_functions(const OSSL_DISPATCH *offered)
{
    size_t n = 0;

    for (; offered->function_id != 0; offered++) {
        if (n == MAX_FUNCTIONS) {
            return false;
        }
        functions[n] = *offered;
        if (offered->function_id == OSSL_FUNC_PROVIDER_QUERY_OPERATION) {
            functions[n].function = (void (*)(void))query_operation;
        } else if (offered->function_id == OSSL_FUNC_PROVIDER_TEARDOWN) {
            functions[n].function = (void (*)(void))teardown;
        }
        n++;
    }
    return n > 0;
}

static void make_tables(void)
{
    OSSL_PROVIDER *whole = whole_being_loaded;

    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        const struct filter *f = &filters[i];
        int no_cache = 0;
        const OSSL_ALGORITHM *offered =
            OSSL_PROVIDER_query_operation(whole, f->operation, &no_cache);

        if (offered == NULL || no_cache != 0) {
            return;
        }
        for (size_t k = 0; k < MAX_NAMES && f->names[k] != NULL; k++) {
            if (!pass_on(f, f->names[k], offered)) {
                return;
            }
        }
    }
    is_ready = copy_functions(OSSL_PROVIDER_get0_dispatch(whole));
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
                const OSSL_DISPATCH **ret_functions, void **ret_context)
{
    (void)handle;
    (void)core;
    if (whole_being_loaded == NULL) {
        return 0;
    }
    (void)pthread_once(&once, make_tables);
    if (!is_ready) {
        return 0;
    }
    *ret_functions = functions;
    *ret_context = OSSL_PROVIDER_get0_provider_ctx(whole_being_loaded);
    return 1;
}

bool crypto_provider_is_wanted(void)
{
    return OPENSSL_version_major() == 3 && OPENSSL_version_minor() < 2;
}

err crypto_provider_load(OSSL_LIB_CTX *lib, OSSL_PROVIDER *whole, OSSL_PROVIDER **ret_provider)
{
    OSSL_PROVIDER *provider = NULL;

    whole_being_loaded = whole;
    if (OSSL_PROVIDER_add_builtin(lib, provider_name, init) == 1) {
        provider = OSSL_PROVIDER_load(lib, provider_name);
    }
    whole_being_loaded = NULL;
    if (provider == NULL) {
        return crypto_fail("filtering provider");
    }
    *ret_provider = provider;
    return OK;
}
