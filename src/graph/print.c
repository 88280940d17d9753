/* A graph for people: text, a line a node, or a drawing in Graphviz' language. */
#include <stdio.h>

#include <emily/ir.h>

#include "core/error.h"
#include "core/str.h"
#include "graph/function.h"

typedef struct printer {
    void (*emit)(const char *line, void *user);
    void *user;
    em__str line;
    int depth;   /* of functions */
    int cluster; /* numbers drawn functions */
} printer;

static void flush(printer *p)
{
    p->emit(em__str_text(&p->line), p->user);
    em__str_clear(&p->line);
}

static em_status begin_line(printer *p)
{
    return em__str_addf(&p->line, "%*s", 2 * p->depth, "");
}

static const em__graph *graph_of(const em__node *node, int i)
{
    const em__body *body = (const em__body *)node->functions[i];
    return body->graph.nodes.length ? &body->graph : &body->program->graph;
}

static const char *function_name(em__op op, int i)
{
    static const char *const names[][EM__FUNCTIONS] = {{"condition", "body"}, {"yes", "no"}};
    return names[op == EM__OP_COND][i];
}

static em_status text_graph(printer *p, const em__graph *graph, const char *name);

static em_status text_attributes(printer *p, const em__node *node)
{
    enum { SHOWN = 16 };
    if (node->n_ints || node->n_floats)
        EM__TRY(em__str_add_text(&p->line, "  {"));
    for (int i = 0; i < node->n_ints && i < SHOWN; i++)
        EM__TRY(em__str_addf(&p->line, "%s%lld", i ? ", " : "", (long long)node->ints[i]));
    if (node->n_ints > SHOWN)
        EM__TRY(em__str_add_text(&p->line, ", .."));
    for (int i = 0; i < node->n_floats && i < SHOWN; i++)
        EM__TRY(em__str_addf(&p->line, "%s%a", i || node->n_ints ? ", " : "", node->floats[i]));
    return node->n_ints || node->n_floats ? em__str_add_char(&p->line, '}') : EM_OK;
}

static em_status text_node(printer *p, const em__node *node, size_t index)
{
    char spec[EM__SPEC_TEXT];
    EM__TRY(begin_line(p));
    EM__TRY(em__str_addf(&p->line, "%%%zu = %s(", index, em__op_get(node->op)->name));
    for (int i = 0; i < node->n_in; i++)
        EM__TRY(em__str_addf(&p->line, "%s%%%d", i ? ", " : "", node->in[i]));
    EM__TRY(em__str_addf(&p->line, ") : %s", em__spec_print(&node->spec, spec, sizeof spec)));
    EM__TRY(text_attributes(p, node));
    flush(p);
    for (int i = 0; i < em__bodies(node->op); i++) {
        p->depth++;
        EM__TRY(text_graph(p, graph_of(node, i), function_name(node->op, i)));
        p->depth--;
    }
    return EM_OK;
}

static em_status text_graph(printer *p, const em__graph *graph, const char *name)
{
    char spec[EM__SPEC_TEXT];
    EM__TRY(begin_line(p));
    EM__TRY(em__str_addf(&p->line, "%s(", name));
    for (size_t i = 0; i < graph->n_inputs; i++)
        EM__TRY(em__str_addf(&p->line, "%s%s", i ? ", " : "", em__spec_print(&graph->inputs[i], spec, sizeof spec)));
    EM__TRY(em__str_add_text(&p->line, "):"));
    flush(p);
    p->depth++;
    for (size_t i = 0; i < graph->nodes.length; i++)
        EM__TRY(text_node(p, &graph->nodes.data[i], i));
    EM__TRY(begin_line(p));
    EM__TRY(em__str_add_text(&p->line, "return "));
    for (size_t i = 0; i < graph->n_outputs; i++)
        EM__TRY(em__str_addf(&p->line, "%s%%%d", i ? ", " : "", graph->outputs[i]));
    flush(p);
    p->depth--;
    return EM_OK;
}

static em_status dot_graph(printer *p, const em__graph *graph, int cluster);

static em_status dot_node(printer *p, const em__node *node, int cluster, size_t index)
{
    char spec[EM__SPEC_TEXT];
    EM__TRY(em__str_addf(&p->line, "  n%d_%zu [shape=box label=\"%s\\n%s\"];", cluster, index,
                         em__op_get(node->op)->name, em__spec_print(&node->spec, spec, sizeof spec)));
    flush(p);
    for (int i = 0; i < node->n_in; i++) {
        EM__TRY(em__str_addf(&p->line, "  n%d_%d -> n%d_%zu;", cluster, node->in[i], cluster, index));
        flush(p);
    }
    for (int i = 0; i < em__bodies(node->op); i++) {
        int inner = ++p->cluster;
        EM__TRY(em__str_addf(&p->line, "  subgraph cluster_%d { label=\"%s of %zu\";", inner,
                             function_name(node->op, i), index));
        flush(p);
        EM__TRY(dot_graph(p, graph_of(node, i), inner));
        EM__TRY(em__str_add_text(&p->line, "  }"));
        flush(p);
    }
    return EM_OK;
}

static em_status dot_graph(printer *p, const em__graph *graph, int cluster)
{
    for (size_t i = 0; i < graph->nodes.length; i++)
        EM__TRY(dot_node(p, &graph->nodes.data[i], cluster, i));
    for (size_t i = 0; i < graph->n_outputs; i++) {
        EM__TRY(em__str_addf(&p->line, "  n%d_%d -> out%d_%zu; out%d_%zu [label=\"output %zu\"];", cluster,
                             graph->outputs[i], cluster, i, cluster, i, i));
        flush(p);
    }
    return EM_OK;
}

static em_status dot_program(printer *p, const em__graph *graph)
{
    EM__TRY(em__str_add_text(&p->line, "digraph program {"));
    flush(p);
    EM__TRY(dot_graph(p, graph, 0));
    EM__TRY(em__str_add_char(&p->line, '}'));
    flush(p);
    return EM_OK;
}

em_status em_program_print(const em_program *program, em_print_format format,
                           void (*emit)(const char *line, void *user), void *user)
{
    EM__FAIL_IF(!program || !emit, EM_ERROR_INVALID_ARGUMENT, "print: NULL argument");
    printer p = {.emit = emit, .user = user};
    const em__graph *graph = program->source.nodes.length ? &program->source : &program->graph;
    em_status status = format == EM_PRINT_DOT ? dot_program(&p, graph) : text_graph(&p, graph, "program");
    em__str_free(&p.line);
    return status;
}
