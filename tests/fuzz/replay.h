/* What a fuzz target defines: it takes any bytes and returns 0. The name and the type are libFuzzer's. */
#ifndef EM_TESTS_REPLAY_H
#define EM_TESTS_REPLAY_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
