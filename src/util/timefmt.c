/* util/timefmt.c: civil time from and to milliseconds, proleptic Gregorian, no time zones. */
#include "util/timefmt.h"

#include "util/cursor.h"

struct civil {
    int64_t year;
    int month, day, hour, minute, second, milli, weekday; /* weekday 0 = Sunday */
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days to civil date, era arithmetic: the year starts in March so that leap days come last. */
static struct civil civil_from_ms(int64_t time_ms)
{
    int64_t days = floor_div(time_ms, 86400000);
    int64_t in_day = (time_ms % 86400000 + 86400000) % 86400000;
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);

    return (struct civil){
        .year = yoe + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .hour = (int)(in_day / 3600000),
        .minute = (int)(in_day / 60000 % 60),
        .second = (int)(in_day / 1000 % 60),
        .milli = (int)(in_day % 1000),
        .weekday = (int)(days + 4 - floor_div(days + 4, 7) * 7),
    };
}

static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + doe - 719468;
}

void timefmt_iso(int64_t time_ms, struct buf *out)
{
    struct civil t = civil_from_ms(time_ms);

    buf_printf(out, "%04lld-%02d-%02dT%02d:%02d:%02d.%03d0000Z", (long long)t.year, t.month, t.day,
               t.hour, t.minute, t.second, t.milli);
}

void timefmt_http(int64_t time_ms, struct buf *out)
{
    static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    struct civil t = civil_from_ms(time_ms);

    buf_printf(out, "%s, %02d %s %04lld %02d:%02d:%02d GMT", days[t.weekday], t.day,
               months[t.month - 1], (long long)t.year, t.hour, t.minute, t.second);
}

static int digits(struct cursor *c, size_t n)
{
    int64_t value = 0;

    if (!span_parse_int(cursor_bytes(c, n), &value)) {
        c->failed = true;
    }
    return (int)value;
}

static void expect(struct cursor *c, char wanted)
{
    if (cursor_u8(c) != (uint8_t)wanted) {
        c->failed = true;
    }
}

/* Milliseconds of a fraction of 1 to 9 digits; finer ones are cut. */
static int fraction(struct cursor *c)
{
    int milli = 0;
    size_t n = 0;

    while (c->rest.len > 0 && c->rest.data[0] >= '0' && c->rest.data[0] <= '9') {
        int digit = cursor_u8(c) - '0';
        if (n < 3) {
            milli = milli * 10 + digit;
        }
        n++;
    }
    if (n == 0 || n > 9) {
        c->failed = true;
    }
    return n == 1 ? milli * 100 : n == 2 ? milli * 10 : milli;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && is_leap);
}

err timefmt_parse_iso(struct span text, int64_t *ret_time_ms)
{
    struct cursor c = cursor_over(text);
    struct civil t = { 0 };

    t.year = digits(&c, 4);
    expect(&c, '-');
    t.month = digits(&c, 2);
    expect(&c, '-');
    t.day = digits(&c, 2);
    expect(&c, 'T');
    t.hour = digits(&c, 2);
    expect(&c, ':');
    t.minute = digits(&c, 2);
    expect(&c, ':');
    t.second = digits(&c, 2);
    if (c.rest.len > 0 && c.rest.data[0] == '.') {
        expect(&c, '.');
        t.milli = fraction(&c);
    }
    expect(&c, 'Z');
    TRY(cursor_done(&c));
    if (t.year < 1 || t.month < 1 || t.month > 12 || t.day < 1 ||
        t.day > days_in_month(t.year, t.month) || t.hour > 23 || t.minute > 59 || t.second > 60) {
        return ERR(MALFORMED);
    }
    *ret_time_ms =
        ((days_from_civil(t.year, t.month, t.day) * 24 + t.hour) * 60 + t.minute) * 60000 +
        t.second * 1000 + t.milli;
    return OK;
}
