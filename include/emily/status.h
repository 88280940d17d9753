/*
 * Statuses and errors.
 *
 * Every fallible call returns an em_status, or records it in the scope that it was given. The calling thread's last
 * error carries the text: the operation, the values that were wrong, and the next step. Nothing in Emily aborts,
 * prints or exits on bad input.
 */
#ifndef EMILY_STATUS_H
#define EMILY_STATUS_H

#include <emily/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/* name, code, what it means. Codes are part of the ABI: they are never renumbered. */
#define EM_STATUS_MAP(X)                                                                                               \
    X(OK, 0, "ok")                                                                                                     \
    X(ERROR_INVALID_ARGUMENT, 1, "an argument is wrong")                                                               \
    X(ERROR_OUT_OF_MEMORY, 2, "memory ran out, or its limit was reached")                                              \
    X(ERROR_IO, 3, "a file could not be read or written")                                                              \
    X(ERROR_FORMAT, 4, "a file or text is not what its format demands")                                                \
    X(ERROR_UNSUPPORTED, 5, "valid, but not implemented here")                                                         \
    X(ERROR_NOT_FOUND, 6, "a model, file, tensor or device does not exist")                                            \
    X(ERROR_NETWORK, 7, "a download failed")                                                                           \
    X(ERROR_CANCELLED, 8, "the caller asked to stop")                                                                  \
    X(ERROR_INTERNAL, 9, "an invariant of Emily broke: please report it")                                              \
    X(ERROR_BUSY, 10, "a queue is full: try again later")                                                              \
    X(ERROR_STOPPED, 11, "the stream was stopped")

typedef enum em_status {
#define EM_STATUS_ENUM(name, code, text) EM_##name = code,
    EM_STATUS_MAP(EM_STATUS_ENUM)
#undef EM_STATUS_ENUM
} em_status;

/* The enumerator's spelling ("EM_ERROR_IO") and its one-line meaning. Static strings; "EM_?" for an unknown code.
 * Any thread. */
EM_API const char *em_status_name(em_status status);
EM_API const char *em_status_text(em_status status);

/* The text of the calling thread's most recent error, "" if there was none. Valid until the thread's next failing
 * call; never NULL. Successful calls leave it alone. */
EM_API const char *em_last_error(void);

/* The status that belongs to em_last_error(), EM_OK if there was none. */
EM_API em_status em_last_status(void);

/* Forgets the calling thread's last error. */
EM_API void em_clear_error(void);

#ifdef __cplusplus
}
#endif
#endif
