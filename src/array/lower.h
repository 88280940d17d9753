/*
 * Lowering: from an op with laid-out operands to the kernel that runs and the copies that must come first. Eager runs
 * what this says at once, a program remembers it: that is why both give the same bits.
 */
#ifndef EM_ARRAY_LOWER_H
#define EM_ARRAY_LOWER_H

#include "device/device.h"

typedef struct em__lowered {
    em__plan plan;
} em__lowered;

/* `call` has op, attributes, operand layouts (data is not looked at) and the result's spec. Fills its result strides,
 * broadcasts elementwise operands, and asks the device. */
em_status em__lower(em_device *device, em__call *call, em__lowered *lowered);

/* Whether operand i must be copied to row-major first. Beyond the 64th every strided one is. */
bool em__lowered_copies(const em__lowered *lowered, const em__call *call, int i);

/* The call that copies `from` to row-major `to`; prepared, with its kernel. COPY needs no scratch. `from` must outlive
 * the call, which may see it, and its result, as bytes. */
em_status em__lower_copy(em_device *device, em__tensor *from, em__call *copy, em__plan *plan);

#endif
