/*
 * Many jobs of a decoder's step for one token by one kernel: products of one row by weights of one kind, bf16 or codes
 * of 4 bits (gemv.cuh), and attention (step_attend.cuh), one after the other, a block on each multiprocessor.
 *
 * Blocks hand results on by mail: floats that lie where there was EM_MARCH_NONE before. A block reads what it needs
 * until it is there, so that nothing waits for more than its own operands, and weights of the jobs to come flow into
 * shared memory meanwhile. Each job has a box of its own. Launches take turns with two sets of boxes: each clears those
 * that the one before has left. What jobs leave goes to memory too, but q, k and v, of which only attention hears.
 * What the blocks of a head tell each other goes by letters of eight bytes, a float and the number of its job, written
 * and read as one: numbers count on from launch to launch, so these need not be cleared.
 *
 * All blocks run at the same time (a cooperative launch); the last to leave prepares the next launch.
 */
#ifndef EM_DEVICE_CUDA_MARCH_CUH
#define EM_DEVICE_CUDA_MARCH_CUH

#include "device/cuda/gemv.cuh"
#include "device/cuda/step_attend.cuh"

enum {
    EM_MARCH_PRODUCTS = 1 << 16, /* floats of a stretch's products, at most */
    EM_MARCH_BACK = 4,           /* mail is of fewer jobs before */
    EM_MARCH_MAIL = 1 << 20,     /* floats of all boxes */
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
    int box;                      /* where its mail begins; filled by em__march_run */
} em__march_job;

#define EM_MARCH_NONE 0xffffffffu /* a NaN that is never sent */

/* What blocks share, one for a device: mail is EM_MARCH_NONE at first, the rest zero. */
typedef struct em__march_desk {
    float mail[2][EM_MARCH_MAIL];      /* of even and odd launches */
    float products[EM_MARCH_PRODUCTS]; /* of a stretch that runs by two kernels */
    uint64_t partials[EM_MARCH_PARTIALS];
    uint32_t number, launch; /* of the last job of the launch before; of this launch */
    uint32_t left, written;  /* blocks that have left; floats of the boxes of the launch before */
} em__march_desk;

typedef struct em__march {
    em__march_desk *desk;
    int n, parts;  /* jobs; blocks for a head of keys, at most */
    int slots;     /* of weights */
    int ring;      /* bytes of all slots */
    int attention; /* a job that is; all turn by the same angles */
    int mail;      /* floats of all boxes */
    em__march_job jobs[EM_MARCH_JOBS];
} em__march;

/* Elements of its result. */
static inline int em_march_results(const em__march_job *job)
{
    return job->attends     ? job->attend.heads * job->attend.size
           : job->gemv.pair ? job->gemv.end[0]
                            : em_gemv_rows(job->gemv);
}

/* Whether there is a kernel for lists with this attention and these products. Looks at no data. */
bool em__march_takes(const em__cuda *cuda, const em__step_attend *attend, const em__gemv *products);

/* Whether the job can follow those in the list. */
bool em__march_follows(const em__cuda *cuda, const em__march *march, const em__march_job *job);

/* Whether all blocks of the list's kernel can run at the same time; it has attention. Under MPS they may not. */
bool em__march_fits(const em__cuda *cuda, const em__march *march);

/* Asks for the launch; the list has attention. */
em_status em__march_run(em__cuda *cuda, em__march *march);

#endif
