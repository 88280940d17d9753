/* What a program says of itself: sizes, counts, a line a kernel. */
#include <stdio.h>
#include <string.h>

#include "core/options.h"
#include "graph/function.h"
#include "graph/passes/patterns/patterns.h"
#include "ops/chain.h"

static void add_stats(const em_program *program, em_program_stats *stats)
{
    stats->kernels += program->steps.length;
    stats->arena_bytes += program->arena_bytes;
    for (size_t i = 0; i < program->steps.length; i++) {
        const em__step *step = &program->steps.data[i];
        stats->packed_bytes += em__packed_bytes(step->packed);
        stats->fallback_calls += step->fallback;
        for (int j = 0; j < em__bodies(step->call.op); j++)
            add_stats(((const em__body *)step->call.functions[j])->program, stats);
    }
}

em_status em_program_get_stats(const em_program *program, em_program_stats *stats)
{
    EM__FAIL_IF(!program || !stats, EM_ERROR_INVALID_ARGUMENT, "program: NULL argument");
    em_program_stats made = {0};
    add_stats(program, &made);
    return em__result_give(&made, stats, sizeof made, "em_program_stats");
}

/* "  [mul, add, tanh]": a chain's steps, as many as fit. */
static int describe_chain(const em__call *call, char *text, size_t size)
{
    const int64_t *at = call->ints + EM__CHAIN_HEAD + call->ints[5] + call->ints[6];
    size_t n = 0;
    for (int64_t i = 0; i < call->ints[0] && n + 32 < size; i++, at += EM__CHAIN_STEP)
        n += (size_t)snprintf(text + n, size - n, "%s%s", i ? ", " : "  [", em__op_get((em__op)at[0])->name);
    return (int)n + (n + 1 < size ? snprintf(text + n, size - n, "]") : 0);
}

static void describe_step(const em__step *step, char *text, size_t size)
{
    char spec[EM__SPEC_TEXT];
    const em__call *call = &step->call;
    int n = snprintf(text, size, "%-16s ", em__op_get(call->op)->name);
    for (int i = 0; i < call->n_in && i < 3 && (size_t)n < size; i++)
        n += snprintf(text + n, size - (size_t)n, "%s%s", i ? ", " : "",
                      em__spec_print(&call->in[i].spec, spec, sizeof spec));
    if ((size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, "%s -> %s", call->n_in > 3 ? ", .." : "",
                      em__spec_print(&call->out.spec, spec, sizeof spec));
    if (call->op == EM__OP_FUSED_LINEAR && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, "  [%lld weights%s%s%s%s]", (long long)call->ints[2],
                      call->ints[1] & 1 ? " + bias" : "", call->ints[0] != EM__OP_COPY ? " + " : "",
                      call->ints[0] != EM__OP_COPY ? em__op_get((em__op)call->ints[0])->name : "",
                      call->ints[1] & 2 ? " + residual" : "");
    if (call->op == EM__OP_FUSED_CHAIN && (size_t)n < size)
        n += describe_chain(call, text + n, size - (size_t)n);
    if (call->op == EM__OP_SDPA && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, "%s%s%s%s%s%s", call->ints[0] ? "  causal" : "",
                      call->ints[1] & 1 ? "  mask" : "", call->ints[1] & 2 ? "  sinks" : "",
                      call->ints[1] & 4 ? "  lengths" : "", call->ints[2] ? "  window" : "",
                      call->floats[1] != 0 ? "  softcap" : "");
    if (step->fallback && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, "  (fallback)");
    if (step->merged && (size_t)n < size)
        n += snprintf(text + n, size - (size_t)n, "  (with the one above)");
    if (step->count && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, "  x%llu, %.1f us", (unsigned long long)step->count,
                 (double)step->nanoseconds / (double)step->count / 1000);
}

/* Who listens to a description, and how deep in functions it is. */
typedef struct listener {
    void (*emit)(const char *line, void *user);
    void *user;
    int depth;
} listener;

static void describe(const em_program *program, const listener *to)
{
    char text[1024];
    int indent = to->depth < 16 ? 2 * to->depth : 32;
    const listener inner = {to->emit, to->user, to->depth + 1};
    for (size_t i = 0; i < program->steps.length; i++) {
        const em__step *step = &program->steps.data[i];
        memset(text, ' ', (size_t)indent);
        describe_step(step, text + indent, sizeof text - (size_t)indent);
        to->emit(text, to->user);
        for (int j = 0; j < em__bodies(step->call.op); j++) {
            static const char *const names[][EM__FUNCTIONS] = {{"condition", "body"}, {"yes", "no"}};
            snprintf(text, sizeof text, "%*s%s:", indent + 1, "", names[step->call.op == EM__OP_COND][j]);
            to->emit(text, to->user);
            describe(((const em__body *)step->call.functions[j])->program, &inner);
        }
    }
}

void em_program_describe(em_program *program, void (*emit)(const char *line, void *user), void *user)
{
    if (!program || !emit)
        return;
    pthread_mutex_lock(&program->lock);
    describe(program, &(listener){emit, user, 0});
    pthread_mutex_unlock(&program->lock);
}

/* Adds up what was found in the program and in its functions; near misses are given out as they come. */
static void collect_patterns(const em_program *program, int *matched, const listener *to)
{
    char text[384];
    const em__pattern_report *report = program->graph.patterns;
    for (int k = 0; report && k < EM__PATTERN_COUNT; k++)
        matched[k] += report->matched[k];
    for (int k = 0; report && to && k < report->n_misses; k++) {
        snprintf(text, sizeof text, "near miss: %s", report->misses[k]);
        to->emit(text, to->user);
    }
    for (size_t i = 0; i < program->steps.length; i++)
        for (int j = 0; j < EM__FUNCTIONS && program->steps.data[i].call.functions; j++)
            collect_patterns(((const em__body *)program->steps.data[i].call.functions[j])->program, matched, to);
}

void em_program_patterns(em_program *program, void (*emit)(const char *line, void *user), void *user)
{
    int matched[EM__PATTERN_COUNT] = {0}, again[EM__PATTERN_COUNT] = {0};
    char text[64];
    if (!program || !emit)
        return;
    pthread_mutex_lock(&program->lock);
    collect_patterns(program, matched, NULL);
    for (int k = 0; k < EM__PATTERN_COUNT; k++)
        if (matched[k]) {
            snprintf(text, sizeof text, "%s: %d", em__pattern_name((em__pattern)k), matched[k]);
            emit(text, user);
        }
    collect_patterns(program, again, &(listener){emit, user, 0});
    pthread_mutex_unlock(&program->lock);
}
