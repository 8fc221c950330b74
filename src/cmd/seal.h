/* cmd/seal.h: the store's secrets and the keys in the seal-key file brought together: at the start,
 * when the file has changed, and by `berthd rotate-seal-key`. */
#ifndef CMD_SEAL_H
#define CMD_SEAL_H

#include "api/metrics.h"
#include "cmd/config.h"
#include "store/store.h"
#include "util/cleanup.h"

struct seal;

/* Makes the key file where that is due, sees that it has every key in use, gives the store its
 * sealer, and seals what was never sealed. The store must be this process's alone, and not used
 * before. `tell`: as log_event, any thread. ERR_SEALED: the key is missing, is another, or its file
 * is not as it should be: err_detail is a sentence; nothing was changed. */
err seal_open(const struct config *c, struct store *store,
              void (*tell)(enum config_log_level level, const char *event, const char *text),
              struct seal **ret_seal);
/* Seals anew, in the background, what is under keys that are to go, if there is any. `m` counts. */
void seal_start(struct seal *s, struct metrics *m);
/* Reads the file again: a new first key seals from now on, and the rest is sealed anew. A file that
 * cannot be used leaves all as it was. Tells what became of it. */
void seal_reload(struct seal *s);
/* Ends what is in the background; begun again at the next start. Before the store is closed. */
void seal_stop(struct seal *s);
/* Once the store is closed. NULL-safe. */
void seal_free(struct seal *s);
AUTO_DEFINE(seal, struct seal *, seal_free)

/* `berthd rotate-seal-key`. ERR_SEALED: as above. */
err seal_rotate(const struct config *c, FILE *out);

#endif
