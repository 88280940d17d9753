/* Recorded cases of order and of Fourier transforms. */
#include <emily/fourier.h>
#include <emily/order.h>

#include "harness/apply.h"

static int axis_of(const book_case *c)
{
    return (int)book_number(c, "axis", 0);
}

static em_array *apply_sort(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_sort(s, in[0], axis_of(c), book_number(c, "descending", 0) != 0);
}

static em_array *apply_argsort(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_argsort(s, in[0], axis_of(c), book_number(c, "descending", 0) != 0);
}

static em_array *apply_top_k(em_scope *s, const book_case *c, em_array *const *in)
{
    em_array *parts[2];
    em_top_k(s, in[0], (int64_t)book_number(c, "k", 1), axis_of(c), &parts[0], &parts[1]);
    return parts[book_number(c, "output", 0) != 0];
}

static em_array *apply_fft(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_fft(s, in[0], (int64_t)book_number(c, "n", 0), axis_of(c));
}

static em_array *apply_ifft(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_ifft(s, in[0], (int64_t)book_number(c, "n", 0), axis_of(c));
}

static em_array *apply_rfft(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_rfft(s, in[0], (int64_t)book_number(c, "n", 0), axis_of(c));
}

static em_array *apply_irfft(em_scope *s, const book_case *c, em_array *const *in)
{
    return em_irfft(s, in[0], (int64_t)book_number(c, "n", 0), axis_of(c));
}

static em_array *apply_fft2(em_scope *s, const book_case *c, em_array *const *in)
{
    int64_t n[EM_MAX_RANK] = {0};
    em_axes axes = apply_axes(c, "axes");
    book_list(c, "lengths", n);
    return em_fft2(s, in[0], n, axes.axes);
}

static em_array *apply_ifft2(em_scope *s, const book_case *c, em_array *const *in)
{
    int64_t n[EM_MAX_RANK] = {0};
    em_axes axes = apply_axes(c, "axes");
    book_list(c, "lengths", n);
    return em_ifft2(s, in[0], n, axes.axes);
}

const apply_row apply_order[] = {
    {"sort", apply_sort},   {"argsort", apply_argsort},
    {"top_k", apply_top_k}, {"fft", apply_fft},
    {"ifft", apply_ifft},   {"fft2", apply_fft2},
    {"ifft2", apply_ifft2}, {"rfft", apply_rfft},
    {"irfft", apply_irfft}, {0},
};
