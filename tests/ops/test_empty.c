/*
 * Every recorded op without elements: each axis length of a case in turn becomes 0 wherever the case has it. A device
 * then refuses what ref refuses, and otherwise gives ref's result. With a sanitizer: nothing is read, written or
 * reckoned with that is not there.
 */
#include <string.h>

#include <emily/indexing.h>
#include <emily/ops.h>

#include "harness/apply.h"
#include "harness/book.h"
#include "harness/devices.h"
#include "harness/expect.h"
#include "harness/sample.h"

static int failed, ran;

/* All axes of `length` made 0. */
static book_case without(const book_case *c, int64_t length)
{
    book_case empty = *c;
    for (size_t i = 0; i < c->n_in; i++)
        for (int d = 0; d < c->in[i].dims.rank; d++)
            if (c->in[i].dims.dims[d] == length)
                empty.in[i].dims.dims[d] = 0;
    return empty;
}

/* NULL where the scope has an error. */
static em_array *result(em_scope *s, const book_case *c)
{
    em_array *in[BOOK_OPERANDS] = {0};
    for (size_t i = 0; i < c->n_in; i++)
        if (c->in[i].data)
            in[i] = em_constant(s, c->in[i].dtype, c->in[i].data, c->in[i].dims);
    em_array *out = apply_case(s, c, in);
    return out && em_eval(s, out) == EM_OK ? out : NULL;
}

/* As far as the recorded result may be missed: what is not empty yet sums over nothing, or averages. */
static bool agrees(const book_case *c, em_array *got, em_array *want, char *why, size_t size)
{
    book_case by_ref = *c;
    by_ref.out = (book_array){em_array_dtype(want), em_array_dims(want), em_array_size(want), em_array_data(want)};
    by_ref.dtype_open = false;
    return book_agrees(&by_ref, em_array_dtype(got), em_array_dims(got), em_array_data(got), why, size);
}

static void compare(em_device *device, const book_case *c, int64_t length)
{
    em_scope *s = em_scope_new(device), *by_ref = em_scope_new(em_device_find("ref"));
    em_array *want = result(by_ref, c), *got = result(s, c);
    char why[256] = "refused by one of both";
    ran += want != NULL;
    bool good = want && got ? agrees(c, got, want, why, sizeof why) : em_scope_status(s) == em_scope_status(by_ref);
    if (!good && ++failed < 50)
        print_error("%s: %s: axes of %lld made empty: %s; %s; ref: %s\n", em_device_name(device), c->name,
                    (long long)length, why, em_scope_error(s), em_scope_error(by_ref));
    em_scope_free(s);
    em_scope_free(by_ref);
}

static bool met_before(const book_case *c, size_t operand, int axis)
{
    for (size_t i = 0; i <= operand; i++)
        for (int d = 0; d < (i < operand ? c->in[i].dims.rank : axis); d++)
            if (c->in[i].dims.dims[d] == c->in[operand].dims.dims[axis])
                return true;
    return false;
}

static void run_book(const book *b, void *user)
{
    for (size_t i = 0; i < b->n_cases; i++) {
        book_case c;
        book_get(b, i, &c);
        for (size_t k = 0; k < c.n_in && sample_takes(); k++)
            for (int d = 0; d < c.in[k].dims.rank; d++) {
                int64_t length = c.in[k].dims.dims[d];
                book_case empty = without(&c, length);
                if (length && !met_before(&c, k, d))
                    compare(user, &empty, length);
            }
    }
}

static void test_empty(void **state)
{
    (void)state;
    for (em_device *const *device = devices_under_test(); *device; device++)
        if (*device != em_device_find("ref"))
            book_visit(run_book, *device);
    print_message("%d calls had a result\n", ran);
    assert_true(ran > 1000);
    assert_int_equal(failed, 0);
}

/* No table of angles is made for rows that are not there: theirs would be larger than memory. */
static void test_rope_of_no_batch(void **state)
{
    (void)state;
    em_scope *s = em_scope_new(NULL);
    em_array *x = em_broadcast_to(s, em_full(s, EM_F32, 0, em_shape(0, 1, 64)), em_shape(0, (int64_t)1 << 44, 64));
    em_array *y = em_rope(s, x, NULL, NULL);
    EXPECT_OK(em_eval(s, y));
    assert_int_equal(em_array_bytes(y), 0);
    em_scope_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_empty), cmocka_unit_test(test_rope_of_no_batch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
