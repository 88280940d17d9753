/*
 * Text to tokens, as jinja2 with trim_blocks and lstrip_blocks cuts it: the line of a block tag that stands alone
 * leaves nothing behind.
 */
#ifndef EM_TEMPLATE_LEX_H
#define EM_TEMPLATE_LEX_H

#include "core/str.h"
#include "core/vec.h"
#include "template/template.h"

typedef enum em__jtoken_kind {
    J_TOKEN_DATA,
    J_TOKEN_BLOCK_BEGIN,
    J_TOKEN_BLOCK_END,
    J_TOKEN_PRINT_BEGIN,
    J_TOKEN_PRINT_END,
    J_TOKEN_NAME,
    J_TOKEN_STRING,
    J_TOKEN_INTEGER,
    J_TOKEN_FLOAT,
    J_TOKEN_OPERATOR, /* `op`: its character; "//" is 'd', "**" 'p', "==" 'e', "!=" 'n', ">=" 'g', "<=" 'l' */
    J_TOKEN_END
} em__jtoken_kind;

typedef struct em__jtoken {
    em__jtoken_kind kind;
    char op;
    int line;
    size_t start, length; /* of the bytes: in the text, or for strings in `strings` */
    double real;
    int64_t integer;
} em__jtoken;

typedef struct em__jtokens {
    const char *name; /* of the template, for messages */
    em__str text;     /* normalized: lines end with \n, one at the very end is dropped */
    em__str strings;  /* contents of string literals, and data */
    EM__VEC(em__jtoken) list;
} em__jtokens; /* zero-initialised but for the name */

/* em__j_lex_free also after a failure. */
em_status em__j_lex(em__jtokens *tokens, const char *text, size_t length);
void em__j_lex_free(em__jtokens *tokens);

/* Fails as EM_ERROR_FORMAT with the name and the line. */
em_status em__j_syntax(const char *name, int line, const char *format, ...) EM_PRINTF(3, 4);

/* How a message shows the token. `out` has 64 bytes. */
const char *em__j_token_text(const em__jtokens *tokens, const em__jtoken *token, char *out);

#endif
