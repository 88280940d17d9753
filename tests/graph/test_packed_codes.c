/*
 * Constant quantized weights of a program are packed, where the processor has kernels for it, with eager's bits; who
 * shares codes but not scales is packed apart, and what was packed goes with the last program.
 */
#include <string.h>

#include <emily/ops.h>
#include <emily/program.h>
#include <emily/quantize.h>

#include "device/cpu/cpu.h"
#include "device/cpu/quant.h"
#include "graph/packed_room.h"
#include "harness/expect.h"
#include "harness/faults.h"
#include "harness/rng.h"

enum { N = 100, K = 192, WEIGHTS = 3, MOST_ROWS = 80 };

static const em_quantization how = {sizeof how, EM_QUANT_AFFINE, 64, 4};
static bool packs; /* whether this machine does */

/* Three weights, the last with the codes of the first and scales of its own. */
typedef struct setting {
    em_quantized w[WEIGHTS];
    int64_t rows;
    em_array *x;
    bool raw;
} setting;

static void make(em_scope *s, setting *at, int64_t rows)
{
    static float data[MOST_ROWS * K], weight[N * K];
    rng r = {11};
    *at = (setting){.rows = rows};
    for (int i = 0; i < WEIGHTS; i++) {
        rng_fill(&r, EM_F32, weight, N * K);
        at->w[i] = em_quantize(s, em_constant(s, EM_F32, weight, em_shape(N, K)), &how);
        em_array **part[] = {&at->w[i].codes, &at->w[i].scales, &at->w[i].biases};
        for (int p = 0; p < 3; p++) {
            EXPECT_OK(em_eval(s, *part[p]));
            *part[p] =
                em_constant(s, em_array_dtype(*part[p]), em_array_data(*part[p]), em_shape(N, p ? K / 64 : K / 8));
        }
    }
    at->w[2].codes = at->w[0].codes;
    rng_fill(&r, EM_F32, data, (size_t)(rows * K));
    at->x = em_constant(s, EM_F32, data, em_shape(rows, K));
}

static em_array *sum_of_all(em_scope *s, const setting *at, em_array *x)
{
    em_array *sum = em_quantized_matmul(s, x, &at->w[0], &how, true);
    for (int i = 1; i < WEIGHTS; i++)
        sum = em_add(s, sum, em_quantized_matmul(s, x, &at->w[i], &how, true));
    return sum;
}

static em_status trace(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = sum_of_all(s, user, in[0]);
    return em_scope_status(s);
}

static em_program *compile(const setting *at, em_lane lane)
{
    const em_spec spec = {EM_F32, em_shape(at->rows, K)};
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane, .raw_weights = at->raw};
    return em_compile(trace, (void *)at, &spec, 1, 1, &options);
}

static size_t packed_bytes(em_program *program)
{
    em_program_stats stats = {.struct_size = sizeof stats};
    em_program_get_stats(program, &stats);
    return stats.packed_bytes;
}

static void check_lane(setting *at, em_lane lane, em_array *eager)
{
    em_array *out;
    em_program *program = compile(at, lane);
    assert_non_null(program);
    /* 32 rows of codes with f32 scales and biases, four times */
    assert_int_equal(packed_bytes(program), packs && !at->raw ? WEIGHTS * 128 * (K / 2 + K / 64 * 8) : 0);
    EXPECT_OK(em_run(program, &at->x, &out));
    EXPECT_SAME_BITS(EM_F32, em_array_data(out), em_array_data(eager), em_array_size(eager));
    em_array_release(&out);
    em_program_free(program);
}

static void test_bits(void **state)
{
    static const int64_t rows[] = {1, 2, 3, 8, 17, MOST_ROWS};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setting at;
        em_scope *s = em_scope_new(NULL);
        make(s, &at, rows[i]);
        em_array *eager = sum_of_all(s, &at, at.x);
        EXPECT_OK(em_eval(s, eager));
        check_lane(&at, EM_NATIVE, eager);
        check_lane(&at, EM_FUSE, eager);
        at.raw = true;
        check_lane(&at, EM_NATIVE, eager);
        em_scope_free(s);
    }
}

/* Small weights stay, unless they are asked for. */
static void test_small_ones(void **state)
{
    setting at;
    (void)state;
    em_scope *s = em_scope_new(NULL);
    make(s, &at, 1);
    em__cpu_set_least_packed(N * K * 2 + 1);
    em_program *program = compile(&at, EM_NATIVE);
    assert_int_equal(packed_bytes(program), 0);
    em_program_free(program);
    em__cpu_set_least_packed(1);
    em_scope_free(s);
}

static em_status compile_two(void *context)
{
    setting *at = context;
    em_program *one = compile(at, EM_NATIVE);
    at->rows = 2;
    em_program *two = one ? compile(at, EM_NATIVE) : NULL;
    at->rows = 1;
    em_program_free(one);
    em_program_free(two);
    return two ? EM_OK : em_last_status();
}

static void test_faults(void **state)
{
    setting at;
    (void)state;
    em_scope *s = em_scope_new(NULL);
    make(s, &at, 1);
    faults_sweep(compile_two, &at);
    em_scope_free(s);
}

/* Weights below a huge page share rooms, which go when nobody is in them; a sanitizer wants them apart. */
static void test_rooms(void **state)
{
    enum { BLOCKS = 50, BYTES = 100000 };
    em_memory_stats before = {.struct_size = sizeof before}, after = before;
    em_device *device = em__cpu_device();
    em__packed_room *rooms[BLOCKS], *own;
    char *blocks[BLOCKS];
    (void)state;
    em_memory_get_stats(&before);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < BLOCKS; i++) {
            blocks[i] = em__packed_room_alloc(device, BYTES, &rooms[i]);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 64, 0);
            memset(blocks[i], i, BYTES);
            if (i && rooms[i] && rooms[i] == rooms[i - 1])
                assert_int_equal(blocks[i] - blocks[i - 1], (BYTES + 63) / 64 * 64);
        }
        void *large = em__packed_room_alloc(device, (size_t)3 << 20, &own);
        assert_true(large && !own);
        em__packed_room_free(device, large, (size_t)3 << 20, NULL);
        for (int j = 0; j < BLOCKS; j++) {
            const int i = turn ? j : BLOCKS - 1 - j;
            assert_int_equal(blocks[i][BYTES - 1], i);
            em__packed_room_free(device, blocks[i], BYTES, rooms[i]);
        }
        em_memory_get_stats(&after);
        assert_int_equal(after.active, before.active);
    }
}

/* Where a limit leaves a block but no room, the block is given. */
static void test_limit(void **state)
{
    enum { BYTES = 100000 };
    em_memory_stats now = {.struct_size = sizeof now};
    em_device *device = em__cpu_device();
    em__packed_room *room;
    (void)state;
    em_memory_get_stats(&now);
    em_memory_set_limit(now.active + 3 * (size_t)BYTES);
    void *block = em__packed_room_alloc(device, BYTES, &room);
    em_memory_set_limit(now.limit);
    assert_non_null(block);
    assert_null(room);
    em__packed_room_free(device, block, BYTES, room);
}

static int set_up(void **state)
{
    (void)state;
    em__cpu_set_least_packed(1);
    packs = em__quant_kernels_get(em__cpu_get()->level)->planes != NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_small_ones),
                                       cmocka_unit_test(test_faults), cmocka_unit_test(test_rooms),
                                       cmocka_unit_test(test_limit)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
