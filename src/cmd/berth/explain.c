/* cmd/berth/explain.c: `berth explain`: one decision of the server in words: what became of the
 * device, why, which enrollments were looked at, and what would have to be done for it to be
 * admitted (doc/wire/manage.md, "Decision"). */
#include "cmd/berth/commands.h"
#include "cmd/berth/file.h"
#include "cmd/berth/http.h"
#include "cmd/berth/pem.h"
#include "cmd/berth/view.h"
#include "json/writer.h"

enum { GUID_LEN = 36 };

/* What to do about a reason. {id}, {ca} and {issuer} stand for the device, the enrollment and the
 * name of the leaf's issuer. */
struct advice {
    const char *reason, *text;
};

static const struct advice ADVICE[] = {
    { "scope-unknown", "Give the device this server's ID scope: berth instance show." },
    { "registration-id-invalid", "Use up to 128 of A-Z a-z 0-9 - . _ : as registration ID, ending "
                                 "in a letter, digit or '-'." },
    { "client-certificate-missing", "Let the device present its certificate in the TLS handshake, "
                                    "or a shared access signature." },
    { "token-bad-signature",
      "Sign with the device's own key. In a group that is the one derived from the group's key and "
      "the registration ID, never the group's key itself:\n"
      "    berth enrollment-group compute-device-key GROUP --registration-id {id}\n"
      "  or enroll this device alone:\n"
      "    berth enrollment create {id} --attestation-type symmetrickey" },
    { "token-expired", "Sign a fresh token, and check the device's clock." },
    { "token-scope", "Sign for the resource ID-SCOPE/registrations/{id}." },
    { "common-name-mismatch",
      "Register with the certificate's common name as registration ID, or issue a certificate for "
      "'{id}': berth ca create-device {id} …" },
    { "certificate-mismatch",
      "If this certificate is the device's new one: berth enrollment update {id} "
      "--certificate-path FILE. If it is not: the device has a wrong or stolen name." },
    { "certificate-unreadable", "Issue a certificate with a P-256, P-384 or RSA key." },
    { "issuer-unknown",
      "If the device is yours, let an enrollment trust its issuer '{issuer}':\n"
      "    berth enrollment-group create GROUP --certificate-path ISSUER.pem\n"
      "  or enroll this device alone:\n"
      "    berth enrollment create {id} --certificate-path LEAF.pem\n"
      "  If a group trusts a CA further up, let the device send the intermediates, or upload them: "
      "berth certificate create NAME --path INTERMEDIATE.pem" },
    { "certificate-expired", "Issue the device a new certificate, and check its and our clock." },
    { "certificate-not-yet-valid", "Check the clocks of the issuer, the device and this server." },
    { "issuer-expired",
      "Renew the CA certificate that has expired, and update the enrollment or the upload." },
    { "certificate-wrong-purpose",
      "Issue a certificate whose extended key usage has clientAuth (or none), by a CA with CA:TRUE "
      "and keyCertSign." },
    { "path-too-long", "Let the enrollment trust an intermediate nearer to the device." },
    { "certificate-bad-signature",
      "The certificate names our CA but was not signed by its key: look for a second CA of the "
      "same name, or a forgery." },
    { "path-invalid", "See the words beside the enrollment above." },
    { "ca-not-verified",
      "Prove possession of the CA's key: berth certificate verify NAME --ca-cert FILE --ca-key "
      "FILE" },
    { "ca-missing",
      "Upload the CA the enrollment names (berth certificate create NAME --path FILE), or point "
      "the enrollment at another one." },
    { "attestation-mismatch",
      "Let the device prove itself as the enrollment '{ca}' wants, or change the enrollment." },
    { "enrollment-disabled",
      "Enable it again: berth enrollment-group update {ca} --provisioning-status enabled (or berth "
      "enrollment update {ca} …)." },
    { "hub-not-found",
      "Link a hub (berth hub create NAME --host-name HOST), or correct the enrollment's hubs." },
    { "hub-draining", "Link another hub for it (berth linked-hub create), or end the drain of one: "
                      "berth linked-hub "
                      "list." },
    { "tpm-evidence-missing",
      "Let the device register over HTTPS and send its TPM's keys: berth device simulate --tpm "
      "shows how. Or change the enrollment, if it is no TPM." },
    { "tpm-key-malformed",
      "Send both keys as base64 of TPM2B_PUBLIC: RSA-2048 keys of the TCG's templates "
      "(tpm2_createek -G rsa; berth tpm show)." },
    { "endorsement-key-mismatch",
      "If the device has a new TPM, enroll its key (berth tpm show on the device, then berth "
      "enrollment update {id}). If it has not: another TPM uses its name." },
    { "storage-root-key-mismatch",
      "If the TPM was cleared on purpose, enroll its new storage root key, or none: berth "
      "enrollment update {id}." },
    { "endorsement-certificate-missing",
      "Let the device send the certificate of its endorsement key, so that a group that trusts "
      "its TPM's manufacturer is found; or enroll this TPM alone." },
    { "endorsement-certificate-mismatch",
      "Let the device send the certificate of the endorsement key it uses: a TPM may hold several "
      "(RSA and elliptic curve)." },
    { "tpm-registration-id-mismatch",
      "Leave the registration ID to the device's SDK (berth tpm show prints it), or enroll this "
      "TPM alone as '{id}'." },
    { "tpm-challenged",
      "Nothing went wrong yet: the device is to come back with a token signed by the key it was "
      "sent. If it never does, look at its own log: its TPM could not load the key." },
    { "tpm-challenge-missing", "Let the device ask without a token first." },
    { "tpm-challenge-expired", "Let the device ask without a token again, and answer at once." },
    { "tpm-challenge-used",
      "Let the device ask without a token before each registration. If it is not the device: "
      "somebody replays what it once sent." },
    { "tpm-key-unproven",
      "The device's TPM must be the one whose keys it sent. If it is, what it was sent was changed "
      "on the way." },
    { "custom-allocation-failed",
      "See the transcript above; berth allocation test replays it against a changed rule." },
    { NULL, NULL },
};

/* What differs when the device proves itself by a TPM. */
static const struct advice ADVICE_TPM[] = {
    { "issuer-unknown",
      "If the device is yours, let a group trust its TPM's manufacturer '{issuer}':\n"
      "    berth enrollment-group create GROUP --attestation-type tpm --certificate-path "
      "ISSUER.pem\n"
      "  or enroll this TPM alone, by the key that berth tpm show prints on the device:\n"
      "    berth enrollment create {id} --endorsement-key KEY\n"
      "  If a group trusts a CA further up, let the device send the intermediates "
      "(--endorsement-certificates), or upload them: berth certificate create NAME --path "
      "INTERMEDIATE.pem" },
    { NULL, NULL },
};

static const struct view_column CONSIDERED[] = {
    { "KIND", "kind" },
    { "ID", "id" },
    { "ANCHOR", "anchor.subject" },
    { "FROM", "anchor.source" },
    { "OUTCOME", "outcome" },
    { "WHY", "why" },
    { NULL, NULL },
};

static struct span text(struct cli *cli, const json *d, const char *path)
{
    return berth_view_text(cli, d, path);
}

static void line(struct cli *cli, const json *d, const char *title, const char *path)
{
    struct span value = text(cli, d, path);

    if (value.len > 0) {
        (void)printf("  %-12s %.*s\n", title, SPAN_FMT(value));
    }
}

static void print_headline(struct cli *cli, const json *d, bool is_granted, bool is_dry_run)
{
    struct span id = text(cli, d, "registrationId"), reason = text(cli, d, "reason");
    const char *verb = is_dry_run ? (is_granted ? "would be ADMITTED" : "would be REFUSED")
                                  : (is_granted ? "was ADMITTED" : "was REFUSED");

    (void)printf("Device '%.*s' %s", SPAN_FMT(id), verb);
    if (!is_granted) {
        struct span code = text(cli, d, "errorCode");

        (void)printf(": %.*s", SPAN_FMT(reason));
        if (code.len > 1) { /* 0 is none */
            (void)printf(" (%.*s)", SPAN_FMT(code));
        }
    }
    (void)puts(".");
}

static void print_certificates(struct cli *cli, const json *d)
{
    const json *chain = json_member(json_member(d, "certificate"), "chain");

    for (size_t i = 0; i < json_array_len(chain); i++) {
        const json *c = json_array_at(chain, i);

        (void)printf("  %-12s %.*s\n", i == 0 ? "certificate" : "",
                     SPAN_FMT(text(cli, c, "subject")));
        (void)printf("  %-12s issued by %.*s, valid %.*s to %.*s\n", "",
                     SPAN_FMT(text(cli, c, "issuer")), SPAN_FMT(text(cli, c, "notBeforeUtc")),
                     SPAN_FMT(text(cli, c, "notAfterUtc")));
        (void)printf("  %-12s SHA-256 %.*s\n", "", SPAN_FMT(text(cli, c, "sha256Thumbprint")));
    }
}

/* Nothing: there is none. */
static struct span find_advice(const struct advice *all, struct span reason)
{
    for (; all->reason != NULL; all++) {
        if (span_eq(reason, span_str(all->reason))) {
            return span_str(all->text);
        }
    }
    return SPAN_NONE;
}

/* What `why` and `fallback` of an allocation mean (doc/wire/manage.md). */
static const struct advice ALLOCATION_WORDS[] = {
    { "never-moves", "it stays where it is, as its reprovision policy says" },
    { "all-draining", "every hub that may take it is draining" },
    { "hub-down", "the hub picked does not answer, so the device stays where it is" },
    { "none-linked", "no hub that may take it is linked" },
    { "not-one-named", "static takes an enrollment that names exactly one hub" },
    { "no-database", "as by hashed: the server has no geo-database" },
    { "address-unknown", "as by hashed: the geo-database has no place for the device's address" },
    { "no-coordinates", "as by hashed: no hub that may take it has coordinates" },
    { NULL, NULL },
};

static void print_word(struct cli *cli, const json *d, const char *path)
{
    struct span word = text(cli, d, path);
    struct span meaning = find_advice(ALLOCATION_WORDS, word);

    if (word.len > 0) {
        (void)printf("  %-12s %.*s\n", "because", SPAN_FMT(meaning.len > 0 ? meaning : word));
    }
}

static void print_allocation(struct cli *cli, const json *d)
{
    struct span policy = text(cli, d, "allocation.policy"),
                km = text(cli, d, "allocation.distanceKm");
    struct span candidates = text(cli, d, "allocation.candidates");
    struct span draining = text(cli, d, "allocation.draining");

    if (policy.len == 0 || span_eq(policy, SPAN("custom"))) { /* that has a transcript */
        return;
    }
    (void)printf("  %-12s %.*s, of the %.*s", "policy", SPAN_FMT(policy),
                 SPAN_FMT(text(cli, d, "allocation.from")));
    if (candidates.len > 0) {
        (void)printf("; candidates: %.*s", SPAN_FMT(candidates));
    }
    if (draining.len > 0) {
        (void)printf(", %.*s of them draining", SPAN_FMT(draining));
    }
    (void)putchar('\n');
    print_word(cli, d, "allocation.why");
    print_word(cli, d, "allocation.fallback");
    if (text(cli, d, "allocation.latitude").len > 0) {
        (void)printf("  %-12s %.*s, %.*s", "device at",
                     SPAN_FMT(text(cli, d, "allocation.latitude")),
                     SPAN_FMT(text(cli, d, "allocation.longitude")));
        if (km.len > 0) {
            (void)printf(": %.*s km from the hub", SPAN_FMT(km));
        }
        (void)putchar('\n');
    }
}

static err print_considered(struct cli *cli, const json *d)
{
    const json *considered = json_member(d, "considered");
    struct view_list list;

    if (json_array_len(considered) == 0) {
        (void)puts("\nNo enrollment was considered.");
        return OK;
    }
    (void)puts("\nConsidered, in this order");
    berth_view_begin(&list, cli, CONSIDERED);
    TRY(berth_view_add(&list, considered));
    berth_view_end(&list, "enrollments");
    return OK;
}

static void print_advice(struct cli *cli, const json *d)
{
    struct span reason = text(cli, d, "reason");
    const json *leaf = json_array_at(json_member(json_member(d, "certificate"), "chain"), 0);
    bool is_tpm = json_member(json_member(d, "certificate"), "tpm") != NULL;
    const struct {
        struct span name, value;
    } words[] = {
        { SPAN("{id}"), text(cli, d, "registrationId") },
        { SPAN("{ca}"), text(cli, d, "enrollment.id") },
        { SPAN("{issuer}"), text(cli, leaf, "issuer") },
    };
    struct span rest = SPAN_NONE;

    if (is_tpm) {
        rest = find_advice(ADVICE_TPM, reason);
    }
    if (rest.len == 0) {
        rest = find_advice(ADVICE, reason);
    }
    if (rest.len == 0) {
        return;
    }
    (void)fputs("\nTo be admitted\n  ", stdout);
    while (rest.len > 0) {
        size_t taken = 1, w = 0;

        while (w < 3 && !span_starts_with(rest, words[w].name)) {
            w++;
        }
        if (w < 3) {
            (void)printf("%.*s", SPAN_FMT(words[w].value));
            taken = words[w].name.len;
        } else {
            (void)putchar(rest.data[0]);
        }
        rest = span_from(rest, taken);
    }
    (void)putchar('\n');
}

/* What a rule or a webhook was asked, and said. */
static void print_transcript(struct cli *cli, const json *d)
{
    const json *a = json_member(d, "allocation");
    const json *log = json_member(a, "log");
    struct span took = text(cli, a, "durationMicroseconds");

    if (json_member(a, "kind") == NULL) {
        return;
    }
    (void)printf("\nAllocated by a %.*s\n", SPAN_FMT(text(cli, a, "kind")));
    line(cli, a, "URL", "url");
    line(cli, a, "tries", "tries");
    line(cli, a, "error", "error");
    line(cli, a, "answer", "answer");
    line(cli, a, "answer", "answerText");
    for (size_t i = 0; i < json_array_len(log); i++) {
        struct span said = json_text(json_array_at(log, i));

        (void)printf("  %-12s %.*s\n", i == 0 ? "log" : "", SPAN_FMT(said));
    }
    if (took.len > 0) {
        (void)printf("  %-12s %.*s us\n", "took", SPAN_FMT(took));
    }
    line(cli, a, "asked", "request.deviceRuntimeContext");
    line(cli, a, "offered", "request.linkedHubs");
}

static err print_decision(struct cli *cli, const json *d, bool is_dry_run)
{
    bool is_granted = span_eq(text(cli, d, "outcome"), SPAN("granted"));

    print_headline(cli, d, is_granted, is_dry_run);
    line(cli, d, "meaning", "meaning");
    line(cli, d, "told", is_granted ? "" : "message");
    line(cli, d, "when", "timeUtc");
    line(cli, d, "operation", "operation");
    line(cli, d, "from", "peer");
    line(cli, d, "transport", "transport");
    line(cli, d, "ID scope", "idScope");
    line(cli, d, "decided by", "enrollment.kind");
    line(cli, d, "enrollment", "enrollment.id");
    line(cli, d, "hub", "hub");
    print_allocation(cli, d);
    line(cli, d, "device ID", "deviceId");
    line(cli, d, "tracking ID", "trackingId");
    line(cli, d, "TPM", "certificate.tpm.endorsementKeySha256");
    line(cli, d, "below it", "certificate.tpm.storageRootKeySha256");
    print_certificates(cli, d);
    TRY(print_considered(cli, d));
    print_transcript(cli, d);
    if (!is_granted) {
        print_advice(cli, d);
    }
    return OK;
}

static err show(struct cli *cli, const json *decision, bool is_dry_run)
{
    if (is_dry_run && !span_eq(text(cli, decision, "outcome"), SPAN("granted"))) {
        cli->exit_status = BERTH_EXIT_REFUSED;
    }
    return cli->is_json ? berth_view_json(cli, decision)
                        : print_decision(cli, decision, is_dry_run);
}

/* --- Where decisions come from. ------------------------------------------------------------ */

static err explain_file(struct cli *cli, const struct endpoint *service, const char *path)
{
    const char *chain_path = berth_cli_text(cli, "chain");
    struct http_request request = { .method = "POST",
                                    .path = "/berth/v1/explain",
                                    .what = berth_cli_printf(cli, "explaining %s", path) };
    struct span leaf, chain = SPAN_NONE;
    struct json_writer w;
    struct buf body;
    json *decision = NULL;

    TRY(berth_pem_read(cli, path, &leaf));
    if (chain_path != NULL) {
        TRY(berth_pem_read(cli, chain_path, &chain));
        leaf = span_str(berth_cli_printf(cli, "%.*s\n%.*s", SPAN_FMT(leaf), SPAN_FMT(chain)));
    }
    body = arena_buf(&cli->arena);
    w = json_writer_over(&body);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "certificate", leaf);
    json_write_end_object(&w);
    TRY(arena_buf_end(&cli->arena, &body, &request.body));
    TRY(berth_http_json(cli, service, &request, &decision));
    return show(cli, decision, true);
}

static err explain_tracking_id(struct cli *cli, const struct endpoint *service, const char *id)
{
    struct http_request request = {
        .method = "GET",
        .path = berth_cli_printf(cli, "/berth/v1/decisions/%s", berth_http_escape(cli, id)),
        .what = berth_cli_printf(cli, "tracking ID %s", id),
    };
    json *decision = NULL;

    TRY(berth_http_json(cli, service, &request, &decision));
    return show(cli, decision, false);
}

static err explain_registration(struct cli *cli, const struct endpoint *service, const char *id)
{
    struct http_request request = {
        .method = "GET",
        .path = berth_cli_printf(cli, "/berth/v1/decisions?registrationId=%s&top=%lld",
                                 berth_http_escape(cli, id),
                                 (long long)berth_options_int(&cli->options, "top")),
        .what = berth_cli_printf(cli, "decisions on '%s'", id),
    };
    json *document = NULL;
    const json *list;

    TRY(berth_http_json(cli, service, &request, &document));
    list = json_member(document, "value");
    if (json_array_len(list) == 0) {
        return err_set(ERR_NOT_FOUND, "no device named '%s' has asked for anything", id);
    }
    for (size_t i = 0; i < json_array_len(list); i++) {
        (void)fputs(i > 0 && !cli->is_json ? "\n" : "", stdout);
        TRY(show(cli, json_array_at(list, i), false));
    }
    return OK;
}

err berth_explain_run(struct cli *cli)
{
    const char *subject = berth_cli_text(cli, "subject");
    struct endpoint service;
    err e;

    TRY(berth_cli_service(cli, &service));
    if (berth_file_exists(subject)) {
        return explain_file(cli, &service, subject);
    }
    if (span_ends_with(span_str(subject), SPAN(".pem"))) {
        return err_set(ERR_NOT_FOUND, "there is no file %s", subject);
    }
    if (strlen(subject) != GUID_LEN) {
        return explain_registration(cli, &service, subject);
    }
    e = explain_tracking_id(cli, &service, subject);
    return err_is(e, ERR_NOT_FOUND) ? explain_registration(cli, &service, subject) : e;
}
