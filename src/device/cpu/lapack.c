/* Opening LAPACK, once a process, and its routines in four precisions. */
#include "device/cpu/lapack.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/library.h"
#include "ops/linalg.h"

static em__lapack lapack;
static bool opened;

/* OpenBLAS would start threads of its own beside the pool's, and round by how many there are. Built without threads, it
 * has no locks either: Debian's libopenblas0-serial mixes up the buffers of concurrent calls. */
static void tame_openblas(void *library)
{
    void (*set_threads)(int count);
    int (*kind_of_threads)(void);
    if (em__library_find(library, "openblas_set_num_threads", &set_threads))
        set_threads(1);
    if (em__library_find(library, "openblas_get_parallel", &kind_of_threads))
        lapack.one_at_a_time = kind_of_threads() == 0;
}

static void open_library(void)
{
    static const char *const names[] = {"liblapacke.so.3", "liblapacke.so", "liblapacke.dylib"};
    const char *named = getenv("EMILY_LAPACK");
    void *library = named && *named ? dlopen(named, RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !library && !(named && *named); i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    bool all = true;
#define FIND(name) all = em__library_find(library, "LAPACKE_" #name "_work", &lapack.name) && all;
    EM__LAPACK_FUNCTIONS(FIND)
#undef FIND
    tame_openblas(library);
    opened = all;
}

em_status em__lapack_get(const em__lapack **out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_library);
    EM__FAIL_IF(!opened, EM_ERROR_UNSUPPORTED,
                "LAPACK cannot be opened (liblapacke.so.3, or what EMILY_LAPACK names); install it: apt-get install "
                "liblapacke libopenblas0-pthread");
    *out = &lapack;
    return EM_OK;
}

/* Workspace sizes come back as numbers of the matrix's dtype: an f32 may have lost its last bits. False: no lapack_int
 * holds it. */
static bool work_length(double asked, lapack_int *length)
{
    asked = ceil(asked * (1 + 0x1p-22));
    if (!(asked >= 0 && asked < 2147483647.0))
        return false;
    *length = asked < 1 ? 1 : (lapack_int)asked;
    return true;
}

/* The rows of a, swapped as getrf says, are those of l u: the permutation that undoes it, as a list. */
static void permutation_of(const lapack_int *pivots, int64_t n_pivots, int64_t *rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        rows[i] = i;
    for (int64_t i = 0; i < n_pivots; i++) {
        int64_t other = pivots[i] - 1, row = rows[i];
        rows[i] = rows[other];
        rows[other] = row;
    }
}

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

#define T float
#define R float
#define PREFIX s
#define ORTHOGONAL lapack.sorgqr
#define SYMMETRIC lapack.ssyevd
#define COMPLEX 0
#include "device/cpu/lapack_tmpl.c"

#define T double
#define R double
#define PREFIX d
#define ORTHOGONAL lapack.dorgqr
#define SYMMETRIC lapack.dsyevd
#define COMPLEX 0
#include "device/cpu/lapack_tmpl.c"

#define T lapack_complex_float
#define R float
#define PREFIX c
#define ORTHOGONAL lapack.cungqr
#define SYMMETRIC lapack.cheevd
#define COMPLEX 1
#include "device/cpu/lapack_tmpl.c"

#define T lapack_complex_double
#define R double
#define PREFIX z
#define ORTHOGONAL lapack.zungqr
#define SYMMETRIC lapack.zheevd
#define COMPLEX 1
#include "device/cpu/lapack_tmpl.c"

em__linalg_fn em__lapack_routine(em__op op, em_dtype dtype)
{
    int i = dtype == EM_F32 ? 0 : dtype == EM_F64 ? 1 : dtype == EM_C64 ? 2 : 3;
#define ROW(name) (const em__linalg_fn[]){s##name, d##name, c##name, z##name}[i]
    switch (op) {
    case EM__OP_LU: return ROW(lu);
    case EM__OP_QR: return ROW(qr);
    case EM__OP_CHOLESKY: return ROW(cholesky);
    case EM__OP_EIGH: return ROW(eigh);
    case EM__OP_SVD: return ROW(svd);
    case EM__OP_SOLVE: return ROW(solve);
    case EM__OP_TRIANGULAR_SOLVE: return ROW(triangular);
    case EM__OP_DETERMINANT: return ROW(determinant);
    default: return NULL;
    }
#undef ROW
}
