/* model/limits.h: every length, depth, count and time berthd enforces, with its unit and why.
 * Times are milliseconds, sizes bytes. What an operator may change is in cmd/config.c. */
#ifndef MODEL_LIMITS_H
#define MODEL_LIMITS_H

/* Names and identifiers (reference dps-device-api.md 6.1, dps-service-api.md 6 and 8). */
enum {
    LIMIT_REGISTRATION_ID = 128,
    LIMIT_ENROLLMENT_GROUP_ID = 128,
    LIMIT_DEVICE_ID = 128,
    LIMIT_ID_SCOPE = 32,
    LIMIT_HOST_NAME = 253,
    LIMIT_CERTIFICATE_NAME = 256,
    LIMIT_POLICY_NAME = 64,
    LIMIT_HUB_NAME = 50,
    LIMIT_OPERATION_ID = 64, /* NEXT C refuses longer ones */
    LIMIT_ETAG = 128,
    LIMIT_STATUS_REASON = 128,
    LIMIT_LOCATION = 64,
    LIMIT_CONNECTION_STRING = 512,
    LIMIT_API_VERSION = 32,
    LIMIT_ISSUANCE_NAME_MIN = 3, /* names of certificate issuance */
    LIMIT_ISSUANCE_NAMESPACE = 64,
    LIMIT_ISSUANCE_NAME = 63,
};

/* How many of each an instance has; Azure has 50 linked hubs and 25 certificates. */
enum {
    LIMIT_LINKED_HUBS = 1000, /* one registration looks at all of them */
    LIMIT_HUBS_MADE = 1000,
    LIMIT_POLICIES = 100,
    LIMIT_CERTIFICATES = 1000,
    LIMIT_HUB_CERTIFICATES = 25, /* of one hub: each connect by CA reads them */
    LIMIT_INSTANCES = 10000,
};

/* X.509. */
enum {
    LIMIT_CERTIFICATE_DER = 16 * 1024,
    LIMIT_COMMON_NAME = 64,                        /* characters, RFC 5280 ub-common-name */
    LIMIT_CERTIFICATE_DAYS = 36525,                /* longest lifetime issued: 100 years */
    LIMIT_CERTIFICATE_BACKDATE_MS = 5 * 60 * 1000, /* for devices whose clocks are behind */
    LIMIT_DISTINGUISHED_NAME = 2048,               /* as text, in answers */
    LIMIT_CHAIN_CERTIFICATES = 8,                  /* presented: leaf and intermediates */
    LIMIT_PATH_DEPTH = 8,                          /* certificates between a leaf and its anchor */
    LIMIT_ANCHORS_PER_ISSUER =
        256, /* stored certificates of one subject name, and groups that refer to one */
    LIMIT_TRUST_CERTIFICATES = 72, /* certificates one search climbs over: sent and stored */
    LIMIT_ANCHOR_CACHE = 256,      /* parsed certificates a worker keeps */
    LIMIT_VERIFICATION_CODE_BYTES = 24,
};

/* Symmetric-key groups whose keys a worker keeps ready (core/key_groups.h). */
enum {
    LIMIT_KEY_GROUPS = 4096, /* of all scopes, half of it of one: 4 MB */
    LIMIT_KEY_SCOPES = 64,
};

/* Where devices go (core/links.h, core/candidates.h, geo/). */
enum {
    LIMIT_LINK_CACHE = 1024 * 1024, /* bytes of links a worker keeps ready: 3 scopes with as many
                                       as there may be, of the longest names … */
    LIMIT_LINK_SCOPES = 64,         /* … and how many scopes */
    LIMIT_CANDIDATE_SETS = 16,      /* enrollments' lists of hubs a worker keeps ready: 2 KB each */
    LIMIT_GEO_TIE_KM = 100,         /* hubs that are so much farther than the nearest are as near:
                                       light needs a millisecond for it, there and back in a fibre;
                                       a database knows a city at best */
    LIMIT_GEO_DATABASE = 1024 * 1024 * 1024,
};

/* Identities and messages of a hub (reference iothub-device-api.md 7, 9, 13). */
enum {
    LIMIT_CLIENT_ID = 2 * LIMIT_DEVICE_ID + 1, /* "{device}/{module}" */
    LIMIT_MODEL_ID = 256,                      /* bytes, kept with each connection */
    LIMIT_MODULES = 50,                        /* of one device */
    LIMIT_HUB_BULK = 100,                      /* operations of one POST /devices */
    LIMIT_C2D_QUEUE = 50,                      /* messages waiting for one device or module */
    LIMIT_C2D_MESSAGE = 64 * 1024,             /* body and properties */
    LIMIT_C2D_PROPERTIES = 16 * 1024,          /* all but the body: it becomes a topic or a head */
    LIMIT_C2D_IN_FLIGHT = 16,                  /* sent over MQTT and not yet acknowledged */
    LIMIT_C2D_TURN_BYTES = 256 * 1024,         /* of messages sent at once; the last may exceed */
    LIMIT_C2D_SWEEP = 64,                      /* expired messages one transaction takes away */
    LIMIT_FEEDBACK_BATCH = 64,                 /* records in one message of feedback */
    LIMIT_METHOD_PAYLOAD = 128 * 1024,         /* either way */
    LIMIT_METHOD_NAME = 100,
    LIMIT_METHOD_RESPONSE_MIN_S = 5, /* responseTimeoutInSeconds */
    LIMIT_METHOD_RESPONSE_S = 300,
    LIMIT_METHOD_RESPONSE_DEFAULT_S = 30,
    LIMIT_METHOD_CONNECT_S = 300, /* connectTimeoutInSeconds; 0 by default */
    LIMIT_METHOD_MARGIN_MS = 500, /* so much before its time is up a caller is told so: one SDK
                                     gives up at that very moment */
    LIMIT_METHOD_DRAIN_MS = 1000, /* … and so much before a server that stops cuts it off */
};

/* A hub's settings and throttles (hub/settings.h, hub/limits.h). */
enum {
    LIMIT_HUB_UNITS = 200,                   /* sku.capacity */
    LIMIT_C2D_DELIVERIES = 100,              /* highest maxDeliveryCount; Azure's */
    LIMIT_C2D_TTL_MS = 2 * 24 * 3600 * 1000, /* longest, by default or by its sender; Azure's */
    LIMIT_SHAPED_MS = 60 * 1000,         /* a message waits for its turn; then the session ends */
    LIMIT_SHAPED_LOOK_MS = 1000,         /* between two looks of who could not reserve one */
    LIMIT_HUBS_KNOWN = 10 * 1000,        /* kept ready by a process */
    LIMIT_HUBS_FLUSHED = 256,            /* quota counters of one transaction */
    LIMIT_THROTTLED_DEVICES = 64 * 1024, /* whose buckets are not full, a process: 4 MB */
};

/* Twins (reference iothub-device-api.md 8): bytes of names and values, levels of nesting. */
#define LIMIT_TWIN_INTEGER INT64_C(4503599627370495)
enum {
    LIMIT_TWIN_TAGS = 8 * 1024,
    LIMIT_TWIN_PROPERTIES = 32 * 1024,
    LIMIT_TWIN_NAME = 1024,
    LIMIT_TWIN_STRING = 4096,
    LIMIT_TWIN_DEPTH = 10,
    LIMIT_TAG_PATH = 256,        /* bytes of a tag that the index holds: its names … */
    LIMIT_TAG_VALUE = 256,       /* … and its value */
    LIMIT_TAG_BATCH = 64,        /* devices from before the index, entered in one transaction */
    LIMIT_TWIN_TEXT = 64 * 1024, /* a section as JSON text, which is what is kept … */
    LIMIT_TWIN_METADATA = 192 * 1024, /* … and when each of its nodes was changed: many tiny ones */
};

/* JSON. */
enum {
    LIMIT_JSON_DEPTH = 32,
    LIMIT_INITIAL_TWIN = 64 * 1024,
    LIMIT_EXTRA_MEMBERS = 64 * 1024,
};

/* Bulk import by the command line. */
enum {
    LIMIT_IMPORT_RECORD = 512 * 1024, /* a line, or the lines of one CSV record: the largest
                                         enrollment, its quotes doubled */
};

/* Requests. */
enum {
    LIMIT_DPS_BODY = 96 * 1024,            /* reference dps-device-api.md 9 */
    LIMIT_HTTP_HEAD = 16 * 1024,           /* request line and headers */
    LIMIT_HTTP_BODY = 1024 * 1024,         /* service API */
    LIMIT_MQTT_PACKET = 256 * 1024 + 8192, /* a telemetry message, its topic and header */
    LIMIT_TELEMETRY_MESSAGE =
        256 * 1024, /* body and properties, reference iothub-device-api.md 6 */
    LIMIT_MQTT_TOPIC = 4096,
    LIMIT_MQTT_CONNECT_PACKET = 16 * 1024, /* a stranger's first packet */
    LIMIT_SAS_TOKEN = 1024,                /* kept from CONNECT to the registration */
    LIMIT_WILL = 2048, /* a will's properties and body: kept with each connection */
    LIMIT_REQUEST_ARENA = 4 * 1024 * 1024, /* virtual; only touched pages count */
    LIMIT_OUTPUT = 8 * 1024 * 1024,        /* bytes waiting to be sent on one connection */
    LIMIT_PAGE = 1000,                     /* rows a query may ask for */
    LIMIT_PAGE_DEFAULT = 100,
    LIMIT_LISTING_PAGE = 256, /* client IDs that a list of a hub gathers at once */
    LIMIT_QUERY_BATCH = 7,    /* rows of a list in memory at once: each up to some 160 KB */
    LIMIT_DEVICE_BATCH = 4,   /* the same of devices: a row with its twin is at most some 600 KB */
    LIMIT_QUERY_TEXT = 8 * 1024,
    LIMIT_QUERY_DEPTH = 32,                /* parentheses and NOTs in each other */
    LIMIT_QUERY_TERMS = 128,               /* comparisons of one WHERE */
    LIMIT_QUERY_OPERANDS = 512,            /* operands of one hub query's expressions */
    LIMIT_QUERY_GROUPS = 1000,             /* groups that one GROUP BY makes … */
    LIMIT_QUERY_GROUPS_TEXT = 512 * 1024,  /* … and bytes of what tells them apart */
    LIMIT_QUERY_IN = 256,                  /* values of one list */
    LIMIT_QUERY_COLUMNS = 32,              /* members of one SELECT */
    LIMIT_QUERY_PATH = 16,                 /* names of one path */
    LIMIT_QUERY_EXAMINED = 20 * 1000,      /* rows that one page looks at */
    LIMIT_QUERY_LOOKAHEAD = 1000,          /* rows looked at behind a full page, for another */
    LIMIT_PLACE = 2048,                    /* bytes of a row's place in the order of its list */
    LIMIT_RECONCILE_LOOKUPS = 20 * 1000,   /* of registrations, for the devices of one page */
    LIMIT_RECONCILE_CALLS = 4,             /* requests that ask a hub elsewhere, at once */
    LIMIT_MENDED_ELSEWHERE = 5,            /* of them that ask a hub elsewhere: the rest is left */
    LIMIT_MENDED = 100,                    /* items of one request */
    LIMIT_QUERY_COUNTED = 100 * 1000,      /* rows that one COUNT() looks at */
    LIMIT_QUERY_PARSED = 64 * 1024 * 1024, /* bytes of stored JSON read for either */
    LIMIT_BULK = 10,                       /* items of a bulk request, as the real service */
    LIMIT_DELETE_BATCH = 256,              /* rows one transaction of a large deletion takes away */
    LIMIT_DELETE_REQUEST = 20000,          /* rows one request does; then it is to be sent again */
    LIMIT_DECISIONS_TOP = 100,             /* decision records in one answer */
    LIMIT_DECISIONS_TOP_DEFAULT = 10,
    LIMIT_BATCH_MESSAGES = 1000,  /* of one HTTPS request */
    LIMIT_APPENDS_IN_FLIGHT = 64, /* telemetry messages of one connection not yet durable */
    LIMIT_APPENDS_STRAINED = 4,   /* the same while the log's queue is half full */
    LIMIT_SUBSCRIPTIONS = 16,     /* topic filters a connection */
    LIMIT_FILTERS = 2048,         /* bytes of all of them, as packed by api/filters.h */
    LIMIT_LETTERS = 64, /* twin changes and methods waiting for one session to take them */
    LIMIT_LETTER_BYTES = 256 * 1024,       /* of them; the last may be longer */
    LIMIT_EVENTS_PAGE = 256,               /* telemetry messages one step of a stream reads */
    LIMIT_EVENTS_PAGE_BYTES = 1024 * 1024, /* and how many bytes of them */
};

/* Times. */
enum {
    LIMIT_HANDSHAKE_MS = 10 * 1000,
    LIMIT_MQTT_CONNECT_MS = 10 * 1000, /* from the handshake to a whole CONNECT */
    LIMIT_MQTT_PACKET_MS = 20 * 1000,  /* from a packet's first byte to its last */
    LIMIT_HTTP_REQUEST_MS = 20 * 1000,
    LIMIT_HTTP_IDLE_MS = 60 * 1000,
    LIMIT_WRITE_STALL_MS = 30 * 1000,        /* a peer that takes nothing */
    LIMIT_HUB_KEEP_ALIVE_MS = 1767 * 1000,   /* longest silence of a hub session */
    LIMIT_SYMMETRIC_KEY_MIN = 16,            /* bytes of a key that is given: Azure's */
    LIMIT_SYMMETRIC_KEY = 64,                /* … and of one that is made */
    LIMIT_SAS_SKEW_MS = 5 * 60 * 1000,       /* clocks may differ by */
    LIMIT_TPM_CHALLENGE_MS = 10 * 60 * 1000, /* a TPM may take its time; after use, for polls */
    LIMIT_TPM_CHALLENGES_PRUNED = 8,         /* old challenges dropped when one is put */
    LIMIT_STREAM_HEARTBEAT_MS = 15 * 1000,   /* a comment on an idle event stream */
    LIMIT_ACTIVITY_MS = 60 * 1000,           /* between two notes that a session is active */
    LIMIT_KEEPER_PAUSE_MS = 1000,            /* between two rounds of a hub's chores */
    LIMIT_APPEND_WAIT_MS = 2 * 1000,         /* for room in the log's queue */
    LIMIT_C2D_LOCK_MS = 60 * 1000,           /* of a message given out over HTTPS */
    LIMIT_C2D_LOCK_MAX_MS = 300 * 1000,      /* and the longest that a device may ask for */
    LIMIT_C2D_RETRY_MS = 1000,               /* a session's next try when the server was busy */
    LIMIT_DRAIN_MS = 10 * 1000,              /* from SIGTERM to closing what is left */
    LIMIT_POLL_INTERVAL_S = 3,               /* least retry-after while assigning … */
    LIMIT_POLL_DECIDED_S = 1,                /* … when only the asking is left */
    LIMIT_RETRY_AFTER_MAX_S = 60,
};

/* Systems elsewhere (model/elsewhere.h, core/errands.h). */
enum {
    LIMIT_ELSEWHERE_MS = 20 * 1000, /* one call, all its requests together */
    LIMIT_ELSEWHERE_CONNECT_MS = 5 * 1000,
    LIMIT_ELSEWHERE_RETRY_S = 3600, /* longest Retry-After that is believed */
    LIMIT_WEBHOOK_MS = 10 * 1000,
    LIMIT_LINK_CHECK_MS = 8 * 1000, /* less than LIMIT_DRAIN_MS: a worker waits for it */
    LIMIT_LINK_CHECKS = 2,          /* at once, a process */
    LIMIT_WEBHOOK_ANSWER = 96 * 1024,
    LIMIT_WEBHOOK_URL = 2048,
    LIMIT_HUB_ANSWER = 1024 * 1024,
    LIMIT_ERROR_MESSAGE = 1024,    /* of a hub or a webhook, as it is passed on */
    LIMIT_CA_BUNDLE = 16 * 1024,   /* PEM, of one link … */
    LIMIT_CA_BUNDLES = 256 * 1024, /* … and of all of an instance: a registration reads them */
};

/* Custom allocation (core/custom.h) and its rules (rule/rule.h). */
enum {
    LIMIT_CUSTOM_PAYLOAD = 32 * 1024, /* for the device: it goes into each of its answers */
    LIMIT_CUSTOM_DEPTH = LIMIT_JSON_DEPTH + 4, /* of a request: it holds what was as deep */
    LIMIT_LOADS_MS = 5 * 1000,                 /* so long a count of the devices on a hub is used */
    LIMIT_LOADS = 4096,                        /* such counts kept by a process */
    LIMIT_TRANSCRIPT_PART = 32 * 1024,         /* of a request or an answer, in a decision record */
    LIMIT_RULE_SOURCE = 32 * 1024,             /* bytes of a script */
    LIMIT_RULE_MEMORY = 8 * 1024 * 1024,       /* its Lua state: request, script and all it makes */
    LIMIT_RULE_TEXT = 64 * 1024,           /* one text that it makes: no instruction takes long */
    LIMIT_RULE_BLOCK = 256 * 1024,         /* a table, or the stack: keys may all collide */
    LIMIT_RULE_INSTRUCTIONS = 1000 * 1000, /* Lua's, of one run; library calls count as some */
    LIMIT_RULE_STEP = 200,                 /* instructions between two looks at count and clock */
    LIMIT_RULE_MS = 250, /* of processor time: what the count alone would not catch */
    LIMIT_RULE_ANSWER = 128 * 1024,
    LIMIT_RULE_LOG_LINES = 32,
    LIMIT_RULE_LOG_LINE = 256, /* bytes; longer ones are cut */
    LIMIT_RULE_ERROR = 256,    /* bytes of what a script says went wrong */
};

/* Errands and who runs them. */
enum {
    LIMIT_ERRAND_MS = 10 * 60 * 1000, /* an assignment may wait; then its registration has FAILED */
    LIMIT_ERRAND_LEASE_MS = 2 * LIMIT_ELSEWHERE_MS + 10 * 1000, /* one step: two calls at most */
    LIMIT_ERRAND_RETRY_MS = 1000,                /* the first pause of one errand; it doubles … */
    LIMIT_ERRAND_RETRY_MAX_MS = 30 * 1000,       /* … up to this, … */
    LIMIT_ERRAND_REMOVE_MAX_MS = 15 * 60 * 1000, /* … and for what nobody waits for to this */
    LIMIT_ERRAND_RETRY_AFTER_MS = 60 * 60 * 1000, /* as the other side may ask for */
    LIMIT_WEBHOOK_TRIES = 5,                      /* of one errand */
    LIMIT_ERRAND_TWIN_TRIES = 3, /* again, when the twin was changed while it was on its way */
    LIMIT_ERRAND_THREADS_HUB = 16,
    LIMIT_ERRAND_THREADS_WEBHOOK = 8,
    LIMIT_ERRAND_LANE = 8,     /* calls under way to one system elsewhere */
    LIMIT_ERRAND_LANES = 4096, /* known to a process; others wait until there is room */
    LIMIT_ERRAND_LANES_SCOPE = LIMIT_ERRAND_LANES / 4, /* of one instance */
    LIMIT_ERRAND_LANE_NAME = 8 + LIMIT_ID_SCOPE + 1 + LIMIT_HOST_NAME,
    LIMIT_ERRAND_LOOK_MS = 5 * 1000,   /* between two looks for what others left, and for age */
    LIMIT_ERRAND_BATCH = 64,           /* errands given up or taken over in one transaction */
    LIMIT_BREAKER_FAILURES = 5,        /* in a row */
    LIMIT_BREAKER_PAUSE_MS = 2 * 1000, /* the first; each next one is twice as long, … */
    LIMIT_BREAKER_PAUSE_MAX_MS = 60 * 1000, /* … up to this */
};

/* Queues. */
enum {
    LIMIT_HANDSHAKES_IN_FLIGHT = 256, /* a loop; the rest waits in the accept queue */
    LIMIT_LISTEN_BACKLOG = 4096,
    LIMIT_DECISION_TRIES = 4,       /* of one register whose enrollment changes under it */
    LIMIT_WORK_QUEUE = 8192,        /* requests waiting for a worker; of one lane at most half */
    LIMIT_WORK_WAIT_MS = 10 * 1000, /* that one may have before it: SDKs wait for 30 s */
    LIMIT_WORK_STRAINED = 6144,     /* of them: then no new connections are begun */
    LIMIT_WRITE_QUEUE = 8192,
    LIMIT_WRITE_BATCH = 512, /* transactions committed together */
    LIMIT_APPEND_QUEUE = 16384,
    LIMIT_APPEND_BATCH = 2048,
    LIMIT_KEEPER_LAST_ROUNDS = 4096, /* of chores with more to do, at the end */
    LIMIT_PRESENCE_NOTES =
        400 * 1000, /* clients that came, went or were active, to be written down */
    LIMIT_CONNECTIONS = 200000,
    LIMIT_CALLS = 10000,                 /* direct methods under way in one process … */
    LIMIT_CALL_BYTES = 64 * 1024 * 1024, /* … bytes of their payloads … */
    LIMIT_CALLS_HUB = 7500,              /* … both for one hub, or a few of one lane … */
    LIMIT_CALL_BYTES_HUB = 48 * 1024 * 1024,
    LIMIT_CALLS_DEVICE = 1000, /* … and how many of them are for one device or module */
};

/* Connections, enforced in front/. */
enum {
    LIMIT_HANDSHAKE_SLOT_MS = 1000, /* then a silent handshake no longer keeps others waiting */
    LIMIT_LINGER_MS =
        1000, /* from our last byte to closing, so that a reset does not overtake it */
    LIMIT_UNSENT = 64 * 1024, /* bytes; beyond it a connection's requests wait */
    LIMIT_INPUT = LIMIT_HTTP_HEAD + LIMIT_HTTP_BODY, /* bytes of one request in memory */
    LIMIT_INPUT_MEMORY = 256 * 1024 * 1024,          /* bytes of all large ones, a loop */
    LIMIT_PEM_FILE = 256 * 1024,                     /* server certificate with its chain, or key */
};

/* Embedded store. */
enum {
    LIMIT_STORE_READERS = 256,      /* read handles of one store */
    LIMIT_SINK_READERS = 4,         /* read handles of a sink: streams and pages, not requests */
    LIMIT_STORE_LOCK_MS = 5 * 1000, /* wait for another program's lock (a backup, sqlite3) */
    LIMIT_RESEAL_ROWS = 256,        /* sealed anew in one transaction: some milliseconds */
    LIMIT_RESEAL_PAGE = 4 * 1024 * 1024, /* bytes of such rows in memory */
    LIMIT_RESEAL_ROW = 2 * 1024 * 1024,  /* and of one, with what is opened of it */
};

/* How many decision records are kept, and for how long. */
#define LIMIT_DECISIONS_KEPT   1000000LL
#define LIMIT_DECISIONS_AGE_MS (30LL * 24 * 3600 * 1000)

#endif
