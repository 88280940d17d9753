/*
 * The device interface: a versioned table of slots. Above it nobody knows which device runs.
 *
 * A call is one op with its operands laid out in memory. `prepare` looks at ops, dtypes, shapes and strides (never at
 * data pointers, thread counts or time) and names the kernel; so eager and replayed programs, which prepare the same
 * calls, run the same kernels and give the same bits.
 */
#ifndef EM_DEVICE_DEVICE_H
#define EM_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <emily/device.h>
#include <emily/memory.h>

#include "ops/op.h"

#define EM__DEVICE_VERSION 4

/* Strides count elements; they may be 0 (broadcast) or negative (reversed). */
typedef struct em__tensor {
    void *data;
    em__spec spec;
    int64_t strides[EM_MAX_RANK];
} em__tensor;

typedef struct em__call em__call;
typedef struct em__function em__function; /* array/array.h: what a control op runs; no device meets one */
typedef em_status (*em__kernel_fn)(em_device *device, const em__call *call);

struct em__call {
    em__op op;
    int n_in, n_ints, n_floats;
    em__tensor *in; /* elementwise operands are broadcast to the result's shape already */
    em__tensor out; /* row-major, no holes */
    const int64_t *ints;
    const double *floats;
    em__function *const *functions; /* of a control op; NULL otherwise */
    em__kernel_fn kernel;
    void *scratch;           /* as large as the plan asked, 64-byte aligned */
    const void *packed;      /* operand 1 as the device's `pack` laid it out; NULL when it was not packed */
    bool half_products;      /* em_compile_options has it: f32 may be rounded to bf16 where it meets bf16 */
    em__call *const *merged; /* set by a program for a kernel of `merge`: the calls it runs, itself first, then NULL */
    uint64_t constant;       /* bit i: operand i is a constant of the program that the call is of; only a hint */
};

/* What a device says about a call. */
typedef struct em__plan {
    em__kernel_fn kernel;
    size_t scratch;   /* bytes */
    size_t workers;   /* bytes of scratch that each of the device's threads needs: prepare has seen to them */
    uint64_t strided; /* bit i: operand i may have any strides; otherwise it must be row-major without holes */
    uint64_t inplace; /* bit i: the result may lie where operand i lies, when that is row-major and as large */
    bool fallback;    /* runs by the general, slow path: counted and reported */
    bool host;        /* the kernel waits for the device or reads its memory on the host: it can't be recorded */
} em__plan;

/* Bytes of the host's that go to memory of a device. */
typedef struct em__transfer {
    void *to;
    const void *from;
    size_t size;
} em__transfer;

/*
 * Memory that the host can't address. A device that has it works in one order: what is asked of it happens after all
 * that was asked before, so a block may be freed, and given to another, while work on it is still under way.
 */
typedef struct em__device_memory {
    void *(*alloc)(em_device *device, size_t size); /* NULL with the error set; size 0 gives a valid pointer */
    void (*free)(em_device *device, void *block, size_t size); /* NULL is fine */
    em_status (*upload)(em_device *device, const em__transfer *parts,
                        size_t n); /* each `from` is free when it returns */
    em_status (*download)(em_device *device, void *to, const void *from, size_t size); /* waits for it */
    em_status (*copy)(em_device *device, void *to, const void *from, size_t size);
    em_status (*wait)(em_device *device); /* until all is done; the first error of the work since */
    void (*get_stats)(em_device *device, em_memory_stats *stats); /* all of it; struct_size is not looked at */
    void (*set_limit)(em_device *device, size_t bytes);
    size_t (*trim)(em_device *device);
} em__device_memory;

/* Work recorded once and asked for again in one call. Between begin and end the device runs nothing: kernels that are
 * called, and copies, are remembered with their pointers. Nothing may be allocated, freed, uploaded or waited for. */
typedef struct em__recording em__recording;
typedef enum em__branch { EM__REPEAT_WHILE, EM__IF, EM__IF_NOT } em__branch;
typedef struct em__device_recorder {
    em_status (*begin)(em_device *device);
    em_status (*end)(em_device *device, em__recording **out); /* NULL in *out on failure, with the error set */
    em_status (*replay)(em_device *device, em__recording *recording);
    void (*free)(em_device *device, em__recording *recording);
    bool (*active)(em_device *device); /* between begin and end */
    /* Within a recording, nestable: what is recorded from `open` to `close` runs as the byte at `flag`, which work
     * recorded before has written, says when it is reached: EM__IF it is not 0, EM__IF_NOT it is 0; EM__REPEAT_WHILE it
     * is not 0, which is looked at again behind each turn. NULL: recordings have no branches. */
    em_status (*open)(em_device *device, const void *flag, em__branch branch);
    em_status (*close)(em_device *device);
} em__device_recorder;

/* A call of a program as `merge` sees it: equal data pointers are equal memory. */
typedef struct em__merge_call {
    em__call *call;
    size_t index;     /* of the call among those of the program */
    size_t last_read; /* index of the last call that reads its result; SIZE_MAX: an output of the program */
} em__merge_call;

typedef struct em__device_vtable {
    unsigned version;
    const char *name;
    /* required */
    em_status (*describe)(em_device *device, char *text, size_t size);
    em_status (*prepare)(em_device *device, const em__call *call, em__plan *plan);
    /* optional: one thread, fixed */
    int (*threads)(em_device *device);
    em_status (*set_threads)(em_device *device, int threads);
    /* optional: a better layout for a constant operand 1. 0 bytes: none. `pack` fills `to`, or gives
     * EM_ERROR_UNSUPPORTED, without a text, when the layout does not suit the values: then there is none either. */
    size_t (*packed_bytes)(em_device *device, const em__call *call);
    em_status (*pack)(em_device *device, const em__call *call, void *to);
    /* optional: whether an elementwise op or a reduction, with operands and result of these dtypes, may be a step of a
     * FUSED_CHAIN (ops/chain.h). NULL: no chains. */
    bool (*chains)(em_device *device, em__op op, em_dtype from, em_dtype to);
    /* optional: whether a FUSED_LINEAR with results of this dtype is worth making; NULL: of f32 */
    bool (*fuses_linear)(em_device *device, em_dtype dtype);
    /* optional: NULL where the host addresses the device's memory */
    const em__device_memory *memory;
    const em__device_recorder *recorder; /* NULL: work is not recorded */
    /* optional, fuse lane: how many of the n calls, from the first on, one kernel runs in their stead (0: none); what
     * only calls among them read need not be written. The kernel is called with the first call, whose `merged` is set;
     * it may use the scratch of each of them. */
    size_t (*merge)(em_device *device, const em__merge_call *calls, size_t n, em__kernel_fn *kernel);
    /* optional: brackets every use of the device by a thread, nestable; one thread at a time is inside */
    void (*enter)(em_device *device);
    void (*leave)(em_device *device);
} em__device_vtable;

struct em_device {
    const em__device_vtable *vtable;
};

extern em_device em__ref_device;
em_device *em__cpu_device(void); /* NULL with the error set when it could not start */

/* The n results of an op with several, in the call's result; their data NULL where the call has none yet. */
em_status em__call_parts(const em__call *call, em__tensor *parts, int n);

/* Brackets every use of a device's kernels, so that changing its threads can wait. Nests, also with other devices. */
void em__device_enter(em_device *device);
void em__device_leave(em_device *device);

/* Row-major strides for the spec. */
void em__tensor_contiguous(em__tensor *tensor);
bool em__tensor_is_contiguous(const em__tensor *tensor);

/* `tensor` seen with the larger shape, stride 0 where it repeats. The shapes must broadcast. */
em__tensor em__tensor_broadcast(const em__tensor *tensor, const em__spec *shape);

/* The naive kernel of the op, any strides: the oracle, and what a device falls back to. */
em__kernel_fn em__ref_kernel(em__op op);
size_t em__ref_scratch(const em__call *call); /* bytes that it needs */

#endif
