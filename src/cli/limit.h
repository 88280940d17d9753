/* How fast this machine's memory is read: what decoding is measured against. */
#ifndef EMILY_CLI_LIMIT_H
#define EMILY_CLI_LIMIT_H

#include <emily/device.h>

/* Bytes a second that are read where the device keeps its arrays; 0 when it can't be measured. Of memory of its own: by
 * its sum of 2 GiB. Of the host's: what `threads` threads (0: all that the process may use) read from memory far larger
 * than the caches, the best of a few passes, in about a fifth of a second. */
double cli_read_limit(em_device *device, int threads);

#endif
