/* core/certificate.h: uploaded CA certificates and the proof of their possession (reference
 * dps-service-api.md 8.3): of an instance, or of a hub (reference iothub-device-api.md 2.4), whose
 * host name, folded, stands for the ID scope then. No hub's host name looks like an ID scope. */
#ifndef CORE_CERTIFICATE_H
#define CORE_CERTIFICATE_H

#include "core/enrollment.h"

/* Uploads, or replaces under If-Match. `text`: any of the four spellings. A replaced certificate of
 * other bytes is unverified again unless `verified`. Refusals: FIELD_INVALID (name),
 * CERTIFICATE_INVALID (unreadable, not a CA, expired), RESOURCE_EXISTS, ETAG_MISMATCH,
 * QUOTA_EXCEEDED. */
err core_certificate_put(const struct env *env, struct span id_scope, struct span name,
                         struct span text, bool verified, const struct core_match *match,
                         struct certificate *ret_certificate, struct verdict *ret_verdict);
err core_certificate_get(const struct env *env, struct span id_scope, struct span name,
                         struct certificate *ret_certificate, struct verdict *ret_verdict);
/* A page by name; after: name to start behind, or absent. */
err core_certificate_list(const struct env *env, struct span id_scope, struct span after,
                          size_t limit, struct certificate **ret_rows, size_t *ret_n);
/* CERTIFICATE_IN_USE while an enrollment refers to it, unless `force`; the detail names one. */
err core_certificate_delete(const struct env *env, struct span id_scope, struct span name,
                            bool force, const struct core_match *match,
                            struct verdict *ret_verdict);
/* A new code, 48 upper-case hex digits; the former one is void. */
err core_certificate_generate_code(const struct env *env, struct span id_scope, struct span name,
                                   const struct core_match *match,
                                   struct certificate *ret_certificate,
                                   struct verdict *ret_verdict);
/* Proves possession: `text` is a certificate signed by the CA whose CN is the code.
 * VERIFICATION_FAILED says what is wrong. */
err core_certificate_verify(const struct env *env, struct span id_scope, struct span name,
                            struct span text, const struct core_match *match,
                            struct certificate *ret_certificate, struct verdict *ret_verdict);

#endif
