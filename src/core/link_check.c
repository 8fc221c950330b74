/* core/link_check.c: reads what it is given with, and trusts, no other: what a hub says is not
 * asked here. */
#include "core/link_check.h"

#include "core/match.h"
#include "core/region.h"
#include "crypto/x509.h"
#include "model/limits.h"
#include "util/base64.h"
#include "util/connection_string.h"

enum { WEIGHT_MAX = 1000, UDEG = 1000 * 1000, REGION_UDEG = 1000, PORT_MAX = 65535 };

static err refuse_string(const struct env *env, const char *text, struct verdict *ret_verdict)
{
    return core_match_refuse(env, REASON_CONNECTION_STRING_REFUSED, ret_verdict, "%s", text);
}

err core_link_check_string(const struct env *env, const struct linked_hub *link,
                           struct core_link_login *ret_login, struct verdict *ret_verdict)
{
    struct connection_string parts;
    struct buf key;

    *ret_verdict = VERDICT(GRANTED);
    *ret_login = (struct core_link_login){ .key = SPAN_NONE };
    if (span_is_absent(link->connection_string)) {
        return OK;
    }
    if (link->connection_string.len > LIMIT_CONNECTION_STRING ||
        !err_is_ok(connection_string_parse(link->connection_string, &parts))) {
        return refuse_string(env,
                             "connectionString is not HostName=…;SharedAccessKeyName=…;"
                             "SharedAccessKey=….",
                             ret_verdict);
    }
    if (!span_eq_nocase(parts.host, link->host_name)) {
        return refuse_string(env, "connectionString is of another hub.", ret_verdict);
    }
    key = arena_buf(env->arena);
    if (!err_is_ok(base64_decode(parts.key, &key)) || key.len == 0) {
        return refuse_string(env, "connectionString: its SharedAccessKey is not base64.",
                             ret_verdict);
    }
    ret_login->policy = parts.policy;
    return arena_buf_end(env->arena, &key, &ret_login->key);
}

/* ---- address: host[:port], [v6][:port] ---- */

static bool is_port(struct span text)
{
    int64_t port;

    return text.len > 0 && text.len <= 5 && text.data[0] != '+' && text.data[0] != '-' &&
           span_parse_int(text, &port) && port >= 1 && port <= PORT_MAX;
}

static bool is_v6(struct span text)
{
    size_t colons = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i], l = c | 0x20;

        if (!((c >= '0' && c <= '9') || (l >= 'a' && l <= 'f') || c == ':' || c == '.')) {
            return false;
        }
        colons += c == ':';
    }
    return colons >= 2;
}

static bool is_address(struct span text)
{
    struct span rest = text, host;

    if (span_starts_with(text, SPAN("["))) {
        rest = span_from(text, 1);
        host = span_cut(&rest, ']');
        return host.len + 2 <= text.len && is_v6(host) &&
               (rest.len == 0 || (rest.data[0] == ':' && is_port(span_from(rest, 1))));
    }
    host = span_cut(&rest, ':');
    return model_is_host_name(host) && (host.len == text.len || is_port(rest));
}

/* ---- certificates ---- */

static const struct span begin = SPAN_INIT("-----BEGIN CERTIFICATE-----");

/* From the next one on; absent: there is none. */
static struct span next_certificate(struct span text)
{
    while (text.len > 0 && !span_starts_with(text, begin)) {
        text = span_from(text, 1);
    }
    return text.len > 0 ? text : SPAN_NONE;
}

static err check_ca(const struct env *env, struct span text, struct verdict *ret_verdict)
{
    struct span at = next_certificate(text);
    int n = 0;

    if (text.len > LIMIT_CA_BUNDLE) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict, "ca: at most %d bytes.",
                                 LIMIT_CA_BUNDLE);
    }
    for (; !span_is_absent(at); at = next_certificate(span_from(at, begin.len))) {
        AUTO(crypto_cert) struct crypto_cert *cert = NULL;
        err e = crypto_x509_decode_any(env->crypto, at, &cert);

        n++;
        if (err_is(e, ERR_MALFORMED)) {
            return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                     "ca: its certificate %d cannot be read.", n);
        }
        TRY(e);
    }
    return n > 0 ? OK
                 : core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                     "ca: no certificate in PEM is in it.");
}

/* ---- all of it ---- */

static void locate(struct linked_hub *link)
{
    const struct core_region *r = core_region_find(link->location);

    if (!link->has_coordinates && r != NULL) {
        link->has_coordinates = 1;
        link->latitude_udeg = (int64_t)r->latitude * REGION_UDEG;
        link->longitude_udeg = (int64_t)r->longitude * REGION_UDEG;
    }
}

static bool is_within(int64_t udeg, int degrees)
{
    return udeg >= -(int64_t)degrees * UDEG && udeg <= (int64_t)degrees * UDEG;
}

static const char *check_members(const struct linked_hub *link)
{
    return !model_is_host_name(link->host_name)            ? "The hub's host name is malformed."
           : link->weight < 1 || link->weight > WEIGHT_MAX ? "allocationWeight must be 1 to 1000."
           : link->location.len > LIMIT_LOCATION           ? "location: at most 64 bytes."
           : !span_is_absent(link->address) && !is_address(link->address)
               ? "address is not a host name or an IP address, with or without a port: "
                 "10.0.0.5:8443, [2001:db8::5], hub.internal."
           : link->has_coordinates &&
                   !(is_within(link->latitude_udeg, 90) && is_within(link->longitude_udeg, 180))
               ? "latitude is -90 to 90, longitude -180 to 180."
               : NULL;
}

err core_link_check(const struct env *env, struct linked_hub *link,
                    struct core_link_login *ret_login, struct verdict *ret_verdict)
{
    const char *problem = check_members(link);

    *ret_login = (struct core_link_login){ .key = SPAN_NONE };
    *ret_verdict = VERDICT(GRANTED);
    if (problem != NULL) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict, "%s", problem);
    }
    locate(link);
    if (!span_is_absent(link->ca)) {
        TRY(check_ca(env, link->ca, ret_verdict));
    }
    return verdict_is_granted(*ret_verdict)
               ? core_link_check_string(env, link, ret_login, ret_verdict)
               : OK;
}
