// links: berth_api
/* tests/fuzz/fuzz_route.c: request paths against the tables of routes. Parameters lie within the
 * path. */
#include "api/router.h"
#include "fuzz.h"

static void find(struct span method, struct span path)
{
    struct router_match match;

    router_find(method, path, &match);
    for (size_t i = 0; i < HTTP_PATH_PARAMS && match.route != NULL; i++) {
        struct span p = match.params[i];

        FUZZ_CHECK(span_is_absent(p) ||
                   (p.data >= path.data && p.data + p.len <= path.data + path.len));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = { "GET", "PUT", "POST", "DELETE", "PATCH" };
    struct span text = span_of(data, size);
    uint8_t room[256];
    struct buf out = buf_over(room, sizeof room);

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        find(span_str(methods[i]), text);
    }
    router_methods(text, &out);
    return 0;
}
