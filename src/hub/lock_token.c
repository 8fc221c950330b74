/* hub/lock_token.c: a version 7 GUID whose time is a sequence. */
#include "hub/lock_token.h"

#include "util/guid.h"
#include "util/hex.h"

enum { SEQUENCE_BYTES = 6, TEXT_LEN = 13 }; /* "xxxxxxxx-xxxx" */

err lock_token_new(const struct env *env, int64_t sequence, struct span *ret_token)
{
    uint8_t random[GUID_BYTES];
    struct buf out = arena_buf(env->arena);

    env->random(random, sizeof random);
    guid_format_v7(sequence, random, &out);
    return arena_buf_end(env->arena, &out, ret_token);
}

bool lock_token_sequence(struct span token, int64_t *ret_sequence)
{
    uint8_t digits[2 * SEQUENCE_BYTES], bytes[SEQUENCE_BYTES];
    struct buf text = buf_over(digits, sizeof digits);
    struct buf out = buf_over(bytes, sizeof bytes);
    int64_t sequence = 0;

    if (token.len != GUID_TEXT_LEN || token.data[8] != '-') {
        return false;
    }
    buf_add(&text, span_first(token, 8));
    buf_add(&text, span_of(token.data + 9, TEXT_LEN - 9));
    if (!err_is_ok(hex_decode(buf_span(&text), &out))) {
        return false;
    }
    for (size_t i = 0; i < SEQUENCE_BYTES; i++) {
        sequence = sequence << 8 | bytes[i];
    }
    *ret_sequence = sequence;
    return true;
}
