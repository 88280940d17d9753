/* The configuration of AMX units. */
#include "device/cpu/tiles_amx.h"

#include <immintrin.h>
#include <stdint.h>

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_config;

/* A constant: the compiler does not know that the instruction reads more of it than its first word. */
static const tile_config config = {
    .palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

void em__tiles_begin_amx(void)
{
    _tile_loadconfig(&config);
}

void em__tiles_end_amx(void)
{
    _tile_release();
}
