/* Depthwise convolutions (conv.h): a task is one channel of an image, staged where it stays in the first caches, and
 * the output planes that come of it, row by row. */
#include "device/cpu/conv.h"

static void run_plane(const em__conv_job *job, const float *from, const float *weights, float *to)
{
    const em__conv_axis *z = &job->axis[0], *y = &job->axis[1], *x = &job->axis[2];
    for (int64_t i = 0; i < z->out; i++)
        for (int64_t j = 0; j < y->out; j++, to += x->out)
            job->kernels->depth_row(to, from + i * z->pitch + j * y->pitch, weights, job->reach, job->depth, x->out);
}

/* Channels in the order of the result: [image][group]. */
static void run_channel(void *context, int64_t index, int worker)
{
    const em__conv_job *job = context;
    const int64_t image = index / job->groups, group = index % job->groups;
    const int64_t size = job->axis[0].in * job->axis[1].in * job->axis[2].in;
    const float *from = job->input + (job->batch_groups ? group * job->images + image : index) * size;
    if (job->staged) {
        float *stage = em__pool_scratch(job->pool, worker);
        em__conv_stage_plane(job, from, stage);
        from = stage;
    }
    for (int64_t i = 0; i < job->outputs; i++) {
        const int64_t output = group * job->outputs + i;
        run_plane(job, from, job->weights + output * job->depth,
                  job->out + (image * job->groups * job->outputs + output) * job->pixels);
    }
}

void em__conv_depth_run(const em__conv_job *job)
{
    em__pool_run(job->pool, run_channel, (void *)job, job->images * job->groups);
}
