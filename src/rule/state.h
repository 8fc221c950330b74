/* rule/state.h: one Lua state and its limits. Inside rule/ only. Functions that take a lua_State
 * run inside a protected call and may leave by a Lua error: nothing that needs cleaning up may be
 * open around them. */
#ifndef RULE_STATE_H
#define RULE_STATE_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "model/limits.h"
#include "rule/rule.h"

struct rule_state {
    const struct rule_job *job;
    struct arena *arena;
    lua_State *lua;
    size_t memory;       /* bytes it has */
    bool is_running;     /* the script is: each thing it makes is limited, too */
    int64_t left;        /* instructions, or steps of the same worth; below 0: over */
    int64_t look_at;     /* … and when it is down to this the clock is looked at */
    int64_t deadline_us; /* of clock_us */
    const char *stopped; /* which limit it met: from then on every step raises this again */
    struct span log[LIMIT_RULE_LOG_LINES];
    size_t n_log;
    bool is_log_cut;
    bool is_arena_full;
};

#define RULE_OUT_OF_MEMORY "it takes too much memory"

/* With the limits set, and nothing in it. ERR_NOMEM. */
err rule_state_open(const struct rule_job *job, struct arena *arena, struct rule_state *ret_state);
void rule_state_close(struct rule_state *s);

struct rule_state *rule_state_of(lua_State *lua);
/* Counts work that is not the script's own instructions; raises when a limit is met. */
void rule_state_charge(lua_State *lua, int64_t steps);
/* What became of it, after any function that takes away from s->left by itself. */
void rule_state_look(lua_State *lua);

/* Pushes the table of all that a script may use. */
void rule_library_push(lua_State *lua);
/* Pushes its function `hashed`, which looks into the request at `request`. */
void rule_library_push_hashed(lua_State *lua, int request);
/* Pushes the table of `string`. */
void rule_text_push(lua_State *lua);

/* JSON to Lua: pushes the value. null is absent in an object, in an array the light userdata NULL.
 */
struct json_t;
void rule_value_push(lua_State *lua, const struct json_t *value);
/* Lua to JSON: the value at `index`, at most LIMIT_RULE_ANSWER bytes; raises what is wrong with
 * it. */
void rule_value_write(lua_State *lua, int index, struct buf *out);
/* Pushes an array of the table's keys, numbers before texts, in their order; raises for others. */
void rule_value_push_keys(lua_State *lua, int index);
/* Marks the table at `index` as an array, even when it is empty. */
void rule_value_mark_list(lua_State *lua, int index);
/* Pushes the value's text; the name of its type where that would show an address. */
void rule_value_push_text(lua_State *lua, int index);
/* Sorts the array at `index` by the function behind it, or by `<`. */
void rule_value_sort(lua_State *lua, int index, int less);

#endif
