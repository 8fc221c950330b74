/* model/reason.h: why a request was granted or refused: the table of reason.def. */
#ifndef MODEL_REASON_H
#define MODEL_REASON_H

#include <stdbool.h>

#include "util/span.h"

enum reason {
#define REASON(symbol, token, status, code, message, meaning) REASON_##symbol,
#include "model/reason.def"
#undef REASON
    REASON_COUNT
};

struct reason_info {
    const char *token;   /* "issuer-unknown": log, metrics, decision records */
    int http_status;     /* also the {status} of an MQTT response topic */
    int error_code;      /* Azure's six digits; 0 when nothing is an error on the wire */
    const char *message; /* for who asked */
    const char *meaning; /* for the operator */
};

/* The decision on one request. A refusal is not a fault (util/err.h): the two do not mix. */
struct verdict {
    enum reason reason;
    struct span
        detail; /* one sentence that makes the message exact, safe for who asked; absent: none */
};

#define VERDICT(symbol) ((struct verdict){ .reason = REASON_##symbol })

/* FIELD_INVALID, and what is wrong: one sentence that outlives the request. */
static inline struct verdict verdict_invalid(const char *sentence)
{
    return (struct verdict){ .reason = REASON_FIELD_INVALID, .detail = span_str(sentence) };
}

static inline bool verdict_is_granted(struct verdict v)
{
    return v.reason == REASON_GRANTED;
}

/* Never NULL; out of range gives REASON_INTERNAL's. */
const struct reason_info *reason_info(enum reason reason);
/* False when no reason has that token. */
bool reason_parse(struct span token, enum reason *ret_reason);

#endif
