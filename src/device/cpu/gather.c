/* Ops that read and write by index, run along an axis and slide windows: which family takes a call. */
#include "device/cpu/families.h"

bool em__cpu_prepare_gather(em__cpu *cpu, const em__call *call, em__plan *plan)
{
    return em__cpu_prepare_index(cpu, call, plan) || em__cpu_prepare_segments(cpu, call, plan) ||
           em__cpu_prepare_scan(cpu, call, plan) || em__cpu_prepare_window(cpu, call, plan) ||
           em__cpu_prepare_window_scatter(cpu, call, plan);
}
