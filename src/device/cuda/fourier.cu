/*
 * FFT, RFFT, IRFFT by cuFFT, along lines that lie side by side. An axis that is not the last, a length that is not the
 * operand's and the factor of an inverse are seen to as lines are brought into scratch; others are read where they are.
 * Plans are made while a call is prepared and kept: recordings refer to their memory.
 */
#include <cufft.h>

#include <vector>

#include "device/cuda/library.h"
#include "device/cuda/words.cuh"

enum { THREADS = 256 };

static struct {
    decltype(&cufftCreate) create;
    decltype(&cufftDestroy) destroy;
    decltype(&cufftSetAutoAllocation) own_work;
    decltype(&cufftMakePlanMany64) make;
    decltype(&cufftSetStream) stream;
    decltype(&cufftSetWorkArea) work;
    decltype(&cufftExecC2C) c2c;
    decltype(&cufftExecR2C) r2c;
    decltype(&cufftExecC2R) c2r;
    decltype(&cufftExecZ2Z) z2z;
    decltype(&cufftExecD2Z) d2z;
    decltype(&cufftExecZ2D) z2d;
} fft;

static bool open_library()
{
    static const em__cuda_symbol symbols[] = {
        {"cufftCreate", (void **)&fft.create},
        {"cufftDestroy", (void **)&fft.destroy},
        {"cufftSetAutoAllocation", (void **)&fft.own_work},
        {"cufftMakePlanMany64", (void **)&fft.make},
        {"cufftSetStream", (void **)&fft.stream},
        {"cufftSetWorkArea", (void **)&fft.work},
        {"cufftExecC2C", (void **)&fft.c2c},
        {"cufftExecR2C", (void **)&fft.r2c},
        {"cufftExecC2R", (void **)&fft.c2r},
        {"cufftExecZ2Z", (void **)&fft.z2z},
        {"cufftExecD2Z", (void **)&fft.d2z},
        {"cufftExecZ2D", (void **)&fft.z2d},
    };
    static int there = -1;
    if (there < 0)
        there = em__cuda_library("libcufft.so.12", symbols, sizeof symbols / sizeof symbols[0]);
    return there;
}

/* A call as lines: `given` elements of each, `staged` that cuFFT reads, `made` that it writes. */
struct lines {
    int axis, ordinal;
    bool wide, inverse;
    cufftType type;
    int64_t n, count, given, staged, made;
};

struct kept_plan {
    int ordinal;
    cufftType type;
    int64_t n, count;
    cufftHandle handle;
    size_t work;
};

static std::vector<kept_plan> plans; /* under the device's lock */

static const kept_plan *plan_of(const lines &l)
{
    for (const kept_plan &p : plans)
        if (p.ordinal == l.ordinal && p.type == l.type && p.n == l.n && p.count == l.count)
            return &p;
    kept_plan p = {l.ordinal, l.type, l.n, l.count, 0, 0};
    long long n = l.n;
    if (fft.create(&p.handle) != CUFFT_SUCCESS)
        return NULL;
    bool made =
        fft.own_work(p.handle, 0) == CUFFT_SUCCESS &&
        fft.make(p.handle, 1, &n, NULL, 1, l.staged, NULL, 1, l.made, l.type, l.count, &p.work) == CUFFT_SUCCESS;
    if (!made) {
        fft.destroy(p.handle);
        return NULL;
    }
    plans.push_back(p);
    return &plans.back();
}

static lines lines_of(const em__cuda *cuda, const em__call *call)
{
    const em__spec *in = &call->in[0].spec;
    lines l = {};
    l.axis = (int)call->ints[0];
    l.ordinal = cuda->ordinal;
    l.wide = in->dtype == EM_F64 || in->dtype == EM_C128;
    l.inverse = call->op == EM__OP_IRFFT || (call->op == EM__OP_FFT && call->ints[2]);
    l.n = l.staged = l.made = call->ints[1];
    l.given = in->dims[l.axis];
    l.count = 1;
    for (int axis = 0; axis < in->rank; axis++)
        l.count *= axis == l.axis ? 1 : in->dims[axis];
    l.type = l.wide ? CUFFT_Z2Z : CUFFT_C2C;
    if (call->op == EM__OP_RFFT) {
        l.type = l.wide ? CUFFT_D2Z : CUFFT_R2C;
        l.made = l.n / 2 + 1;
    } else if (call->op == EM__OP_IRFFT) {
        l.type = l.wide ? CUFFT_Z2D : CUFFT_C2R;
        l.staged = l.n / 2 + 1;
    }
    return l;
}

/* A line's elements as cuFFT wants them: cut or filled with zeros, complex where it wants that, times `factor`. `half`:
 * those that are their own mirror image are real. */
template <typename R, bool FROM_COMPLEX, bool TO_COMPLEX>
__global__ void stage_kernel(const R *from, R *to, em_steps<1> line, int64_t step, lines l, R factor, bool half)
{
    em_grid_wait();
    int64_t index = blockIdx.x * (int64_t)THREADS + threadIdx.x, at[1];
    if (index >= l.count * l.staged)
        return;
    int64_t number = index / l.staged, k = index - number * l.staged;
    R re = 0, im = 0;
    if (k < l.given) {
        em_step(line, number, at);
        const R *x = from + (at[0] + k * step) * (FROM_COMPLEX ? 2 : 1);
        re = x[0] * factor;
        if (FROM_COMPLEX && !(half && (k == 0 || 2 * k == l.n)))
            im = x[1] * factor;
    }
    to[index * (TO_COMPLEX ? 2 : 1)] = re;
    if (TO_COMPLEX)
        to[index * 2 + 1] = im;
}

/* `tensor` without the axis: a line each. */
static em_layout<1> starts_of(const em__tensor *tensor, int without)
{
    em__tensor rest = *tensor;
    rest.spec.rank--;
    for (int axis = without; axis < rest.spec.rank; axis++) {
        rest.spec.dims[axis] = tensor->spec.dims[axis + 1];
        rest.strides[axis] = tensor->strides[axis + 1];
    }
    const em__tensor *const tensors[] = {&rest};
    return em_collapse<1>(&rest.spec, tensors);
}

template <typename R> static em_status stage(em__cuda *cuda, const em__call *call, const lines &l, void *to)
{
    const em__tensor *in = &call->in[0];
    bool from_complex = em_dtype_get_kind(in->spec.dtype) == EM_KIND_COMPLEX, half = call->op == EM__OP_IRFFT;
    auto kernel = from_complex              ? stage_kernel<R, true, true>
                  : call->op == EM__OP_RFFT ? stage_kernel<R, false, false>
                                            : stage_kernel<R, false, true>;
    return em_launch(cuda, "fft", kernel, em_blocks(l.count * l.staged, THREADS), THREADS, 0, (const R *)in->data,
                     (R *)to, em_steps_of(starts_of(in, l.axis)), in->strides[l.axis], l,
                     l.inverse ? (R)1 / (R)l.n : (R)1, half);
}

static cufftResult execute(const kept_plan *p, void *from, void *to, bool inverse)
{
    int direction = inverse ? CUFFT_INVERSE : CUFFT_FORWARD;
    switch (p->type) {
    case CUFFT_C2C: return fft.c2c(p->handle, (cufftComplex *)from, (cufftComplex *)to, direction);
    case CUFFT_Z2Z: return fft.z2z(p->handle, (cufftDoubleComplex *)from, (cufftDoubleComplex *)to, direction);
    case CUFFT_R2C: return fft.r2c(p->handle, (cufftReal *)from, (cufftComplex *)to);
    case CUFFT_D2Z: return fft.d2z(p->handle, (cufftDoubleReal *)from, (cufftDoubleComplex *)to);
    case CUFFT_C2R: return fft.c2r(p->handle, (cufftComplex *)from, (cufftReal *)to);
    default: return fft.z2d(p->handle, (cufftDoubleComplex *)from, (cufftDoubleReal *)to);
    }
}

static size_t rounded(int64_t bytes)
{
    return ((size_t)bytes + 255) / 256 * 256;
}

/* Scratch: cuFFT's own, the lines that it reads, the lines that it writes unless that is the result. */
static size_t staged_bytes(const lines &l)
{
    return rounded(l.count * l.staged * (l.wide ? 16 : 8));
}

static bool ends_last(const em__call *call, const lines &l)
{
    return l.axis == call->out.spec.rank - 1;
}

/* The lines of scratch to the result, where they run along another axis. */
static em_status give(em__cuda *cuda, const em__call *call, const lines &l, void *made)
{
    em__tensor from = call->out;
    int64_t stride = l.made;
    from.data = made;
    from.strides[l.axis] = 1;
    for (int axis = from.spec.rank - 1; axis >= 0; axis--)
        if (axis != l.axis) {
            from.strides[axis] = stride;
            stride *= from.spec.dims[axis];
        }
    return em_move(cuda, &from, &call->out, NULL, NULL);
}

/* Lines that cuFFT may read where they are: it leaves them alone unless it goes from complex to real. */
static bool reads_directly(const em__call *call, const lines &l)
{
    bool same = (em_dtype_get_kind(call->in[0].spec.dtype) == EM_KIND_COMPLEX) == (call->op == EM__OP_FFT);
    return same && !l.inverse && l.given == l.staged && l.axis == call->in[0].spec.rank - 1 &&
           em__tensor_is_contiguous(&call->in[0]);
}

static em_status run_fft(em_device *device, const em__call *call)
{
    em__cuda *cuda = em__cuda_of(device);
    lines l = lines_of(cuda, call);
    if (em__spec_size(&call->out.spec) == 0)
        return EM_OK;
    const kept_plan *p = plan_of(l);
    EM__FAIL_IF(!p, EM_ERROR_INTERNAL, "%s: %s: cuFFT made no plan of length %lld", cuda->name,
                em__op_get(call->op)->name, (long long)l.n);
    char *staged = (char *)call->scratch + rounded((int64_t)p->work);
    void *made = ends_last(call, l) ? call->out.data : staged + staged_bytes(l);
    if (reads_directly(call, l))
        staged = (char *)call->in[0].data;
    else
        EM__TRY(l.wide ? stage<double>(cuda, call, l, staged) : stage<float>(cuda, call, l, staged));
    cufftResult result = fft.stream(p->handle, cuda->stream);
    if (result == CUFFT_SUCCESS)
        result = fft.work(p->handle, call->scratch);
    if (result == CUFFT_SUCCESS)
        result = execute(p, staged, made, l.inverse);
    EM__FAIL_IF(result != CUFFT_SUCCESS, EM_ERROR_INTERNAL, "%s: %s: cuFFT failed with %d", cuda->name,
                em__op_get(call->op)->name, (int)result);
    return ends_last(call, l) ? EM_OK : give(cuda, call, l, made);
}

extern "C" bool em__cuda_prepare_fourier(em__cuda *cuda, const em__call *call, em__plan *plan)
{
    if ((call->op != EM__OP_FFT && call->op != EM__OP_RFFT && call->op != EM__OP_IRFFT) || !open_library())
        return false;
    lines l = lines_of(cuda, call);
    plan->kernel = run_fft;
    plan->strided = 1;
    if (em__spec_size(&call->out.spec) == 0)
        return true;
    const kept_plan *p = plan_of(l);
    if (!p)
        return false;
    plan->scratch = rounded((int64_t)p->work) + staged_bytes(l);
    if (!ends_last(call, l))
        plan->scratch += rounded(em__spec_size(&call->out.spec) * (int64_t)em_dtype_size(call->out.spec.dtype));
    return true;
}
