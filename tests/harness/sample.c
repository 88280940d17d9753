/* Which cases of a sweep are taken. */
#include "harness/sample.h"

#include <stdlib.h>

bool sample_takes(void)
{
    static unsigned long cases, every;
    if (!every) {
        const char *wanted = getenv("EM_TEST_EVERY");
        every = wanted ? strtoul(wanted, NULL, 10) : 1;
        every = every ? every : 1;
    }
    return cases++ % every == 0;
}
