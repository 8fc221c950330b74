/* ca/profile.h: the kinds of certificate that berthd and berth issue, and issuing one. What stands
 * in each kind is a table in profile.c; a request adds who and when. */
#ifndef CA_PROFILE_H
#define CA_PROFILE_H

#include "crypto/key.h"

/* Lifetimes are what a request of 0 days gets. */
enum ca_profile {
    CA_PROFILE_ROOT,         /* 10 years, self-signed; signs certificates and CRLs */
    CA_PROFILE_INTERMEDIATE, /* 5 years; signs certificates and CRLs */
    CA_PROFILE_DEVICE,       /* 1 year; clientAuth */
    CA_PROFILE_VERIFICATION, /* 1 day; its common name is the code that proves possession of a CA */
    CA_PROFILE_SERVER,       /* 397 days, what browsers accept; serverAuth */
};

struct ca_request {
    enum ca_profile profile;
    const char *common_name; /* UTF-8, 1 to LIMIT_COMMON_NAME characters */
    const struct crypto_key *subject_key;
    /* NULL both: self-signed, which a root must and nothing but a root or server may be. */
    const struct crypto_cert *issuer;
    const struct crypto_key *issuer_key;
    int64_t now_ms;
    int lifetime_days; /* 0: the profile's; at most LIMIT_CERTIFICATE_DAYS */
    bool has_path_len; /* CAs only: at most path_len CAs may follow below, 0 or more */
    int path_len;
    const char *subject_alt_name; /* servers only: "DNS:localhost,IP:127.0.0.1"; NULL: none */
    uint8_t serial[16];           /* random, handed in */
};

/* Issues what is asked for. It is valid from LIMIT_CERTIFICATE_BACKDATE_MS before now_ms, for
 * clocks that are behind, and never outlives its issuer nor begins before it. The certificate is
 * the caller's to free; nothing of the request is kept. ERR_MALFORMED: the common name is empty,
 * too long or not UTF-8, or a member is out of range. ERR_PRECONDITION: the issuer is no CA, not
 * valid now, or issuer_key is not its key. ERR_CRYPTO: OpenSSL refuses, for one a subject_alt_name.
 * err_detail says why. */
err ca_profile_issue(struct crypto *c, const struct ca_request *r, struct crypto_cert **ret_cert);

/* "device"; never NULL. */
const char *ca_profile_name(enum ca_profile profile);
/* Days that a request of 0 gets. */
int ca_profile_lifetime_days(enum ca_profile profile);

#endif
