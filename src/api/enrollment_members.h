/* api/enrollment_members.h: which api-version knows which member of an enrollment, and the members
 * that nothing here acts on: they are checked, kept as JSON (`extra`) and given back. What follows
 * for clients is in doc/wire/service.md. */
#ifndef API_ENROLLMENT_MEMBERS_H
#define API_ENROLLMENT_MEMBERS_H

#include "api/enrollment_json.h"

/* A member of no table is known to all versions, and an absent version knows all. */
bool enrollment_members_is_known(struct span api_version, const char *name);
/* Does the stored value stay? The version does not know the member, and the body is silent about it
 * and about those it comes with. */
bool enrollment_members_is_kept(const struct enrollment_json_put *put, const json *document,
                                const char *name);

/* The body's members that are not acted on and the stored ones that stay, as one JSON object in
 * the arena; absent: none. Refusals: FIELD_INVALID, naming the member. */
err enrollment_members_decode(const struct env *env, const struct enrollment_json_put *put,
                              json *document, struct span *ret_extra, struct verdict *ret_verdict);
/* Writes those that the version knows, as members of the object that is being written. */
err enrollment_members_write(struct span extra, struct span api_version, struct json_writer *w);

#endif
