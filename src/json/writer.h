/* json/writer.h: writes JSON straight into a buf: no tree, no allocation. The caller keeps the
 * order (a name before each value in an object); commas are the writer's. */
#ifndef JSON_WRITER_H
#define JSON_WRITER_H

#include "util/buf.h"
#include "util/span.h"

struct json_writer {
    struct buf *out;
    bool need_comma;
};

static inline struct json_writer json_writer_over(struct buf *out)
{
    return (struct json_writer){ .out = out };
}

/* `name` NULL: a value in an array, or the top one. Text is escaped; ill-formed UTF-8 becomes
 * U+FFFD. */
void json_write_begin_object(struct json_writer *w, const char *name);
void json_write_end_object(struct json_writer *w);
void json_write_begin_array(struct json_writer *w, const char *name);
void json_write_end_array(struct json_writer *w);
void json_write_text(struct json_writer *w, const char *name, struct span text);
void json_write_str(struct json_writer *w, const char *name, const char *text);
/* Writes nothing when the text is absent: members are omitted, never null (reference
 * dps-device-api.md 2.4). */
void json_write_text_if(struct json_writer *w, const char *name, struct span text);
void json_write_int(struct json_writer *w, const char *name, int64_t value);
void json_write_bool(struct json_writer *w, const char *name, bool value);
void json_write_null(struct json_writer *w, const char *name);
/* Canonical JSON text as it is; nothing when absent. */
void json_write_raw_if(struct json_writer *w, const char *name, struct span json_text);
/* Point in time as timefmt_iso. */
void json_write_time(struct json_writer *w, const char *name, int64_t time_ms);
void json_write_base64(struct json_writer *w, const char *name, struct span bytes);
void json_write_hex_upper(struct json_writer *w, const char *name, struct span bytes);
/* A member name taken from data: escaped. The next call writes its value with name NULL… */
void json_write_name(struct json_writer *w, struct span name);

#endif
