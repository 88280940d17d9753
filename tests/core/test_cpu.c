/*
 * CPU features. Detection happens once a process, so each mask is looked at from a child process: this program starts
 * itself with EMILY_CPU set and reads what the child prints.
 */
#include "harness/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cpu.h"

static void print_self(void)
{
    const em__cpu_info *cpu = em__cpu_get();
    printf("%s %s %d%d%d %d\n", em__cpu_level_name(cpu->level), em__cpu_level_name(cpu->hardware), cpu->avx512_vnni,
           cpu->avx512_bf16, cpu->amx_int8, em__cpu_check() == EM_OK);
}

static bool ask_child(const char *mask, char *level, char *hardware, char *flags)
{
    char self[1024], command[2048], line[256];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        skip();
    self[n] = '\0';
    snprintf(command, sizeof command, "EMILY_CPU='%s' '%s' child", mask, self);
    FILE *child = popen(command, "r");
    assert_non_null(child);
    assert_non_null(fgets(line, sizeof line, child));
    pclose(child);
    int known = -1;
    assert_int_equal(sscanf(line, "%31s %31s %31s %d", level, hardware, flags, &known), 4);
    return known == 1;
}

static int level_of(const char *name)
{
    int level = 0;
    while (level < EM__CPU_LEVEL_COUNT && strcmp(name, em__cpu_level_name((em__cpu_level)level)) != 0)
        level++;
    return level;
}

static void masks_lower_the_level(void **state)
{
    (void)state;
    char level[32], hardware[32], flags[32];
    for (int i = 0; i < EM__CPU_LEVEL_COUNT; i++) {
        assert_true(ask_child(em__cpu_level_name((em__cpu_level)i), level, hardware, flags));
        int best = level_of(hardware);
        assert_in_range(best, 0, EM__CPU_LEVEL_COUNT - 1);
        assert_int_equal(level_of(level), i < best ? i : best);
        if (i < EM__CPU_AVX512)
            assert_string_equal(flags, "000");
        if (i < EM__CPU_AMX)
            assert_int_equal(flags[2], '0');
    }
}

static void other_masks_change_nothing(void **state)
{
    (void)state;
    const char *const masks[] = {"", "avx3", "AVX2"};
    char level[32], hardware[32], flags[32];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_child(masks[i], level, hardware, flags), i == 0); /* a word that is none is an error */
        assert_string_equal(level, hardware);
    }
}

/* The compiler's own detection, which asks CPUID and XCR0 too. AMX has none that is as old. */
static void agrees_with_the_compiler(void **state)
{
    (void)state;
#if defined(__x86_64__)
    const em__cpu_info *cpu = em__cpu_get();
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512cd");
    assert_int_equal(cpu->hardware >= EM__CPU_AVX2, avx2);
    assert_int_equal(cpu->hardware >= EM__CPU_AVX512, avx512);
    if (cpu->level >= EM__CPU_AVX512)
        assert_int_equal(cpu->avx512_vnni, __builtin_cpu_supports("avx512vnni") != 0);
#else
    assert_int_equal(em__cpu_get()->hardware, EM__CPU_PORTABLE);
#endif
}

static void caches_and_text(void **state)
{
    (void)state;
    const em__cpu_info *cpu = em__cpu_get();
    assert_ptr_equal(cpu, em__cpu_get());
    assert_true(cpu->l1d >= 4096 && cpu->l2 >= cpu->l1d && cpu->l3 >= cpu->l1d);
    char text[64], cut[4];
    em__cpu_describe(text, sizeof text);
    em__cpu_describe(cut, sizeof cut);
    print_message("%s, L1d %zu K, L2 %zu K, L3 %zu K\n", text, cpu->l1d >> 10, cpu->l2 >> 10, cpu->l3 >> 10);
    assert_true(strlen(text) > 3);
    assert_memory_equal(cut, text, 3);
    assert_string_equal(em__cpu_level_name(EM__CPU_LEVEL_COUNT), "?");
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "child") == 0)
        return print_self(), 0;
    unsetenv("EMILY_CPU");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_lower_the_level),
        cmocka_unit_test(other_masks_change_nothing),
        cmocka_unit_test(agrees_with_the_compiler),
        cmocka_unit_test(caches_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
