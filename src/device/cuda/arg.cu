/*
 * ARGMAX and ARGMIN. An element becomes a key, an unsigned number that is larger the better the element is (NaN is
 * best), and with its place, turned over where the first of equals wins, the largest pair wins: the result does not
 * depend on the order. One long row is shared by the blocks of a cluster, which read each other's shared memory.
 */
#include <cooperative_groups.h>
#include <utility>

#include "device/cuda/rows.cuh"

enum { THREADS = 256, LONG_THREADS = 1024, CLUSTER = 8 };

/* Pieces that a thread reads before it looks at the first. */
template <typename T> constexpr int AHEAD = EM_PIECE<T> < 16 ? 16 / EM_PIECE<T> : 1;

template <typename K> struct candidate {
    K key;
    uint32_t place;
};

/* How elements of T become keys; `flip`: the bits of integers to turn over, `sign`: -1 where the smallest is sought. */
typedef struct key_rule {
    uint64_t flip;
    float sign;
    bool last;
} key_rule;

template <typename T> struct float_keys {
    typedef T In;
    typedef uint32_t Key;
    static constexpr bool NANS = true;
    static __device__ __forceinline__ uint32_t of(T x, const key_rule &rule)
    {
        float f = (float)x * rule.sign + 0.0f; /* -0 becomes 0 */
        uint32_t bits = __float_as_uint(f);
        return isnan(f) ? ~0u : bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000u);
    }
};

struct double_keys {
    typedef double In;
    typedef uint64_t Key;
    static constexpr bool NANS = true;
    static __device__ __forceinline__ uint64_t of(double x, const key_rule &rule)
    {
        double f = x * (double)rule.sign + 0.0;
        uint64_t bits = (uint64_t)__double_as_longlong(f);
        return isnan(f) ? ~(uint64_t)0 : bits ^ ((uint64_t)((int64_t)bits >> 63) | (uint64_t)1 << 63);
    }
};

template <typename T, typename K> struct integer_keys {
    typedef T In;
    typedef K Key;
    static constexpr bool NANS = false;
    static __device__ __forceinline__ K of(T x, const key_rule &rule)
    {
        return (T)(x ^ (T)rule.flip);
    }
};

/* The first of several NaN wins whatever the rule. */
template <typename Keys>
__device__ __forceinline__ candidate<typename Keys::Key> candidate_of(typename Keys::In x, uint32_t at,
                                                                      const key_rule &rule)
{
    typename Keys::Key key = Keys::of(x, rule);
    bool nan = Keys::NANS && key == (typename Keys::Key) ~(typename Keys::Key)0;
    return {key, rule.last && !nan ? at : ~at};
}

template <typename K> __device__ __forceinline__ candidate<K> better(candidate<K> a, candidate<K> b)
{
    return b.key > a.key || (b.key == a.key && b.place > a.place) ? b : a;
}

template <typename K> __device__ __forceinline__ candidate<K> over_lanes(candidate<K> x, int lanes)
{
    for (int step = lanes / 2; step > 0; step /= 2) {
        candidate<K> other = {__shfl_xor_sync(~0u, x.key, step), __shfl_xor_sync(~0u, x.place, step)};
        x = better(x, other);
    }
    return x;
}

/* The better of what was best so far and an element after it. The first of several NaN wins whatever the rule. */
template <typename Keys>
__device__ __forceinline__ void follow(candidate<typename Keys::Key> &best, typename Keys::In x, uint32_t at,
                                       const key_rule &rule)
{
    candidate<typename Keys::Key> next = candidate_of<Keys>(x, at, rule);
    if (next.key > best.key || (next.place == at && next.key == best.key))
        best = next;
}

template <typename T> struct arg_args {
    const T *x;
    int64_t *out;
    int64_t rows, n, stride;
    int lanes; /* 0: a block, or a cluster */
    bool whole;
    key_rule rule;
    em_layout<1> layout; /* of the rows */
};

/* The best of elements first, first + step, ... pieces of a row. */
template <typename Keys>
__device__ __forceinline__ candidate<typename Keys::Key>
best_along(const arg_args<typename Keys::In> &a, const typename Keys::In *row, int64_t first, int64_t step, int64_t n)
{
    typedef typename Keys::In T;
    typedef typename Keys::Key K;
    constexpr int N = EM_PIECE<T>, MANY = AHEAD<T>;
    candidate<K> best = {0, 0};
    if (first < n) /* no key is less than 0 */
        best.place = a.rule.last ? (uint32_t)first : ~(uint32_t)first;
    for (int64_t j = first; j < n; j += MANY * step) {
        em_piece<T> v[MANY];
        if (a.stride == 1) {
            em_read_pieces(v, row, j, step, n, a.whole);
        } else {
#pragma unroll
            for (int k = 0; k < MANY; k++)
#pragma unroll
                for (int i = 0; i < N; i++)
                    if (j + k * step + i < n)
                        v[k].at[i] = row[(j + k * step + i) * a.stride];
        }
#pragma unroll
        for (int k = 0; k < MANY; k++)
#pragma unroll
            for (int i = 0; i < N; i++)
                if (j + k * step + i < n)
                    follow<Keys>(best, v[k].at[i], (uint32_t)(j + k * step + i), a.rule);
    }
    return best;
}

template <typename K> __device__ __forceinline__ candidate<K> over_block(candidate<K> x, candidate<K> *shared)
{
    x = over_lanes(x, 32);
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = x;
    __syncthreads();
    return over_lanes(threadIdx.x % 32 < blockDim.x / 32 ? shared[threadIdx.x % 32] : candidate<K>{0, 0}, 32);
}

template <typename Keys>
__device__ __forceinline__ void give(const arg_args<typename Keys::In> &a, int64_t row,
                                     candidate<typename Keys::Key> best)
{
    typedef typename Keys::Key K;
    bool first = !a.rule.last || (Keys::NANS && best.key == (K) ~(K)0);
    a.out[row] = (int64_t)(first ? ~best.place : best.place);
}

template <typename Keys>
__global__ void __launch_bounds__(THREADS) arg_rows(const __grid_constant__ arg_args<typename Keys::In> a)
{
    typedef typename Keys::Key K;
    constexpr int N = EM_PIECE<typename Keys::In>;
    __shared__ candidate<K> shared[32];
    int threads = a.lanes ? a.lanes : THREADS, thread = threadIdx.x % threads;
    int64_t row = blockIdx.x * (int64_t)(THREADS / threads) + threadIdx.x / threads, at[1];
    em_offsets(a.layout, row, at);
    em_grid_wait();
    candidate<K> best = best_along<Keys>(a, a.x + at[0], thread * N, (int64_t)threads * N, row < a.rows ? a.n : 0);
    em_grid_next();
    best = a.lanes ? over_lanes(best, a.lanes) : over_block(best, shared);
    if (thread == 0 && row < a.rows)
        give<Keys>(a, row, best);
}

/* A cluster a row. */
template <typename Keys>
__global__ void __launch_bounds__(LONG_THREADS) arg_long_rows(const __grid_constant__ arg_args<typename Keys::In> a)
{
#if __CUDA_ARCH__ >= 900
    namespace cg = cooperative_groups;
    typedef typename Keys::Key K;
    constexpr int N = EM_PIECE<typename Keys::In>;
    __shared__ candidate<K> shared[32], others[CLUSTER];
    cg::cluster_group cluster = cg::this_cluster();
    cg::cluster_group::arrival_token started = cluster.barrier_arrive();
    int rank = (int)cluster.block_rank();
    int64_t row = blockIdx.x / CLUSTER, at[1];
    em_offsets(a.layout, row, at);
    em_grid_wait();
    candidate<K> best = best_along<Keys>(a, a.x + at[0], (int64_t)(rank * LONG_THREADS + (int)threadIdx.x) * N,
                                         (int64_t)CLUSTER * LONG_THREADS * N, a.n);
    em_grid_next();
    best = over_block(best, shared);
    cluster.barrier_wait(std::move(started)); /* the first block runs: its memory is there */
    if (threadIdx.x == 0)
        *cluster.map_shared_rank(&others[rank], 0) = best;
    cluster.sync();
    if (rank == 0 && threadIdx.x == 0) {
        for (int i = 1; i < CLUSTER; i++)
            best = better(best, others[i]);
        give<Keys>(a, row, best);
    }
#endif
}

/* Neighbouring threads take neighbouring lines; the block's other rows take other elements of them. */
template <typename Keys>
__global__ void __launch_bounds__(THREADS) arg_columns(const __grid_constant__ arg_args<typename Keys::In> a)
{
    typedef typename Keys::Key K;
    __shared__ candidate<K> shared[THREADS / 32][32];
    int x = threadIdx.x % 32, y = threadIdx.x / 32;
    int64_t row = blockIdx.x * (int64_t)32 + x, at[1];
    em_offsets(a.layout, row, at);
    em_grid_wait();
    candidate<K> best = {0, 0};
    if (row < a.rows)
#pragma unroll 4
        for (int64_t j = y; j < a.n; j += THREADS / 32)
            best = better(best, candidate_of<Keys>(a.x[at[0] + j * a.stride], (uint32_t)j, a.rule));
    em_grid_next();
    shared[y][x] = best;
    __syncthreads();
    for (int i = 1; i < THREADS / 32 && y == 0; i++)
        best = better(best, shared[i][x]);
    if (y == 0 && row < a.rows)
        give<Keys>(a, row, best);
}

static key_rule rule_of(const em__call *call)
{
    em_dtype dtype = call->in[0].spec.dtype;
    bool smallest = call->op == EM__OP_ARGMIN;
    key_rule rule = {smallest ? UINT64_MAX : 0, smallest ? -1.0f : 1.0f, call->ints[1] != 0};
    if (em_dtype_get_kind(dtype) == EM_KIND_SIGNED)
        rule.flip ^= (uint64_t)1 << (8 * em_dtype_size(dtype) - 1);
    return rule;
}

template <typename Keys> static em_status run(em_device *device, const em__call *call)
{
    typedef typename Keys::In T;
    em__cuda *cuda = em__cuda_of(device);
    const em__tensor *in = &call->in[0];
    int axis = (int)call->ints[0];
    em__tensor outer = *in;
    outer.spec.dims[axis] = 1;
    const em__tensor *const one[] = {&outer};
    arg_args<T> a = {(const T *)in->data,
                     (int64_t *)call->out.data,
                     em__spec_size(&outer.spec),
                     in->spec.dims[axis],
                     in->strides[axis],
                     32,
                     false,
                     rule_of(call),
                     em_collapse<1>(&outer.spec, one)};
    if (a.rows == 0)
        return EM_OK;
    int last = a.layout.rank - 1;
    if (last >= 0 && a.layout.strides[0][last] == 1 && a.stride != 1)
        return em_launch(cuda, "argmax", arg_columns<Keys>, em_blocks(a.rows, 32), THREADS, 0, a);
    a.whole = a.stride == 1 && a.n * sizeof(T) % 16 == 0 &&
              em_rows_are_whole(a.x, sizeof(T), a.layout.strides[0], a.layout.rank);
    int64_t pieces = (a.n + EM_PIECE<T> - 1) / EM_PIECE<T>;
    if (cuda->major >= 9 && pieces > LONG_THREADS && a.rows * CLUSTER <= cuda->sms)
        return em_launch_clusters(cuda, "argmax", arg_long_rows<Keys>, CLUSTER, (unsigned)(a.rows * CLUSTER),
                                  LONG_THREADS, 0, a);
    for (a.lanes = 1; a.lanes < pieces && a.lanes < 32;)
        a.lanes *= 2;
    if (pieces > 128 && a.rows < 16 * cuda->sms)
        a.lanes = 0;
    int64_t each = a.lanes ? THREADS / a.lanes : 1;
    return em_launch(cuda, "argmax", arg_rows<Keys>, em_blocks(a.rows, each), THREADS, 0, a);
}

extern "C" bool em__cuda_prepare_arg(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    (void)cuda;
    if (call->op != EM__OP_ARGMAX && call->op != EM__OP_ARGMIN)
        return false;
    const em__spec *in = &call->in[0].spec;
    if (in->dims[call->ints[0]] > UINT32_MAX || em__spec_size(&call->out.spec) > INT32_MAX)
        return false;
    plan->strided = 1;
    switch (in->dtype) {
    case EM_F8_E4M3FN: plan->kernel = run<float_keys<__nv_fp8_e4m3>>; return true;
    case EM_F8_E5M2: plan->kernel = run<float_keys<__nv_fp8_e5m2>>; return true;
    case EM_F16: plan->kernel = run<float_keys<__half>>; return true;
    case EM_BF16: plan->kernel = run<float_keys<__nv_bfloat16>>; return true;
    case EM_F32: plan->kernel = run<float_keys<float>>; return true;
    case EM_F64: plan->kernel = run<double_keys>; return true;
    case EM_PRED:
    case EM_U8:
    case EM_S8: plan->kernel = run<integer_keys<uint8_t, uint32_t>>; return true;
    case EM_U16:
    case EM_S16: plan->kernel = run<integer_keys<uint16_t, uint32_t>>; return true;
    case EM_U32:
    case EM_S32: plan->kernel = run<integer_keys<uint32_t, uint32_t>>; return true;
    case EM_U64:
    case EM_S64: plan->kernel = run<integer_keys<uint64_t, uint64_t>>; return true;
    default: return false;
    }
}
