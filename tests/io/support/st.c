/* Safetensors files by hand. */
#include "st.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "temp.h"

unsigned char *st_bytes(const char *header, size_t data, size_t *size)
{
    size_t n = strlen(header);
    *size = 8 + n + data;
    unsigned char *bytes = malloc(*size);
    if (!bytes)
        abort();
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)n >> (8 * i));
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < data; i++)
        bytes[8 + n + i] = (unsigned char)i;
    return bytes;
}

const char *st_file(const char *dir, const char *name, const char *header, size_t data)
{
    size_t size;
    unsigned char *bytes = st_bytes(header, data, &size);
    const char *path = temp_file(dir, name, bytes, size);
    free(bytes);
    return path;
}
