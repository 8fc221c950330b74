/* rule/state.c: what a script may spend. Memory is counted by the allocator, instructions by Lua's
 * count hook, in which we look at the processor's time, too. Finalizers would run without the hook
 * and coroutines without ours: library.c leaves out what makes either. */
#include "rule/state.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t rule_clock_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* `osize` is the kind of object when `ptr` is NULL (reference manual 4.6, lua_Alloc). */
static void *allocate(void *arg, void *ptr, size_t osize, size_t nsize)
{
    struct rule_state *s = arg;
    size_t had = ptr != NULL ? osize : 0;
    void *block;

    if (nsize == 0) {
        free(ptr);
        s->memory -= had;
        return NULL;
    }
    if (nsize > had) {
        size_t most = ptr == NULL && osize == LUA_TSTRING ? LIMIT_RULE_TEXT + 64 : LIMIT_RULE_BLOCK;

        if (s->memory - had + nsize > LIMIT_RULE_MEMORY || (s->is_running && nsize > most)) {
            return NULL;
        }
    }
    block = realloc(ptr, nsize);
    if (block != NULL) {
        s->memory += nsize - had;
    }
    /* Lua takes it for granted that a block can be made smaller. */
    return block != NULL || nsize > had ? block : ptr;
}

struct rule_state *rule_state_of(lua_State *lua)
{
    return *(struct rule_state **)lua_getextraspace(lua);
}

/* The clock is dear: it is looked at after some work only. */
static bool is_late(struct rule_state *s)
{
    if (s->job->clock_us == NULL || s->left > s->look_at) {
        return false;
    }
    s->look_at = s->left - LIMIT_RULE_STEP;
    return s->job->clock_us() > s->deadline_us;
}

/* `level`: whose line is told: 0 of the script that runs, 1 of the one that called us. */
static void look(lua_State *lua, int level)
{
    struct rule_state *s = rule_state_of(lua);

    if (s->stopped == NULL && s->left < 0) {
        s->stopped = "it takes too many instructions";
    }
    if (s->stopped == NULL && is_late(s)) {
        s->stopped = "it takes too long";
    }
    if (s->stopped != NULL) {
        luaL_where(lua, level);
        lua_pushstring(lua, s->stopped);
        lua_concat(lua, 2);
        (void)lua_error(lua);
    }
}

void rule_state_look(lua_State *lua)
{
    look(lua, 1);
}

void rule_state_charge(lua_State *lua, int64_t steps)
{
    rule_state_of(lua)->left -= steps;
    look(lua, 1);
}

static void on_count(lua_State *lua, lua_Debug *unused)
{
    (void)unused;
    rule_state_of(lua)->left -= LIMIT_RULE_STEP;
    look(lua, 0);
}

err rule_state_open(const struct rule_job *job, struct arena *arena, struct rule_state *ret_state)
{
    *ret_state = (struct rule_state){ .job = job,
                                      .arena = arena,
                                      .left = LIMIT_RULE_INSTRUCTIONS,
                                      .look_at = LIMIT_RULE_INSTRUCTIONS };
    ret_state->lua = lua_newstate(allocate, ret_state);
    if (ret_state->lua == NULL) {
        return ERR(NOMEM);
    }
    if (job->clock_us != NULL) {
        ret_state->deadline_us = job->clock_us() + LIMIT_RULE_MS * 1000;
    }
    *(struct rule_state **)lua_getextraspace(ret_state->lua) = ret_state;
    lua_sethook(ret_state->lua, on_count, LUA_MASKCOUNT, LIMIT_RULE_STEP);
    return OK;
}

void rule_state_close(struct rule_state *s)
{
    lua_close(s->lua);
}
