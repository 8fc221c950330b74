/* cmd/berth/completion.c: `berth completion`: scripts for shells, from the one table of commands.
 * zsh runs the bash script through its own bashcompinit. */
#include "cmd/berth/commands.h"

static void print_option_names(const struct option *options)
{
    for (const struct option *o = options; o->name != NULL; o++) {
        (void)printf(" --%s", o->name);
    }
}

/* One case branch a command: "hub create") words=… */
static void print_options_by_command(void)
{
    const struct command *c;

    for (size_t i = 0; (c = berth_commands_at(i)) != NULL; i++) {
        (void)printf("    '%s') words='", c->path);
        print_option_names(c->options);
        (void)puts("';;");
    }
}

/* What may follow the words so far: the next words of all paths that begin with them. */
static void print_paths(void)
{
    const struct command *c;

    (void)fputs("  local paths=(\n", stdout);
    for (size_t i = 0; (c = berth_commands_at(i)) != NULL; i++) {
        (void)printf("    '%s'\n", c->path);
    }
    (void)puts("  )");
}

static void print_values_of(const struct option *options)
{
    for (const struct option *o = options; o->name != NULL; o++) {
        if (o->kind == OPTION_FLAG || o->kind == OPTION_BOOL) {
            continue;
        }
        if (o->alias != NULL) {
            (void)printf("    %s%s|", o->alias[1] == '\0' ? "-" : "--", o->alias);
        }
        if (o->kind == OPTION_FILE) {
            (void)printf("    --%s) COMPREPLY=($(compgen -f -- \"$current\")); return;;\n",
                         o->name);
        } else if (o->kind == OPTION_DIR) {
            (void)printf("    --%s) COMPREPLY=($(compgen -d -- \"$current\")); return;;\n",
                         o->name);
        } else if (o->kind == OPTION_CHOICE) {
            (void)printf("    --%s) COMPREPLY=($(compgen -W \"$(tr '|' ' ' <<<'%s')\" -- "
                         "\"$current\")); return;;\n",
                         o->name, o->value);
        } else {
            (void)printf("    --%s) return;;\n", o->name);
        }
    }
}

static void print_bash(void)
{
    const struct command *c;

    (void)fputs("_berth() {\n"
                "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
                "  local words='' path='' next p i\n",
                stdout);
    print_paths();
    (void)fputs("  case $previous in\n", stdout);
    print_values_of(BERTH_GLOBAL_OPTIONS);
    for (size_t i = 0; (c = berth_commands_at(i)) != NULL; i++) {
        print_values_of(c->options);
    }
    (void)fputs("  esac\n"
                "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                "    [[ ${COMP_WORDS[i]} == -* ]] && break\n"
                "    next=\"$path${path:+ }${COMP_WORDS[i]}\"\n"
                "    for p in \"${paths[@]}\"; do\n"
                "      if [[ $p == \"$next\" || $p == \"$next \"* ]]; then path=$next; break; fi\n"
                "    done\n"
                "    [[ $path == \"$next\" ]] || break\n"
                "  done\n"
                "  case $path in\n",
                stdout);
    print_options_by_command();
    (void)fputs("  esac\n"
                "  if [[ $current == -* ]]; then words+='",
                stdout);
    print_option_names(BERTH_GLOBAL_OPTIONS);
    (void)fputs(
        "'\n"
        "  else\n"
        "    words=''\n"
        "    for p in \"${paths[@]}\"; do\n"
        "      [[ -z $path || $p == \"$path \"* ]] || continue\n"
        "      next=${p#\"$path\"}; next=${next# }; words+=\" ${next%% *}\"\n"
        "    done\n"
        "    [[ $path == completion ]] && words='bash zsh'\n"
        "    [[ $path == explain ]] && { COMPREPLY=($(compgen -f -- \"$current\")); return; }\n"
        "  fi\n"
        "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
        "}\n"
        "complete -o filenames -F _berth berth\n",
        stdout);
}

err berth_completion_run(struct cli *cli)
{
    if (strcmp(berth_cli_text(cli, "shell"), "zsh") == 0) {
        (void)puts("autoload -U +X bashcompinit && bashcompinit");
    }
    print_bash();
    return OK;
}
