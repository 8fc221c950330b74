/* rule/rule.c: one run from script and request to answer. What a script may use is library.c's,
 * what it may spend state.c's. */
#include "rule/rule.h"

#include <string.h>

#include "rule/state.h"
#include "json/json.h"
#include "json/writer.h"

/* What the protected call is about. */
struct running {
    struct rule_state *state;
    const json *request;
    struct buf *out;
};

/* The name that stands before line numbers: "rule:3: …". */
#define CHUNK_NAME "=rule"

static void compile(lua_State *lua, struct span source)
{
    int status = luaL_loadbufferx(lua, span_is_empty(source) ? "" : (const char *)source.data,
                                  source.len, CHUNK_NAME, "t");

    if (status != LUA_OK) {
        (void)lua_error(lua);
    }
}

/* A host name, or one of request.hubs: replaces the value at the top. */
static void name_hub(lua_State *lua)
{
    if (lua_istable(lua, -1)) {
        lua_getfield(lua, -1, "hostName");
        lua_remove(lua, -2);
    }
    if (lua_type(lua, -1) != LUA_TSTRING) {
        (void)luaL_error(lua, "the answer names no hub");
    }
}

static void refuse_strangers(lua_State *lua, int answer)
{
    static const char *const known[] = { "hub", "iotHubHostName", "initialTwin", "payload" };

    rule_value_push_keys(lua, answer);
    for (lua_Integer i = 1; lua_rawgeti(lua, -1, i) != LUA_TNIL; i++) {
        bool is_known = false;

        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
            is_known = is_known || (lua_type(lua, -1) == LUA_TSTRING &&
                                    strcmp(lua_tostring(lua, -1), known[k]) == 0);
        }
        if (!is_known) {
            rule_value_push_text(lua, -1);
            (void)luaL_error(lua,
                             "the answer has a member that is none of hub, initialTwin, "
                             "payload: %s",
                             lua_tostring(lua, -1));
        }
        lua_pop(lua, 1);
    }
    lua_pop(lua, 2);
}

/* The member of the answer, if it has it. */
static void write_member(lua_State *lua, int answer, const char *name, struct buf *out)
{
    lua_getfield(lua, answer, name);
    if (!lua_isnil(lua, -1)) {
        buf_printf(out, ",\"%s\":", name);
        rule_value_write(lua, -1, out);
    }
    lua_pop(lua, 1);
}

/* The value at the top: the hub alone, or a table. */
static void write_answer(lua_State *lua, struct buf *out)
{
    int answer = lua_gettop(lua);
    bool is_table = lua_istable(lua, answer);

    buf_add_str(out, "{\"iotHubHostName\":");
    if (is_table) {
        lua_getfield(lua, answer, "hostName"); /* an element of request.hubs */
        is_table = lua_isnil(lua, -1);
        lua_pop(lua, 1);
    }
    if (is_table) {
        refuse_strangers(lua, answer);
        if (lua_getfield(lua, answer, "hub") == LUA_TNIL) {
            lua_pop(lua, 1);
            lua_getfield(lua, answer, "iotHubHostName");
        }
    } else {
        lua_pushvalue(lua, answer);
    }
    name_hub(lua);
    rule_value_write(lua, -1, out);
    lua_pop(lua, 1);
    if (is_table) {
        write_member(lua, answer, "initialTwin", out);
        write_member(lua, answer, "payload", out);
    }
    buf_add_u8(out, '}');
}

/* What the script itself gives back, or its function `allocate`. */
static void call_script(lua_State *lua, int environment, int request)
{
    lua_call(lua, 0, 1);
    if (!lua_isnil(lua, -1)) {
        return;
    }
    lua_pop(lua, 1);
    if (lua_getfield(lua, environment, "allocate") != LUA_TFUNCTION) {
        (void)luaL_error(lua, "it neither returns an answer nor has a function allocate(request)");
    }
    lua_pushvalue(lua, request);
    lua_call(lua, 1, 1);
}

static int run(lua_State *lua)
{
    struct running *r = lua_touserdata(lua, 1);
    struct rule_state *s = r->state;

    rule_library_push(lua);           /* 2 */
    rule_value_push(lua, r->request); /* 3 */
    rule_library_push_hashed(lua, 3);
    lua_setfield(lua, 2, "hashed");
    lua_pushvalue(lua, 3);
    lua_setfield(lua, 2, "request");
    s->is_running = true;
    compile(lua, s->job->source); /* 4 */
    lua_pushvalue(lua, 2);
    (void)lua_setupvalue(lua, 4, 1); /* _ENV: the library, nothing else */
    call_script(lua, 2, 3);
    *r->out = arena_buf(s->arena);
    write_answer(lua, r->out);
    return 0;
}

/* The error at the top, as one bounded line. */
static err describe(struct rule_state *s, int status, struct span *ret_text)
{
    size_t len = 0;
    const char *text = NULL;

    if (status == LUA_ERRMEM) {
        text = RULE_OUT_OF_MEMORY;
    } else if (lua_type(s->lua, -1) == LUA_TSTRING) {
        text = lua_tolstring(s->lua, -1, &len);
    } else {
        text = s->stopped != NULL ? s->stopped : "it raised an error that is no text";
    }
    len = len != 0 ? len : strlen(text);
    return arena_copy(s->arena, span_of(text, len < LIMIT_RULE_ERROR ? len : LIMIT_RULE_ERROR),
                      ret_text);
}

static err write_log(struct rule_state *s, struct span *ret_log)
{
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    if (s->is_arena_full) {
        return ERR(NOMEM);
    }
    if (s->n_log == 0) {
        return OK;
    }
    out = arena_buf(s->arena);
    json_write_begin_array(&w, NULL);
    for (size_t i = 0; i < s->n_log; i++) {
        json_write_text(&w, NULL, s->log[i]);
    }
    if (s->is_log_cut) {
        json_write_str(&w, NULL, "(further lines are left out)");
    }
    json_write_end_array(&w);
    return arena_buf_end(s->arena, &out, ret_log);
}

/* The state is open; *r is complete. */
static err run_protected(struct running *r, struct rule_result *result)
{
    struct rule_state *s = r->state;
    int status;

    lua_pushcfunction(s->lua, run);
    lua_pushlightuserdata(s->lua, r);
    status = lua_pcall(s->lua, 1, 0, 0);
    if (status == LUA_OK) {
        TRY(arena_buf_end(s->arena, r->out, &result->answer));
    } else {
        TRY(describe(s, status, &result->error));
    }
    return write_log(s, &result->log);
}

err rule_run(const struct rule_job *job, struct arena *arena, struct rule_result *ret_result)
{
    AUTO(json) json *request = NULL;
    struct rule_state state;
    struct buf out = { 0 };
    struct running r = { .state = &state, .out = &out };
    struct rule_result result = { 0 };
    int64_t begun_us = job->clock_us != NULL ? job->clock_us() : 0;
    err e = json_parse(job->request, LIMIT_CUSTOM_DEPTH, &request);

    if (err_is(e, ERR_NOMEM)) {
        return e;
    }
    if (!json_is_object(request)) {
        return ERR(CORRUPT);
    }
    r.request = request;
    TRY(rule_state_open(job, arena, &state));
    e = run_protected(&r, &result);
    rule_state_close(&state);
    TRY(e);
    result.duration_us = job->clock_us != NULL ? job->clock_us() - begun_us : 0;
    *ret_result = result;
    return OK;
}

static int check(lua_State *lua)
{
    compile(lua, rule_state_of(lua)->job->source);
    return 0;
}

err rule_check(struct span source, struct arena *arena, struct span *ret_wrong)
{
    const struct rule_job job = { .source = source };
    struct rule_state state;
    struct span wrong = SPAN_NONE;
    err e = OK;
    int status;

    TRY(rule_state_open(&job, arena, &state));
    lua_pushcfunction(state.lua, check);
    status = lua_pcall(state.lua, 0, 0, 0);
    if (status != LUA_OK) {
        e = describe(&state, status, &wrong);
    }
    rule_state_close(&state);
    TRY(e);
    *ret_wrong = wrong;
    return OK;
}
