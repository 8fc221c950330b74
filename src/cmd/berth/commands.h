/* cmd/berth/commands.h: the one table of commands. Dispatch, help, the manual page and the shell
 * completions are all made from it. */
#ifndef CMD_BERTH_COMMANDS_H
#define CMD_BERTH_COMMANDS_H

#include <stddef.h>

#include "cmd/berth/cli.h"

struct command {
    const char *path; /* "hub device-identity show": noun and verb */
    const char *summary;
    const char *details; /* paragraphs for its own help; NULL: none */
    const struct option *options;
    err (*run)(struct cli *cli);
};

struct command_group {
    const char *path; /* "hub device-identity" */
    const char *summary;
};

/* The command at that place in the order of the help, NULL behind the last one:
 * `for (size_t i = 0; (c = berth_commands_at(i)) != NULL; i++)`. */
const struct command *berth_commands_at(size_t i);
/* Ends with a row without a path. */
extern const struct command_group BERTH_GROUPS[];
extern const struct option BERTH_GLOBAL_OPTIONS[];

/* The command whose path is the longest beginning of the words; NULL: none. *ret_n: words used. */
const struct command *berth_commands_find(int argc, char *const *argv, int *ret_n);
/* The group of those words, NULL: none. */
const struct command_group *berth_commands_find_group(int argc, char *const *argv);

err berth_allocation_test(struct cli *cli);
err berth_ca_create_root(struct cli *cli);
err berth_ca_create_intermediate(struct cli *cli);
err berth_ca_create_device(struct cli *cli);
err berth_ca_create_verification(struct cli *cli);
err berth_certificate_create(struct cli *cli);
err berth_certificate_list(struct cli *cli);
err berth_certificate_show(struct cli *cli);
err berth_certificate_delete(struct cli *cli);
err berth_certificate_generate_verification_code(struct cli *cli);
err berth_certificate_verify(struct cli *cli);
err berth_hub_certificate_create(struct cli *cli);
err berth_hub_certificate_list(struct cli *cli);
err berth_hub_certificate_show(struct cli *cli);
err berth_hub_certificate_delete(struct cli *cli);
err berth_hub_certificate_generate_verification_code(struct cli *cli);
err berth_hub_certificate_verify(struct cli *cli);
err berth_enrollment_create(struct cli *cli);
err berth_enrollment_list(struct cli *cli);
err berth_enrollment_show(struct cli *cli);
err berth_enrollment_update(struct cli *cli);
err berth_enrollment_delete(struct cli *cli);
err berth_enrollment_import(struct cli *cli);
err berth_enrollment_export(struct cli *cli);
err berth_enrollment_group_import(struct cli *cli);
err berth_enrollment_group_export(struct cli *cli);
err berth_enrollment_group_create(struct cli *cli);
err berth_enrollment_group_list(struct cli *cli);
err berth_enrollment_group_show(struct cli *cli);
err berth_enrollment_group_update(struct cli *cli);
err berth_enrollment_group_delete(struct cli *cli);
err berth_enrollment_group_compute_device_key(struct cli *cli);
err berth_registration_list(struct cli *cli);
err berth_registration_show(struct cli *cli);
err berth_registration_delete(struct cli *cli);
err berth_hub_create(struct cli *cli);
err berth_hub_list(struct cli *cli);
err berth_hub_delete(struct cli *cli);
err berth_hub_show(struct cli *cli);
err berth_hub_update(struct cli *cli);
err berth_instance_list(struct cli *cli);
err berth_instance_show(struct cli *cli);
err berth_instance_create(struct cli *cli);
err berth_instance_update(struct cli *cli);
err berth_instance_delete(struct cli *cli);
err berth_policy_list(struct cli *cli);
err berth_policy_show(struct cli *cli);
err berth_policy_create(struct cli *cli);
err berth_policy_update(struct cli *cli);
err berth_policy_delete(struct cli *cli);
err berth_policy_renew_key(struct cli *cli);
err berth_connection_string_show(struct cli *cli);
err berth_linked_hub_list(struct cli *cli);
err berth_linked_hub_show(struct cli *cli);
err berth_linked_hub_create(struct cli *cli);
err berth_linked_hub_update(struct cli *cli);
err berth_linked_hub_delete(struct cli *cli);
err berth_linked_hub_check(struct cli *cli);
err berth_linked_hub_list_errands(struct cli *cli);
err berth_drain_run(struct cli *cli);
err berth_drain_list_devices(struct cli *cli);
err berth_reconcile_run(struct cli *cli);
err berth_identity_list(struct cli *cli);
err berth_identity_list_modules(struct cli *cli);
err berth_identity_show(struct cli *cli);
err berth_identity_create(struct cli *cli);
err berth_identity_update(struct cli *cli);
err berth_identity_delete(struct cli *cli);
err berth_identity_import(struct cli *cli);
err berth_identity_disable(struct cli *cli);
err berth_identity_enable(struct cli *cli);
err berth_identity_renew_key(struct cli *cli);
err berth_identity_connection_string(struct cli *cli);
err berth_identity_sas_token(struct cli *cli);
err berth_hub_twin_show(struct cli *cli);
err berth_hub_twin_update(struct cli *cli);
err berth_hub_twin_replace(struct cli *cli);
err berth_events_monitor(struct cli *cli);
err berth_hub_query(struct cli *cli);
err berth_method_invoke(struct cli *cli);
err berth_c2d_send(struct cli *cli);
err berth_c2d_purge(struct cli *cli);
err berth_feedback_monitor(struct cli *cli);
err berth_device_c2d_receive(struct cli *cli);
err berth_device_c2d_complete(struct cli *cli);
err berth_device_c2d_reject(struct cli *cli);
err berth_device_c2d_abandon(struct cli *cli);
err berth_device_simulate(struct cli *cli);
err berth_tpm_show(struct cli *cli);
err berth_fleet_run(struct cli *cli);
err berth_explain_run(struct cli *cli);
err berth_completion_run(struct cli *cli);

#endif
