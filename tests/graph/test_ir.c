/* Programs as bytes and text: what was encoded decodes to the same bits; broken bytes are errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <emily/control.h>
#include <emily/ir.h>
#include <emily/ops.h>

#include "harness/apply.h"
#include "harness/expect.h"
#include "harness/faults.h"
#include "ops/op.h"

/* ---- every recorded op, there and back ---- */

static em_status trace_case(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    const book_case *c = user;
    em_array *operands[BOOK_OPERANDS] = {0};
    for (size_t i = 0, n = 0; i < c->n_in; i++)
        operands[i] = c->in[i].data ? in[n++] : NULL;
    out[0] = apply_case(s, c, operands);
    return em_scope_status(s);
}

static em_program *through_bytes(em_program *p, size_t inline_bytes, em_lane lane)
{
    em_program_code *e = em_program_encode(p, inline_bytes);
    if (!e)
        fail_msg("%s", em_last_error());
    const em_compile_options options = {.struct_size = sizeof options, .lane = lane};
    em_program *decoded = em_program_decode(e->bytes, e->size, e->constants, e->n_constants, &options);
    em_program_code_free(e);
    return decoded;
}

/* With EM_TEST_CORPUS=FOLDER in the environment: seeds for tests/fuzz/fuzz_ir.c, a small program of each op. */
static void write_seed(em_program *p, const char *op)
{
    char path[512];
    const char *folder = getenv("EM_TEST_CORPUS");
    em_program_code *e = folder ? em_program_encode(p, SIZE_MAX) : NULL;
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "", op);
    FILE *file = e && e->size < 1024 ? fopen(path, "wxb") : NULL;
    if (file) {
        fwrite(e->bytes, 1, e->size, file);
        fclose(file);
    }
    em_program_code_free(e);
}

static void check_case(const book_case *c)
{
    em_spec specs[BOOK_OPERANDS];
    em_array *in[BOOK_OPERANDS], *want, *got;
    size_t n = 0;
    em_scope *s = em_scope_new(NULL);
    for (size_t i = 0; i < c->n_in; i++)
        if (c->in[i].data) {
            specs[n] = (em_spec){c->in[i].dtype, c->in[i].dims};
            in[n++] = em_constant(s, c->in[i].dtype, c->in[i].data, c->in[i].dims);
        }
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE, .keep_ir = true};
    em_program *p = em_compile(trace_case, (void *)(uintptr_t)c, specs, n, 1, &options);
    if (!p)
        fail_msg("%s: %s", c->name, em_last_error());
    write_seed(p, c->op);
    em_program *q = through_bytes(p, 64, EM_NATIVE);
    if (!q)
        fail_msg("%s: %s", c->name, em_last_error());
    if (em_run(p, in, &want) == EM_OK) {
        EXPECT_OK(em_run(q, in, &got));
        if (em_array_bytes(got) != em_array_bytes(want) ||
            (em_array_bytes(got) && memcmp(em_array_data(got), em_array_data(want), em_array_bytes(got)) != 0))
            fail_msg("%s: decoded, it gives other bits", c->name);
        em_array_release(&got);
        em_array_release(&want);
    }
    em_program_free(p);
    em_program_free(q);
    em_scope_free(s);
}

static void check_book(const book *b, void *user)
{
    (void)user;
    for (size_t i = 0; i < b->n_cases; i++) {
        book_case c;
        book_get(b, i, &c);
        check_case(&c);
    }
}

static void test_recorded_ops(void **state)
{
    (void)state;
    print_message("%zu recorded cases through bytes\n", book_visit(check_book, NULL));
}

/* Each op that a builder makes can stand in an encoded program. */
static void test_every_op_is_described(void **state)
{
    (void)state;
    int missing = 0;
#define BUILT_UNARY true
#define BUILT_BINARY true
#define BUILT_REDUCE true
#define BUILT_AXIS true
#define BUILT_SPECIAL true
#define BUILT_INTERNAL false
#define EM_OP(ENUM, name, SIGNATURE, INFER, DTYPES, TRAITS)                                                            \
    if (BUILT_##SIGNATURE && !em__op_described(EM__OP_##ENUM)) {                                                       \
        print_error("src/ops/check.c has no row for " #name "\n");                                                     \
        missing++;                                                                                                     \
    }
#include <emily/ops.def>
#undef EM_OP
    assert_int_equal(missing, 0);
}

/* ---- functions, constants, text ---- */

static em_status below(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    (void)user;
    out[0] = em_less(s, in[0], em_scalar(s, EM_F32, 100));
    return EM_OK;
}

static em_status grown(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = em_add(s, in[0], em_sum(s, em_mul(s, user, in[1]), EM_ALL_AXES, false));
    out[1] = in[1];
    return EM_OK;
}

static em_status looped(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    em_array *states[] = {em_scalar(s, EM_F32, 1), em_exp(s, in[0])}, *results[2];
    em_status status = em_while(s, below, grown, user, states, 2, results);
    out[0] = results[0];
    return status;
}

static em_program *looped_program(em_scope *s, bool keep)
{
    float weight[64];
    for (int i = 0; i < 64; i++)
        weight[i] = (float)i;
    const em_spec spec = {EM_F32, {1, {64}}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE, .keep_ir = keep};
    em_array *constant = em_constant_f32(s, weight, em_shape(64));
    return constant ? em_compile(looped, constant, &spec, 1, 1, &options) : NULL;
}

static float run_looped(em_program *p)
{
    float x[64] = {0}, y = 0;
    x[3] = 0.5f;
    EXPECT_OK(em_run_raw(p, (const void *[]){x}, (void *[]){&y}));
    return y;
}

static void test_functions_and_constants(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_program *p = looped_program(s, true);
    assert_non_null(p);
    float want = run_looped(p);
    for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++)
        for (int inside = 0; inside < 2; inside++) {
            em_program *q = through_bytes(p, inside ? SIZE_MAX : 64, (em_lane)lane);
            if (!q)
                fail_msg("%s", em_last_error());
            assert_float_equal(run_looped(q), want, 0);
            em_program_free(q);
        }
    em_program_code *e = em_program_encode(p, 64);
    assert_int_equal(e->n_constants, 1);
    assert_null(em_program_decode(e->bytes, e->size, NULL, 0, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "wants 1 constants, 0 are given");
    em_array *wrong = em_scalar(s, EM_F32, 1);
    assert_null(em_program_decode(e->bytes, e->size, &wrong, 1, NULL));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "constant 0 is f32[], the program wants f32[64]");
    em_program_code_free(e);
    em_program_free(p);
    p = looped_program(s, false);
    assert_null(em_program_encode(p, 0));
    EXPECT_ERROR(em_last_status(), EM_ERROR_INVALID_ARGUMENT, "keep_ir");
    em_program_free(p);
    em_scope_free(s);
}

#define TEXT 16384

static em_status scaled(em_scope *s, em_array *const *in, em_array **out, void *user)
{
    out[0] = em_add(s, in[0], user);
    return EM_OK;
}

/* What an encoding hands out is its own: laying it out anew leaves the program's constant where it is. */
static void test_constants_are_shared_safely(void **state)
{
    (void)state;
    float x[6] = {0}, first[6], second[6];
    const em_spec spec = {EM_F32, {2, {3, 2}}};
    const em_compile_options options = {.struct_size = sizeof options, .lane = EM_NATIVE, .keep_ir = true};
    em_scope *s = em_scope_new(NULL);
    em_array *turned = em_transpose(s, em_constant_f32(s, (float[]){1, 2, 3, 4, 5, 6}, em_shape(2, 3)), EM_ALL_AXES);
    EXPECT_OK(em_eval(s, turned));
    em_program *p = em_compile(scaled, turned, &spec, 1, 1, &options);
    assert_non_null(p);
    EXPECT_OK(em_run_raw(p, (const void *[]){x}, (void *[]){first}));
    em_program_code *e = em_program_encode(p, 0);
    assert_int_equal(e->n_constants, 1);
    em_scope_free(s);
    assert_float_equal(((const float *)em_array_data(e->constants[0]))[1], 4, 0);
    em_program_code_free(e);
    EXPECT_OK(em_run_raw(p, (const void *[]){x}, (void *[]){second}));
    assert_memory_equal(first, second, sizeof first);
    em_program_free(p);
}

static void collect(const char *line, void *user)
{
    char *text = user;
    size_t length = strlen(text);
    snprintf(text + length, TEXT - length, "%s\n", line);
}

static void test_print(void **state)
{
    (void)state;
    static char text[TEXT];
    em_scope *s = em_scope_new(NULL);
    for (int keep = 0; keep < 2; keep++) {
        em_program *p = looped_program(s, keep);
        text[0] = 0;
        EXPECT_OK(em_program_print(p, EM_PRINT_TEXT, collect, text));
        assert_non_null(strstr(text, "program(f32[64]):"));
        assert_non_null(strstr(text, "= while(%"));
        assert_non_null(strstr(text, "    body(f32[], f32[64]):"));
        text[0] = 0;
        EXPECT_OK(em_program_print(p, EM_PRINT_DOT, collect, text));
        assert_non_null(strstr(text, "digraph program {"));
        assert_non_null(strstr(text, "subgraph cluster_2 { label=\"body of"));
        em_program_free(p);
    }
    em_scope_free(s);
}

/* Every program cut short, and every one with a byte changed, is an error or a program; never more. */
static void test_broken_bytes(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_program *p = looped_program(s, true);
    em_program_code *e = em_program_encode(p, SIZE_MAX);
    write_seed(p, "while");
    unsigned char *bytes = malloc(e->size);
    int programs = 0;
    for (size_t i = 0; i < e->size; i++) {
        assert_null(em_program_decode(e->bytes, i, NULL, 0, NULL));
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bytes, e->bytes, e->size);
            bytes[i] ^= (unsigned char)(1 << bit);
            em_program *q = em_program_decode(bytes, e->size, NULL, 0, NULL);
            programs += q != NULL;
            em_program_free(q);
        }
    }
    assert_true(programs > 0);
    free(bytes);
    em_program_code_free(e);
    em_program_free(p);
    em_scope_free(s);
}

static em_status there_and_back(void *context)
{
    (void)context;
    em_scope *s = em_scope_new(NULL);
    em_program *p = s ? looped_program(s, true) : NULL, *q = NULL;
    em_program_code *e = p ? em_program_encode(p, 64) : NULL;
    em_status status = EM_OK;
    if (e)
        q = em_program_decode(e->bytes, e->size, e->constants, e->n_constants, NULL);
    if (!q)
        status = em_last_status();
    em_program_free(q);
    em_program_code_free(e);
    em_program_free(p);
    em_scope_free(s);
    return status;
}

static void test_every_allocation_fails_once(void **state)
{
    (void)state;
    assert_true(faults_sweep_benign(there_and_back, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_ops),
        cmocka_unit_test(test_every_op_is_described),
        cmocka_unit_test(test_functions_and_constants),
        cmocka_unit_test(test_constants_are_shared_safely),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_broken_bytes),
        cmocka_unit_test(test_every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
