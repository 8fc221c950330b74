/* model/records.h: what Berth keeps. Plain data, no behaviour; spans are owned by whoever filled
 * the record (a request's arena, as a rule). Each struct has a `struct kind` that describes it to
 * the store; members and columns have the same names, and the SQL in store/schema must agree (a
 * test compares them).
 *
 * Text whose case does not matter (registration IDs, host names, ID scopes) is looked up by a
 * folded twin: `key` beside `id`. Folding is model_fold. JSON members hold canonical JSON text. */
#ifndef MODEL_RECORDS_H
#define MODEL_RECORDS_H

#include "model/kind.h"
#include "model/reason.h"
#include "util/arena.h"

/* ---- provisioning service instance (tenant) ---- */

enum allocation_policy {
    ALLOCATION_DEFAULT = 0, /* enrollment: the instance's; instance: hashed */
    ALLOCATION_HASHED,
    ALLOCATION_GEO_LATENCY,
    ALLOCATION_STATIC,
    ALLOCATION_CUSTOM,
};

/* Of an instance or a hub. One that is being deleted is to its devices as if it were gone. */
enum life { LIFE_ACTIVE = 0, LIFE_DELETING };

struct instance {
    struct span id_scope;  /* key, folded: "0ne00a1b2c3" */
    struct span name;      /* "dev"; case matters */
    struct span host_name; /* service API's host, folded; device requests go by scope instead */
    enum allocation_policy allocation_policy;
    int64_t created_ms;
    int64_t key_groups_version; /* bumped when a symmetric-key group of it changes */
    enum life life;
    int64_t links_version; /* bumped when a hub is linked or unlinked, or a link changes */
};
extern const struct kind KIND_INSTANCE;
enum { INSTANCE_BY_HOST = 1, INSTANCE_BY_NAME };

/* ---- shared access policies, of an instance or of a hub ---- */

enum right {
    RIGHT_SERVICE_CONFIG = 1 << 0,
    RIGHT_ENROLLMENT_READ = 1 << 1,
    RIGHT_ENROLLMENT_WRITE = 1 << 2,
    RIGHT_DEVICE_CONNECT = 1 << 3,
    RIGHT_REGISTRATION_STATUS_READ = 1 << 4,
    RIGHT_REGISTRATION_STATUS_WRITE = 1 << 5,
    RIGHT_REGISTRY_READ = 1 << 6,
    RIGHT_REGISTRY_WRITE = 1 << 7,
    RIGHT_SERVICE_CONNECT = 1 << 8,
    RIGHT_SERVER_CONFIG = 1 << 9, /* instances: of policies of the server alone */
    RIGHTS_INSTANCE = 0x3f,
    RIGHTS_HUB = 0x1c8,
    RIGHTS_SERVER = RIGHT_SERVER_CONFIG,
};

enum policy_owner { POLICY_OF_INSTANCE = 1, POLICY_OF_HUB, POLICY_OF_SERVER };

struct policy {
    enum policy_owner owner_type; /* key */
    struct span owner;            /* key: ID scope, hub host name, folded, or "" of the server */
    struct span name;             /* key */
    int64_t rights;               /* of enum right */
    struct span primary_key, secondary_key; /* SECRET: 16 to 64 bytes */
};
extern const struct kind KIND_POLICY;

/* ---- hubs ---- */

struct hub {
    struct span host_name; /* key, folded */
    struct span name;      /* the operator's word for it */
    int64_t created_ms;
    struct span id_scope; /* of the instance that made it and may link it; absent: the server's */
    enum life life;
    struct span settings; /* JSON object of hub/settings.h; absent: nothing but defaults */
};
extern const struct kind KIND_HUB;
enum { HUB_BY_SCOPE = 1 }; /* id_scope, name */

/* How much of a hub's daily quota is used (hub/limits.h). */
struct hub_usage {
    struct span hub;  /* key: host name, folded */
    int64_t day;      /* since 1970-01-01, UTC */
    int64_t messages; /* of that day */
};
extern const struct kind KIND_HUB_USAGE;

struct linked_hub {
    struct span id_scope;            /* key */
    struct span host_name;           /* key, folded */
    int64_t weight;                  /* 1 to 1000 */
    int64_t apply_allocation_policy; /* 0: only where an enrollment names it */
    struct span connection_string;   /* SECRET: as the operator gave it; absent: none was needed */
    struct span location;            /* the operator's word, kept for them; or absent */
    int64_t is_remote;               /* driven over its REST API, by its connection string */
    struct span address; /* remote: "host[:port]" to connect to instead of host_name; or absent */
    struct span ca;      /* remote: PEM, whom to trust for its certificate; absent: the system's */
    int64_t has_coordinates;
    int64_t latitude_udeg, longitude_udeg; /* where it is: millionths of a degree, for geoLatency */
    int64_t is_draining; /* nobody is assigned to it, and who is on it moves when it registers */
};
extern const struct kind KIND_LINKED_HUB;
enum { LINKED_HUB_BY_HOST = 1 }; /* host_name */

/* ---- CA certificates ---- */

struct certificate {
    struct span id_scope; /* key */
    struct span name;     /* key, as given; case matters */
    struct span der;      /* BLOB */
    struct span subject;  /* "CN=x, O=y" */
    struct span sha1;     /* 20 bytes */
    struct span sha256;   /* 32 bytes */
    int64_t not_after_ms;
    int64_t is_verified;
    struct span verification_code; /* absent: none asked for yet */
    struct span etag;
    int64_t created_ms, updated_ms;
};
extern const struct kind KIND_CERTIFICATE;

/* ---- enrollments ---- */

enum enrollment_kind { ENROLLMENT_INDIVIDUAL = 1, ENROLLMENT_GROUP };

enum attestation_type {
    ATTESTATION_NONE = 0,
    ATTESTATION_TPM,
    ATTESTATION_X509,
    ATTESTATION_SYMMETRIC_KEY
};

enum x509_source {
    X509_SOURCE_NONE = 0,
    X509_SOURCE_CLIENT,       /* slots hold leaf certificates, DER (individual) */
    X509_SOURCE_SIGNING,      /* slots hold CA certificates, DER (group; with tpm: of EK issuers) */
    X509_SOURCE_CA_REFERENCE, /* slots hold names of uploaded CA certificates */
};

enum { SLOT_PRIMARY = 0, SLOT_SECONDARY = 1, SLOTS = 2 };

enum provisioning_status { PROVISIONING_ENABLED = 0, PROVISIONING_DISABLED };

struct enrollment {
    struct span id_scope;      /* key */
    enum enrollment_kind kind; /* key */
    struct span key;           /* key: id folded */
    struct span id;            /* registrationId or enrollmentGroupId as given */
    struct span device_id;     /* individual only; absent: the registration ID */
    enum attestation_type attestation;
    enum x509_source x509_source;
    struct span x509_primary, x509_secondary; /* BLOB: DER, or a CA's name; see x509_source */
    struct span primary_key, secondary_key;   /* SECRET: symmetricKey: 16 to 64 bytes each */
    enum provisioning_status provisioning_status;
    int64_t update_hub_assignment, migrate_device_data; /* reprovisionPolicy */
    int64_t iot_edge;
    enum allocation_policy allocation_policy;
    struct span iot_hubs;     /* JSON array of host names, or absent */
    struct span initial_twin; /* JSON object {"tags","properties":{"desired"}}, or absent */
    struct span extra; /* JSON object: members as they were given: customAllocationDefinition, and
                          what is kept for the operator and not acted on */
    struct span etag;
    int64_t created_ms, updated_ms;
    struct span endorsement_key;  /* BLOB: TPM2B_PUBLIC; individual with tpm, else absent */
    struct span storage_root_key; /* BLOB: the same; may be absent */
};
extern const struct kind KIND_ENROLLMENT;
enum {
    ENROLLMENT_BY_ATTESTATION = 1, /* id_scope, kind, attestation */
    ENROLLMENT_BY_STATUS,          /* id_scope, kind, provisioning_status */
    ENROLLMENT_BY_UPDATED,         /* id_scope, kind, updated_ms */
};

/* A stored CA certificate by its subject name: how a presented chain finds what it leads to. One
 * row a signing certificate of a group, one a uploaded CA certificate. Kept in step by core/. */
enum anchor_owner { ANCHOR_OF_GROUP = 1, ANCHOR_OF_CERTIFICATE };

struct anchor {
    struct span id_scope;         /* key */
    int64_t subject_hash;         /* key: crypto_x509_subject_hash */
    enum anchor_owner owner_type; /* key */
    struct span owner;            /* key: folded group ID, or certificate name */
    int64_t slot;                 /* key: SLOT_PRIMARY or SLOT_SECONDARY; 0 for a certificate */
    struct span sha256;           /* 32 bytes */
    struct span der;
};
extern const struct kind KIND_ANCHOR;
enum { ANCHOR_BY_SHA256 = 1 }; /* id_scope, sha256 */

/* Which enrollments name an uploaded CA certificate. Kept in step by core/. */
struct ca_reference {
    struct span id_scope;                 /* key */
    struct span certificate;              /* key: its name */
    enum enrollment_kind enrollment_kind; /* key */
    struct span enrollment;               /* key: folded ID */
    int64_t slot;                         /* key */
};
extern const struct kind KIND_CA_REFERENCE;

/* ---- registrations ---- */

enum registration_status {
    REGISTRATION_UNASSIGNED = 0,
    REGISTRATION_ASSIGNING,
    REGISTRATION_ASSIGNED,
    REGISTRATION_FAILED,
    REGISTRATION_DISABLED,
};

enum registration_substatus {
    SUBSTATUS_NONE = 0,
    SUBSTATUS_INITIAL_ASSIGNMENT,
    SUBSTATUS_DEVICE_DATA_MIGRATED,
    SUBSTATUS_DEVICE_DATA_RESET,
    SUBSTATUS_REPROVISIONED_TO_INITIAL_ASSIGNMENT,
};

struct registration {
    struct span id_scope; /* key */
    struct span key;      /* key: id folded */
    struct span id;
    enum registration_status status;
    enum registration_substatus substatus;
    struct span assigned_hub, device_id; /* absent unless assigned */
    int64_t error_code;                  /* 0: none */
    struct span error_message;
    struct span payload;                  /* JSON, or absent */
    enum enrollment_kind enrollment_kind; /* the one that decided; 0 when none did */
    struct span enrollment;               /* its folded ID */
    enum attestation_type attestation;
    struct span evidence_sha256; /* of the certificate that registered; of the TPM's EK and SRK,
                                    each a TPM2B_PUBLIC; absent with symmetric keys */
    struct span operation_id;    /* of the latest register */
    struct span etag;
    int64_t created_ms, updated_ms;
    struct span authentication_key; /* BLOB: with tpm, the hub key wrapped for that TPM alone */
    /* Where its device is, whatever became of the latest register: so that the next one finds what
     * has to move. Absent: nowhere yet. The same as assigned_hub and device_id while ASSIGNED. */
    struct span placed_hub, placed_device_id;
    struct span initial_hub; /* the first one it was assigned to; absent: none yet */
};
extern const struct kind KIND_REGISTRATION;
enum {
    REGISTRATION_BY_ENROLLMENT = 1, /* id_scope, enrollment_kind, enrollment */
    REGISTRATION_BY_HUB, /* placed_hub, id_scope, placed_device_id: all scopes of a hub */
};

/* A key that was wrapped for one TPM: who can sign with it holds that TPM (reference
 * dps-device-api.md 6.5). Open until it registers, then used: of each pair of keys there is at most
 * one of either, so that asking for a new one does not disturb who still polls by the old. */
enum challenge_state { CHALLENGE_OPEN = 1, CHALLENGE_USED };

struct challenge {
    struct span id_scope;         /* key */
    struct span registration_key; /* key: folded */
    struct span evidence_sha256;  /* key: of EK and SRK */
    enum challenge_state state;   /* key */
    struct span key;              /* SECRET: 32 bytes */
    int64_t issued_ms;            /* when it was wrapped last */
    int64_t used_ms;              /* of the registration it was used for; 0: not yet */
};
extern const struct kind KIND_CHALLENGE;
enum { CHALLENGE_BY_ISSUED = 1 }; /* issued_ms */

/* ---- hub devices and modules ----
 *
 * A client ID is what connects to a hub: "{device}", or "{device}/{module}". */

enum device_status { DEVICE_ENABLED = 0, DEVICE_DISABLED };
enum device_auth {
    DEVICE_AUTH_SAS = 0,
    DEVICE_AUTH_SELF_SIGNED,
    DEVICE_AUTH_CERTIFICATE_AUTHORITY,
    DEVICE_AUTH_NONE, /* of an edge device's own modules: nobody connects by it */
};

/* A module is a device in all but its status: of KIND_MODULE, with its client ID for device_id.
 * Which kind a client ID is of: hub/identity.h. */
struct device {
    struct span hub;       /* key: host name, folded */
    struct span device_id; /* key; case matters; of a module "{device}/{module}" */
    struct span generation_id;
    int64_t etag; /* bumped at each change of the identity */
    enum device_status status;
    struct span status_reason;
    int64_t status_updated_ms; /* 0: never */
    enum device_auth auth;
    struct span primary_thumbprint, secondary_thumbprint; /* hex, as written */
    struct span primary_key, secondary_key; /* SECRET: 16 to 64 bytes; absent unless sas */
    int64_t iot_edge;
    struct span tags, desired, reported; /* JSON objects; absent: {} */
    int64_t version, desired_version, reported_version;
    int64_t created_ms, updated_ms;
    struct span desired_metadata, reported_metadata; /* JSON objects: when each node was changed */
    int64_t twin_etag;        /* bumped at each change of tags or desired properties */
    struct span model_id;     /* DTMI as the device named it when it connected, or absent */
    struct span managed_by;   /* of a module: "iotEdge", or what its maker said; or absent */
    struct span device_scope; /* the edge device it is a child of, as that one's scope; or absent */
    struct span parent_scopes; /* JSON array of scopes, or absent */
};
extern const struct kind KIND_DEVICE;
enum { DEVICE_BY_STATUS = 1 }; /* hub, status */
extern const struct kind KIND_MODULE;

/* One scalar of a device's tags, for queries. Kept in step with device.tags by hub/. */
struct tag {
    struct span hub;       /* key */
    struct span path;      /* key: names joined by '.' */
    struct span value;     /* key: JSON text of a text, number or boolean */
    struct span client_id; /* key */
};
extern const struct kind KIND_TAG;

/* Who has tags from before there was KIND_TAG, and no rows of it yet (hub/tags.h). */
struct tag_backlog {
    struct span hub;       /* key */
    struct span client_id; /* key */
};
extern const struct kind KIND_TAG_BACKLOG;

/* When a device or module was last heard of. Written a little later than it happens
 * (hub/presence.h); who is connected now the bus knows. */
struct presence {
    struct span hub;           /* key */
    struct span client_id;     /* key */
    struct span generation_id; /* whose it is: not a later one's of the same ID */
    int64_t state_updated_ms;  /* connected or disconnected; 0: never */
    int64_t last_activity_ms;  /* 0: never */
};
extern const struct kind KIND_PRESENCE;

/* A cloud-to-device message in its queue (reference iothub-service-api.md 8). */
enum c2d_ack {
    C2D_ACK_UNSAID = 0, /* as C2D_ACK_NONE, but the device is not told */
    C2D_ACK_POSITIVE,
    C2D_ACK_NEGATIVE,
    C2D_ACK_FULL,
    C2D_ACK_NONE,
};

struct c2d_message {
    struct span hub;       /* key */
    struct span client_id; /* key: whose queue */
    int64_t sequence;      /* key: rises with each message of a queue */
    struct span message_id, correlation_id, user_id, target; /* as sent, or absent; target: "to" */
    struct span content_type, content_encoding;              /* or absent */
    enum c2d_ack ack;
    int64_t enqueued_ms;
    int64_t expires_ms;
    int64_t is_expiry_given; /* by the sender: the device is told */
    int64_t delivery_count;  /* deliveries begun */
    struct span lock_token;  /* of the latest delivery over HTTPS; absent: none */
    int64_t locked_until_ms; /* so long it does not expire; 0: not locked */
    struct span session_id;  /* of the MQTT session that has it (hub/bus.h); absent: none */
    struct span properties;  /* JSON object of texts: application properties, in the order sent */
    struct span body;        /* BLOB */
};
extern const struct kind KIND_C2D_MESSAGE;
enum { C2D_MESSAGE_BY_EXPIRY = 1 }; /* expires_ms */

/* What outlives the messages of a queue: no sequence is given twice. */
struct c2d_queue {
    struct span hub;           /* key */
    struct span client_id;     /* key */
    struct span generation_id; /* whose it is: not a later one's of the same ID */
    int64_t last_sequence;
};
extern const struct kind KIND_C2D_QUEUE;

/* What became of a message whose sender wants to know. */
enum feedback_status {
    FEEDBACK_SUCCESS = 0,
    FEEDBACK_EXPIRED,
    FEEDBACK_DELIVERY_COUNT_EXCEEDED,
    FEEDBACK_REJECTED,
    FEEDBACK_PURGED,
};

struct feedback {
    struct span hub;  /* key */
    int64_t sequence; /* key */
    struct span client_id, generation_id;
    struct span message_id; /* of the message; or absent */
    enum feedback_status status;
    int64_t enqueued_ms; /* when it became so */
    int64_t expires_ms;
    int64_t delivery_count;
    struct span lock_token; /* of the batch it was given out with; absent: none */
    int64_t locked_until_ms;
};
extern const struct kind KIND_FEEDBACK;
enum { FEEDBACK_BY_EXPIRY = 1 }; /* expires_ms */

/* What a device or module subscribed to in a session that outlives its connection (clean session
 * 0). */
struct session {
    struct span hub;           /* key: host name, folded */
    struct span client_id;     /* key */
    struct span generation_id; /* whose it is: not a later one's of the same ID */
    struct span filters;       /* BLOB: as api/filters.h packs them */
    int64_t updated_ms;
};
extern const struct kind KIND_SESSION;

/* ---- errands ---- */

/* What a system elsewhere has to be asked for, kept until it is done: an assignment that waits for
 * a webhook or for a hub that is not in this store, or a device that has to go from such a hub.
 * core/errand.h has the steps. */
enum errand_type { ERRAND_ASSIGN = 1, ERRAND_REMOVE };

enum errand_step {
    ERRAND_ALLOCATE = 1, /* ASSIGN: ask the webhook */
    ERRAND_LOOK,         /* ASSIGN: is the device on the new hub already? */
    ERRAND_PLACE,     /* ASSIGN: make it there, or refresh it; then the registration is ASSIGNED */
    ERRAND_TAKE_AWAY, /* REMOVE: unless it was assigned there again */
};

struct errand {
    struct span id_scope;         /* key */
    enum errand_type type;        /* key */
    struct span registration_key; /* key: ASSIGN: folded; REMOVE: "" */
    struct span hub, device_id;   /* key: REMOVE: what has to go; ASSIGN: "" */
    struct span registration_id;  /* as given; REMOVE: whose device it was */
    struct span lane;             /* whom it waits for (core/errand_lane.h) */
    int64_t due_ms;   /* not to be looked at before; whoever works on it puts it off to lease_ms */
    int64_t lease_ms; /* somebody works on it, until then at most; 0: nobody */
    int64_t
        quiet_ms; /* so long a call of an errand whose place it took may be under way; 0: none */
    int64_t since_ms;       /* when it was begun */
    int64_t tries;          /* of this step */
    struct span last_error; /* of the latest try; or absent */
    enum errand_step step;
    struct span operation_id;         /* ASSIGN: whose; another one's registration is not touched */
    struct span tracking_id;          /* ASSIGN: whose decision record is completed */
    struct span enrollment_etag;      /* ASSIGN: of the enrollment that decided */
    struct span to_hub, to_device_id; /* ASSIGN: absent before the webhook answered */
    struct span from_hub, from_device_id; /* ASSIGN: where it is; or absent */
    int64_t keeps_twin;                   /* as struct placement */
    int64_t reset_twin;                   /* as struct placement */
    int64_t was_there; /* found on the new hub before it was placed: not ours to take away */
    enum registration_substatus substatus; /* of the registration before; NONE: it had none */
    enum device_auth auth;
    struct span thumbprint;
    struct span primary_key, secondary_key; /* SECRET */
    int64_t iot_edge;
    struct span initial_twin;
    struct span authentication_key; /* BLOB: for the registration */
    struct span payload;            /* JSON for the registration; or absent */
    struct span request;            /* ALLOCATE: JSON that the webhook gets */
    struct span url;                /* ALLOCATE: the webhook's */
};
extern const struct kind KIND_ERRAND;
enum {
    ERRAND_BY_LANE = 1, /* lane, due_ms */
    ERRAND_BY_TARGET,   /* id_scope, to_hub, to_device_id */
    ERRAND_BY_AGE,      /* type, since_ms */
};

/* ---- decision records ---- */

enum transport { TRANSPORT_MQTT = 1, TRANSPORT_HTTP };
enum operation {
    OPERATION_REGISTER = 1,
    OPERATION_STATUS,  /* poll of an operation */
    OPERATION_LOOKUP,  /* status lookup */
    OPERATION_CONNECT, /* a device at the hub's door */
};

struct decision {
    struct span tracking_id; /* key: GUID text of version 7, so that the order is that of time */
    int64_t time_ms;
    struct span id_scope;         /* as named, folded; hub host name for OPERATION_CONNECT */
    struct span registration_key; /* folded; of the device ID for OPERATION_CONNECT */
    struct span registration_id;  /* as presented */
    enum operation operation;
    enum transport transport;
    struct span peer;       /* "192.0.2.1:40000" */
    enum reason reason;     /* stored by token, so that the table may grow in the middle */
    struct span enrollment; /* JSON {"kind","id"} of the one that decided, or absent */
    struct span hub, device_id;
    struct span
        certificate; /* JSON: what was presented: subjects, issuers, thumbprints; or absent */
    struct span
        considered; /* JSON array: enrollments and certificates looked at, each with its outcome */
    struct span allocation; /* JSON object: how the hub was picked (core/plan.h); or absent */
};

/* As stored: `reason` is its token. */
struct decision_row {
    struct span tracking_id;
    int64_t time_ms;
    struct span id_scope, registration_key, registration_id;
    enum operation operation;
    enum transport transport;
    struct span peer;
    struct span reason;
    struct span enrollment, hub, device_id, certificate, considered, allocation;
};
extern const struct kind KIND_DECISION; /* of struct decision_row */
enum { DECISION_BY_REGISTRATION = 1 };  /* id_scope, registration_key, time_ms */

/* ---- sealing ---- */

/* A key that secrets of this store may be sealed under (store/seal.h). None: nothing is sealed. */
struct seal_key {
    int64_t id;         /* key: the sealer's */
    struct span proof;  /* BLOB: a known text sealed under it */
    int64_t is_whole;   /* 0: there may be secrets still that are not sealed at all */
    int64_t created_ms; /* since when it is used */
};
extern const struct kind KIND_SEAL_KEY;

/* ---- names ---- */

/* ASCII lower case into `arena`. ERR_NOMEM. */
err model_fold(struct arena *arena, struct span text, struct span *ret_folded);

/* Registration and enrollment group IDs: reference dps-device-api.md 6.1. */
bool model_is_registration_id(struct span id);
/* Hub device IDs: reference iothub-device-api.md 2.1. */
bool model_is_device_id(struct span id);
bool model_is_host_name(struct span name);
/* Has the folded text the look of an ID scope? No hub's host name has: decision records stand under
 * either, and one must not pass for the other. */
bool model_may_be_id_scope(struct span text);
/* Names of instances and hubs: 1 to LIMIT_HUB_NAME of letters, digits and inner hyphens. Policies'
 * names: reference dps-service-api.md 1. */
bool model_is_resource_name(struct span name);
bool model_is_policy_name(struct span name);

/* Wire words: "assigned", "x509", "hashed", "ServiceConfig" … NULL for a value without one. */
const char *model_registration_status_word(enum registration_status s);
const char *model_substatus_word(enum registration_substatus s);
const char *model_attestation_word(enum attestation_type t);
const char *model_allocation_word(enum allocation_policy p);
const char *model_operation_word(enum operation o);
const char *model_transport_word(enum transport t);
const char *model_enrollment_kind_word(enum enrollment_kind k); /* "individual", "group" */
bool model_parse_attestation(struct span word, enum attestation_type *ret_type);
bool model_parse_allocation(struct span word, enum allocation_policy *ret_policy);
/* Comma-joined, e.g. "ServiceConfig, EnrollmentRead". */
void model_format_rights(int64_t rights, struct buf *out);
bool model_parse_rights(struct span words, int64_t *ret_rights);

#endif
