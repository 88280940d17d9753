/*
 * CONV as a product without its matrix: rows are output features, columns are output positions of all images, the
 * depth is a group's channels times the kernel's taps. A block computes a tile; what it reads of the input it finds by
 * index as it fills shared memory. f32 is true f32, halves add up in f32; the depth is added in order.
 */
#include "device/cuda/reals.cuh"
#include "device/cuda/words.cuh"

enum { TILE = 64, DEPTH = 16, THREADS = 256, EACH = 4, MOST_SPATIAL = 6 };

/* Sums: reals, or pairs of them. */
template <typename T> struct sum_of {
    typedef typename em_real<T>::type type;
};
template <> struct sum_of<float2> {
    typedef float2 type;
};
template <> struct sum_of<double2> {
    typedef double2 type;
};

template <typename T> static __device__ __forceinline__ typename sum_of<T>::type widen(const T *x)
{
    return em_load(x);
}
template <> __device__ __forceinline__ float2 widen(const float2 *x)
{
    return *x;
}
template <> __device__ __forceinline__ double2 widen(const double2 *x)
{
    return *x;
}

template <typename R> static __device__ __forceinline__ void add_product(R *sum, R a, R b)
{
    *sum += a * b;
}
template <typename R> static __device__ __forceinline__ void add_complex(R *sum, R a, R b)
{
    sum->x += a.x * b.x - a.y * b.y;
    sum->y += a.x * b.y + a.y * b.x;
}
template <> __device__ __forceinline__ void add_product(float2 *sum, float2 a, float2 b)
{
    add_complex(sum, a, b);
}
template <> __device__ __forceinline__ void add_product(double2 *sum, double2 a, double2 b)
{
    add_complex(sum, a, b);
}

template <typename T, typename R> static __device__ __forceinline__ void narrow(T *to, R sum)
{
    em_store(to, sum);
}
template <> __device__ __forceinline__ void narrow(float2 *to, float2 sum)
{
    *to = sum;
}
template <> __device__ __forceinline__ void narrow(double2 *to, double2 sum)
{
    *to = sum;
}

/* One group's product, and where group g lies: features, channels and images begin `of group` further. */
struct shape {
    int64_t rows, columns, depth;                    /* features, images x positions, channels x taps */
    int64_t channels, group_channels, group_images;  /* of the input in all; what each group begins later by */
    int64_t features, positions, plane;              /* of the output in all; of an image of it, of the input */
    em_divisor position, taps;                       /* columns to images, depth to channels */
    em_divisor out[MOST_SPATIAL], tap[MOST_SPATIAL]; /* extents, the innermost axis first */
    int64_t in[MOST_SPATIAL], step[MOST_SPATIAL];    /* extents and strides of the input */
    int64_t stride[MOST_SPATIAL], low[MOST_SPATIAL], tap_stride[MOST_SPATIAL], dilation[MOST_SPATIAL];
};

/* A column: its image's first element of the group, and on each axis where tap 0 falls. */
template <int S> struct column {
    bool inside;
    int64_t base;
    int64_t at[S];
};

template <int S> static __device__ __forceinline__ column<S> column_at(const shape &s, int64_t index, int64_t group)
{
    column<S> c;
    c.inside = index < s.columns;
    uint32_t image = em_divide((uint32_t)index, s.position), left = (uint32_t)index - image * s.position.by;
    c.base = ((image + group * s.group_images) * s.channels + group * s.group_channels) * s.plane;
#pragma unroll
    for (int i = 0; i < S; i++) {
        uint32_t next = em_divide(left, s.out[i]);
        c.at[i] = (int64_t)(left - next * s.out[i].by) * s.stride[i] - s.low[i];
        left = next;
    }
    return c;
}

/* The input under a column at depth k; 0 on padding. */
template <typename T, int S>
static __device__ __forceinline__ typename sum_of<T>::type under(const shape &s, const T *input, const column<S> &c,
                                                                 int64_t k)
{
    typename sum_of<T>::type none = {};
    if (!c.inside || k >= s.depth)
        return none;
    uint32_t channel = em_divide((uint32_t)k, s.taps), left = (uint32_t)k - channel * s.taps.by;
    int64_t offset = c.base + channel * s.plane;
#pragma unroll
    for (int i = 0; i < S; i++) {
        uint32_t next = em_divide(left, s.tap[i]);
        int64_t at = c.at[i] + (int64_t)(left - next * s.tap[i].by) * s.tap_stride[i];
        left = next;
        if (s.dilation[i] > 1) {
            int64_t whole = at / s.dilation[i];
            if (whole * s.dilation[i] != at)
                return none;
            at = whole;
        }
        if (at < 0 || at >= s.in[i])
            return none;
        offset += at * s.step[i];
    }
    return widen(input + offset);
}

template <typename T, int S> __global__ void conv_kernel(const T *input, const T *kernel, T *out, shape s)
{
    typedef typename sum_of<T>::type R;
    __shared__ R weights[DEPTH][TILE + 1], inputs[DEPTH][TILE];
    em_grid_wait();
    int64_t group = blockIdx.z, row = (int64_t)blockIdx.y * TILE, first = (int64_t)blockIdx.x * TILE;
    int x = threadIdx.x % 16, y = threadIdx.x / 16, k_weight = threadIdx.x % 16, k_input = threadIdx.x / TILE * EACH;
    column<S> c = column_at<S>(s, first + threadIdx.x % TILE, group);
    kernel += group * s.rows * s.depth;
    R sums[EACH][EACH] = {};
    for (int64_t k = 0; k < s.depth; k += DEPTH) {
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int64_t r = row + y + i * 16;
            R none = {};
            weights[k_weight][y + i * 16] =
                r < s.rows && k + k_weight < s.depth ? widen(kernel + r * s.depth + k + k_weight) : none;
            inputs[k_input + i][threadIdx.x % TILE] = under<T, S>(s, input, c, k + k_input + i);
        }
        __syncthreads();
#pragma unroll
        for (int d = 0; d < DEPTH; d++)
#pragma unroll
            for (int i = 0; i < EACH; i++)
#pragma unroll
                for (int j = 0; j < EACH; j++)
                    add_product(&sums[i][j], weights[d][y + i * 16], inputs[d][x + j * 16]);
        __syncthreads();
    }
#pragma unroll
    for (int j = 0; j < EACH; j++) {
        int64_t at = first + x + j * 16;
        uint32_t image = em_divide((uint32_t)at, s.position), position = (uint32_t)at - image * s.position.by;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int64_t r = row + y + i * 16;
            if (r < s.rows && at < s.columns)
                narrow(out + (image * s.features + group * s.rows + r) * s.positions + position, sums[i][j]);
        }
    }
}

static shape shape_of(const em__call *call)
{
    const em__spec *in = &call->in[0].spec, *kernel = &call->in[1].spec, *out = &call->out.spec;
    em__conv conv = em__conv_decode(call->ints, in->rank - 2);
    int64_t taps = 1;
    shape s = {};
    s.positions = s.plane = 1;
    for (int i = 0; i < MOST_SPATIAL; i++) {
        int axis = conv.spatial - 1 - i;
        bool there = axis >= 0;
        s.out[i] = em_divisor_of(there ? out->dims[axis + 2] : 1);
        s.tap[i] = em_divisor_of(there ? kernel->dims[axis + 2] : 1);
        s.in[i] = there ? in->dims[axis + 2] : 1;
        s.step[i] = s.plane;
        s.stride[i] = there ? conv.strides[axis] : 1;
        s.low[i] = there ? conv.low[axis] : 0;
        s.tap_stride[i] = there ? conv.kernel_dilation[axis] : 1;
        s.dilation[i] = there ? conv.input_dilation[axis] : 1;
        s.plane *= s.in[i];
        s.positions *= s.out[i].by;
        taps *= s.tap[i].by;
    }
    s.features = kernel->dims[0];
    s.rows = s.features / (conv.feature_groups * conv.batch_groups);
    s.columns = out->dims[0] * s.positions;
    s.depth = kernel->dims[1] * taps;
    s.channels = in->dims[1];
    s.group_channels = conv.feature_groups > 1 ? kernel->dims[1] : 0;
    s.group_images = conv.batch_groups > 1 ? out->dims[0] : 0;
    s.position = em_divisor_of(s.positions);
    s.taps = em_divisor_of(taps);
    return s;
}

template <typename T> static em_status run_conv(em_device *device, const em__call *call)
{
    shape s = shape_of(call);
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    auto kernel = call->in[0].spec.rank <= 4 ? conv_kernel<T, 2> : conv_kernel<T, MOST_SPATIAL>;
    dim3 grid(em_blocks(s.columns, TILE), em_blocks(s.rows, TILE), (unsigned)(s.features / s.rows));
    return em_launch(em__cuda_of(device), "conv", kernel, grid, THREADS, 0, (const T *)call->in[0].data,
                     (const T *)call->in[1].data, (T *)call->out.data, s);
}

extern "C" bool em__cuda_prepare_conv(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    if (call->op != EM__OP_CONV)
        return false;
    shape s = shape_of(call);
    bool many = s.columns + TILE >= EM_FEW_WORDS || s.depth + DEPTH >= EM_FEW_WORDS || s.rows > 65535 * TILE ||
                (s.rows && s.features / s.rows > 65535);
    if (many)
        return false;
    switch (call->in[0].spec.dtype) {
    case EM_F16: plan->kernel = run_conv<__half>; return true;
    case EM_BF16: plan->kernel = run_conv<__nv_bfloat16>; return true;
    case EM_F32: plan->kernel = run_conv<float>; return true;
    case EM_F64: plan->kernel = run_conv<double>; return true;
    case EM_C64: plan->kernel = run_conv<float2>; return true;
    case EM_C128: plan->kernel = run_conv<double2>; return true;
    default: return false;
    }
}
