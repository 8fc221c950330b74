/* cmd/log.h: lines for the operator on standard error: one write(2) a line, JSON or logfmt. Any
 * thread. */
#ifndef CMD_LOG_H
#define CMD_LOG_H

#include "cmd/config.h"
#include "front/front.h"

/* Once, before the first line. */
void log_open(enum config_log_format format, enum config_log_level level);

/* `event` is a word to search for, `text` a sentence. */
void log_event(enum config_log_level level, const char *event, const char *text);
void log_access(const struct front_access *a);

/* The line without the write, for tests. Texts that do not fit are cut; the line stays whole. */
enum { LOG_LINE_MAX = 8192 };
size_t log_format_access(enum config_log_format format, int64_t now_ms,
                         const struct front_access *a, char ret_line[LOG_LINE_MAX]);
size_t log_format_event(enum config_log_format format, int64_t now_ms, enum config_log_level level,
                        const char *event, const char *text, char ret_line[LOG_LINE_MAX]);

#endif
