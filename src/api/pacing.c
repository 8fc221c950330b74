/* api/pacing.c: seconds to come back in. SDKs read whole seconds, and take a second or two at least
 * whatever they are told (reference dps-device-api.md 3.7). */
#include "api/pacing.h"

#include "model/limits.h"

enum { US_PER_S = 1000000, SPREAD = 4 /* a wait is drawn out by up to this part of it */ };

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int in_bounds(int64_t s)
{
    return s < 1 ? 1 : s > LIMIT_RETRY_AFTER_MAX_S ? LIMIT_RETRY_AFTER_MAX_S : (int)s;
}

int pacing_return_s(struct pacing_line *line, int64_t now_us, int64_t ahead_us, int64_t each_us,
                    uint8_t dice)
{
    const int64_t last_us = now_us + (int64_t)LIMIT_RETRY_AFTER_MAX_S * US_PER_S;
    int64_t end_us = max(line->end_us, now_us + ahead_us) + each_us;

    if (end_us > last_us) {
        return LIMIT_RETRY_AFTER_MAX_S / 2 + LIMIT_RETRY_AFTER_MAX_S / 2 * dice / UINT8_MAX;
    }
    line->end_us = end_us;
    return in_bounds((end_us - now_us + US_PER_S - 1) / US_PER_S);
}

int pacing_poll_s(bool is_decided, int64_t wait_ms, uint8_t dice)
{
    int64_t least_s = is_decided ? LIMIT_POLL_DECIDED_S : LIMIT_POLL_INTERVAL_S;
    int64_t wait_s = max(wait_ms, 0) / 1000;

    wait_s = wait_s < LIMIT_RETRY_AFTER_MAX_S ? wait_s : LIMIT_RETRY_AFTER_MAX_S;
    return in_bounds(is_decided ? least_s + wait_s
                                : max(least_s, wait_s + 1 + wait_s * dice / UINT8_MAX / SPREAD));
}
