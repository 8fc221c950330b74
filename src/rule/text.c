/* rule/text.c: Lua's `string` for scripts: what takes time within one call is written anew here and
 * counted (find, match, gmatch, gsub, rep), what would show an address is kept from it (format),
 * and the rest is the library's own. */
#include <string.h>

#include "rule/pattern.h"
#include "rule/state.h"

static struct span check_text(lua_State *lua, int index)
{
    size_t len;
    const char *text = luaL_checklstring(lua, index, &len);

    return span_of(text, len);
}

/* After each use of a pattern. */
static void look(lua_State *lua, const struct rule_pattern *p)
{
    rule_state_look(lua);
    if (p->wrong != NULL) {
        (void)luaL_error(lua, "%s", p->wrong);
    }
}

/* From 1, or from the end, to an offset; beyond the end: SIZE_MAX. */
static size_t offset_of(lua_Integer position, size_t len)
{
    if (position > 0) {
        return (lua_Unsigned)position - 1 > len ? SIZE_MAX : (size_t)position - 1;
    }
    if (position == 0 || position < -(lua_Integer)len) {
        return 0;
    }
    return len - (size_t)-position;
}

static void push_capture(lua_State *lua, const struct rule_pattern *p, size_t i)
{
    const struct rule_capture *c = &p->captures[i];

    if (c->kind == RULE_CAPTURE_POSITION) {
        lua_pushinteger(lua, (lua_Integer)c->start + 1);
    } else {
        lua_pushlstring(lua, (const char *)p->subject.data + c->start, c->len);
    }
}

/* The captures, or the whole match when there are none. */
static int push_captures(lua_State *lua, const struct rule_pattern *p, size_t start, size_t end)
{
    luaL_checkstack(lua, RULE_PATTERN_CAPTURES, "too many captures");
    if (p->n_captures == 0) {
        lua_pushlstring(lua, (const char *)p->subject.data + start, end - start);
        return 1;
    }
    for (size_t i = 0; i < p->n_captures; i++) {
        push_capture(lua, p, i);
    }
    return (int)p->n_captures;
}

/* find(s, text, init, true) */
static int find_plain(lua_State *lua, struct span s, struct span text, size_t at)
{
    const uint8_t *found;

    rule_state_charge(lua, (int64_t)((s.len - at) / 16));
    found = text.len > 0 ? memmem(s.data + at, s.len - at, text.data, text.len) : s.data + at;
    if (found == NULL) {
        luaL_pushfail(lua);
        return 1;
    }
    lua_pushinteger(lua, found - s.data + 1);
    lua_pushinteger(lua, found - s.data + (lua_Integer)text.len);
    return 2;
}

static int search(lua_State *lua, bool wants_place)
{
    struct span s = check_text(lua, 1);
    struct span text = check_text(lua, 2);
    size_t at = offset_of(luaL_optinteger(lua, 3, 1), s.len);
    struct rule_pattern p = rule_pattern_over(s, text, &rule_state_of(lua)->left);
    size_t start, end;
    bool is_found;

    if (at > s.len) {
        luaL_pushfail(lua);
        return 1;
    }
    if (wants_place && lua_toboolean(lua, 4)) {
        return find_plain(lua, s, text, at);
    }
    is_found = rule_pattern_find(&p, at, SIZE_MAX, &start, &end);
    look(lua, &p);
    if (!is_found) {
        luaL_pushfail(lua);
        return 1;
    }
    if (!wants_place) {
        return push_captures(lua, &p, start, end);
    }
    lua_pushinteger(lua, (lua_Integer)start + 1);
    lua_pushinteger(lua, (lua_Integer)end);
    return 2 + (p.n_captures > 0 ? push_captures(lua, &p, start, end) : 0);
}

static int text_find(lua_State *lua)
{
    return search(lua, true);
}

static int text_match(lua_State *lua)
{
    return search(lua, false);
}

/* Upvalues: text, pattern, where to go on, where the latest match ended (-1: none). */
static int next_match(lua_State *lua)
{
    struct span s = check_text(lua, lua_upvalueindex(1));
    struct span text = check_text(lua, lua_upvalueindex(2));
    size_t at = (size_t)lua_tointeger(lua, lua_upvalueindex(3));
    lua_Integer last = lua_tointeger(lua, lua_upvalueindex(4));
    struct rule_pattern p = rule_pattern_over(s, text, &rule_state_of(lua)->left);
    size_t start, end;
    bool is_found = rule_pattern_find(&p, at, last < 0 ? SIZE_MAX : (size_t)last, &start, &end);

    look(lua, &p);
    if (!is_found) {
        return 0;
    }
    lua_pushinteger(lua, (lua_Integer)end);
    lua_pushvalue(lua, -1);
    lua_replace(lua, lua_upvalueindex(3));
    lua_replace(lua, lua_upvalueindex(4));
    return push_captures(lua, &p, start, end);
}

static int text_gmatch(lua_State *lua)
{
    struct span text;

    (void)check_text(lua, 1);
    text = check_text(lua, 2);
    if (text.len > 0 && text.data[0] == '^') {
        return luaL_error(lua, "gmatch takes no '^'");
    }
    lua_settop(lua, 2);
    lua_pushinteger(lua, 0);
    lua_pushinteger(lua, -1);
    lua_pushcclosure(lua, next_match, 4);
    return 1;
}

/* A replacement's text: %0 to %9, %%. */
static void add_template(lua_State *lua, luaL_Buffer *b, const struct rule_pattern *p, size_t start,
                         size_t end)
{
    size_t len;
    const char *text = lua_tolstring(lua, 3, &len);

    rule_state_charge(lua, (int64_t)(len / 16));
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c != '%') {
            luaL_addchar(b, c);
            continue;
        }
        c = ++i < len ? text[i] : '\0';
        if (c == '%') {
            luaL_addchar(b, '%');
        } else if (c == '0' || (c == '1' && p->n_captures == 0)) {
            luaL_addlstring(b, (const char *)p->subject.data + start, end - start);
        } else if (c >= '1' && c <= '9' && (size_t)(c - '1') < p->n_captures) {
            push_capture(lua, p, (size_t)(c - '1'));
            (void)lua_tolstring(lua, -1, NULL);
            luaL_addvalue(b);
        } else {
            (void)luaL_error(lua, "invalid use of '%%' in replacement string");
        }
    }
}

/* What a table or a function makes of the match; nothing: it stays. */
static void add_made(lua_State *lua, luaL_Buffer *b, const struct rule_pattern *p, size_t start,
                     size_t end)
{
    if (lua_istable(lua, 3)) {
        int n = push_captures(lua, p, start, end);

        lua_pop(lua, n - 1); /* the first is the key */
        lua_rawget(lua, 3);
    } else {
        lua_pushvalue(lua, 3);
        lua_call(lua, push_captures(lua, p, start, end), 1);
    }
    if (!lua_toboolean(lua, -1)) {
        lua_pop(lua, 1);
        lua_pushlstring(lua, (const char *)p->subject.data + start, end - start);
    } else if (!lua_isstring(lua, -1)) {
        (void)luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
    }
    luaL_addvalue(b);
}

static int text_gsub(lua_State *lua)
{
    struct span s = check_text(lua, 1);
    struct span text = check_text(lua, 2);
    int kind = lua_type(lua, 3);
    lua_Integer most = luaL_optinteger(lua, 4, (lua_Integer)s.len + 1);
    struct rule_pattern p = rule_pattern_over(s, text, &rule_state_of(lua)->left);
    size_t at = 0; /* copied so far */
    size_t last = SIZE_MAX;
    lua_Integer n = 0;
    luaL_Buffer b;
    size_t start, end;

    luaL_argexpected(lua,
                     kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TTABLE ||
                         kind == LUA_TFUNCTION,
                     3, "string/function/table");
    lua_settop(lua, 4);
    luaL_buffinit(lua, &b);
    while (n < most && rule_pattern_find(&p, at, last, &start, &end)) {
        rule_state_look(lua);
        n++;
        luaL_addlstring(&b, (const char *)s.data + at, start - at);
        if (kind == LUA_TTABLE || kind == LUA_TFUNCTION) {
            add_made(lua, &b, &p, start, end);
        } else {
            add_template(lua, &b, &p, start, end);
        }
        at = last = end;
        if (p.is_anchored) {
            break;
        }
    }
    look(lua, &p);
    luaL_addlstring(&b, (const char *)s.data + at, s.len - at);
    luaL_pushresult(&b);
    lua_pushinteger(lua, n);
    return 2;
}

static int text_rep(lua_State *lua)
{
    struct span s = check_text(lua, 1);
    lua_Integer n = luaL_checkinteger(lua, 2);
    struct span between = { (const uint8_t *)"", 0 };
    luaL_Buffer b;

    if (!lua_isnoneornil(lua, 3)) {
        between = check_text(lua, 3);
    }
    if (n <= 0 || s.len + between.len == 0) {
        lua_pushliteral(lua, "");
        return 1;
    }
    if (n > LIMIT_RULE_TEXT || (size_t)n * (s.len + between.len) > LIMIT_RULE_TEXT) {
        return luaL_error(lua, "resulting string too large");
    }
    rule_state_charge(lua, n / 16);
    luaL_buffinit(lua, &b);
    for (lua_Integer i = 0; i < n; i++) {
        luaL_addlstring(&b, (const char *)s.data, s.len);
        if (i + 1 < n) {
            luaL_addlstring(&b, (const char *)between.data, between.len);
        }
    }
    luaL_pushresult(&b);
    return 1;
}

/* Upvalue: the library's. Its %p prints an address, and so does %s of what has no text. */
static int text_format(lua_State *lua)
{
    struct span format = check_text(lua, 1);
    int n = lua_gettop(lua);

    for (size_t i = 0; i < format.len; i++) {
        if (format.data[i] != '%') {
            continue;
        }
        i++;
        while (i < format.len && strchr("-+ #0123456789.", format.data[i]) != NULL) {
            i++;
        }
        if (i < format.len && format.data[i] == 'p') {
            return luaL_error(lua, "invalid conversion '%%p' to 'format'");
        }
    }
    rule_state_charge(lua, (int64_t)(format.len / 16));
    for (int i = 2; i <= n; i++) {
        if (lua_type(lua, i) >= LUA_TTABLE || lua_type(lua, i) == LUA_TLIGHTUSERDATA) {
            rule_value_push_text(lua, i);
            lua_replace(lua, i);
        }
    }
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, n, LUA_MULTRET);
    return lua_gettop(lua);
}

void rule_text_push(lua_State *lua)
{
    static const luaL_Reg ours[] = {
        { "find", text_find }, { "match", text_match }, { "gmatch", text_gmatch },
        { "gsub", text_gsub }, { "rep", text_rep },     { NULL, NULL },
    };
    static const char *const theirs[] = {
        "byte", "char", "len", "lower", "reverse", "sub", "upper"
    };

    lua_newtable(lua);
    luaL_setfuncs(lua, ours, 0);
    luaL_requiref(lua, LUA_STRLIBNAME, luaopen_string, 0);
    for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
        lua_getfield(lua, -1, theirs[i]);
        lua_setfield(lua, -3, theirs[i]);
    }
    lua_getfield(lua, -1, "format");
    lua_pushcclosure(lua, text_format, 1);
    lua_setfield(lua, -3, "format");
    lua_pop(lua, 1);
    /* Methods of texts are these, too. */
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    lua_pushvalue(lua, -3);
    lua_setfield(lua, -2, "__index");
    lua_pop(lua, 2);
}
