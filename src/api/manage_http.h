/* api/manage_http.h: what the files of the management routes share (doc/wire/manage.md). */
#ifndef API_MANAGE_HTTP_H
#define API_MANAGE_HTTP_H

#include "api/http.h"
#include "json/writer.h"

/* manage_instance.c */
err manage_instance_get_own(struct http_call *call);
err manage_instance_patch_own(struct http_call *call);
err manage_instance_list(struct http_call *call);
err manage_instance_get(struct http_call *call);
err manage_instance_put(struct http_call *call);
err manage_instance_delete(struct http_call *call);
/* manage_policy.c */
err manage_policy_list(struct http_call *call);
err manage_policy_get(struct http_call *call);
err manage_policy_put(struct http_call *call);
err manage_policy_delete(struct http_call *call);
err manage_policy_list_keys(struct http_call *call);
err manage_policy_regenerate_key(struct http_call *call);
/* manage_hub.c */
err manage_hub_list(struct http_call *call);
err manage_hub_put(struct http_call *call);
err manage_hub_delete(struct http_call *call);
/* manage_hub_settings.c */
err manage_hub_get(struct http_call *call);
err manage_hub_patch(struct http_call *call);
/* manage_link.c */
err manage_link_list(struct http_call *call);
err manage_link_get(struct http_call *call);
err manage_link_put(struct http_call *call);
err manage_link_delete(struct http_call *call);
/* Answers with the link, or refuses. */
err manage_link_answer(struct http_call *call, const struct linked_hub *link, struct verdict v);
/* One linked hub as it is shown: without its key. ERR_NOMEM. */
err manage_link_write(struct http_call *call, const struct linked_hub *link, struct json_writer *w);
/* manage_link_check.c */
err manage_link_check(struct http_call *call);
/* manage_drain.c */
err manage_drain_begin(struct http_call *call);
err manage_drain_end(struct http_call *call);
err manage_drain_list(struct http_call *call);
err manage_drain_disconnect(struct http_call *call);
/* manage_reconcile.c */
err manage_reconcile_hubs(struct http_call *call);
err manage_reconcile_identities(struct http_call *call);
err manage_reconcile_registrations(struct http_call *call);
err manage_reconcile_errands(struct http_call *call);
/* manage_mend.c */
err manage_mend(struct http_call *call);
/* manage_certificate.c */
err manage_certificate_list(struct http_call *call);
err manage_certificate_get(struct http_call *call);
err manage_certificate_put(struct http_call *call);
err manage_certificate_delete(struct http_call *call);
err manage_certificate_generate_code(struct http_call *call);
err manage_certificate_verify(struct http_call *call);
/* manage_decision.c */
err manage_decision_get(struct http_call *call);
err manage_decision_list(struct http_call *call);
err manage_decision_explain(struct http_call *call);

/* manage_errand.c */
err manage_errand_list(struct http_call *call);

/* manage_page.c: what a route lists in pages. */
enum { MANAGE_KEY = 512 };
struct manage_listing {
    const char *path; /* "/berth/v1/certificates": for nextLink */
    size_t row_size;
    /* Up to n rows behind `after` (absent: from the start). */
    err (*fetch)(const struct env *env, struct span id_scope, struct span after, size_t n,
                 void **ret_rows, size_t *ret_n);
    err (*write)(struct http_call *call, const void *row, struct json_writer *w);
    struct span (*key)(const void *row); /* at most MANAGE_KEY bytes */
};
/* Answers with the page that ?top= and ?after= ask for: {"value":[…],"nextLink"?}. */
err manage_page_answer(struct http_call *call, const struct manage_listing *l,
                       struct span id_scope);

/* ---- of manage_http.c ---- */

/* ServiceConfig on the host's instance, then the body as an object. */
err manage_begin_change(struct http_call *call, struct instance *ret_instance, json **ret_document,
                        struct verdict *ret_verdict);
/* ServiceConfig on the host's instance, then all that `write` has for it, in one answer:
 * {"value":[…]}. */
err manage_answer_list(struct http_call *call,
                       err (*write)(struct http_call *call, const struct instance *instance,
                                    struct json_writer *w));
/* "true" in the query parameter `force`? */
err manage_is_forced(struct http_call *call, bool *ret_is);
/* FIELD_INVALID with err_detail(), when `e` is ERR_MALFORMED; else `e`. */
err manage_refuse_member(struct http_call *call, err e, struct verdict *ret_verdict);

#endif
