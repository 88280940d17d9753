/* CPU and OS features. Built without instruction-set flags: this file runs before anyone knows what may run. */
#include "core/cpu.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

#include "core/error.h"
#include "core/log.h"

static em__cpu_info info;
static bool known = true; /* EMILY_CPU is a level, or not set */
static char unknown[32];  /* what it is otherwise */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *const level_names[EM__CPU_LEVEL_COUNT] = {"portable", "avx2", "avx512", "amx"};

#if defined(__x86_64__)
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18
#define XCR0_AVX 0x6u
#define XCR0_AVX512 0xe6u
#define XCR0_AMX 0x60000u

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool has(uint32_t reg, int bit)
{
    return reg >> bit & 1;
}

/* The kernel gives a process AMX tile registers on request only; threads inherit the permission. */
static bool request_amx(void)
{
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static em__cpu_level detect_level(em__cpu_info *out)
{
    uint32_t a, b, c, d, a7, b7, c7, d7;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, 27) /* OSXSAVE */)
        return EM__CPU_PORTABLE;
    uint64_t xcr0 = read_xcr0();
    if (!__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7))
        return EM__CPU_PORTABLE;
    bool avx2 = has(c, 28) && has(c, 12) && has(c, 29) && has(b7, 5) && (xcr0 & XCR0_AVX) == XCR0_AVX;
    if (!avx2)
        return EM__CPU_PORTABLE;
    bool avx512 =
        has(b7, 16) && has(b7, 17) && has(b7, 28) && has(b7, 30) && has(b7, 31) && (xcr0 & XCR0_AVX512) == XCR0_AVX512;
    if (!avx512)
        return EM__CPU_AVX2;
    uint32_t a71 = 0, b71, c71, d71;
    if (a7 >= 1)
        __get_cpuid_count(7, 1, &a71, &b71, &c71, &d71);
    out->avx512_vnni = has(c7, 11);
    out->avx512_bf16 = has(a71, 5);
    bool amx = has(d7, 24) && has(d7, 22) && out->avx512_bf16 && (xcr0 & XCR0_AMX) == XCR0_AMX;
    if (!amx || !request_amx())
        return EM__CPU_AVX512;
    out->amx_int8 = has(d7, 25);
    return EM__CPU_AMX;
}
#else
static em__cpu_level detect_level(em__cpu_info *out)
{
    (void)out;
    return EM__CPU_PORTABLE;
}
#endif

static void detect_caches(em__cpu_info *out)
{
    out->l1d = 32u << 10;
    out->l2 = 1u << 20;
    out->l3 = 16u << 20;
#ifdef _SC_LEVEL1_DCACHE_SIZE
    long l1d = sysconf(_SC_LEVEL1_DCACHE_SIZE), l2 = sysconf(_SC_LEVEL2_CACHE_SIZE),
         l3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
    out->l1d = l1d > 0 ? (size_t)l1d : out->l1d;
    out->l2 = l2 > 0 ? (size_t)l2 : out->l2;
    out->l3 = l3 > 0 ? (size_t)l3 : out->l3;
#endif
}

/* EMILY_CPU lowers the level; what belongs to the levels above goes with it. */
static void apply_mask(em__cpu_info *out, const char *mask)
{
    if (!mask || !*mask)
        return;
    int wanted = 0;
    while (wanted < EM__CPU_LEVEL_COUNT && strcmp(mask, level_names[wanted]) != 0)
        wanted++;
    known = wanted < EM__CPU_LEVEL_COUNT;
    if (!known)
        snprintf(unknown, sizeof unknown, "%s", mask);
    else if (wanted > (int)out->level)
        em__log(EM_LOG_WARN, "EMILY_CPU=%s is more than this machine has; %s it is", mask, level_names[out->level]);
    else
        out->level = (em__cpu_level)wanted;
    out->avx512_vnni = out->avx512_vnni && out->level >= EM__CPU_AVX512;
    out->avx512_bf16 = out->avx512_bf16 && out->level >= EM__CPU_AVX512;
    out->amx_int8 = out->amx_int8 && out->level >= EM__CPU_AMX;
}

static void detect(void)
{
    info.hardware = info.level = detect_level(&info);
    detect_caches(&info);
    apply_mask(&info, getenv("EMILY_CPU"));
}

const em__cpu_info *em__cpu_get(void)
{
    pthread_once(&once, detect);
    return &info;
}

em_status em__cpu_check(void)
{
    em__cpu_get();
    EM__FAIL_IF(!known, EM_ERROR_INVALID_ARGUMENT,
                "EMILY_CPU=%s names no level of instructions; choose one of portable, avx2, avx512, amx", unknown);
    return EM_OK;
}

const char *em__cpu_level_name(em__cpu_level level)
{
    return (unsigned)level < EM__CPU_LEVEL_COUNT ? level_names[level] : "?";
}

void em__cpu_describe(char *text, size_t size)
{
    static const char *const names[EM__CPU_LEVEL_COUNT] = {"portable C", "AVX2", "AVX-512", "AMX, AVX-512"};
    const em__cpu_info *cpu = em__cpu_get();
    bool vnni = cpu->avx512_vnni, bf16 = cpu->avx512_bf16;
    const char *extra = vnni && bf16 ? " (VNNI, BF16)" : vnni ? " (VNNI)" : bf16 ? " (BF16)" : "";
    snprintf(text, size, "%s%s", names[cpu->level], extra);
}
