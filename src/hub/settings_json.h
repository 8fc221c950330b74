/* hub/settings_json.h: a hub's settings as they were given, and their JSON. Inside hub/ only. */
#ifndef HUB_SETTINGS_JSON_H
#define HUB_SETTINGS_JSON_H

#include "hub/settings.h"

/* 0: not given. */
struct settings_given {
    int64_t tier, units;
    int64_t c2d_max_deliveries, c2d_ttl_ms;
    int64_t feedback_max_deliveries, feedback_ttl_ms, feedback_lock_ms;
    int64_t is_device_sas_disabled, is_module_sas_disabled; /* SETTINGS_NO, SETTINGS_YES */
    int64_t daily_messages;                                 /* SETTINGS_UNLIMITED: no quota */
    /* count SETTINGS_UNLIMITED: none, though the tier has one; burst 0: as count */
    struct throttle_rate limits[THROTTLE_OPERATIONS], device_limits[THROTTLE_OPERATIONS];
};
enum { SETTINGS_UNLIMITED = -1, SETTINGS_NO = 1, SETTINGS_YES = 2 };

/* Merges what the object says into *given. ERR_MALFORMED: err_detail is a sentence that names the
 * member, and *given may be changed in part. */
err hub_settings_json_apply(json *object, struct settings_given *given);
/* What is given, as members that apply reads back, into an object that is begun. */
void hub_settings_json_members(const struct settings_given *given, struct json_writer *w);

#endif
