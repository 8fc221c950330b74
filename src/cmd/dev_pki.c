/* cmd/dev_pki.c: key and certificate files. A key is written before its certificate, so that a
 * start that was cut off leaves at most a key without a certificate, which is taken up again. */
#include "cmd/dev_pki.h"

#include <stdio.h>

#include "ca/profile.h"
#include "cmd/file.h"
#include "model/limits.h"

static const int64_t RENEW_BEFORE_MS = 30LL * 86400 * 1000;

struct pair {
    struct crypto_key *key;
    struct crypto_cert *cert;
};

static void pair_done(struct pair *p)
{
    crypto_x509_free(p->cert);
    crypto_key_free(p->key);
    *p = (struct pair){ 0 };
}

struct maker {
    struct crypto *c;
    struct arena *arena;
    int64_t now_ms;
};

/* ---- names ---- */

void dev_names_add(struct dev_names *n, const char *kind, struct span name)
{
    uint8_t memory[LIMIT_HOST_NAME + 16];
    struct buf entry = buf_over(memory, sizeof(memory));
    struct span rest = buf_span(&n->text);

    buf_printf(&entry, "%s:%.*s", kind, SPAN_FMT(name));
    while (n->text.len > 0 && !span_is_absent(rest)) {
        if (span_eq(span_cut(&rest, ','), buf_span(&entry))) {
            return;
        }
    }
    buf_add_str(&n->text, n->text.len > 0 ? "," : "");
    buf_add(&n->text, buf_span(&entry));
}

/* ---- files ---- */

static err read_key(const struct maker *m, const char *path, struct crypto_key **ret_key)
{
    struct span pem;
    err e;

    TRY(file_read(path, LIMIT_PEM_FILE, m->arena, &pem));
    e = crypto_key_decode_pem(m->c, pem, ret_key);
    return err_is_ok(e) ? OK : err_set(ERR_CORRUPT, "%s: not a private key", path);
}

static err write_key(const struct maker *m, const char *path, const struct crypto_key *key)
{
    struct buf pem = arena_buf(m->arena);
    err e;

    TRY(crypto_key_encode_pem(key, &pem));
    e = file_write(path, buf_span(&pem), 0600);
    crypto_wipe(pem.data, pem.len);
    return e;
}

static err find_or_make_key(const struct maker *m, const char *path, struct crypto_key **ret_key)
{
    err e = read_key(m, path, ret_key);

    if (!err_is(e, ERR_NOT_FOUND)) {
        return e;
    }
    TRY(crypto_key_generate(m->c, CRYPTO_KEY_EC_P256, ret_key));
    return write_key(m, path, *ret_key);
}

static err read_cert(const struct maker *m, const char *path, struct crypto_cert **ret_cert)
{
    struct span pem;
    err e;

    TRY(file_read(path, LIMIT_PEM_FILE, m->arena, &pem));
    e = crypto_x509_decode_any(m->c, pem, ret_cert);
    return err_is_ok(e) ? OK : err_set(ERR_CORRUPT, "%s: not a certificate", path);
}

/* `issuer` NULL: none behind it. */
static err write_cert(const struct maker *m, const char *path, const struct crypto_cert *cert)
{
    struct buf pem = arena_buf(m->arena);

    TRY(crypto_x509_encode_pem(cert, &pem));
    return file_write(path, buf_span(&pem), 0644);
}

/* ---- certificates ---- */

static struct ca_request request(const struct maker *m, enum ca_profile profile, const char *name)
{
    struct ca_request r = { .profile = profile, .common_name = name, .now_ms = m->now_ms };

    crypto_random(r.serial, sizeof(r.serial));
    return r;
}

static err open_ca(const struct maker *m, const char *name, const char *cert_path,
                   const char *key_path, struct pair *ret)
{
    err e = read_cert(m, cert_path, &ret->cert);

    if (err_is_ok(e)) {
        TRY(read_key(m, key_path, &ret->key));
        return crypto_key_matches(ret->key, ret->cert)
                   ? OK
                   : err_set(ERR_CORRUPT, "%s: not the private key of %s", key_path, cert_path);
    }
    if (!err_is(e, ERR_NOT_FOUND)) {
        return e;
    }
    TRY(find_or_make_key(m, key_path, &ret->key));
    struct ca_request r = request(m, CA_PROFILE_ROOT, name);
    r.subject_key = ret->key;
    TRY(ca_profile_issue(m->c, &r, &ret->cert));
    return write_cert(m, cert_path, ret->cert);
}

/* Is the server's certificate good for these names and for some time? */
static bool is_server_cert_good(const struct maker *m, const struct dev_pki *pki,
                                const struct pair *ca, struct span names)
{
    struct pair server = { 0 };
    struct crypto_x509_info info = { 0 };
    struct span stored = SPAN_NONE;
    bool is_good = err_is_ok(read_cert(m, pki->server_cert, &server.cert)) &&
                   err_is_ok(read_key(m, pki->server_key, &server.key)) &&
                   err_is_ok(file_read(pki->server_names, LIMIT_PEM_FILE, m->arena, &stored)) &&
                   err_is_ok(crypto_x509_info(server.cert, &info)) &&
                   span_eq(span_trim(stored), names) &&
                   info.not_after_ms - m->now_ms > RENEW_BEFORE_MS &&
                   crypto_key_matches(server.key, server.cert) &&
                   crypto_x509_is_signed_by(m->c, server.cert, ca->cert);

    pair_done(&server);
    return is_good;
}

static err issue_server_cert(const struct maker *m, const struct dev_pki *pki,
                             const struct pair *ca, struct span names, struct pair *ret)
{
    struct ca_request r = request(m, CA_PROFILE_SERVER, "berthd");

    r.subject_alt_name = arena_cstr(m->arena, names);
    if (r.subject_alt_name == NULL) {
        return ERR(NOMEM);
    }
    TRY(crypto_key_generate(m->c, CRYPTO_KEY_EC_P256, &ret->key));
    r.subject_key = ret->key;
    r.issuer = ca->cert;
    r.issuer_key = ca->key;
    TRY(ca_profile_issue(m->c, &r, &ret->cert));
    TRY(write_key(m, pki->server_key, ret->key));
    TRY(write_cert(m, pki->server_cert, ret->cert));
    return file_write(pki->server_names, names, 0644);
}

static err open_server(const struct maker *m, const struct dev_pki *pki, struct span names)
{
    struct pair ca = { 0 }, server = { 0 };
    err e = open_ca(m, "Berth dev server CA", pki->server_ca_cert, pki->server_ca_key, &ca);

    if (err_is_ok(e) && !is_server_cert_good(m, pki, &ca, names)) {
        e = issue_server_cert(m, pki, &ca, names, &server);
    }
    pair_done(&server);
    pair_done(&ca);
    return e;
}

static err open_devices(const struct maker *m, struct dev_pki *pki)
{
    struct pair ca = { 0 };
    err e = open_ca(m, "Berth dev device CA", pki->device_ca_cert, pki->device_ca_key, &ca);
    struct buf der = arena_buf(m->arena);

    if (err_is_ok(e)) {
        e = crypto_x509_encode(ca.cert, &der);
    }
    if (err_is_ok(e)) {
        e = arena_buf_end(m->arena, &der, &pki->device_ca_der);
    }
    pair_done(&ca);
    return e;
}

static bool set_path(char ret_path[PATH_MAX], const char *dir, const char *name)
{
    return snprintf(ret_path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX;
}

err dev_pki_open(struct crypto *c, const char *dir, struct span names, int64_t now_ms,
                 struct arena *arena, struct dev_pki *ret_pki)
{
    const struct maker m = { c, arena, now_ms };

    if (!set_path(ret_pki->server_ca_cert, dir, "server-ca.pem") ||
        !set_path(ret_pki->server_ca_key, dir, "server-ca-key.pem") ||
        !set_path(ret_pki->server_cert, dir, "server.pem") ||
        !set_path(ret_pki->server_key, dir, "server-key.pem") ||
        !set_path(ret_pki->server_names, dir, "server-names.txt") ||
        !set_path(ret_pki->device_ca_cert, dir, "device-ca.pem") ||
        !set_path(ret_pki->device_ca_key, dir, "device-ca-key.pem")) {
        return err_set(ERR_IO, "%.100s…: the path is too long", dir);
    }
    TRY(open_server(&m, ret_pki, names));
    return open_devices(&m, ret_pki);
}
