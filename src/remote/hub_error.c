/* remote/hub_error.c: reads
 *   A  {"Message":"ErrorCode:Name;words","ExceptionMessage":"Tracking ID:…"}
 *   B  {"errorCode":404001,"message":"words","trackingId":"…",…}
 *   C  {"Message":"<B as text>","ExceptionMessage":""}
 * What a device is told is the text as it came: what is read is its number alone. */
#include "remote/hub_error.h"

#include "model/limits.h"
#include "json/json.h"

enum { NESTED = 2 };

static const struct {
    const char *name;
    int64_t code;
} codes[] = {
    { "InvalidProtocolVersion", 400001 },
    { "InvalidOperation", 400003 },
    { "ArgumentInvalid", 400004 },
    { "ArgumentNull", 400005 },
    { "IotHubFormatError", 400006 },
    { "InvalidSchemaVersion", 400010 },
    { "DeviceDefinedMultipleTimes", 400011 },
    { "DeserializationError", 400012 },
    { "BulkRegistryOperationFailure", 400013 },
    { "IotHubNotFound", 401001 },
    { "IotHubUnauthorizedAccess", 401002 },
    { "IotHubUnauthorized", 401003 },
    { "IotHubSuspended", 403001 },
    { "IotHubQuotaExceeded", 403002 },
    { "OperationNotAvailableInCurrentTier", 403010 },
    { "DeviceNotFound", 404001 },
    { "ModuleNotFound", 404010 },
    { "GenericTimeout", 408000 },
    { "DeviceAlreadyExists", 409001 },
    { "PreconditionFailed", 412001 },
    { "MessageTooLarge", 413001 },
    { "TooManyDevices", 413002 },
    { "TooManyModulesOnDevice", 413003 },
    { "GenericTooManyRequests", 429000 },
    { "ThrottlingException", 429001 },
    { "ThrottleBacklogLimitExceeded", 429002 },
    { "ThrottlingBacklogTimeout", 429003 },
    { "ServerError", 500001 },
    { "ServiceUnavailable", 503001 },
    { "GatewayTimeout", 504101 },
};

int64_t remote_hub_error_code(struct span name)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (span_eq_nocase(name, span_str(codes[i].name))) {
            return codes[i].code;
        }
    }
    return 0;
}

/* ErrorCode:Name;words. Some hubs write "ErrorCode:ArgumentInvalid;BadRequest". */
static int64_t read_words(struct span words)
{
    static const struct span label = SPAN_INIT("ErrorCode:");

    if (!span_starts_with_nocase(words, label)) {
        return 0;
    }
    words = span_from(words, label.len);
    return remote_hub_error_code(span_cut(&words, ';'));
}

/* 0: it names none. */
static int64_t read_envelope(struct span text, int depth, bool *ret_is_envelope)
{
    AUTO(json) json *document = NULL;
    struct span message;
    int64_t code = 0;

    *ret_is_envelope = false;
    if (!err_is_ok(json_parse(text, LIMIT_JSON_DEPTH, &document)) || !json_is_object(document)) {
        return 0;
    }
    message = json_text(json_member(document, "Message"));
    if (span_is_absent(message)) {
        message = json_text(json_member(document, "message"));
    }
    (void)json_get_int(document, "errorCode", &code);
    *ret_is_envelope = !span_is_absent(message) || code != 0;
    if (code == 0 && depth < NESTED && span_starts_with(span_trim(message), SPAN("{"))) {
        bool is_envelope;

        code = read_envelope(message, depth + 1, &is_envelope);
    }
    return code != 0 ? code : read_words(message);
}

/* Cut between characters. */
static struct span shorten(struct span text)
{
    size_t len = LIMIT_ERROR_MESSAGE;

    if (text.len <= len) {
        return text;
    }
    while (len > 0 && (text.data[len] & 0xc0) == 0x80) {
        len--;
    }
    return span_first(text, len);
}

err remote_hub_error_read(struct arena *arena, const struct remote_http_reply *reply,
                          struct hub_error *ret_error)
{
    struct span body = span_trim(reply->body);
    struct hub_error e = { .message = SPAN_NONE };
    int64_t named = remote_hub_error_code(reply->error_name);
    bool is_envelope;

    e.code = read_envelope(body, 0, &is_envelope);
    e.code = named != 0 ? named : e.code;
    if (is_envelope) {
        TRY(arena_copy(arena, shorten(body), &e.message));
    }
    e.code = e.code != 0 ? e.code : (int64_t)reply->status * 1000;
    *ret_error = e;
    return OK;
}
