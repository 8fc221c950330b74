/* rule/rule_test.c: what scripts can say, what they cannot get at, and what each limit stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/limits.h"
#include "rule/rule.h"

#define REQUEST                                                                                    \
    "{\"deviceRuntimeContext\":{\"registrationId\":\"dev-7\",\"payload\":{\"site\":\"north\","     \
    "\"n\":9007199254740993,\"x\":1.5,\"none\":null,\"list\":[1,null,\"\"],\"empty\":[]}},"        \
    "\"linkedHubs\":[\"a.example\",\"b.example\"],"                                                \
    "\"hubs\":[{\"hostName\":\"a.example\",\"weight\":3,\"devices\":10},"                          \
    "{\"hostName\":\"b.example\",\"weight\":5,\"devices\":4}]}"

static uint8_t block[4 * 1024 * 1024];

/* Shows what it was asked: the heaviest one. */
static size_t pick(void *arg, struct span registration_id, const struct rule_hub *hubs, size_t n)
{
    size_t best = 0;

    (void)arg;
    assert_true(span_eq(registration_id, SPAN("dev-7")));
    for (size_t i = 0; i < n; i++) {
        best = hubs[i].weight > hubs[best].weight ? i : best;
    }
    return best;
}

static struct rule_result run(struct arena *arena, const char *source)
{
    const struct rule_job job = {
        .source = span_str(source),
        .request = SPAN(REQUEST),
        .pick = pick,
        .clock_us = rule_clock_us,
    };
    struct rule_result r;

    arena_init(arena, block, sizeof block);
    assert_true(err_is_ok(rule_run(&job, arena, &r)));
    assert_true(span_is_absent(r.answer) != span_is_absent(r.error));
    return r;
}

static void assert_text(const char *source, const char *expected, struct span s)
{
    static char text[70000];

    (void)snprintf(text, sizeof text, "%.*s", SPAN_FMT(s));
    if (strcmp(expected, text) != 0) {
        fail_msg("%s\n gave: %s\n not:  %s", source, text, expected);
    }
}

/* "payload" of the answer that a script's expression gives: {"v": …}. */
static void assert_value(const char *expression, const char *expected)
{
    char source[1024], answer[1024];
    struct arena arena;
    struct rule_result r;

    (void)snprintf(source, sizeof source, "return { hub = 'a', payload = { v = %s } }", expression);
    r = run(&arena, source);
    if (span_is_absent(r.answer)) {
        fail_msg("%s: %.*s", source, SPAN_FMT(r.error));
    }
    (void)snprintf(answer, sizeof answer, "{\"iotHubHostName\":\"a\",\"payload\":{%s%s}}",
                   expected[0] ? "\"v\":" : "", expected);
    assert_text(source, answer, r.answer);
}

static void answers(void **state)
{
    static const struct {
        const char *source, *answer, *log;
    } cases[] = {
        { "return 'a.example'", "{\"iotHubHostName\":\"a.example\"}", "" },
        { "return { hub = 'a.example' }", "{\"iotHubHostName\":\"a.example\"}", "" },
        { "return { iotHubHostName = 'a.example' }", "{\"iotHubHostName\":\"a.example\"}", "" },
        { "return request.hubs[2]", "{\"iotHubHostName\":\"b.example\"}", "" },
        { "return { hub = request.hubs[2] }", "{\"iotHubHostName\":\"b.example\"}", "" },
        { "return hashed()", "{\"iotHubHostName\":\"b.example\"}", "" },
        { "return hashed { 'a.example' }", "{\"iotHubHostName\":\"a.example\"}", "" },
        { "return hashed { 'A.example', request.hubs[2], 'c' }",
          "{\"iotHubHostName\":\"b.example\"}", "" },
        { "function allocate(r) return { hub = r.linkedHubs[1] } end",
          "{\"iotHubHostName\":\"a.example\"}", "" },
        { "return { hub = 'a', initialTwin = { tags = { b = 1, a = { 1, 2.0, true } } },"
          " payload = {} }",
          "{\"iotHubHostName\":\"a\",\"initialTwin\":{\"tags\":{\"a\":[1,2.0,true],\"b\":1}},"
          "\"payload\":{}}",
          "" },
        { "log('x', 1, nil, true, {}, print) print('\\n\"') return 'a'",
          "{\"iotHubHostName\":\"a\"}", "[\"x 1 nil true table function\",\"\\n\\\"\"]" },
        { "local least for _, h in ipairs(request.hubs) do if not least or h.devices < "
          "least.devices then least = h end end return least",
          "{\"iotHubHostName\":\"b.example\"}", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct rule_result r = run(&arena, cases[i].source);

        assert_text(cases[i].source, "", r.error);
        assert_text(cases[i].source, cases[i].answer, r.answer);
        assert_text(cases[i].source, cases[i].log, r.log);
    }
}

static void values_keep_their_kind(void **state)
{
    (void)state;
    assert_value("request.deviceRuntimeContext.payload.n", "9007199254740993");
    assert_value("request.deviceRuntimeContext.payload.x", "1.5");
    assert_value("request.deviceRuntimeContext.payload.none", "");
    assert_value("request.deviceRuntimeContext.payload.list", "[1,null,\"\"]");
    assert_value("request.deviceRuntimeContext.payload.list[2] == null", "true");
    assert_value("request.deviceRuntimeContext.payload.empty", "[]");
    assert_value("{}", "{}");
    assert_value("list()", "[]");
    assert_value("list { 1 }", "[1]");
    assert_value("null", "null");
    assert_value("'\\xff'", "\"\xef\xbf\xbd\"");
    assert_value("7 // 2", "3");
    assert_value("7 / 2", "3.5");
    assert_value("{ 1, 2, { x = null } }", "[1,2,{\"x\":null}]");
}

/* What of the language is written anew: as Lua's manual has it. */
static void patterns(void **state)
{
    static const struct {
        const char *expression, *value;
    } cases[] = {
        { "{ ('hello world'):find('o w') }", "[5,7]" },
        { "{ ('a.b'):find('.', 1, true) }", "[2,2]" },
        { "{ ('aXb'):find('%u') }", "[2,2]" },
        { "{ ('abc'):find('b', -1) }", "{}" },
        { "{ ('abc'):find('', 4) }", "[4,3]" },
        { "{ ('abc'):find('', 5) }", "{}" },
        { "{ ('key = value'):match('^(%w+)%s*=%s*(%w+)$') }", "[\"key\",\"value\"]" },
        { "{ ('2026-01-31'):match('(%d+)-(%d+)-(%d+)') }", "[\"2026\",\"01\",\"31\"]" },
        { "('dev-7'):match('^dev%-(%d+)$')", "\"7\"" },
        { "{ ('x(a(b)c)y'):match('%b()') }", "[\"(a(b)c)\"]" },
        { "{ ('THE (quick) fox'):find('%((%a+)%)') }", "[5,11,\"quick\"]" },
        { "('THE (quick) fox'):gsub('%f[%a]%a+', '<%0>')", "\"<THE> (<quick>) <fox>\"" },
        { "{ ('abc'):match('()b()') }", "[2,3]" },
        { "{ ('\"a\\'b\"c'):match('([\"\\'])(.-)%1') }", "[\"\\\"\",\"a'b\"]" },
        { "('aaa'):match('a-b')", "" },
        { "('aaab'):match('a-b')", "\"aaab\"" },
        { "('aaa'):match('a?a?a?a?')", "\"aaa\"" },
        { "('[x]'):match('[]]')", "\"]\"" },
        { "('a-b'):match('[a-]+')", "\"a-\"" },
        { "('a^b'):match('[%^b]+')", "\"^b\"" },
        { "('abc123'):match('[^%d]+')", "\"abc\"" },
        { "('abc'):match('^b')", "" },
        { "{ ('hello'):gsub('', '-') }", "[\"-h-e-l-l-o-\",6]" },
        { "{ ('abc'):gsub('%w', '%0%0', 2) }", "[\"aabbc\",2]" },
        { "{ ('abc'):gsub('^a', 'x') }", "[\"xbc\",1]" },
        { "{ ('$name is $x'):gsub('%$(%w+)', { name = 'Lua' }) }", "[\"Lua is $x\",2]" },
        { "{ ('a b'):gsub('%w', function(c) return c == 'a' and 1 end) }", "[\"1 b\",2]" },
        { "(function() local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[k] = v "
          "end return t end)()",
          "{\"a\":\"1\",\"b\":\"2\"}" },
        { "(function() local n = 0 for _ in ('abc'):gmatch('') do n = n + 1 end return n end)()",
          "4" },
        { "('ab'):rep(3, '-')", "\"ab-ab-ab\"" },
        { "('x'):rep(0)", "\"\"" },
        { "(''):rep(1e9)", "\"\"" },
        { "('%5.1f|%s|%d'):format(1.25, {}, 3)", "\"  1.2|table|3\"" },
        { "('%s'):format(null)", "\"null\"" },
        { "tostring({}) .. tostring(1) .. tostring(nil)", "\"table1nil\"" },
        { "hash('') >= 0 and hash('a') ~= hash('b') and hash('dev-7') % 1000", "777" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_value(cases[i].expression, cases[i].value);
    }
}

static void tables(void **state)
{
    static const struct {
        const char *body, *value;
    } cases[] = {
        { "local k = {} for x in pairs { b = 1, a = 2, [3] = 3, [1] = 4, [true] = 5 } do k[#k + 1] "
          "= tostring(x) end return table.concat(k, ' ')",
          "\"1 3 a b true\"" },
        { "local t = { a = 1, b = 2, c = 3 } local n = 0 for k in pairs(t) do n = n + 1 t.b = nil "
          "end return n",
          "2" },
        { "local t = { 5, 2, 8, 1, 9, 3 } table.sort(t) return t", "[1,2,3,5,8,9]" },
        { "local t = { 5, 2, 8, 1 } table.sort(t, function(a, b) return a > b end) return t",
          "[8,5,2,1]" },
        { "local t = { 'b', 'a', 'ab', '' } table.sort(t) return t", "[\"\",\"a\",\"ab\",\"b\"]" },
        { "local t = { 3, 1, 2 } table.sort(t, function() return true end) return #t", "3" },
        { "local t = { 1, 2 } table.insert(t, 3) table.insert(t, 1, 0) return t", "[0,1,2,3]" },
        { "local t = { 1, 2, 3 } return { table.remove(t, 1), table.remove(t), t }", "[1,3,[2]]" },
        { "local t = {} return { table.remove(t), #t }", "[null,0]" },
        { "return { select('#', table.unpack { 1, 2, 3 }), table.pack(1, 2).n }", "[3,2]" },
        { "return { pcall(function() error('no', 0) end) }", "[false,\"no\"]" },
        { "return { pcall(function(a) return a end, 1) }", "[true,1]" },
        { "return { math.floor(2.7), math.max(1, 3), math.tointeger(3.0) }", "[2,3,3]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char call[1024];

        if (strstr(cases[i].value, "null") != NULL) {
            continue; /* a list with a hole is none */
        }
        (void)snprintf(call, sizeof call, "(function() %s end)()", cases[i].body);
        assert_value(call, cases[i].value);
    }
}

/* `error` is how the sentence begins. */
static void what_goes_wrong_is_told(void **state)
{
    static const struct {
        const char *source, *error;
    } cases[] = {
        { "", "it neither returns an answer nor has a function allocate(request)" },
        { "\n\nreturn (", "rule:3: unexpected symbol near <eof>" },
        { "\x1bLua", "attempt to load a binary chunk (mode is 't')" },
        { "return nil", "it neither returns" },
        { "function allocate() end", "the answer names no hub" },
        { "return false", "the answer names no hub" },
        { "return 7", "the answer names no hub" },
        { "return {}", "the answer names no hub" },
        { "return { hub = {} }", "the answer names no hub" },
        { "return { hub = 'a', intialTwin = {} }",
          "the answer has a member that is none of hub, initialTwin, payload: intialTwin" },
        { "return { 'a' }",
          "the answer has a member that is none of hub, initialTwin, payload: 1" },
        { "return { hub = 'a', payload = { f = print } }", "the answer holds a function" },
        { "return { hub = 'a', payload = { [1] = 1, x = 2 } }",
          "the answer holds a table that is neither list nor object" },
        { "return { hub = 'a', payload = { [2] = 1 } }", "the answer holds" },
        { "return { hub = 'a', payload = { 0 / 0 } }", "the answer holds a number that is none" },
        { "return { hub = 'a\\0b' }", "the answer holds a text with a zero byte" },
        { "return { hub = 'a', payload = { ['a\\0b'] = 1 } }",
          "the answer holds a text with a zero byte" },
        { "local t = {} t.t = t return { hub = 'a', payload = t }",
          "the answer is nested too deep" },
        { "local t = {} for i = 1, 28 do t = { t, t } end return { hub = 'a', payload = t }",
          "the answer is larger than 131072 bytes" },
        { "return { hub = 'a', payload = { ('x'):rep(65000), ('x'):rep(65000), 'y', "
          "('x'):rep(1100) } }",
          "the answer is larger than 131072 bytes" },
        { "\nlocal x = request.nothing.at_all",
          "rule:2: attempt to index a nil value (field 'nothing')" },
        { "error('of its own')", "rule:1: of its own" },
        { "error({})", "it raised an error that is no text" },
        { "error()", "it raised an error that is no text" },
        { "return ('x'):find('[a')", "rule:1: malformed pattern (missing ']')" },
        { "return ('x'):find('%')", "rule:1: malformed pattern (ends with '%')" },
        { "return ('x'):find('(x')", "rule:1: unfinished capture" },
        { "return ('x'):find('x)')", "rule:1: invalid pattern capture" },
        { "return ('x'):find('%1')", "rule:1: invalid capture index in pattern" },
        { "return ('x'):find('%f')", "rule:1: missing '[' after '%f' in pattern" },
        { "return ('x'):find('%b(')", "rule:1: malformed pattern (missing arguments to '%b')" },
        { "return ('x'):rep(40):find(('(x'):rep(33))", "rule:1: too many captures" },
        { "return ('x'):gsub('x', '%2')", "rule:1: invalid use of '%' in replacement string" },
        { "return ('x'):gsub('x', '%')", "rule:1: invalid use of '%' in replacement string" },
        { "return hashed { 1 }", "rule:1: hashed takes a list of host names or of hubs" },
        { "return hashed { {} }", "rule:1: hashed takes a list of host names or of hubs" },
        { "return hashed {}", "it neither returns" },
        { "return ('%p'):format({})", "rule:1: invalid conversion '%p' to 'format'" },
        { "return ('%5.3p'):format({})", "rule:1: invalid conversion '%p' to 'format'" },
        { "for k in pairs { [print] = 1 } do end",
          "rule:1: a table's keys can be texts, numbers and booleans here" },
        { "local f = pairs { 1 } f()", "rule:1: bad argument #1 to 'f' (table expected, got no" },
        { "local f = pairs { 1 } f(65)",
          "rule:1: bad argument #1 to 'f' (table expected, got num" },
        { "local f = pairs { 1 } f('x')",
          "rule:1: bad argument #1 to 'f' (table expected, got st" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct rule_result r = run(&arena, cases[i].source);

        if (!span_starts_with(r.error, span_str(cases[i].error))) {
            assert_text(cases[i].source, cases[i].error, r.error);
        }
    }
}

/* Nothing leads out. */
static void there_is_no_way_out(void **state)
{
    static const char *const absent[] = {
        "io",
        "os",
        "package",
        "debug",
        "coroutine",
        "utf8",
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "require",
        "collectgarbage",
        "setmetatable",
        "getmetatable",
        "rawset",
        "rawget",
        "rawequal",
        "rawlen",
        "next",
        "xpcall",
        "warn",
        "_G",
        "string.dump",
        "string.pack",
        "string.unpack",
        "math.random",
        "math.randomseed",
        "table.move",
        "(''):len().x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]) - 1; i++) {
        char expression[64];

        (void)snprintf(expression, sizeof expression, "%s == nil", absent[i]);
        assert_value(expression, "true");
    }
    assert_value(
        "(function() string.upper = function() return 'mine' end return ('x'):upper() end)()",
        "\"mine\"");
    assert_value("('x'):upper()", "\"X\""); /* … and the next run has its own */
}

/* Each would run for ever, or take all there is. */
static void limits_stop_it(void **state)
{
    static const struct {
        const char *source, *error;
    } cases[] = {
        { "while true do end", "rule:1: it takes too many instructions" },
        { "while true do pcall(function() while true do end end) end",
          "it takes too many instructions" },
        { "local function f() return pcall(f) end while true do f() end", "" },
        { "local function f() pcall(f) pcall(f) end f()", "" },
        { "local function f() f() f() end f()", "" },
        { "local function f() return f() end f()", "rule:1: it takes too many instructions" },
        { "goto a ::a:: goto a", "" },
        { "local t = {} while true do t[#t + 1] = {} end", "it takes too much memory" },
        { "while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end",
          "" },
        { "local s = 'x' while true do s = s .. s end", "it takes too much memory" },
        { "local t, s = {}, ('x'):rep(60000) for i = 1, 1000 do t[i] = s .. i end",
          "it takes too much memory" },
        { "return ('x'):rep(1 << 40)", "rule:1: resulting string too large" },
        { "return ('x'):rep(-1 >> 1)", "rule:1: resulting string too large" },
        { "return ('xxx'):rep(60000)", "rule:1: resulting string too large" },
        { "return (''):rep(1 << 62) .. ('x'):rep(1, ('y'):rep(60000)) .. (''):rep(1 << 40, 'z')",
          "rule:1: resulting string too large" },
        { "return ('a'):rep(60000):find(('.-'):rep(60) .. 'b')", "it takes too many instructions" },
        { "return ('a'):rep(60000):match(('a*'):rep(60) .. 'b')",
          "it takes too many instructions" },
        { "return ('a'):rep(60000):gsub(('a*'):rep(60) .. 'b', '')",
          "it takes too many instructions" },
        { "for w in ('a'):rep(60000):gmatch(('a*'):rep(60) .. 'b') do end",
          "it takes too many instructions" },
        { "return ('('):rep(60000):find('%b()')", "it takes too many instructions" },
        { "return ('x'):rep(60000):find(('x?'):rep(30000))", "rule:1: pattern too complex" },
        { "return ('a'):rep(60000):find('[' .. ('b'):rep(60000) .. ']')",
          "it takes too many instructions" },
        { "return ('a'):rep(30000):gsub('', ('x'):rep(60000))", "it takes too much memory" },
        { "local t = {} for i = 0, 50 do t[1 << i] = 1 end table.insert(t, 1, 1)", "" },
        { "local t = {} for i = 0, 50 do t[1 << i] = 1 end table.remove(t, 1)", "" },
        { "local t = {} for i = 0, 50 do t[1 << i] = 1 end table.sort(t)", "" },
        { "local t = {} for i = 0, 50 do t[1 << i] = 1 end for i = 1, #t do end", "" },
        { "local t = {} for i = 1, 16000 do t[i] = 'x' end table.sort(t, function() return true "
          "end)",
          "it takes too many instructions" },
        { "return table.unpack({}, 1, 1e8)", "rule:1: too many results to unpack" },
        { "return table.concat({}, 'x', 1, 1 << 60)", "rule:1: invalid value (nil) at index 1" },
        { "return (function(...) return select('#', ...) end)(table.unpack({}, 1, 500000))", "" },
        { "local a, b = ('x'):rep(60000) .. 'a', ('x'):rep(60000) .. 'b' local n = 0 while true do "
          "if a < b then n = n + 1 end end",
          "it takes too" },
        { "local t = {} local m = (1 << 17) - 1 for i = 1, 1e6 do t[i * m] = i end",
          "it takes too" },
        { "local t = {} for i = 1, 16000 do t[i] = i end while true do for k in pairs(t) do break "
          "end "
          "end",
          "it takes too many instructions" },
        { "while true do log('x') end", "it takes too many instructions" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct rule_result r = run(&arena, cases[i].source);
        char text[512];

        (void)snprintf(text, sizeof text, "%.*s", SPAN_FMT(r.error));
        if (span_is_absent(r.error) || strstr(text, cases[i].error) == NULL) {
            assert_text(cases[i].source, cases[i].error, r.error);
        }
        if (getenv("RULE_TEST_TIMES") != NULL) {
            print_message("%8lld us  %-50s  %.70s\n", (long long)r.duration_us, text,
                          cases[i].source);
        }
        /* Sanitizers are slow. */
        assert_true(r.duration_us < 10 * LIMIT_RULE_MS * 1000);
    }
}

static int64_t late_us;
static int64_t late_clock(void)
{
    return late_us += 10 * 1000;
}

/* Time is looked at although the instructions would do. */
static void time_is_limited(void **state)
{
    const struct rule_job job = {
        .source = SPAN("for i = 1, 1e5 do end return 'a'"),
        .request = SPAN("{}"),
        .pick = pick,
        .clock_us = late_clock,
    };
    struct arena arena;
    struct rule_result r;

    (void)state;
    arena_init(&arena, block, sizeof block);
    assert_true(err_is_ok(rule_run(&job, &arena, &r)));
    assert_text("", "rule:1: it takes too long", r.error);
}

static void the_log_is_bounded(void **state)
{
    struct arena arena;
    struct rule_result r =
        run(&arena, "for i = 1, 100 do log(('x'):rep(1000)) end return 'a.example'");
    size_t n = 0;

    (void)state;
    assert_text("", "{\"iotHubHostName\":\"a.example\"}", r.answer);
    for (size_t i = 0; i < r.log.len; i++) {
        n += r.log.data[i] == 'x';
    }
    assert_int_equal(n, LIMIT_RULE_LOG_LINES * LIMIT_RULE_LOG_LINE);
    assert_true(span_ends_with(r.log, SPAN(",\"(further lines are left out)\"]")));
}

/* The same on every run: order of keys, no address, hashes. */
static void runs_are_alike(void **state)
{
    static const char source[] =
        "local t = {} for i = 1, 200 do t['k' .. i * 7919 % 1000] = i end local s = {} for k, v in "
        "pairs(t) do s[#s + 1] = k .. v end log(table.concat(s)) log({}, print, hash('x')) return "
        "'a.example'";
    static char first[4096];
    struct arena arena;

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct rule_result r = run(&arena, source);

        if (i == 0) {
            (void)snprintf(first, sizeof first, "%.*s", SPAN_FMT(r.log));
        }
        assert_text(source, first, r.log);
    }
}

static void syntax_is_checked_without_running(void **state)
{
    static const struct {
        const char *source, *wrong;
    } cases[] = {
        { "return 'a'", "" },
        { "while true do end", "" },
        { "error('now')", "" },
        { "\nfunction allocate(r) retrun x end", "rule:2: syntax error near 'x'" },
        { "x = 'never closed", "rule:1: unfinished string near <eof>" },
        { "\x1bLuaR", "attempt to load a binary chunk (mode is 't')" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct span wrong;

        arena_init(&arena, block, sizeof block);
        assert_true(err_is_ok(rule_check(span_str(cases[i].source), &arena, &wrong)));
        assert_text(cases[i].source, cases[i].wrong, wrong);
    }
}

/* Nested too deep for the compiler, and as long as a source may be. */
static void large_sources_end(void **state)
{
    static char source[LIMIT_RULE_SOURCE + 1];
    static const char *const parts[] = { "(",     "{",  "a.", "goto x ",
                                         "::l::", "f'", "--", "if a then " };

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct arena arena;
        struct span wrong;
        size_t len = strlen(parts[i]);

        for (size_t k = 0; k + len < sizeof source; k += len) {
            memcpy(source + k, parts[i], len);
        }
        arena_init(&arena, block, sizeof block);
        assert_true(err_is_ok(rule_check(span_str(source), &arena, &wrong)));
        assert_true(wrong.len <= LIMIT_RULE_ERROR);
    }
}

static void a_request_that_is_none_is_a_fault(void **state)
{
    struct rule_job job = { .source = SPAN("return 'a'"), .request = SPAN("[]"), .pick = pick };
    struct arena arena;
    struct rule_result r;

    (void)state;
    arena_init(&arena, block, sizeof block);
    assert_true(err_is(rule_run(&job, &arena, &r), ERR_CORRUPT));
    job.request = SPAN("{");
    assert_true(err_is(rule_run(&job, &arena, &r), ERR_CORRUPT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(values_keep_their_kind),
        cmocka_unit_test(patterns),
        cmocka_unit_test(tables),
        cmocka_unit_test(what_goes_wrong_is_told),
        cmocka_unit_test(there_is_no_way_out),
        cmocka_unit_test(limits_stop_it),
        cmocka_unit_test(time_is_limited),
        cmocka_unit_test(the_log_is_bounded),
        cmocka_unit_test(runs_are_alike),
        cmocka_unit_test(syntax_is_checked_without_running),
        cmocka_unit_test(large_sources_end),
        cmocka_unit_test(a_request_that_is_none_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
