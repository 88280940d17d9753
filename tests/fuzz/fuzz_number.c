/* Any text as a number: what parses must print and read back the same; nothing else may happen. */
#include "fuzz/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/number.h"

static void require(int condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256], printed[EM__NUMBER_SIZE];
    size_t length = size < sizeof text ? size : sizeof text - 1;
    memcpy(text, data, length);
    text[length] = '\0';
    long long integer;
    double real, back;
    if (em__parse_i64(text, &integer))
        require(em__parse_f64(text, &real));
    if (em__parse_f64(text, &real)) {
        require(isfinite(real));
        require(em__print_f64(printed, real) < EM__NUMBER_SIZE);
        require(em__parse_f64(printed, &back) && back == real);
        require(em__print_f32(printed, (float)real) < EM__NUMBER_SIZE);
        require(isinf((float)real) || (em__parse_f64(printed, &back) && (float)back == (float)real));
    }
    return 0;
}
