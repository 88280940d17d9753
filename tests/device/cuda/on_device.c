/*
 * on_device NAME PROGRAM [ARGUMENT ...]: the test PROGRAM with EMILY_DEVICE=NAME. Where the device can't be used it
 * says why and ends with 77: skipped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <emily/emily.h>

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    if (!em_device_find(argv[1])) {
        printf("skipped: %s\n", em_last_error());
        return 77;
    }
    setenv("EMILY_DEVICE", argv[1], 1);
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
