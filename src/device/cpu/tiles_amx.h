/* What products on AMX units share: tiles by their use, and the units' configuration, which a thread has while it
 * multiplies: here one in which all tiles are 16 rows of 64 bytes. */
#ifndef EM_DEVICE_CPU_TILES_AMX_H
#define EM_DEVICE_CPU_TILES_AMX_H

#include <stdint.h>

/* Sums c[row block][column block], a[row block], b[column block]. */
#define C00 0
#define C01 1
#define C10 2
#define C11 3
#define A0 4
#define A1 5
#define B0 6
#define B1 7

/* What the units are configured by. */
typedef struct em__tiles_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16]; /* of a row */
    uint8_t rows[16];
} em__tiles_config;

/* What lies at an address is read or written here: the compiler does not know that of stores and loads of tiles. */
#define EM__TILES_IN_MEMORY(at) __asm__ volatile("" : : "r"(at) : "memory")

void em__tiles_begin_amx(void);
void em__tiles_end_amx(void);

#endif
