/* Template: the order kernels of a level whose vectors have WIDTH bytes; FILL names the function that gives them. */
#include <string.h>

#include "device/cpu/order.h"

#define N(name) name##_32
#define BITS 32
#define LANES (WIDTH / 4)
#ifdef LOW_32
#define LOW LOW_32
#define HIGH HIGH_32
#endif
#include "device/cpu/order_keys_tmpl.c"

#define N(name) name##_64
#define BITS 64
#define LANES (WIDTH / 8)
#ifdef LOW_64
#define LOW LOW_64
#define HIGH HIGH_64
#endif
#include "device/cpu/order_keys_tmpl.c"

void FILL(em__order *kernels)
{
    *kernels = (em__order){
        .encode32 = encode_32,
        .encode64 = encode_64,
        .decode32 = decode_32,
        .decode64 = decode_64,
        .network32 = network_32,
        .network64 = network_64,
        .below32 = below_32,
        .below64 = below_64,
        .lanes32 = WIDTH / 4,
        .lanes64 = WIDTH / 8,
    };
}
