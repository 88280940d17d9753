/* em__first_no_number: the first element whose bits are NaN or infinity, in each dtype that has such. */
#include <math.h>
#include <string.h>

#include "harness/expect.h"

#include "core/float16.h"
#include "models/model.h"

enum { COUNT = 9 };

/* Wherever `bits` stands among zeros it is found, if it is `none`. */
static void expect_found(em_dtype dtype, uint64_t bits, bool none)
{
    const size_t size = em_dtype_size(dtype);
    for (size_t at = 0; at < COUNT; at++) {
        unsigned char data[COUNT * 8] = {0};
        memcpy(data + at * size, &bits, size); /* little-endian, as files are */
        assert_int_equal(em__first_no_number(dtype, data, COUNT * size), none ? (int64_t)at : -1);
        assert_int_equal(em__first_no_number(dtype, data, at * size), -1);
    }
}

static void widths(void **state)
{
    (void)state;
    static const struct {
        em_dtype dtype;
        uint64_t largest, infinity, nan, negative;
    } rows[] = {{EM_F16, 0x7bff, 0x7c00, 0x7e00, 0xfe00},
                {EM_BF16, 0x7f7f, 0x7f80, 0x7fc0, 0xff80},
                {EM_F32, 0x7f7fffff, 0x7f800000, 0x7fc00000, 0xff800000},
                {EM_F64, 0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff8000000000000, 0xfff0000000000001}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect_found(rows[i].dtype, rows[i].largest, false);
        expect_found(rows[i].dtype, rows[i].infinity, true);
        expect_found(rows[i].dtype, rows[i].nan, true);
        expect_found(rows[i].dtype, rows[i].negative, true);
    }
}

/* Every byte is as its conversion says. */
static void bytes(void **state)
{
    (void)state;
    for (int b = 0; b < 256; b++) {
        expect_found(EM_F8_E4M3FN, (uint64_t)b, !isfinite(em__f8_e4m3fn_to_f32((uint8_t)b)));
        expect_found(EM_F8_E5M2, (uint64_t)b, !isfinite(em__f8_e5m2_to_f32((uint8_t)b)));
    }
}

static void others(void **state)
{
    (void)state;
    expect_found(EM_U8, 0xff, false);
    expect_found(EM_S32, 0xffffffff, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(widths), cmocka_unit_test(bytes), cmocka_unit_test(others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
