/* cmd/config_test.c: defaults, the order of precedence, and every way a setting can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/config.h"

enum { ARGS_MAX = 12, TEXT_MAX = 32768 };

static const char GOOD[] = "server-cert = /c.pem\nserver-key = /k.pem\n";

/* berthd with the words of `line` (split at blanks), "FILE" being a file with `text`. */
static err load(const char *line, const char *text, struct config *ret_config)
{
    char words[1024], path[] = "/tmp/berth-config-XXXXXX";
    char *argv[ARGS_MAX + 1] = { "berthd" };
    int fd = mkstemp(path), argc = 1;
    char *state = NULL;
    err e;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
    (void)snprintf(words, sizeof(words), "%s", line);
    for (char *w = strtok_r(words, " ", &state); w != NULL; w = strtok_r(NULL, " ", &state)) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = strcmp(w, "FILE") == 0 ? path : w;
    }
    e = config_load(argv, ret_config);
    (void)unlink(path);
    return e;
}

static void test_defaults(void **state)
{
    struct config c;

    (void)state;
    assert_true(err_is_ok(load("-c FILE", GOOD, &c)));
    assert_int_equal(c.command, CONFIG_SERVE);
    assert_false(c.is_dev);
    assert_int_equal(c.mqtt_port, 8883);
    assert_int_equal(c.https_port, 443);
    assert_int_equal(c.n_addresses, 2);
    assert_string_equal(c.addresses[0], "0.0.0.0");
    assert_string_equal(c.addresses[1], "::");
    assert_string_equal(c.store, "/var/lib/berth/berth.db");
    assert_string_equal(c.server_cert, "/c.pem");
    assert_int_equal(c.telemetry_retention_s, 7 * 86400);
    assert_int_equal(c.log_format, CONFIG_LOG_LOGFMT);
    assert_int_equal(c.log_level, CONFIG_LOG_INFO);
    assert_false(c.metrics_public);
    config_done(&c);
}

static void test_dev(void **state)
{
    struct config c;

    (void)state;
    (void)setenv("XDG_DATA_HOME", "/xdg", 1);
    assert_true(err_is_ok(load("--dev", "", &c)));
    assert_true(c.is_dev);
    assert_string_equal(c.host, "localhost");
    assert_string_equal(c.data, "/xdg/berth/dev");
    assert_string_equal(c.store, "/xdg/berth/dev/berth.db");
    assert_int_equal(c.n_addresses, 2); /* localhost is both, and some clients try one only */
    assert_string_equal(c.addresses[0], "127.0.0.1");
    assert_string_equal(c.addresses[1], "::1");
    config_done(&c);
    (void)unsetenv("XDG_DATA_HOME");
    (void)setenv("HOME", "/home/a", 1);
    assert_true(err_is_ok(load("--dev", "", &c)));
    assert_string_equal(c.data, "/home/a/.local/share/berth/dev");
    config_done(&c);
    assert_true(err_is_ok(load("--dev --data /d --host h.example --bind ::1,10.0.0.1", "", &c)));
    assert_string_equal(c.data, "/d");
    assert_string_equal(c.host, "h.example");
    assert_int_equal(c.n_addresses, 2);
    config_done(&c);
    (void)unsetenv("HOME");
    assert_true(err_is(load("--dev", "", &c), ERR_MALFORMED));
    config_done(&c);
}

/* Options before or after the file's name win over what stands in it. */
static void test_precedence(void **state)
{
    static const char text[] = "# a comment\n"
                               "; another\n"
                               "\n"
                               "[berthd]\n"
                               "server-cert = /c.pem\n"
                               "server-key=/k.pem\n"
                               "  mqtt-port  =  1001  \n"
                               "https-port = 1002\n"
                               "telemetry-retention = 12h\n"
                               "log-format = json\n"
                               "metrics-public = yes\n"
                               "data = /a b; c\n";
    struct config c;

    (void)state;
    assert_true(err_is_ok(load("--mqtt-port 2001 -c FILE --amqp-port=2003", text, &c)));
    assert_int_equal(c.mqtt_port, 2001);
    assert_int_equal(c.https_port, 1002);
    assert_int_equal(c.amqp_port, 2003);
    assert_int_equal(c.telemetry_retention_s, 43200);
    assert_int_equal(c.log_format, CONFIG_LOG_JSON);
    assert_true(c.metrics_public);
    assert_string_equal(c.data, "/a b; c");
    config_done(&c);
}

struct bad_case {
    const char *line;
    const char *text;
    const char *said; /* stands in the message */
};

static const struct bad_case bad_cases[] = {
    /* The file. */
    { "-c FILE", "no-such = 1\n", ":1: unknown setting no-such" },
    { "-c FILE", "\n[tls]\nserver-cert = a\n", ":3: unknown section tls" },
    { "-c FILE", "mqtt-port = eighty\n", ":1: mqtt-port = \"eighty\": must be a number from 1 to" },
    { "-c FILE", "mqtt-port = 0\n", "from 1 to 65535" },
    { "-c FILE", "mqtt-port = 65536\n", "from 1 to 65535" },
    { "-c FILE", "mqtt-port = -1\n", "from 1 to 65535" },
    { "-c FILE", "mqtt-port =\n", "from 1 to 65535" },
    { "-c FILE", "mqtt-port = 99999999999999999999\n", "from 1 to 65535" },
    { "-c FILE", "\n\nmetrics-public = maybe\n",
      ":3: metrics-public = \"maybe\": must be yes or no" },
    { "-c FILE", "log-format = xml\n", "must be one of logfmt json" },
    { "-c FILE", "log-level = loud\n", "must be one of debug info warning error" },
    { "-c FILE", "drain-timeout = 10x\n", "must be a time such as" },
    { "-c FILE", "drain-timeout = 2h\n", "from 0 to 3600 seconds" },
    { "-c FILE", "drain-timeout = s\n", "must be a time such as" },
    { "-c FILE", "telemetry-retention = 9223372036854775807d\n", "must be a time such as" },
    { "-c FILE", "loops = 257\n", "from 0 to 256" },
    { "-c FILE", "mqtt-port = 1\nmqtt-port = 2\n", ":2: given twice: mqtt-port" },
    { "-c FILE", "bind\n", ":1: not of the form name = value" },
    { "-c FILE", "= 3\n", ":1: unknown setting" },
    { "-c FILE", "[berthd\n", ":1: not of the form name = value" },
    { "-c /nowhere/berthd.conf", "", "/nowhere/berthd.conf: No such file" },
    /* The whole. */
    { "-c FILE", "server-cert = a\n", "server-cert and server-key must be set" },
    { "-c FILE", "server-key = a\n", "server-cert and server-key must be set" },
    { "-c FILE", "server-cert = a\nserver-key = b\nserver-rsa-cert = c\n", "go together" },
    { "-c FILE", "bind = localhost\n", "\"localhost\" is not an IPv4 or IPv6 address" },
    { "-c FILE", "bind = 1.2.3.4,,\n", "\"\" is not an IPv4" },
    { "-c FILE", "bind = 1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,::1\n",
      "more than 8 addresses" },
    { "-c FILE", "mqtt-port = 443\n", "must differ" },
    { "-c FILE", "data =\n", "data must be a directory" },
    /* The command line. */
    { "--nonsense", "", "unknown option --nonsense" },
    { "nonsense", "", "unknown option nonsense" },
    { "--", "", "unknown option --" },
    { "config", "", "unknown option config" },
    { "config --delete", "", "unknown option config" },
    { "--dev --mqtt-port", "", "--mqtt-port needs a value" },
    { "-c", "", "-c needs a file" },
    { "-c /nowhere/1 -c /nowhere/2", "", "/nowhere/2: No such file" }, /* the last one */
    { "--dev --mqtt-port=x", "", "command line: mqtt-port = \"x\"" },
    { "--dev --https-port 8883", "", "must differ" },
    /* init */
    { "init -c FILE", "", "--name and --host-name" },
    { "init -c FILE --name a", "", "--name and --host-name" },
    { "init -c FILE --name a --host-name", "", "--host-name needs a value" },
    { "init -c FILE --name a --host-name b_c!", "", "\"b_c!\" is not a host name" },
    { "init -c FILE --name a --host-name b --hub-name c", "", "go together" },
    { "init -c FILE --name a --host-name b --hub-name c --hub-host-name d/", "",
      "\"d/\" is not a" },
    { "init --dev --name a --host-name b", "", "needs no init" },
    { "-c FILE --host-name b", "", "unknown option --host-name" },
    { "-c FILE", "host-name = b\n", "unknown setting host-name" },
};

static void test_bad(void **state)
{
    (void)state;
    (void)setenv("HOME", "/home/a", 1);
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
        struct config c;
        err e = load(bad_cases[i].line, bad_cases[i].text, &c);

        if (!err_is(e, ERR_MALFORMED) || strstr(err_detail(), bad_cases[i].said) == NULL) {
            fail_msg("%s | %s: %s, \"%s\"", bad_cases[i].line, bad_cases[i].text, err_name(e),
                     err_detail());
        }
        config_done(&c);
    }
}

static void test_long_line(void **state)
{
    static char text[8192];
    struct config c;

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "data = ", 7);
    assert_true(err_is(load("-c FILE", text, &c), ERR_MALFORMED));
    assert_non_null(strstr(err_detail(), ":1: the line is too long"));
    config_done(&c);
}

static void test_commands(void **state)
{
    static const struct {
        const char *line;
        enum config_command command;
    } cases[] = { { "--help", CONFIG_HELP },
                  { "-h", CONFIG_HELP },
                  { "--version", CONFIG_VERSION },
                  { "--man", CONFIG_MAN },
                  { "config --show", CONFIG_SHOW },
                  { "config --sample", CONFIG_SAMPLE },
                  { "--dev --check-config --data /d", CONFIG_CHECK },
                  { "init --name a --host-name b", CONFIG_INIT },
                  { "--name init --host-name b -c FILE init", CONFIG_INIT } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config c;

        assert_true(err_is_ok(load(cases[i].line, "", &c)));
        assert_int_equal(c.command, cases[i].command);
        config_done(&c);
    }
}

static char *printed(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    print(out);
    assert_int_equal(fclose(out), 0);
    assert_true(len < TEXT_MAX);
    return text;
}

/* What is printed names every setting, fits a terminal, and the sample without its '#' is a file
 * that loads and changes nothing. */
static void test_print(void **state)
{
    static const char *const names[] = { "mqtt-port", "server-rsa-key", "core-dumps" };
    char *help = printed(config_print_help), *man = printed(config_print_man);
    char *sample = printed(config_print_sample);
    struct config c;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_non_null(strstr(help, names[i]));
        assert_non_null(strstr(sample, names[i]));
    }
    assert_non_null(strstr(man, ".B mqtt\\-port \\fIPORT\\fR\n"));
    for (char *line = strtok(help, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 104); /* an ellipsis is three bytes */
    }
    for (char *p = sample; *p != '\0'; p++) {
        if (*p == '#' && p[1] != ' ' && (p == sample || p[-1] == '\n')) {
            *p = ' ';
        }
    }
    assert_true(err_is_ok(load("-c FILE --server-cert a --server-key b", sample, &c)));
    assert_int_equal(c.mqtt_port, 8883);
    assert_int_equal(c.drain_timeout_s, 10);
    config_done(&c);
    free(help);
    free(man);
    free(sample);
}

static void test_show(void **state)
{
    static char text[TEXT_MAX];
    struct config c;
    FILE *out;

    (void)state;
    assert_true(err_is_ok(load("config --show -c FILE --log-level debug", "loops = 3\n", &c)));
    out = fmemopen(text, sizeof(text), "w");
    config_print(&c, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "# default\nmqtt-port = 8883\n"));
    assert_non_null(strstr(text, "# command line\nlog-level = debug\n"));
    assert_non_null(strstr(text, "\nloops = 3\n"));
    config_done(&c);
    assert_true(err_is_ok(load("config --show -c FILE", text, &c))); /* it is a file itself */
    assert_int_equal(c.loops, 3);
    config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_dev),
        cmocka_unit_test(test_precedence), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_long_line),  cmocka_unit_test(test_commands),
        cmocka_unit_test(test_print),      cmocka_unit_test(test_show),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
