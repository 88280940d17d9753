/* A graph as bytes. Ops go by name, so that bytes outlive the order of ops.def; specs that rules give are left out. */
#include <string.h>

#include <emily/ir.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/str.h"
#include "graph/code.h"
#include "graph/function.h"

typedef struct encoder {
    em__str body;
    em__str names;
    int name_of[EM__OP_COUNT]; /* number of the op's name, plus 1 */
    uint64_t n_names;
    size_t inline_bytes;
    em__captures constants; /* those that go by number, held */
} encoder;

static em_status put_varint(em__str *to, uint64_t value)
{
    while (value >= 0x80) {
        EM__TRY(em__str_add_char(to, (char)(value | 0x80)));
        value >>= 7;
    }
    return em__str_add_char(to, (char)value);
}

static em_status put_signed(em__str *to, int64_t value)
{
    return put_varint(to, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static em_status put_spec(em__str *to, const em__spec *spec)
{
    EM__TRY(em__str_add_char(to, (char)spec->dtype));
    EM__TRY(em__str_add_char(to, (char)spec->rank));
    for (int i = 0; i < spec->rank; i++)
        EM__TRY(put_varint(to, (uint64_t)spec->dims[i]));
    return EM_OK;
}

static em_status put_op(encoder *e, em__op op)
{
    if (!e->name_of[op]) {
        const char *name = em__op_get(op)->name;
        EM__TRY(put_varint(&e->names, strlen(name)));
        EM__TRY(em__str_add_text(&e->names, name));
        e->name_of[op] = (int)++e->n_names;
    }
    return put_varint(&e->body, (uint64_t)e->name_of[op] - 1);
}

static em_status put_constant(encoder *e, const em__node *node)
{
    size_t bytes = em_array_bytes(node->value);
    EM__TRY(put_spec(&e->body, &node->spec));
    if (bytes <= e->inline_bytes) {
        em_array *value = em__array_share(node->value); /* em_array_data may lay it out anew */
        const void *data = value ? em_array_data(value) : NULL;
        em_status status = data ? em__str_add_char(&e->body, EM__CODE_INSIDE) : EM_ERROR_OUT_OF_MEMORY;
        if (status == EM_OK && bytes)
            status = em__str_add(&e->body, data, bytes);
        em_array_release(&value);
        return status;
    }
    EM__TRY(em__str_add_char(&e->body, EM__CODE_NUMBERED));
    EM__TRY(put_varint(&e->body, e->constants.length));
    em_array *value = em__array_share(node->value); /* its reader may lay it out anew; the program's own must stay */
    if (value && em__vec_push(&e->constants, value) == EM_OK)
        return EM_OK;
    em_array_release(&value);
    return EM_ERROR_OUT_OF_MEMORY;
}

static em_status put_graph(encoder *e, const em__graph *graph);

static em_status put_node(encoder *e, const em__node *node)
{
    int functions = em__bodies(node->op);
    EM__FAIL_IF(node->op == EM__OP_HOOK, EM_ERROR_UNSUPPORTED,
                "encode: a hook calls into this process and has no bytes; leave it out");
    EM__TRY(put_op(e, node->op));
    if (node->op == EM__OP_CONSTANT)
        return put_constant(e, node);
    EM__TRY(put_varint(&e->body, (uint64_t)node->n_in));
    for (int i = 0; i < node->n_in; i++)
        EM__TRY(put_varint(&e->body, (uint64_t)node->in[i]));
    EM__TRY(put_varint(&e->body, (uint64_t)node->n_ints));
    for (int i = 0; i < node->n_ints; i++)
        EM__TRY(put_signed(&e->body, node->ints[i]));
    EM__TRY(put_varint(&e->body, (uint64_t)node->n_floats));
    for (int i = 0; i < node->n_floats; i++)
        EM__TRY(em__str_add(&e->body, (const char *)&node->floats[i], sizeof node->floats[i]));
    EM__TRY(put_varint(&e->body, (uint64_t)functions));
    for (int i = 0; i < functions; i++)
        EM__TRY(put_graph(e, &((const em__body *)node->functions[i])->graph));
    return EM_OK;
}

static em_status put_graph(encoder *e, const em__graph *graph)
{
    EM__TRY(put_varint(&e->body, graph->n_inputs));
    for (size_t i = 0; i < graph->n_inputs; i++)
        EM__TRY(put_spec(&e->body, &graph->inputs[i]));
    EM__TRY(put_varint(&e->body, graph->nodes.length));
    for (size_t i = 0; i < graph->nodes.length; i++)
        EM__TRY(put_node(e, &graph->nodes.data[i]));
    EM__TRY(put_varint(&e->body, graph->n_outputs));
    for (size_t i = 0; i < graph->n_outputs; i++)
        EM__TRY(put_varint(&e->body, (uint64_t)graph->outputs[i]));
    return EM_OK;
}

/* Magic, names, number of numbered constants, graph. */
static em_status assemble(encoder *e, em__str *out)
{
    EM__TRY(em__str_add(out, EM__CODE_MAGIC, EM__CODE_MAGIC_SIZE));
    EM__TRY(put_varint(out, e->n_names));
    if (e->names.length)
        EM__TRY(em__str_add(out, e->names.data, e->names.length));
    EM__TRY(put_varint(out, e->constants.length));
    return em__str_add(out, e->body.data, e->body.length);
}

em_program_code *em_program_encode(const em_program *program, size_t inline_bytes)
{
    if (!program || !program->source.nodes.length) {
        em__fail(EM_ERROR_INVALID_ARGUMENT, "encode: the program kept no graph; compile it with keep_ir");
        return NULL;
    }
    encoder e = {.inline_bytes = inline_bytes};
    em__str out = {0};
    em_program_code *code = em__calloc(1, sizeof *code);
    em_status status = code ? put_graph(&e, &program->source) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK)
        status = assemble(&e, &out);
    em__str_free(&e.body);
    em__str_free(&e.names);
    if (status != EM_OK) {
        em__str_free(&out);
        em__captures_free(&e.constants);
        em__free(code);
        return NULL;
    }
    *code = (em_program_code){out.data, out.length, e.constants.data, e.constants.length};
    return code;
}

void em_program_code_free(em_program_code *code)
{
    if (!code)
        return;
    for (size_t i = 0; i < code->n_constants; i++) {
        em_array *constant = code->constants[i];
        em_array_release(&constant);
    }
    em__free((void *)(uintptr_t)code->constants);
    em__free((void *)(uintptr_t)code->bytes);
    em__free(code);
}
