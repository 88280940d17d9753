/* Compiling and running patterns. */
#include "tokenizer/regex.h"

#include "core/error.h"

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
