/* Where the pixels of the images at work lie (conv.h): under the taps, and in the result. */
#include "device/cpu/conv.h"

#include "core/whole.h"

#define PANEL EM__GEMM_PANEL

/* Floats from one image of a group to its next, where panels are gathered from. */
static int64_t image_pitch(const em__conv_job *job)
{
    const int64_t image = job->channels * job->plane;
    return job->staged || job->batch_groups ? image : image * job->groups;
}

const float *em__conv_group_base(const em__conv_images *images, int64_t group)
{
    const em__conv_job *job = images->job;
    const int64_t image = job->channels * job->plane;
    if (job->staged)
        return job->stage + group * images->count * image;
    const int64_t at = job->batch_groups ? group * job->images + images->first : images->first * job->groups + group;
    return job->input + at * image;
}

int em__conv_find_runs(const em__conv_images *images, int64_t panel, em__conv_run_of *runs)
{
    const em__conv_job *job = images->job;
    const em__conv_axis *z = &job->axis[0], *y = &job->axis[1], *x = &job->axis[2];
    const int64_t pixel = panel * PANEL, pitch = image_pitch(job);
    const int columns = (int)em__min(images->pixels - pixel, PANEL);
    int n = 0;
    for (int column = 0; column < columns;) {
        const int64_t at_x = (pixel + column) % x->out, row = (pixel + column) / x->out;
        const int64_t at_z = row / y->out;
        const int64_t offset = at_z / z->out * pitch + at_z % z->out * z->pitch + row % y->out * y->pitch + at_x;
        const int count = (int)em__min(x->out - at_x, columns - column);
        if (n > 0 && runs[n - 1].offset + runs[n - 1].count == offset)
            runs[n - 1].count += count;
        else
            runs[n++] = (em__conv_run_of){offset, column, count};
        column += count;
    }
    return n;
}

float *em__conv_result_at(const em__conv_images *images, int64_t output, int64_t pixel)
{
    const em__conv_job *job = images->job;
    const int64_t image = images->first + pixel / job->pixels, outputs = job->outputs * job->groups;
    return job->out + (image * outputs + output) * job->pixels + pixel % job->pixels;
}
