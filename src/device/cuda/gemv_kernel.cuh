/* The kernel of gemv.cuh, over a kind of weights. */
#ifndef EM_DEVICE_CUDA_GEMV_KERNEL_CUH
#define EM_DEVICE_CUDA_GEMV_KERNEL_CUH

#include "device/cuda/activate.cuh"
#include "device/cuda/gemv.cuh"

static __device__ __noinline__ float em_gemv_activate(em__op op, float v)
{
    return em_activate<float>((int)op, v);
}

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

/*
 * Kinds: LANES of a warp share a row of a unit, PER elements each, 16 bytes; EXTRA bytes of a unit beside that.
 */
struct em_gemv_bf16 {
    static constexpr int LANES = 32, PER = 8, EXTRA = 0;
    static constexpr int BITS = 16;
    static __device__ __forceinline__ float dot(uint4 w, const float (&x)[PER])
    {
        float a = 0;
        const uint32_t words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            a = fmaf(em_low_bf16(words[i]), x[2 * i], a);
            a = fmaf(em_high_bf16(words[i]), x[2 * i + 1], a);
        }
        return a;
    }
};

struct em_gemv_f16 {
    static constexpr int LANES = 32, PER = 8, EXTRA = 0;
    static constexpr int BITS = 16;
    static __device__ __forceinline__ float dot(uint4 w, const float (&x)[PER])
    {
        float a = 0;
        const uint32_t words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float2 v = __half22float2(*(const __half2 *)&words[i]);
            a = fmaf(v.x, x[2 * i], a);
            a = fmaf(v.y, x[2 * i + 1], a);
        }
        return a;
    }
};

struct em_gemv_f32 {
    static constexpr int LANES = 32, PER = 4, EXTRA = 0;
    static constexpr int BITS = 32;
    static __device__ __forceinline__ float dot(uint4 w, const float (&x)[PER])
    {
        float a = __uint_as_float(w.x) * x[0];
        a = fmaf(__uint_as_float(w.y), x[1], a);
        a = fmaf(__uint_as_float(w.z), x[2], a);
        return fmaf(__uint_as_float(w.w), x[3], a);
    }
};

/* 32 codes of one group: the sum of (1 + code / 16) x, from which the caller takes the sum of x. Codes become floats by
 * lying down in the mantissa of a 1. */
struct em_gemv_q4 {
    static constexpr int LANES = 16, PER = 32, EXTRA = 1024;
    static constexpr int BITS = 4;
    static __device__ __forceinline__ float dot(uint4 w, const float (&x)[PER])
    {
        float a[2] = {0, 0};
        const uint32_t words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 8; j++) {
                uint32_t bits = j < 5 ? words[i] << (19 - 4 * j) : words[i] >> (4 * j - 19);
                a[i & 1] = fmaf(__uint_as_float((bits & 0x00780000u) | 0x3f800000u), x[8 * i + j], a[i & 1]);
            }
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

/* Where element i of x lies in shared memory: a pad for each 32, so that lanes meet in no bank. */
__device__ __forceinline__ int em_gemv_at(int i)
{
    return i + i / 32 * 4;
}

template <bool ALIGNED> __device__ __forceinline__ float4 em_gemv_four(const float *from)
{
    return ALIGNED ? *(const float4 *)from : make_float4(from[0], from[1], from[2], from[3]);
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

/* One unit by one row of x. */
template <typename K>
__device__ __forceinline__ float em_gemv_unit(const em__gemv &g, const char *slot, int lane, const float (&x)[K::PER],
                                              float sum)
{
    using ring = em_gemv_ring<K>;
    float a[ring::LOADS];
#pragma unroll
    for (int l = 0; l < ring::LOADS; l++)
        a[l] = K::dot(*(const uint4 *)(slot + l * 512 + lane * 16), x);
    if constexpr (K::EXTRA > 0) {
        const int groups = ring::CHUNK >> g.shift;
        const char *biases = slot + ring::CODES + (EM_GEMV_UNIT * groups << (g.scale == EM_F32 ? 2 : 1));
#pragma unroll
        for (int l = 0; l < ring::LOADS; l++) {
            const int at = (2 * l + (lane >> 4)) * groups + (lane % K::LANES * K::PER >> g.shift);
            const float scale = em_gemv_value((em_dtype)g.scale, slot + ring::CODES, at);
            a[l] = fmaf(16 * scale, a[l] - sum, em_gemv_value((em_dtype)g.scale, biases, at) * sum);
        }
    }
    return em_gemv_gather<K>(a, lane);
}

/* The residual of the first result that this thread writes, fetched ahead. */
__device__ __forceinline__ float em_gemv_residual(const em__gemv &g, int first, int n)
{
    const int i = threadIdx.x, m = i / n;
    return g.residual && i < n * g.m ? g.residual[(int64_t)m * em_gemv_rows(g) + first + i - m * n] : 0;
}

__device__ __forceinline__ void em_gemv_store(const em__gemv &g, void *out, int64_t at, float v)
{
    if (g.out_dtype == EM_F32)
        ((float *)out)[at] = v;
    else if (g.out_dtype == EM_BF16)
        ((__nv_bfloat16 *)out)[at] = __float2bfloat16_rn(v);
    else
        ((__half *)out)[at] = __float2half_rn(v);
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
        em_gemv_store(g, g.out[matrix], (int64_t)m * width + row, v);
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
template <typename K, bool ONE>
__device__ __forceinline__ float em_gemv_take(const em__gemv &g, const float *staged, int m, int chunk, int lane,
                                              float (&x)[K::PER])
{
    float sum = 0;
    if constexpr (ONE) {
        const int element = chunk * em_gemv_ring<K>::CHUNK + lane % K::LANES * K::PER;
#pragma unroll
        for (int i = 0; i < K::PER; i += 4)
            *(float4 *)&x[i] = *(const float4 *)(staged + em_gemv_at(element + i));
    } else {
        em_gemv_load<K>(g, m, chunk, lane, x);
    }
#pragma unroll
    for (int i = 0; i < K::PER && K::EXTRA > 0; i++)
        sum += x[i];
    return sum;
}

/* The block waits for the kernel before and brings in what that one wrote; gives the thread's residual. */
template <bool ONE, bool ALIGNED>
__device__ __forceinline__ float em_gemv_begin(const em__gemv &g, float *staged, float *squares, int length, int result,
                                               int results)
{
    float4 gain = make_float4(1, 1, 1, 1);
    if (ONE && g.norm && g.gain && (int)threadIdx.x * 4 < g.depth)
        gain = em_gemv_four<ALIGNED>(g.gain + threadIdx.x * 4);
    if (g.constant)
        em_grid_wait();
    const float residual = em_gemv_residual(g, result, results);
    if (ONE) {
        em_gemv_stage<ALIGNED>(g, staged, squares, length, gain);
        __syncthreads();
    }
    return residual;
}

/* ONE: m = 1, x f32, which is staged. Otherwise any; then x is read again for each unit, out of the first-level cache,
 * and there is no norm. */
template <typename K, bool ONE, bool ALIGNED>
__global__ void __launch_bounds__(EM_GEMV_WARPS * 32, ONE ? 2 : 1) em_gemv_kernel(const __grid_constant__ em__gemv g)
{
    using ring = em_gemv_ring<K>;
    extern __shared__ __align__(16) char shared[];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = blockDim.x >> 5;
    const int first = blockIdx.x * g.per_block, end = min(first + g.per_block, em_gemv_rows(g)),
              halves = g.pair ? 2 : 1;
    const int units = (end - first + EM_GEMV_UNIT - 1) / EM_GEMV_UNIT, pad = g.per_block; /* units of a chunk */
    const int from = warp * g.chunks * units / warps, to = (warp + 1) * g.chunks * units / warps;
    char *const mine = shared + warp * ring::BYTES;
    float *const table = (float *)(shared + warps * ring::BYTES);
    float *const squares = table + g.chunks * g.m * pad, *const staged = squares + EM_GEMV_WARPS;
    em_gemv_cursor at = {from / units, from % units, 0}, ahead = at;
    em_grid_next();
    if (!g.constant)
        em_grid_wait();
#pragma unroll 1
    for (int i = 0; i < EM_GEMV_STAGES; i++)
        em_gemv_ask<K, ALIGNED>(g, mine, first, ahead, units, from + i < to, lane);
    const float residual =
        em_gemv_begin<ONE, ALIGNED>(g, staged, squares, g.chunks * ring::CHUNK, first / halves, (end - first) / halves);
    float x[K::PER], sum = 0;
    bool fresh = true; /* x is to be fetched */
#pragma unroll 1
    for (int u = from; u < to; u++) {
        if (ONE && fresh)
            sum = em_gemv_take<K, ONE>(g, staged, 0, at.chunk, lane, x);
        asm volatile("cp.async.wait_group %0;" ::"n"(EM_GEMV_STAGES - 1) : "memory");
        if (K::EXTRA || !ALIGNED)
            __syncwarp();
#pragma unroll 1
        for (int m = 0; m < (ONE ? 1 : g.m); m++) {
            if (!ONE)
                sum = em_gemv_take<K, ONE>(g, staged, m, at.chunk, lane, x);
            const float v = em_gemv_unit<K>(g, mine + at.slot * ring::SLOT, lane, x, sum);
            if ((lane & 7) == 0)
                table[(at.chunk * g.m + m) * pad + at.unit * EM_GEMV_UNIT + em_gemv_row<K>(lane)] = v;
        }
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
