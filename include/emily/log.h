/*
 * Logging and telemetry hooks. Without a handler the library is silent, unless EMILY_LOG names a level
 * (error, warn, info, debug): then lines go to stderr.
 */
#ifndef EMILY_LOG_H
#define EMILY_LOG_H

#include <stdint.h>

#include <emily/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum em_log_level { EM_LOG_ERROR, EM_LOG_WARN, EM_LOG_INFO, EM_LOG_DEBUG } em_log_level;

/* `message` is one line without a newline, valid during the call only. Called on the thread that logs, with no lock
 * of Emily held. */
typedef void (*em_log_fn)(em_log_level level, const char *message, void *user);

/* Installs the handler (NULL restores the default) and the most detailed level it wants. Any thread; takes effect
 * for messages that begin afterwards. */
EM_API void em_log_set(em_log_fn fn, em_log_level level, void *user);

/* What is checked at every op, in every lane; slow, and off unless EMILY_DEBUG lists some of nan, inf, bounds. An op
 * that makes a NaN (infinity) of operands without one, or reads or writes by an index out of range, fails with
 * EM_ERROR_INVALID_ARGUMENT and a text that names it, its shapes and the place. */
typedef enum em_debug { EM_DEBUG_NONE = 0, EM_DEBUG_NAN = 1, EM_DEBUG_INF = 2, EM_DEBUG_BOUNDS = 4 } em_debug;

/* Replaces what EMILY_DEBUG says by these flags, ored. Any thread; for ops that begin afterwards. */
EM_API void em_debug_set(unsigned flags);

/* One finished span: `name` is static ("eval", "run", "compile", "load", "fallback"), `nanoseconds` its length,
 * `detail` the op or file it concerned ("" if none). */
typedef void (*em_telemetry_fn)(const char *name, const char *detail, uint64_t nanoseconds, void *user);

/* Installs the telemetry hook, NULL removes it. Any thread. It is called on the thread that did the work. */
EM_API void em_telemetry_set(em_telemetry_fn fn, void *user);

#ifdef __cplusplus
}
#endif
#endif
