/*
 * Discrete Fourier transforms along an axis of any length: X[k] = sum over j of x[j] exp(-2 pi i j k / n), not scaled;
 * the inverse has the other sign and is divided by n. A length n >= 1 cuts the axis or fills it with zeros first; 0
 * means the axis's own. f64 and c128 are computed in double, everything else in f32 (integers and half types are cast).
 * Scopes, ownership and statuses are as in ops.h.
 */
#ifndef EMILY_FOURIER_H
#define EMILY_FOURIER_H

#include <emily/array.h>

#ifdef __cplusplus
extern "C" {
#endif

/* c64, c128 for f64 and c128; a's shape with `axis` of size n. */
EM_API em_array *em_fft(em_scope *scope, em_array *a, int64_t n, int axis);
EM_API em_array *em_ifft(em_scope *scope, em_array *a, int64_t n, int axis);

/* The same over two axes; `n` and `axes` hold one entry each. */
EM_API em_array *em_fft2(em_scope *scope, em_array *a, const int64_t n[2], const int axes[2]);
EM_API em_array *em_ifft2(em_scope *scope, em_array *a, const int64_t n[2], const int axes[2]);

/* The first n / 2 + 1 values of a real operand's transform; the others are their conjugates. */
EM_API em_array *em_rfft(em_scope *scope, em_array *a, int64_t n, int axis);

/* The n real values whose transform begins with the n / 2 + 1 given ones (more are cut, missing ones are 0); n 0 means
 * 2 (size - 1). The imaginary parts of X[0], and of X[n / 2] when n is even, are passed over. f32, or f64. */
EM_API em_array *em_irfft(em_scope *scope, em_array *a, int64_t n, int axis);

#ifdef __cplusplus
}
#endif
#endif
