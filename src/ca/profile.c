/* ca/profile.c: what stands in each kind of certificate (RFC 5280), and the checks that keep a
 * request within it. Signing itself is crypto/key.c's. */
#include "ca/profile.h"

#include "model/limits.h"
#include "util/span.h"

#define DAY_MS (24LL * 3600 * 1000)

static const struct profile {
    const char *name;
    int lifetime_days;
    bool is_ca;
    bool may_sign_itself, must_sign_itself;
    const char *key_usage, *extended_usage;
} profiles[] = {
    [CA_PROFILE_ROOT] = { "root", 3652, true, true, true, "critical,keyCertSign,cRLSign", NULL },
    [CA_PROFILE_INTERMEDIATE] = { "intermediate", 1826, true, false, false,
                                  "critical,keyCertSign,cRLSign", NULL },
    [CA_PROFILE_DEVICE] = { "device", 365, false, false, false, "critical,digitalSignature",
                            "clientAuth" },
    [CA_PROFILE_VERIFICATION] = { "verification", 1, false, false, false,
                                  "critical,digitalSignature", "clientAuth" },
    /* keyEncipherment: key transport of TLS 1.2 with an RSA key. */
    [CA_PROFILE_SERVER] = { "server", 397, false, true, false,
                            "critical,digitalSignature,keyEncipherment", "serverAuth" },
};

const char *ca_profile_name(enum ca_profile profile)
{
    return profiles[profile].name;
}

int ca_profile_lifetime_days(enum ca_profile profile)
{
    return profiles[profile].lifetime_days;
}

/* Characters of UTF-8; OpenSSL checks that they are well-formed. */
static size_t count_characters(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static err check_request(const struct ca_request *r, const struct profile *p)
{
    size_t n = count_characters(r->common_name);

    if (n == 0 || n > LIMIT_COMMON_NAME) {
        return err_set(ERR_MALFORMED, "common name of %zu characters, allowed are 1 to %d", n,
                       LIMIT_COMMON_NAME);
    }
    if (r->lifetime_days < 0 || r->lifetime_days > LIMIT_CERTIFICATE_DAYS) {
        return err_set(ERR_MALFORMED, "lifetime of %d days, allowed are 1 to %d", r->lifetime_days,
                       LIMIT_CERTIFICATE_DAYS);
    }
    if (r->has_path_len && (!p->is_ca || r->path_len < 0)) {
        return err_set(ERR_MALFORMED, "path length %d in a %s certificate", r->path_len, p->name);
    }
    if (r->subject_alt_name != NULL && r->profile != CA_PROFILE_SERVER) {
        return err_set(ERR_MALFORMED, "subject alternative name in a %s certificate", p->name);
    }
    if ((r->issuer == NULL) != (r->issuer_key == NULL) ||
        (r->issuer == NULL ? !p->may_sign_itself : p->must_sign_itself)) {
        return err_set(ERR_MALFORMED, "%s certificate %s an issuer", p->name,
                       r->issuer == NULL ? "without" : "with");
    }
    return OK;
}

/* Cuts the validity to the issuer's. */
static err fit_to_issuer(const struct ca_request *r, struct crypto_cert_spec *spec)
{
    struct crypto_x509_info issuer;

    TRY(crypto_x509_info(r->issuer, &issuer));
    if (!crypto_x509_is_ca(r->issuer)) {
        return err_set(ERR_PRECONDITION, "the issuer's certificate is not a CA's");
    }
    if (!crypto_key_matches(r->issuer_key, r->issuer)) {
        return err_set(ERR_PRECONDITION, "the key is not that of the issuer's certificate");
    }
    if (r->now_ms < issuer.not_before_ms || r->now_ms > issuer.not_after_ms) {
        return err_set(ERR_PRECONDITION, "the issuer's certificate is expired or not yet valid");
    }
    if (spec->not_before_ms < issuer.not_before_ms) {
        spec->not_before_ms = issuer.not_before_ms;
    }
    if (spec->not_after_ms > issuer.not_after_ms) {
        spec->not_after_ms = issuer.not_after_ms;
    }
    return OK;
}

err ca_profile_issue(struct crypto *c, const struct ca_request *r, struct crypto_cert **ret_cert)
{
    const struct profile *p = &profiles[r->profile];
    int days = r->lifetime_days > 0 ? r->lifetime_days : p->lifetime_days;
    struct crypto_cert_spec spec = {
        .common_name = r->common_name,
        .not_before_ms = r->now_ms - LIMIT_CERTIFICATE_BACKDATE_MS,
        .not_after_ms = r->now_ms + days * DAY_MS,
        .is_ca = p->is_ca,
        .path_len = r->has_path_len ? r->path_len : -1,
        .key_usage = p->key_usage,
        .extended_usage = p->extended_usage,
        .subject_alt_name = r->subject_alt_name,
    };

    TRY(check_request(r, p));
    if (r->issuer != NULL) {
        TRY(fit_to_issuer(r, &spec));
    }
    memcpy(spec.serial, r->serial, sizeof(spec.serial));
    return crypto_key_issue(c, &spec, r->subject_key, r->issuer,
                            r->issuer != NULL ? r->issuer_key : r->subject_key, ret_cert);
}
