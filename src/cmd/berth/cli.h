/* cmd/berth/cli.h: what every command of `berth` is given: its options, where the servers are and
 * how to log in, memory for as long as it runs, and how it ends. A command returns an err whose
 * detail is one sentence for the user; main() prints it and makes the exit status of its code. */
#ifndef CMD_BERTH_CLI_H
#define CMD_BERTH_CLI_H

#include <stdio.h>

#include "cmd/berth/options.h"
#include "crypto/crypto.h"
#include "util/arena.h"
#include "json/json.h"

enum berth_exit {
    BERTH_EXIT_OK = 0,
    BERTH_EXIT_FAILED = 1,
    BERTH_EXIT_USAGE = 2,
    BERTH_EXIT_NOT_FOUND = 3,
    BERTH_EXIT_UNAUTHORIZED = 4,
    BERTH_EXIT_CONFLICT = 5, /* exists, in use, or changed meanwhile */
    BERTH_EXIT_REFUSED = 6,  /* the device was, or would be, refused */
    BERTH_EXIT_DEVICE = 7,   /* the device answered, and its answer is no */
};

struct command;

struct kept_json {
    struct kept_json *next;
    json *document;
};

struct cli {
    const struct command *command;
    struct options options;
    struct arena arena; /* everything the command makes */
    struct crypto *crypto;
    json *dev;              /* DIR/dev.json, NULL without --dev */
    err dev_result;         /* why there is none though BERTH_DEV names a directory … */
    const char *dev_why;    /* … as a sentence */
    const char *dev_dir;    /* NULL without */
    bool is_json;           /* --output json */
    bool is_dev_option;     /* --dev on the command line: wins over the environment */
    struct kept_json *kept; /* freed by berth_cli_done */
    const char *below;      /* lines for the user under the sentence of a failure; NULL: none */
    int exit_status;        /* not 0: what main() returns whatever the err */
};

/* Where one server is and how to be let in. Texts NULL when unknown. */
struct endpoint {
    const char *host;    /* the name: URL, SNI, user names */
    const char *address; /* what to connect to; NULL: the host */
    int port;
    const char *ca_file; /* NULL: the system's trust */
    const char *policy, *key;
};

/* Option text by name, or NULL; shorthand for berth_options_text(&cli->options, name). */
const char *berth_cli_text(const struct cli *cli, const char *name);

/* The same, NULL too when the command has no such option. */
const char *berth_cli_text_if(const struct cli *cli, const char *name);

/* Reads --dev and --output. A BERTH_DEV without a good dev.json is a fault only once something of
 * it is needed. */
err berth_cli_init(struct cli *cli);
void berth_cli_done(struct cli *cli);
/* The document lives as long as the command from now on. */
void berth_cli_keep(struct cli *cli, json *document);

/* Counterparts of the global options. ERR_MALFORMED: nothing says where it is, or how to log in. */
err berth_cli_service(struct cli *cli, struct endpoint *ret_endpoint);
err berth_cli_server(struct cli *cli, struct endpoint *ret_endpoint);
err berth_cli_hub(struct cli *cli, struct endpoint *ret_endpoint);
/* Where devices connect (MQTT), without login. */
err berth_cli_device_endpoint(struct cli *cli, struct endpoint *ret_endpoint);
/* The same for a host that is known: a hub. */
void berth_cli_device_endpoint_at(struct cli *cli, const char *host, struct endpoint *ret_endpoint);
/* The same place over HTTPS. */
err berth_cli_device_https(struct cli *cli, struct endpoint *ret_endpoint);
/* --id-scope or dev.json. */
err berth_cli_id_scope(struct cli *cli, const char **ret_id_scope);
/* A path in dev.json ("deviceCa", "certFile"), or NULL. */
const char *berth_cli_dev_file(struct cli *cli, const char *object, const char *member);

/* A usage error found by the command itself: exit status 2. */
err berth_cli_usage(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something is missing that dev.json would have told: why it did not, or else the usage error. */
err berth_cli_missing(struct cli *cli, const char *sentence);

/* The exit status for a command's err. */
int berth_cli_exit_status(const struct cli *cli, err e);

/* "d.json" as C text, of the command's memory. Never NULL: out of memory ends the process. */
const char *berth_cli_printf(struct cli *cli, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *berth_cli_cstr(struct cli *cli, struct span s);

/* Zeroed memory that costs nothing until it is touched; NULL: there is none. For what is large. */
void *berth_cli_map(size_t size);
void berth_cli_unmap(void *memory, size_t size);

/* Wall clock, ms. */
int64_t berth_cli_now_ms(void);

#endif
