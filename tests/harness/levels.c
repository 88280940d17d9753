/* Which kernel levels a test can run here. */
#include "harness/levels.h"

#include <stdio.h>

em__cpu_level levels_best(void)
{
    em__cpu_level hardware = em__cpu_get()->hardware;
    return hardware < EM__CPU_AVX512 ? hardware : EM__CPU_AVX512;
}

void levels_report(void)
{
    for (int level = levels_best() + 1; level <= EM__CPU_AVX512; level++)
        printf("not run: this machine has no %s\n", em__cpu_level_name((em__cpu_level)level));
}
