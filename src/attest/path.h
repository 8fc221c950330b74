/* attest/path.h: judging a certificate by the CA certificates of an enrollment or of a hub,
 * whatever it proves. */
#ifndef ATTEST_PATH_H
#define ATTEST_PATH_H

#include "attest/attest.h"

struct attest_leaf {
    const struct crypto_cert *cert;
    enum crypto_purpose purpose;
};

/* The best of the trust's anchors decides. Sets all of *ret but the identity. */
void attest_path_judge(const struct env *env, const struct attest_leaf *leaf,
                       const struct attest_trust *trust, struct attest_judgement *ret);

/* One path to one anchor. *ret_why: OpenSSL's words. */
enum crypto_path attest_path_check(const struct env *env, const struct attest_leaf *leaf,
                                   const struct crypto_cert *anchor,
                                   const struct attest_trust *trust, const char **ret_why);
enum reason attest_path_reason(enum crypto_path path);

#endif
