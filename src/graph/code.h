/* The bytes of an encoded program, as encode.c writes and decode.c reads them (docs/ir.md). */
#ifndef EM_GRAPH_CODE_H
#define EM_GRAPH_CODE_H

#define EM__CODE_MAGIC "EMIR\1" /* the last byte is the version */
#define EM__CODE_MAGIC_SIZE 5
#define EM__CODE_DEEPEST 32 /* functions within functions */

typedef enum em__code_constant { EM__CODE_INSIDE, EM__CODE_NUMBERED } em__code_constant;

#endif
