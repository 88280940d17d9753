/*
 * The source of a chain's kernel. A step's value is a variable of its own: t4 of a thin one, s4 of a full one within
 * the loop over neighbours, w4 where a later loop reads it. Operands: u2 one element a row, p2 a packet, o2 packets
 * that are kept.
 */
#include <stdarg.h>
#include <stdio.h>

#include <cuda_texts.h>
#include "device/cuda/chain.h"

enum { BY_REDUCTION = EM__CHAIN_STEPS }; /* beside the groups: who reads an operand */

typedef struct writer {
    const em_chain_layout *l;
    std::string text;
    int value[EM__CHAIN_OUT + 2]; /* the step whose result a register holds */
    int from[EM__CHAIN_STEPS][3]; /* sources: an operand, or EM__CHAIN_LOCAL + the step that made it */
    int group[EM__CHAIN_STEPS];   /* of full steps between thin ones; -1: a thin one */
    bool kept[EM__CHAIN_STEPS];   /* a full value that is read outside its group */
    int readers[EM__CHAIN_OPERANDS], last_reader[EM__CHAIN_OPERANDS]; /* groups that read the operand */
} writer;

static void put(writer *w, const char *format, ...)
{
    char line[640];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    w->text += line;
}

#define TEXT(...) #__VA_ARGS__
#define EXPANDED(...) TEXT(__VA_ARGS__)

/* Types that NVRTC does not know, the enums, and the headers. */
static void put_head(writer *w)
{
    w->text += "typedef signed char int8_t;\ntypedef short int16_t;\ntypedef int int32_t;\ntypedef long long int64_t;\n"
               "typedef unsigned char uint8_t;\ntypedef unsigned short uint16_t;\ntypedef unsigned int uint32_t;\n"
               "typedef unsigned long long uint64_t;\n";
    w->text += "enum {\n"
#define EM_OP(ENUM, name, SIGNATURE, INFER, DTYPES, TRAITS) "EM__OP_" #ENUM ",\n"
#include <emily/ops.def>
#undef EM_OP
               "};\n";
#define EM_NAME(name, text, bits, kind, st) "EM_" #name ",\n"
    w->text += "enum {\n" EM_DTYPE_MAP(EM_NAME) "};\n";
#undef EM_NAME
    for (const char *text : {em__text_op_types, em__text_op_floats, em__text_op_math, em__text_chain_math})
        w->text += text;
    w->text += EXPANDED(EM_CHAIN_ARGS) "\n";
}

/* One element for all columns of a row. */
static bool is_thin_operand(const em_chain_layout *l, int i)
{
    return l->args.strides[i][EM_MAX_RANK] == 0;
}

/* Packets of the operand stand in an array for all its readers. */
static bool is_held(const writer *w, int i)
{
    return w->readers[i] > 1 || (w->readers[i] && w->last_reader[i] == BY_REDUCTION);
}

static void note_read(writer *w, int source, int group)
{
    if (source >= EM__CHAIN_LOCAL) {
        int step = source - EM__CHAIN_LOCAL;
        w->kept[step] = w->kept[step] || (w->group[step] >= 0 && w->group[step] != group);
    } else if (w->last_reader[source] != group || !w->readers[source]) {
        w->readers[source]++;
        w->last_reader[source] = group;
    }
}

/* Groups, and who reads what. */
static void look(writer *w)
{
    const em__chain *c = &w->l->chain;
    int group = 0;
    for (int i = 0; i < c->n_steps; i++) {
        const em__chain_step *s = &c->steps[i];
        group += i > 0 && s->thin != c->steps[i - 1].thin;
        w->group[i] = s->thin ? -1 : group;
        for (int j = 0; j < s->n_in; j++) {
            w->from[i][j] = s->in[j] < EM__CHAIN_LOCAL ? s->in[j] : EM__CHAIN_LOCAL + w->value[s->in[j]];
            if (s->reduces || !s->thin)
                note_read(w, w->from[i][j], s->reduces ? BY_REDUCTION : group);
        }
        w->value[s->target] = i;
    }
}

/* How a source is written where it is read. */
static std::string name_of(const writer *w, int source, int group)
{
    char name[64];
    int step = source - EM__CHAIN_LOCAL;
    if (step >= 0)
        snprintf(name, sizeof name,
                 w->group[step] < 0        ? "t%d"
                 : w->group[step] == group ? "s%d"
                                           : "w%d[c * N + i]",
                 step);
    else if (is_thin_operand(w->l, source))
        snprintf(name, sizeof name, "u%d", source);
    else
        snprintf(name, sizeof name, is_held(w, source) ? "o%d[c * N + i]" : "em_unpack<%2$d>(p%1$d.v[i])", source,
                 (int)w->l->in[source]);
    return name;
}

/* The step's value, not rounded. */
static std::string value_of(const writer *w, int i)
{
    const em__chain_step *s = &w->l->chain.steps[i];
    std::string in[3];
    char text[320];
    const char *form = "";
    em_dtype_kind kind = em_dtype_get_kind(s->from);
    bool test = em__op_get(s->op)->infer == em__infer_PRED || em__op_get(s->op)->infer == em__infer_COMPARE;
    for (int j = 0; j < s->n_in; j++)
        in[j] = name_of(w, w->from[i][j], w->group[i]);
    const char *a = in[0].c_str(), *b = in[1].c_str(), *c = in[2].c_str();
    if (s->op == EM__OP_SELECT)
        snprintf(text, sizeof text, "%s ? %s : %s", a, b, c);
    else if (s->op == EM__OP_CAST)
        snprintf(text, sizeof text, "em_cast<%d, %d>(%s)", (int)s->from, (int)s->to, a);
    else {
        form = test ? "test" : kind == EM_KIND_FLOAT ? "float" : "integer";
        snprintf(text, sizeof text, "%sem_%s%d<%d%s%s>(%s%s%s)", test ? "(uint32_t)" : "", form, s->n_in, (int)s->op,
                 test || kind != EM_KIND_FLOAT ? ", " : "",
                 test || kind != EM_KIND_FLOAT ? std::to_string((int)s->from).c_str() : "", a, s->n_in > 1 ? ", " : "",
                 b);
    }
    return text;
}

/* Element i of packet c of the row, by all steps of the group. */
static void put_steps(writer *w, int first, int end)
{
    const em__chain *c = &w->l->chain;
    put(w, "#pragma unroll\nfor (int i = 0; i < N; i++) {\n");
    for (int i = first; i < end; i++) {
        const em__chain_step *s = &c->steps[i];
        std::string value = value_of(w, i);
        if (s->target == EM__CHAIN_OUT) {
            put(w, "r.v[i] = em_pack<%d>(%s);\n", (int)s->to, value.c_str());
            continue;
        }
        put(w, "const em_math<%d> s%d = em_round<%d>(%s);\n", (int)s->to, i, (int)s->to, value.c_str());
        if (w->kept[i])
            put(w, "w%d[c * N + i] = s%d;\n", i, i);
    }
    put(w, "}\n");
}

static void put_fetch(writer *w, int i, const char *at)
{
    int dtype = (int)w->l->in[i];
    put(w,
        "const auto p%d = em_fetch<em_stored<%d>, N>((const em_stored<%d> *)a.in[%d] + at%d%s, a.whole >> %d & 1, "
        "count);\n",
        i, dtype, dtype, i, i, at, i);
}

/* Packets that the group alone reads. */
static void put_fetches(writer *w, int group, const char *at)
{
    for (int i = 0; i < w->l->n_in; i++)
        if (w->readers[i] && w->last_reader[i] == group && !is_held(w, i) && !is_thin_operand(w->l, i))
            put_fetch(w, i, at);
}

/* Offsets of operands in the row whose number is `rest`. */
static void put_rows(writer *w)
{
    const em_chain_layout *l = w->l;
    for (int d = l->rank - 1; d >= 0; d--) {
        if (d > 0)
            put(w,
                "{ const index next = rest / (index)a.dims[%d]; const long long within = rest - next * "
                "(index)a.dims[%d]; "
                "rest = next;\n",
                d, d);
        else
            put(w, "{ const long long within = rest;\n");
        for (int i = 0; i < l->n_in; i++)
            if (l->args.strides[i][d] != 0)
                put(w, "at%d += within * a.strides[%d][%d];\n", i, i, d);
        put(w, "}\n");
    }
}

static void put_thin_operands(writer *w)
{
    for (int i = 0; i < w->l->n_in; i++)
        if (is_thin_operand(w->l, i))
            put(w, "const em_math<%d> u%d = em_unpack<%d>(((const em_stored<%d> *)a.in[%d])[at%d]);\n",
                (int)w->l->in[i], i, (int)w->l->in[i], (int)w->l->in[i], i, i);
}

static void put_begin(writer *w)
{
    const em_chain_layout *l = w->l;
    put(w, "typedef %s index;\nconstexpr int N = %d;\n", l->small ? "unsigned" : "unsigned long long", l->packet);
    put(w, "extern \"C\" __global__ void __launch_bounds__(EM_CHAIN_THREADS) em_chain(const __grid_constant__ "
           "em_chain_args a)\n{\nem_chain_wait();\n");
    for (int i = 0; i < l->n_in; i++)
        put(w, "long long at%d = 0;\n", i);
}

/* Without reductions: a packet a thread. */
static void put_flat(writer *w)
{
    const em_chain_layout *l = w->l;
    int out = (int)l->chain.steps[l->chain.n_steps - 1].to;
    put_begin(w);
    put(w, "const index packet = blockIdx.x * (index)EM_CHAIN_THREADS + threadIdx.x;\n"
           "const long long start = (long long)packet * N;\nif (start >= a.size)\nreturn;\n"
           "const int count = a.size - start < N ? (int)(a.size - start) : N;\nindex rest = packet;\n");
    if (l->rank) {
        put(w, "const index next = rest / (index)a.inner;\nconst long long column = (long long)(rest - next * "
               "(index)a.inner) * N;\nrest = next;\n");
        put_rows(w);
    } else {
        put(w, "const long long column = start;\n");
    }
    for (int i = 0; i < l->n_in; i++)
        if (!is_thin_operand(l, i))
            put(w, "at%d += column * a.strides[%d][8];\n", i, i);
    put_thin_operands(w);
    put_fetches(w, 0, "");
    put(w, "em_packet<em_stored<%d>, N> r;\n", out);
    put_steps(w, 0, l->chain.n_steps);
    put(w, "em_put((em_stored<%d> *)a.out + start, r, a.whole >> 31, count);\n}\n", out);
}

/* The loop over the packets that a thread holds of the row. */
static void put_loop(writer *w)
{
    put(w, "#pragma unroll EM_CHAIN_UNROLL(K, N)\nfor (int c = 0; c < K; c++) {\nconst int j = (c * T + thread) * N;\n"
           "if (j >= C)\nbreak;\nconst int count = C - j < N ? C - j : N;\n");
}

static void put_held(writer *w)
{
    bool any = false;
    for (int i = 0; i < w->l->n_in; i++)
        if (is_held(w, i) && !is_thin_operand(w->l, i)) {
            put(w, "em_math<%d> o%d[K * N];\n", (int)w->l->in[i], i);
            any = true;
        }
    if (!any)
        return;
    put_loop(w);
    for (int i = 0; i < w->l->n_in; i++)
        if (is_held(w, i) && !is_thin_operand(w->l, i)) {
            put_fetch(w, i, " + j");
            put(w, "#pragma unroll\nfor (int i = 0; i < N; i++)\no%d[c * N + i] = em_unpack<%d>(p%d.v[i]);\n", i,
                (int)w->l->in[i], i);
        }
    put(w, "}\n");
}

static void put_group(writer *w, int first, int end)
{
    const em__chain_step *last = &w->l->chain.steps[end - 1];
    for (int i = first; i < end; i++)
        if (w->kept[i])
            put(w, "em_math<%d> w%d[K * N];\n", (int)w->l->chain.steps[i].to, i);
    put_loop(w);
    put_fetches(w, w->group[first], " + j");
    if (last->target == EM__CHAIN_OUT)
        put(w, "em_packet<em_stored<%d>, N> r;\n", (int)last->to);
    put_steps(w, first, end);
    if (last->target == EM__CHAIN_OUT)
        put(w, "if (live)\nem_put((em_stored<%d> *)a.out + row * C + j, r, a.whole >> 31, count);\n", (int)last->to);
    put(w, "}\n");
}

static void put_thin(writer *w, int i)
{
    const em__chain_step *s = &w->l->chain.steps[i];
    int ahead = w->l->packet < 4 ? 4 : w->l->packet < 16 ? 16 / w->l->packet : 1;
    std::string value;
    if (s->reduces) {
        int source = w->from[i][0], step = source - EM__CHAIN_LOCAL;
        char text[128];
        snprintf(text, sizeof text, "em_reduce_row<%d, %d, T, N, %d, %d>(%c%d, thread, C)", (int)s->op, (int)s->from,
                 ahead, w->l->part, step >= 0 ? 'w' : 'o', step >= 0 ? step : source);
        value = text;
    } else {
        value = value_of(w, i);
    }
    if (s->target == EM__CHAIN_OUT_THIN)
        put(w,
            "const auto result = %s;\nif (live && thread == 0)\n((em_stored<%d> *)a.out)[row] = em_pack<%d>(result);\n",
            value.c_str(), (int)s->to, (int)s->to);
    else
        put(w, "const em_math<%d> t%d = em_round<%d>(%s);\n", (int)s->to, i, (int)s->to, value.c_str());
}

/* With reductions: T threads a row. A row too many is one more time the last, and not written. */
static void put_rowwise(writer *w)
{
    const em_chain_layout *l = w->l;
    put(w, "constexpr int T = %d, K = %d, C = %lld;\n", l->threads, l->held, (long long)l->columns);
    put_begin(w);
    put(w,
        "const int thread = threadIdx.x %% T;\n"
        "index rest = blockIdx.x * (index)(EM_CHAIN_THREADS / T) + threadIdx.x / T;\nconst bool live = rest < a.rows;\n"
        "rest = live ? rest : (index)a.rows - 1;\nconst long long row = rest;\n");
    put_rows(w);
    put_thin_operands(w);
    put_held(w);
    for (int i = 0; i < l->chain.n_steps;) {
        int end = i + 1;
        if (w->group[i] < 0) {
            put_thin(w, i++);
            continue;
        }
        while (end < l->chain.n_steps && w->group[end] == w->group[i])
            end++;
        put_group(w, i, end);
        i = end;
    }
    put(w, "}\n");
}

std::string em_chain_source(const em_chain_layout *layout)
{
    writer w = {};
    w.l = layout;
    look(&w);
    put_head(&w);
    if (layout->chain.n_axes)
        put_rowwise(&w);
    else
        put_flat(&w);
    return w.text;
}
