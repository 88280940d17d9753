/* What warpgroups of stack_kernel.cuh do: multiply chunks of the ring, lay results down, send them to other blocks. */
#ifndef EM_DEVICE_CUDA_STACK_WORKER_CUH
#define EM_DEVICE_CUDA_STACK_WORKER_CUH

#include "device/cuda/mma.cuh"
#include "device/cuda/stack_ring.cuh"

namespace em_stack
{

template <typename F> struct worker {
    memory<F> *m;
    shared *s;
    char *ring;
    int2 *seen; /* [ROWS]: the tokens that a row sees */
    turn at;
};

template <typename F> __device__ __forceinline__ void clear(float (&sums)[F::ROWS / 2])
{
#pragma unroll
    for (int i = 0; i < F::ROWS / 2; i++)
        sums[i] = 0;
    em_wgmma_pin(sums);
}

/* sums[64 rows of the weight, ROWS] += the next chunk of the weight by one of the rows: two slices, 64 bytes a row; or
 * 128 bytes a row (WIDE). */
template <typename F, bool WIDE>
__device__ __forceinline__ void begin_chunk(const em__stack &a, const place &p, worker<F> &w, const char *chunk,
                                            float (&sums)[F::ROWS / 2])
{
    const uint64_t left = em_wgmma_b(w.ring + w.at.stage * STAGE_BYTES);
    em_barrier_wait(&w.s->full[p.group][w.at.stage], w.at.round & 1);
    em_wgmma_begin();
#pragma unroll
    for (int part = 0; part < 4; part++) {
        const uint64_t right =
            WIDE ? em_wgmma_b(chunk) + part * 2 : operand_of(chunk + part / 2 * F::SLICE) + part % 2 * 2;
        em_wgmma_shared<typename F::T, F::ROWS>::multiply(sums, left + part * 2, right);
    }
    em_wgmma_commit();
    move_on(a, w.at);
}

template <typename F>
__device__ __forceinline__ void multiply(const em__stack &a, const place &p, worker<F> &w, const char *rows, int chunks,
                                         float (&sums)[F::ROWS / 2])
{
    uint64_t *empty = w.s->empty[p.group];
    int last = 0;
    clear<F>(sums);
    for (int i = 0; i < chunks; i++) {
        const int now = w.at.stage;
        begin_chunk<F, false>(a, p, w, rows + i * (F::ROWS * 128), sums);
        if (i > 0) {
            em_wgmma_wait<1>();
            if (threadIdx.x % 32 == 0)
                em_barrier_arrive(&empty[last]);
        }
        last = now;
    }
    em_wgmma_wait<0>();
    em_wgmma_pin(sums);
    if (threadIdx.x % 32 == 0)
        em_barrier_arrive(&empty[last]);
}

/* The bias of a thread's two rows of the weight. */
template <typename F> __device__ __forceinline__ void add_bias(const typename F::T *bias, float (&sums)[F::ROWS / 2])
{
    const float low = (float)bias[0], high = (float)bias[8];
#pragma unroll
    for (int j = 0; j < F::ROWS / 8; j++) {
        sums[4 * j] += low;
        sums[4 * j + 1] += low;
        sums[4 * j + 2] += high;
        sums[4 * j + 3] += high;
    }
}

/* Four blocks of 8 x 8, turned, to rows of 16 bytes. */
__device__ __forceinline__ void store_turned(const void *row, const uint32_t (&x)[4])
{
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(em_shared(row)),
                 "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(x[3])
                 : "memory");
}

/* A warp's 16 columns of all rows; at(row, which of the two eights) is where they go. */
template <typename F, typename AT>
__device__ __forceinline__ void store_columns(const float (&sums)[F::ROWS / 2], const AT &at)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < F::ROWS / 8; j += 2) {
        const uint32_t x[4] = {em_pair<typename F::T>(sums[4 * j], sums[4 * j + 1]),
                               em_pair<typename F::T>(sums[4 * j + 2], sums[4 * j + 3]),
                               em_pair<typename F::T>(sums[4 * j + 4], sums[4 * j + 5]),
                               em_pair<typename F::T>(sums[4 * j + 6], sums[4 * j + 7])};
        store_turned(at((j + lane / 16) * 8 + lane % 8, lane / 8 % 2), x);
    }
}

/* As rows of q, k or v. */
template <typename F> __device__ __forceinline__ void store_row_columns(const float (&sums)[F::ROWS / 2], char *to)
{
    store_columns<F>(sums, [=](int row, int high) { return to + row * F::PITCH + high * 16; });
}

/* Sums to shared memory, and from there, by columns. */
template <typename F> __device__ __forceinline__ void store_sums(const float (&sums)[F::ROWS / 2], float *to)
{
#pragma unroll
    for (int j = 0; j < F::ROWS / 8; j++) {
        *(float2 *)(to + j * 8) = {sums[4 * j], sums[4 * j + 1]};
        *(float2 *)(to + 8 * F::ROWS + j * 8) = {sums[4 * j + 2], sums[4 * j + 3]};
    }
}

template <typename F> __device__ __forceinline__ void add_sums(const float *from, float (&sums)[F::ROWS / 2])
{
#pragma unroll
    for (int j = 0; j < F::ROWS / 8; j++) {
        const float2 low = *(const float2 *)(from + j * 8), high = *(const float2 *)(from + 8 * F::ROWS + j * 8);
        sums[4 * j] += low.x;
        sums[4 * j + 1] += low.y;
        sums[4 * j + 2] += high.x;
        sums[4 * j + 3] += high.y;
    }
}

/* One thread of a block expects what the others bring. */
__device__ __forceinline__ void expect(shared *s, int meeting, unsigned bytes)
{
    if (threadIdx.x == 0)
        em_barrier_expect(&s->met[meeting], bytes);
}

/* The block's part to the same place of all other blocks; what threads wrote before they met. */
template <typename F>
__device__ __forceinline__ void send_to_all(const place &p, shared *s, int meeting, const char *from, const char *to)
{
    if (threadIdx.x % 32 != 0)
        return;
    for (int rank = threadIdx.x / 32; rank < F::BLOCKS; rank += WORKERS / 32)
        if (rank != p.rank)
            asm volatile(
                "cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                    em_cluster_map(to, rank)),
                "r"(em_shared(from)), "r"((int)(F::EACH * F::SLICE)), "r"(em_cluster_map(&s->met[meeting], rank))
                : "memory");
}

/* Bytes that the others send. */
template <typename F> constexpr unsigned others()
{
    return (F::BLOCKS - 1) * F::EACH * F::SLICE;
}

__device__ __forceinline__ void send_four(uint32_t to, uint32_t barrier, float4 x)
{
    asm volatile(
        "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(to),
        "f"(x.x), "f"(x.y), "f"(x.z), "f"(x.w), "r"(barrier)
        : "memory");
}

} // namespace em_stack
#endif
