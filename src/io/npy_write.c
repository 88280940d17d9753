/* Writing .npy, whole or row by row. The header leaves room for any number of rows, so that it can be patched. */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/npy.h"
#include "io/npy_dtype.h"

static const char *const names[EM_DTYPE_COUNT] = {
#define ROW(name, text) [EM_##name] = text,
    EM__NPY_DTYPES(ROW)
#undef ROW
};

em_status em__npy_header(em__str *out, em_dtype dtype, em_dims dims)
{
    EM__FAIL_IF((unsigned)dtype >= EM_DTYPE_COUNT || !names[dtype], EM_ERROR_UNSUPPORTED,
                "npy: dtype %s has no form in npy files; cast it to f32", em_dtype_name(dtype));
    size_t start = out->length, digits = 20;
    EM__TRY(em__str_add(out, "\x93NUMPY\x01\x00\x00\x00", 10));
    EM__TRY(em__str_addf(out, "{'descr': '%s', 'fortran_order': False, 'shape': (", names[dtype]));
    for (int i = 0; i < dims.rank; i++) {
        size_t before = out->length;
        EM__TRY(em__str_addf(out, "%lld", (long long)dims.dims[i]));
        if (i == 0)
            digits -= out->length - before;
        EM__TRY(em__str_add_text(out, i + 1 < dims.rank ? ", " : dims.rank == 1 ? "," : ""));
    }
    EM__TRY(em__str_add_text(out, "), }"));
    for (size_t i = 0; i < digits; i++)
        EM__TRY(em__str_add_char(out, ' '));
    while ((out->length - start + 1) % 64 != 0)
        EM__TRY(em__str_add_char(out, ' '));
    EM__TRY(em__str_add_char(out, '\n'));
    size_t length = out->length - start - 10;
    out->data[start + 8] = (char)(unsigned char)(length & 255);
    out->data[start + 9] = (char)(unsigned char)(length >> 8);
    return EM_OK;
}

/* Bytes of dims[first..]. */
static em_status count_bytes(em_dtype dtype, em_dims dims, int first, size_t *bytes)
{
    *bytes = em_dtype_size(dtype);
    EM__FAIL_IF(dims.rank < first || dims.rank > EM_MAX_RANK, EM_ERROR_INVALID_ARGUMENT,
                "npy: rank is %d, expected %d .. %d", dims.rank, first, EM_MAX_RANK);
    for (int i = first; i < dims.rank; i++)
        EM__FAIL_IF(dims.dims[i] < 0 || em__mul_overflows(*bytes, (uint64_t)dims.dims[i], bytes),
                    EM_ERROR_INVALID_ARGUMENT, "npy: dimension %d is %lld", i, (long long)dims.dims[i]);
    return EM_OK;
}

em_status em__npy_writer_begin(em__npy_writer *writer, const char *path, em_dtype dtype, em_dims dims)
{
    em__str header = {0};
    *writer = (em__npy_writer){.dtype = dtype, .dims = dims};
    EM__TRY(count_bytes(dtype, dims, 1, &writer->row_bytes));
    writer->dims.dims[0] = 0;
    em_status status = em__npy_header(&header, dtype, writer->dims);
    if (status == EM_OK)
        status = em__writer_begin(&writer->file, path);
    if (status == EM_OK)
        status = em__writer_add(&writer->file, header.data, header.length);
    em__str_free(&header);
    if (status != EM_OK)
        em__npy_writer_abort(writer);
    return status;
}

em_status em__npy_writer_add(em__npy_writer *writer, const void *rows, size_t n)
{
    size_t bytes;
    EM__FAIL_IF(em__mul_overflows(writer->row_bytes, n, &bytes), EM_ERROR_INVALID_ARGUMENT,
                "npy: %zu rows do not fit memory", n);
    EM__TRY(em__writer_add(&writer->file, rows, bytes));
    writer->dims.dims[0] += (int64_t)n;
    return EM_OK;
}

em_status em__npy_writer_commit(em__npy_writer *writer)
{
    em__str header = {0};
    em_status status = em__npy_header(&header, writer->dtype, writer->dims);
    if (status == EM_OK)
        status = em__writer_patch(&writer->file, 0, header.data, header.length);
    em__str_free(&header);
    if (status == EM_OK)
        return em__writer_commit(&writer->file);
    em__npy_writer_abort(writer);
    return status;
}

void em__npy_writer_abort(em__npy_writer *writer)
{
    em__writer_abort(&writer->file);
}

em_status em__npy_write(const char *path, em_dtype dtype, em_dims dims, const void *data)
{
    em__str header = {0};
    em__writer file = {0};
    size_t bytes;
    EM__TRY(count_bytes(dtype, dims, 0, &bytes));
    em_status status = em__npy_header(&header, dtype, dims);
    if (status == EM_OK)
        status = em__writer_begin(&file, path);
    if (status == EM_OK)
        status = em__writer_add(&file, header.data, header.length);
    if (status == EM_OK)
        status = em__writer_add(&file, data, bytes);
    em__str_free(&header);
    if (status == EM_OK)
        return em__writer_commit(&file);
    em__writer_abort(&file);
    return status;
}
