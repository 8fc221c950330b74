/* core/key_groups.h: the symmetric-key groups of a scope: what a change of them has to keep, and
 * their keys made ready, of the scopes that a thread saw of late. Inside core/, but for new and
 * free.
 *
 * The cache holds no truth: it is valid for the key_groups_version of the instance row that is read
 * with each request anyway, in the same snapshot, and only says which group to read and judge. */
#ifndef CORE_KEY_GROUPS_H
#define CORE_KEY_GROUPS_H

#include "attest/key_group.h"
#include "store/store.h"

struct core_key_groups;

/* For one thread, in the caller's zeroed memory of core_key_groups_size bytes. capacity: groups, 2
 * to 65,536, each about 1 KB, most of it OpenSSL's; one scope may have half of them, the least
 * recently used scope goes first. */
size_t core_key_groups_size(size_t capacity);
struct core_key_groups *core_key_groups_init(void *memory, struct crypto *c, size_t capacity);
/* Wipes the keys; the memory stays the caller's. NULL-safe. Before its `struct crypto` is freed. */
void core_key_groups_done(struct core_key_groups *cache);

/* A scope's groups in the order of folded IDs, as far as there is room. */
struct core_key_scope;

/* Reads them unless they are there and of the instance's version. For a function of store_read, on
 * the thread of env->key_groups; never in a write transaction, whose rows may be undone. Borrowed
 * until the next call. ERR_NOMEM, ERR_CRYPTO, and the store's. */
err core_key_groups_get(const struct env *env, struct store_tx *tx, const struct instance *instance,
                        struct core_key_scope **ret_scope);
/* How many they are. */
size_t core_key_scope_count(const struct core_key_scope *s);
/* The folded ID of the last one, when there are more in the store; absent: these are all. */
struct span core_key_scope_rest(const struct core_key_scope *s);
/* Has the group that matched last signed? *ret_group absent: no. */
err core_key_scope_try_latest(const struct env *env, struct core_key_scope *s,
                              const struct attest_key_trial *trial, struct span *ret_group);
/* Which one has? `first` (a folded ID, or absent) is tried before the others. */
err core_key_scope_try(const struct env *env, struct core_key_scope *s,
                       const struct attest_key_trial *trial, struct span first,
                       struct span *ret_group);

/* The next few groups behind a folded ID (absent: from the start), as they are stored. Fewer than
 * LIMIT_QUERY_BATCH: that was the end. */
err core_key_groups_page(const struct env *env, struct store_tx *tx, struct span id_scope,
                         struct span after, struct enrollment **ret_rows, size_t *ret_n);

/* ---- in the transaction that changes an enrollment; NULL: there was, or will be, none ---- */

/* Counts the instance's key_groups_version on if the keys of a group change. */
err core_key_groups_keep(const struct env *env, struct store_tx *tx, const struct enrollment *was,
                         const struct enrollment *now);
/* A group of the scope other than `group` with this key: *ret_other is its ID, absent: none. Keys
 * that differ in zeros at the end sign alike. Reads all of the scope's groups. */
err core_key_groups_other(const struct env *env, struct store_tx *tx, struct span id_scope,
                          struct span key, struct span group, struct span *ret_other);

#endif
