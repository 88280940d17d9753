/* What products on AMX units share: tiles by their use, and the units' configuration, which a thread has while it
 * multiplies. All tiles are 16 rows of 64 bytes. */
#ifndef EM_DEVICE_CPU_TILES_AMX_H
#define EM_DEVICE_CPU_TILES_AMX_H

/* Sums c[row block][column block], a[row block], b[column block]. */
#define C00 0
#define C01 1
#define C10 2
#define C11 3
#define A0 4
#define A1 5
#define B0 6
#define B1 7

void em__tiles_begin_amx(void);
void em__tiles_end_amx(void);

#endif
