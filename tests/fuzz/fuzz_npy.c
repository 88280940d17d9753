/* Any bytes as an npy file: refused, or all of its data readable. */
#include "fuzz/replay.h"
#include "io/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em__npy npy;
    if (em__npy_parse("fuzz.npy", data, size, &npy) != EM_OK)
        return 0;
    volatile unsigned char sink = 0;
    for (size_t i = 0; i < npy.nbytes; i++)
        sink ^= ((const unsigned char *)npy.data)[i];
    (void)sink;
    em__npy_close(&npy);
    return 0;
}
