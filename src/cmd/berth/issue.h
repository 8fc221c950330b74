/* cmd/berth/issue.h: keys and certificates made under a CA that is in files. What stands in a
 * certificate is ca/profile.h's. */
#ifndef CMD_BERTH_ISSUE_H
#define CMD_BERTH_ISSUE_H

#include "ca/profile.h"
#include "cmd/berth/pem.h"

struct issue_ca;

struct issue_request {
    enum ca_profile profile;
    enum crypto_key_type key_type;
    const char *common_name;
    int64_t now_ms;
    int days;
    int path_len;              /* of a CA; -1: no constraint */
    const struct issue_ca *ca; /* who signs; NULL: itself */
};

/* A new key and its certificate, both the caller's to free. The errors of ca_profile_issue. */
err berth_issue_make(struct crypto *c, const struct issue_request *request,
                     struct crypto_key **ret_key, struct crypto_cert **ret_certificate);

/* A CA's certificate and key from files, checked to belong together; the certificate file may go on
 * with the CA's own issuers. NULL paths: the device CA of --dev. A usage error without either. */
struct issue_ca {
    struct crypto_cert *chain[BERTH_PEM_CERTIFICATES_MAX]; /* the CA first */
    size_t n_chain;
    struct crypto_key *key;
};
err berth_issue_open_ca(struct cli *cli, const char *certificate_path, const char *key_path,
                        struct issue_ca *ret_ca);
void berth_issue_close_ca(struct issue_ca *ca);

/* PEM of a certificate named `code`, signed by the CA: proof of possession. */
err berth_issue_verification(struct cli *cli, const char *code, const char *certificate_path,
                             const char *key_path, struct span *ret_pem);

/* PEM of leaf and its issuers without the self-signed one: what a device presents. */
err berth_issue_format_chain(struct cli *cli, struct crypto_cert *leaf, const struct issue_ca *ca,
                             struct span *ret_pem);

/* "p256" … "rsa4096", as --key-type has them. */
enum crypto_key_type berth_issue_key_type(const char *name);

#endif
