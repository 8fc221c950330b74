/* cmd/config.h: what an operator may set. One table (config.c) gives the configuration file, the
 * command line, --help, the man page, the sample file and what `config --show` prints. */
#ifndef CMD_CONFIG_H
#define CMD_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "util/err.h"

enum { CONFIG_SETTINGS_MAX = 40, CONFIG_ADDRESSES_MAX = 8 };

enum config_command {
    CONFIG_SERVE,
    CONFIG_HELP,
    CONFIG_VERSION,
    CONFIG_MAN,
    CONFIG_SHOW,
    CONFIG_SAMPLE,
    CONFIG_CHECK,
    CONFIG_INIT,
    CONFIG_ROTATE_SEAL_KEY,
};

enum config_log_format { CONFIG_LOG_LOGFMT, CONFIG_LOG_JSON };
enum config_addresses { CONFIG_ADDRESSES_ANY, CONFIG_ADDRESSES_PUBLIC };
enum config_log_level { CONFIG_LOG_DEBUG, CONFIG_LOG_INFO, CONFIG_LOG_WARNING, CONFIG_LOG_ERROR };

struct config {
    enum config_command command;
    bool is_dev;
    char *file; /* read, or NULL */

    /* Set by the table; texts are owned here and never NULL, "" when not given. */
    char *bind;
    int64_t mqtt_port, https_port, amqp_port;
    char *host;
    char *data, *store, *telemetry, *seal_key, *geo_database;
    char *server_cert, *server_key, *server_rsa_cert, *server_rsa_key;
    int64_t loops, workers; /* 0: by the number of cores */
    bool pin_loops;
    int64_t log_format, log_level; /* the enums above */
    bool metrics_public;
    int64_t telemetry_retention_s, telemetry_size, telemetry_partitions;
    char *events;
    char *elsewhere_ca_file;
    int64_t elsewhere_addresses; /* enum config_addresses */
    int64_t drain_timeout_s;
    bool core_dumps;

    /* Options of `init`, as the texts above. */
    char *init_name, *init_host_name, *init_hub_name, *init_hub_host_name;

    /* `bind`, split. */
    char *addresses[CONFIG_ADDRESSES_MAX];
    size_t n_addresses;
    /* `events`, as bits of enum sink_source; telemetry is always among them. */
    unsigned sources;

    const char *source[CONFIG_SETTINGS_MAX]; /* where each setting's value is from */
};

/* Reads the command line (argv[0] is passed over, NULL ends it), then the file it names (or the
 * default one, when that is there), and checks the whole. Options win over the file. ERR_MALFORMED:
 * err_detail is a sentence that names file and line, or the option. config_done is due in any case.
 */
err config_load(char *const *argv, struct config *ret_config);
void config_done(struct config *c);

void config_print_help(FILE *out);
void config_print_man(FILE *out);
/* A file with every setting, commented out, at its default. */
void config_print_sample(FILE *out);
/* Effective values and where each is from; itself a valid file. */
void config_print(const struct config *c, FILE *out);

#endif
