/* api/decision_json.h: decision records as JSON (doc/wire/manage.md). */
#ifndef API_DECISION_JSON_H
#define API_DECISION_JSON_H

#include "model/records.h"
#include "json/writer.h"

void decision_json_write(const struct decision_row *row, struct json_writer *w);
/* The same for one that was not stored: without trackingId, transport and peer. */
void decision_json_write_dry(const struct decision *d, struct json_writer *w);

#endif
