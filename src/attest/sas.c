/* attest/sas.c: shared access signatures as the SDKs spell them. The signature is over sr and se
 * exactly as they stand in the token, so both are kept as text beside what they mean. Which policy
 * or enrollment has the keys, and what they allow, is for the caller. */
#include "attest/sas.h"

#include "model/limits.h"
#include "util/base64.h"
#include "util/percent.h"

static const char scheme[] = "SharedAccessSignature";

struct fields {
    struct span sr, sig, se, skn;
};

/* Takes "name=value" to its place. A field given twice is ERR_MALFORMED: two readers might differ
 * on which counts. */
static err take_field(struct fields *f, struct span text)
{
    struct {
        struct span name;
        struct span *value;
    } known[] = {
        { SPAN("sr"), &f->sr },
        { SPAN("sig"), &f->sig },
        { SPAN("se"), &f->se },
        { SPAN("skn"), &f->skn },
    };
    struct span value = text;
    struct span name = span_cut(&value, '=');

    if (span_is_absent(value)) {
        return ERR(MALFORMED);
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!span_eq(name, known[i].name)) {
            continue;
        }
        if (!span_is_absent(*known[i].value)) {
            return ERR(MALFORMED);
        }
        *known[i].value = value;
    }
    return OK;
}

static err decode_percent(struct arena *arena, struct span text, struct span *ret_text)
{
    struct buf out = arena_buf(arena);

    TRY(percent_decode(text, &out));
    return arena_buf_end(arena, &out, ret_text);
}

static err decode_signature(struct arena *arena, struct span sig, struct span *ret_bytes)
{
    struct span text;
    struct buf out;

    TRY(decode_percent(arena, sig, &text));
    out = arena_buf(arena);
    TRY(base64_decode(text, &out));
    if (out.len == 0) { /* white space alone */
        return ERR(MALFORMED);
    }
    return arena_buf_end(arena, &out, ret_bytes);
}

/* Up to a query that was percent-encoded with the rest. Any other '?' is part of a name: a device
 * ID may have one. */
static struct span without_query(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (span_starts_with(span_from(text, i), SPAN("/?api-version="))) {
            return span_first(text, i);
        }
    }
    return text;
}

/* "sb://host:5671/a/b/" is host/a/b, in place. */
static struct span strip_resource(struct span text, uint8_t *writable)
{
    struct span rest;
    size_t host_len, port_at;

    for (size_t i = 0; i + 3 <= text.len; i++) {
        if (span_starts_with(span_from(text, i), SPAN("://"))) {
            writable += i + 3;
            text = span_from(text, i + 3);
            break;
        }
        if (text.data[i] == '/') {
            break;
        }
    }
    text = without_query(text);
    host_len = span_find(text, '/');
    rest = span_from(text, host_len);
    port_at = span_find(span_first(text, host_len), ':');
    if (port_at < host_len) {
        memmove(writable + port_at, rest.data, rest.len);
        text.len = port_at + rest.len;
    }
    while (text.len > 0 && text.data[text.len - 1] == '/') {
        text.len--;
    }
    return text;
}

err sas_parse(struct span text, struct arena *arena, struct sas_token *ret_token)
{
    struct fields f = { 0 };
    struct sas_token token = { 0 };
    struct span rest = span_trim(text);
    struct span decoded;
    struct buf out;

    if (!span_starts_with_nocase(rest, SPAN("SharedAccessSignature "))) {
        return ERR(MALFORMED);
    }
    rest = span_trim(span_from(rest, sizeof(scheme)));
    while (!span_is_absent(rest)) {
        TRY(take_field(&f, span_cut(&rest, '&')));
    }
    if (span_is_empty(f.sr) || span_is_empty(f.sig) || !span_parse_int(f.se, &token.expiry_s)) {
        return ERR(MALFORMED);
    }
    out = arena_buf(arena);
    buf_add(&out, f.sr);
    buf_add_u8(&out, '\n');
    buf_add(&out, f.se);
    TRY(arena_buf_end(arena, &out, &token.signed_text));
    token.resource_text = span_first(token.signed_text, f.sr.len);
    token.expiry_text = span_from(token.signed_text, f.sr.len + 1);
    TRY(decode_percent(arena, span_first(f.sr, span_find(f.sr, '?')), &decoded));
    token.resource = strip_resource(decoded, (uint8_t *)decoded.data);
    TRY(decode_signature(arena, f.sig, &token.signature));
    if (!span_is_absent(f.skn)) {
        TRY(decode_percent(arena, f.skn, &token.key_name));
    }
    *ret_token = token;
    return OK;
}

err sas_check(struct crypto *c, const struct sas_token *token, const struct span *keys,
              size_t n_keys, int64_t now_ms, enum reason *ret_reason)
{
    int64_t latest_s = (now_ms - LIMIT_SAS_SKEW_MS) / 1000;
    bool is_genuine = false;

    for (size_t i = 0; i < n_keys; i++) {
        uint8_t mac[CRYPTO_SHA256_LEN];
        bool is_equal;

        if (span_is_empty(keys[i])) {
            continue; /* anybody knows the empty key */
        }
        TRY(crypto_hmac_sha256(c, keys[i], token->signed_text, mac));
        is_equal = crypto_equal(span_of(mac, sizeof(mac)), token->signature);
        crypto_wipe(mac, sizeof(mac));
        is_genuine = is_genuine || is_equal;
    }
    *ret_reason = !is_genuine                  ? REASON_TOKEN_BAD_SIGNATURE
                  : token->expiry_s < latest_s ? REASON_TOKEN_EXPIRED
                                               : REASON_GRANTED;
    return OK;
}

bool sas_covers(const struct sas_token *token, struct span resource)
{
    struct span scope = token->resource;

    return !span_is_empty(scope) && span_starts_with_nocase(resource, scope) &&
           (resource.len == scope.len || resource.data[scope.len] == '/');
}

void sas_signed_text(struct span resource, int64_t expiry_s, struct buf *out)
{
    percent_encode(resource, out);
    buf_add_u8(out, '\n');
    buf_add_int(out, expiry_s);
}

err sas_format(struct span resource, struct span signature, struct span key_name, int64_t expiry_s,
               struct buf *out)
{
    char sig_text[64];
    struct buf sig = buf_over(sig_text, sizeof(sig_text));

    base64_encode(signature, &sig);
    TRY(buf_ok(&sig));
    buf_add_str(out, scheme);
    buf_add_str(out, " sr=");
    percent_encode(resource, out);
    buf_add_str(out, "&sig=");
    percent_encode(buf_span(&sig), out);
    buf_add_str(out, "&se=");
    buf_add_int(out, expiry_s);
    if (!span_is_absent(key_name)) {
        buf_add_str(out, "&skn=");
        percent_encode(key_name, out);
    }
    return buf_ok(out);
}

err sas_make(struct crypto *c, struct span resource, struct span key, struct span key_name,
             int64_t expiry_s, struct buf *out)
{
    uint8_t mac[CRYPTO_SHA256_LEN];
    size_t begin = out->len;

    /* What is signed stands in `out` for a moment: no second buffer for a text of any length. */
    sas_signed_text(resource, expiry_s, out);
    TRY(buf_ok(out));
    TRY(crypto_hmac_sha256(c, key, span_of(out->data + begin, out->len - begin), mac));
    out->len = begin;
    return sas_format(resource, span_of(mac, sizeof(mac)), key_name, expiry_s, out);
}

int64_t sas_until_ms(const struct sas_token *token, int64_t now_ms)
{
    int64_t expiry_s = token->expiry_s;
    int64_t expiry_ms = expiry_s < INT64_MAX / 2000 ? expiry_s * 1000 : INT64_MAX / 2;

    return expiry_ms > now_ms ? expiry_ms : expiry_ms + LIMIT_SAS_SKEW_MS;
}
