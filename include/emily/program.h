/*
 * Programs: a function over arrays, traced once and replayed whole.
 *
 * Lanes: EM_NATIVE replays what eager would have run, with the same bits, from one planned block of memory. EM_FUSE
 * also merges ops; its results stay within a stated error of eager.
 *
 *     static em_status mlp(em_scope *s, em_array *const *in, em_array **out, void *user)
 *     { out[0] = ...; return EM_OK; }
 *     em_program *p = em_compile(mlp, weights, specs, 1, 1, NULL);
 *     em_run_raw(p, inputs, outputs);                      // no allocation
 */
#ifndef EMILY_PROGRAM_H
#define EMILY_PROGRAM_H

#include <emily/array.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_program em_program;

typedef enum em_lane { EM_NATIVE, EM_FUSE } em_lane;

typedef struct em_spec {
    em_dtype dtype;
    em_dims dims;
} em_spec;

typedef struct em_compile_options {
    size_t struct_size;
    em_lane lane;
    em_device *device; /* NULL: the default */
    bool profile;      /* keep counts and times per op */
    bool keep_ir;      /* keep the graph as traced, and so all captured arrays, to encode or print it (ir.h) */
    size_t donated;    /* inputs 0 .. donated - 1 are given up: a run may overwrite them */
    bool raw_weights;  /* read constant weights where they lie: no time and memory for a layout that runs faster */
    /* A product of f32 with bf16 or quantized weights may round its f32 operand, and what codes stand for, to bf16; the
     * sums stay f32. The processor does so for 64 rows and more where it multiplies bf16, two to five times as fast
     * (AVX512-BF16, AMX), and then attention to bf16 keys rounds alike; a GPU for any rows, with bf16 and affine
     * codes. Of EM_FUSE alone: EM_NATIVE, whose bits are eager's, takes no notice. */
    bool half_products;
} em_compile_options;

/* Builds the outputs from the inputs with ordinary ops, in scope `s`. Arrays made elsewhere (weights) are captured:
 * they are held, not copied. Called once, during em_compile. */
typedef em_status (*em_trace_fn)(em_scope *s, em_array *const *inputs, em_array **outputs, void *user);

/* Traces and compiles a function of n_inputs inputs, as `inputs` says, and n_outputs >= 1 outputs. `options` may be
 * NULL (fuse lane, default device). The caller frees the program. NULL on failure, with em_last_error(): what `fn`
 * failed with, or the first error of its scope; EM_ERROR_INVALID_ARGUMENT for options or specs that can't be, or an
 * output that was not set; EM_ERROR_OUT_OF_MEMORY. Any thread. */
EM_API em_program *em_compile(em_trace_fn fn, void *user, const em_spec *inputs, size_t n_inputs, size_t n_outputs,
                              const em_compile_options *options);
EM_API void em_program_free(em_program *program); /* NULL is fine */

/* Runs on raw row-major memory: inputs[i] and outputs[i] have the sizes of the specs, aligned to their elements (NULL
 * for empty ones). An output overlaps no input and no other output, but where em_program_updates says so: there output
 * i is given input i's memory. EM_ERROR_INVALID_ARGUMENT for NULL or unaligned
 * memory; after another failure the outputs hold anything. Allocates nothing. One run of a program at a time: a second
 * caller waits. Any thread. */
EM_API em_status em_run_raw(em_program *program, const void *const *inputs, void *const *outputs);

/* Whether output i (false past the last) is donated input i updated in place, as a cache is that the program writes a
 * row of. Only where the two have one shape and dtype and nothing needs the old value. */
EM_API bool em_program_updates(const em_program *program, size_t i);

/* Runs on arrays: evaluates the inputs, sets outputs[i] to new arrays that the caller owns; the two lists must not be
 * one. On failure all are NULL.
 * EM_ERROR_INVALID_ARGUMENT when an input is not what its spec says. A donated input holds anything afterwards if the
 * caller has its only reference, and its memory may have become an output's; one that is shared is copied first. Any
 * thread. */
EM_API em_status em_run(em_program *program, em_array *const *inputs, em_array **outputs);

/* The dtype and shape of an output; f32 of rank 0 past the last. */
EM_API em_spec em_program_output_spec(const em_program *program, size_t index);

typedef struct em_program_stats {
    size_t struct_size;    /* sizeof(em_program_stats), set by the caller */
    size_t kernels;        /* calls in one replay, a loop's body counted once */
    size_t arena_bytes;    /* working memory */
    size_t packed_bytes;   /* prepacked weights */
    size_t fallback_calls; /* calls that the device ran by its slow general path */
} em_program_stats;
/* EM_ERROR_INVALID_ARGUMENT for NULL, or a struct_size that is none. */
EM_API em_status em_program_get_stats(const em_program *program, em_program_stats *stats);

/* One line a kernel, in order: op, shapes, what was fused, and with profile the count and mean microseconds; below a
 * loop or branch the kernels of its functions, indented. `emit`
 * gets each line without a newline, valid during the call, and must not use the program. */
EM_API void em_program_describe(em_program *program, void (*emit)(const char *line, void *user), void *user);

/* What the fuse lane made of ops that were written out: a line "rms_norm: 24" for each pattern that it found, then a
 * line "near miss: rms_norm: mean over axis 1 of 3 is not the last axis" for what was nearly one (32 at most; the
 * log has all at level info). A program of another lane has none. As for em_program_describe. */
EM_API void em_program_patterns(em_program *program, void (*emit)(const char *line, void *user), void *user);

#ifdef __cplusplus
}
#endif
#endif
