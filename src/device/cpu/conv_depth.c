/* Depthwise convolutions (conv.h): a task is one output plane, row by row. */
#include "device/cpu/conv.h"

typedef struct depth_job {
    const em__conv_job *job;
    int64_t first, count;
} depth_job;

/* Planes in the order of the result: [image][group][output]. */
static void run_plane(void *context, int64_t index, int worker)
{
    const depth_job *depth = context;
    const em__conv_job *job = depth->job;
    const em__conv_axis *z = &job->axis[0], *y = &job->axis[1], *x = &job->axis[2];
    (void)worker;
    const int64_t outputs = job->groups * job->outputs, output = index % outputs, group = output / job->outputs;
    const int64_t image = index / outputs;
    const float *from;
    if (job->staged)
        from = job->stage + (group * depth->count + image) * job->plane;
    else if (job->batch_groups)
        from = job->input + (group * job->images + depth->first + image) * job->plane;
    else
        from = job->input + ((depth->first + image) * job->groups + group) * job->plane;
    float *to = job->out + ((depth->first + image) * outputs + output) * job->pixels;
    for (int64_t i = 0; i < z->out; i++)
        for (int64_t j = 0; j < y->out; j++, to += x->out)
            job->kernels->depth_row(to, from + i * z->pitch + j * y->pitch, job->weights + output * job->depth,
                                    job->reach, job->depth, x->out);
}

void em__conv_depth_run(const em__conv_job *job, int64_t first, int64_t count)
{
    depth_job depth = {job, first, count};
    em__pool_run(job->pool, run_plane, &depth, count * job->groups * job->outputs);
}
