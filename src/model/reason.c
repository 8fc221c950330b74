/* model/reason.c: the reason table. */
#include "model/reason.h"

static const struct reason_info table[] = {
#define REASON(symbol, token, status, code, message, meaning)                                      \
    [REASON_##symbol] = { token, status, code, message, meaning },
#include "model/reason.def"
#undef REASON
};

const struct reason_info *reason_info(enum reason reason)
{
    return reason >= 0 && reason < REASON_COUNT ? &table[reason] : &table[REASON_INTERNAL];
}

bool reason_parse(struct span token, enum reason *ret_reason)
{
    for (int i = 0; i < REASON_COUNT; i++) {
        if (span_eq(span_str(table[i].token), token)) {
            *ret_reason = (enum reason)i;
            return true;
        }
    }
    return false;
}
