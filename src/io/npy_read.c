/*
 * Reading .npy: "\x93NUMPY", version, header length, then a Python dict literal in a fixed shape:
 *
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
 *
 * The literal is read by a small strict scanner: three keys, each once, in any order, and nothing else.
 */
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/npy_dtype.h"

#define HEADER_CAP 65536

typedef struct scanner {
    const char *at, *end;
    const char *source;
} scanner;

static em_status fail_header(const scanner *s, const char *expected)
{
    char near[24] = "", shown[24];
    size_t n = (size_t)(s->end - s->at) < sizeof near - 1 ? (size_t)(s->end - s->at) : sizeof near - 1;
    memcpy(near, s->at, n);
    return em__fail(EM_ERROR_FORMAT, "%s: npy header: expected %s near \"%s\"", s->source, expected,
                    em__printable(shown, sizeof shown, near));
}

static void skip_space(scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n'))
        s->at++;
}

static bool accept(scanner *s, char c)
{
    skip_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool accept_word(scanner *s, const char *word)
{
    size_t n = strlen(word);
    skip_space(s);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return false;
    s->at += n;
    return true;
}

/* 'text' or "text" without escapes. */
static em_status read_string(scanner *s, char *out, size_t size)
{
    skip_space(s);
    if (s->at == s->end || (*s->at != '\'' && *s->at != '"'))
        return fail_header(s, "a string");
    const char *begin = s->at + 1, *close = memchr(begin, *s->at, (size_t)(s->end - begin));
    if (!close || (size_t)(close - begin) >= size)
        return fail_header(s, "a short string");
    memcpy(out, begin, (size_t)(close - begin));
    out[close - begin] = '\0';
    s->at = close + 1;
    return EM_OK;
}

static em_status read_descr(scanner *s, em_dtype *dtype)
{
    static const struct {
        em_dtype dtype;
        const char *name;
    } table[] = {
#define ROW(name, text) {EM_##name, text},
        EM__NPY_DTYPES(ROW)
#undef ROW
    };
    char name[16], shown[16];
    EM__TRY(read_string(s, name, sizeof name));
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(name, table[i].name) == 0 ||
            (name[0] == '<' && table[i].name[0] == '|' && strcmp(name + 1, table[i].name + 1) == 0))
            return *dtype = table[i].dtype, EM_OK;
    return em__fail(EM_ERROR_UNSUPPORTED,
                    "%s: npy dtype \"%s\" is not supported; save it little-endian as bool, int, uint, float or complex",
                    s->source, em__printable(shown, sizeof shown, name));
}

static em_status read_dim(scanner *s, int64_t *dim)
{
    int64_t value = 0;
    skip_space(s);
    const char *first = s->at;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
        if (em__mul_overflows(value, 10, &value) || em__add_overflows(value, *s->at - '0', &value))
            return fail_header(s, "a dimension that fits 64 bits");
    if (s->at == first)
        return fail_header(s, "a dimension");
    *dim = value;
    return EM_OK;
}

static em_status read_shape(scanner *s, em_dims *dims)
{
    *dims = (em_dims){0};
    if (!accept(s, '('))
        return fail_header(s, "'('");
    while (!accept(s, ')')) {
        if (dims->rank == EM_MAX_RANK)
            return em__fail(EM_ERROR_UNSUPPORTED, "%s: npy rank is above %d", s->source, EM_MAX_RANK);
        EM__TRY(read_dim(s, &dims->dims[dims->rank++]));
        if (!accept(s, ',')) {
            /* (3) is a number in Python; a list of one needs its comma. */
            if (dims->rank < 2 || !accept(s, ')'))
                return fail_header(s, "','");
            break;
        }
    }
    return EM_OK;
}

static em_status read_order(scanner *s, bool *fortran)
{
    *fortran = accept_word(s, "True");
    return *fortran || accept_word(s, "False") ? EM_OK : fail_header(s, "True or False");
}

static em_status read_dict(scanner *s, em__npy *npy)
{
    enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
    int seen = 0;
    bool fortran = false;
    if (!accept(s, '{'))
        return fail_header(s, "'{'");
    while (!accept(s, '}')) {
        char key[16];
        EM__TRY(read_string(s, key, sizeof key));
        int field = strcmp(key, "descr") == 0           ? DESCR
                    : strcmp(key, "fortran_order") == 0 ? ORDER
                    : strcmp(key, "shape") == 0         ? SHAPE
                                                        : 0;
        if (!field || (seen & field) || !accept(s, ':'))
            return fail_header(s, "descr, fortran_order and shape, each once");
        seen |= field;
        EM__TRY(field == DESCR   ? read_descr(s, &npy->dtype)
                : field == ORDER ? read_order(s, &fortran)
                                 : read_shape(s, &npy->dims));
        if (!accept(s, ',') && (skip_space(s), s->at == s->end || *s->at != '}'))
            return fail_header(s, "',' or '}'");
    }
    skip_space(s);
    if (seen != ALL || s->at != s->end)
        return fail_header(s, "descr, fortran_order and shape, and no more");
    if (fortran && npy->dims.rank > 1)
        return em__fail(EM_ERROR_UNSUPPORTED, "%s: npy is in Fortran order; save it with numpy.ascontiguousarray",
                        s->source);
    return EM_OK;
}

/* Finds the dict between the fixed start and the data. */
static em_status find_header(const char *source, const unsigned char *bytes, size_t size, scanner *s, size_t *data)
{
    EM__FAIL_IF(size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0, EM_ERROR_FORMAT, "%s: is not an npy file", source);
    int major = bytes[6];
    EM__FAIL_IF(major < 1 || major > 3 || bytes[7] != 0, EM_ERROR_UNSUPPORTED,
                "%s: npy version %d.%d, expected 1.0, 2.0 or 3.0", source, major, bytes[7]);
    size_t start = major == 1 ? 10 : 12, length = bytes[8] | (size_t)bytes[9] << 8;
    EM__FAIL_IF(size < start, EM_ERROR_FORMAT, "%s: npy file is cut short", source);
    if (major > 1)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    EM__FAIL_IF(length > HEADER_CAP || length > size - start, EM_ERROR_FORMAT,
                "%s: npy header length is %zu, %zu bytes are there, at most %d are read", source, length, size - start,
                HEADER_CAP);
    *s = (scanner){(const char *)bytes + start, (const char *)bytes + start + length, source};
    *data = start + length;
    return EM_OK;
}

em_status em__npy_parse(const char *source, const void *bytes, size_t size, em__npy *npy)
{
    scanner s = {0};
    size_t start = 0;
    *npy = (em__npy){0};
    EM__TRY(find_header(source, bytes, size, &s, &start));
    EM__TRY(read_dict(&s, npy));
    size_t total = em_dtype_size(npy->dtype);
    bool overflow = false;
    for (int i = 0; i < npy->dims.rank; i++)
        overflow |= em__mul_overflows(total, (uint64_t)npy->dims.dims[i], &total);
    EM__FAIL_IF(overflow || total != size - start, EM_ERROR_FORMAT,
                "%s: npy holds %zu bytes of data, its dtype and shape ask for %s%zu", source, size - start,
                overflow ? "more than " : "", overflow ? SIZE_MAX : total);
    npy->data = (const char *)bytes + start;
    npy->nbytes = total;
    if ((uintptr_t)npy->data % em_dtype_size(npy->dtype) != 0) {
        npy->copy = em__alloc(total);
        if (!npy->copy)
            return EM_ERROR_OUT_OF_MEMORY;
        memcpy(npy->copy, npy->data, total);
        npy->data = npy->copy;
    }
    return EM_OK;
}

em_status em__npy_read(const char *path, em__map_mode mode, em__npy *npy)
{
    em__map map;
    *npy = (em__npy){0};
    EM__TRY(em__map_open(path, mode, &map));
    em_status status = em__npy_parse(path, map.data, map.size, npy);
    if (status != EM_OK || npy->copy)
        em__map_close(&map);
    npy->map = map;
    if (status != EM_OK)
        *npy = (em__npy){0};
    return status;
}

void em__npy_close(em__npy *npy)
{
    em__map_close(&npy->map);
    em__free(npy->copy);
    *npy = (em__npy){0};
}
