/*
 * LAPACK, opened when the first matrix is decomposed: linking it would cost every start its libraries (libgfortran is
 * one), and programs that decompose nothing need not have it. Only LAPACKE's _work functions in column-major order are
 * called: they pass straight to LAPACK, allocate nothing, print nothing, and are safe on any thread.
 */
#ifndef EM_DEVICE_CPU_LAPACK_H
#define EM_DEVICE_CPU_LAPACK_H

#include <lapacke.h>

#include "device/linalg.h"

/* Each is a member of em__lapack, named without "LAPACKE_" and "_work". */
/* clang-format off */
#define EM__LAPACK_FUNCTIONS(X) \
    X(sgetrf) X(dgetrf) X(cgetrf) X(zgetrf) \
    X(sgetrs) X(dgetrs) X(cgetrs) X(zgetrs) \
    X(spotrf) X(dpotrf) X(cpotrf) X(zpotrf) \
    X(strtrs) X(dtrtrs) X(ctrtrs) X(ztrtrs) \
    X(sgeqrf) X(dgeqrf) X(cgeqrf) X(zgeqrf) \
    X(sorgqr) X(dorgqr) X(cungqr) X(zungqr) \
    X(ssyevd) X(dsyevd) X(cheevd) X(zheevd) \
    X(sgesdd) X(dgesdd) X(cgesdd) X(zgesdd)
/* clang-format on */

typedef struct em__lapack {
#define MEMBER(name) __typeof__(&LAPACKE_##name##_work) name;
    EM__LAPACK_FUNCTIONS(MEMBER)
#undef MEMBER
    bool one_at_a_time; /* this library must not be called from two threads at once */
} em__lapack;

/* The process's LAPACK; stays open. EM_ERROR_UNSUPPORTED, naming the package, when there is none. Any thread. */
em_status em__lapack_get(const em__lapack **lapack);

/* The routine of an op (device/linalg.h) in f32, f64, c64 or c128. em__lapack_get must have succeeded. */
em__linalg_fn em__lapack_routine(em__op op, em_dtype dtype);

#endif
