/* api/router.c: routes by path and method. A pattern is compared segment by segment: fixed ones
 * without case (reference dps-service-api.md 2: one SDK sends "/enrollmentgroups"), {…} takes any
 * one that is not empty, still encoded, so that an encoded '/' stays inside its segment. */
#include "api/router.h"

/* The device API comes last: its first segment is any ID scope. */
static const struct http_route *const tables[] = {
    HTTP_OPS_ROUTES, HTTP_MANAGE_ROUTES, HTTP_SERVICE_ROUTES, HTTP_HUB_ROUTES, HTTP_DPS_ROUTES,
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

static struct span without_trailing_slash(struct span path)
{
    return span_ends_with(path, SPAN("/")) ? span_first(path, path.len - 1) : path;
}

static bool path_fits(const char *pattern, struct span path, struct span params[HTTP_PATH_PARAMS])
{
    struct span wanted = span_str(pattern);
    struct span given = without_trailing_slash(path);
    size_t n = 0;

    while (!span_is_absent(wanted) && !span_is_absent(given)) {
        struct span w = span_cut(&wanted, '/');
        struct span g = span_cut(&given, '/');

        if (!span_starts_with(w, SPAN("{"))) {
            if (!span_eq_nocase(w, g)) {
                return false;
            }
            continue;
        }
        if (span_is_empty(g) || n == HTTP_PATH_PARAMS) {
            return false;
        }
        params[n++] = g;
    }
    return span_is_absent(wanted) && span_is_absent(given);
}

static bool method_fits(const struct http_route *r, struct span method)
{
    return span_eq(span_str(r->method), method) ||
           (span_eq(method, SPAN("HEAD")) && strcmp(r->method, "GET") == 0 && !r->is_unsafe);
}

void router_find(struct span method, struct span path, struct router_match *ret_match)
{
    struct router_match m = { 0 };

    for (size_t i = 0; i < TABLES; i++) {
        for (const struct http_route *r = tables[i]; r->path != NULL; r++) {
            struct span params[HTTP_PATH_PARAMS] = { 0 };

            if (!path_fits(r->path, path, params)) {
                continue;
            }
            if (method_fits(r, method)) {
                m.route = r;
                memcpy(m.params, params, sizeof(params));
                *ret_match = m;
                return;
            }
            m.near = m.near != NULL ? m.near : r;
        }
    }
    *ret_match = m;
}

void router_methods(struct span path, struct buf *out)
{
    size_t begin = out->len;

    for (size_t i = 0; i < TABLES; i++) {
        for (const struct http_route *r = tables[i]; r->path != NULL; r++) {
            struct span params[HTTP_PATH_PARAMS];

            if (r->method[0] != '\0' && path_fits(r->path, path, params)) {
                buf_add_str(out, out->len > begin ? ", " : "");
                buf_add_str(out, r->method);
            }
        }
    }
}
