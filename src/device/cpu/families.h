/* The families that em__cpu_prepare_gather stands for: see gather.c. */
#ifndef EM_DEVICE_CPU_FAMILIES_H
#define EM_DEVICE_CPU_FAMILIES_H

#include "device/cpu/cpu.h"

bool em__cpu_prepare_segments(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_index(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_scan(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_window(em__cpu *cpu, const em__call *call, em__plan *plan);
bool em__cpu_prepare_window_scatter(em__cpu *cpu, const em__call *call, em__plan *plan);

#endif
