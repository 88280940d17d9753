/*
 * Every op on every device against what NumPy, SciPy, PyTorch and JAX say (tests/golden/ops). A case that differs is
 * printed; all cases run before the test fails.
 */
#include <stdio.h>
#include <string.h>

#include <emily/ops.h>

#include "harness/apply.h"
#include "harness/book.h"
#include "harness/devices.h"
#include "harness/expect.h"
#include "harness/sample.h"

static bool run_case(em_device *device, const book_case *c)
{
    char why[256] = "";
    em_array *in[BOOK_OPERANDS] = {0};
    em_scope *s = em_scope_new(device);
    assert_non_null(s);
    for (size_t i = 0; i < c->n_in; i++)
        if (c->in[i].data)
            in[i] = em_constant(s, c->in[i].dtype, c->in[i].data, c->in[i].dims);
    em_array *out = apply_case(s, c, in);
    bool good = out && em_eval(s, out) == EM_OK;
    if (!good)
        snprintf(why, sizeof why, "%.200s", em_scope_error(s));
    else
        good = book_agrees(c, em_array_dtype(out), em_array_dims(out), em_array_data(out), why, sizeof why);
    if (!good)
        print_error("%s: %s: %s\n", em_device_name(device), c->name, why);
    em_scope_free(s);
    return good;
}

typedef struct run {
    em_device *device;
    size_t failed;
} run;

static void run_book(const book *b, void *user)
{
    run *r = user;
    for (size_t i = 0; i < b->n_cases; i++) {
        if (!sample_takes())
            continue;
        book_case c;
        book_get(b, i, &c);
        r->failed += !run_case(r->device, &c);
    }
}

static void test_recorded(void **state)
{
    (void)state;
    size_t failed = 0;
    for (em_device *const *device = devices_under_test(); *device; device++) {
        run r = {.device = *device};
        size_t cases = book_visit(run_book, &r);
        print_message("%s: %zu of %zu recorded cases agree\n", em_device_name(*device), cases - r.failed, cases);
        failed += r.failed;
    }
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recorded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
