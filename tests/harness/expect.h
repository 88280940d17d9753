/*
 * Expectations of tests, beside cmocka's own: on failure they say where the first difference is and how bad it gets.
 * The upper-case forms pass the caller's file and line.
 */
#ifndef EM_TESTS_EXPECT_H
#define EM_TESTS_EXPECT_H

/* cmocka wants these four first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <emily/dtype.h>
#include <emily/status.h>

/* `call` returns EM_OK; the failure shows em_last_error(). */
#define EXPECT_OK(call) expect_ok(call, #call, __FILE__, __LINE__)

/* `call` returns exactly `status`, and em_last_error() contains `words` ("" takes any text but an empty one). */
#define EXPECT_ERROR(call, status, words) expect_error(call, status, words, #call, __FILE__, __LINE__)

/* |got - want| <= atol + rtol * |want| for each of n elements; NaN equals NaN, an infinity only itself. */
#define EXPECT_CLOSE_F32(got, want, n, atol, rtol) expect_close(EM_F32, got, want, n, atol, rtol, __FILE__, __LINE__)
#define EXPECT_CLOSE_F64(got, want, n, atol, rtol) expect_close(EM_F64, got, want, n, atol, rtol, __FILE__, __LINE__)
#define EXPECT_CLOSE(dtype, got, want, n, atol, rtol) expect_close(dtype, got, want, n, atol, rtol, __FILE__, __LINE__)

/* The same n elements of `dtype`, bit for bit. */
#define EXPECT_SAME_BITS(dtype, got, want, n) expect_same_bits(dtype, got, want, n, __FILE__, __LINE__)

void expect_ok(em_status status, const char *call, const char *file, int line);
void expect_error(em_status status, em_status wanted, const char *words, const char *call, const char *file, int line);
void expect_close(em_dtype dtype, const void *got, const void *want, size_t n, double atol, double rtol,
                  const char *file, int line);
void expect_same_bits(em_dtype dtype, const void *got, const void *want, size_t n, const char *file, int line);

/* Element i of an array of `dtype` as a double (the real part of a complex one). */
double expect_element(em_dtype dtype, const void *data, size_t i);

/* Whether the default device has memory of its own, as a GPU has, whose kernels follow sizes and layouts. */
bool default_has_own_memory(void);

#endif
