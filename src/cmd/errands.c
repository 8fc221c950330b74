/* cmd/errands.c: the errands' lines in the log. */
#include "cmd/errands.h"

#include "cmd/log.h"
#include "hub/hub.h"

static void on_event(void *arg, enum core_errands_event event, const char *text)
{
    static const struct {
        enum config_log_level level;
        const char *word;
    } lines[] = {
        [CORE_ERRANDS_ENDED] = { CONFIG_LOG_INFO, "errand-ended" },
        [CORE_ERRANDS_FAILED] = { CONFIG_LOG_WARNING, "errand-failed" },
        [CORE_ERRANDS_OPENED] = { CONFIG_LOG_WARNING, "breaker-opened" },
        [CORE_ERRANDS_CLOSED] = { CONFIG_LOG_INFO, "breaker-closed" },
        [CORE_ERRANDS_FAULT] = { CONFIG_LOG_ERROR, "errand-fault" },
    };

    (void)arg;
    log_event(lines[event].level, lines[event].word, text);
}

err errands_start(const struct core_errands_config *config, struct core_errands **ret_errands)
{
    struct core_errands_config c = *config;

    c.hubs = &HUB_PLACER;
    c.on_event = on_event;
    return core_errands_start(&c, ret_errands);
}
