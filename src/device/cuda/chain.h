/*
 * FUSED_CHAIN on the cuda device: the program (ops/chain.h) becomes CUDA source, that a kernel by NVRTC, once for each
 * chain and layout of its operands, when the call is prepared.
 *
 * The shape is folded to rows and columns. Without reductions a thread makes a packet of neighbours; with them some
 * lanes or a block hold a row (chain_math.cuh).
 */
#ifndef EM_DEVICE_CUDA_CHAIN_H
#define EM_DEVICE_CUDA_CHAIN_H

#include <string>

#include "device/cuda/cuda.h"

extern "C" {
#include "ops/chain.h"
}

/* What a generated kernel is given. A macro, since its text goes into the source too. */
#define EM_CHAIN_ARGS                                                                                                  \
    struct em_chain_args {                                                                                             \
        const void *in[14];                                                                                            \
        void *out;                                                                                                     \
        long long rows, size;     /* rows; elements of a full value */                                                 \
        long long inner;          /* packets of a row */                                                               \
        long long dims[8];        /* that make the rows */                                                             \
        long long strides[14][9]; /* of operands, in elements, along them; the last: along the columns */              \
        unsigned whole;           /* bit i: packets of operand i lie as one; bit 31: of the result */                  \
    };
EM_CHAIN_ARGS

/* A chain with its operands' layout: all that the source depends on, and more. */
typedef struct em_chain_layout {
    em__chain chain;
    int n_in, rank; /* rank: of the axes that make the rows */
    em_dtype in[EM__CHAIN_OPERANDS];
    em_chain_args args; /* but for the pointers and `whole` */
    int64_t columns;
    int packet;  /* N: neighbours in a packet */
    int threads; /* T: of a row, with reductions */
    int held;    /* K: packets of a row that a thread holds, with reductions */
    int part;    /* of them in one part of a sum */
    bool small;  /* 32 bits count the packets */
} em_chain_layout;

/* False when operands don't fold to columns as they lie. */
bool em_chain_lay_out(const em__cuda *cuda, const em__call *call, em_chain_layout *layout);

/* The kernel em_chain. */
std::string em_chain_source(const em_chain_layout *layout);

/* NVRTC (nvrtc.cu): whether it is there; the machine code of a source for the device, from the cache on disk where it
 * is, else compiled. "" when it does not compile. */
bool em_nvrtc_there(void);
std::string em_nvrtc_hash(const std::string &text);
std::string em_nvrtc_compile(const em__cuda *cuda, const std::string &source);

/* What may be a step (device.h: chains). */
bool em_chain_takes(em_device *device, em__op op, em_dtype from, em_dtype to);

#endif
