/*
 * Copies between the host's memory and a device's, through pinned buffers. What goes up is cut into pieces, which
 * threads stage side by side: one can't read memory, or a mapped file, as fast as the link takes it. All parts of an
 * upload are one row of pieces, so that the link is busy from the first to the last.
 */
#include "device/cuda/transfer.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "device/cuda/common.cuh"
#include "device/cuda/thread.h"

#define STAGE_BYTES ((size_t)512 << 10) /* of a pinned buffer */
#define PIECE_BYTES (2 * STAGE_BYTES)   /* of a large upload at most, by way of neighbours */
#define DOWN_BYTES (4 * STAGE_BYTES)    /* that come down at once, through the first buffers */
#define LINGER_US 300                   /* that a thread stays awake for the next upload: waking costs 50 */

/* A lane of an upload has buffers of its own, which it takes in turn from one upload to the next. */
enum { MOST_LANES = 12, LANE_BUFFERS = 4, BUFFERS = MOST_LANES * LANE_BUFFERS };

/* An upload in pieces, which lanes take as they come. */
struct upload_job {
    em__cuda *cuda;
    const em__transfer *parts;
    size_t n, piece; /* bytes of a piece at most */
    long lanes;
    std::mutex lock;
    size_t part, at; /* where what nobody has taken begins: a byte of a part */
    std::atomic<cudaError_t> error;
};

struct upload_crew;

struct upload_worker {
    upload_crew *crew;
    long lane;
};

/* Threads that take lanes 1, 2, ..; started by the first large upload, they live as long as the process. */
struct upload_crew {
    std::mutex lock;
    std::condition_variable called;
    upload_job *job;            /* that may be joined; NULL: none */
    std::atomic<unsigned> jobs; /* so far */
    std::atomic<long> working;
    long threads;
    upload_worker workers[MOST_LANES];
};

struct em__cuda_transfers {
    upload_crew crew;
    char *stage[BUFFERS];
    cudaEvent_t staged[BUFFERS]; /* the copy out of the buffer, and those behind it that are of one piece, is done */
    int first[BUFFERS];          /* of the piece that the buffer last was in */
    size_t turns[MOST_LANES];    /* which of its buffers a lane takes next */
    size_t turn;                 /* small uploads take all in turn, so that they seldom wait for one */
};

/* Pinned buffers, and their events. Waits for these are short and on the way to all that follows: an interrupt takes
 * longer, milliseconds on some hosts. */
static em_status make_stage(em__cuda *cuda, em__cuda_transfers *t)
{
    char *pinned;
    EM__TRY(em__cuda_check(cuda, cudaMallocHost((void **)&pinned, BUFFERS * STAGE_BYTES), "pinned memory"));
    for (int i = 0; i < BUFFERS; i++) {
        t->stage[i] = pinned + (size_t)i * STAGE_BYTES;
        t->first[i] = i;
        EM__TRY(em__cuda_check(cuda, cudaEventCreateWithFlags(&t->staged[i], cudaEventDisableTiming), "event"));
    }
    return EM_OK;
}

static void free_stage(em__cuda_transfers *t)
{
    for (int i = 0; i < BUFFERS && t->staged[i]; i++)
        cudaEventDestroy(t->staged[i]);
    cudaFreeHost(t->stage[0]);
    cudaGetLastError(); /* what went wrong is known already */
}

extern "C" em_status em__cuda_transfers_new(em__cuda *cuda)
{
    em__cuda_transfers *t = new (std::nothrow) em__cuda_transfers();
    if (!t)
        return em__fail(EM_ERROR_OUT_OF_MEMORY, "%s: out of memory", cuda->name);
    const em_status status = make_stage(cuda, t);
    if (status != EM_OK) {
        free_stage(t);
        delete t;
        return status;
    }
    cuda->transfers = t;
    return EM_OK;
}

em_status em__cuda_wait(em_device *device)
{
    em__cuda *cuda = em__cuda_of(device);
    EM__TRY(em__cuda_whole(cuda));
    return em__cuda_check(cuda, cudaStreamSynchronize(cuda->stream), "work before this");
}

/* Past the caches, which the bytes only pass through, and with what is read next asked for ahead: a processor's own
 * guess ends with each page. */
static void stage_bytes(char *to, const char *from, size_t size)
{
    size_t at = 0;
#ifdef __SSE2__
    constexpr size_t AHEAD = 2048;
    for (; at + 64 <= size; at += 64) {
        __m128i words[4];
        _mm_prefetch(from + at + AHEAD, _MM_HINT_T0);
        for (int i = 0; i < 4; i++)
            words[i] = _mm_loadu_si128((const __m128i *)(from + at) + i);
        for (int i = 0; i < 4; i++)
            _mm_stream_si128((__m128i *)(to + at) + i, words[i]);
    }
    _mm_sfence();
#endif
    memcpy(to + at, from + at, size - at);
}

/* By way of pinned buffers from `first` on: the bytes are free when it returns, pinned themselves or not. */
static cudaError_t upload_piece(em__cuda *cuda, size_t first, const em__transfer *piece)
{
    em__cuda_transfers *t = cuda->transfers;
    const size_t end = first + (piece->size + STAGE_BYTES - 1) / STAGE_BYTES;
    cudaError_t error = cudaSuccess;
    for (size_t i = first; i < end && error == cudaSuccess; i++) {
        error = cudaEventSynchronize(t->staged[t->first[i]]);
        t->first[i] = (int)first;
    }
    if (error != cudaSuccess)
        return error;
    stage_bytes(t->stage[first], (const char *)piece->from, piece->size);
    error = cudaMemcpyAsync(piece->to, t->stage[first], piece->size, cudaMemcpyHostToDevice, cuda->stream);
    return error == cudaSuccess ? cudaEventRecord(t->staged[first], cuda->stream) : error;
}

/* Buffers of a lane for a piece, side by side. */
static size_t take_buffers(em__cuda_transfers *t, long lane, size_t piece)
{
    const size_t n = (piece + STAGE_BYTES - 1) / STAGE_BYTES;
    size_t turn = t->turns[lane];
    if (turn + n > LANE_BUFFERS)
        turn = 0;
    t->turns[lane] = turn + n;
    return (size_t)lane * LANE_BUFFERS + turn;
}

/* The next piece that nobody has taken; false: there is none. */
static bool take_piece(upload_job *j, em__transfer *piece)
{
    std::lock_guard<std::mutex> guard(j->lock);
    while (j->part < j->n && j->at == j->parts[j->part].size) {
        j->part++;
        j->at = 0;
    }
    if (j->part == j->n)
        return false;
    const em__transfer *part = &j->parts[j->part];
    const size_t left = part->size - j->at;
    *piece = {(char *)part->to + j->at, (const char *)part->from + j->at, left < j->piece ? left : j->piece};
    j->at += piece->size;
    return true;
}

static void run_lane(upload_job *j, long lane)
{
    cudaError_t error = cudaSetDevice(j->cuda->ordinal);
    for (em__transfer piece; error == cudaSuccess && take_piece(j, &piece);)
        error = upload_piece(j->cuda, take_buffers(j->cuda->transfers, lane, piece.size), &piece);
    if (error != cudaSuccess)
        j->error = error;
}

/* Until there is another job, but not long: weights come one after the other. */
static void linger(const upload_crew *crew, unsigned seen)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(LINGER_US);
    while (crew->jobs == seen && std::chrono::steady_clock::now() < end)
        sched_yield();
}

static void *serve(void *user)
{
    const upload_worker *me = (const upload_worker *)user;
    upload_crew *crew = me->crew;
    for (unsigned seen = 0;;) {
        linger(crew, seen);
        std::unique_lock<std::mutex> guard(crew->lock);
        crew->called.wait(guard, [&] { return crew->jobs != seen; });
        seen = crew->jobs;
        upload_job *job = crew->job;
        if (!job || me->lane >= job->lanes)
            continue;
        crew->working++;
        guard.unlock();
        run_lane(job, me->lane);
        crew->working--;
    }
    return NULL;
}

/* By as many threads as the job has lanes; fewer do where no more could be started. */
static void run_job(upload_crew *crew, upload_job *job)
{
    {
        std::lock_guard<std::mutex> guard(crew->lock);
        for (; crew->threads < job->lanes - 1; crew->threads++) {
            crew->workers[crew->threads] = {crew, crew->threads + 1};
            if (!em__cuda_thread(serve, &crew->workers[crew->threads]))
                break;
        }
        crew->job = job;
        crew->jobs++;
    }
    crew->called.notify_all();
    run_lane(job, 0);
    {
        std::lock_guard<std::mutex> guard(crew->lock);
        crew->job = NULL;
    }
    while (crew->working > 0) /* on what they have begun */
        sched_yield();
}

/* Bytes of a piece: two a lane, within bounds: short copies take the link longer a byte. */
static size_t piece_of(size_t size, long lanes)
{
    const size_t page = 4096, least = STAGE_BYTES / 2, share = size / 2 / (size_t)lanes / page * page;
    return share < least ? least : share > PIECE_BYTES ? PIECE_BYTES : share;
}

/* By as many lanes as leave a processor of four to others. */
static cudaError_t upload_pieces(em__cuda *cuda, const em__transfer *parts, size_t n, size_t size)
{
    static const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const long some = processors * 3 / 4;
    upload_job job = {};
    job.cuda = cuda;
    job.parts = parts;
    job.n = n;
    job.lanes = some > MOST_LANES ? (long)MOST_LANES : some < 1 ? 1 : some;
    job.piece = piece_of(size, job.lanes);
    run_job(&cuda->transfers->crew, &job);
    return job.error;
}

em_status em__cuda_upload(em_device *device, const em__transfer *parts, size_t n)
{
    em__cuda *cuda = em__cuda_of(device);
    size_t size = 0;
    EM__TRY(em__cuda_whole(cuda));
    for (size_t i = 0; i < n; i++)
        size += parts[i].size;
    if (size > STAGE_BYTES)
        return em__cuda_check(cuda, upload_pieces(cuda, parts, n, size), "upload");
    for (size_t i = 0; i < n; i++)
        if (parts[i].size)
            EM__TRY(em__cuda_check(cuda, upload_piece(cuda, cuda->transfers->turn++ % BUFFERS, &parts[i]), "upload"));
    return EM_OK;
}

em_status em__cuda_download(em_device *device, void *to, const void *from, size_t size)
{
    em__cuda *cuda = em__cuda_of(device);
    em__cuda_transfers *t = cuda->transfers;
    EM__TRY(em__cuda_whole(cuda));
    for (size_t at = 0; at < size; at += DOWN_BYTES) {
        size_t part = size - at < DOWN_BYTES ? size - at : DOWN_BYTES;
        EM__TRY(em__cuda_check(cuda, cudaEventSynchronize(t->staged[0]), "download"));
        EM__TRY(em__cuda_check(
            cuda, cudaMemcpyAsync(t->stage[0], (const char *)from + at, part, cudaMemcpyDeviceToHost, cuda->stream),
            "download"));
        EM__TRY(em__cuda_wait(device));
        memcpy((char *)to + at, t->stage[0], part);
    }
    return size ? EM_OK : em__cuda_wait(device);
}
