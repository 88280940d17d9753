/* Reads the subscripts of em_einsum. Positions in messages count characters from 0. */
#include <string.h>

#include "array/einsum.h"
#include "core/error.h"

typedef struct reader {
    const char *text;
    size_t at;
    em__einsum *out;
    em_array *const *operands;
    int ellipsis; /* axes of the widest "..." */
} reader;

static em_status wrong(const reader *r, const char *what)
{
    return em__fail(EM_ERROR_INVALID_ARGUMENT, "einsum: \"%.100s\": position %zu: %s", r->text, r->at, what);
}

static void skip_spaces(reader *r)
{
    while (r->text[r->at] == ' ')
        r->at++;
}

/* The label of a letter, -1 for anything else. */
static int label_of(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1;
}

/* Letters and at most one "..." up to a comma, an arrow or the end; the ellipsis stands as -1 at `*dots` (-1: none). */
static em_status read_labels(reader *r, em__einsum_term *term, int *dots)
{
    *dots = -1;
    for (skip_spaces(r); r->text[r->at] && r->text[r->at] != ',' && r->text[r->at] != '-'; skip_spaces(r)) {
        const int label = label_of(r->text[r->at]);
        if (label >= 0) {
            if (term->rank == EM_MAX_RANK)
                return wrong(r, "more than 8 axes");
            term->labels[term->rank++] = label;
            r->at++;
        } else if (strncmp(r->text + r->at, "...", 3) == 0) {
            if (*dots >= 0)
                return wrong(r, "a second \"...\" in one term");
            *dots = term->rank;
            r->at += 3;
        } else {
            return wrong(r, "expected a letter, \"...\", a comma or \"->\"");
        }
    }
    return EM_OK;
}

/* Puts the labels of `count` axes where the ellipsis stood. */
static em_status open_dots(reader *r, em__einsum_term *term, int dots, int count)
{
    if (dots < 0)
        return EM_OK;
    if (term->rank + count > EM_MAX_RANK)
        return wrong(r, "more than 8 axes");
    memmove(term->labels + dots + count, term->labels + dots, (size_t)(term->rank - dots) * sizeof term->labels[0]);
    for (int i = 0; i < count; i++)
        term->labels[dots + i] = EM__EINSUM_LETTERS + count - 1 - i;
    term->rank += count;
    return EM_OK;
}

/* Notes the sizes of the operand's axes; 1 gives way to another size, but not inside one operand. */
static em_status note_sizes(reader *r, int i)
{
    const em__einsum_term *term = &r->out->in[i];
    const em__spec *spec = &r->operands[i]->spec;
    for (int d = 0; d < term->rank; d++) {
        int64_t *size = &r->out->sizes[term->labels[d]];
        for (int e = 0; e < d; e++)
            if (term->labels[e] == term->labels[d] && spec->dims[e] != spec->dims[d])
                return wrong(r, "the label of a diagonal names axes of different sizes");
        if (*size >= 0 && *size != 1 && spec->dims[d] != 1 && *size != spec->dims[d]) {
            char text[EM__SPEC_TEXT];
            return em__fail(EM_ERROR_INVALID_ARGUMENT,
                            "einsum: \"%.100s\": position %zu: operand %d is %s, but the label of its axis %d has size "
                            "%lld before it",
                            r->text, r->at, i, em__spec_print(spec, text, sizeof text), d, (long long)*size);
        }
        *size = *size < 0 || *size == 1 ? spec->dims[d] : *size;
    }
    return EM_OK;
}

static em_status read_operand(reader *r, int i)
{
    int dots;
    em__einsum_term *term = &r->out->in[i];
    EM__TRY(read_labels(r, term, &dots));
    const int rank = r->operands[i]->spec.rank, rest = rank - term->rank;
    if (rest < 0 || (rest > 0 && dots < 0))
        return em__fail(EM_ERROR_INVALID_ARGUMENT,
                        "einsum: \"%.100s\": position %zu: %d labels for operand %d, which has rank %d", r->text, r->at,
                        term->rank, i, rank);
    EM__TRY(open_dots(r, term, dots, rest));
    if (dots >= 0 && rest > r->ellipsis)
        r->ellipsis = rest;
    return note_sizes(r, i);
}

static em_status read_result(reader *r)
{
    em__einsum_term *out = &r->out->out;
    int dots;
    const size_t from = r->at;
    EM__TRY(read_labels(r, out, &dots));
    if (r->text[r->at])
        return wrong(r, "the result ends the subscripts");
    for (int i = 0; i < out->rank; i++) {
        if (r->out->sizes[out->labels[i]] < 0)
            return wrong(r, "the result has a label that no operand has");
        for (int j = 0; j < i; j++)
            if (out->labels[i] == out->labels[j])
                return wrong(r, "the result has a label twice");
    }
    if (dots < 0 && r->ellipsis > 0) {
        r->at = from;
        return wrong(r, "the operands have axes under \"...\", the result must too");
    }
    return open_dots(r, out, dots, r->ellipsis);
}

/* The axes of "...", then the letters that appear once. */
static em_status implicit_result(reader *r)
{
    int seen[EM__EINSUM_LETTERS] = {0};
    em__einsum_term *out = &r->out->out;
    for (int i = 0; i < r->out->n; i++)
        for (int d = 0; d < r->out->in[i].rank; d++)
            if (r->out->in[i].labels[d] < EM__EINSUM_LETTERS)
                seen[r->out->in[i].labels[d]]++;
    EM__TRY(open_dots(r, out, 0, r->ellipsis));
    for (int label = 0; label < EM__EINSUM_LETTERS; label++) {
        if (seen[label] != 1)
            continue;
        if (out->rank == EM_MAX_RANK)
            return wrong(r, "the result would have more than 8 axes");
        out->labels[out->rank++] = label;
    }
    return EM_OK;
}

em_status em__einsum_parse(const char *subscripts, em_array *const *operands, size_t count, em__einsum *out)
{
    reader r = {.text = subscripts, .out = out, .operands = operands};
    *out = (em__einsum){.n = (int)count};
    for (int i = 0; i < EM__EINSUM_LABELS; i++)
        out->sizes[i] = -1;
    for (int i = 0; i < out->n; i++) {
        EM__TRY(read_operand(&r, i));
        if (i + 1 < out->n && r.text[r.at] != ',')
            return wrong(&r, "expected a comma: there are more operands than terms");
        r.at += i + 1 < out->n;
    }
    if (r.text[r.at] == ',')
        return wrong(&r, "there are more terms than operands");
    if (!r.text[r.at])
        return implicit_result(&r);
    if (strncmp(r.text + r.at, "->", 2) != 0)
        return wrong(&r, "expected \"->\"");
    r.at += 2;
    return read_result(&r);
}
