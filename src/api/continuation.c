/* api/continuation.c: base64 of
 *
 *     version u8, digest of the list [8], by-number u8, number u64, key
 *
 * There is no secret in it: who forges one starts in another place of a list that he may read. */
#include "api/continuation.h"

#include "crypto/crypto.h"
#include "model/limits.h"
#include "util/base64.h"
#include "util/cursor.h"

enum { VERSION = 1, DIGEST = 8, HEAD = 1 + DIGEST + 1 + 8 };

static err digest_of(const struct env *env, const struct continuation_list *l,
                     uint8_t ret_digest[CRYPTO_SHA256_LEN])
{
    size_t mark = env->arena->used;
    struct span all;

    TRY(arena_printf(env->arena, &all, "%.*s %.*s", SPAN_FMT(l->source),
                     SPAN_FMT(span_trim(l->text))));
    TRY(crypto_sha256(env->crypto, all, ret_digest));
    env->arena->used = mark;
    return OK;
}

err continuation_encode(const struct env *env, const struct continuation_list *list,
                        const struct continuation_place *place, struct span *ret_token)
{
    uint8_t bytes[HEAD + LIMIT_PLACE], digest[CRYPTO_SHA256_LEN];
    struct buf raw = buf_over(bytes, sizeof(bytes));
    struct buf out;

    TRY(digest_of(env, list, digest));
    buf_add_u8(&raw, VERSION);
    buf_add(&raw, span_of(digest, DIGEST));
    buf_add_u8(&raw, list->by_number);
    buf_add_u32(&raw, (uint32_t)((uint64_t)place->number >> 32));
    buf_add_u32(&raw, (uint32_t)place->number);
    buf_add(&raw, place->key);
    TRY(buf_ok(&raw));
    out = arena_buf(env->arena);
    base64_encode(buf_span(&raw), &out);
    return arena_buf_end(env->arena, &out, ret_token);
}

err continuation_decode(const struct env *env, const struct continuation_list *list,
                        struct span token, struct continuation_place *ret_place, bool *ret_is_sound)
{
    uint8_t bytes[HEAD + LIMIT_PLACE], digest[CRYPTO_SHA256_LEN];
    struct buf raw = buf_over(bytes, sizeof(bytes));
    bool is_base64 = err_is_ok(base64_decode(token, &raw));
    struct cursor c = cursor_over(buf_span(&raw));
    bool is_ours = is_base64 && cursor_u8(&c) == VERSION;
    struct continuation_place place = { 0 };

    TRY(digest_of(env, list, digest));
    is_ours &= span_eq(cursor_bytes(&c, DIGEST), span_of(digest, DIGEST));
    is_ours &= cursor_u8(&c) == (list->by_number ? 1 : 0);
    place.number = (int64_t)((uint64_t)cursor_u32(&c) << 32);
    place.number |= cursor_u32(&c);
    place.key = cursor_rest(&c);
    if (!is_ours || !err_is_ok(cursor_ok(&c)) || place.key.len == 0) {
        *ret_is_sound = false;
        return OK;
    }
    TRY(arena_copy(env->arena, place.key, &place.key));
    *ret_place = place;
    *ret_is_sound = true;
    return OK;
}
