/* cmd/berth/commands_manage.c: `berth instance`, `policy`, `connection-string`, `linked-hub`. Data
 * only. */
#include "cmd/berth/commands_rows.h"

#define INSTANCE_NAME OPERAND("instance-name", "n", "NAME", "the provisioning service's name")
#define YES           FLAG("yes", "do not ask")
#define ALLOCATION(required_)                                                                      \
    {                                                                                              \
        .name = "allocation-policy", .kind = OPTION_CHOICE, .traits = required_,                   \
        .value = "hashed|geoLatency|static",                                                       \
        .help = "how a hub is picked where an enrollment "                                         \
                "does not say it"                                                                  \
    }

static const struct option NOTHING[] = { OPTIONS_END };
static const struct option INSTANCE_SHOW[] = {
    { .name = "instance-name",
      .alias = "n",
      .kind = OPTION_TEXT,
      .traits = OPTION_OPERAND,
      .value = "NAME",
      .help = "by the server's login; without: the one of the service login" },
    OPTIONS_END,
};
static const struct option INSTANCE_CREATE[] = {
    INSTANCE_NAME,
    { .name = "host-name",
      .kind = OPTION_TEXT,
      .traits = OPTION_REQUIRED,
      .value = "HOST",
      .help = "under which operators reach it" },
    ALLOCATION(0),
    OPTIONS_END,
};
static const struct option INSTANCE_UPDATE[] = { ALLOCATION(OPTION_REQUIRED), OPTIONS_END };
static const struct option INSTANCE_DELETE[] = {
    INSTANCE_NAME,
    FLAG("force", "with its enrollments, registrations, and hubs that it made with their devices"),
    YES, OPTIONS_END
};

#define POLICY_NAME OPERAND("policy-name", "pn", "NAME", "the policy's name")
#define RIGHTS(traits_, help_)                                                                     \
    {                                                                                              \
        .name = "rights", .alias = "r", .kind = OPTION_TEXT, .traits = traits_,                    \
        .value = "RIGHT,RIGHT", .help = help_                                                      \
    }
#define KEYS                                                                                       \
    TEXT("primary-key", "pk", "BASE64", "without: the one there is, or a new one"),                \
        TEXT("secondary-key", "sk", "BASE64", "the same")

static const struct option POLICY_SHOW[] = { POLICY_NAME, FLAG("show-keys", "its keys too"),
                                             OPTIONS_END };
static const struct option POLICY_CREATE[] = {
    POLICY_NAME,
    RIGHTS(OPTION_REQUIRED, "of ServiceConfig, EnrollmentRead, EnrollmentWrite, DeviceConnect, "
                            "RegistrationStatusRead, RegistrationStatusWrite"),
    KEYS, OPTIONS_END
};
static const struct option POLICY_UPDATE[] = { POLICY_NAME, RIGHTS(0, "instead of those it has"),
                                               KEYS, OPTIONS_END };
static const struct option POLICY_DELETE[] = { POLICY_NAME, YES, OPTIONS_END };
static const struct option POLICY_RENEW[] = {
    POLICY_NAME,
    { .name = "key",
      .alias = "renew-key",
      .kind = OPTION_CHOICE,
      .traits = OPTION_REQUIRED,
      .value = "primary|secondary|swap",
      .help = "which: tokens by the key that goes are refused at once" },
    OPTIONS_END,
};
static const struct option LOGIN_SHOW[] = {
    { .name = "policy-name",
      .alias = "pn",
      .kind = OPTION_TEXT,
      .value = "NAME",
      .default_value = "provisioningserviceowner",
      .help = "the policy's name" },
    { .name = "key-type",
      .alias = "key",
      .kind = OPTION_CHOICE,
      .value = "primary|secondary",
      .default_value = "primary",
      .help = "with which of its keys" },
    OPTIONS_END,
};

#define LINKED_HUB OPERAND("linked-hub", "n", "HOST", "the hub's host name")
#define LINK_OPTIONS                                                                               \
    TEXT("connection-string", NULL, "CONNECTION-STRING",                                           \
         "of a policy of the hub with RegistryWrite and ServiceConnect; needed for a hub that "    \
         "another made, or that is elsewhere"),                                                    \
        INT("allocation-weight", 1, 1000, NULL, "its share under the hashed policy"),              \
        CHOICE("apply-allocation-policy", "true|false", NULL,                                      \
               "false: only for enrollments that name it"),                                        \
        TEXT("address", NULL, "HOST[:PORT]",                                                       \
             "of a hub elsewhere: what to connect to instead of its host name; '': that again"),   \
        FILE_("hub-ca-file", NULL,                                                                 \
              "of a hub elsewhere: the CA certificates that its certificate is under (PEM), "      \
              "instead of those that the server trusts; '': these again"),                         \
        TEXT("location", "l", "TEXT",                                                              \
             "kept for you; an Azure region's name, like westeurope, gives the coordinates too"),  \
        TEXT("latitude", NULL, "DEGREES", "where it is, for the geoLatency policy: 52.374"),       \
        TEXT("longitude", NULL, "DEGREES", "-4.89")

static const struct option LINK_ONE[] = { LINKED_HUB, OPTIONS_END };
static const struct option LINK_CREATE[] = {
    { .name = "linked-hub",
      .alias = "n",
      .kind = OPTION_TEXT,
      .traits = OPTION_OPERAND,
      .value = "HOST",
      .help = "the hub's host name; without: the connection string's" },
    LINK_OPTIONS,
    OPTIONS_END,
};
static const struct option LINK_UPDATE[] = { LINKED_HUB, LINK_OPTIONS, OPTIONS_END };
static const struct option LINK_CHECK[] = {
    { .name = "linked-hub",
      .alias = "n",
      .kind = OPTION_TEXT,
      .traits = OPTION_OPERAND,
      .value = "HOST",
      .help = "the hub's host name; without: all" },
    OPTIONS_END,
};
static const struct option LINK_DELETE[] = { LINKED_HUB, YES, OPTIONS_END };

const struct command BERTH_COMMANDS_MANAGE[] = {
    { "instance list", "List the server's provisioning services", NULL, NOTHING,
      berth_instance_list },
    { "instance show", "Show one", NULL, INSTANCE_SHOW, berth_instance_show },
    { "instance create", "Make a provisioning service with an ID scope of its own",
      "Its owner's connection string is shown this once.", INSTANCE_CREATE, berth_instance_create },
    { "instance update", "Change the one of the service login", NULL, INSTANCE_UPDATE,
      berth_instance_update },
    { "instance delete", "Delete one",
      "Refused while it has enrollments, registrations or hubs, unless --force is given. What was "
      "begun and cut off is finished by the same command.",
      INSTANCE_DELETE, berth_instance_delete },
    { "policy list", "List access policies", NULL, NOTHING, berth_policy_list },
    { "policy show", "Show one", NULL, POLICY_SHOW, berth_policy_show },
    { "policy create", "Make one", NULL, POLICY_CREATE, berth_policy_create },
    { "policy update", "Change one; what is not named stays as it is", NULL, POLICY_UPDATE,
      berth_policy_update },
    { "policy delete", "Delete one; its tokens are refused at once", NULL, POLICY_DELETE,
      berth_policy_delete },
    { "policy renew-key", "Replace one of its keys, or swap them", NULL, POLICY_RENEW,
      berth_policy_renew_key },
    { "connection-string show", "Show the connection string of a policy", NULL, LOGIN_SHOW,
      berth_connection_string_show },
    { "linked-hub list", "List linked hubs", NULL, NOTHING, berth_linked_hub_list },
    { "linked-hub show", "Show one", NULL, LINK_ONE, berth_linked_hub_show },
    { "linked-hub create", "Link a hub of this server, or one elsewhere",
      "A hub elsewhere, of another berthd or Azure's, is linked by its connection string. `berth "
      "linked-hub check` tells whether the server can use it.",
      LINK_CREATE, berth_linked_hub_create },
    { "linked-hub update", "Change one; what is not named stays as it is", NULL, LINK_UPDATE,
      berth_linked_hub_update },
    { "linked-hub check", "Look whether the server can use linked hubs",
      "Asks each as provisioning would, and changes nothing: is it there, is its certificate "
      "trusted, is its key taken and has the rights, do the clocks agree? The exit status is 1 "
      "when "
      "something is wrong.",
      LINK_CHECK, berth_linked_hub_check },
    { "linked-hub list-errands", "List what waits for hubs elsewhere and for webhooks",
      "assign: a registration that is being assigned. remove: a device that moved away, and has to "
      "go from its hub. Each is tried again by itself, with what went wrong last beside it.",
      NOTHING, berth_linked_hub_list_errands },
    { "linked-hub delete", "Unlink a hub",
      "Enrollments that name it, and devices that are on it, stay.", LINK_DELETE,
      berth_linked_hub_delete },
    { NULL, NULL, NULL, NULL, NULL },
};
