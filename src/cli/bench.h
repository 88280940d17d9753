/* The part of `emily bench` that is about models that generate. */
#ifndef EMILY_CLI_BENCH_H
#define EMILY_CLI_BENCH_H

#include <emily/generation.h>

#include "cli/cli.h"

enum { CLI_BENCH_MOST_RUNS = 1000 };

typedef struct cli_bench_decoder {
    size_t prefill, decode, batch, runs; /* 0: not given */
    bool json;
    em_device *device; /* that the model was opened on */
} cli_bench_decoder;

/* "on cpu: AVX-512, 2 threads" and a newline. */
void cli_bench_device(em_device *device);

/* Reads and writes, prints tokens a second; `load_ms` is what opening took. */
int cli_bench_generation(em_model *model, const cli_bench_decoder *how, double load_ms);

#endif
