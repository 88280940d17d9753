/*
 * Where a quantized checkpoint is made: one run a name, what others have left there, and file systems without locks.
 * Here flock and rename are those of the system, looked at as they are called.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <emily/quantize.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"

/* The scratch directory of this test, and names in it. */
static char top[512], in[1024], out[1024], unfinished[1100], lock[1200];

static int flock_error;          /* what flock fails with; 0: it does not */
static bool made_at_lock;        /* `out` is made by another while the lock is taken */
static bool locked_when_renamed; /* the lock was still in the directory */

int flock(int fd, int how)
{
    int (*next)(int, int);
    *(void **)&next = dlsym(RTLD_NEXT, "flock");
    if (made_at_lock) {
        made_at_lock = false;
        checkpoint_write(out, "model.safetensors", "another's");
    }
    errno = flock_error;
    return flock_error || !next ? -1 : next(fd, how);
}

int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *);
    *(void **)&next = dlsym(RTLD_NEXT, "rename");
    if (strcmp(from, unfinished) == 0)
        locked_when_renamed = access(lock, F_OK) == 0;
    return next ? next(from, to) : -1;
}

static int before(void **state)
{
    (void)state;
    char real[PATH_MAX];
    snprintf(in, sizeof in, "%s", checkpoint_copy("decoders/qwen3-bf16", "quantize_place_in"));
    snprintf(top, sizeof top, "%s", golden_scratch("quantize_place"));
    checkpoint_remove(top); /* also what an earlier run left */
    assert_int_equal(mkdir(top, 0777), 0);
    assert_non_null(realpath(top, real));
    snprintf(out, sizeof out, "%.900s/made", real);
    snprintf(unfinished, sizeof unfinished, "%s.unfinished", out);
    snprintf(lock, sizeof lock, "%s/.emily-quantize", unfinished);
    return 0;
}

static void expect_refused(em_status status, const char *words)
{
    const int were = checkpoint_entries(top);
    EXPECT_ERROR(em_checkpoint_quantize(in, out, NULL, NULL), status, words);
    assert_int_equal(checkpoint_entries(top), were);
}

static void expect_made(void)
{
    EXPECT_OK(em_checkpoint_quantize(in, out, NULL, NULL));
    assert_int_equal(checkpoint_entries(top), 1);
    assert_int_equal(checkpoint_entries(out), 3); /* weights, index, config */
}

/* A run for a name that another is writing ends at once; what one that was killed has left is taken over. */
static void one_at_a_time(void **state)
{
    (void)state;
    char junk[1200];
    snprintf(junk, sizeof junk, "%s/junk.safetensors", unfinished);
    checkpoint_write(unfinished, "junk.safetensors", "junk");
    expect_refused(EM_ERROR_INVALID_ARGUMENT, "in the way"); /* nobody's */
    assert_int_equal(access(junk, F_OK), 0);
    const int fd = open(lock, O_RDWR | O_CREAT, 0666);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    expect_refused(EM_ERROR_BUSY, "another run");
    assert_int_equal(access(junk, F_OK), 0);
    close(fd);
    expect_made();
    assert_true(locked_when_renamed);
}

/* A link is followed nowhere. */
static void a_link(void **state)
{
    (void)state;
    char other[600];
    snprintf(other, sizeof other, "%s/other", top);
    assert_int_equal(mkdir(other, 0777), 0);
    assert_int_equal(symlink(other, unfinished), 0);
    expect_refused(EM_ERROR_INVALID_ARGUMENT, "in the way");
}

/* A run that was killed before it had the lock. */
static void an_empty_one(void **state)
{
    (void)state;
    assert_int_equal(mkdir(unfinished, 0777), 0);
    expect_made();
}

/* Another run ended after this one had looked, and before it had the lock. */
static void a_late_look(void **state)
{
    (void)state;
    made_at_lock = true;
    EXPECT_ERROR(em_checkpoint_quantize(in, out, NULL, NULL), EM_ERROR_INVALID_ARGUMENT, "not empty");
    assert_int_equal(checkpoint_entries(top), 1); /* the other's */
    assert_int_equal(checkpoint_entries(out), 1);
}

/* What a file system without locks holds may be of a run at work; a directory that is made there is this run's. */
static void no_locks(void **state)
{
    (void)state;
    assert_int_equal(mkdir(unfinished, 0777), 0);
    flock_error = ENOLCK;
    expect_refused(EM_ERROR_INVALID_ARGUMENT, "there are no locks here");
    checkpoint_remove(unfinished);
    expect_made();
    flock_error = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_at_a_time, before), cmocka_unit_test_setup(a_link, before),
        cmocka_unit_test_setup(an_empty_one, before),  cmocka_unit_test_setup(a_late_look, before),
        cmocka_unit_test_setup(no_locks, before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
