/*
 * Hooks: the identity, which shows its value to a function of the user's each time it runs. The function lives in an
 * em__function, as those of control ops do; it is no graph, so it can be neither encoded nor compiled.
 */
#include <emily/control.h>

#include <stdio.h>
#include <string.h>

#include "array/array.h"
#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "core/log.h"
#include "core/number.h"
#include "device/memory.h"
#include "device/ref/ref.h"

typedef struct hook {
    em__function function;
    em_hook_fn fn;
    void *user;
    void (*free_fn)(void *user);
} hook;

static void free_hook(em__function *function)
{
    hook *h = (hook *)function;
    if (h->free_fn)
        h->free_fn(h->user);
    em__free(h);
}

/* The value, on the host, to the user's function. */
static em_status show(em_device *device, const hook *h, em_dtype dtype, em_dims dims, const void *data, size_t bytes)
{
    if (!em__memory_of(device)) {
        h->fn(dtype, dims, data, h->user);
        return EM_OK;
    }
    void *copy = em__block_alloc(bytes);
    em_status status = copy ? em__memory_download(device, copy, data, bytes) : EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK)
        h->fn(dtype, dims, copy, h->user);
    em__block_free(copy, bytes);
    return status;
}

static em_status run_hook(em_device *device, const em__call *call)
{
    const hook *h = (const hook *)call->functions[0];
    const em__spec *spec = &call->in[0].spec;
    size_t bytes = em__spec_bytes(spec);
    em_dims dims = {.rank = spec->rank};
    memcpy(dims.dims, spec->dims, sizeof dims.dims);
    EM__TRY(show(device, h, spec->dtype, dims, call->in[0].data, bytes));
    return call->out.data != call->in[0].data ? em__memory_copy(device, call->out.data, call->in[0].data, bytes)
                                              : EM_OK;
}

static em_status prepare_hook(em_device *device, const em__call *call, em__plan *plan)
{
    (void)device;
    (void)call;
    *plan = (em__plan){.kernel = run_hook, .inplace = 1, .host = true};
    return EM_OK;
}

em_array *em_hook(em_scope *scope, em_array *a, em_hook_fn fn, void *user, void (*free_fn)(void *user))
{
    hook *h = fn && em__scope_ok(scope, &a, 1, "hook") ? em__calloc(1, sizeof *h) : NULL;
    if (!h) {
        if (!fn)
            em__fail(EM_ERROR_INVALID_ARGUMENT, "hook: the function is NULL");
        if (free_fn)
            free_fn(user);
        return em__scope_fail(scope);
    }
    atomic_init(&h->function.refs, 1);
    h->function.free_fn = free_hook;
    h->function.prepare = prepare_hook;
    h->fn = fn;
    h->user = user;
    h->free_fn = free_fn;
    em__function *functions[EM__FUNCTIONS] = {&h->function};
    em_array *out = em__build(scope, &(em__build_args){.op = EM__OP_HOOK, .in = &a, .n_in = 1, .functions = functions});
    em__function_release(&functions[0]);
    return out;
}

/* " 1.5", or a complex " 1.5+2i". */
static int print_element(em_dtype dtype, const void *data, int64_t i, char *out, size_t size)
{
    char real[EM__NUMBER_SIZE], imag[EM__NUMBER_SIZE];
    em__value v = em__ref_load(dtype, data, i);
    em_dtype_kind kind = em_dtype_get_kind(dtype);
    if (kind == EM_KIND_SIGNED)
        return snprintf(out, size, " %lld", (long long)v.s);
    if (kind == EM_KIND_UNSIGNED || kind == EM_KIND_BOOL)
        return snprintf(out, size, " %llu", (unsigned long long)v.u);
    em__print_f64(real, v.f);
    em__print_f64(imag, v.imag);
    return kind == EM_KIND_COMPLEX ? snprintf(out, size, " %s%s%si", real, v.imag >= 0 ? "+" : "", imag)
                                   : snprintf(out, size, " %s", real);
}

/* "x: f32[2, 3] 1 2 3 4 5 6", cut short. */
static void log_values(em_dtype dtype, em_dims dims, const void *data, void *user)
{
    enum { SHOWN = 16 };
    char text[EM__SPEC_TEXT], line[768];
    em__spec spec = {.dtype = dtype, .rank = dims.rank};
    memcpy(spec.dims, dims.dims, sizeof spec.dims);
    int64_t size = em__spec_size(&spec);
    int n = snprintf(line, sizeof line, "%s: %s", (const char *)user, em__spec_print(&spec, text, sizeof text));
    for (int64_t i = 0; i < size && i < SHOWN && n < (int)sizeof line; i++)
        n += print_element(dtype, data, i, line + n, sizeof line - (size_t)n);
    em__log(EM_LOG_INFO, "%s%s", line, size > SHOWN ? " .." : "");
}

em_array *em_print(em_scope *scope, em_array *a, const char *label)
{
    char *copy = em__strdup(label ? label : "");
    if (!copy)
        return em__scope_fail(scope);
    return em_hook(scope, a, log_values, copy, em__free);
}
