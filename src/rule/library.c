/* rule/library.c: all that a script may use. What is not named here is not there: nothing reads a
 * file, asks the time, draws a number, loads code or sets a metatable (a finalizer would run
 * without our count). */
#include <string.h>

#include "model/records.h"
#include "rule/state.h"
#include "json/json.h"

/* ---- of the language ---- */

/* What a limit raised cannot be caught. */
static int base_pcall(lua_State *lua)
{
    struct rule_state *s = rule_state_of(lua);
    int status;

    luaL_checkany(lua, 1);
    lua_pushboolean(lua, 1);
    lua_insert(lua, 1);
    status = lua_pcall(lua, lua_gettop(lua) - 2, LUA_MULTRET, 0);
    if (status == LUA_ERRMEM && s->stopped == NULL) {
        s->stopped = RULE_OUT_OF_MEMORY;
    }
    if (s->stopped != NULL || status == LUA_ERRERR) {
        return lua_error(lua);
    }
    if (status != LUA_OK) {
        lua_pushboolean(lua, 0);
        lua_replace(lua, 1);
    }
    return lua_gettop(lua);
}

static int base_tostring(lua_State *lua)
{
    luaL_checkany(lua, 1);
    rule_value_push_text(lua, 1);
    return 1;
}

/* Upvalues: keys, how many were given. Arguments: the table, and what we do not need; the script
 * may call it with others. A key that went meanwhile is passed over. */
static int next_pair(lua_State *lua)
{
    lua_Integer i = lua_tointeger(lua, lua_upvalueindex(2)) + 1;

    luaL_checktype(lua, 1, LUA_TTABLE); /* lua_rawget does not ask */
    while (lua_rawgeti(lua, lua_upvalueindex(1), i) != LUA_TNIL) {
        lua_pushvalue(lua, -1);
        if (lua_rawget(lua, 1) != LUA_TNIL) {
            lua_pushinteger(lua, i);
            lua_replace(lua, lua_upvalueindex(2));
            return 2;
        }
        lua_pop(lua, 2);
        rule_state_charge(lua, 1);
        i++;
    }
    return 1;
}

/* In the order of the keys, as they were when it was called. */
static int base_pairs(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    rule_value_push_keys(lua, 1);
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, next_pair, 2);
    lua_pushvalue(lua, 1);
    return 2;
}

/* insert(list, [position,] value) */
static int table_insert(lua_State *lua)
{
    lua_Integer n, at;

    luaL_checktype(lua, 1, LUA_TTABLE);
    n = (lua_Integer)lua_rawlen(lua, 1);
    at = n + 1;
    if (lua_gettop(lua) == 3) {
        at = luaL_checkinteger(lua, 2);
        luaL_argcheck(lua, at >= 1 && at <= n + 1, 2, "position out of bounds");
    } else if (lua_gettop(lua) != 2) {
        return luaL_error(lua, "wrong number of arguments to 'insert'");
    }
    rule_state_charge(lua, n + 1 - at);
    for (; n >= at; n--) {
        lua_rawgeti(lua, 1, n);
        lua_rawseti(lua, 1, n + 1);
    }
    lua_rawseti(lua, 1, at);
    return 0;
}

/* remove(list [, position]) */
static int table_remove(lua_State *lua)
{
    lua_Integer n, at;

    luaL_checktype(lua, 1, LUA_TTABLE);
    n = (lua_Integer)lua_rawlen(lua, 1);
    at = luaL_optinteger(lua, 2, n);
    luaL_argcheck(lua, at == n || (at >= 1 && at <= n + 1), 2, "position out of bounds");
    rule_state_charge(lua, n - at + 1);
    lua_rawgeti(lua, 1, at);
    for (; at < n; at++) {
        lua_rawgeti(lua, 1, at + 1);
        lua_rawseti(lua, 1, at);
    }
    lua_pushnil(lua);
    lua_rawseti(lua, 1, at);
    return 1;
}

static int table_sort(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    if (!lua_isnoneornil(lua, 2)) {
        luaL_checktype(lua, 2, LUA_TFUNCTION);
    }
    lua_settop(lua, 2);
    rule_value_sort(lua, 1, lua_isnil(lua, 2) ? 0 : 2);
    return 0;
}

/* ---- of our own ---- */

/* hash(text): 0 to 2^53 - 1, spread evenly: FNV-1a and splitmix64's finish. */
static int our_hash(lua_State *lua)
{
    size_t len;
    const char *text = luaL_checklstring(lua, 1, &len);
    uint64_t h = 0xcbf29ce484222325U;

    rule_state_charge(lua, (int64_t)(len / 16));
    for (size_t i = 0; i < len; i++) {
        h = (h ^ (uint8_t)text[i]) * 0x100000001b3U;
    }
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9U;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebU;
    h ^= h >> 31;
    lua_pushinteger(lua, (lua_Integer)(h >> 11));
    return 1;
}

/* log(…): a line of the decision record. */
static int our_log(lua_State *lua)
{
    struct rule_state *s = rule_state_of(lua);
    uint8_t room[LIMIT_RULE_LOG_LINE];
    struct buf line = buf_over(room, sizeof room);
    int n = lua_gettop(lua);

    rule_state_charge(lua, 10);
    if (s->n_log == LIMIT_RULE_LOG_LINES) {
        s->is_log_cut = true;
        return 0;
    }
    for (int i = 1; i <= n; i++) {
        size_t len;
        const char *text;

        if (i > 1) {
            buf_add_u8(&line, ' ');
        }
        rule_value_push_text(lua, i);
        text = lua_tolstring(lua, -1, &len);
        buf_add(&line, span_of(text, len < line.cap - line.len ? len : line.cap - line.len));
        lua_pop(lua, 1);
    }
    s->is_arena_full =
        s->is_arena_full || !err_is_ok(arena_copy(s->arena, buf_span(&line), &s->log[s->n_log]));
    s->n_log += !s->is_arena_full;
    return 0;
}

/* list(table): it is an array in JSON, even when it is empty. */
static int our_list(lua_State *lua)
{
    lua_settop(lua, 1);
    if (lua_isnil(lua, 1)) {
        lua_newtable(lua);
        lua_replace(lua, 1);
    }
    luaL_checktype(lua, 1, LUA_TTABLE);
    rule_value_mark_list(lua, 1);
    return 1;
}

/* Pushes request.hubs, or an empty table. */
static void push_hubs(lua_State *lua)
{
    lua_getfield(lua, lua_upvalueindex(1), "hubs");
    if (!lua_istable(lua, -1)) {
        lua_pop(lua, 1);
        lua_newtable(lua);
    }
}

static struct span member_text(lua_State *lua, int index, const char *name)
{
    struct span text = SPAN_NONE;

    lua_getfield(lua, index, name);
    if (lua_type(lua, -1) == LUA_TSTRING) {
        size_t len;
        const char *s = lua_tolstring(lua, -1, &len);

        text = span_of(s, len); /* the table at `index` keeps it */
    }
    lua_pop(lua, 1);
    return text;
}

static int64_t member_weight(lua_State *lua, int index)
{
    int64_t weight;

    lua_getfield(lua, index, "weight");
    weight = lua_tointeger(lua, -1);
    lua_pop(lua, 1);
    return weight >= 1 && weight <= 1000 ? weight : 1;
}

/* The weight that the request has for the hub. `hubs` is its list. */
static int64_t weight_of(lua_State *lua, int hubs, struct span host_name)
{
    lua_Integer n = (lua_Integer)lua_rawlen(lua, hubs);
    int64_t weight = 1;

    for (lua_Integer i = 1; i <= n; i++) {
        rule_state_charge(lua, 1);
        lua_rawgeti(lua, hubs, i);
        if (lua_istable(lua, -1) &&
            span_eq_nocase(member_text(lua, lua_gettop(lua), "hostName"), host_name)) {
            weight = member_weight(lua, lua_gettop(lua));
            lua_pop(lua, 1);
            break;
        }
        lua_pop(lua, 1);
    }
    return weight;
}

/* The hub at the top of the stack, a host name or one of request.hubs, which stays on the stack. */
static struct rule_hub read_hub(lua_State *lua, int hubs)
{
    int at = lua_gettop(lua);
    struct rule_hub hub = { .host_name = SPAN_NONE };

    rule_state_charge(lua, 1);
    if (lua_istable(lua, at)) {
        hub.host_name = member_text(lua, at, "hostName");
        hub.weight = member_weight(lua, at);
    } else if (lua_type(lua, at) == LUA_TSTRING) {
        size_t len;
        const char *text = lua_tolstring(lua, at, &len);

        hub.host_name = span_of(text, len);
        hub.weight = weight_of(lua, hubs, hub.host_name);
    }
    if (span_is_absent(hub.host_name)) {
        (void)luaL_error(lua, "hashed takes a list of host names or of hubs");
    }
    return hub;
}

/* hashed([list]): the host name that policy "hashed" would pick of the list. */
static int our_hashed(lua_State *lua)
{
    struct rule_state *s = rule_state_of(lua);
    struct span registration_id;
    struct rule_hub *hubs;
    lua_Integer n;
    size_t i;

    lua_settop(lua, 1);
    push_hubs(lua); /* 2 */
    if (lua_isnil(lua, 1)) {
        lua_pushvalue(lua, 2);
        lua_replace(lua, 1);
    }
    luaL_checktype(lua, 1, LUA_TTABLE);
    n = (lua_Integer)lua_rawlen(lua, 1);
    if (n == 0) {
        luaL_pushfail(lua);
        return 1;
    }
    if (n > LIMIT_LINKED_HUBS) {
        return luaL_error(lua, "hashed takes at most %d hubs", LIMIT_LINKED_HUBS);
    }
    hubs = lua_newuserdatauv(lua, (size_t)n * sizeof(*hubs), 0); /* 3 */
    for (lua_Integer k = 0; k < n; k++) {
        lua_rawgeti(lua, 1, k + 1);
        hubs[k] = read_hub(lua, 2);
        lua_pop(lua, 1);
    }
    lua_getfield(lua, lua_upvalueindex(1), "deviceRuntimeContext");
    registration_id =
        lua_istable(lua, -1) ? member_text(lua, lua_gettop(lua), "registrationId") : SPAN_NONE;
    i = s->job->pick(s->job->arg, registration_id, hubs, (size_t)n);
    if (i >= (size_t)n) {
        return luaL_error(lua, RULE_OUT_OF_MEMORY);
    }
    lua_pushlstring(lua, (const char *)hubs[i].host_name.data, hubs[i].host_name.len);
    return 1;
}

/* ---- the table ---- */

static const char *const base_names[] = {
    "assert", "error", "ipairs", "select", "tonumber", "type"
};
static const char *const math_names[] = { "abs",        "ceil", "exp", "floor",      "fmod",
                                          "huge",       "log",  "max", "maxinteger", "min",
                                          "mininteger", "modf", "pi",  "sqrt",       "tointeger",
                                          "type",       "ult" };
static const char *const table_names[] = { "concat", "pack", "unpack" };

/* Copies members of the table at the top into the one below, and takes it off. */
static void take(lua_State *lua, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lua_getfield(lua, -1, names[i]);
        lua_setfield(lua, -3, names[i]);
    }
    lua_pop(lua, 1);
}
#define TAKE(lua, names) take((lua), (names), sizeof(names) / sizeof((names)[0]))

void rule_library_push(lua_State *lua)
{
    static const luaL_Reg ours[] = {
        { "pcall", base_pcall }, { "tostring", base_tostring },
        { "pairs", base_pairs }, { "hash", our_hash },
        { "log", our_log },      { "print", our_log },
        { "list", our_list },    { NULL, NULL },
    };

    static const luaL_Reg our_tables[] = {
        { "insert", table_insert },
        { "remove", table_remove },
        { "sort", table_sort },
        { NULL, NULL },
    };

    lua_newtable(lua);
    luaL_requiref(lua, LUA_GNAME, luaopen_base, 0);
    TAKE(lua, base_names);
    luaL_setfuncs(lua, ours, 0);
    lua_pushlightuserdata(lua, NULL);
    lua_setfield(lua, -2, "null");

    lua_newtable(lua);
    luaL_requiref(lua, LUA_MATHLIBNAME, luaopen_math, 0);
    TAKE(lua, math_names);
    lua_setfield(lua, -2, "math");

    lua_newtable(lua);
    luaL_requiref(lua, LUA_TABLIBNAME, luaopen_table, 0);
    TAKE(lua, table_names);
    luaL_setfuncs(lua, our_tables, 0);
    lua_setfield(lua, -2, "table");

    rule_text_push(lua);
    lua_setfield(lua, -2, "string");
}

void rule_library_push_hashed(lua_State *lua, int request)
{
    lua_pushvalue(lua, request);
    lua_pushcclosure(lua, our_hashed, 1);
}
