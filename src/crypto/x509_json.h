/* crypto/x509_json.h: certificates as JSON, for decision records and logs. */
#ifndef CRYPTO_X509_JSON_H
#define CRYPTO_X509_JSON_H

#include "crypto/x509.h"
#include "json/writer.h"

/* The member "chain":[{"subject","issuer","serialNumber","sha256Thumbprint","notBeforeUtc",
 * "notAfterUtc"}] of an object (doc/wire/manage.md). A stranger's certificates: names beyond any
 * sense are cut, dates that do not parse left out. Its buf fails sticky. ERR_CRYPTO. */
err crypto_x509_json_chain(struct crypto_cert *const *chain, size_t n, struct json_writer *w);

/* Members of X509CertificateInfo (reference dps-service-api.md 4.4) into the object that is being
 * written. Its buf fails sticky. ERR_CRYPTO. */
err crypto_x509_json_info(const struct crypto_cert *cert, struct json_writer *w);
/* The member "subjectAltNames":{"dns":[…],"uri":[…],"email":[…],"ip":[…]}: nothing when
 * it has none. Names that are no text, too long or too many, and other kinds, are passed over. */
void crypto_x509_json_alt_names(const struct crypto_cert *cert, struct json_writer *w);

#endif
