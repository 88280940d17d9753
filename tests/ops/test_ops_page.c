/*
 * docs/ops.md: which op takes which dtype, which of them have a kernel of their own on the cpu, and which recorded
 * book proves it. Every op is taken as a book applies it, its operands' dtype is exchanged for each other dtype, and
 * the shape rule, both devices' prepare and a run over zeros say what becomes of it. `test_ops_page FILE` writes the
 * page; without an argument the page must be as it would be written.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <emily/ops.h>

#include "array/array.h"
#include "array/lower.h"
#include "device/cpu/families.h"
#include "harness/apply.h"
#include "harness/book.h"
#include "harness/expect.h"
#include "harness/golden.h"
#include "ops/linalg.h"

#define MOST_OPERANDS 8
#define MOST_INTS 64
#define MOST_FLOATS 16
#define MOST_FILES 6
#define PAGE (1 << 16)

/* An op as a book applied it. */
typedef struct sample {
    bool any;
    int n_in, n_ints, n_floats;
    em__spec in[MOST_OPERANDS];
    int64_t ints[MOST_INTS];
    double floats[MOST_FLOATS];
    int64_t size; /* elements of all operands */
} sample;

static sample samples[EM__OP_COUNT], largest[EM__OP_COUNT]; /* the smallest is soon run; some kernels want more */
static uint64_t books_of[EM__OP_COUNT];
static bool recorded[EM__OP_COUNT][EM_DTYPE_COUNT];
static char names[64][32];
static int n_books;

/* What an op's cell is asked for: its operands' dtype, of a leaf its result's. */
static em_dtype dtype_of(const em__spec *in, int n_in, const int64_t *ints, em__op op)
{
    return n_in == 0 ? (em_dtype)ints[0] : in[op == EM__OP_SELECT && n_in > 1 ? 1 : 0].dtype;
}

static void keep(const em_array *a)
{
    sample s = {.any = true, .n_in = a->n_in, .n_ints = a->n_ints, .n_floats = a->n_floats};
    if (a->n_in > MOST_OPERANDS || a->n_ints > MOST_INTS || a->n_floats > MOST_FLOATS)
        return;
    for (int i = 0; i < a->n_in; i++) {
        s.in[i] = a->in[i]->spec;
        s.size += em__spec_size(&s.in[i]);
    }
    memcpy(s.ints, a->ints, (size_t)a->n_ints * sizeof *s.ints);
    memcpy(s.floats, a->floats, (size_t)a->n_floats * sizeof *s.floats);
    em_dtype dtype = dtype_of(s.in, s.n_in, s.ints, a->op);
    recorded[a->op][dtype] = true;
    books_of[a->op] |= (uint64_t)1 << n_books;
    /* The smallest of f32, if there is one. */
    sample *best = &samples[a->op];
    bool f32 = dtype == EM_F32, had = best->any && dtype_of(best->in, best->n_in, best->ints, a->op) == EM_F32;
    if (!best->any || (f32 && !had) || (f32 == had && s.size && s.size < best->size))
        *best = s;
    if (f32 && s.size > largest[a->op].size)
        largest[a->op] = s;
}

/* Whether a case's op is this one: builders that choose among ops of a name ("argmax_with") count as it. */
static bool is_case(const char *name, const char *op)
{
    size_t n = strlen(op);
    return !strncmp(name, op, n) && (!name[n] || !strcmp(name + n, "_with"));
}

static void walk(const em_array *a, const char *name, int depth)
{
    if (a->op != EM__OP_CONSTANT && !a->buffer && (is_case(name, em__op_get(a->op)->name) || depth == 0))
        keep(a);
    for (int i = 0; i < a->n_in && depth < 6; i++)
        walk(a->in[i], name, depth + 1);
}

static void read_book(const book *b, void *user)
{
    (void)user;
    for (size_t i = 0; i < b->n_cases; i++) {
        book_case c;
        em_array *in[BOOK_OPERANDS] = {0};
        em_scope *s = em_scope_new(em_device_find("ref"));
        book_get(b, i, &c);
        for (size_t k = 0; k < c.n_in; k++)
            if (c.in[k].data)
                in[k] = em_constant(s, c.in[k].dtype, c.in[k].data, c.in[k].dims);
        em_array *out = apply_case(s, &c, in);
        if (out)
            walk(out, c.op, 0);
        em_scope_free(s);
    }
    n_books++;
}

static void name_books(void)
{
    glob_t found;
    assert_int_equal(glob(golden_path("ops/*.json"), 0, NULL, &found), 0);
    assert_true(found.gl_pathc <= 64);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *name = strrchr(found.gl_pathv[i], '/') + 1;
        snprintf(names[i], sizeof names[i], "%.*s", (int)(strlen(name) - strlen(".json")), name);
    }
    globfree(&found);
}

/* Files of src/device/cpu/x86 without their set: what the kernels of a family are made of, in the order of cpu.c. */
static const struct {
    em__cpu_prepare_fn takes;
    const char *files[MOST_FILES];
} families[] = {
    {em__cpu_prepare_map, {"elementwise", "elementwise_plain", "cast"}},
    {em__cpu_prepare_norm, {"rows"}},
    {em__cpu_prepare_reduce, {"reduce"}},
    {em__cpu_prepare_dot, {"gemm", "small", "thin"}},
    {em__cpu_prepare_dot_half, {"gemm", "gemm_round", "thin"}},
    {em__cpu_prepare_dot_mixed, {"gemm", "gemm_round", "thin"}},
    {em__cpu_prepare_move, {"copy"}},
    {em__cpu_prepare_index, {"offsets", "copy"}},
    {em__cpu_prepare_segments, {"elementwise"}},
    {em__cpu_prepare_scan, {"scan"}},
    {em__cpu_prepare_window, {"elementwise"}},
    {em__cpu_prepare_window_scatter, {"window_scatter"}},
    {em__cpu_prepare_attention, {"attention"}},
    {em__cpu_prepare_rotary, {"rotary"}},
    {em__cpu_prepare_kv, {"copy"}},
    {em__cpu_prepare_random, {"random"}},
    {em__cpu_prepare_order, {"order", "order_quick"}},
    {em__cpu_prepare_conv, {"conv", "gemm"}},
    {em__cpu_prepare_dot_any, {"product", "small"}},
    {em__cpu_prepare_quant, {"quant", "quant_packed", "quant_planes", "quant_round"}},
    {em__cpu_prepare_fourier, {"fourier"}},
};

#define N_FAMILIES ((int)(sizeof families / sizeof *families))

/* The families of kernels that have taken a call of the op, a bit each. */
static uint32_t families_of[EM__OP_COUNT];

static void find_family(const em__call *call)
{
    for (int i = 0; i < N_FAMILIES; i++) {
        em__plan plan = {0};
        if (families[i].takes(em__cpu_of(em_device_find("cpu")), call, &plan)) {
            families_of[call->op] |= (uint32_t)1 << i;
            return;
        }
    }
}

/* The sample with another dtype, built and run on a device; *fallback: by the general loop. */
static bool runs(const char *device, em__op op, const sample *from, em_dtype dtype, bool *fallback)
{
    sample s = *from;
    em_dtype old = dtype_of(s.in, s.n_in, s.ints, op);
    em_array *in[MOST_OPERANDS];
    em__lowered lowered;
    em_scope *scope = em_scope_new(em_device_find(device));
    if (s.n_in == 0)
        s.ints[0] = dtype;
    for (int i = 0; i < s.n_in; i++) {
        em_dims dims = {.rank = s.in[i].rank};
        memcpy(dims.dims, s.in[i].dims, sizeof dims.dims);
        s.in[i].dtype = s.in[i].dtype == old ? dtype : s.in[i].dtype;
        if (op >= EM__OP_LU && op <= EM__OP_DETERMINANT) { /* 0 would be a singular matrix */
            in[i] = em_broadcast_to(scope, em_scalar(scope, s.in[i].dtype, 1), dims);
            em_array_data(in[i]);
            continue;
        }
        char *zeros = calloc((size_t)em__spec_size(&s.in[i]) + 1, em_dtype_size(s.in[i].dtype));
        in[i] = em_constant(scope, s.in[i].dtype, zeros, dims);
        free(zeros);
    }
    em_array *out = em__build(scope, &(em__build_args){op, in, s.n_in, s.ints, s.n_ints, s.floats, s.n_floats});
    bool good = out != NULL;
    *fallback = false;
    if (good && !(em__op_get(op)->traits & EM__TRAIT_VIEW)) {
        em__tensor tensors[MOST_OPERANDS];
        for (int i = 0; i < s.n_in; i++)
            tensors[i] = em__array_tensor(in[i]);
        em__call call = {.op = op, .n_in = s.n_in, .in = tensors, .out = {.spec = out->spec}, .ints = s.ints};
        call.n_ints = s.n_ints;
        call.floats = s.floats;
        call.n_floats = s.n_floats;
        good = em__lower(em_device_find(device), &call, &lowered) == EM_OK;
        *fallback = lowered.plan.fallback;
        if (good && !*fallback && !strcmp(device, "cpu"))
            find_family(&call);
    }
    em_status status = good ? em_eval(scope, out) : EM_ERROR_INVALID_ARGUMENT;
    em_scope_free(scope);
    return status != EM_ERROR_INVALID_ARGUMENT && status != EM_ERROR_UNSUPPORTED;
}

/* What the op's builder casts operands of the dtype to; false when it refuses them. */
static bool builder_dtype(em__op op, em_dtype dtype, em_dtype *want)
{
    if (em__op_operand_dtype(op, dtype, want) != EM_OK)
        return false;
    if (op >= EM__OP_LU && op <= EM__OP_DETERMINANT)
        *want = em__linalg_dtype(dtype);
    if (op == EM__OP_SUM || op == EM__OP_PRODUCT)
        *want = em__sum_dtype(dtype);
    if (op == EM__OP_MAKE_COMPLEX)
        *want = em__real_dtype(em__complex_dtype(dtype));
    if (op == EM__OP_CONV && em_dtype_get_kind(dtype) < EM_KIND_FLOAT)
        *want = EM_F32;
    if (!em__op_takes_sub_byte(op))
        *want = em__wide_dtype(*want);
    return true;
}

/* One cell into `text` [16]. */
static void cell(em__op op, em_dtype dtype, char *text)
{
    em_dtype want;
    bool slow, ignored;
    if (op == EM__OP_BITCAST) /* the recorded width is another dtype's; each has itself */
        samples[op].ints[0] = dtype;
    if (!builder_dtype(op, dtype, &want)) {
        snprintf(text, 16, "-");
    } else if (want != dtype) {
        snprintf(text, 16, "%s", em_dtype_name(want));
    } else if (!runs("cpu", op, &samples[op], dtype, &slow) || !runs("ref", op, &samples[op], dtype, &ignored)) {
        snprintf(text, 16, "x");
    } else {
        if (slow && largest[op].any)
            runs("cpu", op, &largest[op], dtype, &slow);
        const char *how = em__op_get(op)->traits & EM__TRAIT_VIEW ? "v" : slow ? "r" : "k";
        snprintf(text, 16, "%s%s", how, recorded[op][dtype] ? "" : "?");
    }
}

static const char head[] =
    "# Ops and dtypes\n"
    "\n"
    "Made by `make ops-page` from `include/emily/ops.def`, the devices and the recorded books; do not edit.\n"
    "\n"
    "Every op runs on `ref`, the naive loops. A cell says what becomes of operands of that dtype on `cpu`:\n"
    "\n"
    "- `k` a kernel of its own (perhaps not of every shape); `r` the general loop of `ref` (counted as a fallback in\n"
    "  profiles): dtypes of which no framework's models make much of the op; `v` a view, no work.\n"
    "- a dtype: operands are cast to it first, and its cell holds. What a dtype below a byte was cast from, a result "
    "of\n"
    "  its dtype is cast back to.\n"
    "- `-` refused, with a status and a text, by the class of dtypes that the op takes (`any`; `ordered`: no complex, "
    "of\n"
    "  which none is less than another; `numeric`: no pred; `real`: numbers but complex, which do not round; `float` "
    "and\n"
    "  `inexact`: integers become f32, and only the latter has complex values; `integer`; `bits`: integers and pred).\n"
    "- `x` refused by the op's own rule: it is defined for other dtypes only, as `emily/ops.h` says (keys are u32, "
    "packed\n"
    "  weights have scales of three float dtypes, transforms are of f32, f64, c64 and c128).\n"
    "- `?` behind a letter: no recorded value of this dtype; the loop is the one that the recorded dtypes run "
    "through.\n"
    "\n"
    "`sets` names the sets of instructions for which the kernels of an op have code of their own, beside the portable\n"
    "one that all machines have: files of `src/device/cpu/x86`. Cells are the same with every set, and the books hold\n"
    "with every set: `ctest -R ops_page` and `ctest -R golden_ops` run with each (`EMILY_CPU`).\n"
    "\n"
    "The books (`tests/golden/ops`) hold values of NumPy, SciPy, PyTorch, JAX or exact integers; `tests/ops` compares "
    "both\n"
    "devices with them, `tests/graph/test_program_ops.c` both program lanes with eager, bit for bit. Kernels are held\n"
    "against references at every instruction set by `tests/kernels` besides. Attention, norms and their like have "
    "their\n"
    "compositions as oracle in `tests/fast`. A cell shows operands; other operands (indices, masks, keys) keep the "
    "dtypes\n"
    "that the op wants.\n"
    "\n";

static bool has_file(const char *const *files, const char *set)
{
    bool there = false;
    for (int f = 0; f < MOST_FILES && files[f]; f++) {
        char path[512];
        snprintf(path, sizeof path, "%s/../src/device/cpu/x86/%s_%s.c", EM_TEST_DIR, files[f], set);
        there = there || access(path, R_OK) == 0;
    }
    return there;
}

/* The sets for which kernels of the op have code. */
static void sets_of(em__op op, char *text, size_t size)
{
    static const char *const casts[MOST_FILES] = {"cast"}; /* that move what does not change */
    static const char *const sets[] = {"avx2", "avx512", "vnni", "bf16", "amx"};
    size_t at = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        bool there = false;
        for (int f = 0; f < N_FAMILIES && op != EM__OP_CAST; f++)
            there = there || ((families_of[op] >> f & 1) && has_file(families[f].files, sets[i]));
        if (there || (op == EM__OP_CAST && has_file(casts, sets[i])))
            at += (size_t)snprintf(text + at, size - at, "%s%s", at ? ", " : "", sets[i]);
    }
}

static size_t put(char *page, size_t at, const char *text)
{
    size_t n = strlen(text);
    assert_true(at + n < PAGE);
    memcpy(page + at, text, n + 1);
    return at + n;
}

static size_t put_row(char *page, size_t at, em__op op)
{
    char text[64];
    snprintf(text, sizeof text, "| %s |", em__op_get(op)->name);
    at = put(page, at, text);
    for (int d = 0; d < EM_DTYPE_COUNT; d++) {
        char what[16];
        cell(op, (em_dtype)d, what);
        snprintf(text, sizeof text, " %s |", what);
        at = put(page, at, text);
    }
    static const char *const classes[] = {"any",     "ordered", "numeric", "real", "float",
                                          "inexact", "complex", "integer", "bits"};
    snprintf(text, sizeof text, " %s |", classes[em__op_get(op)->accepts]);
    at = put(page, put(page, at, text), " ");
    sets_of(op, text, sizeof text);
    at = put(page, put(page, at, text), " |");
    const char *between = " ";
    for (int b = 0; b < n_books; b++)
        if (books_of[op] >> b & 1) {
            at = put(page, put(page, at, between), names[b]);
            between = ", ";
        }
    return put(page, at, " |\n");
}

static char *make_page(void)
{
    char *page = calloc(PAGE, 1);
    size_t at = put(page, 0, head);
    name_books();
    book_visit(read_book, NULL);
    at = put(page, at, "| op |");
    for (int d = 0; d < EM_DTYPE_COUNT; d++)
        at = put(page, put(page, put(page, at, " "), em_dtype_name((em_dtype)d)), " |");
    at = put(page, at, " takes | sets | books |\n|---|");
    for (int d = 0; d <= EM_DTYPE_COUNT + 2; d++)
        at = put(page, at, "---|");
    at = put(page, at, "\n");
    for (int op = 0; op < EM__OP_COUNT; op++)
        if (samples[op].any)
            at = put_row(page, at, (em__op)op);
    at = put(page, at,
             "\nMade by the tracer and by passes, never asked for, without a book of their own (`tests/graph`):");
    for (int op = 0; op < EM__OP_COUNT; op++)
        if (!samples[op].any)
            at = put(page, put(page, put(page, at, " `"), em__op_get((em__op)op)->name), "`");
    put(page, at, "\n");
    return page;
}

static void test_page(void **state)
{
    (void)state;
    char path[512], *page = make_page(), *there = calloc(PAGE, 1);
    snprintf(path, sizeof path, "%s/../docs/ops.md", EM_TEST_DIR);
    FILE *file = fopen(path, "rb");
    if (file) {
        (void)!fread(there, 1, PAGE - 1, file);
        fclose(file);
    }
    bool same = !strcmp(page, there);
    free(page), free(there);
    if (!same)
        fail_msg("docs/ops.md is not what ops.def, the devices and the books say: `make ops-page` writes it");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_page)};
    if (argc < 2)
        return cmocka_run_group_tests(tests, NULL, NULL);
    char *page = make_page();
    FILE *file = fopen(argv[1], "wb");
    bool good = file && fputs(page, file) >= 0 && fclose(file) == 0;
    free(page);
    return good ? 0 : 1;
}
