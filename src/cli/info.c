/* How `emily info` prints, for people and as JSON. */
#include "cli/info.h"

#include <string.h>

#include "cli/output.h"
#include "core/number.h"
#include "io/safetensors.h"

static const char *const pool_names[] = {"mean", "first token", "max", "last token", "mean (square root)", "weighted"};
static const char *const pool_words[] = {"mean", "cls", "max", "last", "mean-sqrt", "weighted"};

void cli_facts_count(cli_facts *facts)
{
    const em_safetensors_tensor *t;
    facts->dtype = NULL;
    for (size_t i = 0; facts->file && (t = em_safetensors_at(facts->file, i)); i++) {
        const char *name = em__tensor_dtype(t);
        size_t elements = 1;
        for (int d = 0; d < t->dims.rank; d++)
            elements *= (size_t)t->dims.dims[d];
        facts->parameters += elements;
        if (t->dtype == EM_DTYPE_COUNT || em_dtype_get_kind(t->dtype) == EM_KIND_FLOAT)
            facts->dtype = !facts->dtype || facts->dtype == name ? name : "mixed";
    }
    facts->dtype = facts->dtype ? facts->dtype : "no floats";
    if (facts->file) {
        facts->bytes = em_safetensors_bytes(facts->file);
        facts->files = em_safetensors_file_count(facts->file);
    }
}

static em_status add_size(em__str *out, double value, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    size_t i = 0;
    for (; value >= 999.5 && i < 4; i++)
        value /= 1000;
    return em__str_addf(out, i == 0 ? "%.0f %s%s" : "%.1f %s%s", value, prefixes[i], unit);
}

static em_status add_shape(em__str *out, em_dims dims, const char *separator)
{
    em_status status = em__str_add_char(out, '[');
    for (int i = 0; i < dims.rank && status == EM_OK; i++)
        status = em__str_addf(out, "%s%lld", i ? separator : "", (long long)dims.dims[i]);
    return status == EM_OK ? em__str_add_char(out, ']') : status;
}

static em_status human_tensors(em__str *out, const em_safetensors *file)
{
    const em_safetensors_tensor *t;
    em_status status = EM_OK;
    for (size_t i = 0; file && status == EM_OK && (t = em_safetensors_at(file, i)); i++) {
        size_t start = out->length;
        status = em__str_addf(out, "  %-5s ", em__tensor_dtype(t));
        if (status == EM_OK)
            status = add_shape(out, t->dims, ", ");
        size_t width = out->length - start;
        if (status == EM_OK)
            status = em__str_addf(out, "%*s  ", width < 24 ? (int)(24 - width) : 0, "");
        if (status == EM_OK)
            status = cli_plain_text(out, t->name, strlen(t->name), SIZE_MAX);
        if (status == EM_OK)
            status = em__str_add_char(out, '\n');
    }
    return status;
}

/* On one line: "Instruct: ...\nQuery: ". */
static em_status add_prompt(em__str *out, const char *text)
{
    em_status status = EM_OK;
    for (const char *end; status == EM_OK && (end = strchr(text, '\n')); text = end + 1) {
        status = cli_plain_text(out, text, (size_t)(end - text), SIZE_MAX);
        if (status == EM_OK)
            status = em__str_add_text(out, "\\n");
    }
    return status == EM_OK ? cli_plain_text(out, text, strlen(text), SIZE_MAX) : status;
}

/* Prompts: query "query: ", passage "passage: " (default) */
static em_status human_prompts(em__str *out, const em_model *model)
{
    const char *name, *text;
    bool chosen;
    em_status status = em__str_add_text(out, "  prompts:");
    for (size_t i = 0; status == EM_OK && em_model_prompt(model, i, &name, &text, &chosen); i++) {
        status = em__str_add_text(out, i ? ", " : " ");
        if (status == EM_OK)
            status = cli_plain_text(out, name, strlen(name), SIZE_MAX);
        if (status == EM_OK)
            status = em__str_add_text(out, " \"");
        if (status == EM_OK)
            status = add_prompt(out, text);
        if (status == EM_OK)
            status = em__str_add_text(out, chosen ? "\" (default)" : "\"");
    }
    return status == EM_OK ? em__str_add_char(out, '\n') : status;
}

bool cli_is_decoder(const em_model_info *m)
{
    return m->token_bytes > 0;
}

static em_status human_decoder(em__str *out, const em_model_info *m)
{
    em_status status =
        em__str_addf(out, "  %d layers, %d wide, %d heads of %d (%d of keys), %d words, %d positions", m->layers,
                     m->hidden, m->heads, m->head_dim, m->kv_heads, m->vocabulary, m->positions);
    if (status == EM_OK && m->quantized_bits)
        status = em__str_addf(out, "; %d-bit weights in groups of %d", m->quantized_bits, m->quantized_group);
    return status == EM_OK ? em__str_addf(out, m->width ? "\n  " : "\n") : status;
}

static em_status human_encoder(em__str *out, const em_model_info *m)
{
    return em__str_addf(out, "  %d layers, %d wide, %d heads, %d positions; ", m->layers, m->hidden, m->heads,
                        m->positions);
}

/* How vectors are pooled: several ways are concatenated. */
static em_status add_pools(em__str *out, const em_model_info *m, const char *const *names, const char *between)
{
    em_status status = EM_OK;
    for (size_t i = 0; i < m->n_poolings && status == EM_OK; i++)
        status = em__str_addf(out, "%s%s", i ? between : "", names[m->poolings[i]]);
    return status;
}

static em_status human_vectors(em__str *out, const em_model_info *m)
{
    em_status status = em__str_add_text(out, "sentence vectors: ");
    if (status == EM_OK)
        status = add_pools(out, m, pool_names, " + ");
    if (status == EM_OK)
        status = em__str_addf(out, " pooled, %s", m->normalize ? "unit length" : "not normalized");
    if (status == EM_OK && m->width != m->whole_width)
        status = em__str_addf(out, ", the first %d of %d", m->width, m->whole_width);
    else if (status == EM_OK && m->width != m->hidden)
        status = em__str_addf(out, ", %d wide", m->width);
    if (status == EM_OK)
        status = em__str_addf(out, ", %zu tokens at most%s\n", m->max_tokens, m->truncate_left ? ", the last" : "");
    if (status == EM_OK && (m->query_tokens != m->max_tokens || m->document_tokens != m->max_tokens))
        status = em__str_addf(out, "  of a query %zu tokens at most, of a document %zu\n", m->query_tokens,
                              m->document_tokens);
    if (status == EM_OK && m->similarity != EM_SIMILARITY_COSINE)
        status = em__str_addf(out, "  compared by: %s\n", em_similarity_name(m->similarity));
    return status;
}

static em_status human_model(em__str *out, const cli_facts *f)
{
    const em_model_info *m = &f->model;
    em_status status = cli_is_decoder(m) ? human_decoder(out, m) : human_encoder(out, m);
    if (status == EM_OK && m->width)
        status = human_vectors(out, m);
    if (status == EM_OK && m->prompts)
        status = human_prompts(out, f->handle);
    if (status == EM_OK)
        status = em__str_addf(out, "  can: %s\n", m->can);
    if (status == EM_OK && cli_is_decoder(m))
        status = em__str_addf(out, "  %s\n", f->device);
    if (status == EM_OK && f->milliseconds > 0)
        status = em__str_addf(out,
                              f->milliseconds < 1 ? "  %s; a 16-token text takes about %.2g ms\n"
                                                  : "  %s; a 16-token text takes about %.1f ms\n",
                              f->device, f->milliseconds);
    return status;
}

em_status cli_facts_human(em__str *out, const cli_facts *f, bool tensors)
{
    em_status status = cli_plain_text(out, f->architecture, strlen(f->architecture), SIZE_MAX);
    if (status == EM_OK && f->files)
        status = em__str_add_text(out, "   ");
    if (status == EM_OK && f->files)
        status = add_size(out, (double)f->parameters, "");
    if (status == EM_OK && f->files)
        status = em__str_addf(out, " parameters, %s, ", f->dtype);
    if (status == EM_OK && f->files)
        status = add_size(out, (double)f->bytes, "B");
    if (status == EM_OK && f->files)
        status = em__str_addf(out, " in %zu file%s", f->files, f->files == 1 ? "" : "s");
    bool elsewhere = strcmp(f->path, f->name) != 0;
    if (status == EM_OK && elsewhere)
        status = em__str_add_text(out, "\n  in ");
    if (status == EM_OK && elsewhere)
        status = cli_plain_text(out, f->path, strlen(f->path), SIZE_MAX);
    if (status == EM_OK)
        status = em__str_add_char(out, '\n');
    if (status == EM_OK && !f->missing)
        status = human_model(out, f);
    return status == EM_OK && tensors ? human_tensors(out, f->file) : status;
}

static em_status add_pair(em__str *out, const char *key, const char *value)
{
    em_status status = em__str_addf(out, ",\"%s\":", key);
    return status == EM_OK ? cli_json_string(out, value, strlen(value)) : status;
}

static em_status json_tensors(em__str *out, const em_safetensors *file)
{
    const em_safetensors_tensor *t;
    em_status status = em__str_add_text(out, ",\"tensors\":[");
    for (size_t i = 0; file && status == EM_OK && (t = em_safetensors_at(file, i)); i++) {
        status = em__str_add_text(out, i ? ",{\"name\":" : "{\"name\":");
        if (status == EM_OK)
            status = cli_json_string(out, t->name, strlen(t->name));
        if (status == EM_OK)
            status = em__str_addf(out, ",\"dtype\":\"%s\",\"shape\":", em__tensor_dtype(t));
        if (status == EM_OK)
            status = add_shape(out, t->dims, ",");
        if (status == EM_OK)
            status = em__str_addf(out, ",\"bytes\":%zu}", t->nbytes);
    }
    return status == EM_OK ? em__str_add_char(out, ']') : status;
}

static em_status json_prompts(em__str *out, const em_model *model)
{
    const char *name, *text;
    bool chosen;
    em_status status = em__str_add_text(out, ",\"prompts\":[");
    for (size_t i = 0; status == EM_OK && em_model_prompt(model, i, &name, &text, &chosen); i++) {
        status = em__str_add_text(out, i ? ",{\"name\":" : "{\"name\":");
        if (status == EM_OK)
            status = cli_json_string(out, name, strlen(name));
        if (status == EM_OK)
            status = add_pair(out, "text", text);
        if (status == EM_OK)
            status = em__str_addf(out, ",\"default\":%s}", chosen ? "true" : "false");
    }
    return status == EM_OK ? em__str_add_char(out, ']') : status;
}

static em_status json_vectors(em__str *out, const cli_facts *f)
{
    const em_model_info *m = &f->model;
    em_status status = em__str_add_text(out, ",\"pooling\":\"");
    if (status == EM_OK)
        status = add_pools(out, m, pool_words, "+");
    if (status == EM_OK)
        status = em__str_addf(out, "\",\"normalize\":%s,\"width\":%d,\"whole_width\":%d",
                              m->normalize ? "true" : "false", m->width, m->whole_width);
    if (status == EM_OK)
        status = add_pair(out, "truncation_side", m->truncate_left ? "left" : "right");
    if (status == EM_OK)
        status = add_pair(out, "similarity", em_similarity_name(m->similarity));
    if (status == EM_OK)
        status =
            em__str_addf(out, ",\"query_tokens\":%zu,\"document_tokens\":%zu", m->query_tokens, m->document_tokens);
    return status == EM_OK ? json_prompts(out, f->handle) : status;
}

static em_status json_model(em__str *out, const cli_facts *f)
{
    const em_model_info *m = &f->model;
    char time[32];
    em__print_f32(time, (float)f->milliseconds);
    em_status status = em__str_addf(out, ",\"layers\":%d,\"hidden\":%d,\"heads\":%d,\"intermediate\":%d", m->layers,
                                    m->hidden, m->heads, m->intermediate);
    if (status == EM_OK)
        status = em__str_addf(out, ",\"positions\":%d,\"vocabulary\":%d,\"max_tokens\":%zu", m->positions,
                              m->vocabulary, m->max_tokens);
    if (status == EM_OK && cli_is_decoder(m))
        status = em__str_addf(out, ",\"kv_heads\":%d,\"head_dim\":%d,\"bits\":%d,\"group\":%d", m->kv_heads,
                              m->head_dim, m->quantized_bits, m->quantized_group);
    if (status == EM_OK && m->width)
        status = json_vectors(out, f);
    if (status == EM_OK)
        status = add_pair(out, "can", m->can);
    if (status == EM_OK)
        status = add_pair(out, "device", f->device);
    return status == EM_OK && !cli_is_decoder(m) ? em__str_addf(out, ",\"ms_16_tokens\":%s", time) : status;
}

em_status cli_facts_json(em__str *out, const cli_facts *f, bool tensors)
{
    em_status status = em__str_add_text(out, "{\"path\":");
    if (status == EM_OK)
        status = cli_json_string(out, f->path, strlen(f->path));
    if (status == EM_OK)
        status = add_pair(out, "architecture", f->architecture);
    if (status == EM_OK)
        status = em__str_addf(out, ",\"supported\":%s", f->missing ? "false" : "true");
    if (status == EM_OK && f->missing)
        status = add_pair(out, "missing", f->missing);
    if (status == EM_OK && f->files)
        status = em__str_addf(out, ",\"parameters\":%zu,\"dtype\":\"%s\",\"weight_bytes\":%zu,\"weight_files\":%zu",
                              f->parameters, f->dtype, f->bytes, f->files);
    if (status == EM_OK && !f->missing)
        status = json_model(out, f);
    if (status == EM_OK && tensors)
        status = json_tensors(out, f->file);
    return status == EM_OK ? em__str_add_text(out, "}\n") : status;
}
