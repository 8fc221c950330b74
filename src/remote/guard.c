/* remote/guard.c: ranges of addresses (RFC 6890 and its registry). Knows numbers, not names: it is
 * asked once a name is resolved, so that no name can hide an address. */
#include "remote/guard.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct range {
    uint8_t bytes[16];
    int bits;
    bool is_never; /* else only a public-only server refuses it */
};

static const struct range v4[] = {
    { { 169, 254 }, 16, true }, /* link-local: a cloud's metadata service */
    { { 0 }, 8, false },        /* this network; 0.0.0.0 is this machine */
    { { 10 }, 8, false },       /* private */
    { { 100, 64 }, 10, false }, /* carrier-grade NAT */
    { { 127 }, 8, false },      /* loopback */
    { { 172, 16 }, 12, false }, /* private */
    { { 192, 0, 0 }, 24, false }, { { 192, 168 }, 16, false }, /* private */
    { { 198, 18 }, 15, false },                                /* benchmarks */
    { { 224 }, 3, false },                                     /* multicast, reserved, broadcast */
};

static const struct range v6[] = {
    { { 0xfe, 0x80 }, 10, true }, /* link-local */
    { { 0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54 },
      128,
      true },                      /* metadata */
    { { 0 }, 127, false },         /* unspecified, loopback */
    { { 0xfc }, 7, false },        /* unique local */
    { { 0xfe, 0xc0 }, 10, false }, /* site-local */
    { { 0xff }, 8, false },        /* multicast */
};

/* Prefixes of IPv6 addresses that end in an IPv4 one. */
static const struct range carriers[] = {
    { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 96, false }, /* mapped */
    { { 0, 0x64, 0xff, 0x9b }, 96, false },                      /* NAT64 */
};

static bool is_in(const uint8_t *address, const struct range *r)
{
    size_t whole = (size_t)r->bits / 8;
    uint8_t mask = (uint8_t)(0xff00 >> (r->bits % 8));

    return memcmp(address, r->bytes, whole) == 0 &&
           (r->bits % 8 == 0 || ((address[whole] ^ r->bytes[whole]) & mask) == 0);
}

static bool allows(const uint8_t *address, const struct range *ranges, size_t n,
                   bool is_public_only)
{
    for (size_t i = 0; i < n; i++) {
        if ((is_public_only || ranges[i].is_never) && is_in(address, &ranges[i])) {
            return false;
        }
    }
    return true;
}

static bool allows_v4(const uint8_t *address, bool is_public_only)
{
    return allows(address, v4, sizeof v4 / sizeof *v4, is_public_only);
}

bool remote_guard_allows(const struct sockaddr *address, bool is_public_only)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (address->sa_family == AF_INET) {
        memcpy(&in, address, sizeof(in));
        return allows_v4((const uint8_t *)&in.sin_addr, is_public_only);
    }
    if (address->sa_family != AF_INET6) {
        return false;
    }
    memcpy(&in6, address, sizeof(in6));
    for (size_t i = 0; i < sizeof carriers / sizeof *carriers; i++) {
        if (is_in(in6.sin6_addr.s6_addr, &carriers[i])) {
            return allows_v4(in6.sin6_addr.s6_addr + 12, is_public_only);
        }
    }
    return allows(in6.sin6_addr.s6_addr, v6, sizeof v6 / sizeof *v6, is_public_only);
}
