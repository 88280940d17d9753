/*
 * NumPy's .npy files: one array, row-major, little-endian. Written as version 1.0, which every reader knows; read in
 * versions 1.0, 2.0 and 3.0. Dtypes: pred, the integers, f16, f32, f64, c64, c128.
 */
#ifndef EM_IO_NPY_H
#define EM_IO_NPY_H

#include <stdint.h>

#include <emily/dtype.h>
#include <emily/attributes.h>

#include "core/str.h"
#include "io/file.h"

typedef struct em__npy {
    em_dtype dtype;
    em_dims dims;
    const void *data; /* aligned to the size of an element */
    size_t nbytes;
    em__map map; /* owns the bytes, or `copy` does */
    void *copy;
} em__npy; /* zero-initialised: closed */

/* Maps the file, or reads it (em__map_mode); EM_ERROR_FORMAT or EM_ERROR_UNSUPPORTED say what in the header is wrong.
 * On failure nothing is held. */
em_status em__npy_read(const char *path, em__map_mode mode, em__npy *npy);

/* The same for bytes that stay the caller's; `source` is for messages. */
em_status em__npy_parse(const char *source, const void *bytes, size_t size, em__npy *npy);
void em__npy_close(em__npy *npy);

em_status em__npy_write(const char *path, em_dtype dtype, em_dims dims, const void *data);

/* Appends the header of an array to `out`; its bytes follow. For pipes, where the number of rows is known before. */
em_status em__npy_header(em__str *out, em_dtype dtype, em_dims dims);

/* Rows as they come: their number, dims[0], is written at commit. Ends in commit or abort, as em__writer does. */
typedef struct em__npy_writer {
    em__writer file;
    em_dtype dtype;
    em_dims dims; /* dims[0]: rows so far */
    size_t row_bytes;
} em__npy_writer;

em_status em__npy_writer_begin(em__npy_writer *writer, const char *path, em_dtype dtype, em_dims dims);
em_status em__npy_writer_add(em__npy_writer *writer, const void *rows, size_t n);
em_status em__npy_writer_commit(em__npy_writer *writer);
void em__npy_writer_abort(em__npy_writer *writer);

#endif
