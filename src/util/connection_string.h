/* util/connection_string.h: HostName=…;SharedAccessKeyName=…;SharedAccessKey=… (reference
 * dps-service-api.md 1, iothub-service-api.md 1). */
#ifndef UTIL_CONNECTION_STRING_H
#define UTIL_CONNECTION_STRING_H

#include "util/err.h"
#include "util/span.h"

struct connection_string {
    struct span host;
    struct span policy; /* SharedAccessKeyName */
    struct span key;    /* base64 */
};

/* Parts in any order; unknown ones are passed over. ERR_MALFORMED: a part without '=', a part given
 * twice, or one of the three missing; err_detail says which. */
err connection_string_parse(struct span text, struct connection_string *ret_parts);

/* A device's own: HostName=…;DeviceId=…;SharedAccessKey=…, and ModuleId=… of a module's. */
struct connection_string_device {
    struct span host, device;
    struct span key;    /* absent: by certificate (x509=true) */
    struct span module; /* absent: the device's */
};
/* As above; there must be a host, a device, and either a key or x509=true. */
err connection_string_parse_device(struct span text, struct connection_string_device *ret_parts);

#endif
