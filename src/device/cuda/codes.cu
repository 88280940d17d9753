/* Weights of 4-bit codes made bf16 before a product: see codes.cuh. */
#include "device/cuda/codes.cuh"

namespace
{

enum { THREADS = 256, EACH = 4 /* words of a thread */ };

struct arguments {
    em_codes_matrix of[EM_CODES_MATRICES];
    unsigned first[EM_CODES_MATRICES + 1]; /* block with which a matrix begins */
};

__global__ void __launch_bounds__(THREADS) widen_codes(const __grid_constant__ arguments a)
{
    int i = 0;
    while (blockIdx.x >= a.first[i + 1])
        i++;
    const em_codes_matrix &m = a.of[i];
    const int64_t at = (int64_t)(blockIdx.x - a.first[i]) * (THREADS * EACH) + threadIdx.x;
    uint32_t words[EACH];
    __nv_bfloat16 scale[EACH], bias[EACH];
    em_grid_next();
    em_grid_wait();
#pragma unroll
    for (int j = 0; j < EACH; j++) {
        const int64_t word = at + j * THREADS < m.words ? at + j * THREADS : m.words - 1;
        words[j] = m.codes[word];
        scale[j] = m.scales[word >> (m.shift - 3)];
        bias[j] = m.biases[word >> (m.shift - 3)];
    }
#pragma unroll
    for (int j = 0; j < EACH; j++)
        if (at + j * THREADS < m.words)
            m.to[at + j * THREADS] =
                em_codes_eight(words[j], __bfloat162bfloat162(scale[j]), __bfloat162bfloat162(bias[j]));
}

} // namespace

em_status em_codes_widen(em__cuda *cuda, const em_codes_matrix *matrices, int n)
{
    arguments a = {};
    for (int i = 0; i < EM_CODES_MATRICES; i++) {
        a.first[i + 1] = a.first[i];
        if (i >= n)
            continue;
        a.of[i] = matrices[i];
        a.first[i + 1] += em_blocks(matrices[i].words, THREADS * EACH);
    }
    return a.first[n] ? em_launch(cuda, "weights of codes", widen_codes, a.first[n], THREADS, 0, a) : EM_OK;
}
