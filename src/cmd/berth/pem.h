/* cmd/berth/pem.h: certificates in files. */
#ifndef CMD_BERTH_PEM_H
#define CMD_BERTH_PEM_H

#include "cmd/berth/cli.h"
#include "crypto/x509.h"

enum { BERTH_PEM_CERTIFICATES_MAX = 16 };

/* The text of a certificate file as the APIs take it: PEM as it is, DER as base64. ERR_MALFORMED:
 * no certificate, or a private key is in the file too, which must not leave this machine. */
err berth_pem_read(struct cli *cli, const char *path, struct span *ret_text);

/* All certificates of a PEM file, or the one of a DER file. Each is the caller's to free.
 * ERR_MALFORMED: none, too many, or not readable. Private keys are passed over. */
err berth_pem_read_certificates(struct cli *cli, const char *path,
                                struct crypto_cert *certificates[BERTH_PEM_CERTIFICATES_MAX],
                                size_t *ret_n);
void berth_pem_free_certificates(struct crypto_cert **certificates, size_t n);

/* PEM of all certificates, one after the other. */
err berth_pem_format(struct cli *cli, struct crypto_cert *const *certificates, size_t n,
                     struct span *ret_text);

/* Lines for people (berth_view_line): subject, issuer, validity and thumbprints; thumbprints
 * alone. */
err berth_pem_show(struct cli *cli, const struct crypto_cert *certificate);
err berth_pem_show_thumbprints(const struct crypto_cert *certificate);

#endif
