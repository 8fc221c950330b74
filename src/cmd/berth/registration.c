/* cmd/berth/registration.c: `berth registration`: what became of devices. */
#include "cmd/berth/commands.h"
#include "cmd/berth/enrollment_body.h"
#include "cmd/berth/resource.h"

static const struct view_column LIST[] = {
    { "ID", "registrationId" },
    { "STATUS", "status" },
    { "HUB", "assignedHub" },
    { "DEVICE", "deviceId" },
    { "ERROR", "errorCode" },
    { "UPDATED", "lastUpdatedDateTimeUtc" },
    { NULL, NULL },
};

static const struct view_column SHOW[] = {
    { "id", "registrationId" },
    { "status", "status" },
    { "substatus", "substatus" },
    { "hub", "assignedHub" },
    { "device ID", "deviceId" },
    { "error code", "errorCode" },
    { "error", "errorMessage" },
    { "created", "createdDateTimeUtc" },
    { "updated", "lastUpdatedDateTimeUtc" },
    { "etag", "etag" },
    { NULL, NULL },
};

static const struct resource REGISTRATION = { .collection = "/registrations",
                                              .option = "registration-id",
                                              .word = "registration",
                                              .plural = "registrations",
                                              .list = LIST,
                                              .show = SHOW };

err berth_registration_list(struct cli *cli)
{
    const char *group = berth_http_escape(cli, berth_cli_text(cli, "enrollment-id"));

    return berth_resource_list(
        cli, &REGISTRATION,
        berth_cli_printf(cli, "/registrations/%s/query?" BERTH_SERVICE_API_VERSION, group), NULL);
}

err berth_registration_show(struct cli *cli)
{
    return berth_resource_show(cli, &REGISTRATION);
}

err berth_registration_delete(struct cli *cli)
{
    return berth_resource_delete(cli, &REGISTRATION);
}
