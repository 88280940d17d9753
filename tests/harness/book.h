/*
 * The recorded ops of tests/golden/ops, a book a family: FAMILY.json says what was asked and answered, FAMILY.bin holds
 * the arrays (tests/golden/ops/book.py describes both). A book keeps the two in memory; its cases point into it.
 */
#ifndef EM_TESTS_BOOK_H
#define EM_TESTS_BOOK_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/attributes.h>
#include <emily/dtype.h>
#include <jansson.h>

#define BOOK_OPERANDS 8

typedef struct book {
    json_t *root;
    char *blob;
    size_t blob_size, n_cases;
} book;

typedef struct book_array {
    em_dtype dtype;
    em_dims dims;
    size_t n;         /* elements */
    const void *data; /* NULL: an operand that was left out */
} book_array;

typedef struct book_case {
    const char *op, *name;
    json_t *attrs; /* NULL: none */
    size_t n_in;
    book_array in[BOOK_OPERANDS], out;
    double abs, rel;
    bool zero_sign, dtype_open;
} book_case;

/* Calls `visit` with each book there is, by name, and closes it; fails the test if one is not whole. Returns the number
 * of cases in all. */
size_t book_visit(void (*visit)(const book *b, void *user), void *user);

/* Reads one family's book. */
void book_open(book *b, const char *family);
void book_close(book *b);

/* Case i in [0, n_cases). */
void book_get(const book *b, size_t i, book_case *out);

/* Attribute `key`: a number (or its default), a list of integers into `values` [EM_MAX_RANK] (its count returned). */
double book_number(const book_case *c, const char *key, double otherwise);
int book_list(const book_case *c, const char *key, int64_t *values);
const char *book_text(const book_case *c, const char *key);

/* Whether `got`, of the expected array's size, agrees with it; if not, `why` [size] says where and how. */
bool book_agrees(const book_case *c, em_dtype dtype, em_dims dims, const void *got, char *why, size_t size);

#endif
