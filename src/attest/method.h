/* attest/method.h: what one way of proving gives attest.c to judge by; inside attest/ only. */
#ifndef ATTEST_METHOD_H
#define ATTEST_METHOD_H

#include "attest/attest.h"
#include "attest/sas.h"

/* Judges the evidence as if the enrollment were enabled. Sets all of *ret but the identity's
 * enrollment and registration ID. */
typedef err (*attest_method_fn)(const struct env *env, const struct claim *claim,
                                const struct enrollment *enrollment,
                                const struct attest_trust *trust, struct attest_judgement *ret);

err attest_x509_judge(const struct env *env, const struct claim *claim,
                      const struct enrollment *enrollment, const struct attest_trust *trust,
                      struct attest_judgement *ret);

/* Leaves nothing in the arena unless it is a match: a search may try it with many groups. */
err attest_symkey_judge(const struct env *env, const struct claim *claim,
                        const struct enrollment *enrollment, const struct attest_trust *trust,
                        struct attest_judgement *ret);

/* The token of a claim, if it is there, well-formed and for this very registration. Otherwise the
 * verdict says what it is not. Spans are in the arena. */
err attest_symkey_read_token(const struct env *env, const struct claim *claim,
                             struct sas_token *ret_token, struct verdict *ret_verdict);

err attest_tpm_judge(const struct env *env, const struct claim *claim,
                     const struct enrollment *enrollment, const struct attest_trust *trust,
                     struct attest_judgement *ret);

#endif
