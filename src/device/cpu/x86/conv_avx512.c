/* The convolution kernels at level avx512. Panels are gathered 16 columns at a time, each run a masked load. */
#include "device/cpu/vecmath_avx512.h"

#include "device/cpu/conv.h"
#include "device/cpu/transpose_avx512.h"

#define AHEAD 27 /* taps whose place is asked for before their turn: the channels behind lie where no one foresees */

/* The runs that reach into 16 columns, as loads of a whole vector of which only the mask's lanes are read. */
typedef struct half_panel {
    int n;
    int64_t offset[16];
    __mmask16 mask[16];
} half_panel;

static void find_half(half_panel *half, int first, const em__conv_run_of *runs, int n_runs)
{
    half->n = 0;
    for (int r = 0; r < n_runs; r++) {
        const int from = runs[r].column > first ? runs[r].column - first : 0;
        const int end = runs[r].column + runs[r].count - first < 16 ? runs[r].column + runs[r].count - first : 16;
        if (from >= 16 || end <= from)
            continue;
        half->mask[half->n] = (__mmask16)(((1u << end) - 1) & ~((1u << from) - 1));
        half->offset[half->n++] = runs[r].offset - (runs[r].column - first);
    }
}

/* The address of lane 0, which need not exist. */
static inline const float *lane(const float *base, int64_t offset)
{
    return (const float *)((uintptr_t)base + (uintptr_t)offset * sizeof(float));
}

static inline __attribute__((always_inline)) void pack_half(float *dst, const float *base, const int64_t *reach,
                                                            int64_t k, const half_panel *half, const int n)
{
    for (int64_t i = 0; i < k; i++) {
        __m512 x = _mm512_setzero_ps();
        const int64_t ahead = reach[i + AHEAD < k ? i + AHEAD : k - 1];
        for (int r = 0; r < n; r++)
            _mm_prefetch((const char *)lane(base, ahead + half->offset[r]), _MM_HINT_T0);
        for (int r = 0; r < n; r++)
            x = _mm512_mask_loadu_ps(x, half->mask[r], lane(base, reach[i] + half->offset[r]));
        _mm512_store_ps(dst + i * EM__GEMM_PANEL, x);
    }
}

static void pack_any(float *dst, const float *base, const int64_t *reach, int64_t k, const half_panel *half)
{
    switch (half->n) {
    case 1: pack_half(dst, base, reach, k, half, 1); break;
    case 2: pack_half(dst, base, reach, k, half, 2); break;
    case 3: pack_half(dst, base, reach, k, half, 3); break;
    default: pack_half(dst, base, reach, k, half, half->n); break;
    }
}

static void pack_whole(float *dst, const float *base, const int64_t *reach, int64_t k)
{
    for (int64_t i = 0; i < k; i++) {
        const float *src = base + reach[i];
        _mm512_store_ps(dst + i * EM__GEMM_PANEL, _mm512_loadu_ps(src));
        _mm512_store_ps(dst + i * EM__GEMM_PANEL + 16, _mm512_loadu_ps(src + 16));
    }
}

static void pack(float *dst, const float *base, const int64_t *reach, int64_t k, const em__conv_run_of *runs,
                 int n_runs)
{
    half_panel left, right;
    if (n_runs == 1 && runs[0].count == EM__GEMM_PANEL) {
        pack_whole(dst, base + runs[0].offset, reach, k);
        return;
    }
    find_half(&left, 0, runs, n_runs);
    find_half(&right, 16, runs, n_runs);
    pack_any(dst, base, reach, k, &left);
    pack_any(dst + 16, base, reach, k, &right);
}

static int lanes_before(int64_t n)
{
    return n < 0 ? 0 : n < 16 ? (int)n : 16;
}

static void pad_row(float *dst, int64_t length, const float *src, int64_t first, int64_t end)
{
    for (int64_t i = 0; i < length; i += 16) {
        const uint32_t there = (1u << lanes_before(end - i)) - (1u << lanes_before(first - i));
        const __m512 x = _mm512_maskz_loadu_ps((__mmask16)there, lane(src, i - first));
        if (length - i < 16)
            _mm512_mask_storeu_ps(dst + i, vf_first((int)(length - i)), x);
        else
            _mm512_storeu_ps(dst + i, x);
    }
}

static void every_second(float *dst, const float *src, int64_t n)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    for (int64_t i = 0; i < n; i += 16) {
        const int64_t left = n - i < 16 ? 2 * (n - i) - 1 : 31; /* floats to read */
        const uint32_t mask = (1u << left) - 1;
        const __m512 a = _mm512_maskz_loadu_ps((__mmask16)mask, src + 2 * i);
        const __m512 b = _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), src + 2 * i + 16);
        _mm512_mask_storeu_ps(dst + i, vf_first((int)((left + 1) / 2)), _mm512_permutex2var_ps(a, even, b));
    }
}

static void turn_lines(float *to, int64_t stride, const float *from, int columns, int64_t n)
{
    for (int j = 0; j < columns; j += 16)
        for (int64_t i = 0; i < n; i += 16) {
            const int lines = n - i < 16 ? (int)(n - i) : 16, rows = columns - j < 16 ? columns - j : 16;
            const float *at = from + i * EM__GEMM_PANEL + j;
            __m512 r[16];
#pragma GCC unroll 16
            for (int k = 0; k < 16; k++)
                r[k] = k < lines ? _mm512_loadu_ps(at + k * EM__GEMM_PANEL) : _mm512_setzero_ps();
            em__transpose_16(r);
#pragma GCC unroll 16
            for (int k = 0; k < 16; k++)
                if (k < rows)
                    _mm512_mask_storeu_ps(to + (j + k) * stride + i, vf_first(lines), r[k]);
        }
}

#define HAVE_PACK
#define FILL em__conv_fill_avx512
#include "device/cpu/conv_level_tmpl.c"
