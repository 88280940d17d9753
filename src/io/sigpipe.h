/*
 * Calls under which a closed connection shall not end the process. Told not to touch signals, libcurl leaves SIGPIPE to
 * its caller, and TLS libraries write without MSG_NOSIGNAL. A library may not ignore the signal for the whole process;
 * the thread takes none meanwhile, and forgets one that came.
 */
#ifndef EM_IO_SIGPIPE_H
#define EM_IO_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

typedef struct em__sigpipe {
    sigset_t before;
    bool was_pending;
} em__sigpipe;

void em__sigpipe_block(em__sigpipe *state);
void em__sigpipe_unblock(const em__sigpipe *state); /* on the same thread */

#endif
