/* hub/hub.h: the hub's rules, without protocol: hubs, device identities, who may connect, what a
 * telemetry message carries. May block on the store unless said otherwise. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "crypto/x509.h"
#include "model/placement.h"
#include "model/reason.h"
#include "store/sink.h"

struct bus;
struct bus_member;

/* Makes a hub for an instance, which may link it in the same transaction, with the policies
 * iothubowner, service, device, registryRead and registryReadWrite (reference iothub-service-api.md
 * 1), two random keys each. FIELD_INVALID; NAME_TAKEN: there is a hub of that host name, or
 * the instance made one of that name; and the refusals of `made`. */
struct hub_order {
    struct span name, host_name;
    struct span id_scope;          /* of the instance, folded */
    const struct linked_hub *link; /* NULL: not linked. Its host name is filled in. */
    hub_made_fn made;              /* NULL: nobody else is asked */
};
err hub_create(const struct env *env, const struct hub_order *order, struct hub *ret_hub,
               struct verdict *ret_verdict);
/* By host name; not one that is being removed. */
err hub_find(const struct env *env, struct span host_name, struct hub *ret_hub, bool *ret_found);
/* All of this server, at most LIMIT_PAGE. */
err hub_list(const struct env *env, struct hub **ret_rows, size_t *ret_n);
/* Those that an instance made: at most LIMIT_HUBS_MADE. One that is being removed is among them. */
err hub_list_made(const struct env *env, struct span id_scope, struct hub **ret_rows,
                  size_t *ret_n);

/* Takes away a hub that an instance made: at once its devices are shut out and nobody is linked to
 * it any more, then up to `most` rows of what it had go, in transactions of LIMIT_DELETE_BATCH, and
 * the hub itself when nothing is left. Live sessions of its devices are cut off.
 * RESOURCE_NOT_FOUND; RESOURCE_IN_USE: it has devices, or others are linked to it, and is_forced is
 * not set. Begun before: goes on. */
struct hub_removal {
    struct span id_scope, name;
    bool is_forced;
    size_t most;
};
err hub_remove(const struct env *env, struct bus *bus, const struct hub_removal *what,
               bool *ret_is_done, struct verdict *ret_verdict);

/* Goes on with the removal that was begun first of those under way, `most` rows of it. A chore of
 * the keeper: whoever began it may never come back. *ret_more: call again. */
err hub_remove_resume(const struct env *env, struct bus *bus, size_t most, bool *ret_more);

/* What provisioning does on this store's hubs (model/placement.h). */
extern const struct placer HUB_PLACER;
err hub_device_place(const struct env *env, struct store_tx *tx, const struct placement *p,
                     struct placed *ret_placed);

/* Of a device or a module. DEVICE_NOT_FOUND, MODULE_NOT_FOUND. */
err hub_device_get(const struct env *env, struct span hub, struct span client_id,
                   struct device *ret_device, struct verdict *ret_verdict);

/* A device at the door. */
struct hub_login {
    struct span hub_host;             /* as named in the user name */
    struct span device_id;            /* who it says it is: "{device}", or "{device}/{module}" */
    struct span client_id;            /* must be the same */
    struct crypto_cert *const *chain; /* leaf first */
    size_t n_chain;
    bool is_chain_unreadable; /* something was presented that could not be kept: n_chain is 0 */
    struct span token;        /* shared access signature, or absent */
    bool clean_session;       /* MQTT: what was subscribed to before is void */
    struct span model_id;     /* MQTT: the model it says it is of; absent: it says nothing */
    struct bus *bus;          /* MQTT: where `member`, its place, was joined before; or NULL */
    const struct bus_member *member;
    enum transport transport; /* but of MQTT, what was subscribed to is left alone */
    struct span peer;
};
enum hub_credential { HUB_BY_KEY, HUB_BY_POLICY, HUB_BY_CERTIFICATE };
/* Who was let in, how, and how long that holds. */
struct hub_session {
    struct device device; /* or module */
    enum hub_credential credential;
    int64_t until_ms;    /* the token's expiry; INT64_MAX: by certificate */
    struct span filters; /* what hub_session_keep kept; absent: nothing, or void now */
};
/* By certificate (its own, or one under a CA of the hub's: reference iothub-device-api.md 2.4), by
 * a token of the device's keys, or by one of a policy of the hub with DeviceConnect. A sas device's
 * token counts before its certificate (reference iothub-device-api.md 2.4). A module needs a device
 * that is there and not disabled. Granted, or HUB_UNKNOWN, DEVICE_NOT_FOUND, MODULE_NOT_FOUND,
 * DEVICE_DISABLED, CLIENT_ID_MISMATCH, CLIENT_CERTIFICATE_MISSING, CERTIFICATE_UNREADABLE,
 * THUMBPRINT_MISMATCH, DEVICE_CREDENTIAL_UNSUPPORTED, SAS_DISABLED, CERTIFICATE_EXPIRED,
 * CERTIFICATE_NOT_YET_VALID, TOKEN_*, RIGHT_MISSING, and for one under a CA IDENTITY_NAME_MISMATCH
 * and attest_path_judge's. Over MQTT what it named as its model is stored, and what earlier
 * connections of it have under way to be kept is void from then on. A refusal leaves a decision
 * record (OPERATION_CONNECT); not so HUB_THROTTLED, over MQTT. */
err hub_login(const struct env *env, const struct hub_login *login, struct hub_session *ret_session,
              struct verdict *ret_verdict);

/* Keeps what a device subscribed to for its next connections. DEVICE_NOT_FOUND: that device is
 * gone, though there may be a later one of its ID. SESSION_TAKEN_OVER: a newer connection was let
 * in than that of `member` (NULL: nobody asks). */
err hub_session_keep(const struct env *env, const struct session *session, struct bus *bus,
                     const struct bus_member *member, struct verdict *ret_verdict);

/* One application or system property of a message; key and value percent-decoded. */
struct hub_property {
    struct span name, value;
};
enum { HUB_PROPERTIES_MAX = 64 };

struct hub_message {
    struct span hub, client_id, generation_id; /* of the session */
    enum hub_credential credential;            /* by which it came to be */
    struct span model_id;                      /* as the device named it; or absent */
    struct hub_property
        properties[HUB_PROPERTIES_MAX]; /* "$.mid", "$.ct", …, and application properties */
    size_t n_properties;
    struct span body;
    bool is_will, retain;
    int64_t now_ms;
};
/* Fills event (all but offset) with spans in `arena`: system properties under their downstream
 * names, the stamps of reference iothub-device-api.md 6, unknown "$" keys dropped. Does not block.
 * ERR_TOO_LARGE beyond LIMIT_TELEMETRY_MESSAGE; ERR_NOMEM. */
err hub_message_event(const struct hub_message *m, struct arena *arena,
                      struct sink_event *ret_event);

#endif
