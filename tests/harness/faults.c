/* The sweep over failing allocations. */
#include "harness/faults.h"

#include <stdbool.h>

#include "core/alloc.h"
#include "harness/expect.h"
#include "harness/sample.h"
#include <emily/memory.h>

#define MOST_FAULTS 1000000

typedef struct usage {
    size_t blocks; /* bytes */
    long host;     /* allocations */
} usage;

static usage usage_now(void)
{
    em_memory_stats stats = {.struct_size = sizeof stats};
    em_memory_get_stats(&stats);
    return (usage){.blocks = stats.active, .host = em__alloc_live()};
}

static void check_usage(usage before, long n, bool sticky)
{
    usage now = usage_now();
    if (now.blocks != before.blocks || now.host != before.host)
        fail_msg("fault %ld%s: %zu bytes of blocks and %ld host allocations in use, before it %zu and %ld", n,
                 sticky ? " and all after it" : "", now.blocks, now.host, before.blocks, before.host);
}

/* True when the n-th allocation was reached. */
static bool run_fault(faults_fn fn, void *context, long n, bool sticky, bool benign)
{
    benign = benign || default_has_own_memory(); /* a program that can't be recorded runs all the same */
    usage before = usage_now();
    em_clear_error();
    unsigned long count = em__alloc_count();
    em__alloc_fail_at(n, sticky);
    em_status status = fn(context);
    em__alloc_fail_at(0, 0);
    bool reached = em__alloc_count() - count >= (unsigned long)n;
    if (!reached && status != EM_OK)
        fail_msg("no fault was met, yet it fails: %s", em_last_error());
    if (reached && status == EM_OK && !benign)
        fail_msg("fault %ld%s: it succeeds although an allocation failed", n, sticky ? " and all after it" : "");
    if (status != EM_OK && (status != EM_ERROR_OUT_OF_MEMORY || !*em_last_error()))
        fail_msg("fault %ld: %s (\"%s\"), expected EM_ERROR_OUT_OF_MEMORY with a text", n, em_status_name(status),
                 em_last_error());
    check_usage(before, n, sticky);
    return reached;
}

static long sweep(faults_fn fn, void *context, bool benign)
{
    em_status status = fn(context);
    if (status != EM_OK)
        fail_msg("with no fault it fails: %s", em_last_error());
    usage before = usage_now();
    fn(context);
    check_usage(before, 0, false);
    long n = 1;
    for (; n < MOST_FAULTS; n++) {
        if (!sample_takes())
            continue;
        if (!run_fault(fn, context, n, false, benign))
            break;
        run_fault(fn, context, n, true, benign);
    }
    return n - 1;
}

long faults_sweep(faults_fn fn, void *context)
{
    return sweep(fn, context, false);
}

long faults_sweep_benign(faults_fn fn, void *context)
{
    return sweep(fn, context, true);
}
