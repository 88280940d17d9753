/*
 * Every allocation fails once. The sweep runs a function with its first allocation failing, then its second, and so on
 * until it succeeds; after each run everything it allocated must be gone.
 */
#ifndef EM_TESTS_FAULTS_H
#define EM_TESTS_FAULTS_H

#include <emily/status.h>

/* Makes what it tests, frees it again, and returns the first status that was not EM_OK. */
typedef em_status (*faults_fn)(void *context);

/* Fails the test unless: `fn` succeeds with no fault; every run with a fault returns EM_ERROR_OUT_OF_MEMORY with a
 * text; blocks and host allocations in use are the same after each run as before it. Runs each fault twice: alone, and
 * with all later allocations failing too. Returns the number of allocations that were failed. A first run with no fault
 * warms up what lives on (thread pools, caches of the process). */
long faults_sweep(faults_fn fn, void *context);

/* The same, and the fault may be absorbed: `fn` may also succeed in spite of it (a cache that was not grown). */
long faults_sweep_benign(faults_fn fn, void *context);

#endif
