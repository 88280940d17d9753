/*
 * What this processor and this operating system can run. By feature bit, never by model number; AVX and AVX-512 only
 * when the OS saves their registers (XCR0), AMX only after the kernel granted the tiles (arch_prctl).
 */
#ifndef EM_CORE_CPU_H
#define EM_CORE_CPU_H

#include <stdbool.h>
#include <stddef.h>

#include <emily/status.h>

/* Levels of the kernel cascade, ascending; each contains the ones before it. */
typedef enum em__cpu_level {
    EM__CPU_PORTABLE,
    EM__CPU_AVX2,   /* AVX2, FMA, F16C */
    EM__CPU_AVX512, /* F, BW, DQ, VL, CD */
    EM__CPU_AMX,    /* AMX-TILE, AMX-BF16, AVX512-BF16 */
    EM__CPU_LEVEL_COUNT
} em__cpu_level;

typedef struct em__cpu_info {
    em__cpu_level level;    /* the best this machine runs, after EMILY_CPU (portable|avx2|avx512|amx) masked it */
    em__cpu_level hardware; /* the same without the mask */
    bool avx512_vnni, avx512_bf16, amx_int8; /* false when the mask leaves out the level they extend */
    size_t l1d, l2, l3;                      /* bytes; sane defaults when the machine does not say */
} em__cpu_info;

/* Detected once, then constant. Any thread. */
const em__cpu_info *em__cpu_get(void);

/* EM_ERROR_INVALID_ARGUMENT when EMILY_CPU names no level: it masks nothing then, and who asked for it is told. Where a
 * device is looked for, so that nothing computes at another level than was meant. Any thread. */
em_status em__cpu_check(void);

const char *em__cpu_level_name(em__cpu_level level); /* "avx512" */

/* "AVX-512 (VNNI, BF16)" into `text`; for people. */
void em__cpu_describe(char *text, size_t size);

#endif
