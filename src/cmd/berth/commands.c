/* cmd/berth/commands.c: all commands as one row, and which one words mean. What each is called and
 * takes is in commands_*.c. */
#include "cmd/berth/commands.h"

#include "cmd/berth/commands_rows.h"

const struct option BERTH_GLOBAL_OPTIONS[] = {
    { .name = "dev",
      .kind = OPTION_DIR,
      .value = "DIR",
      .help = "the data directory of a `berthd --dev`: names, logins and trust from DIR/dev.json" },
    TEXT("login", NULL, "CONNECTION-STRING", "of the provisioning service"),
    TEXT("hub-login", NULL, "CONNECTION-STRING", "of the hub"),
    TEXT("server-login", NULL, "CONNECTION-STRING", "of the server: for instances"),
    TEXT("hub", NULL, "HOST", "which hub of --dev; without: the first"),
    FILE_("ca-file", NULL, "trust servers under these CA certificates (PEM)"),
    TEXT("endpoint-address", NULL, "ADDRESS",
         "connect here, whatever the server's name resolves to"),
    INT("https-port", 1, 65535, NULL, "instead of 443"),
    INT("mqtt-port", 1, 65535, NULL, "instead of 8883"),
    { .name = "output",
      .alias = "o",
      .kind = OPTION_CHOICE,
      .value = "table|json",
      .default_value = "table",
      .help = "for people or for programs" },
    { .name = "help", .alias = "h", .kind = OPTION_FLAG, .help = "this text" },
    OPTIONS_END,
};

const struct command_group BERTH_GROUPS[] = {
    { "ca", "Make keys and certificates in files, without a server" },
    { "certificate", "CA certificates that enrollments may refer to" },
    { "enrollment", "Individual enrollments: one device each" },
    { "enrollment-group",
      "Enrollment groups: devices under one CA, with derived keys, or with one maker's TPMs" },
    { "registration", "What became of devices" },
    { "instance", "Provisioning services, each with an ID scope of its own" },
    { "policy", "Access policies: who may do what with the provisioning service" },
    { "connection-string", "Connection strings of policies" },
    { "allocation", "Rules and webhooks that pick a device's hub" },
    { "linked-hub", "Hubs that the provisioning service may assign devices to" },
    { "hub", "Hubs and their events" },
    { "hub certificate", "CA certificates that let a hub's devices in" },
    { "hub device-identity", "The device identities of a hub" },
    { "hub device-identity connection-string", "What an SDK connects as a device by" },
    { "hub module-identity", "The identities of devices' modules" },
    { "hub module-identity connection-string", "What an SDK connects as a module by" },
    { "hub device-twin", "What devices report, and what is wanted of them" },
    { "hub module-twin", "What modules report, and what is wanted of them" },
    { "hub c2d-message", "Messages to devices" },
    { "device", "A device of your own, simulated" },
    { "device c2d-message", "The device's side of messages, over HTTPS" },
    { "tpm", "The TPM of a device" },
    { NULL, NULL },
};

/* In the order of the help. */
static const struct command *const TABLES[] = {
    BERTH_COMMANDS_CA,           BERTH_COMMANDS_ENROLLMENT, BERTH_COMMANDS_MANAGE,
    BERTH_COMMANDS_ALLOCATION,   BERTH_COMMANDS_OPERATIONS, BERTH_COMMANDS_HUB,
    BERTH_COMMANDS_HUB_SETTINGS, BERTH_COMMANDS_HUB_DEVICE, BERTH_COMMANDS_DEVICE
};

const struct command *berth_commands_at(size_t i)
{
    for (size_t t = 0; t < sizeof(TABLES) / sizeof(TABLES[0]); t++) {
        for (const struct command *c = TABLES[t]; c->path != NULL; c++) {
            if (i-- == 0) {
                return c;
            }
        }
    }
    return NULL;
}

/* How many of the words the path is made of; 0: it does not begin with them. */
static int match(const char *path, int argc, char *const *argv)
{
    struct span rest = span_str(path);
    int n = 0;

    while (!span_is_absent(rest)) {
        if (n >= argc || !span_eq(span_cut(&rest, ' '), span_str(argv[n]))) {
            return 0;
        }
        n++;
    }
    return n;
}

const struct command *berth_commands_find(int argc, char *const *argv, int *ret_n)
{
    const struct command *best = NULL;
    int most = 0;

    const struct command *c;

    for (size_t i = 0; (c = berth_commands_at(i)) != NULL; i++) {
        int n = match(c->path, argc, argv);

        if (n > most) {
            most = n;
            best = c;
        }
    }
    *ret_n = most;
    return best;
}

const struct command_group *berth_commands_find_group(int argc, char *const *argv)
{
    const struct command_group *best = NULL;
    int most = 0;

    for (const struct command_group *g = BERTH_GROUPS; g->path != NULL; g++) {
        int n = match(g->path, argc, argv);

        if (n > most) {
            most = n;
            best = g;
        }
    }
    return best;
}
