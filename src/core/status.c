/* Statuses, and the thread's last error. The message lives in thread-local storage, so failing never allocates. */
#include "core/cause.h"
#include "core/error.h"

#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE EM__MESSAGE_SIZE

static _Thread_local em__error last;

const char *em_status_name(em_status status)
{
    switch (status) {
#define NAME(name, code, text)                                                                                         \
    case code: return "EM_" #name;
        EM_STATUS_MAP(NAME)
#undef NAME
    }
    return "EM_?";
}

const char *em_status_text(em_status status)
{
    switch (status) {
#define TEXT(name, code, text)                                                                                         \
    case code: return text;
        EM_STATUS_MAP(TEXT)
#undef TEXT
    }
    return "unknown status";
}

const char *em_last_error(void)
{
    return last.text;
}

em_status em_last_status(void)
{
    return last.status;
}

em__error em__error_now(void)
{
    return last;
}

void em__error_put_back(const em__error *before)
{
    last = *before;
}

void em_clear_error(void)
{
    last.status = EM_OK;
    last.cause = EM__CAUSE_UNKNOWN;
    last.next = 0;
    last.text[0] = '\0';
}

/* Where the text of the format begins behind its first "; ": what stands before it is printed to nowhere. */
static size_t find_next(const char *format, va_list args, const char *text)
{
    const bool passed_on = strcmp(format, "%s") == 0;
    const char *mark = strstr(passed_on ? text : format, "; ");
    char before[MESSAGE_SIZE];
    if (!mark || passed_on)
        return mark ? (size_t)(mark - text) + 2 : 0;
    const size_t length = (size_t)(mark - format);
    if (length >= sizeof before)
        return 0;
    memcpy(before, format, length);
    before[length] = '\0';
    const int n = vsnprintf(NULL, 0, before, args);
    return n >= 0 && (size_t)n + 2 < strlen(text) ? (size_t)n + 2 : 0;
}

/* In place: places in the text stay what they were. */
static void hide_controls(char *text)
{
    for (; *text; text++)
        for (size_t n = *text == '\n' || *text == '\t' ? 0 : em__control(text); n > 0; n--)
            text[n - 1] = '?';
}

em_status em__vfail(em_status status, const char *format, va_list args)
{
    /* The arguments may point into the old message. */
    char text[MESSAGE_SIZE] = "";
    va_list again;
    va_copy(again, args);
    vsnprintf(text, sizeof text, format, args);
    last.next = find_next(format, again, text);
    va_end(again);
    hide_controls(text);
    memcpy(last.text, text, sizeof text);
    last.cause = EM__CAUSE_UNKNOWN;
    last.status = status;
    return status;
}

em_status em__fail(em_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    em__vfail(status, format, args);
    va_end(args);
    return status;
}

em_status em__because(em_status status, em__cause cause)
{
    last.cause = cause;
    return status;
}

em__cause em__last_cause(void)
{
    return last.cause;
}

const char *em__last_next(void)
{
    return last.next ? last.text + last.next : NULL;
}

em_status em__context(em_status status, const char *format, ...)
{
    if (status == EM_OK)
        return status;
    char text[MESSAGE_SIZE] = "";
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hide_controls(text);
    if (n >= 0 && n < MESSAGE_SIZE)
        snprintf(text + n, sizeof text - (size_t)n, ": %s", last.text);
    const size_t next = last.next ? last.next + (n >= 0 ? (size_t)n : 0) + 2 : 0;
    last.next = next < strlen(text) ? next : 0;
    memcpy(last.text, text, sizeof text);
    return status;
}
