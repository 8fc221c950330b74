/* cmd/berth/main.c: finds the command, reads its options, runs it, and says how it ended. */
#include <signal.h>

#include "cmd/berth/commands.h"
#include "cmd/berth/help.h"

/* Virtual: only what a command touches counts. */
#define ARENA_BYTES ((size_t)1 << 30)

static int fail(const char *path, const char *why, int status)
{
    (void)fprintf(stderr, "berth%s%s: %s\n", path[0] ? " " : "", path, why);
    return status;
}

static bool has_option(int argc, char *const *argv, const char *name, const char *letter)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], name) == 0 || strcmp(argv[i], letter) == 0) {
            return true;
        }
    }
    return false;
}

/* The word where the group's verb should be, or NULL. */
static const char *find_verb(const struct command_group *group, int argc, char *const *argv)
{
    int n = 1;

    for (const char *at = group->path; *at != '\0'; at++) {
        n += *at == ' ';
    }
    return n < argc && argv[n][0] != '-' ? argv[n] : NULL;
}

/* No command: help, --man, --version, or a word that is none. */
static int without_command(int argc, char *const *argv)
{
    const struct command_group *group = berth_commands_find_group(argc, argv);
    bool asks_help = argc == 0 || has_option(argc, argv, "--help", "-h");

    if (argc == 1 && strcmp(argv[0], "--man") == 0) {
        berth_help_man(stdout);
        return BERTH_EXIT_OK;
    }
    if (argc == 1 && strcmp(argv[0], "--version") == 0) {
        (void)puts("berth " BERTH_VERSION);
        return BERTH_EXIT_OK;
    }
    if (asks_help && (group != NULL || argc <= 1)) {
        berth_help_overview(group, stdout);
        return argc == 0 ? BERTH_EXIT_USAGE : BERTH_EXIT_OK;
    }
    if (group != NULL && find_verb(group, argc, argv) != NULL) {
        (void)fprintf(stderr, "berth: `%s` has no verb '%s'; `berth %s --help` lists them\n",
                      group->path, find_verb(group, argc, argv), group->path);
    } else if (group != NULL) {
        (void)fprintf(stderr, "berth: `%s` wants a verb; `berth %s --help` lists them\n",
                      group->path, group->path);
    } else if (argv[0][0] == '-') {
        (void)fprintf(stderr, "berth: options stand behind the command: berth NOUN VERB %s …\n",
                      argv[0]);
    } else {
        (void)fprintf(stderr, "berth: there is no command '%s'; `berth --help` lists them\n",
                      argv[0]);
    }
    return BERTH_EXIT_USAGE;
}

static err run(struct cli *cli)
{
    TRY(crypto_new(CRYPTO_FULL, &cli->crypto));
    TRY(berth_cli_init(cli));
    return cli->command->run(cli);
}

static int run_command(struct cli *cli)
{
    void *block = berth_cli_map(ARENA_BYTES);
    int status;
    err e;

    if (block == NULL) {
        return fail("", "out of memory", BERTH_EXIT_FAILED);
    }
    arena_init(&cli->arena, block, ARENA_BYTES);
    e = run(cli);
    status = berth_cli_exit_status(cli, e);
    if (!err_is_ok(e)) {
        (void)fail(cli->command->path, err_detail()[0] ? err_detail() : err_name(e), status);
        (void)fputs(cli->below ? cli->below : "", stderr);
    }
    berth_cli_done(cli);
    berth_cli_unmap(block, ARENA_BYTES);
    if (fflush(stdout) != 0 && status == BERTH_EXIT_OK) {
        status = fail(cli->command->path, "the output cannot be written", BERTH_EXIT_FAILED);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct cli cli = { .exit_status = 0 };
    char why[300];
    int n = 0;

    (void)signal(SIGPIPE, SIG_IGN);
    cli.command = berth_commands_find(argc - 1, argv + 1, &n);
    if (cli.command == NULL) {
        return without_command(argc - 1, argv + 1);
    }
    if (!err_is_ok(berth_options_parse(&cli.options, cli.command->options, BERTH_GLOBAL_OPTIONS,
                                       argc - 1 - n, argv + 1 + n, why, sizeof(why)))) {
        (void)fail(cli.command->path, why, 0);
        (void)fprintf(stderr, "`berth %s --help` tells more\n", cli.command->path);
        return BERTH_EXIT_USAGE;
    }
    if (berth_options_flag(&cli.options, "help")) {
        berth_help_command(cli.command, stdout);
        return BERTH_EXIT_OK;
    }
    return run_command(&cli);
}
