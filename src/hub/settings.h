/* hub/settings.h: what an operator may set of a hub (doc/wire/manage.md): kept as JSON in
 * hub.settings, in the shape of Azure's resource where it has one; read, checked and filled up with
 * defaults here. hub/limits.h keeps them ready for use. */
#ifndef HUB_SETTINGS_H
#define HUB_SETTINGS_H

#include "hub/throttle.h"
#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"
#include "json/json.h"
#include "json/writer.h"

/* In effect, with defaults. */
struct hub_settings {
    enum throttle_tier tier; /* THROTTLE_TIER_NONE: no sku, no limits but those set one by one */
    int64_t units;
    /* properties.cloudToDevice */
    int64_t c2d_max_deliveries; /* 1 to LIMIT_C2D_DELIVERIES */
    int64_t c2d_ttl_ms;         /* of a message without an expiry of its own */
    int64_t feedback_max_deliveries, feedback_ttl_ms, feedback_lock_ms;
    /* properties.disableDeviceSAS, disableModuleSAS: tokens of keys of their own are refused */
    bool is_device_sas_disabled, is_module_sas_disabled;
    struct throttle_rate limits[THROTTLE_OPERATIONS];        /* of the whole hub */
    struct throttle_rate device_limits[THROTTLE_OPERATIONS]; /* of each device and module */
    struct throttle_quota quota;
};

/* Of a hub without settings: Azure's cloud-to-device defaults, no limits. */
struct hub_settings hub_settings_default(void);

/* The hub's, which is a row just read. From this process's cache when env has one (env->limits),
 * which takes up what is new in the row; otherwise from its text. ERR_CORRUPT: what is stored
 * breaks the rules; err_detail says where. */
err hub_settings_of(const struct env *env, const struct hub *hub,
                    struct hub_settings *ret_settings);
/* The same by host name (folded), without reading the row when the cache knows the hub. A hub that
 * does not exist has the defaults. A change made by this process counts at once, one made by
 * another from the next time this one reads the row (each login and each REST call does). */
err hub_settings_get(const struct env *env, struct span host, struct hub_settings *ret_settings);

/* Text to settings; absent: the defaults. ERR_CORRUPT, ERR_NOMEM. */
err hub_settings_parse(struct span text, struct hub_settings *ret_settings);

/* Merges `patch` (an object; null takes a member away) into what is set of a hub that the instance
 * made. In effect at once, for live sessions, too. FIELD_INVALID: the detail names the member;
 * RESOURCE_NOT_FOUND. */
struct hub_settings_patch {
    struct span id_scope, name;
    json *patch;
};
err hub_settings_change(const struct env *env, const struct hub_settings_patch *what,
                        struct hub *ret_hub, struct verdict *ret_verdict);
/* A hub that the instance made, by name. */
err hub_settings_find(const struct env *env, struct span id_scope, struct span name,
                      struct hub *ret_hub, struct verdict *ret_verdict);

/* As the resource shows them: members "sku" (unless none), "properties" (with defaults), "limits"
 * and "deviceLimits" (all operations that have one), into an object that is begun. */
void hub_settings_write(const struct hub_settings *s, struct json_writer *w);

#endif
