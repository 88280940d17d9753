/* Expectations: compare, then one report with the first and the worst difference. */
#include "harness/expect.h"

#include <emily/device.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/float16.h"

#define REPORT_SIZE 512

static void fail_at(const char *file, int line, const char *report)
{
    print_error("%s\n", report);
    _fail(file, line);
}

void expect_ok(em_status status, const char *call, const char *file, int line)
{
    if (status == EM_OK)
        return;
    char report[REPORT_SIZE];
    snprintf(report, sizeof report, "%s: %s: %.300s", call, em_status_name(status), em_last_error());
    fail_at(file, line, report);
}

void expect_error(em_status status, em_status wanted, const char *words, const char *call, const char *file, int line)
{
    const char *text = em_last_error();
    char report[REPORT_SIZE];
    if (status != wanted)
        snprintf(report, sizeof report, "%s: %s, expected %s (\"%.300s\")", call, em_status_name(status),
                 em_status_name(wanted), text);
    else if (!*text || !strstr(text, words))
        snprintf(report, sizeof report, "%s: the error says \"%.200s\", not \"%.100s\"", call, text, words);
    else
        return;
    fail_at(file, line, report);
}

double expect_element(em_dtype dtype, const void *data, size_t i)
{
    size_t bits = em_dtype_bits(dtype);
    const unsigned char *at = (const unsigned char *)data + i * bits / 8;
    union {
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        int8_t s8;
        int16_t s16;
        int32_t s32;
        int64_t s64;
        float f32;
        double f64;
    } v;
    memset(&v, 0, sizeof v);
    memcpy(&v, at, em_dtype_size(dtype) < sizeof v ? em_dtype_size(dtype) : sizeof v);
    switch (dtype) {
    case EM_PRED:
    case EM_U8: return v.u8;
    case EM_U16: return v.u16;
    case EM_U32: return v.u32;
    case EM_U64: return (double)v.u64;
    case EM_U2:
    case EM_U4: return v.u8 >> i * bits % 8 & ((1 << bits) - 1);
    case EM_S2: return (int8_t)(v.u8 << (6 - i * bits % 8)) >> 6;
    case EM_S4: return (int8_t)(v.u8 << (4 - i * bits % 8)) >> 4;
    case EM_S8: return v.s8;
    case EM_S16: return v.s16;
    case EM_S32: return v.s32;
    case EM_S64: return (double)v.s64;
    case EM_F8_E4M3FN: return (double)em__f8_e4m3fn_to_f32(v.u8);
    case EM_F8_E5M2: return (double)em__f8_e5m2_to_f32(v.u8);
    case EM_F16: return (double)em__f16_to_f32(v.u16);
    case EM_BF16: return (double)em__bf16_to_f32(v.u16);
    case EM_F32:
    case EM_C64: return (double)v.f32;
    case EM_F64:
    case EM_C128: return v.f64;
    case EM_DTYPE_COUNT: break;
    }
    return NAN;
}

static bool close_enough(double got, double want, double atol, double rtol)
{
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got);
    if (isinf(want) || isinf(got))
        return got == want;
    return fabs(got - want) <= atol + rtol * fabs(want);
}

void expect_close(em_dtype dtype, const void *got, const void *want, size_t n, double atol, double rtol,
                  const char *file, int line)
{
    size_t first = 0, wrong = 0, worst = 0;
    double worst_error = -1;
    for (size_t i = 0; i < n; i++) {
        double g = expect_element(dtype, got, i), w = expect_element(dtype, want, i);
        if (close_enough(g, w, atol, rtol))
            continue;
        double error = fabs(g - w);
        first = wrong++ ? first : i;
        if (!(error <= worst_error)) {
            worst = i;
            worst_error = error;
        }
    }
    if (!wrong)
        return;
    char report[REPORT_SIZE];
    snprintf(report, sizeof report,
             "%zu of %zu %s elements differ (atol %g, rtol %g)\n  first [%zu]: got %.9g, want %.9g\n"
             "  worst [%zu]: got %.9g, want %.9g, error %.3g",
             wrong, n, em_dtype_name(dtype), atol, rtol, first, expect_element(dtype, got, first),
             expect_element(dtype, want, first), worst, expect_element(dtype, got, worst),
             expect_element(dtype, want, worst), worst_error);
    fail_at(file, line, report);
}

void expect_same_bits(em_dtype dtype, const void *got, const void *want, size_t n, const char *file, int line)
{
    size_t size = em_dtype_size(dtype), first = n, wrong = 0;
    for (size_t i = 0; i < n; i++) {
        bool same = em_dtype_bits(dtype) < 8
                        ? expect_element(dtype, got, i) == expect_element(dtype, want, i)
                        : memcmp((const char *)got + i * size, (const char *)want + i * size, size) == 0;
        if (same)
            continue;
        first = wrong++ ? first : i;
    }
    if (!wrong)
        return;
    char report[REPORT_SIZE];
    snprintf(report, sizeof report, "%zu of %zu %s elements differ in bits; first [%zu]: got %.17g, want %.17g", wrong,
             n, em_dtype_name(dtype), first, expect_element(dtype, got, first), expect_element(dtype, want, first));
    fail_at(file, line, report);
}

bool default_has_own_memory(void)
{
    return em_device_has_memory(em_device_default());
}
