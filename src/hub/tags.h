/* hub/tags.h: the index over tags: a row of KIND_TAG for each text, number and boolean that a
 * device's or module's tags lead to, so that a query by a tag finds who has it. Kept in step by
 * whoever writes `device.tags`, in the same transaction. */
#ifndef HUB_TAGS_H
#define HUB_TAGS_H

#include "model/env.h"
#include "store/store.h"
#include "json/json.h"

struct bus;

/* Moves the rows of a client ID from its old tags (JSON object, or absent) to its new ones. Costs
 * nothing where the text is the same. Nothing stays in the arena. ERR_CORRUPT: stored tags are no
 * JSON; ERR_NOMEM. */
err hub_tags_update(struct store_tx *tx, struct arena *arena, struct span hub,
                    struct span client_id, struct span old_tags, struct span new_tags);

/* What stands in the index: of a path as `tag.path`, of a value as `tag.value`. Equal numbers have
 * the same text, however they are written. False: it is not indexed, so nothing can be looked up by
 * it. A path: names that hold no '.', at most LIMIT_TAG_PATH bytes in all; a value: a text, number
 * or boolean of at most LIMIT_TAG_VALUE bytes. */
bool hub_tags_format_path(const char *const *names, size_t n, struct buf *out);
bool hub_tags_format_text(struct span text, struct buf *out);
bool hub_tags_format_number(struct json_number number, struct buf *out);
bool hub_tags_format_bool(bool truth, struct buf *out);

/* Are all devices and modules of the hub in the index? Those that are from before there was one are
 * entered by hub_tags_enter_old. */
err hub_tags_is_complete(struct store_tx *tx, struct arena *arena, struct span hub,
                         bool *ret_is_complete);
/* A chore (hub/keeper.h): enters some of them in one transaction; costs a look once there are none.
 * `bus` and `arg` are not used. */
err hub_tags_enter_old(const struct env *env, struct bus *bus, void *arg, bool *again);

#endif
