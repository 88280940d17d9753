/*
 * Programs as text, as a drawing, and as bytes.
 *
 * A program compiled with `keep_ir` remembers its graph as it was traced. That graph encodes to bytes and back, on
 * another machine or in another process; a language binding may write the bytes itself and so build a whole program in
 * one call. docs/ir.md gives the format. Bytes are data: whatever they hold, decoding ends in a program or an error.
 */
#ifndef EMILY_IR_H
#define EMILY_IR_H

#include <emily/program.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum em_print_format {
    EM_PRINT_TEXT, /* a line a node: %4 = add(%2, %3) : f32[2, 3] */
    EM_PRINT_DOT   /* Graphviz */
} em_print_format;

/* The graph of a program: as traced if it was kept, else as compiled. `emit` gets each line without a newline, valid
 * during the call. EM_ERROR_OUT_OF_MEMORY, and then the text is not whole. Any thread. */
EM_API em_status em_program_print(const em_program *program, em_print_format format,
                                  void (*emit)(const char *line, void *user), void *user);

/* An encoded program: its bytes, and the arrays that they name by number. */
typedef struct em_program_code {
    const void *bytes;
    size_t size;
    em_array *const *constants;
    size_t n_constants;
} em_program_code;

/* Encodes a program that was compiled with `keep_ir`. Constants of at most `inline_bytes` bytes lie within the bytes
 * (SIZE_MAX: all of them), larger ones become `constants`. NULL with em_last_error() on failure:
 * EM_ERROR_INVALID_ARGUMENT when the program kept no graph, EM_ERROR_OUT_OF_MEMORY. The caller frees it. */
EM_API em_program_code *em_program_encode(const em_program *program, size_t inline_bytes);
EM_API void em_program_code_free(em_program_code *encoding); /* NULL is fine */

/* The program that the bytes describe, compiled as `options` (em_compile) say. `constants` are those of the encoding or
 * others of the same shapes and dtypes; they are held, not copied. NULL with em_last_error() on failure:
 * EM_ERROR_FORMAT says at which byte and node what is wrong. Any thread. */
EM_API em_program *em_program_decode(const void *bytes, size_t size, em_array *const *constants, size_t n_constants,
                                     const em_compile_options *options);

#ifdef __cplusplus
}
#endif
#endif
