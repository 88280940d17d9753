/*
 * A device with memory of its own (EMILY_DEVICE; the others are skipped): its figures, its limit hit by an array, by a
 * program and in the middle of a generation, memory that it has not; after each the next request works. Cycles of
 * making, running and freeing leave as much in use as before, and large results have the same bits each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/emily.h>
#include <emily/ops.h>

#include "array/array.h"
#include "harness/decoders.h"
#include "harness/expect.h"
#include "harness/golden.h"

static em_device *device;

static em_memory_stats memory_now(void)
{
    em_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(em_device_get_memory(device, &stats));
    return stats;
}

static size_t cycles(size_t otherwise)
{
    const char *wanted = getenv("EM_TEST_CYCLES");
    return wanted ? strtoul(wanted, NULL, 10) : otherwise;
}

/* rows x 1024 of f32, each 3, computed on the device. */
static em_array *threes(em_scope *s, int64_t rows)
{
    em_array *one = em_broadcast_to(s, em_scalar(s, EM_F32, 1), em_shape(rows, 1024));
    return em_add(s, one, em_scalar(s, EM_F32, 2));
}

static void expect_works(void)
{
    em_scope *s = em_scope_new(device);
    em_array *x = threes(s, 4);
    EXPECT_OK(em_eval(s, x));
    const float *data = em_array_data(x);
    assert_non_null(data);
    assert_true(data[0] == 3 && data[4095] == 3);
    em_scope_free(s);
}

static void test_figures(void **state)
{
    (void)state;
    em_memory_stats before = memory_now(), during;
    em_scope *s = em_scope_new(device);
    EXPECT_OK(em_eval(s, threes(s, 2048)));
    during = memory_now();
    assert_true(during.active >= before.active + ((size_t)8 << 20));
    assert_true(during.peak >= during.active && during.allocations > before.allocations);
    em_scope_free(s);
    assert_int_equal(memory_now().active, before.active);
    em_memory_stats none = {.struct_size = 1};
    EXPECT_ERROR(em_device_get_memory(device, &none), EM_ERROR_INVALID_ARGUMENT, "struct_size");
    EXPECT_ERROR(em_device_get_memory(device, NULL), EM_ERROR_INVALID_ARGUMENT, "NULL");
    em_device_trim_memory(device);
    assert_int_equal(memory_now().cached, 0);
    expect_works();
}

/* 1 TB, and more than there are addresses for. */
static void test_more_than_there_is(void **state)
{
    (void)state;
    for (int bits = 28; bits <= 48; bits += 20) {
        int64_t rows = (int64_t)1 << bits;
        em_scope *s = em_scope_new(device);
        em_array *x = threes(s, rows);
        if (x)
            EXPECT_ERROR(em_eval(s, x), EM_ERROR_OUT_OF_MEMORY, "memory");
        else
            assert_int_not_equal(em_scope_status(s), EM_OK);
        em_scope_free(s);
        expect_works();
    }
}

static void test_limit(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(device);
    em_device_trim_memory(device);
    size_t before = memory_now().active;
    em_device_set_memory_limit(device, before + ((size_t)6 << 20));
    EXPECT_ERROR(em_eval(s, threes(s, 2048)), EM_ERROR_OUT_OF_MEMORY, "memory");
    em_scope_free(s);
    assert_int_equal(memory_now().active, before);
    assert_true(memory_now().active + memory_now().cached <= before + ((size_t)6 << 20));
    s = em_scope_new(device);
    EXPECT_OK(em_eval(s, threes(s, 1024))); /* fits: 4 MB */
    em_scope_free(s);
    em_device_set_memory_limit(device, SIZE_MAX);
    s = em_scope_new(device);
    EXPECT_OK(em_eval(s, threes(s, 2048)));
    em_scope_free(s);
}

/* Bytes of every measure by which uploads are cut, from odd addresses too, are there as they were. */
static void test_uploads(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 4097, 1 << 19, (1 << 19) + 1, (4 << 20) - 1, (16 << 20) + 4099, 35 << 20};
    enum { ROOM = (35 << 20) + 64 };
    uint8_t *host = malloc(ROOM);
    assert_non_null(host);
    for (size_t i = 0; i < ROOM; i++)
        host[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t from = 0; from < 64; from += 61) {
            em_scope *s = em_scope_new(device);
            em_array *x = em_array_wrap(EM_U8, host + from, em_shape((int64_t)sizes[i]), NULL, NULL);
            em_array *same = em_bitwise_not(s, em_bitwise_not(s, em_scope_adopt(s, x)));
            EXPECT_OK(em_eval(s, same));
            assert_memory_equal(em_array_data(same), host + from, sizes[i]);
            em_scope_free(s);
        }
    free(host);
}

/* Many go up, large and small ones in turn, before any is looked at: none has lost its bytes to one behind it. */
static void test_uploads_side_by_side(void **state)
{
    (void)state;
    enum { MANY = 40, ROOM = 48 << 20 };
    static const size_t sizes[] = {6 << 20, 1000, (2 << 20) + 17, 300000, (1 << 19) + 1, 3 << 20, 40000, 700001};
    em_array *same[MANY];
    size_t begin[MANY];
    uint8_t *host = malloc(ROOM);
    assert_non_null(host);
    for (size_t i = 0; i < ROOM; i++)
        host[i] = (uint8_t)(i * 2654435761u >> 11);
    em_scope *s = em_scope_new(device);
    for (size_t i = 0; i < MANY; i++) {
        const size_t size = sizes[i % (sizeof sizes / sizeof sizes[0])];
        begin[i] = i * 1000003 + i;
        em_array *x = em_array_wrap(EM_U8, host + begin[i], em_shape((int64_t)size), NULL, NULL);
        same[i] = em_bitwise_not(s, em_bitwise_not(s, em_scope_adopt(s, x)));
        EXPECT_OK(em_eval(s, same[i]));
    }
    for (size_t i = 0; i < MANY; i++)
        assert_memory_equal(em_array_data(same[i]), host + begin[i], em_array_bytes(same[i]));
    em_scope_free(s);
    free(host);
}

enum { CONSTANTS = 24, TWINS = 2 };

/* Each constant, the first of them once more, with all its bits turned by the input. */
static em_status turn_constants(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *const *constants = user;
    for (int i = 0; i < CONSTANTS + TWINS; i++)
        out[i] = em_bitwise_xor(s, constants[i % CONSTANTS], in[0]);
    return em_scope_status(s);
}

/* Constants of a program go up as one: large ones and small ones, none at all, one that is there twice. */
static void test_constants_go_up_together(void **state)
{
    (void)state;
    static const size_t sizes[] = {1000, 3, 0, (2 << 20) + 17, (17 << 20) + 5, 256, 700001, 63};
    static const em_spec spec = {EM_U8, {0}};
    enum { ROOM = 48 << 20 };
    em_array *constants[CONSTANTS], *out[CONSTANTS + TWINS] = {NULL};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE, .device = device};
    const size_t before = memory_now().active;
    uint8_t *host = malloc(ROOM);
    assert_non_null(host);
    for (size_t i = 0; i < ROOM; i++)
        host[i] = (uint8_t)(i * 2654435761u >> 11);
    for (size_t i = 0; i < CONSTANTS; i++)
        constants[i] = em_array_wrap(EM_U8, host + i * 1000003, em_shape((int64_t)sizes[i % 8]), NULL, NULL);
    em_scope *s = em_scope_new(device);
    em_array *ones = em_scalar(s, EM_U8, 255);
    em_program *program = em_compile(turn_constants, constants, &spec, 1, CONSTANTS + TWINS, &options);
    if (!program)
        fail_msg("%s", em_last_error());
    EXPECT_OK(em_run(program, &ones, out));
    for (size_t i = 0; i < CONSTANTS + TWINS; i++) {
        const uint8_t *got = em_array_data(out[i]), *want = host + i % CONSTANTS * 1000003;
        for (size_t k = 0; k < sizes[i % CONSTANTS % 8]; k++)
            if (got[k] + want[k] != 255)
                fail_msg("constant %zu, byte %zu", i, k);
        em_array_release(&out[i]);
    }
    em_program_free(program);
    em_scope_free(s);
    for (size_t i = 0; i < CONSTANTS; i++)
        em_array_release(&constants[i]);
    assert_int_equal(memory_now().active, before);
    free(host);
}

/* In many batches and shelves, and with memory out at any of them: what has gone up by then stays, or goes, whole. */
static void test_constants_meet_a_limit(void **state)
{
    enum { PART = 3000, STEP = 40000 };
    static const em_spec spec = {EM_U8, {0}};
    static uint8_t host[CONSTANTS * PART];
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE, .device = device};
    const em__mirror_sizes sizes = em__mirror_set_sizes((em__mirror_sizes){PART, 2 * PART, 3 * PART});
    em_array *constants[CONSTANTS];
    em_program *program = NULL;
    (void)state;
    em_device_trim_memory(device);
    const size_t before = memory_now().active;
    for (size_t limit = before; !program; limit += STEP) {
        for (size_t i = 0; i < CONSTANTS; i++)
            constants[i] = em_array_wrap(EM_U8, host + i * PART, em_shape(PART - (int64_t)(i % 3) * 900), NULL, NULL);
        em_device_set_memory_limit(device, limit);
        program = em_compile(turn_constants, constants, &spec, 1, CONSTANTS + TWINS, &options);
        em_device_set_memory_limit(device, SIZE_MAX);
        assert_true(program || em_last_status() == EM_ERROR_OUT_OF_MEMORY);
        em_program_free(program);
        for (size_t i = 0; i < CONSTANTS; i++)
            em_array_release(&constants[i]);
        em_device_trim_memory(device);
        assert_int_equal(memory_now().active, before);
    }
    em__mirror_set_sizes(sizes);
}

static em_status twice(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    em_array *x = em_softmax(s, em_matmul(s, in[0], em_transpose(s, in[0], EM_ALL_AXES)), 1);
    out[0] = em_sum(s, em_matmul(s, x, in[0]), EM_AXES(1), false);
    return em_scope_status(s);
}

static void program_cycle(size_t i)
{
    static const em_spec spec = {EM_F32, {2, {64, 96}}};
    em_lane lane = i % 2 ? EM_FUSE : EM_NATIVE;
    em_compile_options options = {.struct_size = sizeof options, .lane = lane, .device = device};
    em_array *out = NULL;
    em_scope *s = em_scope_new(device);
    em_array *in = em_sin(s, em_iota(s, EM_F32, spec.dims, 1));
    em_program *program = em_compile(twice, NULL, &spec, 1, 1, &options);
    assert_non_null(program);
    for (int run = 0; run < 3; run++) {
        EXPECT_OK(em_run(program, &in, &out));
        assert_non_null(em_array_data(out));
        em_array_release(&out);
    }
    em_program_free(program);
    em_scope_free(s);
}

static void expect_flat(const em_memory_stats *early, const em_memory_stats *host)
{
    em_memory_stats late, late_host = {.struct_size = sizeof late_host};
    late = memory_now();
    em_memory_get_stats(&late_host);
    assert_int_equal(late.active, early->active);
    assert_int_equal(late.cached, early->cached);
    assert_int_equal(late_host.active, host->active);
}

static void model_cycle(size_t index)
{
    (void)index;
    static const int32_t ids[] = {1, 2, 3, 4, 5}, offsets[] = {0, 5};
    em_model *model = em_model_open(golden_path("models/bert-mean-gelu"), NULL);
    if (!model)
        fail_msg("%s", em_last_error());
    em_array *h = em_model_hidden(model, ids, NULL, offsets, 1);
    if (!em_array_data(h))
        fail_msg("%s", em_last_error());
    em_array_release(&h);
    em_model_close(&model);
}

static void repeat(void (*cycle)(size_t), size_t n)
{
    em_memory_stats early = {0}, host = {.struct_size = sizeof host};
    for (size_t i = 0; i < n; i++) {
        cycle(i);
        if (i == 9) {
            early = memory_now();
            em_memory_get_stats(&host);
        }
    }
    if (n > 10)
        expect_flat(&early, &host);
}

static void test_programs_leave_nothing(void **state)
{
    (void)state;
    repeat(program_cycle, cycles(1000));
}

static void test_models_leave_nothing(void **state)
{
    (void)state;
    repeat(model_cycle, cycles(200));
}

enum { ANSWER = 20 }; /* tokens of a generation that meets a limit: several that run ahead, and then some */

static void expect_greedy(em_generation *g, const decoder_case *c)
{
    const int32_t *ids;
    size_t n = decoder_prompt(c, 0, &ids), length = 0;
    EXPECT_OK(em_generate_ids(g, ids, n));
    const int32_t *got = em_generation_ids(g, 0, &length);
    assert_int_equal(length, ANSWER);
    assert_memory_equal(got, c->greedy, sizeof(int32_t) * ANSWER);
}

static void generation_cycle(size_t index)
{
    static const em_generation_options options = {
        .struct_size = sizeof options, .max_tokens = DECODER_STEPS, .ignore_eos = true, .context = 96};
    decoder_case c;
    decoder_open(&c, 0, "device_memory");
    em_model *model = em_model_open(c.dir, NULL);
    em_generation *g = em_generation_new(model, &options);
    const int32_t *ids;
    size_t n = decoder_prompt(&c, index % c.prompts, &ids);
    EXPECT_OK(em_generate_ids(g, ids, n));
    em_generation_free(g);
    em_model_close(&model);
    decoder_close(&c);
}

/* Prompts come round after a few cycles, so that the tenth has seen all. */
static void test_generations_leave_nothing(void **state)
{
    (void)state;
    repeat(generation_cycle, cycles(100));
}

/* Steps to the end, or to the one that fails. */
static em_status step_on(em_generation *g)
{
    bool going = true;
    em_status status = EM_OK;
    while (status == EM_OK && going)
        status = em_generation_step(g, &going);
    return status;
}

/*
 * A limit falls once the prompt is read, so many bytes above what is in use: the steps, whose program is not built yet,
 * go on or say that memory is out, another generation too, and with the limit gone each answers. Whether the steps
 * went on.
 */
static bool limited_generation(const decoder_case *c, size_t spare)
{
    static const em_generation_options options = {
        .struct_size = sizeof options, .max_tokens = ANSWER, .ignore_eos = true, .cache_dtype = EM_F32, .context = 96};
    const int32_t *ids;
    const size_t n = decoder_prompt(c, 0, &ids);
    em_model *model = em_model_open(c->dir, NULL);
    em_generation *g = em_generation_new(model, &options);
    assert_non_null(g);
    EXPECT_OK(em_generation_start(g, &(em_prompt){ids, n}, 1));
    em_device_trim_memory(device);
    em_device_set_memory_limit(device, memory_now().active + spare);
    const em_status status = step_on(g);
    assert_true(status == EM_OK || status == EM_ERROR_OUT_OF_MEMORY);
    em_generation *other = em_generation_new(model, &options);
    const em_status second = other ? em_generate_ids(other, ids, n) : em_last_status();
    assert_true(second == EM_ERROR_OUT_OF_MEMORY || (spare > 0 && second == EM_OK));
    em_device_set_memory_limit(device, SIZE_MAX);
    expect_greedy(g, c);
    if (other)
        expect_greedy(other, c);
    em_generation_free(other);
    em_generation_free(g);
    em_model_close(&model);
    return status == EM_OK;
}

/* From no byte on, until a generation fits; what failed leaves nothing behind. */
static void test_limit_within_a_generation(void **state)
{
    (void)state;
    decoder_case c;
    decoder_open(&c, 0, "device_memory");
    limited_generation(&c, (size_t)1 << 30);
    const size_t before = memory_now().active;
    size_t spare = 0;
    while (!limited_generation(&c, spare)) {
        assert_int_equal(memory_now().active, before);
        spare = spare ? 4 * spare : 512;
        assert_true(spare <= (size_t)1 << 30);
    }
    assert_true(spare > 0);
    assert_int_equal(memory_now().active, before);
    decoder_close(&c);
}

/* In the middle of an answer the cache has to grow and can't: the same request works once it can. */
static void test_limit_as_a_cache_grows(void **state)
{
    (void)state;
    enum { PROMPT = 236, TOKENS = 40, BEFORE = 2 }; /* the first cache has 256 rows */
    static const em_generation_options options = {
        .struct_size = sizeof options, .max_tokens = TOKENS, .ignore_eos = true, .context = 400};
    int32_t prompt[PROMPT], want[TOKENS];
    decoder_case c;
    bool going = true;
    const int32_t *ids, *got;
    size_t length = 0;
    decoder_open(&c, 0, "device_memory");
    const size_t n = decoder_prompt(&c, 0, &ids);
    for (size_t i = 0; i < PROMPT; i++)
        prompt[i] = ids[i % n];
    em_model *model = em_model_open(c.dir, NULL);
    em_generation *g = em_generation_new(model, &options), *again = em_generation_new(model, &options);
    EXPECT_OK(em_generate_ids(g, prompt, PROMPT));
    memcpy(want, em_generation_ids(g, 0, &length), sizeof want);
    assert_int_equal(length, TOKENS);
    EXPECT_OK(em_generation_start(again, &(em_prompt){prompt, PROMPT}, 1));
    for (int i = 0; i < BEFORE; i++)
        EXPECT_OK(em_generation_step(again, &going));
    em_device_trim_memory(device);
    em_device_set_memory_limit(device, memory_now().active);
    EXPECT_ERROR(step_on(again), EM_ERROR_OUT_OF_MEMORY, "memory");
    got = em_generation_ids(again, 0, &length);
    assert_true(length >= BEFORE && length < TOKENS);
    assert_memory_equal(got, want, length * sizeof *want);
    em_device_set_memory_limit(device, SIZE_MAX);
    EXPECT_OK(em_generate_ids(again, prompt, PROMPT));
    got = em_generation_ids(again, 0, &length);
    assert_int_equal(length, TOKENS);
    assert_memory_equal(got, want, sizeof want);
    em_generation_free(g);
    em_generation_free(again);
    em_model_close(&model);
    decoder_close(&c);
}

/* Reductions, products, order and indexed sums over enough elements to be cut up, ten times. */
static em_status large(em_scope *s, em_array **out)
{
    em_array *x = em_sin(s, em_iota(s, EM_F32, em_shape(1024, 1500), 1));
    em_array *y = em_mul(s, x, em_cos(s, em_iota(s, EM_F32, em_shape(1024, 1500), 0)));
    em_array *at = em_remainder(s, em_iota(s, EM_S32, em_shape(1500, 1), 0), em_scalar(s, EM_S32, 7));
    out[0] = em_sum(s, y, EM_ALL_AXES, false);
    out[1] = em_sum(s, y, EM_AXES(0), false);
    out[2] = em_softmax(s, y, 1);
    out[3] = em_matmul(s, y, em_transpose(s, x, EM_ALL_AXES));
    out[4] = em_argsort(s, y, 0, true);
    out[5] = em_cumulative_sum(s, y, 1, false);
    out[6] =
        em_indexed_add(s, em_full(s, EM_F32, 0, em_shape(7, 1024)), at, em_transpose(s, y, EM_ALL_AXES), EM_AXES(0));
    return em_scope_status(s);
}

static void test_same_each_time(void **state)
{
    (void)state;
    enum { OUTPUTS = 7 };
    em_array *first[OUTPUTS], *again[OUTPUTS];
    em_scope *s = em_scope_new(device);
    if (large(s, first) != EM_OK)
        fail_msg("%s", em_scope_error(s));
    for (int i = 0; i < OUTPUTS; i++)
        EXPECT_OK(em_eval(s, first[i]));
    for (int time = 0; time < 10; time++) {
        em_scope *t = em_scope_new(device);
        EXPECT_OK(large(t, again));
        for (int i = 0; i < OUTPUTS; i++) {
            EXPECT_OK(em_eval(t, again[i]));
            if (memcmp(em_array_data(again[i]), em_array_data(first[i]), em_array_bytes(first[i])) != 0)
                fail_msg("output %d has other bits in run %d", i, time);
        }
        em_scope_free(t);
    }
    em_scope_free(s);
}

/* An argument: only the tests that it names, with * for anything. */
int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_more_than_there_is),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_programs_leave_nothing),
        cmocka_unit_test(test_models_leave_nothing),
        cmocka_unit_test(test_generations_leave_nothing),
        cmocka_unit_test(test_limit_within_a_generation),
        cmocka_unit_test(test_limit_as_a_cache_grows),
        cmocka_unit_test(test_same_each_time),
        /* last: where all memory is guarded at each call, much of it makes what follows slow */
        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_uploads_side_by_side),
        cmocka_unit_test(test_constants_go_up_together),
        cmocka_unit_test(test_constants_meet_a_limit),
    };
    device = em_device_default();
    if (!em_device_has_memory(device)) {
        print_message("skipped: %s works on the host's memory\n", em_device_name(device));
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
