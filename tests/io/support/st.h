/* Safetensors files by hand: any header over any number of data bytes. */
#ifndef EM_TESTS_ST_H
#define EM_TESTS_ST_H

#include <stddef.h>

/* length(header) + header + `data` bytes 0, 1, 2, ... Free with free(). */
unsigned char *st_bytes(const char *header, size_t data, size_t *size);

/* The same as a file; returns its path as temp_path does. */
const char *st_file(const char *dir, const char *name, const char *header, size_t data);

#endif
