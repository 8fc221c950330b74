/* api/manage_http.h: what the files of the management routes share (doc/wire/manage.md). */
#ifndef API_MANAGE_HTTP_H
#define API_MANAGE_HTTP_H

#include "api/http.h"

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

#endif
