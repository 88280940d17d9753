/* See bench.h. A prompt of any tokens is read and an answer written greedily, past the tokens that end one. */
#include <stdlib.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/times.h"
#include "core/alloc.h"
#include "core/log.h"

enum { DEFAULT_RUNS = 3, DEFAULT_PREFILL = 512, DEFAULT_DECODE = 64, MOST_WARM_UPS = 3 };
#define WARM_UP_NS 500000000u

typedef struct decoder_bench {
    cli_bench_decoder how; /* filled in */
    em_generation *generation;
    em_prompt *prompts;
    double prefill[CLI_BENCH_MOST_RUNS], decode[CLI_BENCH_MOST_RUNS]; /* tokens a second */
    size_t warm_ups;                                                  /* runs before them */
} decoder_bench;

/* Resident memory in MB, as the system counts it; 0 where it does not say. */
static double resident_mb(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* One prompt and `decode` tokens behind the first, whose cost is the prompt's. */
static em_status run_once(decoder_bench *b, size_t decode, double *prefill_rate, double *decode_rate)
{
    bool going = true;
    em_generation_reset(b->generation);
    uint64_t begin = em__now();
    em_status status = em_generation_start(b->generation, b->prompts, b->how.batch);
    uint64_t read = em__now();
    if (status == EM_OK)
        status = em_generation_step(b->generation, &going);
    uint64_t first = em__now();
    for (size_t i = 0; i < decode && status == EM_OK && going; i++)
        status = em_generation_step(b->generation, &going);
    uint64_t end = em__now();
    *prefill_rate = (double)(b->how.prefill * b->how.batch) / (double)(read - begin) * 1e9;
    *decode_rate = (double)(decode * b->how.batch) / (double)(end - first) * 1e9;
    return status;
}

/* A device may run a program in another way the second time, and the third: so several runs, unless they are slow. */
static em_status warm_up(decoder_bench *b)
{
    double ignored[2];
    em_status status;
    const uint64_t begin = em__now();
    do {
        status = run_once(b, b->how.decode < 2 ? b->how.decode : 2, &ignored[0], &ignored[1]);
        b->warm_ups++;
    } while (status == EM_OK && b->warm_ups < MOST_WARM_UPS && em__now() - begin < WARM_UP_NS);
    return status;
}

static em_status measure(decoder_bench *b)
{
    em_status status = warm_up(b);
    for (size_t i = 0; i < b->how.runs && status == EM_OK; i++)
        status = run_once(b, b->how.decode, &b->prefill[i], &b->decode[i]);
    return status;
}

static void print_rates(decoder_bench *b, const em_model_info *info, double load_ms)
{
    double prefill = cli_median(b->prefill, b->how.runs), decode = cli_median(b->decode, b->how.runs);
    if (b->how.json) {
        printf(
            "{\"prefill_tok_s\":%.2f,\"decode_tok_s\":%.2f,\"load_ms\":%.1f,\"rss_mb\":%.0f,\"prefill\":%zu,\"decode\":"
            "%zu,\"batch\":%zu,\"warm_ups\":%zu,\"runs\":%zu,\"device\":\"%s\"}\n",
            prefill, decode, load_ms, resident_mb(), b->how.prefill, b->how.decode, b->how.batch, b->warm_ups,
            b->how.runs, em_device_name(b->how.device));
        return;
    }
    cli_bench_device(b->how.device);
    printf("prompt of %zu tokens: %.1f tok/s\n", b->how.prefill, prefill);
    printf("answer of %zu tokens, %zu at a time: %.2f tok/s\n", b->how.decode, b->how.batch, decode);
    printf("opened in %.0f ms, %.0f MB resident, %.0f MB of weights\n", load_ms, resident_mb(),
           (double)info->weight_bytes / 1e6);
}

/* Prompts whose tokens are spread over the vocabulary. */
static void make_prompts(decoder_bench *b, const em_model_info *info, int32_t *ids)
{
    uint32_t random = 1;
    for (size_t i = 0; i < b->how.prefill * b->how.batch; i++) {
        random = random * 1664525u + 1013904223u;
        ids[i] = (int32_t)(random % (uint32_t)info->vocabulary);
    }
    for (size_t i = 0; i < b->how.batch; i++)
        b->prompts[i] = (em_prompt){ids + i * b->how.prefill, b->how.prefill};
}

int cli_bench_generation(em_model *model, const cli_bench_decoder *how, double load_ms)
{
    decoder_bench b = {.how = *how};
    em_model_info info = {.struct_size = sizeof info};
    em_model_get_info(model, &info);
    b.how.prefill = how->prefill ? how->prefill : DEFAULT_PREFILL;
    b.how.decode = how->decode ? how->decode : DEFAULT_DECODE;
    b.how.batch = how->batch ? how->batch : 1;
    b.how.runs = how->runs ? how->runs : DEFAULT_RUNS;
    if (b.how.prefill + b.how.decode > info.max_tokens)
        return cli_fail(CLI_USAGE,
                        "bench: %zu and %zu tokens are more than the model's context of %zu\n"
                        "ask for fewer by --prefill and --decode",
                        b.how.prefill, b.how.decode, info.max_tokens);
    const em_generation_options options = {
        .struct_size = sizeof options, .ignore_eos = true, .max_tokens = b.how.decode + 1};
    int32_t *ids = em__calloc(b.how.prefill * b.how.batch, sizeof *ids);
    b.prompts = em__calloc(b.how.batch, sizeof *b.prompts);
    em_status status = ids && b.prompts ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK)
        make_prompts(&b, &info, ids);
    if (status == EM_OK && !(b.generation = em_generation_new(model, &options)))
        status = em_last_status();
    if (status == EM_OK)
        status = measure(&b);
    if (status == EM_OK)
        print_rates(&b, &info, load_ms);
    em_generation_free(b.generation);
    em__free(b.prompts);
    em__free(ids);
    return status == EM_OK ? CLI_OK : cli_fail_last();
}
