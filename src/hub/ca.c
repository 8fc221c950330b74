/* hub/ca.c: is this leaf the identity's, by a CA of the hub? Its common name must be the client ID;
 * whether a path leads to a CA is attest/path.c's. A hub has few CAs, so all are read; those that
 * names lead to from the leaf, over what was sent and what is stored, are tried. */
#include "hub/ca.h"

#include "attest/path.h"
#include "crypto/cert_cache.h"
#include "model/limits.h"
#include "json/writer.h"

enum { KNOWN_MAX = LIMIT_CHAIN_CERTIFICATES + LIMIT_HUB_CERTIFICATES };

struct judging {
    const struct env *env;
    const struct hub_ca *ca;
    struct crypto_cert *kept[LIMIT_HUB_CERTIFICATES]; /* the hub's CAs, parsed; ours to give back */
    size_t n_kept;
    struct crypto_cert *known[KNOWN_MAX]; /* what was sent, then the CAs */
    bool is_reached[KNOWN_MAX];
    size_t n_known;
    struct attest_anchor anchors[LIMIT_HUB_CERTIFICATES];
    size_t row_of[LIMIT_HUB_CERTIFICATES]; /* of each anchor */
    size_t n_anchors;
};

static void done(struct judging *j)
{
    for (size_t i = 0; i < j->n_kept; i++) {
        crypto_x509_free(j->kept[i]);
    }
}

static inline void auto_judging(struct judging *j)
{
    done(j);
}

err hub_ca_read(struct store_tx *tx, struct span hub, struct arena *arena, struct hub_ca *ret_ca)
{
    struct certificate prefix = { .id_scope = hub };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 1, .limit = LIMIT_HUB_CERTIFICATES };

    return store_scan(tx, &KIND_CERTIFICATE, &scan, arena, &ret_ca->rows, &ret_ca->n);
}

static err gather(struct judging *j, const struct hub_ca_claim *claim)
{
    for (size_t i = 0; i < claim->n_chain; i++) {
        j->known[j->n_known++] = claim->chain[i];
    }
    for (size_t i = 0; i < j->ca->n; i++) {
        const struct certificate *row = &j->ca->rows[i];
        struct crypto_cert *cert;
        err e = crypto_cert_cache_get(j->env->certs, row->sha256, row->der, &cert);

        if (err_is(e, ERR_MALFORMED)) {
            return err_set(ERR_CORRUPT, "a stored CA certificate cannot be parsed");
        }
        TRY(e);
        j->known[j->n_known++] = j->kept[j->n_kept++] = crypto_x509_ref(cert);
    }
    return OK;
}

/* Upward from the leaf, by names. Each is reached once, so loops end. */
static void reach(struct judging *j)
{
    size_t queue[KNOWN_MAX] = { 0 };
    size_t n = 1;

    j->is_reached[0] = true;
    for (size_t at = 0; at < n; at++) {
        for (size_t i = 0; i < j->n_known; i++) {
            if (!j->is_reached[i] &&
                crypto_x509_may_have_issued(j->known[i], j->known[queue[at]])) {
                j->is_reached[i] = true;
                queue[n++] = i;
            }
        }
    }
}

static void pick_anchors(struct judging *j)
{
    size_t n_sent = j->n_known - j->n_kept;

    for (size_t i = 0; i < j->n_kept; i++) {
        if (j->is_reached[n_sent + i]) {
            const struct certificate *row = &j->ca->rows[i];

            j->row_of[j->n_anchors] = i;
            j->anchors[j->n_anchors++] = (struct attest_anchor){ .cert = j->kept[i],
                                                                 .sha256 = row->sha256,
                                                                 .usable = row->is_verified != 0,
                                                                 .source = "uploaded certificate" };
        }
    }
}

static err describe(const struct judging *j, const struct attest_judgement *judged,
                    struct span *ret_considered)
{
    struct arena *arena = j->env->arena;
    const struct attest_anchor *anchor = judged->anchor;
    struct buf text = arena_buf(arena);
    struct json_writer w = json_writer_over(&text);

    json_write_begin_array(&w, NULL);
    if (anchor != NULL) {
        const struct certificate *row = &j->ca->rows[j->row_of[anchor - j->anchors]];

        json_write_begin_object(&w, NULL);
        json_write_str(&w, "kind", "certificate");
        json_write_text(&w, "id", row->name);
        json_write_begin_object(&w, "anchor");
        json_write_text(&w, "subject", row->subject);
        json_write_hex_upper(&w, "sha256Thumbprint", anchor->sha256);
        json_write_str(&w, "source", anchor->source);
        json_write_end_object(&w);
        json_write_str(&w, "outcome", reason_info(judged->verdict.reason)->token);
        json_write_text_if(&w, "why", span_str(judged->why));
        json_write_end_object(&w);
    }
    json_write_end_array(&w);
    return arena_buf_end(arena, &text, ret_considered);
}

/* Case matters, unlike in provisioning. */
static bool is_named(const struct crypto_cert *leaf, struct span client_id)
{
    uint8_t room[LIMIT_CLIENT_ID];
    struct buf name = buf_over(room, sizeof room);

    return err_is_ok(crypto_x509_common_name(leaf, &name)) && span_eq(buf_span(&name), client_id);
}

err hub_ca_judge(const struct env *env, const struct hub_ca *ca, const struct hub_ca_claim *claim,
                 struct verdict *ret_verdict, struct span *ret_considered)
{
    AUTO(judging) struct judging j = { .env = env, .ca = ca };
    const struct attest_leaf leaf = { claim->chain[0], CRYPTO_PURPOSE_CLIENT };
    struct attest_trust trust = { .anchors = j.anchors };
    struct attest_judgement judged;

    if (!is_named(claim->chain[0], claim->client_id)) {
        *ret_verdict = VERDICT(IDENTITY_NAME_MISMATCH);
        return OK;
    }
    TRY(gather(&j, claim));
    reach(&j);
    pick_anchors(&j);
    trust.n_anchors = j.n_anchors;
    trust.intermediates = j.known + 1; /* all but the leaf */
    trust.n_intermediates = j.n_known - 1;
    attest_path_judge(env, &leaf, &trust, &judged);
    *ret_verdict = judged.verdict;
    return describe(&j, &judged, ret_considered);
}
