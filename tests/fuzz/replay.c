/*
 * The main of a fuzz target without a fuzzer: gives it every file of the folders named, then each file cut short at
 * some lengths, and with single bytes changed. Deterministic.
 */
#include "fuzz/replay.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_SEED ((size_t)16 << 20)
#define MUTATIONS 64

static size_t inputs;

static void give(const unsigned char *bytes, size_t size)
{
    LLVMFuzzerTestOneInput(bytes, size);
    inputs++;
}

/* Each prefix is its own heap block, so that a sanitizer sees a read past its end. */
static void give_prefix(const unsigned char *bytes, size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);
    if (!copy)
        return;
    memcpy(copy, bytes, size);
    give(copy, size);
    free(copy);
}

static void replay(unsigned char *bytes, size_t size)
{
    give_prefix(bytes, size);
    unsigned state = 12345;
    for (int i = 0; i < MUTATIONS && size; i++) {
        state = state * 1664525u + 1013904223u;
        size_t at = (state >> 4) % size;
        give_prefix(bytes, at);
        unsigned char old = bytes[at];
        bytes[at] = (unsigned char)(state >> 24);
        give_prefix(bytes, size);
        bytes[at] = old;
    }
}

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = malloc(LARGEST_SEED);
    if (!file || !bytes) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(bytes);
        return file ? fclose(file), 1 : 1;
    }
    size_t size = fread(bytes, 1, LARGEST_SEED, file);
    fclose(file);
    replay(bytes, size);
    free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    give((const unsigned char *)"", 0);
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir) {
            fprintf(stderr, "%s: no such folder of seeds\n", argv[i]);
            return 1;
        }
        for (struct dirent *entry; (entry = readdir(dir));) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            failed |= replay_file(path);
        }
        closedir(dir);
    }
    printf("%zu inputs\n", inputs);
    return failed;
}
