/* cmd/log.c: one line an event. A line is made in a buffer of the thread's and written at once, so
 * that lines of several threads do not mix (pipes keep writes up to PIPE_BUF together). Texts from
 * outside are cut and escaped: what a device sends cannot begin a line of its own. */
#include "cmd/log.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "util/timefmt.h"

enum { TEXT_MAX = 512, OUTSIDE_MAX = 128 };

static enum config_log_format log_format = CONFIG_LOG_LOGFMT;
static enum config_log_level log_level = CONFIG_LOG_INFO;

static const char *const levels[] = { "debug", "info", "warning", "error" };

struct line {
    struct buf out;
    enum config_log_format format;
    bool has_member;
};

void log_open(enum config_log_format format, enum config_log_level level)
{
    log_format = format;
    log_level = level;
}

/* ---- members ---- */

static void begin_member(struct line *l, const char *name)
{
    if (l->format == CONFIG_LOG_JSON) {
        buf_add_str(&l->out, l->has_member ? ",\"" : "{\"");
        buf_add_str(&l->out, name);
        buf_add_str(&l->out, "\":");
    } else {
        buf_add_str(&l->out, l->has_member ? " " : "");
        buf_add_str(&l->out, name);
        buf_add_u8(&l->out, '=');
    }
    l->has_member = true;
}

static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t b = text.data[i];

        if (b <= ' ' || b == '"' || b == '=' || b == '\\' || b >= 0x7f) {
            return false;
        }
    }
    return text.len > 0;
}

/* How many bytes of well-formed UTF-8 stand at the front (RFC 3629 section 4), 0: none. */
static size_t utf8_len(struct span s)
{
    uint8_t b = s.data[0];
    size_t n = b < 0x80 ? 1 : b < 0xc2 ? 0 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : b < 0xf5 ? 4 : 0;

    if (n == 0 || n > s.len) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s.data[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((b == 0xe0 && s.data[1] < 0xa0) || (b == 0xed && s.data[1] > 0x9f) ||
        (b == 0xf0 && s.data[1] < 0x90) || (b == 0xf4 && s.data[1] > 0x8f)) {
        return 0;
    }
    return n;
}

static void add_quoted(struct line *l, struct span text)
{
    buf_add_u8(&l->out, '"');
    while (text.len > 0) {
        uint8_t b = text.data[0];
        size_t n = utf8_len(text);

        if (n == 0) {
            buf_add_str(&l->out, "\xef\xbf\xbd"); /* U+FFFD */
            n = 1;
        } else if (b < ' ' || b == 0x7f) {
            buf_printf(&l->out, "\\u%04x", b);
        } else {
            if (b == '"' || b == '\\') {
                buf_add_u8(&l->out, '\\');
            }
            buf_add(&l->out, span_first(text, n));
        }
        text = span_from(text, n);
    }
    buf_add_u8(&l->out, '"');
}

static void add_text(struct line *l, const char *name, struct span text)
{
    if (span_is_absent(text)) {
        return;
    }
    text = span_first(text, TEXT_MAX);
    begin_member(l, name);
    if (l->format == CONFIG_LOG_LOGFMT && is_plain(text)) {
        buf_add(&l->out, text);
    } else {
        add_quoted(l, text);
    }
}

static void add_int(struct line *l, const char *name, int64_t value)
{
    begin_member(l, name);
    buf_add_int(&l->out, value);
}

static struct line begin_line(enum config_log_format format, char *memory, int64_t now_ms,
                              enum config_log_level level, const char *event)
{
    struct line l = { .out = buf_over(memory, LOG_LINE_MAX), .format = format };
    uint8_t time[40];
    struct buf text = buf_over(time, sizeof(time));

    timefmt_iso(now_ms, &text);
    add_text(&l, "time", buf_span(&text));
    add_text(&l, "level", span_str(levels[level]));
    add_text(&l, "event", span_str(event));
    return l;
}

static size_t end_line(struct line *l)
{
    buf_add_str(&l->out, l->format == CONFIG_LOG_JSON ? "}\n" : "\n");
    return l->out.len;
}

/* ---- lines ---- */

size_t log_format_event(enum config_log_format format, int64_t now_ms, enum config_log_level level,
                        const char *event, const char *text, char ret_line[LOG_LINE_MAX])
{
    struct line l = begin_line(format, ret_line, now_ms, level, event);

    add_text(&l, "text", span_str(text));
    return end_line(&l);
}

static enum config_log_level level_of(const struct access_note *note)
{
    return note->reason == REASON_INTERNAL ? CONFIG_LOG_ERROR : CONFIG_LOG_INFO;
}

size_t log_format_access(enum config_log_format format, int64_t now_ms,
                         const struct front_access *a, char ret_line[LOG_LINE_MAX])
{
    const struct access_note *note = a->note;
    struct line l = begin_line(format, ret_line, now_ms, level_of(note), "request");

    add_text(&l, "surface", span_str(note->surface));
    add_text(&l, "operation", span_str(note->operation));
    add_text(&l, "scope", span_first(note->scope, OUTSIDE_MAX));
    add_text(&l, "id", span_first(note->id, OUTSIDE_MAX));
    add_text(&l, "reason", span_str(reason_info(note->reason)->token));
    if (note->status != 0) {
        add_int(&l, "status", note->status);
    }
    if (note->has_device_status) {
        add_int(&l, "deviceStatus", note->device_status);
    }
    add_text(&l, "fault", span_str(note->fault));
    if (*a->tracking_id != '\0') {
        add_text(&l, "trackingId", span_str(a->tracking_id));
        add_int(&l, "durationUs", a->duration_us);
    }
    if (note->waited_us > 0) {
        add_int(&l, "waitedUs", note->waited_us);
    }
    add_text(&l, "peer", span_str(a->peer->address));
    return end_line(&l);
}

static int64_t wall_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What cannot be written is lost: there is nowhere else to say it. */
static void write_line(const char *line, size_t len)
{
    ssize_t n;

    do {
        n = write(STDERR_FILENO, line, len);
    } while (n < 0 && errno == EINTR);
}

void log_event(enum config_log_level level, const char *event, const char *text)
{
    static _Thread_local char line[LOG_LINE_MAX];

    if (level >= log_level) {
        write_line(line, log_format_event(log_format, wall_ms(), level, event, text, line));
    }
}

void log_access(const struct front_access *a)
{
    static _Thread_local char line[LOG_LINE_MAX];

    if (level_of(a->note) >= log_level) {
        write_line(line, log_format_access(log_format, wall_ms(), a, line));
    }
}
