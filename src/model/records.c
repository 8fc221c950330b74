/* model/records.c: what each record looks like to a store (the kind tables); names and words are
 * words.c's. The tables list every member in the order of the struct; the SQL that must agree is in
 * store/schema/. */
#include "model/records.h"

#include "model/kinds.h"

#define TEXT(type, member)                                                                         \
    {                                                                                              \
#member, FIELD_TEXT, offsetof(struct type, member)                                         \
    }
#define BLOB(type, member)                                                                         \
    {                                                                                              \
#member, FIELD_BLOB, offsetof(struct type, member)                                         \
    }
#define SECRET(type, member)                                                                       \
    {                                                                                              \
#member, FIELD_SECRET, offsetof(struct type, member)                                       \
    }
#define INT(type, member)                                                                          \
    {                                                                                              \
#member, FIELD_INT, offsetof(struct type, member)                                          \
    }
#define ENUM(type, member)                                                                         \
    {                                                                                              \
#member, FIELD_ENUM, offsetof(struct type, member)                                         \
    }

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))

#define KIND(table, type, n_key_)                                                                  \
    .name = #table, .size = sizeof(struct type), .fields = table##_fields,                         \
    .n_fields = COUNT_OF(table##_fields), .n_key = (n_key_)
#define INDEXES(table) .indexes = table##_indexes, .n_indexes = COUNT_OF(table##_indexes)

/* clang-format off: one member a line */
static const struct field instance_fields[] = {
    TEXT(instance, id_scope),  TEXT(instance, name),
    TEXT(instance, host_name), ENUM(instance, allocation_policy),
    INT(instance, created_ms), INT(instance, key_groups_version),
    ENUM(instance, life),      INT(instance, links_version),
};
static const struct kind_index instance_indexes[] = {
    { "instance_by_host", { 2 }, 1 }, /* host_name */
    { "instance_by_name", { 1 }, 1 }, /* name */
};
const struct kind KIND_INSTANCE = {
    KIND(instance, instance, 1),
    INDEXES(instance),
};

static const struct field policy_fields[] = {
    ENUM(policy, owner_type), TEXT(policy, owner),         TEXT(policy, name),
    INT(policy, rights),      SECRET(policy, primary_key), SECRET(policy, secondary_key),
};
const struct kind KIND_POLICY = {
    KIND(policy, policy, 3),
};

static const struct field hub_fields[] = {
    TEXT(hub, host_name), TEXT(hub, name), INT(hub, created_ms),
    TEXT(hub, id_scope),  ENUM(hub, life), TEXT(hub, settings),
};
static const struct kind_index hub_indexes[] = {
    { "hub_by_scope", { 3, 1 }, 2 }, /* id_scope, name */
};
const struct kind KIND_HUB = {
    KIND(hub, hub, 1),
    INDEXES(hub),
};

static const struct field hub_usage_fields[] = {
    TEXT(hub_usage, hub),
    INT(hub_usage, day),
    INT(hub_usage, messages),
};
const struct kind KIND_HUB_USAGE = {
    KIND(hub_usage, hub_usage, 1),
};

static const struct field linked_hub_fields[] = {
    TEXT(linked_hub, id_scope),
    TEXT(linked_hub, host_name),
    INT(linked_hub, weight),
    INT(linked_hub, apply_allocation_policy),
    SECRET(linked_hub, connection_string),
    TEXT(linked_hub, location),
    INT(linked_hub, is_remote),
    TEXT(linked_hub, address),
    TEXT(linked_hub, ca),
    INT(linked_hub, has_coordinates),
    INT(linked_hub, latitude_udeg),
    INT(linked_hub, longitude_udeg),
    INT(linked_hub, is_draining),
};
static const struct kind_index linked_hub_indexes[] = {
    { "linked_hub_by_host", { 1 }, 1 }, /* host_name */
};
const struct kind KIND_LINKED_HUB = {
    KIND(linked_hub, linked_hub, 2),
    INDEXES(linked_hub),
};

static const struct field certificate_fields[] = {
    TEXT(certificate, id_scope),
    TEXT(certificate, name),
    BLOB(certificate, der),
    TEXT(certificate, subject),
    BLOB(certificate, sha1),
    BLOB(certificate, sha256),
    INT(certificate, not_after_ms),
    INT(certificate, is_verified),
    TEXT(certificate, verification_code),
    TEXT(certificate, etag),
    INT(certificate, created_ms),
    INT(certificate, updated_ms),
};
const struct kind KIND_CERTIFICATE = {
    KIND(certificate, certificate, 2),
};

static const struct field enrollment_fields[] = {
    TEXT(enrollment, id_scope),
    ENUM(enrollment, kind),
    TEXT(enrollment, key),
    TEXT(enrollment, id),
    TEXT(enrollment, device_id),
    ENUM(enrollment, attestation),
    ENUM(enrollment, x509_source),
    BLOB(enrollment, x509_primary),
    BLOB(enrollment, x509_secondary),
    SECRET(enrollment, primary_key),
    SECRET(enrollment, secondary_key),
    ENUM(enrollment, provisioning_status),
    INT(enrollment, update_hub_assignment),
    INT(enrollment, migrate_device_data),
    INT(enrollment, iot_edge),
    ENUM(enrollment, allocation_policy),
    TEXT(enrollment, iot_hubs),
    TEXT(enrollment, initial_twin),
    TEXT(enrollment, extra),
    TEXT(enrollment, etag),
    INT(enrollment, created_ms),
    INT(enrollment, updated_ms),
    BLOB(enrollment, endorsement_key),
    BLOB(enrollment, storage_root_key),
};
static const struct kind_index enrollment_indexes[] = {
    { "enrollment_by_attestation", { 0, 1, 5 }, 3 }, /* id_scope, kind, attestation */
    { "enrollment_by_status", { 0, 1, 11 }, 3 },     /* id_scope, kind, provisioning_status */
    { "enrollment_by_updated", { 0, 1, 21 }, 3 },    /* id_scope, kind, updated_ms */
};
const struct kind KIND_ENROLLMENT = {
    KIND(enrollment, enrollment, 3),
    INDEXES(enrollment),
};

static const struct field anchor_fields[] = {
    TEXT(anchor, id_scope), INT(anchor, subject_hash), ENUM(anchor, owner_type),
    TEXT(anchor, owner),    INT(anchor, slot),         BLOB(anchor, sha256),
    BLOB(anchor, der),
};
static const struct kind_index anchor_indexes[] = {
    { "anchor_by_sha256", { 0, 5 }, 2 }, /* id_scope, sha256 */
};
const struct kind KIND_ANCHOR = {
    KIND(anchor, anchor, 5),
    INDEXES(anchor),
};

static const struct field ca_reference_fields[] = {
    TEXT(ca_reference, id_scope),
    TEXT(ca_reference, certificate),
    ENUM(ca_reference, enrollment_kind),
    TEXT(ca_reference, enrollment),
    INT(ca_reference, slot),
};
const struct kind KIND_CA_REFERENCE = {
    KIND(ca_reference, ca_reference, 5),
};

static const struct field registration_fields[] = {
    TEXT(registration, id_scope),
    TEXT(registration, key),
    TEXT(registration, id),
    ENUM(registration, status),
    ENUM(registration, substatus),
    TEXT(registration, assigned_hub),
    TEXT(registration, device_id),
    INT(registration, error_code),
    TEXT(registration, error_message),
    TEXT(registration, payload),
    ENUM(registration, enrollment_kind),
    TEXT(registration, enrollment),
    ENUM(registration, attestation),
    BLOB(registration, evidence_sha256),
    TEXT(registration, operation_id),
    TEXT(registration, etag),
    INT(registration, created_ms),
    INT(registration, updated_ms),
    BLOB(registration, authentication_key),
    TEXT(registration, placed_hub),
    TEXT(registration, placed_device_id),
    TEXT(registration, initial_hub),
};
static const struct kind_index registration_indexes[] = {
    { "registration_by_enrollment", { 0, 10, 11 }, 3 }, /* id_scope, enrollment_kind, enrollment */
    { "registration_by_hub", { 19, 0, 20 }, 3 },        /* placed_hub, id_scope, placed_device_id */
};
const struct kind KIND_REGISTRATION = {
    KIND(registration, registration, 2),
    INDEXES(registration),
};

static const struct field errand_fields[] = {
    TEXT(errand, id_scope),
    ENUM(errand, type),
    TEXT(errand, registration_key),
    TEXT(errand, hub),
    TEXT(errand, device_id),
    TEXT(errand, registration_id),
    TEXT(errand, lane),
    INT(errand, due_ms),
    INT(errand, lease_ms),
    INT(errand, quiet_ms),
    INT(errand, since_ms),
    INT(errand, tries),
    TEXT(errand, last_error),
    ENUM(errand, step),
    TEXT(errand, operation_id),
    TEXT(errand, tracking_id),
    TEXT(errand, enrollment_etag),
    TEXT(errand, to_hub),
    TEXT(errand, to_device_id),
    TEXT(errand, from_hub),
    TEXT(errand, from_device_id),
    INT(errand, keeps_twin),
    INT(errand, reset_twin),
    INT(errand, was_there),
    ENUM(errand, substatus),
    ENUM(errand, auth),
    TEXT(errand, thumbprint),
    SECRET(errand, primary_key),
    SECRET(errand, secondary_key),
    INT(errand, iot_edge),
    TEXT(errand, initial_twin),
    BLOB(errand, authentication_key),
    TEXT(errand, payload),
    TEXT(errand, request),
    TEXT(errand, url),
};
static const struct kind_index errand_indexes[] = {
    { "errand_by_lane", { 6, 7 }, 2 },        /* lane, due_ms */
    { "errand_by_target", { 0, 17, 18 }, 3 }, /* id_scope, to_hub, to_device_id */
    { "errand_by_age", { 1, 10 }, 2 },        /* type, since_ms */
};
const struct kind KIND_ERRAND = {
    KIND(errand, errand, 5),
    INDEXES(errand),
};

static const struct field challenge_fields[] = {
    TEXT(challenge, id_scope),        TEXT(challenge, registration_key),
    BLOB(challenge, evidence_sha256), ENUM(challenge, state),
    SECRET(challenge, key),           INT(challenge, issued_ms),
    INT(challenge, used_ms),
};
static const struct kind_index challenge_indexes[] = {
    { "challenge_by_issued", { 5 }, 1 }, /* issued_ms */
};
const struct kind KIND_CHALLENGE = {
    KIND(challenge, challenge, 4),
    INDEXES(challenge),
};

static const struct field device_fields[] = {
    TEXT(device, hub),
    TEXT(device, device_id),
    TEXT(device, generation_id),
    INT(device, etag),
    ENUM(device, status),
    TEXT(device, status_reason),
    INT(device, status_updated_ms),
    ENUM(device, auth),
    TEXT(device, primary_thumbprint),
    TEXT(device, secondary_thumbprint),
    SECRET(device, primary_key),
    SECRET(device, secondary_key),
    INT(device, iot_edge),
    TEXT(device, tags),
    TEXT(device, desired),
    TEXT(device, reported),
    INT(device, version),
    INT(device, desired_version),
    INT(device, reported_version),
    INT(device, created_ms),
    INT(device, updated_ms),
    TEXT(device, desired_metadata),
    TEXT(device, reported_metadata),
    INT(device, twin_etag),
    TEXT(device, model_id),
    TEXT(device, managed_by),
    TEXT(device, device_scope),
    TEXT(device, parent_scopes),
};
static const struct kind_index device_indexes[] = {
    { "device_by_status", { 0, 4 }, 2 }, /* hub, status */
};
const struct kind KIND_DEVICE = {
    KIND(device, device, 2),
    INDEXES(device),
};

#define module_fields device_fields
const struct kind KIND_MODULE = {
    KIND(module, device, 2),
};

static const struct field tag_fields[] = {
    TEXT(tag, hub),
    TEXT(tag, path),
    TEXT(tag, value),
    TEXT(tag, client_id),
};
const struct kind KIND_TAG = {
    KIND(tag, tag, 4),
};

static const struct field tag_backlog_fields[] = {
    TEXT(tag_backlog, hub),
    TEXT(tag_backlog, client_id),
};
const struct kind KIND_TAG_BACKLOG = {
    KIND(tag_backlog, tag_backlog, 2),
};

static const struct field presence_fields[] = {
    TEXT(presence, hub),
    TEXT(presence, client_id),
    TEXT(presence, generation_id),
    INT(presence, state_updated_ms),
    INT(presence, last_activity_ms),
};
const struct kind KIND_PRESENCE = {
    KIND(presence, presence, 2),
};

static const struct field c2d_message_fields[] = {
    TEXT(c2d_message, hub),
    TEXT(c2d_message, client_id),
    INT(c2d_message, sequence),
    TEXT(c2d_message, message_id),
    TEXT(c2d_message, correlation_id),
    TEXT(c2d_message, user_id),
    TEXT(c2d_message, target),
    TEXT(c2d_message, content_type),
    TEXT(c2d_message, content_encoding),
    ENUM(c2d_message, ack),
    INT(c2d_message, enqueued_ms),
    INT(c2d_message, expires_ms),
    INT(c2d_message, is_expiry_given),
    INT(c2d_message, delivery_count),
    TEXT(c2d_message, lock_token),
    INT(c2d_message, locked_until_ms),
    TEXT(c2d_message, session_id),
    TEXT(c2d_message, properties),
    BLOB(c2d_message, body),
};
static const struct kind_index c2d_message_indexes[] = {
    { "c2d_message_by_expiry", { 11 }, 1 }, /* expires_ms */
};
const struct kind KIND_C2D_MESSAGE = {
    KIND(c2d_message, c2d_message, 3),
    INDEXES(c2d_message),
};

static const struct field c2d_queue_fields[] = {
    TEXT(c2d_queue, hub),
    TEXT(c2d_queue, client_id),
    TEXT(c2d_queue, generation_id),
    INT(c2d_queue, last_sequence),
};
const struct kind KIND_C2D_QUEUE = {
    KIND(c2d_queue, c2d_queue, 2),
};

static const struct field feedback_fields[] = {
    TEXT(feedback, hub),           INT(feedback, sequence),        TEXT(feedback, client_id),
    TEXT(feedback, generation_id), TEXT(feedback, message_id),     ENUM(feedback, status),
    INT(feedback, enqueued_ms),    INT(feedback, expires_ms),      INT(feedback, delivery_count),
    TEXT(feedback, lock_token),    INT(feedback, locked_until_ms),
};
static const struct kind_index feedback_indexes[] = {
    { "feedback_by_expiry", { 7 }, 1 }, /* expires_ms */
};
const struct kind KIND_FEEDBACK = {
    KIND(feedback, feedback, 2),
    INDEXES(feedback),
};

static const struct field session_fields[] = {
    TEXT(session, hub),     TEXT(session, client_id), TEXT(session, generation_id),
    BLOB(session, filters), INT(session, updated_ms),
};
const struct kind KIND_SESSION = {
    KIND(session, session, 2),
};

static const struct field decision_fields[] = {
    TEXT(decision_row, tracking_id),
    INT(decision_row, time_ms),
    TEXT(decision_row, id_scope),
    TEXT(decision_row, registration_key),
    TEXT(decision_row, registration_id),
    ENUM(decision_row, operation),
    ENUM(decision_row, transport),
    TEXT(decision_row, peer),
    TEXT(decision_row, reason),
    TEXT(decision_row, enrollment),
    TEXT(decision_row, hub),
    TEXT(decision_row, device_id),
    TEXT(decision_row, certificate),
    TEXT(decision_row, considered),
    TEXT(decision_row, allocation),
};
static const struct kind_index decision_indexes[] = {
    { "decision_by_registration", { 2, 3, 1 }, 3 }, /* id_scope, registration_key, time_ms */
};
const struct kind KIND_DECISION = {
    KIND(decision, decision_row, 1),
    INDEXES(decision),
};

static const struct field seal_key_fields[] = {
    INT(seal_key, id),
    BLOB(seal_key, proof),
    INT(seal_key, is_whole),
    INT(seal_key, created_ms),
};
const struct kind KIND_SEAL_KEY = {
    KIND(seal_key, seal_key, 1),
};
/* clang-format on */

const struct kind *const MODEL_KINDS[MODEL_KINDS_N] = {
    &KIND_INSTANCE,   &KIND_POLICY,    &KIND_HUB,          &KIND_LINKED_HUB,   &KIND_CERTIFICATE,
    &KIND_ENROLLMENT, &KIND_ANCHOR,    &KIND_CA_REFERENCE, &KIND_REGISTRATION, &KIND_DEVICE,
    &KIND_DECISION,   &KIND_CHALLENGE, &KIND_SEAL_KEY,     &KIND_SESSION,      &KIND_MODULE,
    &KIND_TAG,        &KIND_PRESENCE,  &KIND_C2D_MESSAGE,  &KIND_FEEDBACK,     &KIND_TAG_BACKLOG,
    &KIND_HUB_USAGE,  &KIND_C2D_QUEUE, &KIND_ERRAND,
};
