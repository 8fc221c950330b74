/* cmd/chores.c: the table of chores, and how each is begun. What a chore does is hub/'s; how often
 * it is worth its while is said here. */
#include "cmd/chores.h"

#include <stdio.h>

#include "cmd/log.h"
#include "hub/c2d.h"
#include "hub/hub.h"
#include "hub/limits.h"
#include "hub/presence.h"
#include "hub/tags.h"
#include "model/limits.h"

enum {
    RESUME_EVERY_MS = 3600 * 1000, /* whoever began a removal goes on with it, as a rule */
    RESUME_ROWS = 4 * LIMIT_DELETE_BATCH,
};

/* On the keeper's thread, as all that follows. */
static err resume_removals(const struct env *env, struct bus *bus, void *arg, bool *again)
{
    static int64_t next_ms; /* at once after the start: a removal may have ended with the process */

    (void)arg;
    if (env->now_ms < next_ms) {
        return OK;
    }
    TRY(hub_remove_resume(env, bus, RESUME_ROWS, again));
    if (!*again) {
        next_ms = env->now_ms + RESUME_EVERY_MS;
    }
    return OK;
}

static struct hub_chore chores[] = {
    { "presence", hub_presence_flush, NULL }, /* first: its arg is set below */
    { "resume-removals", resume_removals, NULL }, { "enter-old-tags", hub_tags_enter_old, NULL },
    { "write-quotas", hub_limits_flush, NULL },   { "expire-messages", hub_c2d_expire, NULL },
};

static void on_fault(void *arg, const char *chore, err fault)
{
    char text[640];

    (void)arg;
    (void)snprintf(text, sizeof(text), "%s: %s", chore,
                   *err_detail() != '\0' ? err_detail() : err_name(fault));
    log_event(CONFIG_LOG_WARNING, "chore-failed", text);
}

err chores_start(const struct service *service, struct hub_keeper **ret_keeper)
{
    const struct hub_keeper_config config = { .store = service->store,
                                              .sink = service->sink,
                                              .bus = service->bus,
                                              .limits = service->limits,
                                              .chores = chores,
                                              .n_chores = sizeof(chores) / sizeof(chores[0]),
                                              .on_fault = on_fault };

    chores[0].arg = service->presence;
    return hub_keeper_start(&config, ret_keeper);
}
