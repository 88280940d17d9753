/* The program of a FUSED_CHAIN, read from its call. */
#ifndef EM_DEVICE_CHAIN_H
#define EM_DEVICE_CHAIN_H

#include "device/device.h"
#include "ops/chain.h"

static inline void em__chain_of(const em__call *call, em__chain *chain)
{
    const em__spec *in[EM__CHAIN_OPERANDS];
    for (int i = 0; i < call->n_in; i++)
        in[i] = &call->in[i].spec;
    em__chain_read(call->ints, in, chain);
}

#endif
