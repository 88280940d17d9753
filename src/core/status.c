/* Statuses, and the thread's last error. The message lives in thread-local storage, so failing never allocates. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 1024

static _Thread_local struct {
    em_status status;
    char text[MESSAGE_SIZE];
} last;

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

void em_clear_error(void)
{
    last.status = EM_OK;
    last.text[0] = '\0';
}

em_status em__fail(em_status status, const char *format, ...)
{
    /* The arguments may point into the old message. */
    char text[MESSAGE_SIZE] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(last.text, text, sizeof text);
    last.status = status;
    return status;
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
    if (n >= 0 && n < MESSAGE_SIZE)
        snprintf(text + n, sizeof text - (size_t)n, ": %s", last.text);
    memcpy(last.text, text, sizeof text);
    return status;
}
