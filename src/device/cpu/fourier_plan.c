/*
 * Plans of Fourier transforms: how a length is divided, the roots of unity it needs, and the plans that are kept. All
 * tables of a plan are one block. Roots are computed in double from an angle in the first octant.
 */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "core/alloc.h"
#include "core/block.h"
#include "core/error.h"
#include "core/whole.h"
#include "device/cpu/fourier.h"

#define KEPT_PLANS 48
#define KEPT_BYTES ((size_t)96 << 20)

static em__fft_kernels best[2];
static pthread_once_t best_once = PTHREAD_ONCE_INIT;

void em__fft_kernels_init(em__fft_kernels kernels[2], em__cpu_level level)
{
    em__fft_fill_portable(kernels);
#if defined(__x86_64__)
    if (level >= EM__CPU_AVX512)
        em__fft_fill_avx512(kernels);
    else if (level >= EM__CPU_AVX2)
        em__fft_fill_avx2(kernels);
#else
    (void)level;
#endif
}

static void init_best(void)
{
    em__fft_kernels_init(best, em__cpu_get()->level);
}

const em__fft_kernels *em__fft_kernels_get(bool wide)
{
    pthread_once(&best_once, init_best);
    return &best[wide];
}

int64_t em__fft_greatest_prime(int64_t n)
{
    int64_t most = 1;
    for (int64_t p = 2; p * p <= n; p++)
        for (; n % p == 0; n /= p)
            most = p;
    return n > most ? n : most;
}

/* The least 2^a 3^b 5^c, a >= 4, that is n or more. */
static int64_t smooth_from(int64_t n)
{
    int64_t least = INT64_MAX;
    for (int64_t five = 1; five < 2 * n; five *= 5) {
        for (int64_t three = five; three < 2 * n; three *= 3) {
            int64_t two = 16 * three;
            while (two < n)
                two *= 2;
            least = two < least ? two : least;
        }
    }
    return least;
}

/* Divides n into columns n1 and n2 such that the fewest lanes stand idle, n1 and n2 as equal as may be. */
static void divide(em__fft_shape *shape, int lanes)
{
    int64_t n = shape->n, least = INT64_MAX;
    for (int64_t a = 2; a * a <= n; a++) {
        for (int flip = 0; flip < 2 && n % a == 0; flip++) {
            int64_t n1 = flip ? n / a : a, n2 = n / n1;
            int64_t idle = (n2 + lanes - 1) / lanes * lanes * n1 + (n1 + lanes - 1) / lanes * lanes * n2 - 2 * n;
            int64_t cost = idle + 4 * (n1 > n2 ? n1 : n2) * lanes;
            if (cost < least) {
                least = cost;
                shape->n1 = n1;
                shape->n2 = n2;
            }
        }
    }
}

static em__fft_shape shape_of(int64_t n, em__fft_kind kind, int lanes)
{
    em__fft_shape shape = {.n = n, .n1 = n, .n2 = 1};
    if (kind == EM__FFT_REAL || kind == EM__FFT_REAL_COLUMN)
        return shape;
    if (em__fft_greatest_prime(n) > EM__FFT_PRIME)
        shape.smooth = smooth_from(2 * n - 1);
    else if (n >= EM__FFT_DIVIDED && kind == EM__FFT_LINE)
        divide(&shape, lanes);
    return shape;
}

/* cos and sin of 2 pi k / n, 0 <= k < n. */
static void root(int64_t k, int64_t n, double *c, double *s)
{
    int64_t eighth = 8 * k / n, rest = 8 * k - eighth * n; /* the angle is (eighth + rest / n) * 45 degrees */
    bool back = eighth & 1;
    double angle = M_PI / 4 * (double)(back ? n - rest : rest) / (double)n, x = cos(angle), y = sin(angle);
    double u = back ? y : x, v = back ? x : y; /* in the quadrant */
    switch (eighth / 2) {
    case 0: *c = u, *s = v; break;
    case 1: *c = -v, *s = u; break;
    case 2: *c = -u, *s = -v; break;
    default: *c = v, *s = -u; break;
    }
}

/*
 * Many roots of one n, for tables of f32: root k is a product of two out of short lists, exact to some 1e-16. Without
 * lists (f64, a small n, no memory for them) each is computed by itself.
 */
typedef struct root_list {
    int64_t n;
    double *near, *far; /* roots 0, 1, ... and 0, FAR, 2 FAR, ... */
} root_list;

#define FAR 1024

static root_list roots_of(int64_t n, bool wide)
{
    root_list r = {.n = n};
    int64_t far = n / FAR + 1;
    if (wide || n < 8 * FAR || !(r.near = em__alloc((size_t)(2 * (FAR + far)) * sizeof *r.near)))
        return r;
    r.far = r.near + 2 * FAR;
    for (int64_t k = 0; k < FAR; k++)
        root(k, n, &r.near[2 * k], &r.near[2 * k + 1]);
    for (int64_t k = 0; k < far; k++)
        root(k * FAR, n, &r.far[2 * k], &r.far[2 * k + 1]);
    return r;
}

static void root_out_of(const root_list *r, int64_t k, double *c, double *s)
{
    if (!r->near) {
        root(k, r->n, c, s);
        return;
    }
    const double *a = r->near + k % FAR * 2, *b = r->far + k / FAR * 2;
    *c = a[0] * b[0] - a[1] * b[1];
    *s = a[0] * b[1] + a[1] * b[0];
}

/* Where tables are written; with `base` NULL they are only measured. */
typedef struct writer {
    char *base;
    size_t used;
    bool wide;
} writer;

static void *table(writer *w, int64_t reals)
{
    void *at = w->base ? w->base + w->used : NULL;
    w->used += em__align64((size_t)reals * (w->wide ? 8 : 4));
    return at;
}

static void put(const writer *w, void *at, int64_t i, double x)
{
    if (w->wide)
        ((double *)at)[i] = x;
    else
        ((float *)at)[i] = (float)x;
}

/* exp(-2 pi i k / n) as complex number i. */
static void put_root(const writer *w, void *at, int64_t i, int64_t k, int64_t n)
{
    double c, s;
    root(k % n, n, &c, &s);
    put(w, at, 2 * i, c);
    put(w, at, 2 * i + 1, -s);
}

static void find_radices(em__fft_column *column)
{
    int64_t n = column->n;
    int twos = __builtin_ctzll((uint64_t)n);
    column->stages = 0;
    for (n >>= twos; twos;) {
        int bits = twos == 4 || twos == 2 ? 2 : twos >= 3 ? 3 : 1;
        column->radix[column->stages++] = 1 << bits;
        twos -= bits;
    }
    for (int p = 3; n > 1; p += 2)
        for (; n % p == 0; n /= p)
            column->radix[column->stages++] = p;
}

static void build_column(writer *w, em__fft_column *column, int64_t n)
{
    int64_t m = n, length = n;
    column->n = n;
    find_radices(column);
    for (int i = 0; i < column->stages; i++, length = m) {
        int r = column->radix[i], h = r / 2;
        m /= r;
        void *twiddles = table(w, m * 2 * (r - 1)), *roots = r % 2 ? table(w, 2 * h * h) : NULL;
        column->twiddles[i] = twiddles;
        column->roots[i] = roots;
        for (int64_t p = 0; p < m && twiddles; p++)
            for (int64_t k = 1; k < r; k++)
                put_root(w, twiddles, p * (r - 1) + k - 1, p * k, length);
        for (int k = 0; k < h && roots; k++) {
            for (int j = 0; j < h; j++) {
                double c, s;
                root((int64_t)(j + 1) * (k + 1) % r, r, &c, &s);
                put(w, roots, 2 * (k * h + j), c);
                put(w, roots, 2 * (k * h + j) + 1, s);
            }
        }
    }
}

static void build_between(writer *w, em__fft_plan *plan, int lanes)
{
    int64_t n = plan->shape.n, n1 = plan->shape.n1, blocks = (plan->shape.n2 + lanes - 1) / lanes;
    void *at = table(w, blocks * n1 * 2 * lanes);
    plan->twiddles = at;
    if (!at)
        return;
    root_list r = roots_of(n, w->wide);
    for (int64_t b = 0; b < blocks; b++) {
        for (int64_t k = 0; k < n1; k++) {
            for (int l = 0; l < lanes; l++) {
                double c, s;
                int64_t i = (b * n1 + k) * 2 * lanes + l;
                root_out_of(&r, (b * lanes + l) * k % n, &c, &s);
                put(w, at, i, c);
                put(w, at, i + lanes, -s);
            }
        }
    }
    em__free(r.near);
}

/* The chirp exp(-pi i j^2 / n); its conjugate, wrapped around, is what is convolved with. */
static void build_chirp(writer *w, em__fft_plan *plan)
{
    int64_t n = plan->shape.n, m = plan->shape.smooth;
    void *chirp = table(w, 2 * n), *kernel = table(w, 2 * m);
    plan->chirp = chirp;
    plan->kernel = kernel;
    if (!chirp)
        return;
    memset(kernel, 0, (size_t)(2 * m) * (w->wide ? 8 : 4));
    root_list r = roots_of(2 * n, w->wide);
    for (int64_t j = 0, square = 0; j < n; j++) { /* square: j^2 modulo 2 n */
        double c, s;
        root_out_of(&r, square, &c, &s);
        put(w, chirp, 2 * j, c);
        put(w, chirp, 2 * j + 1, -s);
        for (int side = 0; side < 2; side++) {
            int64_t at = side ? (m - j) % m : j;
            put(w, kernel, 2 * at, c / (double)m);
            put(w, kernel, 2 * at + 1, s / (double)m);
        }
        square = (square + 2 * j + 1) % (2 * n);
    }
    em__free(r.near);
}

static void build_half(writer *w, em__fft_plan *plan)
{
    int64_t n = plan->shape.n;
    void *half = table(w, 2 * (n / 2 + 1));
    plan->half = half;
    if (!half)
        return;
    root_list r = roots_of(n, w->wide);
    for (int64_t k = 0; k <= n / 2; k++) {
        double c, s;
        root_out_of(&r, k, &c, &s);
        put(w, half, 2 * k, c);
        put(w, half, 2 * k + 1, -s);
    }
    em__free(r.near);
}

/* Fills the plan's tables, or measures them. */
static void build(writer *w, em__fft_plan *plan, int lanes)
{
    if (plan->kind == EM__FFT_REAL || plan->kind == EM__FFT_REAL_COLUMN) {
        build_half(w, plan);
    } else if (plan->shape.smooth) {
        build_chirp(w, plan);
    } else {
        build_column(w, &plan->first, plan->shape.n1);
        if (plan->shape.n2 > 1) {
            build_column(w, &plan->second, plan->shape.n2);
            build_between(w, plan, lanes);
        }
    }
}

static void free_plan(em__fft_plan *plan)
{
    if (!plan)
        return;
    em__fft_plan_release(plan->part);
    em__block_free(plan->block, plan->bytes);
    em__free(plan);
}

static em_status new_plan(int64_t n, bool wide, em__fft_kind kind, em__fft_plan **out)
{
    int lanes = em__fft_kernels_get(wide)->lanes;
    em__fft_plan *plan = em__calloc(1, sizeof *plan);
    em_status status = EM_OK;
    writer w = {.wide = wide};
    *out = NULL;
    if (!plan)
        return EM_ERROR_OUT_OF_MEMORY;
    plan->shape = shape_of(n, kind, lanes);
    plan->wide = wide;
    plan->kind = kind;
    plan->refs = 1;
    bool columns = kind == EM__FFT_COLUMN || kind == EM__FFT_REAL_COLUMN;
    int64_t part = kind == EM__FFT_REAL || kind == EM__FFT_REAL_COLUMN ? n / 2 : plan->shape.smooth;
    if (part)
        status = em__fft_plan_get(part, wide, columns ? EM__FFT_COLUMN : EM__FFT_LINE, &plan->part);
    build(&w, plan, lanes);
    plan->bytes = w.used;
    if (status == EM_OK && !(plan->block = em__block_alloc(w.used)))
        status = EM_ERROR_OUT_OF_MEMORY;
    if (status == EM_OK) {
        w = (writer){plan->block, 0, wide};
        build(&w, plan, lanes);
        if (plan->shape.smooth)
            status = em__fft_alone(plan->part, (void *)(uintptr_t)plan->kernel);
    }
    if (status == EM_OK)
        *out = plan;
    else
        free_plan(plan);
    return status;
}

static struct {
    pthread_mutex_t lock;
    em__fft_plan *plans[KEPT_PLANS];
    size_t bytes;
    uint64_t clock;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static em__fft_plan *find(int64_t n, bool wide, em__fft_kind kind)
{
    for (int i = 0; i < KEPT_PLANS; i++) {
        em__fft_plan *p = kept.plans[i];
        if (p && p->shape.n == n && p->wide == wide && p->kind == kind) {
            p->refs++;
            p->used = ++kept.clock;
            return p;
        }
    }
    return NULL;
}

/* Makes room for the plan by letting go of those least recently used, and keeps it if it fits. Those that
 * nobody uses any more are the caller's to free, outside the lock. */
static void keep(em__fft_plan *plan, em__fft_plan **dropped, int *n_dropped)
{
    *n_dropped = 0;
    if (plan->bytes > KEPT_BYTES)
        return;
    for (;;) {
        int free_slot = -1, oldest = -1;
        for (int i = 0; i < KEPT_PLANS; i++) {
            em__fft_plan *p = kept.plans[i];
            if (!p)
                free_slot = i;
            else if (oldest < 0 || p->used < kept.plans[oldest]->used)
                oldest = i;
        }
        if (free_slot >= 0 && kept.bytes + plan->bytes <= KEPT_BYTES) {
            kept.plans[free_slot] = plan;
            kept.bytes += plan->bytes;
            plan->refs++;
            plan->kept = true;
            plan->used = ++kept.clock;
            return;
        }
        em__fft_plan *old = kept.plans[oldest];
        kept.plans[oldest] = NULL;
        kept.bytes -= old->bytes;
        old->kept = false;
        if (--old->refs == 0)
            dropped[(*n_dropped)++] = old;
    }
}

em_status em__fft_plan_get(int64_t n, bool wide, em__fft_kind kind, const em__fft_plan **plan)
{
    em__fft_plan *fresh, *dropped[KEPT_PLANS];
    int n_dropped = 0;
    pthread_mutex_lock(&kept.lock);
    *plan = find(n, wide, kind);
    pthread_mutex_unlock(&kept.lock);
    if (*plan)
        return EM_OK;
    EM__TRY(new_plan(n, wide, kind, &fresh));
    pthread_mutex_lock(&kept.lock);
    *plan = find(n, wide, kind); /* another thread may have been faster */
    if (!*plan)
        keep(fresh, dropped, &n_dropped);
    pthread_mutex_unlock(&kept.lock);
    for (int i = 0; i < n_dropped; i++)
        free_plan(dropped[i]);
    if (*plan)
        free_plan(fresh);
    else
        *plan = fresh;
    return EM_OK;
}

void em__fft_plan_release(const em__fft_plan *plan)
{
    em__fft_plan *own = (em__fft_plan *)(uintptr_t)plan;
    if (!plan)
        return;
    pthread_mutex_lock(&kept.lock);
    bool last = --own->refs == 0;
    pthread_mutex_unlock(&kept.lock);
    if (last)
        free_plan(own);
}
