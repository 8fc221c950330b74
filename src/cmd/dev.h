/* cmd/dev.h: `berthd --dev`: everything that a first try needs, made on the first start and found
 * again on the next. */
#ifndef CMD_DEV_H
#define CMD_DEV_H

#include "cmd/config.h"
#include "cmd/dev_pki.h"
#include "store/store.h"

struct dev {
    struct dev_pki pki;
    void *block; /* of the arena that the spans point into */
    struct arena arena;
    char dir[PATH_MAX]; /* absolute */
    struct span host, id_scope, service_key, hub_key;
};

/* Makes or finds certificates, ID scope, hub, enrollment group. The store must be this process's
 * alone. An old dev.json goes: it is written again when connections are accepted. Faults:
 * err_detail is a sentence. dev_done is due in any case. */
err dev_open(const struct config *c, struct store *store, struct dev *ret_dev);
void dev_done(struct dev *d);

/* Connections are accepted: writes dev.json and tells a person the same. */
err dev_announce(const struct dev *d, const struct config *c, FILE *out);

#endif
