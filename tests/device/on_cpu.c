/*
 * on_cpu LEVEL PROGRAM [ARGUMENT ...]: the test PROGRAM with EMILY_CPU=LEVEL. Where this machine lacks those
 * instructions it says so and ends with 77, skipped: the program would repeat a lower level.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cpu.h"

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    setenv("EMILY_CPU", argv[1], 1);
    if (strcmp(em__cpu_level_name(em__cpu_get()->level), argv[1]) != 0) {
        printf("skipped: this machine has no %s\n", argv[1]);
        return 77;
    }
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
