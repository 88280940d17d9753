/* Translation of regular expressions. */
#ifndef EM_TOKENIZER_REGEX_TRANSLATE_H
#define EM_TOKENIZER_REGEX_TRANSLATE_H

#include "core/str.h"

/* Appends the PCRE2 form of `regex` to `out`. EM_ERROR_UNSUPPORTED, naming the construct, where there is none. */
em_status em__regex_translate(const char *where, const char *regex, size_t length, em__str *out);

#endif
