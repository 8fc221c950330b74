/* remote/guard_test.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "remote/guard.h"

static bool allows(const char *text, bool is_public_only)
{
    struct sockaddr_storage s;
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

    memset(&s, 0, sizeof(s));
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(&s, &in, sizeof(in));
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&s, &in6, sizeof(in6));
    }
    return remote_guard_allows((struct sockaddr *)&s, is_public_only);
}

static void test_ranges(void **state)
{
    enum { PUBLIC, LOCAL, NEVER };
    static const struct {
        const char *text;
        int what;
    } cases[] = {
        { "8.8.8.8", PUBLIC },
        { "169.253.255.255", PUBLIC },
        { "172.15.255.255", PUBLIC },
        { "172.32.0.0", PUBLIC },
        { "100.63.0.1", PUBLIC },
        { "100.128.0.1", PUBLIC },
        { "223.255.255.255", PUBLIC },
        { "0.0.0.0", LOCAL },
        { "10.1.2.3", LOCAL },
        { "100.64.0.1", LOCAL },
        { "127.0.0.1", LOCAL },
        { "127.255.0.1", LOCAL },
        { "172.16.0.1", LOCAL },
        { "172.31.255.255", LOCAL },
        { "192.168.1.1", LOCAL },
        { "224.0.0.1", LOCAL },
        { "255.255.255.255", LOCAL },
        { "169.254.169.254", NEVER },
        { "169.254.0.1", NEVER },
        { "2001:4860:4860::8888", PUBLIC },
        { "::2", PUBLIC },
        { "::1", LOCAL },
        { "::", LOCAL },
        { "fc00::1", LOCAL },
        { "fd12::1", LOCAL },
        { "ff02::1", LOCAL },
        { "fe80::1", NEVER },
        { "febf::1", NEVER },
        { "fd00:ec2::254", NEVER },
        { "::ffff:8.8.8.8", PUBLIC },
        { "::ffff:10.0.0.1", LOCAL },
        { "::ffff:169.254.169.254", NEVER },
        { "64:ff9b::808:808", PUBLIC },
        { "64:ff9b::7f00:1", LOCAL },
        { "64:ff9b::a9fe:a9fe", NEVER },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("  %s\n", cases[i].text);
        assert_int_equal(allows(cases[i].text, false), cases[i].what != NEVER);
        assert_int_equal(allows(cases[i].text, true), cases[i].what == PUBLIC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_ranges) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
