/*
 * Libraries of the CUDA toolkit (cuBLASLt, NVRTC, cuSOLVER, cuFFT): opened at first use by soname, never linked. What
 * needs one that is absent, or too old for a name, declines its calls, which then run on the cpu device.
 *
 *     struct { decltype(&cublasLtCreate) create; } lib;
 *     const em__cuda_symbol symbols[] = {{"cublasLtCreate", (void **)&lib.create}};
 *     bool there = em__cuda_library("libcublasLt.so.13", symbols, 1);
 */
#ifndef EM_DEVICE_CUDA_LIBRARY_H
#define EM_DEVICE_CUDA_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em__cuda_symbol {
    const char *name;
    void **to;
} em__cuda_symbol;

/* Fills all of `symbols` from the library, which stays open as long as the process; false, with none filled, where it
 * or one of them is missing. Sets no error. The caller remembers the answer: each call looks again. */
bool em__cuda_library(const char *soname, const em__cuda_symbol *symbols, size_t n);

#ifdef __cplusplus
}
#endif
#endif
