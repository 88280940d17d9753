/* The recorded cases of every fast op, by the kernel and by its composition: both must agree with the record. */
#include <math.h>
#include <string.h>

#include <emily/ops.h>

#include "fast/compose.h"
#include "harness/apply.h"
#include "harness/book.h"
#include "harness/expect.h"

/* The node that the builder made, under casts. */
static em_array *fast_node(em_array *made, const char *name)
{
    while (made && made->op == EM__OP_CAST && made->n_in == 1)
        made = made->in[0];
    return made && strcmp(em__op_get(made->op)->name, name) == 0 ? made : NULL;
}

static bool composable(const char *op)
{
    static const char *const names[] = {"softmax",  "layer_norm",    "rms_norm",     "rope",  "sdpa",
                                        "gelu",     "sdpa_segments", "segment_pool", "silu",  "gelu_tanh",
                                        "rotary",   "kv_update",     "swiglu",       "geglu", "geglu_tanh",
                                        "kv_codes", "kv_scales"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(op, names[i]) == 0)
            return true;
    return false;
}

/* True if the case is not for compositions: infinities that formulas in primitives turn to NaN. */
static bool extreme(const book_case *c)
{
    for (size_t i = 0; i < c->n_in; i++)
        for (size_t j = 0; c->in[i].data && em_dtype_get_kind(c->in[i].dtype) == EM_KIND_FLOAT && j < c->in[i].n; j++) {
            double v = expect_element(c->in[i].dtype, c->in[i].data, j);
            if (!(v > -1e30 && v < 1e30))
                return true;
        }
    return false;
}

static int run_case(const book_case *c)
{
    em_array *in[BOOK_OPERANDS] = {0};
    char why[256] = "";
    if (!composable(c->op) || extreme(c) || (em_dtype_size(c->out.dtype) < 4 && strncmp(c->op, "kv_", 3) != 0))
        return 0;
    em_scope *s = em_scope_new(NULL);
    for (size_t i = 0; i < c->n_in; i++)
        if (c->in[i].data)
            in[i] = em_constant(s, c->in[i].dtype, c->in[i].data, c->in[i].dims);
    em_array *node = fast_node(apply_case(s, c, in), c->op);
    assert_non_null(node);
    em__fast_call call = {node->op, node->in, node->n_in, node->ints, node->floats};
    em_array *composed = em__compose(s, &call);
    if (!composed || em_eval(s, composed) != EM_OK)
        fail_msg("%s: %s", c->name, em_scope_error(s));
    book_case loose = *c;
    loose.abs = c->abs > 2e-6 ? c->abs : 2e-6;
    loose.rel = c->rel > 2e-6 ? c->rel : 2e-6;
    loose.zero_sign = false;
    if (!book_agrees(&loose, em_array_dtype(composed), em_array_dims(composed), em_array_data(composed), why,
                     sizeof why))
        fail_msg("%s: composition: %s", c->name, why);
    em_scope_free(s);
    return 1;
}

static void run_book(const book *b, void *user)
{
    int *cases = user;
    for (size_t i = 0; i < b->n_cases; i++) {
        book_case c;
        book_get(b, i, &c);
        *cases += run_case(&c);
    }
}

static void test_compositions(void **state)
{
    (void)state;
    int cases = 0;
    book_visit(run_book, &cases);
    print_message("%d recorded cases agree with the compositions\n", cases);
    assert_true(cases > 40);
}

/* A position of 2^63 and more is past the end, not before the beginning. */
static void test_position_of_64_bits(void **state)
{
    (void)state;
    const float old[] = {1, 2, 3}, fresh[] = {9}, want[] = {1, 2, 9};
    const uint64_t past = UINT64_MAX;
    em_scope *s = em_scope_new(NULL);
    em_array *in[] = {em_constant_f32(s, old, em_shape(3, 1)), em_constant_f32(s, fresh, em_shape(1, 1)),
                      em_constant(s, EM_U64, &past, (em_dims){0})};
    em__fast_call call = {EM__OP_KV_UPDATE, in, 3, NULL, NULL};
    const float *composed = em_array_data(em__compose(s, &call));
    assert_non_null(composed);
    EXPECT_SAME_BITS(EM_F32, composed, want, 3);
    em_scope_free(s);
}

/* What stands in a cache behind its length was never written: it does not count, NaN or not. */
static void test_unwritten_rows(void **state)
{
    (void)state;
    const float q[] = {1}, k[] = {1, 2, NAN}, v[] = {4, 4, NAN}, want[] = {4};
    em_scope *s = em_scope_new(NULL);
    em_array *in[] = {em_constant_f32(s, q, em_shape(1, 1, 1, 1)), em_constant_f32(s, k, em_shape(1, 1, 3, 1)),
                      em_constant_f32(s, v, em_shape(1, 1, 3, 1)), em_scalar(s, EM_S32, 2)};
    em__fast_call call = {EM__OP_SDPA, in, 4, (int64_t[]){0, 4, 0}, (double[]){1, 0}};
    const float *composed = em_array_data(em__compose(s, &call));
    assert_non_null(composed);
    EXPECT_SAME_BITS(EM_F32, composed, want, 1);
    em_scope_free(s);
}

static void test_primitive_has_none(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_scalar(s, EM_F32, 1);
    em__fast_call call = {EM__OP_EXP, &x, 1, NULL, NULL};
    assert_null(em__compose(s, &call));
    EXPECT_ERROR(em_scope_status(s), EM_ERROR_INVALID_ARGUMENT, "primitive");
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_compositions), cmocka_unit_test(test_position_of_64_bits),
                                       cmocka_unit_test(test_unwritten_rows),
                                       cmocka_unit_test(test_primitive_has_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
