/* cmd/berth/progress.c: the line, and when it is due. */
#include "cmd/berth/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "cmd/berth/cli.h"

enum { BAR_WIDTH = 24, TERMINAL_EVERY_MS = 100, PLAIN_EVERY_MS = 5000, LINE_MAX_LEN = 200 };

void berth_progress_number(int64_t n, struct buf *out)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)n);

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            buf_add_u8(out, ',');
        }
        buf_add_u8(out, (uint8_t)digits[i]);
    }
}

static void add_time(int64_t seconds, struct buf *out)
{
    if (seconds >= 3600) {
        buf_printf(out, "%lld:%02d:", (long long)(seconds / 3600), (int)(seconds / 60 % 60));
    } else {
        buf_printf(out, "%d:", (int)(seconds / 60));
    }
    buf_printf(out, "%02d", (int)(seconds % 60));
}

void berth_progress_format(const struct progress_point *at, const char *what, int64_t from,
                           bool is_bar, struct buf *out)
{
    int64_t elapsed_ms = at->elapsed_ms > 0 ? at->elapsed_ms : 1;
    int64_t moved = at->position - from, left = at->size - at->position;

    if (at->size > 0 && is_bar) {
        buf_add_u8(out, '[');
        for (int i = 0; i < BAR_WIDTH; i++) {
            buf_add_u8(out, i < at->position * BAR_WIDTH / at->size ? '#' : ' ');
        }
        buf_add_str(out, "] ");
    }
    if (at->size > 0) {
        buf_printf(out, "%d%%  ", (int)(at->position * 100 / at->size));
    }
    berth_progress_number(at->done, out);
    buf_printf(out, " %s  ", what);
    if (at->failed > 0) {
        berth_progress_number(at->failed, out);
        buf_add_str(out, " failed  ");
    }
    berth_progress_number((at->done + at->failed) * 1000 / elapsed_ms, out);
    buf_add_str(out, "/s");
    if (at->size > 0 && moved > 0 && left > 0) {
        buf_add_str(out, "  ");
        add_time((int64_t)((double)left * (double)elapsed_ms / (double)moved / 1000.0) + 1, out);
        buf_add_str(out, " left");
    }
}

void berth_progress_begin(struct progress *p, bool is_json, const char *what, int64_t position)
{
    int64_t now_ms = berth_cli_now_ms();

    *p = (struct progress){ .is_on = !is_json,
                            .is_terminal = isatty(STDERR_FILENO) == 1,
                            .what = what,
                            .begin_ms = now_ms,
                            .shown_ms = now_ms,
                            .begin_position = position };
}

int64_t berth_progress_elapsed_ms(const struct progress *p)
{
    int64_t elapsed_ms = berth_cli_now_ms() - p->begin_ms;

    return elapsed_ms > 0 ? elapsed_ms : 1;
}

void berth_progress_show(struct progress *p, int64_t done, int64_t failed, int64_t position,
                         int64_t size)
{
    int64_t now_ms = p->is_on ? berth_cli_now_ms() : 0;
    struct progress_point at = { .done = done,
                                 .failed = failed,
                                 .position = position,
                                 .size = size,
                                 .elapsed_ms = now_ms - p->begin_ms };
    char memory[LINE_MAX_LEN];
    struct buf line = buf_over(memory, sizeof(memory) - 1);

    if (!p->is_on || now_ms - p->shown_ms < (p->is_terminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS)) {
        return;
    }
    p->shown_ms = now_ms;
    berth_progress_format(&at, p->what, p->begin_position, p->is_terminal, &line);
    (void)fprintf(stderr, p->is_terminal ? "\r%s\033[K" : "%s\n", buf_cstr(&line));
    p->is_shown = p->is_terminal;
}

void berth_progress_clear(struct progress *p)
{
    if (p->is_shown) {
        (void)fputs("\r\033[K", stderr);
        p->is_shown = false;
    }
}
