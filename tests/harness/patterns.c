/* See patterns.h. */
#include "harness/patterns.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/rng.h"

typedef struct heard {
    char text[4096];
} heard;

static void hear(const char *line, void *user)
{
    heard *h = user;
    size_t used = strlen(h->text);
    snprintf(h->text + used, sizeof h->text - used, "%s\n", line);
}

em_array *pattern_number(em_scope *s, em_array *x, double value)
{
    return em_scalar(s, em_array_dtype(x), value);
}

static int count_of(const heard *h, const char *pattern)
{
    char key[64];
    snprintf(key, sizeof key, "%s: ", pattern);
    const char *at = strncmp(h->text, key, strlen(key)) == 0 ? h->text : NULL;
    snprintf(key, sizeof key, "\n%s: ", pattern);
    if (!at && (at = strstr(h->text, key)))
        at++;
    return at ? (int)strtol(at + strlen(pattern) + 2, NULL, 10) : 0;
}

static void check_report(const pattern_case *c, em_program *program)
{
    heard found = {""}, kernels = {""};
    char said[64];
    em_program_patterns(program, hear, &found);
    em_program_describe(program, hear, &kernels);
    if (count_of(&found, c->pattern) != c->times)
        fail_msg("%s: %s should be found %d times; the matcher says\n%s%s", c->name, c->pattern, c->times, found.text,
                 kernels.text);
    snprintf(said, sizeof said, "near miss: %s", c->pattern);
    if (c->miss ? !strstr(found.text, c->miss) : strstr(found.text, said) != NULL)
        fail_msg("%s: expected %s; the matcher says\n%s", c->name, c->miss ? c->miss : "no near miss", found.text);
    if (c->op && !strstr(kernels.text, c->op))
        fail_msg("%s: no %s among the kernels\n%s", c->name, c->op, kernels.text);
    em_program_stats stats = {.struct_size = sizeof stats};
    em_program_get_stats(program, &stats);
    if (c->kernels && (int)stats.kernels != c->kernels)
        fail_msg("%s: %zu kernels, not %d\n%s", c->name, stats.kernels, c->kernels, kernels.text);
}

static void compare(const pattern_case *c, em_array *got, em_array *want, bool print)
{
    em_dtype dtype = em_array_dtype(want);
    assert_int_equal(em_array_dtype(got), dtype);
    assert_int_equal(em_array_bytes(got), em_array_bytes(want));
    size_t n = em_array_bytes(want) / em_dtype_size(dtype);
    double worst = 0;
    const bool gpu = default_has_own_memory(); /* merged kernels there may sum in another order */
    const double most = gpu && c->abs < 1e-6 ? 1e-6 : c->abs;
    for (size_t i = 0; i < n; i++) {
        double a = expect_element(dtype, em_array_data(got), i), b = expect_element(dtype, em_array_data(want), i);
        if (isnan(a) != isnan(b) || fabs(a - b) > most)
            fail_msg("%s: element %zu is %.9g, eager has %.9g", c->name, i, a, b);
        worst = fabs(a - b) > worst ? fabs(a - b) : worst;
    }
    if (print)
        print_message("  %-44s %.1e of %.1e\n", c->name, worst, c->abs);
}

void pattern_run(const pattern_case *c)
{
    em_array *in[PATTERN_INPUTS], *want[1], *got[1] = {NULL};
    rng r = {7};
    em_scope *s = em_scope_new(NULL);
    for (int i = 0; i < c->n_inputs; i++) {
        size_t n = 1;
        for (int d = 0; d < c->inputs[i].dims.rank; d++)
            n *= (size_t)c->inputs[i].dims.dims[d];
        char *data = malloc(n * 8 + 1);
        assert_non_null(data);
        if (c->inputs[i].dtype == EM_PRED)
            for (size_t j = 0; j < n; j++)
                data[j] = rng_below(&r, 4) != 0;
        else
            rng_fill(&r, c->inputs[i].dtype, data, n);
        in[i] = em_constant(s, c->inputs[i].dtype, data, c->inputs[i].dims);
        free(data);
    }
    EXPECT_OK(c->build(s, in, want, NULL));
    if (em_eval(s, want[0]) != EM_OK)
        fail_msg("%s: %s", c->name, em_scope_error(s));
    em_program *program = em_compile(c->build, NULL, c->inputs, (size_t)c->n_inputs, 1, NULL);
    if (!program)
        fail_msg("%s: %s", c->name, em_last_error());
    check_report(c, program);
    for (int threads = 1; threads <= 3; threads += 2) {
        EXPECT_OK(em_device_set_threads(em_device_default(), threads));
        EXPECT_OK(em_run(program, in, got));
        compare(c, got[0], want[0], threads == 1);
        em_array_release(&got[0]);
    }
    em_program_free(program);
    em_scope_free(s);
}

void pattern_run_all(const pattern_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pattern_run(&cases[i]);
}
