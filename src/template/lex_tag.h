/* What the two halves of the lexer share. */
#ifndef EM_TEMPLATE_LEX_TAG_H
#define EM_TEMPLATE_LEX_TAG_H

#include "template/lex.h"

typedef struct em__jlexer {
    em__jtokens *tokens;
    const char *text;
    size_t length, at;
    int line;
    bool line_starting; /* the tag before ended with a newline */
} em__jlexer;

em_status em__j_push_token(em__jlexer *lx, em__jtoken token); /* on the lexer's line */
void em__j_advance(em__jlexer *lx, size_t to);

/* The place after a closing tag ("%}", with its sign and the white space or newline that it takes along) at `at`; 0
 * when there is none. */
size_t em__j_tag_end(const em__jlexer *lx, size_t at, const char *close, bool block);

/* Tokens from lx->at up to and with the end of the tag. */
em_status em__j_lex_tag(em__jlexer *lx, bool block);

#endif
