/* cmd/berth/identity_body.c: what options say of an identity, over what is stored. How a device
 * proves itself is told by --auth-method, or else by the keys or thumbprints that are given. */
#include "cmd/berth/identity_body.h"

#include "json/writer.h"

enum method { METHOD_STORED, METHOD_SAS, METHOD_THUMBPRINT, METHOD_CA };

static const struct {
    const char *option, *wire;
} METHODS[] = {
    [METHOD_SAS] = { "shared_private_key", "sas" },
    [METHOD_THUMBPRINT] = { "x509_thumbprint", "selfSigned" },
    [METHOD_CA] = { "x509_ca", "certificateAuthority" },
};

/* A pair of the same kind: keys, or thumbprints. */
struct pair {
    const char *object, *primary, *secondary; /* members */
    const char *primary_option, *secondary_option;
};
static const struct pair KEYS = { "symmetricKey", "primaryKey", "secondaryKey", "primary-key",
                                  "secondary-key" };
static const struct pair THUMBPRINTS = { "x509Thumbprint", "primaryThumbprint",
                                         "secondaryThumbprint", "primary-thumbprint",
                                         "secondary-thumbprint" };

static bool is_given(const struct cli *cli, const struct pair *p)
{
    return berth_cli_text_if(cli, p->primary_option) != NULL ||
           berth_cli_text_if(cli, p->secondary_option) != NULL;
}

static enum method find_method(struct span name, bool is_wire)
{
    for (int m = METHOD_SAS; m <= METHOD_CA; m++) {
        if (span_eq(name, span_str(is_wire ? METHODS[m].wire : METHODS[m].option))) {
            return (enum method)m;
        }
    }
    return METHOD_STORED;
}

/* Which method the options mean. METHOD_STORED: they say nothing of it. */
static err choose_method(struct cli *cli, enum method *ret_method)
{
    enum method named = find_method(span_str(berth_cli_text(cli, "auth-method")), false);
    bool has_keys = is_given(cli, &KEYS), has_thumbprints = is_given(cli, &THUMBPRINTS);

    if (has_keys && has_thumbprints) {
        return berth_cli_usage(cli, "keys or thumbprints, not both");
    }
    if (has_keys && named != METHOD_STORED && named != METHOD_SAS) {
        return berth_cli_usage(cli, "keys go with --auth-method shared_private_key");
    }
    if (has_thumbprints && named != METHOD_STORED && named != METHOD_THUMBPRINT) {
        return berth_cli_usage(cli, "thumbprints go with --auth-method x509_thumbprint");
    }
    *ret_method = has_keys ? METHOD_SAS : has_thumbprints ? METHOD_THUMBPRINT : named;
    return OK;
}

static struct span stored_half(const json *authentication, const struct pair *p, const char *member)
{
    return json_text(json_member(json_member(authentication, p->object), member));
}

static void write_pair(struct json_writer *w, const struct pair *p, struct span primary,
                       struct span secondary)
{
    json_write_begin_object(w, p->object);
    json_write_text_if(w, p->primary, primary);
    json_write_text_if(w, p->secondary, secondary);
    json_write_end_object(w);
}

/* A half that is not named stays; without a pair at all the hub makes keys. */
static err write_method(struct cli *cli, enum method method, const json *stored,
                        struct json_writer *w)
{
    const struct pair *p = method == METHOD_SAS ? &KEYS : &THUMBPRINTS;
    struct span primary = span_str(berth_cli_text(cli, p->primary_option));
    struct span secondary = span_str(berth_cli_text(cli, p->secondary_option));
    bool is_given_here = is_given(cli, p);

    if (find_method(json_text(json_member(stored, "type")), true) == method) {
        primary = span_is_absent(primary) ? stored_half(stored, p, p->primary) : primary;
        secondary = span_is_absent(secondary) ? stored_half(stored, p, p->secondary) : secondary;
    }
    if (method == METHOD_SAS && (primary.len == 0) != (secondary.len == 0)) {
        return berth_cli_usage(cli, "--primary-key and --secondary-key go together; without both "
                                    "the hub makes them");
    }
    if (method == METHOD_THUMBPRINT && primary.len == 0 && secondary.len == 0) {
        return berth_cli_usage(cli, "x509_thumbprint wants --primary-thumbprint: the hexadecimal "
                                    "SHA-256 or SHA-1 of the certificate");
    }
    json_write_begin_object(w, "authentication");
    json_write_str(w, "type", METHODS[method].wire);
    if (method != METHOD_CA && (is_given_here || primary.len > 0 || secondary.len > 0)) {
        write_pair(w, p, primary, secondary);
    }
    json_write_end_object(w);
    return OK;
}

/* All members of the stored one but those named. */
static void write_others(struct json_writer *w, json *stored, const char *const *but)
{
    for (struct json_iter it = json_first(stored); it.name != NULL; json_next(&it)) {
        bool is_left_out = false;

        for (const char *const *name = but; *name != NULL; name++) {
            is_left_out = is_left_out || strcmp(it.name, *name) == 0;
        }
        if (!is_left_out) {
            json_write_value(w, it.name, it.value);
        }
    }
}

/* A member that an option sets; its name goes to `set`. */
static void write_option(struct cli *cli, const char *option, const char *member,
                         struct json_writer *w, const char **set, size_t *n)
{
    const char *value = berth_cli_text_if(cli, option);

    if (value != NULL) {
        json_write_str(w, member, value);
        set[(*n)++] = member;
    }
}

err berth_identity_body(struct cli *cli, struct hub_who who, json *stored, struct span *ret_body)
{
    const char *set[10] = { "deviceId", "moduleId" };
    struct buf out;
    struct json_writer w;
    enum method method = METHOD_STORED;
    size_t n = 2;

    TRY(choose_method(cli, &method));
    method = method == METHOD_STORED && stored == NULL ? METHOD_SAS : method;
    out = arena_buf(&cli->arena);
    w = json_writer_over(&out);
    json_write_begin_object(&w, NULL);
    json_write_str(&w, "deviceId", who.device);
    json_write_text_if(&w, "moduleId", span_str(who.module));
    write_option(cli, "status", "status", &w, set, &n);
    write_option(cli, "status-reason", "statusReason", &w, set, &n);
    write_option(cli, "device-scope", "deviceScope", &w, set, &n);
    write_option(cli, "managed-by", "managedBy", &w, set, &n);
    if (berth_options_knows(&cli->options, "edge-enabled") &&
        berth_options_has(&cli->options, "edge-enabled")) {
        json_write_begin_object(&w, "capabilities");
        json_write_bool(&w, "iotEdge", berth_options_flag(&cli->options, "edge-enabled"));
        json_write_end_object(&w);
        set[n++] = "capabilities";
    }
    if (method != METHOD_STORED) {
        TRY(write_method(cli, method, json_member(stored, "authentication"), &w));
        set[n++] = "authentication";
    }
    if (stored != NULL && n == 2) {
        return berth_cli_usage(cli, "say what to change");
    }
    write_others(&w, stored, set);
    json_write_end_object(&w);
    return arena_buf_end(&cli->arena, &out, ret_body);
}

err berth_identity_body_keys(struct cli *cli, json *stored, struct span primary,
                             struct span secondary, struct span *ret_body)
{
    static const char *const but[] = { "authentication", NULL };
    struct buf out = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    json_write_begin_object(&w, "authentication");
    json_write_str(&w, "type", METHODS[METHOD_SAS].wire);
    write_pair(&w, &KEYS, primary, secondary);
    json_write_end_object(&w);
    write_others(&w, stored, but);
    json_write_end_object(&w);
    return arena_buf_end(&cli->arena, &out, ret_body);
}

err berth_identity_body_status(struct cli *cli, json *stored, const char *status,
                               const char *reason, struct span *ret_body)
{
    static const char *const but[] = { "status", "statusReason", NULL };
    struct buf out = arena_buf(&cli->arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    json_write_str(&w, "status", status);
    json_write_text_if(&w, "statusReason", span_str(reason));
    write_others(&w, stored, but);
    json_write_end_object(&w);
    return arena_buf_end(&cli->arena, &out, ret_body);
}
