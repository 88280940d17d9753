/* SIGPIPE of a thread, held off for a while. */
#include "io/sigpipe.h"

static bool is_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static sigset_t only_pipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

void em__sigpipe_block(em__sigpipe *state)
{
    const sigset_t set = only_pipe();
    state->was_pending = is_pending();
    pthread_sigmask(SIG_BLOCK, &set, &state->before);
}

void em__sigpipe_unblock(const em__sigpipe *state)
{
    const sigset_t set = only_pipe();
    int number;
    if (!state->was_pending && is_pending())
        sigwait(&set, &number);
    pthread_sigmask(SIG_SETMASK, &state->before, NULL);
}
