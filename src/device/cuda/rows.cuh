/*
 * What kernels along rows share: 16-byte pieces of a row in registers, sums over lanes, and how a row is cut.
 *
 * A row's piece p of 16 bytes is piece p / threads of thread p % threads, whether it is read as one vector or, where
 * rows don't begin at 16 bytes, element by element: the order of sums depends on the row's length alone.
 */
#ifndef EM_DEVICE_CUDA_ROWS_CUH
#define EM_DEVICE_CUDA_ROWS_CUH

#include "device/cuda/reals.cuh"

template <typename T> using em_real_t = typename em_real<T>::type; /* what a dtype is computed in */

/* A value of any size between the lanes of a warp: shuffle(word) moves each of its words. */
template <typename A, typename F> __device__ __forceinline__ A em_shuffle_words(A x, F shuffle)
{
    union {
        A value;
        unsigned words[(sizeof(A) + 3) / 4];
    } u;
    u.value = x;
#pragma unroll
    for (size_t i = 0; i < sizeof u.words / 4; i++)
        u.words[i] = shuffle(u.words[i]);
    return u.value;
}

/* What the lane whose number differs by the bits of `step` has; what the one `by` below has, its own where none is. */
template <typename A> __device__ __forceinline__ A em_shuffle(A x, int step)
{
    return em_shuffle_words(x, [step](unsigned word) { return __shfl_xor_sync(~0u, word, step); });
}

template <typename A> __device__ __forceinline__ A em_shuffle_up(A x, int by)
{
    return em_shuffle_words(x, [by](unsigned word) { return __shfl_up_sync(~0u, word, by); });
}

template <typename T> constexpr int EM_PIECE = (int)(16 / sizeof(T)); /* elements of a piece */

template <typename T> struct alignas(16) em_piece {
    T at[EM_PIECE<T>];
};

/* Asks the second-level cache for bytes, by 16, that are read later, also before em_grid_wait(): that cache is where
 * writes go too, so that what is read then is what is there then. Of use while the grid before ends. */
__device__ __forceinline__ void em_fetch_early(const void *from, unsigned bytes)
{
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes) : "memory");
#endif
}

/* Blocks of a grid that ask for a line of so many bytes early: those that may be there before the grid before has
 * ended, `there`, as far as a sixth of the cache goes. */
static inline int em_early_blocks(const em__cuda *cuda, int64_t bytes, int there)
{
    const int64_t room = (int64_t)cuda->l2_bytes / 6 / bytes;
    return room < there ? (int)room : there;
}

/* What nobody reads again: the first-level cache is left to the others. */
template <typename T> __device__ __forceinline__ em_piece<T> em_read_once(const T *from)
{
    union {
        em_piece<T> piece;
        unsigned words[4];
    } u;
    asm("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(u.words[0]), "=r"(u.words[1]), "=r"(u.words[2]), "=r"(u.words[3])
        : "l"(from)
        : "memory");
    return u.piece;
}

/* The same for halves; rows of f32 that are written back are faster by that cache. */
template <typename T> __device__ __forceinline__ em_piece<T> em_read_stream(const T *from)
{
    return sizeof(T) == 2 ? em_read_once(from) : *(const em_piece<T> *)from;
}

/* Keeps halves from being held as the f32 that they were read as: they are read anew after this. */
template <typename T, int MANY> __device__ __forceinline__ void em_keep_packed(em_piece<T> (&v)[MANY])
{
    if constexpr (sizeof(T) == 2)
#pragma unroll
        for (int k = 0; k < MANY; k++) {
            unsigned *words = (unsigned *)&v[k];
            asm("" : "+r"(words[0]), "+r"(words[1]), "+r"(words[2]), "+r"(words[3]));
        }
}

/* A block's row of exactly PIECES pieces a thread, kept as it came: registers are few, so rows on their way many. */
template <typename T, int PIECES> struct em_full_row {
    em_piece<T> pieces[PIECES];

    static __device__ __forceinline__ int place(int p)
    {
        return (int)(threadIdx.x + p * blockDim.x) * EM_PIECE<T>;
    }

    __device__ __forceinline__ void read(const T *row)
    {
#pragma unroll
        for (int p = 0; p < PIECES; p++)
            pieces[p] = em_read_stream(row + place(p));
    }

    /* f(x) for each of the thread's elements. */
    template <typename F> __device__ __forceinline__ void each(F f)
    {
        em_keep_packed(pieces);
#pragma unroll
        for (int p = 0; p < PIECES; p++)
#pragma unroll
            for (int i = 0; i < EM_PIECE<T>; i++)
                f((em_real_t<T>)pieces[p].at[i]);
    }

    /* f(j)(x, i) for element i of the piece from element j on, rounded, to the row at `to`. */
    template <typename F> __device__ __forceinline__ void write(T *to, F f)
    {
        em_keep_packed(pieces);
#pragma unroll
        for (int p = 0; p < PIECES; p++) {
            em_piece<T> out;
            const auto made = f(place(p));
#pragma unroll
            for (int i = 0; i < EM_PIECE<T>; i++)
                out.at[i] = (T)made((em_real_t<T>)pieces[p].at[i], i);
            *(em_piece<T> *)(to + place(p)) = out;
        }
    }
};

/* Pieces from element j on, `step` elements apart, of a row of n; what is past its end is left alone. `whole`: pieces
 * are vectors, none is cut. All are asked for before any is looked at. */
template <typename T, int MANY>
__device__ __forceinline__ void em_read_pieces(em_piece<T> (&v)[MANY], const T *row, int64_t j, int64_t step, int64_t n,
                                               bool whole)
{
    if (whole) {
#pragma unroll
        for (int k = 0; k < MANY; k++)
            if (j + k * step < n)
                v[k] = *(const em_piece<T> *)(row + j + k * step);
        return;
    }
#pragma unroll
    for (int k = 0; k < MANY; k++)
#pragma unroll
        for (int i = 0; i < EM_PIECE<T>; i++)
            if (j + k * step + i < n)
                v[k].at[i] = row[j + k * step + i];
}

/* The same, as what the dtype is computed in; `fill` past the end. */
template <typename T, int MANY>
__device__ __forceinline__ void em_read_reals(em_real_t<T> (&v)[MANY][EM_PIECE<T>], const T *row, int j, int step,
                                              int n, bool whole, em_real_t<T> fill)
{
    em_piece<T> pieces[MANY];
    em_read_pieces(pieces, row, j, step, n, whole);
#pragma unroll
    for (int k = 0; k < MANY; k++)
#pragma unroll
        for (int i = 0; i < EM_PIECE<T>; i++)
            v[k][i] = j + k * step + i < n ? (em_real_t<T>)pieces[k].at[i] : fill;
}

template <typename T>
__device__ __forceinline__ void em_write_piece(T *row, const em_real_t<T> *v, int64_t j, int64_t n, bool whole)
{
    constexpr int N = EM_PIECE<T>;
    if (whole) {
        em_piece<T> piece;
#pragma unroll
        for (int i = 0; i < N; i++)
            piece.at[i] = (T)v[i];
        if (j < n)
            *(em_piece<T> *)(row + j) = piece;
    } else {
#pragma unroll
        for (int i = 0; i < N; i++)
            if (j + i < n)
                row[j + i] = (T)v[i];
    }
}

/* Over groups of `lanes` lanes of a warp, a power of two: every lane gets the same bits. */
template <typename R> __device__ __forceinline__ R em_lanes_sum(R x, int lanes)
{
    for (int step = lanes / 2; step > 0; step /= 2)
        x += __shfl_xor_sync(~0u, x, step);
    return x;
}

template <typename R> __device__ __forceinline__ R em_lanes_max(R x, int lanes)
{
    for (int step = lanes / 2; step > 0; step /= 2) {
        R other = __shfl_xor_sync(~0u, x, step);
        x = other > x ? other : x;
    }
    return x;
}

/* How rows of n elements are cut: by `lanes` lanes of a warp or by `threads` threads of a block (wide), each with so
 * many pieces; pieces 0: too long for registers, a block walks along it. */
typedef struct em_row_cut {
    bool wide;
    int lanes, threads, pieces;
} em_row_cut;

/* Threads of a block with so many registers that each can hold four pieces of T. */
template <typename T> constexpr int EM_ROW_THREADS = sizeof(T) == 2 ? 512 : 1024;

template <typename T> constexpr int EM_FULL_BLOCKS = sizeof(T) == 2 ? 2 : 1; /* of them, with 64 registers */

enum { EM_FULL_THREADS = 1024 }; /* with so many, of a multiprocessor */

template <typename T> static em_row_cut em_cut_rows(int64_t n)
{
    int64_t count = (n + EM_PIECE<T> - 1) / EM_PIECE<T>;
    em_row_cut cut = {false, 32, 128, 1};
    if (count <= 32) {
        for (cut.lanes = 1; cut.lanes < count;)
            cut.lanes *= 2;
        return cut;
    }
    cut.wide = count > 128;
    cut.pieces = count <= 64 || (cut.wide && count <= 256) ? 2 : 4;
    int64_t threads = (count + cut.pieces * 32 - 1) / (cut.pieces * 32) * 32;
    if (cut.wide)
        cut.threads = (int)(threads < EM_ROW_THREADS<T> ? threads : EM_ROW_THREADS<T>);
    if (threads > EM_ROW_THREADS<T>)
        cut.pieces = 0;
    return cut;
}

/* Whether the threads' pieces are the row, with no rest. */
template <typename T> static bool em_row_is_full(const em_row_cut *cut, int64_t n)
{
    return cut->wide && cut->pieces > 0 && n == (int64_t)cut->threads * cut->pieces * EM_PIECE<T>;
}

/* Whether rows that begin at `data`, so many elements of `size` bytes apart, begin at 16 bytes. */
static inline bool em_rows_are_whole(const void *data, size_t size, const int64_t *strides, int rank)
{
    bool whole = (uintptr_t)data % 16 == 0;
    for (int i = 0; i < rank; i++)
        whole = whole && strides[i] * (int64_t)size % 16 == 0;
    return whole;
}

/* Whether the tensor's rows, along its last axis, have no holes. */
static inline bool em_row_is_plain(const em__tensor *t)
{
    int last = t->spec.rank - 1;
    return t->spec.dims[last] == 1 || t->strides[last] == 1;
}

/* Blocks that so many rows take. */
static inline int64_t em_row_blocks(const em_row_cut *cut, int64_t rows)
{
    int64_t each = cut->wide ? 1 : cut->threads / cut->lanes;
    return (rows + each - 1) / each;
}

#endif
