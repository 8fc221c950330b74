/* cmd/dev.h: `berthd --dev`: everything that a first try needs, made on the first start and found
 * again on the next. */
#ifndef CMD_DEV_H
#define CMD_DEV_H

#include "cmd/config.h"
#include "cmd/dev_pki.h"
#include "cmd/setup.h"
#include "store/store.h"

struct dev {
    struct dev_pki pki;
    struct setup *setup; /* what the spans point into */
    char dir[PATH_MAX];  /* absolute */
    struct span host, id_scope;
    struct span service_login, hub_login, server_login; /* connection strings */
    struct span group_key;                              /* of the symmetric-key group, in base64 */
};

/* Makes or finds certificates, ID scope, hub, enrollment groups. The store must be this process's
 * alone. An old dev.json goes: it is written again when connections are accepted. Faults:
 * err_detail is a sentence. dev_done is due in any case. */
err dev_open(const struct config *c, struct store *store, struct dev *ret_dev);
void dev_done(struct dev *d);

/* A host name may have come or gone: a server certificate that has those there are and a dev.json
 * that lists the hubs, in the files that there were. One thread at a time, and not while
 * dev_announce runs. Faults: err_detail is a sentence, the old files may be there still. */
err dev_cover_hubs(const struct dev *d, const struct config *c, struct store *store);

/* Connections are accepted: writes dev.json and tells a person the same. */
err dev_announce(const struct dev *d, const struct config *c, FILE *out);

#endif
