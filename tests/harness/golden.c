/* Paths of golden and scratch files; four rotating buffers, so that a call may take two paths. */
#include "harness/golden.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/checkpoint.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char scratch[512];
static pid_t owner;

/* A forked child that ends leaves the folder alone. */
static void remove_scratch(void)
{
    if (getpid() == owner)
        checkpoint_remove(scratch);
}

static void make_scratch(void)
{
    owner = getpid();
    snprintf(scratch, sizeof scratch, "%s/scratch/%ld", EM_TEST_BUILD_DIR, (long)owner);
    mkdir(EM_TEST_BUILD_DIR "/scratch", 0755);
    checkpoint_remove(scratch);
    mkdir(scratch, 0755);
    atexit(remove_scratch);
}

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
    pthread_once(&once, make_scratch);
    return path_of(scratch, name);
}

bool golden_exists(const char *name)
{
    return access(golden_path(name), R_OK) == 0;
}
