/*
 * f32 convolutions on the CPU as implicit matrix products.
 *
 * Each image is staged once: padded, dilated, and with what a stride skips sorted apart, so that under any kernel tap
 * neighbouring output pixels read neighbouring floats. A staged axis of stride s is [slot][index]: a slot holds the
 * positions congruent to one of the phases (tap * dilation) % s that taps use, so that no position is staged in vain,
 * and output o under tap t lies at slot(t) * length + (t * dilation) / s + o. Convolutions that need none of it read
 * the input where it is.
 *
 * The product: rows are output channels (their weights lie as the kernel keeps them), columns output pixels, whose
 * panels of EM__GEMM_PANEL are gathered from the staged image into a worker's scratch, a few at a time; depth is
 * channel, then taps. So an output's bits are those of gemm.h: chunks of EM__GEMM_CHUNK products in ascending depth.
 */
#ifndef EM_DEVICE_CPU_CONV_H
#define EM_DEVICE_CPU_CONV_H

#include <stdatomic.h>

#include "device/cpu/gemm.h"
#include "device/cpu/gemm_cut.h"
#include "device/device.h"

#define EM__CONV_AXES 3

/* One spatial axis; missing ones have size 1 everywhere. */
typedef struct em__conv_axis {
    int64_t in, taps, out;
    int64_t stride, low, input_dilation, kernel_dilation;
    int64_t slots, length; /* staged */
    int64_t pitch;         /* floats from one staged position to the next */
} em__conv_axis;

typedef struct em__conv_job {
    const struct em__conv_kernels *kernels;
    const em__gemm_kernels *gemm;
    em__pool *pool;
    int64_t images;            /* of the result */
    int64_t channels, outputs; /* of a group */
    int64_t groups;
    bool batch_groups; /* the groups are of images, not of channels */
    em__conv_axis axis[EM__CONV_AXES];
    int64_t depth, pixels; /* channels x taps; of one output image */
    int64_t plane;         /* staged floats of one channel */
    bool depthwise;        /* by em__conv_depth_run */
    bool winograd;         /* by em__conv_winograd_run */
    bool staged;           /* otherwise the input is read in place */
    int64_t some;          /* images (of each group) staged at a time */
    const float *input, *weights;
    float *out, *stage;
    float *rows;    /* of a turned product: what its pixels see */
    int64_t *reach; /* [depth]: from a staged pixel's place under tap 0 of channel 0 to its place under each tap */
} em__conv_job;

/* The product's shape from the call; false when it isn't for these kernels. */
bool em__conv_describe(const em__call *call, em__conv_job *job);

/* Bytes of the call's scratch, and of each worker's. */
size_t em__conv_memory(const em__conv_job *job);
size_t em__conv_worker_memory(const em__conv_job *job);

/* Fills job->reach. */
void em__conv_find_reach(const em__conv_job *job);

/* Stages images [first, first + count) of each group. */
void em__conv_stage(const em__conv_job *job, int64_t first, int64_t count);

/* Runs the whole convolution: `job` described, with input, weights and out set; `scratch` is the call's. */
void em__conv_run(em__conv_job *job, void *scratch);

/* Stages one channel from its plane in the input. */
void em__conv_stage_plane(const em__conv_job *job, const float *from, float *to);

/* Convolutions of one channel a group (depthwise): plane by plane, each staged in the worker's scratch. */
void em__conv_depth_run(const em__conv_job *job);

#define EM__CONV_BLOCK_DEPTH (3 * EM__GEMM_CHUNK)

/* Images (of each group) whose pixels are one product's columns. */
typedef struct em__conv_images {
    const em__conv_job *job;
    int64_t first, count;
    int64_t pixels, panels; /* of all of them: a panel may hold the end of one and the beginning of the next */
    em__gemm_cut cut;
} em__conv_images;

/* Neighbouring floats of the staged image that become neighbouring columns of a panel. */
typedef struct em__conv_run_of {
    int64_t offset;
    int column, count;
} em__conv_run_of;

/* The runs of a panel's pixels: they break where a row of the output or an image ends. Returns how many. */
int em__conv_find_runs(const em__conv_images *images, int64_t panel, em__conv_run_of *runs);

/* Where the images of a group begin. */
const float *em__conv_group_base(const em__conv_images *images, int64_t group);

/* The result under an output channel (of all groups) and a pixel of the images. */
float *em__conv_result_at(const em__conv_images *images, int64_t output, int64_t pixel);

/* Few pixels make the rows of their product instead of its columns: conv_turned.c. The memory is for job->rows. */
bool em__conv_is_turned(const em__conv_job *job, int64_t pixels);
size_t em__conv_turned_memory(const em__conv_job *job);
void em__conv_turned_run(em__conv_images *images);

/* Three taps over many channels take fewer multiplications: conv_winograd.c. The way depends on the channels and on one
 * image's shape, so that an image has the same bits among others. */
bool em__conv_is_winograd(const em__conv_job *job);
size_t em__conv_winograd_memory(const em__conv_job *job);
size_t em__conv_winograd_worker_memory(const em__conv_job *job);

/* Sets strange[image] where a sum was not finite: that image is to be made by products instead, whose infinities and
 * NaNs reach no other pixels than they should. */
void em__conv_winograd_run(const em__conv_job *job, void *memory, atomic_bool *strange);

/* A row of tiles. */
typedef struct em__conv_tiles {
    int64_t n;
    int64_t step; /* floats from a point to the next, */
    int64_t row;  /* and from a pixel to the one below */
    bool both;    /* over two axes, otherwise over the last one */
    int stride;   /* 1 or 2 */
} em__conv_tiles;

/* The kernels of a level. */
typedef struct em__conv_kernels {
    /* Depth [0, k) of a panel: dst[k][EM__GEMM_PANEL], its runs at base + reach[k] + offset; columns without a run are
     * 0. */
    void (*pack)(float *dst, const float *base, const int64_t *reach, int64_t k, const em__conv_run_of *runs,
                 int n_runs);

    /* A row between zeros: dst[0 .. length) = 0, but dst[first .. end) = src[0 ..]; 0 <= first <= end <= length */
    void (*pad_row)(float *dst, int64_t length, const float *src, int64_t first, int64_t end);

    /* dst[i] = src[2 * i] */
    void (*every_second)(float *dst, const float *src, int64_t n);

    /* out[x] = sum over taps t of weights[t] * src[reach[t] + x], in one chain of fused multiply-adds from 0 */
    void (*depth_row)(float *out, const float *src, const float *weights, const int64_t *reach, int64_t taps,
                      int64_t n);

    /* Winograd's steps (conv_winograd.c), all of lines of EM__GEMM_PANEL channels. From pixels [y][x] to tile i's point
     * p at to[i * pitch + p * step], of the first `channels` (a multiple of 16). */
    void (*winograd_input)(const em__conv_tiles *tiles, float *to, int64_t pitch, const float *from, int channels);

    /* From taps [channel][tap], for n channels, to value u at to[u * step + channel * EM__GEMM_PANEL]. */
    void (*winograd_weights)(const em__conv_tiles *tiles, float *to, const float *from);

    /* From sums at from[p * step + i * EM__GEMM_PANEL] to pixels [y][x]. False when one of them is not finite, or might
     * not be. */
    bool (*winograd_output)(const em__conv_tiles *tiles, float *to, const float *from);

    /* The first `columns` of n lines, each to a row of its own: to[column * stride + i] = from[i * EM__GEMM_PANEL +
     * column]. */
    void (*turn_lines)(float *to, int64_t stride, const float *from, int columns, int64_t n);
} em__conv_kernels;

/* The kernels of a level, or of the best one this machine and this build have below it. Any thread, no cost. */
const em__conv_kernels *em__conv_kernels_get(em__cpu_level level);

void em__conv_fill_portable(em__conv_kernels *kernels);
void em__conv_fill_avx2(em__conv_kernels *kernels);
void em__conv_fill_avx512(em__conv_kernels *kernels);

#endif
