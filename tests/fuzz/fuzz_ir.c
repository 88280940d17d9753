/* Any bytes as an encoded program: refused, or it compiles in both lanes and, if it is small and has no loop, runs. */
#include <stdlib.h>
#include <string.h>

#include <emily/ir.h>
#include <emily/memory.h>

#include "fuzz/replay.h"
#include "graph/program.h"

#define MOST_BYTES ((size_t)1 << 24)

static bool loops(const em_program *p)
{
    for (size_t i = 0; i < p->graph.nodes.length; i++)
        if (em__op_get(p->graph.nodes.data[i].op)->traits & EM__TRAIT_CONTROL) /* a branch may hold a loop */
            return true;
    return false;
}

static size_t bytes_of(const em__spec *specs, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n && sum < MOST_BYTES; i++)
        sum += (size_t)em__spec_size(&specs[i]) * em_dtype_size(specs[i].dtype) + 64;
    return sum;
}

/* All inputs are the same zeros. */
static void run(em_program *p)
{
    size_t in = bytes_of(p->inputs, p->n_inputs), out = bytes_of(p->outputs, p->n_outputs);
    if (in >= MOST_BYTES || out >= MOST_BYTES || loops(p))
        return;
    char *zeros = aligned_alloc(64, (in + 127) / 64 * 64), *results = aligned_alloc(64, (out + 127) / 64 * 64);
    const void **inputs = calloc(p->n_inputs + 1, sizeof *inputs);
    void **outputs = calloc(p->n_outputs + 1, sizeof *outputs);
    char *at = results;
    memset(zeros, 0, in);
    for (size_t i = 0; i < p->n_inputs; i++)
        inputs[i] = zeros;
    for (size_t i = 0; i < p->n_outputs; i++) {
        outputs[i] = at;
        at += ((size_t)em__spec_size(&p->outputs[i]) * em_dtype_size(p->outputs[i].dtype) + 63) / 64 * 64;
    }
    (void)!em_run_raw(p, inputs, outputs);
    free(zeros);
    free(results);
    free(inputs);
    free(outputs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_memory_set_limit((size_t)1 << 28); /* a program may ask for any amount; it is then an error */
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
        const em_compile_options options = {.struct_size = sizeof options, .lane = (em_lane)lane};
        em_program *p = em_program_decode(data, size, NULL, 0, &options);
        if (p)
            run(p);
        em_program_free(p);
    }
    return 0;
}
