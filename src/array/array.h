/*
 * An array is a value or a promise of one. With `buffer` it is a strided view of memory; without, it is an op with its
 * operands. Evaluating turns the second into the first and lets the operands go. Attributes and operands lie behind the
 * struct in the same allocation.
 */
#ifndef EM_ARRAY_ARRAY_H
#define EM_ARRAY_ARRAY_H

#include <stdatomic.h>

#include <emily/array.h>

#include "device/device.h"

/* Memory that views share. Its bytes do not change; copies of them in other memories are kept with it (its mirrors). */
typedef struct em__buffer em__buffer;
struct em__buffer {
    atomic_int refs;
    void *data;
    size_t size;
    em_device *memory;             /* whose memory it is; NULL: the host's */
    _Atomic(em__buffer *) mirrors; /* a list, one a memory; entries stay until the buffer goes */
    em__buffer *next;              /* of the list that this mirror is in */
    void (*free_fn)(void *user);   /* foreign memory; NULL with `foreign` means there is nothing to free */
    void *user;
    /* Or NULL: these bytes were read and need not stay in memory; they come again from their file if wanted. */
    void (*release_pages)(void *user, const void *data, size_t bytes);
    bool foreign;
};

/*
 * A traced function that a control op runs (the condition and the body of a WHILE, the branches of a COND). The graph
 * layer makes and runs them; here they are only counted.
 */
struct em__function {
    atomic_int refs;
    void (*free_fn)(em__function *function);
    /* Plans a call of the control op whose first function this is. */
    em_status (*prepare)(em_device *device, const em__call *call, em__plan *plan);
};
#define EM__FUNCTIONS 2 /* every control op has two */

em__function *em__function_retain(em__function *function);
void em__function_release(em__function **function); /* NULL in it is fine; sets it to NULL */

struct em_array {
    atomic_int refs;
    em__op op;
    em_device *device;
    em__spec spec;
    em__buffer *buffer;
    int64_t strides[EM_MAX_RANK];
    int64_t offset; /* bytes into the buffer */
    int n_in, n_ints, n_floats;
    em_array **in; /* NULL entries never occur; released when evaluated */
    int64_t *ints;
    double *floats;
    int level; /* how deep in functions under trace it was made: 0 outside of all */
    em__function *functions[EM__FUNCTIONS];
    em_array *next_dead; /* chains arrays being released, so that a long graph does not recurse */
    atomic_bool settled; /* evaluated and row-major: nothing above changes any more, and it is read without the lock */
};

struct em_scope {
    em_device *device;
    int level; /* of the function under trace; 0: none */
    em_status status;
    char *error; /* NULL: none, or no memory to keep it */
    struct {
        em_array **data;
        size_t length, capacity;
    } arrays;
};

/* What a builder gives. */
typedef struct em__build_args {
    em__op op;
    em_array *const *in;
    int n_in;
    const int64_t *ints;
    int n_ints;
    const double *floats;
    int n_floats;
    em__function *const *functions; /* of a control op: EM__FUNCTIONS of them, borrowed */
} em__build_args;

/* Makes the node in the scope: checks operands, infers the result. Operands are borrowed (and retained). NULL once the
 * scope has an error. Operands are used as they are: no promotion. */
em_array *em__build(em_scope *scope, const em__build_args *args);

/* The same for an op with several results (ops/op.h, PARTS): `out` [n] gets its parts. False, with `out` all NULL, once
 * the scope has an error. */
bool em__build_parts(em_scope *scope, const em__build_args *args, em_array **out, int n);

/* Specs and offsets of an op's n parts, in one allocation at *specs, which the caller frees. */
em_status em__find_parts(const em__build_args *args, int n, em__spec **specs, int64_t **offsets);

/* Records the thread's last error as the scope's first; returns NULL for the builder to return. */
em_array *em__scope_fail(em_scope *scope);

/* True when the scope can go on and no operand is NULL; otherwise the scope has an error. */
bool em__scope_ok(em_scope *scope, em_array *const *in, int n_in, const char *what);

/* The axis counted from the front, into *at; false once the scope has an error. */
bool em__axis_of(em_scope *scope, const em_array *a, int axis, const char *what, int *at);

/* The axes as a bit mask; false, with the error set, if one is out of range or named twice. */
bool em__axis_mask(em_axes axes, int rank, const char *what, int64_t *mask);

/* A value of its own over the same memory: what later happens to `array` does not touch it. `array` must have a buffer.
 * NULL when memory runs out. */
em_array *em__array_share(const em_array *array);

/* An unowned, bufferless array; NULL when memory runs out. */
em_array *em__array_new(em_device *device, const em__spec *spec, em__op op, int n_in, int n_ints, int n_floats);

/* What `data` must be a multiple of to hold elements of the dtype: its size, of a complex one half of it. */
size_t em__alignment(em_dtype dtype);

/* A row-major array over the buffer, whose reference it takes over; NULL when memory runs out (the reference stays). */
em_array *em__array_over(em_device *device, const em__spec *spec, em__buffer *buffer);

/* In the memory that the device's kernels work on (NULL: the host's); NULL when memory runs out. */
em__buffer *em__buffer_new(em_device *device, size_t size);
em__buffer *em__buffer_retain(em__buffer *buffer);

/* The same bytes in the device's memory: the buffer itself or a mirror, made where there is none yet. Borrowed; NULL
 * with the error set. */
em__buffer *em__buffer_on(em__buffer *buffer, em_device *device);

/* Bytes by which mirrors are made together. For tests, which set small ones and then what they were. */
typedef struct em__mirror_sizes {
    size_t large, shelf, batch;
} em__mirror_sizes;
em__mirror_sizes em__mirror_set_sizes(em__mirror_sizes set);

/* Mirrors of all of them at once, where there are none yet: sooner than one by one. The arrays have buffers. */
em_status em__arrays_on(em_array *const *arrays, size_t n, em_device *device);
void em__buffer_release(em__buffer *buffer); /* NULL is fine */

/* The attributes of a WINDOW op (ops/op.h) into ints [5 * rank of a]; false once the scope has an error. */
struct em_window_options;
bool em__window_ints(em_scope *scope, const em_array *a, const int64_t *window, const struct em_window_options *options,
                     const char *what, int64_t *ints);

/* The lock that guards the buffers of lazy arrays. */
void em__eval_lock(void);
void em__eval_unlock(void);

/* The evaluated array as a tensor, where its bytes lie: for layouts. */
em__tensor em__array_tensor(const em_array *array);

/* The same in the memory that the device's kernels work on (NULL: the host's). */
em_status em__array_tensor_on(const em_array *array, em_device *device, em__tensor *tensor);

/* Evaluates, and gives the row-major elements in the memory that the device's kernels work on. The array may be laid
 * out anew. */
em_status em__array_data_on(em_array *array, em_device *device, void **data);

/* A row-major array over memory of the device's, which must outlive it; NULL when memory runs out. */
em_array *em__array_borrow(em_device *device, const em__spec *spec, void *data);

/* The view that op makes of `in` without moving elements; false when strides can't express it. */
bool em__view(em__op op, const em__tensor *in, const int64_t *ints, const em__spec *out_spec, em__tensor *out,
              int64_t *element_offset);

#endif
