/* emily version. */
#include "cli/cli.h"
#include "core/cpu.h"

static const cli_option options[] = {{NULL}};

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static int run(const void *given, const cli_words *operands)
{
    char cpu[128];
    (void)given;
    (void)operands;
    em__cpu_describe(cpu, sizeof cpu);
    if (em__cpu_check() != EM_OK)
        cli_note("%s", em_last_error());
    printf("emily %s\n  built by %s\n  cpu: %s\n", EMILY_VERSION, COMPILER, cpu);
    return CLI_OK;
}

const cli_command cli_version = {
    .name = "version",
    .operands = "",
    .summary = "version, compiler, CPU features",
    .examples = "emily version\n",
    .options = options,
    .run = run,
};
