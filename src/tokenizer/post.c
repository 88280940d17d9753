/*
 * From the tokens of one or two texts to an encoding: truncation, special tokens, padding.
 *
 * Truncation cuts a text's tokens into windows; the first is kept, the others are overflow. A result is put together
 * from one window of each text: the encoding itself from both first ones, the overflow from the other combinations, in
 * the order in which `tokenizers` lists them.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/post.h"

typedef struct assembly {
    const em_tokenizer *tok;
    em__scratch *s;
    bool is_pair, special;
    const em__template *layout; /* NULL: the sequences as they come */
    size_t pad_to, pad_multiple;
    int32_t pad_id, pad_type_id;
    bool pad_left;
} assembly;

static em_status add_window(em__scratch *s, int sequence, size_t start, size_t end)
{
    em_span window = {(uint32_t)start, (uint32_t)end};
    return em__vec_push(&s->windows[sequence], window);
}

/* Windows of `most` tokens over a sequence, the kept one first. */
static em_status cut(em__scratch *s, int sequence, size_t most, const em__truncation *t, bool overflow)
{
    size_t length = s->tokens[sequence].length;
    if (most >= length)
        return EM_OK;
    s->windows[sequence].length = 0;
    if (most == 0) {
        EM__TRY(add_window(s, sequence, 0, 0));
        return overflow ? add_window(s, sequence, 0, length) : EM_OK;
    }
    EM__FAIL_IF(t->stride >= most, EM_ERROR_INVALID_ARGUMENT,
                "truncation: a stride of %zu needs windows of more than that; %zu tokens of text fit", t->stride, most);
    size_t step = most - t->stride;
    for (size_t at = 0; at < length; at += step) {
        size_t start = t->left ? (length - at > most ? length - at - most : 0) : at;
        size_t end = t->left ? length - at : (at + most < length ? at + most : length);
        EM__TRY(add_window(s, sequence, start, end));
        if (!overflow || (t->left ? start == 0 : end == length))
            break;
    }
    return EM_OK;
}

/* How many tokens of each text may stay, when both together have too many. */
static void share(size_t first, size_t second, size_t most, size_t kept[2])
{
    size_t less = first < second ? first : second, more;
    more = less > most ? less : (most - less > less ? most - less : less);
    if (less + more > most) {
        less = most / 2;
        more = less + most % 2;
    }
    kept[0] = first > second ? more : less;
    kept[1] = first > second ? less : more;
}

static em_status truncate_tokens(assembly *a, em__truncation t, bool overflow)
{
    em__scratch *s = a->s;
    size_t first = s->tokens[0].length, second = a->is_pair ? s->tokens[1].length : 0;
    size_t added = a->layout && a->special ? a->layout->added : 0;
    size_t kept[2] = {first, second};
    EM__FAIL_IF(t.max_length < added, EM_ERROR_INVALID_ARGUMENT,
                "truncation: max_length is %zu, but %zu special tokens are added; raise it or encode without them",
                t.max_length, added);
    size_t most = t.max_length - added;
    if (first + second <= most && most > 0)
        return EM_OK;
    size_t excess = first + second - most;
    if (most == 0) {
        kept[0] = kept[1] = 0;
    } else if (t.strategy == EM_TRUNCATE_LONGEST_FIRST) {
        if (a->is_pair)
            share(first, second, most, kept);
        else
            kept[0] = most;
    } else {
        int target = t.strategy == EM_TRUNCATE_ONLY_SECOND;
        EM__FAIL_IF(target == 1 && !a->is_pair, EM_ERROR_INVALID_ARGUMENT,
                    "truncation: only the second text may be cut, and there is none");
        EM__FAIL_IF(kept[target] <= excess, EM_ERROR_INVALID_ARGUMENT,
                    "truncation: %zu tokens must go, but the %s text has only %zu", excess, target ? "second" : "first",
                    kept[target]);
        kept[target] -= excess;
    }
    EM__TRY(cut(s, 0, kept[0], &t, overflow));
    return a->is_pair ? cut(s, 1, kept[1], &t, overflow) : EM_OK;
}

em_status em__encoding_reserve(em_encoding *out, size_t count)
{
    if (count <= out->capacity)
        return EM_OK;
    size_t capacity[5];
    for (int i = 0; i < 5; i++)
        capacity[i] = out->capacity;
    EM__TRY(em__vec_grow(&out->ids, 0, &capacity[0], count, sizeof *out->ids));
    EM__TRY(em__vec_grow(&out->type_ids, 0, &capacity[1], count, sizeof *out->type_ids));
    EM__TRY(em__vec_grow(&out->offsets, 0, &capacity[2], count, sizeof *out->offsets));
    EM__TRY(em__vec_grow(&out->special_mask, 0, &capacity[3], count, 1));
    EM__TRY(em__vec_grow(&out->attention_mask, 0, &capacity[4], count, 1));
    out->capacity = capacity[0];
    return EM_OK;
}

static void fill(em_encoding *out, size_t count, int32_t id, int32_t type_id, bool padding)
{
    for (size_t i = out->length; i < out->length + count; i++) {
        out->ids[i] = id;
        out->type_ids[i] = type_id;
        out->offsets[i] = (em_span){0, 0};
        out->special_mask[i] = 1;
        out->attention_mask[i] = !padding;
    }
    out->length += count;
}

static void put_window(const assembly *a, em_encoding *out, int sequence, size_t window, int32_t type_id)
{
    const em__tokens *tokens = &a->s->tokens[sequence];
    size_t start = 0, end = tokens->length;
    if (a->s->windows[sequence].length > 0) {
        start = a->s->windows[sequence].data[window].start;
        end = a->s->windows[sequence].data[window].end;
    }
    size_t count = end - start, at = out->length;
    if (count > 0) {
        memcpy(out->ids + at, tokens->ids + start, count * sizeof *out->ids);
        memcpy(out->offsets + at, tokens->spans + start, count * sizeof *out->offsets);
        memset(out->special_mask + at, 0, count);
        memset(out->attention_mask + at, 1, count);
    }
    for (size_t i = at; i < at + count; i++)
        out->type_ids[i] = type_id;
    if (a->tok->post.trims.length > 0)
        em__trim_spans(a->tok, tokens, start, end, out->offsets + at);
    out->length += count;
}

/* The segment of a window's tokens. Windows past the first keep the number of their text, but for Roberta's. */
static int32_t type_of(const assembly *a, const em__post_piece *piece, size_t window)
{
    if (window > 0 && !(a->tok->post.kind == EM_POST_ROBERTA && a->special))
        return piece->sequence;
    return piece->type_id;
}

static void pad(const assembly *a, em_encoding *out, size_t target)
{
    if (target <= out->length)
        return;
    size_t length = out->length, count = target - length;
    if (!a->pad_left) {
        fill(out, count, a->pad_id, a->pad_type_id, true);
        return;
    }
    memmove(out->ids + count, out->ids, length * sizeof *out->ids);
    memmove(out->type_ids + count, out->type_ids, length * sizeof *out->type_ids);
    memmove(out->offsets + count, out->offsets, length * sizeof *out->offsets);
    memmove(out->special_mask + count, out->special_mask, length);
    memmove(out->attention_mask + count, out->attention_mask, length);
    out->length = 0;
    fill(out, count, a->pad_id, a->pad_type_id, true);
    out->length = target;
}

static size_t window_length(const assembly *a, int sequence, size_t window)
{
    if (a->s->windows[sequence].length == 0)
        return a->s->tokens[sequence].length;
    em_span span = a->s->windows[sequence].data[window];
    return span.end - span.start;
}

/* Puts window[0] of the first text and window[1] of the second together. `target` is the length to pad to. */
static em_status assemble(const assembly *a, const size_t window[2], size_t target, em_encoding *out)
{
    static const em__post_piece bare[2] = {{.sequence = 0, .type_id = 0}, {.sequence = 1, .type_id = 1}};
    const em__post_piece *pieces = a->layout ? a->layout->pieces : bare;
    size_t count = a->layout ? a->layout->count : a->is_pair ? 2 : 1;
    size_t total = window_length(a, 0, window[0]) + (a->layout ? a->layout->added : 0);
    if (a->is_pair)
        total += window_length(a, 1, window[1]);
    out->length = 0;
    EM__TRY(em__encoding_reserve(out, total > target ? total : target));
    for (size_t i = 0; i < count; i++) {
        const em__post_piece *piece = &pieces[i];
        if (piece->sequence >= 0)
            put_window(a, out, piece->sequence, window[piece->sequence], type_of(a, piece, window[piece->sequence]));
        else if (a->special)
            for (size_t k = 0; k < piece->count; k++)
                fill(out, 1, piece->ids[k], piece->type_id, false);
    }
    if (target)
        pad(a, out, target);
    return EM_OK;
}

static em_status add_overflow(const assembly *a, size_t first, size_t second, size_t target, em_encoding *out)
{
    if (out->overflow_count == out->overflow_capacity) {
        size_t before = out->overflow_capacity;
        EM__TRY(em__vec_grow(&out->overflow, before, &out->overflow_capacity, 1, sizeof *out->overflow));
        memset(out->overflow + before, 0, (out->overflow_capacity - before) * sizeof *out->overflow);
    }
    size_t window[2] = {first, second};
    EM__TRY(assemble(a, window, target, &out->overflow[out->overflow_count]));
    out->overflow_count++;
    return EM_OK;
}

/* Which sequence comes first in the result decides the order of the combinations. */
static em_status assemble_overflow(const assembly *a, size_t target, em_encoding *out)
{
    int outer = 0;
    for (size_t i = 0; a->layout && i < a->layout->count; i++)
        if (a->layout->pieces[i].sequence >= 0) {
            outer = a->layout->pieces[i].sequence;
            break;
        }
    size_t counts[2];
    for (int i = 0; i < 2; i++)
        counts[i] = a->s->windows[i].length ? a->s->windows[i].length : 1;
    if (!a->is_pair)
        counts[1] = 1;
    for (size_t i = 1; i <= counts[outer]; i++)
        for (size_t k = 0; k < counts[!outer]; k++) {
            size_t o = i % counts[outer];
            if (o == 0 && k == 0)
                continue;
            EM__TRY(add_overflow(a, outer ? k : o, outer ? o : k, target, out));
        }
    return EM_OK;
}

static void set_padding(assembly *a, const em_encode_options *options)
{
    const em__padding *file = &a->tok->padding;
    if (options->padding == EM_PADDING_GIVEN) {
        a->pad_to = options->pad_length;
        a->pad_multiple = options->pad_to_multiple_of;
        a->pad_id = options->pad_id;
        a->pad_type_id = options->pad_type_id;
        a->pad_left = options->pad_left;
    } else if (options->padding == EM_PADDING_FILE && a->tok->has_padding) {
        a->pad_to = file->length;
        a->pad_multiple = file->multiple;
        a->pad_id = file->id;
        a->pad_type_id = file->type_id;
        a->pad_left = file->left;
    }
}

static em_status padded_length(const assembly *a, size_t length, size_t *target)
{
    *target = 0;
    if (!a->pad_to && !a->pad_multiple)
        return EM_OK;
    /* as in `tokenizers`, a fixed length is what the multiple rounds up, however long the text is */
    *target = a->pad_to ? a->pad_to : length;
    if (a->pad_multiple && *target % a->pad_multiple)
        EM__FAIL_IF(em__add_overflows(*target, a->pad_multiple - *target % a->pad_multiple, target),
                    EM_ERROR_INVALID_ARGUMENT, "padding: no length is a multiple of %zu", a->pad_multiple);
    EM__FAIL_IF(*target > INT32_MAX, EM_ERROR_INVALID_ARGUMENT, "padding: %zu tokens are more than fit", *target);
    return EM_OK;
}

em_status em__post_process(const em_tokenizer *tok, em__scratch *s, const em_encode_options *options, em_encoding *out)
{
    assembly a = {.tok = tok, .s = s, .is_pair = options->pair != NULL, .special = !options->no_special};
    if (tok->post.kind != EM_POST_NONE)
        a.layout = a.is_pair ? &tok->post.pair : &tok->post.single;
    s->windows[0].length = s->windows[1].length = 0;
    out->overflow_count = 0;
    set_padding(&a, options);
    if (options->truncation == EM_TRUNCATION_GIVEN) {
        em__truncation given = {options->truncate_left, options->strategy, options->max_length, options->stride};
        EM__TRY(truncate_tokens(&a, given, options->overflow));
    } else if (options->truncation == EM_TRUNCATION_FILE && tok->has_truncation) {
        EM__TRY(truncate_tokens(&a, tok->truncation, options->overflow));
    }
    size_t first[2] = {0, 0}, target, length = window_length(&a, 0, 0) + (a.is_pair ? window_length(&a, 1, 0) : 0);
    length += a.layout && a.special ? a.layout->added : 0;
    EM__TRY(padded_length(&a, length, &target));
    EM__TRY(assemble(&a, first, target, out));
    return options->overflow ? assemble_overflow(&a, target, out) : EM_OK;
}
