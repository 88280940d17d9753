/* Products by cuBLASLt: see blas.h. Row-major is column-major turned: cuBLASLt is asked for d^T = b a^T. */
#include "device/cuda/blas.h"

#include <cublasLt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <new>
#include <unordered_map>

#include "device/cuda/common.cuh"
#include "device/cuda/library.h"
#include "device/cuda/thread.h"

#define WORKSPACE_BYTES ((size_t)32 << 20)
#define MOST_PLANS 4096 /* of shapes that are remembered */
#define ALIGNED 16      /* bytes: what kernels can make use of */

#define FUNCTIONS(X)                                                                                                   \
    X(Create, create)                                                                                                  \
    X(MatmulDescCreate, desc_new)                                                                                      \
    X(MatmulDescDestroy, desc_free)                                                                                    \
    X(MatmulDescSetAttribute, desc_set)                                                                                \
    X(MatrixLayoutCreate, layout_new)                                                                                  \
    X(MatrixLayoutDestroy, layout_free)                                                                                \
    X(MatrixLayoutSetAttribute, layout_set)                                                                            \
    X(MatmulPreferenceCreate, preference_new)                                                                          \
    X(MatmulPreferenceDestroy, preference_free)                                                                        \
    X(MatmulPreferenceSetAttribute, preference_set)                                                                    \
    X(MatmulAlgoGetHeuristic, heuristic)                                                                               \
    X(Matmul, matmul)

typedef struct functions {
#define X(NAME, member) decltype(&cublasLt##NAME) member;
    FUNCTIONS(X)
#undef X
} functions;

/* What was chosen for a product. */
typedef struct plan {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, d; /* of cuBLASLt's product: a is our b */
    cublasLtMatmulAlgo_t algorithm;
    bool usable;
} plan;

typedef struct key {
    em__gemm gemm;
    int64_t aligned; /* bytes to which all pointers are */
} key;

struct key_hash {
    size_t operator()(const key &k) const
    {
        const int64_t *words = (const int64_t *)&k;
        uint64_t hash = 1469598103934665603u;
        for (size_t i = 0; i < sizeof k / sizeof *words; i++)
            hash = (hash ^ (uint64_t)words[i]) * 1099511628211u;
        return (size_t)(hash ^ hash >> 29);
    }
};

struct key_equal {
    bool operator()(const key &a, const key &b) const
    {
        return memcmp(&a, &b, sizeof a) == 0;
    }
};

struct em__cuda_blas {
    functions lt;
    cublasLtHandle_t handle; /* NULL: there is no cuBLASLt */
    void *workspace;
    std::unordered_map<key, plan, key_hash, key_equal> plans;
};

typedef struct types {
    cudaDataType_t data, scale;
    cublasComputeType_t compute;
} types;

static bool types_of(em_dtype dtype, types *out)
{
    switch (dtype) {
    case EM_F32: *out = {CUDA_R_32F, CUDA_R_32F, CUBLAS_COMPUTE_32F}; return true;
    case EM_F64: *out = {CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F}; return true;
    case EM_F16: *out = {CUDA_R_16F, CUDA_R_32F, CUBLAS_COMPUTE_32F}; return true;
    case EM_BF16: *out = {CUDA_R_16BF, CUDA_R_32F, CUBLAS_COMPUTE_32F}; return true;
    case EM_C64: *out = {CUDA_C_32F, CUDA_C_32F, CUBLAS_COMPUTE_32F}; return true;
    case EM_C128: *out = {CUDA_C_64F, CUDA_C_64F, CUBLAS_COMPUTE_64F}; return true;
    default: return false;
    }
}

static void make_handle(em__cuda_blas *blas)
{
    if (!blas->workspace && cudaMalloc(&blas->workspace, WORKSPACE_BYTES) != cudaSuccess) {
        cudaGetLastError();
        blas->workspace = NULL;
        return;
    }
    if (blas->lt.create(&blas->handle) != CUBLAS_STATUS_SUCCESS)
        blas->handle = NULL;
}

/* The library's functions, for all devices; NULL where there is none. */
static functions library;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static bool opens_ahead;

static void open_library(void)
{
    const em__cuda_symbol symbols[] = {
#define X(NAME, member) {"cublasLt" #NAME, (void **)&library.member},
        FUNCTIONS(X)
#undef X
    };
    em__cuda_library("libcublasLt.so.13", symbols, sizeof symbols / sizeof symbols[0]);
}

static void *open_ahead(void *unused)
{
    (void)unused;
    pthread_once(&library_once, open_library);
    return NULL;
}

/* A library is not taken down while it is being opened. */
static void wait_for_library(void)
{
    if (opens_ahead)
        pthread_once(&library_once, open_library);
}

/* exit() first ends what is the thread's, then runs what atexit and constructors left, the newest first: what a library
 * that is half open has left would come before a wait of atexit's, which is for an exit by a thread that started no
 * device. */
struct patience {
    bool asked;

    ~patience()
    {
        if (asked)
            wait_for_library();
    }
};

static thread_local patience before_exit;

extern "C" void em__cuda_blas_ahead(void)
{
    static bool asked;
    before_exit.asked = true;
    if (asked)
        return;
    asked = true;
    opens_ahead = atexit(wait_for_library) == 0 && em__cuda_thread(open_ahead, NULL);
}

static void open_blas(em__cuda_blas *blas)
{
    pthread_once(&library_once, open_library);
    blas->lt = library;
    if (blas->lt.create)
        make_handle(blas);
}

/* The library, opened at first use; NULL where there is none. */
static em__cuda_blas *blas_of(em__cuda *cuda)
{
    if (!cuda->blas && (cuda->blas = new (std::nothrow) em__cuda_blas()))
        open_blas(cuda->blas);
    else if (cuda->blas && cuda->blas->lt.create && !cuda->blas->handle && !cuda->recording)
        make_handle(cuda->blas); /* there was no memory for it: there may be now */
    return cuda->blas && cuda->blas->handle ? cuda->blas : NULL;
}

static void free_plan(const functions *lt, plan *p)
{
    if (p->desc)
        lt->desc_free(p->desc);
    for (cublasLtMatrixLayout_t layout : {p->a, p->b, p->d})
        if (layout)
            lt->layout_free(layout);
}

static bool new_layout(const functions *lt, cublasLtMatrixLayout_t *out, em_dtype dtype, int64_t rows, int64_t columns,
                       int64_t ld, int64_t batch, int64_t step)
{
    types t;
    int32_t count = (int32_t)batch;
    return types_of(dtype, &t) &&
           lt->layout_new(out, t.data, (uint64_t)rows, (uint64_t)columns, ld) == CUBLAS_STATUS_SUCCESS &&
           lt->layout_set(*out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count) == CUBLAS_STATUS_SUCCESS &&
           lt->layout_set(*out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step) ==
               CUBLAS_STATUS_SUCCESS;
}

static bool new_desc(const em__cuda_blas *blas, const em__gemm *g, plan *p)
{
    const functions *lt = &blas->lt;
    const void *bias = blas->workspace; /* the heuristic wants one; each product sets its own */
    types t;
    cublasOperation_t turn_a = g->b.across ? CUBLAS_OP_N : CUBLAS_OP_T;
    cublasOperation_t turn_b = g->a.across ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtEpilogue_t epilogue = g->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    return types_of((em_dtype)g->from, &t) && lt->desc_new(&p->desc, t.compute, t.scale) == CUBLAS_STATUS_SUCCESS &&
           lt->desc_set(p->desc, CUBLASLT_MATMUL_DESC_TRANSA, &turn_a, sizeof turn_a) == CUBLAS_STATUS_SUCCESS &&
           lt->desc_set(p->desc, CUBLASLT_MATMUL_DESC_TRANSB, &turn_b, sizeof turn_b) == CUBLAS_STATUS_SUCCESS &&
           lt->desc_set(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue) == CUBLAS_STATUS_SUCCESS &&
           (!g->bias ||
            lt->desc_set(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias) == CUBLAS_STATUS_SUCCESS);
}

static bool choose(em__cuda_blas *blas, const key *k, plan *p)
{
    const functions *lt = &blas->lt;
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    cublasLtMatmulPreference_t preference;
    if (lt->preference_new(&preference) != CUBLAS_STATUS_SUCCESS)
        return false;
    size_t workspace = WORKSPACE_BYTES;
    uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE; /* of partial sums: in f32, in a fixed order */
    uint32_t aligned = (uint32_t)k->aligned;
    lt->preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
    lt->preference_set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions);
    for (cublasLtMatmulPreferenceAttributes_t attribute : alignments)
        lt->preference_set(preference, attribute, &aligned, sizeof aligned);
    cublasLtMatmulHeuristicResult_t found;
    int n = 0;
    cublasStatus_t status = lt->heuristic(blas->handle, p->desc, p->a, p->b, p->d, p->d, preference, 1, &found, &n);
    lt->preference_free(preference);
    if (status != CUBLAS_STATUS_SUCCESS || n < 1 || found.state != CUBLAS_STATUS_SUCCESS)
        return false;
    p->algorithm = found.algo;
    return true;
}

static plan make_plan(em__cuda_blas *blas, const key *k)
{
    const functions *lt = &blas->lt;
    const em__gemm *g = &k->gemm;
    plan p = {};
    p.usable =
        g->m <= INT32_MAX && g->n <= INT32_MAX && g->k <= INT32_MAX && g->batch <= INT32_MAX && new_desc(blas, g, &p) &&
        new_layout(lt, &p.a, (em_dtype)g->from, g->b.across ? g->n : g->k, g->b.across ? g->k : g->n, g->b.ld, g->batch,
                   g->b.batch_step) &&
        new_layout(lt, &p.b, (em_dtype)g->from, g->a.across ? g->m : g->k, g->a.across ? g->k : g->m, g->a.ld, g->batch,
                   g->a.batch_step) &&
        new_layout(lt, &p.d, (em_dtype)g->to, g->n, g->m, g->ldd, g->batch, g->batch_step_d) && choose(blas, k, &p);
    return p;
}

static plan *plan_of(em__cuda_blas *blas, const key *k)
{
    auto found = blas->plans.find(*k);
    if (found != blas->plans.end())
        return &found->second;
    if (blas->plans.size() >= MOST_PLANS) {
        for (auto &entry : blas->plans)
            free_plan(&blas->lt, &entry.second);
        blas->plans.clear();
    }
    return &blas->plans.emplace(*k, make_plan(blas, k)).first->second;
}

static bool is_empty(const em__gemm *g)
{
    return g->m == 0 || g->n == 0 || g->batch == 0;
}

extern "C" bool em__cuda_gemm_takes(em__cuda *cuda, const em__gemm *gemm)
{
    em__cuda_blas *blas = blas_of(cuda);
    key k = {*gemm, ALIGNED};
    if (!blas || is_empty(gemm))
        return blas != NULL;
    return gemm->k == 0 ? !gemm->add && !gemm->bias : plan_of(blas, &k)->usable;
}

/* Sums of nothing. */
static em_status zero(em__cuda *cuda, const em__gemm *g, void *d)
{
    size_t size = em_dtype_size((em_dtype)g->to);
    for (int64_t i = 0; i < g->batch; i++) {
        char *at = (char *)d + (size_t)(i * g->batch_step_d) * size;
        EM__TRY(em__cuda_check(
            cuda, cudaMemset2DAsync(at, (size_t)g->ldd * size, 0, (size_t)g->n * size, (size_t)g->m, cuda->stream),
            "product"));
    }
    return EM_OK;
}

extern "C" em_status em__cuda_gemm(em__cuda *cuda, const em__gemm *gemm, const void *a, const void *b, const void *bias,
                                   const void *c, void *d)
{
    static const double ones[2] = {1, 0}, zeros[2] = {0, 0};
    static const float one[2] = {1, 0}, none[2] = {0, 0};
    em__cuda_blas *blas = blas_of(cuda);
    types t;
    if (is_empty(gemm))
        return EM_OK;
    if (gemm->k == 0)
        return zero(cuda, gemm, d);
    EM__FAIL_IF(
        !blas || !types_of((em_dtype)gemm->from, &t), EM_ERROR_INTERNAL,
        "%s: there is no cuBLASLt for a product of [%lld, %lld, %lld] whose operands begin at no multiple of 16 "
        "bytes; install libcublasLt.so.13, or copy them",
        cuda->name, (long long)gemm->m, (long long)gemm->n, (long long)gemm->k);
    bool aligned = (((uintptr_t)a | (uintptr_t)b | (uintptr_t)bias | (uintptr_t)c | (uintptr_t)d) & (ALIGNED - 1)) == 0;
    size_t size_a = em_dtype_size((em_dtype)gemm->from), size_d = em_dtype_size((em_dtype)gemm->to);
    key k = {*gemm, aligned ? ALIGNED : (int64_t)(size_a < size_d ? size_a : size_d)};
    plan *p = plan_of(blas, &k);
    EM__FAIL_IF(!p->usable, EM_ERROR_INTERNAL, "%s: cuBLASLt has no algorithm for a product of [%lld, %lld, %lld] %s",
                cuda->name, (long long)gemm->m, (long long)gemm->n, (long long)gemm->k,
                em_dtype_name((em_dtype)gemm->from));
    if (gemm->bias)
        blas->lt.desc_set(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    bool wide = t.compute == CUBLAS_COMPUTE_64F;
    const void *alpha = wide ? (const void *)ones : one;
    const void *beta = gemm->add ? alpha : wide ? (const void *)zeros : none;
    cublasStatus_t status =
        blas->lt.matmul(blas->handle, p->desc, alpha, b, p->a, a, p->b, beta, gemm->add ? c : d, p->d, d, p->d,
                        &p->algorithm, blas->workspace, WORKSPACE_BYTES, cuda->stream);
    EM__FAIL_IF(status != CUBLAS_STATUS_SUCCESS, EM_ERROR_INTERNAL,
                "%s: cuBLASLt gave status %d for a product of "
                "[%lld, %lld, %lld] %s",
                cuda->name, (int)status, (long long)gemm->m, (long long)gemm->n, (long long)gemm->k,
                em_dtype_name((em_dtype)gemm->from));
    return em__cuda_check(cuda, cudaGetLastError(), "product");
}
