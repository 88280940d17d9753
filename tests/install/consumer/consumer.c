/* A stranger's program: built on an installed Emily, in C and again in C++. */
#include <stdio.h>
#include <string.h>

#include <emily/dtype.h>
#include <emily/memory.h>
#include <emily/status.h>

int main(void)
{
    em_dtype dtype = EM_F32;
    em_memory_stats stats;
    stats.struct_size = sizeof stats;
    if (em_memory_get_stats(&stats) != EM_OK)
        return 1;
    if (em_dtype_parse("bfloat16", &dtype) != EM_OK || dtype != EM_BF16 || stats.limit == 0)
        return 1;
    if (em_dtype_parse("float7", &dtype) != EM_ERROR_INVALID_ARGUMENT || !strstr(em_last_error(), "float7"))
        return 1;
    printf("%s\n", em_dtype_name(dtype));
    return 0;
}
