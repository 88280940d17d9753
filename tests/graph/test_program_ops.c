/*
 * Every recorded op as a program: the native lane must give eager's bits, and so must the fuse lane for a lone op. Each
 * case runs with its operands as inputs and again with them captured as constants (then most of it folds).
 */
#include <string.h>

#include <emily/program.h>

#include "harness/apply.h"
#include "harness/book.h"
#include "harness/expect.h"

typedef struct tracing {
    const book_case *c;
    em_array *const *captured; /* NULL: operands are inputs */
} tracing;

static em_status trace(em_scope *s, em_array *const *inputs, em_array **outputs, void *user)
{
    const tracing *t = user;
    em_array *in[BOOK_OPERANDS] = {0};
    size_t next = 0;
    for (size_t i = 0; i < t->c->n_in; i++)
        if (t->c->in[i].data)
            in[i] = t->captured ? t->captured[i] : inputs[next++];
    outputs[0] = apply_case(s, t->c, in);
    return em_scope_status(s);
}

static void run_lane(em_device *device, const book_case *c, em_array *const *operands, em_array *eager, em_lane lane,
                     bool captured)
{
    em_spec specs[BOOK_OPERANDS];
    em_array *inputs[BOOK_OPERANDS], *out = NULL;
    size_t n = 0;
    for (size_t i = 0; i < c->n_in && !captured; i++)
        if (c->in[i].data) {
            specs[n] = (em_spec){c->in[i].dtype, c->in[i].dims};
            inputs[n++] = operands[i];
        }
    tracing t = {c, captured ? operands : NULL};
    em_compile_options options = {.struct_size = sizeof options, .lane = lane, .device = device};
    em_program *program = em_compile(trace, &t, specs, n, 1, &options);
    if (!program)
        fail_msg("%s: %s", c->name, em_last_error());
    EXPECT_OK(em_run(program, inputs, &out));
    EXPECT_OK(em_array_eval(eager));
    assert_int_equal(em_array_bytes(out), em_array_bytes(eager));
    if (em_array_bytes(out) && memcmp(em_array_data(out), em_array_data(eager), em_array_bytes(out)) != 0)
        fail_msg("%s: %s: lane %d, operands %s: other bits than eager", em_device_name(device), c->name, (int)lane,
                 captured ? "captured" : "given");
    em_array_release(&out);
    em_program_free(program);
}

static void run_book(const book *b, void *user)
{
    em_device *device = user;
    for (size_t i = 0; i < b->n_cases; i++) {
        book_case c;
        em_array *operands[BOOK_OPERANDS] = {0};
        em_scope *s = em_scope_new(device);
        book_get(b, i, &c);
        for (size_t k = 0; k < c.n_in; k++)
            if (c.in[k].data)
                operands[k] = em_constant(s, c.in[k].dtype, c.in[k].data, c.in[k].dims);
        em_array *eager = apply_case(s, &c, operands);
        for (int lane = EM_NATIVE; lane <= EM_FUSE; lane++) {
            run_lane(device, &c, operands, eager, (em_lane)lane, false);
            run_lane(device, &c, operands, eager, (em_lane)lane, true);
        }
        em_scope_free(s);
    }
}

static void run_device(const char *name)
{
    size_t cases = book_visit(run_book, em_device_find(name));
    print_message("%s: %zu cases, 2 lanes, operands given and captured: eager's bits\n", name, cases);
}

static void test_ref(void **state)
{
    (void)state;
    run_device("ref");
}

static void test_cpu(void **state)
{
    (void)state;
    run_device("cpu");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ref), cmocka_unit_test(test_cpu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
