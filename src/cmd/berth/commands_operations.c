/* cmd/berth/commands_operations.c: `berth linked-hub drain`, `linked-hub list-devices`,
 * `reconcile`. Data only. */
#include "cmd/berth/commands_rows.h"

#define LINKED_HUB OPERAND("linked-hub", "n", "HOST", "the hub's host name")

static const struct option DRAIN[] = {
    LINKED_HUB,
    FLAG("cancel", "devices may be assigned to it again"),
    FLAG("wait", "until nobody is left but who will not move by itself; shows how far it is"),
    INT("timeout", 1, 2592000, NULL, "with --wait: seconds until it gives up waiting"),
    INT("disconnect", 1, 1000, NULL,
        "cut off so many of its devices a second, each once, so that they come back sooner"),
    OPTIONS_END,
};
static const struct option LIST_DEVICES[] = {
    LINKED_HUB,
    FLAG("stuck", "those that a drain leaves where they are"),
    OPTIONS_END,
};
static const struct option RECONCILE[] = {
    TEXT("mend", NULL, "KIND,KIND", "of missing, duplicate, stray, waiting; without: none"),
    FLAG("yes", "do not ask"),
    OPTIONS_END,
};

const struct command BERTH_COMMANDS_OPERATIONS[] = {
    { "linked-hub drain", "Let a hub run empty: devices move when they register",
      "Nobody is assigned to it any more, and who is on it moves to another hub at its next "
      "register, by the policy of its enrollment. Who stays, as its enrollment says "
      "updateHubAssignment false, or allows no other hub, or is disabled or gone, is counted and "
      "shown by `berth linked-hub list-devices HOST --stuck`.\nWith --wait the exit status is 1 "
      "when devices are left.",
      DRAIN, berth_drain_run },
    { "linked-hub list-devices", "List the devices that registrations have on a hub", NULL,
      LIST_DEVICES, berth_drain_list_devices },
    { "reconcile", "What registrations and hubs disagree about, and mending it",
      "Nothing is changed without --mend, which names the kinds:\n"
      "missing: a registration has its device on a hub which has it not. Mended, it forgets where "
      "it was, and the device's next register places it anew.\n"
      "duplicate: the hub has a device that its registration has on another. Mended, it goes from "
      "the hub.\n"
      "stray: the hub has a device that no registration knows: one made by hand, or what is left "
      "of a registration that was deleted. Mended, it goes from the hub, with its twin.\n"
      "waiting: a registration is being assigned, but nobody works on it. Mended, it is unassigned."
      "\noverdue: a system elsewhere is being asked for long already; shown alone.\n"
      "Devices of other instances that share a hub are neither shown nor touched. Each item is "
      "looked at again when it is mended. With --hub that hub alone is compared.\n"
      "Exit status: 0 they agree, or all was mended; 1 they do not; 2 and above: trouble.",
      RECONCILE, berth_reconcile_run },
    { NULL, NULL, NULL, NULL, NULL },
};
