/*
 * Sorting keys by quicksort. A long row is first dealt to parts by limits out of a sample of it: each block of the row,
 * a thread's, counts what it has for each part and then puts it there; the parts are sorted one by one. Keys that are
 * equal are the same bits: there is one result.
 */
#include "device/cpu/order.h"

#define SAMPLE 64   /* keys looked at for each part */
#define FEW_BITS 11 /* that vary: one pass of radix */

#define N(name) name##_32
#define KEY uint32_t
#define K(name) name##32
#include "device/cpu/order_deal_tmpl.c"

#define N(name) name##_64
#define KEY uint64_t
#define K(name) name##64
#include "device/cpu/order_deal_tmpl.c"
