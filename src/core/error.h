/*
 * How a function fails: it records one message on its thread and returns the status.
 *
 *     EM__FAIL_IF(rank > EM_MAX_RANK, EM_ERROR_INVALID_ARGUMENT, "reshape: rank is %d, at most %d", rank, EM_MAX_RANK);
 *     EM__TRY(em__file_map(path, &file));
 */
#ifndef EM_CORE_ERROR_H
#define EM_CORE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/status.h>

/* Records the message as the thread's last error and returns `status`. The text names the operation, the values and,
 * where there is one, the next step. Control characters become '?', but for tabs and line ends. */
em_status em__fail(em_status status, const char *format, ...) EM_PRINTF(2, 3);

/* Puts "context: " before the thread's last message (a file name, say), and returns `status` unchanged. Does nothing
 * when status is EM_OK. */
em_status em__context(em_status status, const char *format, ...) EM_PRINTF(2, 3);

/* Bytes of the control character that a text begins with, 0 if it is another: one in ASCII, two of those beyond it
 * (C1). A terminal obeys them, and a file's text may be in a message. */
static inline size_t em__control(const char *text)
{
    const unsigned char first = (unsigned char)text[0], second = first ? (unsigned char)text[1] : 0;
    if ((first && first < 0x20) || first == 0x7f)
        return 1;
    return first == 0xc2 && second >= 0x80 && second < 0xa0 ? 2 : 0;
}

#define EM__TRY(expr)                                                                                                  \
    do {                                                                                                               \
        em_status em__try_status = (expr);                                                                             \
        if (em__try_status != EM_OK)                                                                                   \
            return em__try_status;                                                                                     \
    } while (0)

#define EM__FAIL_IF(cond, status, ...)                                                                                 \
    do {                                                                                                               \
        if (cond)                                                                                                      \
            return em__fail(status, __VA_ARGS__);                                                                      \
    } while (0)

#endif
