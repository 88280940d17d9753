/* Internal side of emily/log.h: formats only when somebody listens. */
#ifndef EM_CORE_LOG_H
#define EM_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <emily/log.h>

bool em__log_wants(em_log_level level);
void em__log(em_log_level level, const char *format, ...) EM_PRINTF(2, 3);

bool em__telemetry_wanted(void);
void em__telemetry(const char *name, const char *detail, uint64_t nanoseconds);

/* Monotonic time in nanoseconds. */
uint64_t em__now(void);

#endif
