/* cmd/config.c: reads settings. A value comes from the table (config_table.c), from the file, or
 * from the command line, the later one winning; all take the same way through set_value(), so that
 * they are checked alike. */
#include "cmd/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>

#include "cmd/config_table.h"
#include "model/records.h"
#include "store/sink.h"
#include "util/span.h"

enum { LINE_MAX_BYTES = 4096, DAY_S = 86400 };

/* ---- values ---- */

static bool parse_bool(const char *text, bool *ret)
{
    bool is_yes = strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "on") == 0;
    bool is_no = strcmp(text, "no") == 0 || strcmp(text, "false") == 0 || strcmp(text, "off") == 0;

    if (is_yes || is_no) {
        *ret = is_yes;
    }
    return is_yes || is_no;
}

/* A number, with one of the units or without. */
static bool parse_with_unit(const char *text, const char *units, const int64_t *factors,
                            int64_t *ret_value)
{
    struct span number = span_str(text);
    int64_t factor = 1;
    const char *unit = number.len > 0 ? strchr(units, text[number.len - 1]) : NULL;

    if (unit != NULL) {
        factor = factors[unit - units];
        number.len--;
    }
    return span_parse_int(number, ret_value) &&
           !__builtin_mul_overflow(*ret_value, factor, ret_value);
}

/* "90", "90s", "15m", "12h", "7d" in seconds. */
static bool parse_duration(const char *text, int64_t *ret_s)
{
    return parse_with_unit(text, "smhd", (const int64_t[]){ 1, 60, 3600, DAY_S }, ret_s);
}

/* "1048576", "1024K", "1M" in bytes. */
static bool parse_size(const char *text, int64_t *ret_bytes)
{
    return parse_with_unit(
        text, "KMGT", (const int64_t[]){ 1LL << 10, 1LL << 20, 1LL << 30, 1LL << 40 }, ret_bytes);
}

/* `whence`: "berthd.conf:3" or "the command line". */
static err bad_value(const struct config_setting *s, const char *whence, const char *text,
                     const char *wanted)
{
    return err_set(ERR_MALFORMED, "%s: %s = \"%.100s\": must be %s", whence, s->name, text, wanted);
}

static err set_number(struct config *c, const struct config_setting *s, const char *text,
                      const char *whence)
{
    int64_t value = 0;
    char wanted[96];
    bool is_read = s->type == SETTING_INT    ? span_parse_int(span_str(text), &value)
                   : s->type == SETTING_SIZE ? parse_size(text, &value)
                                             : parse_duration(text, &value);

    if (!is_read || value < s->min || value > s->max) {
        (void)snprintf(wanted, sizeof(wanted),
                       s->type == SETTING_INT    ? "a number from %lld to %lld"
                       : s->type == SETTING_SIZE ? "a size such as 512M or 20G, from %lld to %lld "
                                                   "bytes"
                                                 : "a time such as 30s, 15m, 12h or 7d, from %lld "
                                                   "to %lld seconds",
                       (long long)s->min, (long long)s->max);
        return bad_value(s, whence, text, wanted);
    }
    memcpy(config_table_at(c, s), &value, sizeof(value));
    return OK;
}

static err set_choice(struct config *c, const struct config_setting *s, const char *text,
                      const char *whence)
{
    char wanted[96] = "one of";
    int64_t value;

    for (value = 0; s->choices[value] != NULL; value++) {
        if (strcmp(text, s->choices[value]) == 0) {
            memcpy(config_table_at(c, s), &value, sizeof(value));
            return OK;
        }
        (void)strncat(wanted, " ", sizeof(wanted) - strlen(wanted) - 1);
        (void)strncat(wanted, s->choices[value], sizeof(wanted) - strlen(wanted) - 1);
    }
    return bad_value(s, whence, text, wanted);
}

static err set_text(struct config *c, const struct config_setting *s, const char *text)
{
    char *copy = strdup(text);
    char *old;

    if (copy == NULL) {
        return ERR(NOMEM);
    }
    memcpy(&old, config_table_at(c, s), sizeof(old));
    memcpy(config_table_at(c, s), &copy, sizeof(copy));
    free(old);
    return OK;
}

static err set_value(struct config *c, const struct config_setting *s, const char *text,
                     const char *whence)
{
    bool flag;

    switch (s->type) {
    case SETTING_TEXT:
        return set_text(c, s, text);
    case SETTING_INT:
    case SETTING_DURATION:
    case SETTING_SIZE:
        return set_number(c, s, text, whence);
    case SETTING_CHOICE:
        return set_choice(c, s, text, whence);
    case SETTING_BOOL:
        if (!parse_bool(text, &flag)) {
            return bad_value(s, whence, text, "yes or no");
        }
        memcpy(config_table_at(c, s), &flag, sizeof(flag));
        break;
    }
    return OK;
}

static const struct config_setting *find_in(const struct config_setting *table, size_t n,
                                            const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

static const struct config_setting *find_setting(const char *name)
{
    return find_in(CONFIG_TABLE, CONFIG_TABLE_LEN, name);
}

static const struct config_setting *find_init_option(const char *name)
{
    return find_in(CONFIG_INIT_TABLE, CONFIG_INIT_TABLE_LEN, name);
}

static err set_defaults(struct config *c)
{
    for (size_t i = 0; i < CONFIG_TABLE_LEN; i++) {
        const struct config_setting *s = &CONFIG_TABLE[i];

        TRY(set_value(c, s, c->is_dev && s->dev != NULL ? s->dev : s->value, "default"));
        c->source[i] = "default";
    }
    for (size_t i = 0; i < CONFIG_INIT_TABLE_LEN; i++) {
        TRY(set_text(c, &CONFIG_INIT_TABLE[i], ""));
    }
    return OK;
}

/* ---- the file ---- */

struct reading {
    struct config *config;
    const char *path;
    FILE *file;
    int line;
    err result; /* the first fault */
};

static void fail_line(struct reading *r, const char *what, const char *name)
{
    if (err_is_ok(r->result)) {
        r->result = err_set(ERR_MALFORMED, "%s:%d: %s%.100s", r->path, r->line, what, name);
    }
}

/* As fgets; counts lines for the messages. */
static char *read_line(char *line, int size, void *arg)
{
    struct reading *r = arg;
    char *result = fgets(line, size, r->file);

    if (result != NULL) {
        r->line++;
        if (strlen(line) == (size_t)size - 1 && line[size - 2] != '\n') {
            fail_line(r, "the line is too long", "");
        }
    }
    return result;
}

static int on_setting(void *arg, const char *section, const char *name, const char *value)
{
    struct reading *r = arg;
    const struct config_setting *s = find_setting(name);
    char whence[256];

    (void)snprintf(whence, sizeof(whence), "%.200s:%d", r->path, r->line);
    if (!err_is_ok(r->result)) {
        return 1;
    }
    if (s == NULL) {
        fail_line(r, "unknown setting ", name);
    } else if (*section != '\0' && strcmp(section, "berthd") != 0) {
        fail_line(r, "unknown section ", section);
    } else if (r->config->source[s - CONFIG_TABLE] == r->path) {
        fail_line(r, "given twice: ", name);
    } else {
        r->result = set_value(r->config, s, value, whence);
        r->config->source[s - CONFIG_TABLE] = r->path;
    }
    return 1;
}

static err read_file(struct config *c, const char *path)
{
    struct reading r = { .config = c, .path = path, .result = OK };
    int bad_line;

    ini_allow_multiline = false; /* an indented line is a line */
    ini_allow_inline_comments = false;
    ini_use_stack = false;
    ini_max_line = LINE_MAX_BYTES;
    ini_initial_alloc = LINE_MAX_BYTES;
    r.file = fopen(path, "re");
    if (r.file == NULL) {
        return err_set(ERR_MALFORMED, "%s: %s", path, strerror(errno));
    }
    bad_line = ini_parse_stream(read_line, &r, on_setting, &r);
    (void)fclose(r.file);
    if (err_is_ok(r.result) && bad_line != 0) {
        return err_set(ERR_MALFORMED, "%s:%d: not of the form name = value", path, bad_line);
    }
    return r.result;
}

/* ---- the command line ---- */

static bool find_command(const char *word, enum config_command *ret)
{
    for (size_t i = 0; i < CONFIG_WORDS_LEN; i++) {
        if (strcmp(word, CONFIG_WORDS[i].word) == 0) {
            *ret = CONFIG_WORDS[i].command;
            return true;
        }
    }
    return false;
}

/* "config --show", "config --sample": two words. */
static bool is_config_command(char *const *argv, int i, enum config_command *ret)
{
    const char *verb = argv[i + 1];

    if (strcmp(argv[i], "config") != 0 || verb == NULL) {
        return false;
    }
    *ret = strcmp(verb, "--show") == 0 ? CONFIG_SHOW : CONFIG_SAMPLE;
    return strcmp(verb, "--show") == 0 || strcmp(verb, "--sample") == 0;
}

/* An option's value: "--name=value" or "--name value". NULL: missing. */
static const char *value_of(char *const *argv, int *i)
{
    const char *equals = strchr(argv[*i], '=');

    if (equals != NULL) {
        return equals + 1;
    }
    *i += 1;
    return argv[*i];
}

static err take_option(struct config *c, char *const *argv, int *i)
{
    char name[64] = "";
    const char *word = argv[*i];
    size_t len = strcspn(word, "=");
    const struct config_setting *s, *init;
    const char *value;

    if (strncmp(word, "--", 2) == 0 && len < sizeof(name)) {
        memcpy(name, word + 2, len - 2);
    }
    s = find_setting(name);
    init = c->command == CONFIG_INIT ? find_init_option(name) : NULL;
    if (s == NULL && init == NULL) {
        return err_set(ERR_MALFORMED, "unknown option %.100s; see berthd --help", word);
    }
    value = value_of(argv, i);
    if (value == NULL) {
        return err_set(ERR_MALFORMED, "%.100s needs a value; see berthd --help", word);
    }
    if (init != NULL) {
        return set_text(c, init, value);
    }
    TRY(set_value(c, s, value, "command line"));
    c->source[s - CONFIG_TABLE] = "command line";
    return OK;
}

/* Words that are no settings. `file` is where the name of -c goes. */
static err take_word(struct config *c, char *const *argv, int *i, const char **file,
                     bool *ret_taken)
{
    const char *word = argv[*i];

    *ret_taken = true;
    if (strcmp(word, "--dev") == 0) {
        c->is_dev = true;
    } else if (strcmp(word, "-c") == 0 || strcmp(word, "--config") == 0) {
        if (argv[*i + 1] == NULL) {
            return err_set(ERR_MALFORMED, "%s needs a file", word);
        }
        *i += 1;
        *file = argv[*i];
    } else if (is_config_command(argv, *i, &c->command)) {
        *i += 1;
    } else {
        *ret_taken = find_command(strcmp(word, "-h") == 0 ? "--help" : word, &c->command);
    }
    return OK;
}

/* First the words that decide where defaults and file come from, then the settings. */
static err read_arguments(struct config *c, char *const *argv, bool takes_settings)
{
    const char *file = NULL;

    for (int i = 1; argv[i] != NULL; i++) {
        bool is_taken;

        TRY(take_word(c, argv, &i, &file, &is_taken));
        if (is_taken) {
            continue;
        }
        if (takes_settings) {
            TRY(take_option(c, argv, &i));
        } else if (strncmp(argv[i], "--", 2) == 0 && argv[i + 1] != NULL &&
                   (find_setting(argv[i] + 2) != NULL || find_init_option(argv[i] + 2) != NULL)) {
            i++; /* its value is no word of ours */
        }
    }
    if (!takes_settings && file != NULL) {
        c->file = strdup(file);
        return c->file != NULL ? OK : ERR(NOMEM);
    }
    return OK;
}

/* ---- the whole ---- */

static err split_addresses(struct config *c)
{
    struct span rest = span_str(c->bind);

    while (!span_is_absent(rest)) {
        struct span one = span_trim(span_cut(&rest, ','));
        uint8_t binary[16];
        char *text = strndup((const char *)one.data, one.len);

        if (text == NULL || c->n_addresses == CONFIG_ADDRESSES_MAX) {
            free(text);
            return err_set(ERR_MALFORMED, "bind: more than %d addresses", CONFIG_ADDRESSES_MAX);
        }
        c->addresses[c->n_addresses++] = text;
        if (inet_pton(AF_INET, text, binary) != 1 && inet_pton(AF_INET6, text, binary) != 1) {
            return err_set(ERR_MALFORMED, "bind: \"%.100s\" is not an IPv4 or IPv6 address", text);
        }
    }
    return OK;
}

static err split_events(struct config *c)
{
    static const struct {
        const char *word;
        unsigned sources;
    } kinds[] = { { "connection", 1U << SINK_CONNECTION_STATE },
                  { "lifecycle", 1U << SINK_DEVICE_LIFECYCLE },
                  { "twin", 1U << SINK_TWIN_CHANGE },
                  { "none", 0 } };
    struct span rest = span_str(c->events);

    c->sources = 1U << SINK_TELEMETRY;
    while (!span_is_absent(rest)) {
        struct span word = span_trim(span_cut(&rest, ','));
        size_t i = 0;

        while (i < sizeof(kinds) / sizeof(kinds[0]) && !span_eq(word, span_str(kinds[i].word))) {
            i++;
        }
        if (i == sizeof(kinds) / sizeof(kinds[0])) {
            return err_set(ERR_MALFORMED,
                           "events: \"%.*s\" is none of connection, lifecycle, twin and none",
                           SPAN_FMT(word));
        }
        c->sources |= kinds[i].sources;
    }
    return OK;
}

static err set_data_of_dev(struct config *c)
{
    const struct config_setting *s = find_setting("data");
    const char *xdg = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    char path[LINE_MAX_BYTES];

    if (strcmp(c->source[s - CONFIG_TABLE], "default") != 0) {
        return OK;
    }
    if (xdg != NULL && *xdg == '/') {
        (void)snprintf(path, sizeof(path), "%s/berth/dev", xdg);
    } else if (home != NULL && *home == '/') {
        (void)snprintf(path, sizeof(path), "%s/.local/share/berth/dev", home);
    } else {
        return err_set(ERR_MALFORMED, "--dev needs --data DIR: HOME is not set");
    }
    return set_text(c, s, path);
}

static err set_path_in_data(struct config *c, const char *name, const char *file)
{
    const struct config_setting *s = find_setting(name);
    char path[LINE_MAX_BYTES];
    char *value;

    memcpy(&value, config_table_at(c, s), sizeof(value));
    if (*value != '\0') {
        return OK;
    }
    (void)snprintf(path, sizeof(path), "%s/%s", c->data, file);
    return set_text(c, s, path);
}

static err check_certificates(const struct config *c)
{
    if (c->is_dev) {
        return OK;
    }
    if (*c->server_cert == '\0' || *c->server_key == '\0') {
        return err_set(ERR_MALFORMED,
                       "server-cert and server-key must be set (or start with --dev, "
                       "which makes everything)");
    }
    if ((*c->server_rsa_cert == '\0') != (*c->server_rsa_key == '\0')) {
        return err_set(ERR_MALFORMED, "server-rsa-cert and server-rsa-key go together");
    }
    return OK;
}

static err check_init(const struct config *c)
{
    struct span host = span_str(c->init_host_name), hub_host = span_str(c->init_hub_host_name);

    if (c->is_dev) {
        return err_set(ERR_MALFORMED, "--dev makes its own ID scope and hub: it needs no init");
    }
    if (*c->init_name == '\0' || host.len == 0) {
        return err_set(ERR_MALFORMED, "init needs --name and --host-name; see berthd --help");
    }
    if ((*c->init_hub_name == '\0') != (hub_host.len == 0)) {
        return err_set(ERR_MALFORMED, "--hub-name and --hub-host-name go together");
    }
    if (!model_is_host_name(host) || (hub_host.len > 0 && !model_is_host_name(hub_host))) {
        return err_set(ERR_MALFORMED, "\"%.*s\" is not a host name",
                       SPAN_FMT(model_is_host_name(host) ? hub_host : host));
    }
    return OK;
}

static err finish(struct config *c)
{
    if (c->is_dev) {
        TRY(set_data_of_dev(c));
    }
    if (*c->data == '\0') {
        return err_set(ERR_MALFORMED, "data must be a directory");
    }
    TRY(set_path_in_data(c, "store", "berth.db"));
    TRY(set_path_in_data(c, "telemetry", "telemetry.db"));
    TRY(split_addresses(c));
    TRY(split_events(c));
    if (c->mqtt_port == c->https_port || c->amqp_port == c->https_port ||
        c->mqtt_port == c->amqp_port) {
        return err_set(ERR_MALFORMED, "mqtt-port, https-port and amqp-port must differ");
    }
    if (c->command == CONFIG_INIT) {
        return check_init(c);
    }
    return c->command == CONFIG_SHOW || c->command == CONFIG_ROTATE_SEAL_KEY
               ? OK
               : check_certificates(c);
}

err config_load(char *const *argv, struct config *ret_config)
{
    struct config *c = ret_config;

    *c = (struct config){ 0 };
    TRY(read_arguments(c, argv, false));
    TRY(set_defaults(c));
    if (c->file == NULL && !c->is_dev && access(CONFIG_DEFAULT_FILE, R_OK) == 0) {
        c->file = strdup(CONFIG_DEFAULT_FILE);
    }
    if (c->file != NULL) {
        TRY(read_file(c, c->file));
    }
    TRY(read_arguments(c, argv, true));
    return c->command == CONFIG_SERVE || c->command == CONFIG_SHOW || c->command == CONFIG_CHECK ||
                   c->command == CONFIG_INIT || c->command == CONFIG_ROTATE_SEAL_KEY
               ? finish(c)
               : OK;
}

static void free_texts(struct config *c, const struct config_setting *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].type == SETTING_TEXT) {
            char *text;

            memcpy(&text, config_table_at(c, &table[i]), sizeof(text));
            free(text);
        }
    }
}

void config_done(struct config *c)
{
    free_texts(c, CONFIG_TABLE, CONFIG_TABLE_LEN);
    free_texts(c, CONFIG_INIT_TABLE, CONFIG_INIT_TABLE_LEN);
    for (size_t i = 0; i < c->n_addresses; i++) {
        free(c->addresses[i]);
    }
    free(c->file);
    *c = (struct config){ 0 };
}
