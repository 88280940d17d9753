/* The lines of a Fourier call. Shared by fourier.c and fourier_lines.c. */
#ifndef EM_DEVICE_CPU_FOURIER_LINES_H
#define EM_DEVICE_CPU_FOURIER_LINES_H

#include "device/cpu/cpu.h"
#include "device/cpu/fourier.h"

/* Lines of `count` elements in a row-major operand, `stride` elements apart inside a line, to lines of `out_count`. */
typedef struct em__fft_job {
    em__cpu *cpu;
    const em__fft_kernels *kernels;
    const em__fft_plan *plan;
    em__fft_kind kind;
    const char *in;
    char *out;
    int64_t n, count, out_count, stride, lines;
    bool wide, real_in, real_out, inverse;
    double scale;
} em__fft_job;

/* Transforms `lanes` lines, or what is left of them, from line `first` on; memory: em__fft_columns_bytes. */
void em__fft_columns(const em__fft_job *job, int64_t first, char *memory);
size_t em__fft_columns_bytes(const em__fft_job *job);

/* Transforms one line, on the pool or (NULL) alone in `workspace`. */
void em__fft_line(const em__fft_job *job, int64_t line, em__pool *pool, void *workspace, char *scratch);
size_t em__fft_line_workspace(const em__fft_plan *plan);
size_t em__fft_line_scratch(const em__fft_job *job);

#endif
