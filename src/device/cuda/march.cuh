/*
 * Many jobs of a decoder's step for one token by one kernel: products of one row by weights of one kind, bf16 or codes
 * of 4 bits (gemv.cuh), and attention (step_attend.cuh), one after the other, a block on each multiprocessor.
 *
 * Blocks hand results on by mail: a float and the number of its job in eight bytes, written and read as one. A block
 * reads what it needs until the number is there, so that nothing waits for more than its own operands, and weights of
 * the jobs to come flow into shared memory meanwhile. A job's mail lies in box (job mod EM_MARCH_BOXES): it may be read
 * for EM_MARCH_BOXES - 1 jobs, for whoever writes a box again has mail of a job between, to which every reader gave
 * its share. What jobs leave goes to memory too, but q, k and v, of which only attention hears.
 *
 * All blocks run at the same time (a cooperative launch). Numbers count on from launch to launch, so boxes need not be
 * cleared; the last block to leave sets the next launch's.
 */
#ifndef EM_DEVICE_CUDA_MARCH_CUH
#define EM_DEVICE_CUDA_MARCH_CUH

#include "device/cuda/gemv.cuh"
#include "device/cuda/step_attend.cuh"

enum {
    EM_MARCH_BOXES = 4,
    EM_MARCH_BOX = 1 << 16,      /* letters */
    EM_MARCH_PARTIALS = 1 << 18, /* letters between blocks of one head */
    EM_MARCH_JOBS = 184,         /* of one launch: as many as its parameters hold */
    EM_MARCH_WARPS = 8,          /* that compute */
    EM_MARCH_MOST = 192,         /* rows of a tile */
    EM_MARCH_TURN = 128,         /* elements of a head */
    EM_MARCH_SLOTS = 32,         /* at most */
};

typedef struct em__march_job {
    union {
        em__gemv gemv;
        em__step_attend attend;
    };
    bool attends;
    bool heard;                   /* later jobs read its result */
    int8_t x_from, residual_from; /* x, the residual is mail of so many jobs before; 0: it lies in memory */
} em__march_job;

/* What blocks share, one for a device; numbers are zero at first. */
typedef struct em__march_desk {
    float products[EM_MARCH_BOX]; /* of a stretch that runs by two kernels */
    uint64_t boxes[EM_MARCH_BOXES][EM_MARCH_BOX];
    uint64_t partials[EM_MARCH_PARTIALS];
    uint32_t number, left; /* of the last job of the launch before; blocks that have left */
} em__march_desk;

typedef struct em__march {
    em__march_desk *desk;
    int n, parts;  /* jobs; blocks for a head of keys, at most */
    int slots;     /* of weights */
    int ring;      /* bytes of all slots */
    int attention; /* a job that is; all turn by the same angles */
    em__march_job jobs[EM_MARCH_JOBS];
} em__march;

/* Whether there is a kernel for lists with this attention and these products. Looks at no data. */
bool em__march_takes(const em__cuda *cuda, const em__step_attend *attend, const em__gemv *products);

/* Whether the job can follow those in the list. */
bool em__march_follows(const em__cuda *cuda, const em__march *march, const em__march_job *job);

/* Asks for the launch; the list has attention. */
em_status em__march_run(em__cuda *cuda, em__march *march);

#endif
