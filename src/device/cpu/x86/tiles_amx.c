/* The configuration of AMX units. */
#include "device/cpu/tiles_amx.h"

#include <immintrin.h>

/* A constant: the compiler does not know that the instruction reads more of it than its first word. */
static const em__tiles_config config = {
    .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

void em__tiles_begin_amx(void)
{
    _tile_loadconfig(&config);
}

void em__tiles_end_amx(void)
{
    _tile_release();
}
