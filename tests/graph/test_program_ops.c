/*
 * Every recorded op as a program: the native lane must give eager's bits, and so must the fuse lane for a lone op; a
 * second run of the program gives the first one's. Each case runs with its operands as inputs and again with them
 * captured as constants (then most of it folds). What a device runs by its general path is printed.
 */
#include <stdio.h>
#include <string.h>

#include <emily/program.h>

#include "harness/apply.h"
#include "harness/book.h"
#include "harness/devices.h"
#include "harness/expect.h"
#include "harness/sample.h"

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

/* Lines of a program that say "(fallback)", each once: op and types. */
typedef struct general_path {
    char lines[512][96];
    size_t n;
} general_path;

static void add_line(const char *line, void *user)
{
    general_path *seen = user;
    const char *arrow = strstr(line, "-> ");
    char text[96];
    if (!strstr(line, "(fallback)") || !arrow)
        return;
    snprintf(text, sizeof text, "%.*s %.*s", (int)strcspn(line, " "), line, (int)strcspn(arrow + 3, " []"), arrow + 3);
    for (size_t i = 0; i < seen->n; i++)
        if (!strcmp(seen->lines[i], text))
            return;
    if (seen->n < 512)
        memcpy(seen->lines[seen->n++], text, sizeof text);
}

static general_path general;
static int failed; /* runs; not one, so that all are seen at once */

static bool run_and_compare(em_program *program, em_array *const *inputs, em_array *eager)
{
    em_array *out = NULL;
    EXPECT_OK(em_run(program, inputs, &out));
    EXPECT_OK(em_array_eval(eager));
    assert_int_equal(em_array_bytes(out), em_array_bytes(eager));
    bool same = !em_array_bytes(out) || !memcmp(em_array_data(out), em_array_data(eager), em_array_bytes(out));
    em_array_release(&out);
    return same;
}

static void run_lane(em_device *device, const book_case *c, em_array *const *operands, em_array *eager, em_lane lane,
                     bool captured)
{
    em_spec specs[BOOK_OPERANDS];
    em_array *inputs[BOOK_OPERANDS];
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
    em_program_describe(program, add_line, &general);
    for (int time = 1; time <= 2; time++)
        if (!run_and_compare(program, inputs, eager) && ++failed < 50)
            print_error("%s: %s: lane %d, operands %s, run %d: other bits than eager\n", em_device_name(device),
                        c->name, (int)lane, captured ? "captured" : "given", time);
    em_program_free(program);
}

static void run_book(const book *b, void *user)
{
    em_device *device = user;
    for (size_t i = 0; i < b->n_cases; i++) {
        if (!sample_takes())
            continue;
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

static void test_recorded(void **state)
{
    (void)state;
    for (em_device *const *device = devices_under_test(); *device; device++) {
        general.n = 0;
        size_t cases = book_visit(run_book, *device);
        print_message("%s: %zu cases, 2 lanes, operands given and captured\n", em_device_name(*device), cases);
        for (size_t i = 0; i < general.n; i++)
            print_message("by the general path: %s\n", general.lines[i]);
    }
    assert_int_equal(failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recorded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
