/* rule/value.c: values between JSON and Lua, and what of Lua's own would differ from run to run:
 * the order of a table's keys and the text of an address. */
#include <math.h>
#include <string.h>

#include "rule/state.h"
#include "json/json.h"
#include "json/writer.h"

/* Its address is the registry's key of the metatable of lists. It has no members: nothing calls it.
 */
static const char list_mark;

static void push_list_mark(lua_State *lua)
{
    if (lua_rawgetp(lua, LUA_REGISTRYINDEX, &list_mark) == LUA_TNIL) {
        lua_pop(lua, 1);
        lua_newtable(lua);
        lua_pushvalue(lua, -1);
        lua_rawsetp(lua, LUA_REGISTRYINDEX, &list_mark);
    }
}

void rule_value_mark_list(lua_State *lua, int index)
{
    index = lua_absindex(lua, index);
    push_list_mark(lua);
    lua_setmetatable(lua, index);
}

static bool is_marked_list(lua_State *lua, int index)
{
    bool is;

    if (!lua_getmetatable(lua, index)) {
        return false;
    }
    push_list_mark(lua);
    is = lua_rawequal(lua, -1, -2);
    lua_pop(lua, 2);
    return is;
}

/* ---- JSON to Lua ---- */

static void push_text(lua_State *lua, struct span text)
{
    lua_pushlstring(lua, span_is_empty(text) ? "" : (const char *)text.data, text.len);
}

static void push_number(lua_State *lua, const json *value)
{
    struct json_number n = { 0 };

    if (!json_find_number(value, &n)) {
        lua_pushnil(lua);
    } else if (n.is_integer) {
        lua_pushinteger(lua, n.integer);
    } else {
        lua_pushnumber(lua, n.real);
    }
}

static void push_array(lua_State *lua, const json *value)
{
    size_t n = json_array_len(value);

    lua_createtable(lua, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        rule_value_push(lua, json_array_at(value, i));
        lua_rawseti(lua, -2, (lua_Integer)i + 1);
    }
    rule_value_mark_list(lua, -1);
}

static void push_object(lua_State *lua, json *value)
{
    lua_newtable(lua);
    for (struct json_iter it = json_first(value); it.name != NULL; json_next(&it)) {
        if (!json_is_null(it.value)) {
            rule_value_push(lua, it.value);
            push_text(lua, span_str(it.name));
            lua_insert(lua, -2);
            lua_rawset(lua, -3);
        }
    }
}

void rule_value_push(lua_State *lua, const json *value)
{
    bool flag;

    luaL_checkstack(lua, 8, NULL);
    if (json_is_object(value)) {
        push_object(lua, (json *)(uintptr_t)value);
    } else if (json_is_array(value)) {
        push_array(lua, value);
    } else if (json_is_string(value)) {
        push_text(lua, json_text(value));
    } else if (json_find_bool(value, &flag)) {
        lua_pushboolean(lua, flag);
    } else if (json_is_null(value)) {
        lua_pushlightuserdata(lua, NULL);
    } else {
        push_number(lua, value);
    }
}

/* ---- sorting ---- */

/* Text is compared bytewise: Lua's own `<` asks the locale. */
static bool is_less_text(lua_State *lua, int a, int b)
{
    size_t a_len, b_len;
    const char *a_text = lua_tolstring(lua, a, &a_len);
    const char *b_text = lua_tolstring(lua, b, &b_len);

    rule_state_of(lua)->left -= (int64_t)((a_len < b_len ? a_len : b_len) / 64);
    return span_compare(span_of(a_text, a_len), span_of(b_text, b_len)) < 0;
}

/* Of the values at a and b, by the function at `less`, or 0. */
static bool is_less(lua_State *lua, int a, int b, int less)
{
    bool is;

    rule_state_charge(lua, 1);
    if (less != 0) {
        a = lua_absindex(lua, a);
        b = lua_absindex(lua, b);
        lua_pushvalue(lua, less);
        lua_pushvalue(lua, a);
        lua_pushvalue(lua, b);
        lua_call(lua, 2, 1);
        is = lua_toboolean(lua, -1);
        lua_pop(lua, 1);
        return is;
    }
    if (lua_type(lua, a) == LUA_TSTRING && lua_type(lua, b) == LUA_TSTRING) {
        return is_less_text(lua, a, b);
    }
    return lua_compare(lua, a, b, LUA_OPLT);
}

/* Heap sort: it ends, whatever the function says. Moves the i-th down among the first n. */
static void sift(lua_State *lua, int list, int less, lua_Integer i, lua_Integer n)
{
    while (2 * i <= n) {
        lua_Integer child = 2 * i;

        lua_rawgeti(lua, list, child);
        if (child < n) {
            lua_rawgeti(lua, list, child + 1);
            if (is_less(lua, -2, -1, less)) {
                child++;
                lua_replace(lua, -2);
            } else {
                lua_pop(lua, 1);
            }
        }
        lua_rawgeti(lua, list, i);
        if (!is_less(lua, -1, -2, less)) {
            lua_pop(lua, 2);
            return;
        }
        lua_rawseti(lua, list, child);
        lua_rawseti(lua, list, i);
        i = child;
    }
}

void rule_value_sort(lua_State *lua, int index, int less)
{
    lua_Integer n = (lua_Integer)lua_rawlen(lua, index);

    luaL_checkstack(lua, 8, NULL);
    for (lua_Integer i = n / 2; i >= 1; i--) {
        sift(lua, index, less, i, n);
    }
    for (lua_Integer last = n; last > 1; last--) {
        lua_rawgeti(lua, index, 1);
        lua_rawgeti(lua, index, last);
        lua_rawseti(lua, index, 1);
        lua_rawseti(lua, index, last);
        sift(lua, index, less, 1, last - 1);
    }
}

/* Numbers, then texts: each may be compared with itself. */
void rule_value_push_keys(lua_State *lua, int index)
{
    lua_Integer n_numbers = 0;
    lua_Integer n_texts = 0;
    lua_Integer n_flags = 0;

    index = lua_absindex(lua, index);
    luaL_checkstack(lua, 10, NULL);
    lua_newtable(lua); /* numbers */
    lua_newtable(lua); /* texts */
    lua_newtable(lua); /* false, true */
    for (lua_pushnil(lua); lua_next(lua, index); lua_pop(lua, 1)) {
        rule_state_charge(lua, 1);
        lua_pushvalue(lua, -2);
        switch (lua_type(lua, -1)) {
        case LUA_TNUMBER:
            lua_rawseti(lua, -6, ++n_numbers);
            break;
        case LUA_TSTRING:
            lua_rawseti(lua, -5, ++n_texts);
            break;
        case LUA_TBOOLEAN:
            lua_rawseti(lua, -4, ++n_flags);
            break;
        default:
            (void)luaL_error(lua, "a table's keys can be texts, numbers and booleans here");
        }
    }
    rule_value_sort(lua, lua_absindex(lua, -3), 0);
    rule_value_sort(lua, lua_absindex(lua, -2), 0);
    if (n_flags == 2) {
        lua_pushboolean(lua, 0);
        lua_rawseti(lua, -2, 1);
        lua_pushboolean(lua, 1);
        lua_rawseti(lua, -2, 2);
    }
    for (lua_Integer i = 1; i <= n_texts; i++) {
        lua_rawgeti(lua, -2, i);
        lua_rawseti(lua, -4, n_numbers + i);
    }
    for (lua_Integer i = 1; i <= n_flags; i++) {
        lua_rawgeti(lua, -1, i);
        lua_rawseti(lua, -4, n_numbers + n_texts + i);
    }
    lua_pop(lua, 2);
}

void rule_value_push_text(lua_State *lua, int index)
{
    switch (lua_type(lua, index)) {
    case LUA_TNIL:
        lua_pushliteral(lua, "nil");
        break;
    case LUA_TBOOLEAN:
        lua_pushstring(lua, lua_toboolean(lua, index) ? "true" : "false");
        break;
    case LUA_TNUMBER:
    case LUA_TSTRING:
        lua_pushvalue(lua, index);
        (void)lua_tolstring(lua, -1, NULL);
        break;
    case LUA_TLIGHTUSERDATA:
        lua_pushliteral(lua, "null");
        break;
    default:
        lua_pushstring(lua, luaL_typename(lua, index));
    }
}

/* ---- Lua to JSON ---- */

static void write_value(lua_State *lua, int index, int depth, struct json_writer *w);

static struct span text_at(lua_State *lua, int index)
{
    size_t len;
    const char *text = lua_tolstring(lua, index, &len);

    if (memchr(text, 0, len) != NULL) {
        (void)luaL_error(lua, "the answer holds a text with a zero byte");
    }
    return span_of(text, len);
}

static void write_list(lua_State *lua, int index, int depth, struct json_writer *w)
{
    lua_Integer n = (lua_Integer)lua_rawlen(lua, index);

    json_write_begin_array(w, NULL);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(lua, index, i);
        write_value(lua, lua_gettop(lua), depth, w);
        lua_pop(lua, 1);
    }
    json_write_end_array(w);
}

static void write_object(lua_State *lua, int index, int keys, int depth, struct json_writer *w)
{
    lua_Integer n = (lua_Integer)lua_rawlen(lua, keys);

    json_write_begin_object(w, NULL);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(lua, keys, i);
        if (lua_type(lua, -1) != LUA_TSTRING) {
            (void)luaL_error(lua, "the answer holds a table that is neither list nor object");
        }
        json_write_name(w, text_at(lua, -1));
        lua_rawget(lua, index);
        write_value(lua, lua_gettop(lua), depth, w);
        lua_pop(lua, 1);
    }
    json_write_end_object(w);
}

/* A list has the keys 1 to n, and at least one unless it is marked. */
static void write_table(lua_State *lua, int index, int depth, struct json_writer *w)
{
    lua_Integer n = (lua_Integer)lua_rawlen(lua, index);
    int keys;

    if (depth == 0) {
        (void)luaL_error(lua, "the answer is nested too deep");
    }
    rule_value_push_keys(lua, index);
    keys = lua_gettop(lua);
    if ((n > 0 && (lua_Integer)lua_rawlen(lua, keys) == n) ||
        (lua_rawlen(lua, keys) == 0 && is_marked_list(lua, index))) {
        write_list(lua, index, depth - 1, w);
    } else {
        write_object(lua, index, keys, depth - 1, w);
    }
    lua_pop(lua, 1);
}

static void write_number(lua_State *lua, int index, struct json_writer *w)
{
    struct json_number n = { .is_integer = lua_isinteger(lua, index) };

    if (n.is_integer) {
        n.integer = lua_tointeger(lua, index);
    } else {
        n.real = lua_tonumber(lua, index);
        if (!isfinite(n.real)) {
            (void)luaL_error(lua, "the answer holds a number that is none");
        }
    }
    json_write_number(w, NULL, n);
}

static void write_value(lua_State *lua, int index, int depth, struct json_writer *w)
{
    rule_state_charge(lua, 1);
    luaL_checkstack(lua, 16, NULL);
    switch (lua_type(lua, index)) {
    case LUA_TTABLE:
        write_table(lua, index, depth, w);
        break;
    case LUA_TSTRING:
        json_write_text(w, NULL, text_at(lua, index));
        break;
    case LUA_TNUMBER:
        write_number(lua, index, w);
        break;
    case LUA_TBOOLEAN:
        json_write_bool(w, NULL, lua_toboolean(lua, index));
        break;
    case LUA_TLIGHTUSERDATA:
        json_write_null(w, NULL);
        break;
    default:
        (void)luaL_error(lua, "the answer holds a %s", luaL_typename(lua, index));
    }
    if (w->out->len > LIMIT_RULE_ANSWER || w->out->failed) {
        (void)luaL_error(lua, "the answer is larger than %d bytes", LIMIT_RULE_ANSWER);
    }
}

void rule_value_write(lua_State *lua, int index, struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    write_value(lua, lua_absindex(lua, index), LIMIT_JSON_DEPTH - 2, &w);
}
