/*
 * What libm lacks: the inverse of erf, log(exp + exp), and copies that go past the caches.
 */
#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "device/cpu/elementwise.h"

#if defined(__SSE2__)
void em__stream_copy(void *out, const void *in, size_t bytes)
{
    uint8_t *to = out;
    const uint8_t *from = in;
    size_t head = (size_t)(-(uintptr_t)to & 63);
    head = head < bytes ? head : bytes;
    memcpy(to, from, head);
    size_t lines = (bytes - head) / 64;
    to += head;
    from += head;
    for (size_t i = 0; i < lines; i++, to += 64, from += 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)from), b = _mm_loadu_si128((const __m128i *)(from + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(from + 32)), d = _mm_loadu_si128((const __m128i *)(from + 48));
        _mm_stream_si128((__m128i *)to, a);
        _mm_stream_si128((__m128i *)(to + 16), b);
        _mm_stream_si128((__m128i *)(to + 32), c);
        _mm_stream_si128((__m128i *)(to + 48), d);
    }
    memcpy(to, from, bytes - head - lines * 64);
}

void em__stream_end(void)
{
    _mm_sfence();
}
#else
void em__stream_copy(void *out, const void *in, size_t bytes)
{
    memcpy(out, in, bytes);
}

void em__stream_end(void)
{
}
#endif

/* A start good to a part in 400 (Winitzki's formula), then Halley's iteration, which triples the digits. Near +-1 the
 * residual is taken from erfc, where it keeps its digits. */
double em__erf_inv(double y)
{
    const double a = 0.147, pi = 3.14159265358979323846, two_by_root_pi = 1.12837916709551257390;
    double rest = 1.0 - fabs(y);
    if (!(rest > 0.0))
        return rest == 0.0 ? copysign((double)INFINITY, y) : (double)NAN;
    if (fabs(y) < 1e-8)
        return y / two_by_root_pi;
    double l = log1p(-y * y), half = 2.0 / (pi * a) + 0.5 * l;
    double x = sqrt(sqrt(half * half - l / a) - half);
    for (int i = 0; i < 3; i++) {
        double residual = rest < 0.5 ? rest - erfc(x) : erf(x) - fabs(y);
        double step = residual / (two_by_root_pi * exp(-x * x));
        x -= step / (1.0 + x * step);
    }
    return copysign(x, y);
}

/* The larger plus what the smaller adds; equal infinities are not subtracted. */
double em__logaddexp(double a, double b)
{
    double top = a > b ? a : b;
    if (a == b)
        return a + 0.69314718055994530942;
    return a - b != a - b ? a - b : top + log1p(exp(-fabs(a - b)));
}

float em__logaddexp_f32(float a, float b)
{
    return (float)em__logaddexp((double)a, (double)b);
}
