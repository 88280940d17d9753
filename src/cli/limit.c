/* See limit.h. Each thread sums a piece of its own, in four streams, as the kernels read weights. */
#include "cli/limit.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include <emily/emily.h>

#include "core/block.h"
#include "core/log.h"
#include "core/pool.h"

enum { SIZE = 256 << 20, PASSES = 4, STREAMS = 4, MOST_THREADS = 256 };

typedef struct piece {
    const uint64_t *data;
    size_t length; /* of a stream */
    uint64_t sum;
    pthread_t thread;
} piece;

static void *read_piece(void *context)
{
    piece *p = context;
    uint64_t sums[STREAMS][8] = {{0}};
    for (size_t i = 0; i + 8 <= p->length; i += 8)
        for (size_t s = 0; s < STREAMS; s++) {
            __builtin_prefetch(p->data + s * p->length + i + 128);
            for (size_t k = 0; k < 8; k++)
                sums[s][k] += p->data[s * p->length + i + k];
        }
    for (size_t s = 0; s < STREAMS; s++)
        for (size_t k = 0; k < 8; k++)
            p->sum += sums[s][k];
    return NULL;
}

static double read_all(const uint64_t *data, int threads)
{
    piece pieces[MOST_THREADS];
    const size_t length = SIZE / sizeof *data / (size_t)threads / STREAMS / 8 * 8;
    int started = 1;
    uint64_t begin = em__now();
    for (int i = 0; i < threads; i++)
        pieces[i] = (piece){.data = data + (size_t)i * length * STREAMS, .length = length};
    while (started < threads && pthread_create(&pieces[started].thread, NULL, read_piece, &pieces[started]) == 0)
        started++;
    read_piece(&pieces[0]);
    for (int i = 1; i < started; i++)
        pthread_join(pieces[i].thread, NULL);
    uint64_t sum = 0;
    for (int i = 0; i < started; i++)
        sum += pieces[i].sum;
    double seconds = (double)(em__now() - begin) / 1e9;
    return sum == 0 || seconds <= 0 ? 0 : (double)started * (double)(length * STREAMS * sizeof *data) / seconds;
}

enum { DEVICE_ELEMENTS = 512 << 20 };

/* Seconds of one sum of `values`; 0 on failure. */
static double time_sum(em_device *device, em_array *values)
{
    em_scope *s = em_scope_new(device);
    const uint64_t begin = em__now();
    em_status status = em_eval(s, em_sum(s, values, EM_ALL_AXES, false));
    if (status == EM_OK)
        status = em_device_wait(device);
    const double seconds = (double)(em__now() - begin) / 1e9;
    em_scope_free(s);
    return status == EM_OK ? seconds : 0;
}

static double device_limit(em_device *device)
{
    double best = 0;
    em_scope *s = em_scope_new(device);
    em_array *values = em_iota(s, EM_F32, em_shape(DEVICE_ELEMENTS), 0);
    if (em_eval(s, values) == EM_OK)
        for (int i = 0; i < 2 * PASSES; i++) {
            const double seconds = time_sum(device, values);
            const double rate = seconds > 0 ? DEVICE_ELEMENTS * sizeof(float) / seconds : 0;
            best = rate > best ? rate : best;
        }
    em_scope_free(s);
    return best;
}

static double host_limit(int threads)
{
    double best = 0;
    uint64_t *data = em__block_alloc(SIZE);
    if (!data)
        return 0;
    memset(data, 1, SIZE);
    threads = threads > 0 ? threads : em__pool_default_size();
    threads = threads < MOST_THREADS ? threads : MOST_THREADS;
    for (int i = 0; i < PASSES; i++) {
        double rate = read_all(data, threads);
        best = rate > best ? rate : best;
    }
    em__block_free(data, SIZE);
    return best;
}

double cli_read_limit(em_device *device, int threads)
{
    return em_device_has_memory(device) ? device_limit(device) : host_limit(threads);
}
