/* Paths of golden and scratch files; four rotating buffers, so that a call may take two paths. */
#include "harness/golden.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path_of(const char *folder, const char *name)
{
    static _Thread_local char paths[4][1024];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *golden_path(const char *name)
{
    return path_of(EM_TEST_DIR "/golden", name);
}

const char *golden_scratch(const char *name)
{
    mkdir(EM_TEST_BUILD_DIR "/scratch", 0755);
    return path_of(EM_TEST_BUILD_DIR "/scratch", name);
}

bool golden_exists(const char *name)
{
    return access(golden_path(name), R_OK) == 0;
}
