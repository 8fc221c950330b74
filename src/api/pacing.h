/* api/pacing.h: when to come back, as a device is told in retry-after. Arithmetic alone: what waits
 * and how long that takes is the caller's to know (front/work.h).
 *
 * Who is sent away gets a place in a line that is kept nowhere: all that is known of it is when its
 * last one's turn is. It goes on where the real queue ends, so a herd that is refused at one moment
 * comes back one by one, over as long as its work takes. */
#ifndef API_PACING_H
#define API_PACING_H

#include <stdbool.h>
#include <stdint.h>

/* All zero at first. Guarded by its owner. */
struct pacing_line {
    int64_t end_us; /* until then everything is promised to somebody; on the clock of now_us */
};

/* For who is refused at now_us and would have ahead_us of work before it, each of its kind taking
 * each_us: 1 to LIMIT_RETRY_AFTER_MAX_S. Beyond that there are no places: it is told to ask again
 * at a time that `dice` chooses from the later half. */
int pacing_return_s(struct pacing_line *line, int64_t now_us, int64_t ahead_us, int64_t each_us,
                    uint8_t dice);

/* For who is to ask what became of its registration. is_decided: all is done, only the asking is
 * left; wait_ms: what that, or the deciding, has to wait for. */
int pacing_poll_s(bool is_decided, int64_t wait_ms, uint8_t dice);

#endif
