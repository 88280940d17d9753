/* Log lines and telemetry spans go to whoever asked; without a handler, EMILY_LOG sends lines to stderr. */
#include "core/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    em_log_fn fn;
    void *user;
} handler;
static struct {
    em_telemetry_fn fn;
    void *user;
} telemetry;
static atomic_int level = -2; /* -2: EMILY_LOG not read yet; -1: nothing is wanted */
static atomic_bool telemetry_on;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static int level_from_environment(void)
{
    const char *text = getenv("EMILY_LOG");
    for (int i = 0; text && i < 4; i++)
        if (strcmp(text, level_names[i]) == 0)
            return i;
    return -1;
}

static int current_level(void)
{
    int now = atomic_load_explicit(&level, memory_order_relaxed);
    if (now == -2) {
        now = level_from_environment();
        int expected = -2;
        if (!atomic_compare_exchange_strong(&level, &expected, now))
            now = expected;
    }
    return now;
}

void em_log_set(em_log_fn fn, em_log_level wanted, void *user)
{
    pthread_mutex_lock(&lock);
    handler.fn = fn;
    handler.user = user;
    atomic_store(&level, fn ? (int)wanted : level_from_environment());
    pthread_mutex_unlock(&lock);
}

bool em__log_wants(em_log_level wanted)
{
    return (int)wanted <= current_level();
}

void em__log(em_log_level wanted, const char *format, ...)
{
    if (!em__log_wants(wanted))
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pthread_mutex_lock(&lock);
    em_log_fn fn = handler.fn;
    void *user = handler.user;
    pthread_mutex_unlock(&lock);
    if (fn)
        fn(wanted, text, user);
    else
        fprintf(stderr, "emily [%s] %s\n", level_names[wanted], text);
}

void em_telemetry_set(em_telemetry_fn fn, void *user)
{
    pthread_mutex_lock(&lock);
    telemetry.fn = fn;
    telemetry.user = user;
    atomic_store(&telemetry_on, fn != NULL);
    pthread_mutex_unlock(&lock);
}

bool em__telemetry_wanted(void)
{
    return atomic_load_explicit(&telemetry_on, memory_order_relaxed);
}

void em__telemetry(const char *name, const char *detail, uint64_t nanoseconds)
{
    if (!em__telemetry_wanted())
        return;
    pthread_mutex_lock(&lock);
    em_telemetry_fn fn = telemetry.fn;
    void *user = telemetry.user;
    pthread_mutex_unlock(&lock);
    if (fn)
        fn(name, detail ? detail : "", nanoseconds, user);
}

uint64_t em__now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
