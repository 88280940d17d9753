/* Any bytes as a safetensors file: refused, or every tensor readable from its first byte to its last. */
#include <stdlib.h>

#include <emily/safetensors.h>

#include "fuzz/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_safetensors *file;
    if (em_safetensors_open_memory(data, size, &file) != EM_OK)
        return 0;
    volatile unsigned char sink = 0;
    size_t total = 0;
    for (size_t i = 0; i < em_safetensors_count(file); i++) {
        const em_safetensors_tensor *tensor = em_safetensors_at(file, i);
        const unsigned char *bytes = tensor->data;
        for (size_t j = 0; j < tensor->nbytes; j++)
            sink ^= bytes[j];
        total += tensor->nbytes;
        const size_t element = em_dtype_size(tensor->dtype); /* 0: a dtype that Emily lacks */
        if (em_safetensors_find(file, tensor->name) != tensor || (element && (uintptr_t)bytes % element != 0))
            abort();
    }
    (void)sink;
    if (total > size)
        abort();
    em_safetensors_close(&file);
    return 0;
}
