/* cmd/init.c: instance, server's login and hub, made and told. Each is told of before the next is
 * made: should that fail, no login is lost, and `berth hub create` makes up for the hub. */
#include "cmd/init.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/file.h"
#include "cmd/seal.h"
#include "cmd/setup.h"
#include "hub/hub.h"
#include "store/store.h"

AUTO_DEFINE(store, struct store *, store_close)

/* What root makes in the server's directory, the server's user could not open. */
static err check_owner(const char *dir)
{
    struct stat s;
    const struct passwd *user;

    if (stat(dir, &s) != 0) {
        return err_set(ERR_IO, "%s: %s", dir, strerror(errno));
    }
    if (s.st_uid == geteuid()) {
        return OK;
    }
    user = getpwuid(s.st_uid);
    return user == NULL
               ? err_set(ERR_DENIED, "%s belongs to another user: run this as that user", dir)
               : err_set(ERR_DENIED, "%s belongs to the user %s: sudo -u %s berthd init …", dir,
                         user->pw_name, user->pw_name);
}

static err open_store(const struct config *c, struct store **ret_store)
{
    err e;

    TRY(file_make_dir(c->data));
    TRY(check_owner(c->data));
    e = store_sqlite_open(c->store, 1, ret_store);
    return err_is(e, ERR_BUSY)
               ? err_set(ERR_BUSY, "%s is open in a running berthd: stop that first", c->store)
               : e;
}

static err must_be_new(const struct env *env, const struct config *c)
{
    struct instance instance;
    struct hub hub;
    bool is_found = false;

    TRY(core_instance_find_by_name(env, span_str(c->init_name), &instance, &is_found));
    if (is_found && !span_eq_nocase(instance.host_name, span_str(c->init_host_name))) {
        return err_set(ERR_EXISTS, "%s is the name of another provisioning service: %.*s",
                       c->init_name, SPAN_FMT(instance.host_name));
    }
    TRY(core_instance_find_by_host(env, span_str(c->init_host_name), &instance, &is_found));
    if (is_found) {
        return err_set(ERR_EXISTS, "%s is there already: %.*s, ID scope %.*s", c->init_host_name,
                       SPAN_FMT(instance.name), SPAN_FMT(instance.id_scope));
    }
    if (*c->init_hub_name == '\0') {
        return OK;
    }
    TRY(hub_find(env, span_str(c->init_hub_host_name), &hub, &is_found));
    return is_found ? err_set(ERR_EXISTS, "%s is a hub already: %.*s", c->init_hub_host_name,
                              SPAN_FMT(hub.name))
                    : OK;
}

static err tell(FILE *out)
{
    return fflush(out) == 0 ? OK : err_set(ERR_IO, "the output cannot be written");
}

static err make_instance(const struct env *env, const struct config *c, FILE *out,
                         struct instance *ret_instance)
{
    struct verdict v = VERDICT(GRANTED);
    struct span login;

    (void)fprintf(out, "Provisioning service %s\n", c->init_name);
    TRY(tell(out)); /* nothing is made that could not be told of */
    TRY(core_instance_create(env, span_str(c->init_name), span_str(c->init_host_name), ret_instance,
                             &v));
    TRY(setup_granted("The provisioning service", v));
    TRY(setup_login(env, POLICY_OF_INSTANCE, ret_instance->id_scope, ret_instance->host_name,
                    &login));
    (void)fprintf(out,
                  "  ID scope           %.*s\n"
                  "  connection string  %.*s\n",
                  SPAN_FMT(ret_instance->id_scope), SPAN_FMT(login));
    return tell(out);
}

static err make_hub(const struct env *env, const struct config *c, FILE *out,
                    const struct instance *instance)
{
    struct hub hub = { 0 };
    struct span login;

    TRY(setup_hub(env, instance->id_scope, span_str(c->init_hub_name),
                  span_str(c->init_hub_host_name), &hub));
    TRY(setup_login(env, POLICY_OF_HUB, hub.host_name, hub.host_name, &login));
    (void)fprintf(out,
                  "Hub %s, linked to it\n"
                  "  host name          %.*s\n"
                  "  connection string  %.*s\n",
                  c->init_hub_name, SPAN_FMT(hub.host_name), SPAN_FMT(login));
    return tell(out);
}

static void tell_of_seal(enum config_log_level level, const char *event, const char *text)
{
    (void)level;
    (void)event;
    (void)puts(text);
}

/* Told once in the server's life: it is there from then on. */
static err make_server_login(const struct env *env, FILE *out, const struct instance *instance)
{
    struct span login;
    bool is_new;

    TRY(setup_server_login(env, instance->host_name, &login, &is_new));
    if (is_new) {
        (void)fprintf(out,
                      "The server itself: whoever has this may make and delete provisioning "
                      "services\n"
                      "  connection string  %.*s\n",
                      SPAN_FMT(login));
    }
    return tell(out);
}

err init_run(const struct config *c, FILE *out)
{
    AUTO(seal) struct seal *seal = NULL; /* goes after the store */
    AUTO(store) struct store *store = NULL;
    AUTO(setup) struct setup *s = NULL;
    struct instance instance = { 0 };

    TRY(open_store(c, &store));
    TRY(seal_open(c, store, tell_of_seal, &seal));
    TRY(setup_open(store, &s));
    TRY(must_be_new(&s->env, c));
    TRY(make_instance(&s->env, c, out, &instance));
    TRY(make_server_login(&s->env, out, &instance));
    if (*c->init_hub_name != '\0') {
        TRY(make_hub(&s->env, c, out, &instance));
    }
    (void)fprintf(out, "Keep the connection strings: they hold keys, and are not shown again.\n"
                       "The server's certificate must be valid for each host name.\n");
    return tell(out);
}
