/* What a convolution's product looks like, and the staging of its images. See conv.h. */
#include <string.h>

#include "core/alloc.h"
#include "device/cpu/conv.h"

#define MOST_STAGED ((int64_t)1 << 40) /* elements of a staged image; larger ones are mostly padding */

/* The phases tap * dilation % stride repeat after stride / gcd(stride, dilation) taps, and differ before. */
static int64_t period(const em__conv_axis *axis)
{
    int64_t a = axis->stride, b = axis->kernel_dilation;
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return axis->stride / a;
}

static int64_t phase_of(const em__conv_axis *axis, int64_t slot)
{
    return slot * axis->kernel_dilation % axis->stride;
}

/* From output 0 under tap 0 to output 0 under this tap, in floats. */
static int64_t tap_place(const em__conv_axis *axis, int64_t tap)
{
    const int64_t slot = tap % axis->slots;
    return (slot * axis->length + tap * axis->kernel_dilation / axis->stride) * axis->pitch;
}

static void lay_axis(em__conv_axis *axis, int64_t pitch)
{
    const int64_t phases = period(axis);
    axis->slots = axis->taps < phases ? axis->taps : phases;
    axis->length = axis->out + (axis->taps - 1) * axis->kernel_dilation / axis->stride;
    axis->pitch = pitch;
}

static bool is_plain(const em__conv_axis *axis, int64_t high)
{
    return axis->taps == 1 && axis->stride == 1 && axis->low == 0 && high == 0 && axis->input_dilation == 1;
}

/* All spatial axes are one when nothing slides. */
static void merge_axes(em__conv_job *job)
{
    em__conv_axis *last = &job->axis[EM__CONV_AXES - 1];
    for (int i = 0; i < EM__CONV_AXES - 1; i++) {
        last->in *= job->axis[i].in;
        job->axis[i].in = job->axis[i].out = 1;
    }
    last->out = last->in;
}

bool em__conv_describe(const em__call *call, em__conv_job *job)
{
    const em__spec *input = &call->in[0].spec, *kernel = &call->in[1].spec, *out = &call->out.spec;
    const em__conv conv = em__conv_decode(call->ints, input->rank - 2);
    if (conv.spatial > EM__CONV_AXES)
        return false;
    *job = (em__conv_job){.images = out->dims[0], .channels = kernel->dims[1], .batch_groups = conv.batch_groups > 1};
    job->groups = job->batch_groups ? conv.batch_groups : conv.feature_groups;
    job->outputs = kernel->dims[0] / job->groups;
    bool plain = true;
    for (int i = 0; i < EM__CONV_AXES; i++) {
        const int d = i - (EM__CONV_AXES - conv.spatial);
        em__conv_axis *axis = &job->axis[i];
        *axis = (em__conv_axis){.in = 1, .taps = 1, .out = 1, .stride = 1, .input_dilation = 1, .kernel_dilation = 1};
        if (d < 0)
            continue;
        *axis = (em__conv_axis){input->dims[d + 2],
                                kernel->dims[d + 2],
                                out->dims[d + 2],
                                conv.strides[d],
                                conv.low[d],
                                conv.input_dilation[d],
                                conv.kernel_dilation[d],
                                0,
                                0,
                                0};
        plain = plain && is_plain(axis, conv.high[d]);
    }
    if (plain)
        merge_axes(job);
    const int64_t planes = job->groups * job->channels > 0 ? job->groups * job->channels : 1;
    int64_t slots;
    job->depth = job->channels;
    job->pixels = job->plane = 1;
    for (int i = EM__CONV_AXES - 1; i >= 0; i--) {
        lay_axis(&job->axis[i], job->plane);
        if (em__mul_overflows(job->axis[i].slots, job->axis[i].length, &slots) ||
            em__mul_overflows(job->plane, slots, &job->plane) || job->plane > MOST_STAGED / planes)
            return false; /* far padding or dilation: the loop over what exists does it */
        job->pixels *= job->axis[i].out;
        job->depth *= job->axis[i].taps;
    }
    /* One chain is what a product gives over a single chunk. */
    job->depthwise = job->channels == 1 && job->depth <= EM__GEMM_CHUNK;
    job->staged = !plain;
    job->winograd = !em__spec_empty(out) && em__conv_is_winograd(job);
    return !em__spec_empty(out) && job->depth > 0;
}

/* Positions of a slot whose input element exists: q in [*first, *end), for an input that is not dilated. */
static void span(const em__conv_axis *axis, int64_t phase, int64_t *first, int64_t *end)
{
    const int64_t from = axis->low - phase, to = from + axis->in; /* q * stride in [from, to) */
    *first = from <= 0 ? 0 : (from + axis->stride - 1) / axis->stride;
    *end = to <= 0 ? 0 : (to + axis->stride - 1) / axis->stride;
    *first = *first < axis->length ? *first : axis->length;
    *end = *end < axis->length ? *end : axis->length;
    *end = *end < *first ? *first : *end;
}

static void stage_dilated(const em__conv_axis *axis, float *dst, const float *src, int64_t phase)
{
    memset(dst, 0, (size_t)axis->length * sizeof *dst);
    for (int64_t i = 0; i < axis->in; i++) {
        const int64_t x = i * axis->input_dilation + axis->low - phase;
        if (x >= 0 && x % axis->stride == 0 && x / axis->stride < axis->length)
            dst[x / axis->stride] = src[i];
    }
}

/* A staged row from the input's row `src`; NULL: zeros. */
static void stage_row(const em__conv_job *job, const em__conv_axis *axis, float *dst, const float *src)
{
    if (!src) {
        memset(dst, 0, (size_t)(axis->slots * axis->length) * sizeof *dst);
        return;
    }
    for (int64_t slot = 0; slot < axis->slots; slot++, dst += axis->length) {
        const int64_t phase = phase_of(axis, slot), stride = axis->stride;
        int64_t first, end;
        if (axis->input_dilation > 1) {
            stage_dilated(axis, dst, src, phase);
            continue;
        }
        span(axis, phase, &first, &end);
        const float *from = src + (first * stride + phase - axis->low);
        if (stride == 1) {
            job->kernels->pad_row(dst, axis->length, from, first, end);
            continue;
        }
        memset(dst, 0, (size_t)first * sizeof *dst);
        if (stride == 2)
            job->kernels->every_second(dst + first, from, end - first);
        else
            for (int64_t q = first; q < end; q++)
                dst[q] = from[(q - first) * stride];
        memset(dst + end, 0, (size_t)(axis->length - end) * sizeof *dst);
    }
}

/* The input's index at position q of a phase, -1 on padding. */
static int64_t source_index(const em__conv_axis *axis, int64_t phase, int64_t q)
{
    const int64_t x = q * axis->stride + phase - axis->low;
    if (axis->input_dilation == 1) /* divisions cost more than a short row */
        return x >= 0 && x < axis->in ? x : -1;
    const bool there = x >= 0 && x % axis->input_dilation == 0 && x / axis->input_dilation < axis->in;
    return there ? x / axis->input_dilation : -1;
}

typedef struct stage_job {
    const em__conv_job *job;
    int64_t first, count;
} stage_job;

/* Of one place on the first axis, -1 on padding: its rows. */
static void stage_slice(const em__conv_job *job, const float *from, float *to, int64_t at_z)
{
    const em__conv_axis *y = &job->axis[1], *x = &job->axis[2];
    for (int64_t slot = 0; slot < y->slots; slot++) {
        const int64_t phase = phase_of(y, slot);
        for (int64_t i = 0; i < y->length; i++, to += y->pitch) {
            const int64_t at_y = at_z < 0 ? -1 : source_index(y, phase, i);
            stage_row(job, x, to, at_y < 0 ? NULL : from + (at_z * y->in + at_y) * x->in);
        }
    }
}

void em__conv_stage_plane(const em__conv_job *job, const float *from, float *to)
{
    const em__conv_axis *z = &job->axis[0];
    for (int64_t slot = 0; slot < z->slots; slot++)
        for (int64_t i = 0; i < z->length; i++, to += z->pitch)
            stage_slice(job, from, to, source_index(z, phase_of(z, slot), i));
}

/* Channel planes in the order of the staged images: [group][image][channel]. */
static void stage_plane(void *context, int64_t index, int worker)
{
    const stage_job *s = context;
    const em__conv_job *job = s->job;
    (void)worker;
    const int64_t channel = index % job->channels, image = index / job->channels % s->count + s->first;
    const int64_t group = index / job->channels / s->count;
    const int64_t source = job->batch_groups ? (group * job->images + image) * job->channels + channel
                                             : (image * job->groups + group) * job->channels + channel;
    const int64_t size = job->axis[0].in * job->axis[1].in * job->axis[2].in;
    em__conv_stage_plane(job, job->input + source * size, job->stage + index * job->plane);
}

void em__conv_stage(const em__conv_job *job, int64_t first, int64_t count)
{
    stage_job s = {job, first, count};
    em__pool_run(job->pool, stage_plane, &s, job->groups * count * job->channels);
}

void em__conv_find_reach(const em__conv_job *job)
{
    const em__conv_axis *z = &job->axis[0], *y = &job->axis[1], *x = &job->axis[2];
    const int64_t taps = z->taps * y->taps * x->taps;
    int64_t *to = job->reach;
    for (int64_t i = 0; i < z->taps; i++)
        for (int64_t j = 0; j < y->taps; j++)
            for (int64_t k = 0; k < x->taps; k++)
                *to++ = tap_place(z, i) + tap_place(y, j) + tap_place(x, k);
    for (int64_t at = taps; at < job->depth; at++)
        job->reach[at] = job->reach[at - taps] + job->plane;
}
