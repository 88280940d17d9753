/* Compiling and running patterns. PCRE2 takes its memory from our allocator; matching is bounded in steps and
 * memory. */
#include "tokenizer/regex.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/regex_translate.h"
#include "tokenizer/utf8.h"

enum { MATCH_LIMIT = 50 * 1000 * 1000, HEAP_LIMIT_KIB = 64 * 1024, JIT_STACK = 1 << 20 };

static void *take(PCRE2_SIZE size, void *user)
{
    (void)user;
    return em__alloc(size);
}

static void give(void *block, void *user)
{
    (void)user;
    em__free(block);
}

static em_status compile_code(const char *where, const em__str *translated, pcre2_code **code)
{
    em_status status = EM_ERROR_OUT_OF_MEMORY;
    int error = 0;
    PCRE2_SIZE at = 0;
    pcre2_general_context *general = pcre2_general_context_create(take, give, NULL);
    pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
    if (!context)
        goto done;
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_UTF_CHECK;
    *code = pcre2_compile((PCRE2_SPTR)em__str_text(translated), translated->length, options, &error, &at, context);
    if (*code) {
        /* without JIT (no executable memory) matching is slower, and the same */
        pcre2_jit_compile(*code, PCRE2_JIT_COMPLETE);
        status = EM_OK;
    } else if (error != PCRE2_ERROR_HEAP_FAILED && error != PCRE2_ERROR_NOMEMORY) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(error, text, sizeof text);
        status = em__fail(EM_ERROR_UNSUPPORTED, "%s: the regular expression is not understood: %s", where, text);
    }
done:
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    return status;
}

em_status em__pattern_compile(const char *where, const char *regex, size_t length, em__pattern *pattern)
{
    em__str translated = {0};
    EM__FAIL_IF(length > 4096, EM_ERROR_UNSUPPORTED, "%s: a regular expression of %zu bytes, at most 4096", where,
                length);
    em_status status = em__regex_translate(where, regex, length, &translated);
    if (status == EM_OK)
        status = compile_code(where, &translated, &pattern->code);
    em__str_free(&translated);
    return status;
}

void em__pattern_free(em__pattern *pattern)
{
    pcre2_code_free(pattern->code);
    pattern->code = NULL;
}

void em__matching_free(em__matching *matching)
{
    pcre2_match_data_free(matching->data);
    pcre2_match_context_free(matching->context);
    pcre2_jit_stack_free(matching->stack);
    *matching = (em__matching){0};
}

static em_status prepare(em__matching *matching)
{
    if (matching->data)
        return EM_OK;
    em__matching_free(matching);
    pcre2_general_context *general = pcre2_general_context_create(take, give, NULL);
    if (!general)
        return EM_ERROR_OUT_OF_MEMORY;
    matching->context = pcre2_match_context_create(general);
    matching->stack = pcre2_jit_stack_create(32 * 1024, JIT_STACK, general);
    if (matching->context && matching->stack)
        matching->data = pcre2_match_data_create(1, general);
    pcre2_general_context_free(general);
    if (!matching->data)
        return em__fail(EM_ERROR_OUT_OF_MEMORY, "out of memory: no room to match regular expressions in");
    pcre2_set_match_limit(matching->context, MATCH_LIMIT);
    pcre2_set_heap_limit(matching->context, HEAP_LIMIT_KIB);
    pcre2_jit_stack_assign(matching->context, NULL, matching->stack);
    return EM_OK;
}

em_status em__matches_begin(em__matches *matches, const em__pattern *pattern, em__matching *matching, const char *text,
                            size_t length)
{
    *matches = (em__matches){.pattern = pattern, .matching = matching, .text = text ? text : "", .length = length};
    return pattern->literal ? EM_OK : prepare(matching);
}

static em_status next_literal(em__matches *m, bool *found, size_t *start, size_t *end)
{
    const em__pattern *pattern = m->pattern;
    const char *at = memmem(m->text + m->at, m->length - m->at, pattern->literal, pattern->literal_length);
    *found = at != NULL;
    if (at) {
        *start = (size_t)(at - m->text);
        *end = m->at = *start + pattern->literal_length;
    }
    return EM_OK;
}

em_status em__matches_next(em__matches *m, bool *found, size_t *start, size_t *end)
{
    *found = false;
    if (m->at > m->length || m->length == 0)
        return EM_OK;
    if (m->pattern->literal)
        return next_literal(m, found, start, end);
    while (m->at <= m->length) {
        int rc = pcre2_match(m->pattern->code, (PCRE2_SPTR)m->text, m->length, m->at, PCRE2_NO_UTF_CHECK,
                             m->matching->data, m->matching->context);
        if (rc == PCRE2_ERROR_NOMATCH)
            break;
        EM__FAIL_IF(rc == PCRE2_ERROR_NOMEMORY, EM_ERROR_OUT_OF_MEMORY, "out of memory: matching a regular expression");
        EM__FAIL_IF(rc < 0, EM_ERROR_UNSUPPORTED, "tokenizer: a regular expression took too much work (PCRE2 error %d)",
                    rc);
        const PCRE2_SIZE *span = pcre2_get_ovector_pointer(m->matching->data);
        *start = span[0];
        *end = span[1];
        if (*start == *end && m->had_match && m->last_end == *end) {
            m->at += m->at < m->length ? em__utf8_length((uint8_t)m->text[m->at]) : 1;
            continue;
        }
        m->at = m->last_end = *end;
        m->had_match = *found = true;
        return EM_OK;
    }
    m->at = m->length + 1;
    return EM_OK;
}
