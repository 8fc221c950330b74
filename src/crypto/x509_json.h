/* crypto/x509_json.h: certificates as JSON, for decision records and logs. */
#ifndef CRYPTO_X509_JSON_H
#define CRYPTO_X509_JSON_H

#include "crypto/x509.h"

/* {"chain":[{"subject","issuer","serialNumber","sha256Thumbprint","notBeforeUtc","notAfterUtc"}]}
 * (doc/wire/manage.md). A stranger's certificates: names beyond any sense are cut, dates that do
 * not parse left out. `out` fails sticky. ERR_CRYPTO. */
err crypto_x509_json_chain(struct crypto_cert *const *chain, size_t n, struct buf *out);

#endif
