/* cmd/berth/tpm_client.c: the TPM commands of TPM attestation, over tpm2-tss. Knows which keys are
 * where, how each is authorized, and how a TPM opens a blob (tpm_blob.h); not what is signed nor
 * who asks (provision_tpm.c). */
#include "cmd/berth/tpm_client.h"

#include <stdlib.h>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "cmd/berth/tpm_blob.h"
#include "crypto/crypto.h"

#define EK_HANDLE       0x81010001U
#define SRK_HANDLE      0x81000001U
#define IDENTITY_HANDLE 0x81000100U
#define EK_CERTIFICATE  0x01c00002U /* NV index of the RSA-2048 endorsement certificate */

#define STORAGE_ATTRIBUTES                                                                         \
    (TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM |                         \
     TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN)
/* The manufacturer's certificate is about the key of a template with 256 zero bytes in `unique`
 * (TCG EK Credential Profile, template L-1): an empty one would make another key. */
#define STORAGE_KEY(attributes, ...)                                                                 \
    {                                                                                                \
        .publicArea = {                                                                            \
            .type = TPM2_ALG_RSA,                                                                  \
            .nameAlg = TPM2_ALG_SHA256,                                                            \
            .objectAttributes = STORAGE_ATTRIBUTES | (attributes),                                 \
            .authPolicy = { __VA_ARGS__ },                                                         \
            .parameters.rsaDetail = {                                                              \
                .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128,                      \
                               .mode.aes = TPM2_ALG_CFB },                                         \
                .scheme.scheme = TPM2_ALG_NULL,                                                    \
                .keyBits = 2048,                                                                   \
            },                                                                                     \
            .unique.rsa.size = 256,                                                                \
        } \
    }

struct key_kind {
    const char *words_to_make, *words_to_keep; /* for faults */
    TPM2_HANDLE handle;
    ESYS_TR hierarchy;
    TPM2B_PUBLIC template;
};

static const struct key_kind ENDORSEMENT = {
    "make an RSA endorsement key", "keep its endorsement key", EK_HANDLE, ESYS_TR_RH_ENDORSEMENT,
    /* PolicySecret(TPM_RH_ENDORSEMENT) */
    STORAGE_KEY(TPMA_OBJECT_ADMINWITHPOLICY, .size = 32,
                .buffer = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
                            0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
                            0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa })
};
static const struct key_kind STORAGE_ROOT = {
    "make an RSA storage root key", "keep its storage root key", SRK_HANDLE, ESYS_TR_RH_OWNER,
    STORAGE_KEY(TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA, .size = 0)
};

/* One of the two keys, loaded. */
struct primary {
    ESYS_TR handle;
    ESYS_TR transient; /* the same when it is not kept in the TPM, else ESYS_TR_NONE */
    size_t len;
    uint8_t wire[sizeof(TPM2B_PUBLIC)];
};

struct tpm_client {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    struct primary endorsement, storage_root;
    ESYS_TR identity; /* transient; ESYS_TR_NONE: nothing activated */
};

/* What Esys made and is to be freed by it. */
AUTO_DEFINE(esys_public, TPM2B_PUBLIC *, Esys_Free)
AUTO_DEFINE(esys_private, TPM2B_PRIVATE *, Esys_Free)
AUTO_DEFINE(esys_digest, TPM2B_DIGEST *, Esys_Free)
AUTO_DEFINE(esys_capability, TPMS_CAPABILITY_DATA *, Esys_Free)
AUTO_DEFINE(esys_nv_public, TPM2B_NV_PUBLIC *, Esys_Free)
AUTO_DEFINE(esys_nv_buffer, TPM2B_MAX_NV_BUFFER *, Esys_Free)

/* The TPM's code, a format-one one without its handle, session or parameter number; a resource
 * manager's layer does not count. */
static TSS2_RC plain_code(TSS2_RC rc)
{
    return rc & TPM2_RC_FMT1 ? rc & (TPM2_RC_FMT1 | 0x3f) : rc & 0xffff;
}

static err fault(TSS2_RC rc, const char *what)
{
    static const TSS2_RC denials[] = { TPM2_RC_AUTH_FAIL,   TPM2_RC_BAD_AUTH,
                                       TPM2_RC_LOCKOUT,     TPM2_RC_HIERARCHY,
                                       TPM2_RC_POLICY_FAIL, TPM2_RC_AUTH_UNAVAILABLE,
                                       TPM2_RC_NV_LOCKED };
    enum err_code code = ERR_IO;

    for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++) {
        code = plain_code(rc) == denials[i] ? ERR_DENIED : code;
    }
    return err_set(code, "the TPM cannot %s: %s", what, Tss2_RC_Decode(rc));
}

#define TRY_TPM(call, what)                                                                        \
    do {                                                                                           \
        TSS2_RC try_rc_ = (call);                                                                  \
        if (try_rc_ != TSS2_RC_SUCCESS) {                                                          \
            return fault(try_rc_, what);                                                           \
        }                                                                                          \
    } while (0)

static void flush(struct tpm_client *t, ESYS_TR *handle)
{
    if (*handle != ESYS_TR_NONE) {
        (void)Esys_FlushContext(t->esys, *handle);
        *handle = ESYS_TR_NONE;
    }
}

/* Is something at this persistent handle or NV index? Asked beforehand, as a miss is a fault to
 * Esys. */
static err has_handle(struct tpm_client *t, TPM2_HANDLE handle, bool *ret_has)
{
    AUTO(esys_capability) TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;

    TRY_TPM(Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES,
                               handle, 1, &more, &data),
            "list its handles");
    *ret_has = data->data.handles.count > 0 && data->data.handles.handle[0] == handle;
    return OK;
}

static err find_handle(struct tpm_client *t, TPM2_HANDLE handle, ESYS_TR *ret_object)
{
    TRY_TPM(Esys_TR_FromTPMPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  ret_object),
            "read what it holds");
    return OK;
}

/* --- The two keys. ------------------------------------------------------------------------- */

static err make_primary(struct tpm_client *t, const struct key_kind *kind, ESYS_TR *ret_object)
{
    static const TPM2B_SENSITIVE_CREATE nothing;
    static const TPM2B_DATA no_data;
    static const TPML_PCR_SELECTION no_pcrs;

    TRY_TPM(Esys_CreatePrimary(t->esys, kind->hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                               ESYS_TR_NONE, &nothing, &kind->template, &no_data, &no_pcrs,
                               ret_object, NULL, NULL, NULL, NULL),
            kind->words_to_make);
    return OK;
}

static err make_persistent(struct tpm_client *t, const struct key_kind *kind, ESYS_TR *ret_object)
{
    ESYS_TR made = ESYS_TR_NONE;
    TSS2_RC rc;

    TRY(make_primary(t, kind, &made));
    rc = Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, made, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                           ESYS_TR_NONE, kind->handle, ret_object);
    flush(t, &made);
    TRY_TPM(rc, kind->words_to_keep);
    return OK;
}

/* Does the key at the handle do? Its sizes and policy must be those of the template, as both sides
 * of the protocol rely on them. */
static bool fits(const struct key_kind *kind, const TPMT_PUBLIC *found)
{
    const TPMT_PUBLIC *want = &kind->template.publicArea;
    const TPMS_RSA_PARMS *rsa = &found->parameters.rsaDetail;

    return found->type == want->type && found->nameAlg == want->nameAlg &&
           (found->objectAttributes & STORAGE_ATTRIBUTES) == STORAGE_ATTRIBUTES &&
           found->authPolicy.size == want->authPolicy.size &&
           memcmp(found->authPolicy.buffer, want->authPolicy.buffer, want->authPolicy.size) == 0 &&
           rsa->keyBits == 2048 && rsa->symmetric.algorithm == TPM2_ALG_AES &&
           rsa->symmetric.keyBits.aes == 128 && rsa->symmetric.mode.aes == TPM2_ALG_CFB;
}

/* *ret_fits: false when it is no key of this kind; nothing is kept of it then. */
static err read_primary(struct tpm_client *t, const struct key_kind *kind, struct primary *key,
                        bool *ret_fits)
{
    AUTO(esys_public) TPM2B_PUBLIC *found = NULL;

    TRY_TPM(Esys_ReadPublic(t->esys, key->handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &found,
                            NULL, NULL),
            "read a key's public part");
    *ret_fits = fits(kind, &found->publicArea);
    key->len = 0;
    TRY_TPM(Tss2_MU_TPM2B_PUBLIC_Marshal(found, key->wire, sizeof(key->wire), &key->len),
            "tell a key's public part");
    return OK;
}

static err open_primary(struct tpm_client *t, const struct key_kind *kind, struct primary *key)
{
    bool is_there, is_right;

    TRY(has_handle(t, kind->handle, &is_there));
    TRY(is_there ? find_handle(t, kind->handle, &key->handle)
                 : make_persistent(t, kind, &key->handle));
    TRY(read_primary(t, kind, key, &is_right));
    if (!is_right) { /* others keep ECC keys there */
        TRY(make_primary(t, kind, &key->transient));
        key->handle = key->transient;
        TRY(read_primary(t, kind, key, &is_right));
    }
    return is_right ? OK : err_set(ERR_UNSUPPORTED, "the TPM cannot %s", kind->words_to_make);
}

static err open_tpm(struct tpm_client *t, const char *tcti)
{
    const char *from = tcti ? tcti : getenv("TPM2TOOLS_TCTI");
    TSS2_RC rc;

    /* tpm2-tss writes to standard error on its own account; what fails is told in our words. */
    (void)setenv("TSS2_LOG", "all+none", 0);
    rc = Tss2_TctiLdr_Initialize(from, &t->tcti);
    if (rc != TSS2_RC_SUCCESS) {
        return err_set(ERR_IO, "no TPM answers at %s (%s)%s", from ? from : "the usual places",
                       Tss2_RC_Decode(rc), from ? "" : ": name one, as --tcti device:/dev/tpmrm0");
    }
    TRY_TPM(Esys_Initialize(&t->esys, t->tcti, NULL), "be used");
    TRY(open_primary(t, &ENDORSEMENT, &t->endorsement));
    return open_primary(t, &STORAGE_ROOT, &t->storage_root);
}

err berth_tpm_client_open(const char *tcti, struct tpm_client **ret_client)
{
    AUTO(tpm_client) struct tpm_client *t = calloc(1, sizeof(*t));

    if (t == NULL) {
        return ERR(NOMEM);
    }
    t->identity = t->endorsement.transient = t->storage_root.transient = ESYS_TR_NONE;
    TRY(open_tpm(t, tcti));
    *ret_client = t;
    t = NULL;
    return OK;
}

void berth_tpm_client_close(struct tpm_client *t)
{
    if (t->esys != NULL) {
        flush(t, &t->identity);
        flush(t, &t->storage_root.transient);
        flush(t, &t->endorsement.transient);
        Esys_Finalize(&t->esys);
    }
    Tss2_TctiLdr_Finalize(&t->tcti);
    free(t);
}

struct span berth_tpm_client_endorsement_key(const struct tpm_client *t)
{
    return span_of(t->endorsement.wire, t->endorsement.len);
}

struct span berth_tpm_client_storage_root_key(const struct tpm_client *t)
{
    return span_of(t->storage_root.wire, t->storage_root.len);
}

/* --- The certificate. ---------------------------------------------------------------------- */

enum { NV_CHUNK = 512 /* what every TPM reads at once (TPM2_PT_NV_BUFFER_MAX is at least that) */ };

static err read_nv(struct tpm_client *t, ESYS_TR index, size_t size, struct buf *out)
{
    for (size_t at = 0; at < size; at += NV_CHUNK) {
        AUTO(esys_nv_buffer) TPM2B_MAX_NV_BUFFER *part = NULL;
        size_t n = size - at < NV_CHUNK ? size - at : NV_CHUNK;

        TRY_TPM(Esys_NV_Read(t->esys, index, index, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                             (UINT16)n, (UINT16)at, &part),
                "read its endorsement certificate");
        buf_add(out, span_of(part->buffer, part->size));
    }
    return buf_ok(out);
}

/* SEQUENCE, two length bytes: manufacturers may leave padding behind the certificate. */
static err cut_to_der(struct buf *out, size_t begin)
{
    const uint8_t *der = out->data + begin;
    size_t len = out->len - begin, want;

    if (len < 4 || der[0] != 0x30 || der[1] != 0x82) {
        return err_set(ERR_MALFORMED, "what the TPM holds at 0x%08x is no certificate",
                       EK_CERTIFICATE);
    }
    want = ((size_t)der[2] << 8 | der[3]) + 4;
    if (want > len) {
        return err_set(ERR_MALFORMED, "the TPM's endorsement certificate is cut short");
    }
    out->len = begin + want;
    return OK;
}

err berth_tpm_client_read_certificate(struct tpm_client *t, struct buf *out)
{
    AUTO(esys_nv_public) TPM2B_NV_PUBLIC *about = NULL;
    size_t begin = out->len;
    ESYS_TR index;
    bool is_there;

    TRY(has_handle(t, EK_CERTIFICATE, &is_there));
    if (!is_there) {
        return err_set(ERR_NOT_FOUND, "the TPM holds no endorsement certificate");
    }
    TRY(find_handle(t, EK_CERTIFICATE, &index));
    TRY_TPM(
        Esys_NV_ReadPublic(t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &about, NULL),
        "tell of its endorsement certificate");
    if (about->nvPublic.dataSize > BERTH_TPM_CLIENT_CERTIFICATE_MAX) {
        return err_set(ERR_MALFORMED, "the TPM's endorsement certificate is too large");
    }
    TRY(read_nv(t, index, about->nvPublic.dataSize, out));
    return cut_to_der(out, begin);
}

/* --- The key that a service sends. --------------------------------------------------------- */

/* A session in which the endorsement key may be used. */
static err open_session(struct tpm_client *t, ESYS_TR *session)
{
    static const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };

    TRY_TPM(Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none, TPM2_ALG_SHA256,
                                  session),
            "open a session");
    TRY_TPM(Esys_TRSess_SetAttributes(t->esys, *session, TPMA_SESSION_CONTINUESESSION,
                                      TPMA_SESSION_CONTINUESESSION),
            "open a session");
    TRY_TPM(Esys_PolicySecret(t->esys, ESYS_TR_RH_ENDORSEMENT, *session, ESYS_TR_PASSWORD,
                              ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL),
            "let its endorsement key be used");
    return OK;
}

/* These commands fail for the blob's sake when the TPM itself is well: it answered just before. A
 * seed that it cannot decrypt is TPM2_RC_VALUE to some TPMs and TPM2_RC_FAILURE to libtpms. */
static err blob_fault(TSS2_RC rc, const char *step)
{
    static const TSS2_RC blobs[] = { TPM2_RC_INTEGRITY,    TPM2_RC_VALUE,    TPM2_RC_FAILURE,
                                     TPM2_RC_SIZE,         TPM2_RC_BINDING,  TPM2_RC_ASYMMETRIC,
                                     TPM2_RC_INSUFFICIENT, TPM2_RC_KEY_SIZE, TPM2_RC_ATTRIBUTES };

    for (size_t i = 0; i < sizeof(blobs) / sizeof(blobs[0]); i++) {
        if (plain_code(rc) == blobs[i]) {
            return err_set(ERR_DENIED,
                           "the TPM refuses the authentication key that the service sent, as not "
                           "made for it (%s: %s)",
                           step, Tss2_RC_Decode(rc));
        }
    }
    return fault(rc, step);
}

/* The credential: the key of the inner wrapping. */
static err activate_credential(struct tpm_client *t, const struct tpm_blob *b,
                               TPM2B_DATA *ret_secret)
{
    AUTO(esys_digest) TPM2B_DIGEST *secret = NULL;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc = TSS2_RC_SUCCESS;
    err e = open_session(t, &session);

    if (err_is_ok(e)) {
        rc = Esys_ActivateCredential(t->esys, t->storage_root.handle, t->endorsement.handle,
                                     ESYS_TR_PASSWORD, session, ESYS_TR_NONE, &b->credential,
                                     &b->credential_secret, &secret);
    }
    flush(t, &session);
    TRY(e);
    if (rc != TSS2_RC_SUCCESS) {
        return blob_fault(rc, "ActivateCredential");
    }
    ret_secret->size = secret->size;
    memcpy(ret_secret->buffer, secret->buffer, secret->size);
    crypto_wipe(secret, sizeof(*secret));
    return OK;
}

static err import(struct tpm_client *t, const struct tpm_blob *b, const TPM2B_DATA *secret,
                  ESYS_TR *ret_key)
{
    TPMT_SYM_DEF_OBJECT wrapping = { .algorithm = TPM2_ALG_AES,
                                     .keyBits.aes = (UINT16)(secret->size * 8),
                                     .mode.aes = TPM2_ALG_CFB };
    AUTO(esys_private) TPM2B_PRIVATE *private_part = NULL;
    TSS2_RC rc;

    rc = Esys_Import(t->esys, t->storage_root.handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                     secret, &b->key, &b->duplicate, &b->duplicate_seed, &wrapping, &private_part);
    if (rc != TSS2_RC_SUCCESS) {
        return blob_fault(rc, "Import");
    }
    rc = Esys_Load(t->esys, t->storage_root.handle, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                   private_part, &b->key, ret_key);
    return rc == TSS2_RC_SUCCESS ? OK : blob_fault(rc, "Load");
}

err berth_tpm_client_activate(struct tpm_client *t, struct span blob)
{
    TPM2B_DATA secret = { .size = 0 };
    struct tpm_blob b;
    err e;

    flush(t, &t->identity); /* a TPM without a resource manager has room for three keys */
    TRY(berth_tpm_blob_decode(blob, &b));
    TRY(activate_credential(t, &b, &secret));
    e = import(t, &b, &secret, &t->identity);
    crypto_wipe(&secret, sizeof(secret));
    return e;
}

static const char NOTHING_ACTIVATED[] = "no authentication key was activated in the TPM";

err berth_tpm_client_persist(struct tpm_client *t)
{
    ESYS_TR kept = ESYS_TR_NONE;
    bool is_there;

    if (t->identity == ESYS_TR_NONE) {
        return err_set(ERR_PRECONDITION, "%s", NOTHING_ACTIVATED);
    }
    TRY(has_handle(t, IDENTITY_HANDLE, &is_there));
    if (is_there) {
        TRY(find_handle(t, IDENTITY_HANDLE, &kept));
        TRY_TPM(Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, kept, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                  ESYS_TR_NONE, IDENTITY_HANDLE, &kept),
                "give up the key it kept");
    }
    TRY_TPM(Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, t->identity, ESYS_TR_PASSWORD,
                              ESYS_TR_NONE, ESYS_TR_NONE, IDENTITY_HANDLE, &kept),
            "keep the hub's key");
    return OK;
}

err berth_tpm_client_sign(struct tpm_client *t, struct span text,
                          uint8_t ret_mac[BERTH_TPM_CLIENT_MAC_LEN])
{
    AUTO(esys_digest) TPM2B_DIGEST *mac = NULL;
    TPM2B_MAX_BUFFER in = { .size = (UINT16)text.len };

    if (t->identity == ESYS_TR_NONE) {
        return err_set(ERR_PRECONDITION, "%s", NOTHING_ACTIVATED);
    }
    if (text.len > BERTH_TPM_CLIENT_TEXT_MAX) {
        return err_set(ERR_TOO_LARGE, "a token's text is too long to be signed in a TPM");
    }
    memcpy(in.buffer, text.data, text.len);
    TRY_TPM(Esys_HMAC(t->esys, t->identity, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &in,
                      TPM2_ALG_SHA256, &mac),
            "sign");
    if (mac->size != BERTH_TPM_CLIENT_MAC_LEN) {
        return err_set(ERR_MALFORMED, "the service's authentication key is not for HMAC-SHA256");
    }
    memcpy(ret_mac, mac->buffer, BERTH_TPM_CLIENT_MAC_LEN);
    return OK;
}
