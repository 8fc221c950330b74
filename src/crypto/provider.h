/* crypto/provider.h: the filtering provider. For this folder and its tests. */
#ifndef CRYPTO_PROVIDER_H
#define CRYPTO_PROVIDER_H

#include <openssl/provider.h>

#include "util/err.h"

/* Does the OpenSSL that runs gain by the filter (3.0 and 3.1)? */
bool crypto_provider_is_wanted(void);

/* Loads into `lib` a provider that passes on a part of `whole`, the default provider of another
 * library context, which must outlive `lib`. ERR_CRYPTO: `lib` is as it was. */
err crypto_provider_load(OSSL_LIB_CTX *lib, OSSL_PROVIDER *whole, OSSL_PROVIDER **ret_provider);

#endif
