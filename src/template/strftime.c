/* strftime as C's "C" locale has it, whatever the process's locale is. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "template/run.h"

static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};

/* The number of a conversion, and how many digits it has; -1: it is no number. */
static int number_of(const struct tm *tm, char c, int *digits)
{
    *digits = 2;
    switch (c) {
    case 'd':
    case 'e': return tm->tm_mday;
    case 'm': return tm->tm_mon + 1;
    case 'y': return tm->tm_year % 100;
    case 'H': return tm->tm_hour;
    case 'I': return (tm->tm_hour + 11) % 12 + 1;
    case 'M': return tm->tm_min;
    case 'S': return tm->tm_sec;
    case 'U': return (tm->tm_yday + 7 - tm->tm_wday) / 7;
    case 'W': return (tm->tm_yday + 7 - (tm->tm_wday + 6) % 7) / 7;
    case 'j': *digits = 3; return tm->tm_yday + 1;
    case 'Y': *digits = 4; return tm->tm_year + 1900;
    case 'w': *digits = 1; return tm->tm_wday;
    case 'u': *digits = 1; return tm->tm_wday ? tm->tm_wday : 7;
    case 'f': *digits = 6; return 0;
    default: return -1;
    }
}

static em_status add_time(em__jrun *run, em__jtext *text, const struct tm *tm, const char *format, size_t length);

/* One conversion; '\0' `flag` is none, '-' no padding. */
static em_status add_one(em__jrun *run, em__jtext *text, const struct tm *tm, char flag, char c)
{
    static const struct {
        char c;
        const char *format;
    } compound[] = {{'D', "%m/%d/%y"},    {'x', "%m/%d/%y"}, {'F', "%Y-%m-%d"},
                    {'T', "%H:%M:%S"},    {'X', "%H:%M:%S"}, {'c', "%a %b %e %H:%M:%S %Y"},
                    {'r', "%I:%M:%S %p"}, {'R', "%H:%M"}};
    char out[32];
    int digits, number = number_of(tm, c, &digits);
    if (number >= 0) {
        if (flag == '-' || (c == 'e' && number > 9))
            digits = 1;
        snprintf(out, sizeof out, c == 'e' && digits > 1 ? "%*d" : "%0*d", digits, number);
        return em__j_add_text(run, text, out);
    }
    for (size_t i = 0; i < sizeof compound / sizeof compound[0]; i++)
        if (compound[i].c == c)
            return add_time(run, text, tm, compound[i].format, strlen(compound[i].format));
    switch (c) {
    case 'A': return em__j_add_text(run, text, days[tm->tm_wday]);
    case 'a': return em__j_add(run, text, days[tm->tm_wday], 3);
    case 'B': return em__j_add_text(run, text, months[tm->tm_mon]);
    case 'b':
    case 'h': return em__j_add(run, text, months[tm->tm_mon], 3);
    case 'p': return em__j_add_text(run, text, tm->tm_hour < 12 ? "AM" : "PM");
    case 'n': return em__j_add_char(run, text, '\n');
    case 't': return em__j_add_char(run, text, '\t');
    case '%': return em__j_add_char(run, text, '%');
    case 'Z':
    case 'z': return EM_OK; /* the time has no zone of its own */
    default: return em__j_fail(run, "strftime_now(): the conversion %%%c is not known", c < ' ' ? '?' : c);
    }
}

static em_status add_time(em__jrun *run, em__jtext *text, const struct tm *tm, const char *format, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (format[i] != '%' || i + 1 == length) {
            EM__TRY(em__j_add_char(run, text, format[i]));
            continue;
        }
        char flag = format[i + 1] == '-' && i + 2 < length ? '-' : '\0';
        i += flag ? 2 : 1;
        EM__TRY(em__j_work(run, 4 * EM__J_STEP));
        EM__TRY(add_one(run, text, tm, flag, format[i]));
    }
    return EM_OK;
}

em_status em__j_strftime(em__jrun *run, const em__jstring *format, em__jvalue *out)
{
    em__jtext text = {0};
    struct tm tm;
    time_t now = (time_t)run->now;
    if (!localtime_r(&now, &tm) || tm.tm_year < -1900)
        return em__j_fail(run, "strftime_now(): the clock is out of range");
    EM__TRY(add_time(run, &text, &tm, format->bytes, format->length));
    return em__j_text_value(run, &text, out);
}
