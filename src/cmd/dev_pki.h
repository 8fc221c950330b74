/* cmd/dev_pki.h: the certificates of `berthd --dev`: a server CA and the server's certificate, and
 * a device CA, as files that are made when they are not there. */
#ifndef CMD_DEV_PKI_H
#define CMD_DEV_PKI_H

#include <limits.h>

#include "crypto/key.h"
#include "util/arena.h"

struct dev_pki {
    char server_ca_cert[PATH_MAX], server_ca_key[PATH_MAX];
    char server_cert[PATH_MAX], server_key[PATH_MAX], server_names[PATH_MAX];
    char device_ca_cert[PATH_MAX], device_ca_key[PATH_MAX];
    struct span device_ca_der; /* in the arena */
};

/* What the server is called: "DNS:localhost,IP:127.0.0.1", … without repetition. */
struct dev_names {
    struct buf text;
};
void dev_names_add(struct dev_names *n, const char *kind, struct span name);

/* Finds or makes everything in `dir` (absolute). The server's certificate is issued anew when its
 * names are other than `names`, when it ends within a month, or when it is not the CA's. Faults:
 * err_detail is a sentence. */
err dev_pki_open(struct crypto *c, const char *dir, struct span names, int64_t now_ms,
                 struct arena *arena, struct dev_pki *ret_pki);

#endif
