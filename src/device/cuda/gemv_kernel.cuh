/* The kernel of gemv.cuh, over a kind of weights. */
#ifndef EM_DEVICE_CUDA_GEMV_KERNEL_CUH
#define EM_DEVICE_CUDA_GEMV_KERNEL_CUH

#include "device/cuda/gemv.cuh"
#include "device/cuda/gemv_ends.cuh"
#include "device/cuda/reals.cuh"

/* N bytes from global to shared memory, 16 past the first-level cache; zeros where there is nothing. */
template <int N, bool ALIGNED> __device__ __forceinline__ void em_fetch(void *to, const char *from, bool there)
{
    if constexpr (ALIGNED) {
        const unsigned at = (unsigned)__cvta_generic_to_shared(to);
        if constexpr (N == 16)
            asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(at), "l"(from),
                         "r"(there ? 16 : 0)
                         : "memory");
        else
            asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;" ::"r"(at), "l"(from), "r"(there ? N : 0),
                         "n"(N)
                         : "memory");
    } else {
#pragma unroll 1
        for (int i = 0; i < N; i++)
            ((char *)to)[i] = there ? from[i] : 0;
    }
}

__device__ __forceinline__ float em_low_bf16(uint32_t pair)
{
    return __uint_as_float(pair << 16);
}

__device__ __forceinline__ float em_high_bf16(uint32_t pair)
{
    return __uint_as_float(pair & 0xffff0000u);
}

__device__ __forceinline__ float em_gemv_value(em_dtype dtype, const void *data, int64_t i)
{
    if (dtype == EM_F32)
        return ((const float *)data)[i];
    return dtype == EM_BF16 ? __bfloat162float(((const __nv_bfloat16 *)data)[i])
                            : __half2float(((const __half *)data)[i]);
}

template <int N> __device__ __forceinline__ float em_gemv_chain(const float (&w)[N], const float (&x)[N])
{
    float a = 0;
#pragma unroll
    for (int i = 0; i < N; i++)
        a = fmaf(w[i], x[i], a);
    return a;
}

/*
 * Kinds: LANES of a warp share a row of a unit, PER elements each, 16 bytes; EXTRA bytes of a unit beside that.
 */
struct em_gemv_bf16 {
    static constexpr int LANES = 32, PER = 8, EXTRA = 0;
    static constexpr int BITS = 16;
    static __device__ __forceinline__ void unpack(uint4 w, float (&v)[PER])
    {
        const uint32_t words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            v[2 * i] = em_low_bf16(words[i]);
            v[2 * i + 1] = em_high_bf16(words[i]);
        }
    }
    static __device__ __forceinline__ float dot(const float (&w)[PER], const float (&x)[PER])
    {
        return em_gemv_chain(w, x);
    }
};

struct em_gemv_f16 {
    static constexpr int LANES = 32, PER = 8, EXTRA = 0;
    static constexpr int BITS = 16;
    static __device__ __forceinline__ void unpack(uint4 w, float (&v)[PER])
    {
        const uint32_t words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++)
            *(float2 *)&v[2 * i] = __half22float2(*(const __half2 *)&words[i]);
    }
    static __device__ __forceinline__ float dot(const float (&w)[PER], const float (&x)[PER])
    {
        return em_gemv_chain(w, x);
    }
};

struct em_gemv_f32 {
    static constexpr int LANES = 32, PER = 4, EXTRA = 0;
    static constexpr int BITS = 32;
    static __device__ __forceinline__ void unpack(uint4 w, float (&v)[PER])
    {
        v[0] = __uint_as_float(w.x);
        v[1] = __uint_as_float(w.y);
        v[2] = __uint_as_float(w.z);
        v[3] = __uint_as_float(w.w);
    }
    static __device__ __forceinline__ float dot(const float (&w)[PER], const float (&x)[PER])
    {
        return em_gemv_chain(w, x);
    }
};

/* 32 codes of one group: the sum of (1 + code / 16) x, from which the caller takes the sum of x. Codes become floats by
 * lying down in the mantissa of a 1. */
struct em_gemv_q4 {
    static constexpr int LANES = 16, PER = 32, EXTRA = 1024;
    static constexpr int BITS = 4;
    static __device__ __forceinline__ void unpack(uint4 w, float (&v)[PER])
    {
        const uint32_t words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 8; j++) {
                uint32_t bits = j < 5 ? words[i] << (19 - 4 * j) : words[i] >> (4 * j - 19);
                v[8 * i + j] = __uint_as_float((bits & 0x00780000u) | 0x3f800000u);
            }
    }
    static __device__ __forceinline__ float dot(const float (&w)[PER], const float (&x)[PER])
    {
        float a[2] = {0, 0};
#pragma unroll
        for (int i = 0; i < PER; i++)
            a[i / 8 & 1] = fmaf(w[i], x[i], a[i / 8 & 1]);
        return a[0] + a[1];
    }
};

template <typename K> struct em_gemv_ring {
    static constexpr int LOADS = EM_GEMV_UNIT * K::LANES / 32; /* 16-byte loads of a lane, a unit */
    static constexpr int CODES = LOADS * 512;
    static constexpr int SLOT = CODES + K::EXTRA;
    static constexpr int BYTES = SLOT * EM_GEMV_STAGES;
    static constexpr int CHUNK = K::LANES * K::PER;
};

/* Where a unit of a block lies: rows first .. end - 1 of a matrix. Of a pair, units of the two take turns. */
struct em_gemv_place {
    int matrix, first, end;
};

template <int ROWS> __device__ __forceinline__ em_gemv_place em_gemv_find(const em__gemv &g, int block_first, int unit)
{
    const int row = block_first + unit * ROWS;
    if (g.pair)
        return {unit & 1, (block_first >> 1) + (unit >> 1) * ROWS, g.end[0]};
    const int matrix = row < g.end[0] ? 0 : row < g.end[1] ? 1 : 2, before = matrix ? g.end[matrix - 1] : 0;
    return {matrix, row - before, g.end[matrix] - before};
}

template <typename K, bool ALIGNED>
__device__ __forceinline__ void em_gemv_fetch(const em__gemv &g, char *slot, em_gemv_place at, int chunk, int lane)
{
    using ring = em_gemv_ring<K>;
    constexpr int STEP = 32 / K::LANES; /* rows a load */
    const int stride = (int)((int64_t)g.depth * K::BITS / 8), byte = chunk * (K::LANES * 16) + lane % K::LANES * 16;
    const bool there = byte < stride;
    int row = at.first + lane / K::LANES;
    const char *from = g.weight[at.matrix] + (int64_t)row * stride + byte;
#pragma unroll
    for (int l = 0; l < ring::LOADS; l++) {
        em_fetch<16, ALIGNED>(slot + l * 512 + lane * 16, from, there && row < at.end);
        row += STEP;
        from += (int64_t)STEP * stride;
    }
    if constexpr (K::EXTRA > 0) { /* [row][group of the chunk] of scales, then of biases, four bytes a lane */
        const int wide = g.scale == EM_F32 ? 2 : 1, width = 31 - __clz(ring::CHUNK) - g.shift + wide; /* as shifts */
        const int length = g.depth >> g.shift << wide, all = EM_GEMV_UNIT << width;
#pragma unroll 1
        for (int i = lane * 4; i < 2 * all; i += 128) {
            const int j = i & (all - 1), r = at.first + (j >> width);
            const int in = (chunk << width) + (j & ((1 << width) - 1));
            const char *base = i < all ? g.scales[at.matrix] : g.biases[at.matrix];
            em_fetch<4, ALIGNED>(slot + ring::CODES + i, base + (int64_t)r * length + in, r < at.end && in < length);
        }
    }
}

/* A lane's x of a chunk, row m, from where the caller has it. */
template <typename K>
__device__ __forceinline__ void em_gemv_load(const em__gemv &g, int m, int chunk, int lane, float (&x)[K::PER])
{
    const int element = chunk * em_gemv_ring<K>::CHUNK + lane % K::LANES * K::PER;
    const int64_t at = (int64_t)m * g.depth + element;
#pragma unroll
    for (int i = 0; i < K::PER; i++)
        x[i] = element < g.depth ? em_gemv_value((em_dtype)g.x_dtype, g.x, at + i) : 0;
}

/* How x comes to be multiplied. ONE: a row of f32, through shared memory, a chunk of it in registers from unit to unit;
 * it may have a norm. FEW: rows of any dtype, through shared memory. ANY: where they are too long for that, read again
 * for each unit out of the first-level cache. */
enum em_gemv_way { EM_GEMV_ONE, EM_GEMV_FEW, EM_GEMV_ANY };

/* Floats of shared memory for m rows of whole chunks. */
template <em_gemv_way WAY> static __host__ __device__ __forceinline__ int em_gemv_staged(int m, int length)
{
    return WAY == EM_GEMV_ANY ? 0 : m * (length / 32 * 36);
}

/* Where element i of x lies in shared memory: a pad for each 32, so that lanes meet in no bank. */
__device__ __forceinline__ int em_gemv_at(int i)
{
    return i + i / 32 * 4;
}

template <bool ALIGNED> __device__ __forceinline__ float4 em_gemv_four(const float *from)
{
    return ALIGNED ? *(const float4 *)from : make_float4(from[0], from[1], from[2], from[3]);
}

/* Four elements of x, of any dtype. */
template <bool ALIGNED> __device__ __forceinline__ float4 em_gemv_quad(const em__gemv &g, int64_t at)
{
    const em_dtype dtype = (em_dtype)g.x_dtype;
    if (dtype == EM_F32)
        return em_gemv_four<ALIGNED>((const float *)g.x + at);
    return make_float4(em_gemv_value(dtype, g.x, at), em_gemv_value(dtype, g.x, at + 1),
                       em_gemv_value(dtype, g.x, at + 2), em_gemv_value(dtype, g.x, at + 3));
}

/* The block brings x to shared memory, times the gain of a norm, zeros up to whole chunks; `squares` gets each warp's
 * sum of squares. Each block reads x once: what all blocks want at the same time comes from few places. `gain` is that
 * of the thread's first four elements. */
template <bool ALIGNED>
__device__ __forceinline__ void em_gemv_stage(const em__gemv &g, float *staged, float *squares, int length, float4 gain)
{
    float sum = 0;
    for (int i = threadIdx.x * 4; i < length; i += blockDim.x * 4) {
        float4 v = i < g.depth ? em_gemv_four<ALIGNED>((const float *)g.x + i) : make_float4(0, 0, 0, 0);
        if (g.norm) {
            sum = fmaf(v.x, v.x, fmaf(v.y, v.y, fmaf(v.z, v.z, fmaf(v.w, v.w, sum))));
            if (g.gain && i != (int)threadIdx.x * 4 && i < g.depth)
                gain = em_gemv_four<ALIGNED>(g.gain + i);
            v = make_float4(v.x * gain.x, v.y * gain.y, v.z * gain.z, v.w * gain.w);
        }
        *(float4 *)(staged + em_gemv_at(i)) = v;
    }
    if (!g.norm)
        return;
#pragma unroll
    for (int reach = 16; reach; reach >>= 1)
        sum += __shfl_xor_sync(~0u, sum, reach);
    if ((threadIdx.x & 31) == 0)
        squares[threadIdx.x >> 5] = sum;
}

/* All rows of x as em_gemv_stage has one, without a norm; of 4-bit codes the sum of 32 elements lies behind them. */
template <typename K, bool ALIGNED>
__device__ __forceinline__ void em_gemv_stage_rows(const em__gemv &g, float *staged, int length)
{
    enum { AHEAD = 4 };
    const int quads = length / 4, all = g.m * quads, step = blockDim.x;
#pragma unroll 1
    for (int q = threadIdx.x; q < all; q += step * AHEAD) {
        float4 v[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            const int at = q + k * step, m = at / quads, i = (at - m * quads) * 4;
            v[k] =
                at < all && i < g.depth ? em_gemv_quad<ALIGNED>(g, (int64_t)m * g.depth + i) : make_float4(0, 0, 0, 0);
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++)
            if (q + k * step < all)
                *(float4 *)(staged + em_gemv_at((q + k * step) * 4)) = v[k];
    }
    __syncthreads();
#pragma unroll 1
    for (int i = threadIdx.x; K::EXTRA > 0 && i < all / 8; i += step) {
        float *const block = staged + em_gemv_at(i * 32);
        float sum = 0;
#pragma unroll
        for (int k = 0; k < 32; k++)
            sum += block[k];
        block[32] = sum;
    }
    if (K::EXTRA > 0)
        __syncthreads();
}

/* Adds up the sums of a unit's four rows over the lanes; lane 8 r then holds row r. A row's tree is the same in each
 * kind: its lanes halved again and again. */
template <typename K>
__device__ __forceinline__ float em_gemv_gather(const float (&a)[em_gemv_ring<K>::LOADS], int lane)
{
    float v;
    if constexpr (K::LANES == 32) {
        const bool high = lane & 16;
        float keep0 = high ? a[2] : a[0], give0 = high ? a[0] : a[2];
        float keep1 = high ? a[3] : a[1], give1 = high ? a[1] : a[3];
        keep0 += __shfl_xor_sync(~0u, give0, 16);
        keep1 += __shfl_xor_sync(~0u, give1, 16);
        const bool second = lane & 8;
        v = second ? keep1 : keep0;
        v += __shfl_xor_sync(~0u, second ? keep0 : keep1, 8);
    } else { /* lanes 0 .. 15 have rows 0 and 2, the others 1 and 3 */
        const bool second = lane & 8;
        v = second ? a[1] : a[0];
        v += __shfl_xor_sync(~0u, second ? a[0] : a[1], 8);
    }
    v += __shfl_xor_sync(~0u, v, 4);
    v += __shfl_xor_sync(~0u, v, 2);
    return v + __shfl_xor_sync(~0u, v, 1);
}

/* Which row of the unit lane 8 r holds after em_gemv_gather. */
template <typename K> __device__ __forceinline__ int em_gemv_row(int lane)
{
    return K::LANES == 32 ? lane >> 3 : (lane >> 4) + (lane >> 3 & 1) * 2;
}

/* What a lane has of a unit's weights. */
template <typename K> struct em_gemv_weights {
    static constexpr int LOADS = em_gemv_ring<K>::LOADS;
    float value[LOADS][K::PER], scale[LOADS], bias[LOADS];

    __device__ __forceinline__ em_gemv_weights(const em__gemv &g, const char *slot, int lane)
    {
        using ring = em_gemv_ring<K>;
#pragma unroll
        for (int l = 0; l < LOADS; l++)
            K::unpack(*(const uint4 *)(slot + l * 512 + lane * 16), value[l]);
        if constexpr (K::EXTRA > 0) {
            const int groups = ring::CHUNK >> g.shift;
            const char *biases = slot + ring::CODES + (EM_GEMV_UNIT * groups << (g.scale == EM_F32 ? 2 : 1));
#pragma unroll
            for (int l = 0; l < LOADS; l++) {
                const int at = (2 * l + (lane >> 4)) * groups + (lane % K::LANES * K::PER >> g.shift);
                scale[l] = 16 * em_gemv_value((em_dtype)g.scale, slot + ring::CODES, at);
                bias[l] = em_gemv_value((em_dtype)g.scale, biases, at);
            }
        }
    }

    /* By one row of x. */
    __device__ __forceinline__ float times(const float (&x)[K::PER], float sum, int lane) const
    {
        float a[LOADS];
#pragma unroll
        for (int l = 0; l < LOADS; l++) {
            a[l] = K::dot(value[l], x);
            if constexpr (K::EXTRA > 0)
                a[l] = fmaf(scale[l], a[l] - sum, bias[l] * sum);
        }
        return em_gemv_gather<K>(a, lane);
    }
};

/* The residual of the first result that this thread writes, fetched ahead. */
__device__ __forceinline__ float em_gemv_residual(const em__gemv &g, int first, int n)
{
    const int i = threadIdx.x, m = i / n;
    return g.residual && i < n * g.m ? g.residual[(int64_t)m * em_gemv_rows(g) + first + i - m * n] : 0;
}

/* The sum of n entries, in order, that lie `step` apart. */
__device__ __forceinline__ float em_gemv_total(const float *table, int n, int step)
{
    float sum = 0;
#pragma unroll 4
    for (int i = 0; i < n; i++)
        sum += table[i * step];
    return sum;
}

/* What the sums of the block become. */
__device__ __forceinline__ void em_gemv_end(const em__gemv &g, const float *table, const float *squares, int pad,
                                            int first, int n, float residual)
{
    for (int i = threadIdx.x; i < n * g.m; i += blockDim.x) {
        const int m = i / n, r = i - m * n;
        const int entry = g.pair ? (r / EM_GEMV_UNIT * 2) * EM_GEMV_UNIT + r % EM_GEMV_UNIT : r;
        float factor = 1;
        if (g.norm)
            factor = 1 / sqrtf(em_gemv_total(squares, blockDim.x / 32, 1) / (float)g.depth + g.eps);
        float v = factor * em_gemv_total(table + m * pad + entry, g.chunks, g.m * pad);
        int row = first + r, width = em_gemv_rows(g), matrix = 0;
        if (g.bias)
            v += g.bias[row];
        if (g.activation != EM__OP_COPY)
            v = em_gemv_activate((em__op)g.activation, v);
        if (g.residual)
            v += i == (int)threadIdx.x ? residual : g.residual[(int64_t)m * em_gemv_rows(g) + row];
        if (g.pair) {
            v *= factor * em_gemv_total(table + m * pad + entry + EM_GEMV_UNIT, g.chunks, g.m * pad);
            width = g.end[0];
        } else if (!g.joined) {
            matrix = row < g.end[0] ? 0 : row < g.end[1] ? 1 : 2;
            width = g.end[matrix] - (matrix ? g.end[matrix - 1] : 0);
            row -= matrix ? g.end[matrix - 1] : 0;
        }
        em_store_as((em_dtype)g.out_dtype, g.out[matrix], (int64_t)m * width + row, v);
    }
}

/* Where a warp is in its units: chunk by chunk, rows by rows, slot by slot of its ring. */
struct em_gemv_cursor {
    int chunk, unit, slot;

    __device__ __forceinline__ bool step(int units) /* whether a new chunk begins */
    {
        slot = slot + 1 == EM_GEMV_STAGES ? 0 : slot + 1;
        if (++unit < units)
            return false;
        unit = 0;
        chunk++;
        return true;
    }
};

/* Asks for the unit at the cursor, if there is one, and steps. */
template <typename K, bool ALIGNED>
__device__ __forceinline__ void em_gemv_ask(const em__gemv &g, char *ring, int first, em_gemv_cursor &at, int units,
                                            bool there, int lane)
{
    if (there)
        em_gemv_fetch<K, ALIGNED>(g, ring + at.slot * em_gemv_ring<K>::SLOT,
                                  em_gemv_find<EM_GEMV_UNIT>(g, first, at.unit), at.chunk, lane);
    asm volatile("cp.async.commit_group;" ::: "memory");
    at.step(units);
}

/* A lane's x of a chunk to registers, of 4-bit codes with its sum. */
template <typename K, em_gemv_way WAY>
__device__ __forceinline__ float em_gemv_take(const em__gemv &g, const float *staged, int m, int chunk, int lane,
                                              float (&x)[K::PER])
{
    float sum = 0;
    if constexpr (WAY == EM_GEMV_ANY) {
        em_gemv_load<K>(g, m, chunk, lane, x);
    } else {
        const int element = (m * g.chunks + chunk) * em_gemv_ring<K>::CHUNK + lane % K::LANES * K::PER;
#pragma unroll
        for (int i = 0; i < K::PER; i += 4)
            *(float4 *)&x[i] = *(const float4 *)(staged + em_gemv_at(element + i));
        if (WAY == EM_GEMV_FEW && K::EXTRA > 0)
            sum = staged[em_gemv_at(element) + 32];
    }
#pragma unroll
    for (int i = 0; i < K::PER && K::EXTRA > 0 && WAY != EM_GEMV_FEW; i++)
        sum += x[i];
    return sum;
}

/* The block waits for the kernel before and brings in what that one wrote; gives the thread's residual. */
template <typename K, em_gemv_way WAY, bool ALIGNED>
__device__ __forceinline__ float em_gemv_begin(const em__gemv &g, float *staged, float *squares, int length, int result,
                                               int results)
{
    float4 gain = make_float4(1, 1, 1, 1);
    if (WAY == EM_GEMV_ONE && g.norm && g.gain && (int)threadIdx.x * 4 < g.depth)
        gain = em_gemv_four<ALIGNED>(g.gain + threadIdx.x * 4);
    if (g.constant)
        em_grid_wait();
    const float residual = em_gemv_residual(g, result, results);
    if (WAY == EM_GEMV_ONE) {
        em_gemv_stage<ALIGNED>(g, staged, squares, length, gain);
        __syncthreads();
    } else if (WAY == EM_GEMV_FEW) {
        em_gemv_stage_rows<K, ALIGNED>(g, staged, length);
    }
    return residual;
}

/* The unit at the cursor by all rows of x, or by the one in registers; what comes of it to the table. */
template <typename K, em_gemv_way WAY>
__device__ __forceinline__ void em_gemv_unit(const em__gemv &g, const char *slot, const em_gemv_cursor &at,
                                             const float *staged, float *table, int pad, float (&x)[K::PER], float sum)
{
    const int lane = threadIdx.x & 31;
    const em_gemv_weights<K> weights(g, slot, lane);
#pragma unroll 1
    for (int m = 0; m < (WAY == EM_GEMV_ONE ? 1 : g.m); m++) {
        if (WAY != EM_GEMV_ONE)
            sum = em_gemv_take<K, WAY>(g, staged, m, at.chunk, lane, x);
        const float v = weights.times(x, sum, lane);
        if ((lane & 7) == 0)
            table[(at.chunk * g.m + m) * pad + at.unit * EM_GEMV_UNIT + em_gemv_row<K>(lane)] = v;
    }
}

template <typename K, em_gemv_way WAY, bool ALIGNED>
__global__ void __launch_bounds__(EM_GEMV_WARPS * 32, WAY == EM_GEMV_ONE ? 2 : 1)
    em_gemv_kernel(const __grid_constant__ em__gemv g)
{
    using ring = em_gemv_ring<K>;
    extern __shared__ __align__(16) char shared[];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    const int first = blockIdx.x * g.per_block, end = min(first + g.per_block, em_gemv_rows(g)),
              halves = g.pair ? 2 : 1;
    const int units = (end - first + EM_GEMV_UNIT - 1) / EM_GEMV_UNIT, pad = g.per_block; /* units of a chunk */
    const int from = warp * g.chunks * units / warps, to = (warp + 1) * g.chunks * units / warps;
    char *const mine = shared + warp * ring::BYTES;
    float *const staged = (float *)(shared + warps * ring::BYTES);
    float *const squares = staged + em_gemv_staged<WAY>(g.m, g.chunks * ring::CHUNK), *const table =
                                                                                          squares + EM_GEMV_WARPS;
    em_gemv_cursor at = {from / units, from % units, 0}, ahead = at;
    em_grid_next();
    if (!g.constant)
        em_grid_wait();
#pragma unroll 1
    for (int i = 0; i < EM_GEMV_STAGES; i++)
        em_gemv_ask<K, ALIGNED>(g, mine, first, ahead, units, from + i < to, lane);
    const float residual = em_gemv_begin<K, WAY, ALIGNED>(g, staged, squares, g.chunks * ring::CHUNK, first / halves,
                                                          (end - first) / halves);
    float x[K::PER], sum = 0;
    bool fresh = true; /* x is to be fetched */
#pragma unroll 1
    for (int u = from; u < to; u++) {
        if (WAY == EM_GEMV_ONE && fresh)
            sum = em_gemv_take<K, WAY>(g, staged, 0, at.chunk, lane, x);
        asm volatile("cp.async.wait_group %0;" ::"n"(EM_GEMV_STAGES - 1) : "memory");
        if (K::EXTRA || !ALIGNED)
            __syncwarp();
        em_gemv_unit<K, WAY>(g, mine + at.slot * ring::SLOT, at, staged, table, pad, x, sum);
        if (K::EXTRA || !ALIGNED)
            __syncwarp();
        em_gemv_ask<K, ALIGNED>(g, mine, first, ahead, units, u + EM_GEMV_STAGES < to, lane);
        fresh = at.step(units);
    }
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    em_gemv_end(g, table, squares, pad, first / halves, (end - first) / halves, residual);
}

#endif
