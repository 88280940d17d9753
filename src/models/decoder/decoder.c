/* Opening and closing a decoder. */
#include "models/decoder/decoder.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"

static em_status open_decoder(em__decoder *d, const char *dir, const em_safetensors *file)
{
    EM__TRY(em__decoder_config_read(dir, &d->config));
    EM__TRY(em__decoder_weights_load(file, &d->config, d->device, &d->weights));
    size_t caches = EM__CACHE_PARTS * (size_t)d->config.layers;
    d->periods = em__calloc((size_t)d->config.rope.dims / 2, sizeof *d->periods);
    d->inputs = em__calloc(caches + EM__FEED_COUNT, sizeof *d->inputs);
    d->outputs = em__calloc(caches + 1, sizeof *d->outputs);
    return d->periods && d->inputs && d->outputs ? EM_OK : EM_ERROR_OUT_OF_MEMORY;
}

em__decoder *em__decoder_open(const char *dir, const em_safetensors *file, em_device *device, em_model_lane lane,
                              bool profile)
{
    em__decoder *d = em__calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->device = device;
    d->lane = lane;
    d->profile = profile;
    pthread_mutex_init(&d->lock, NULL);
    if (open_decoder(d, dir, file) == EM_OK)
        return d;
    em__decoder_close(d);
    return NULL;
}

void em__decoder_close(em__decoder *d)
{
    if (!d)
        return;
    while (d->n_programs > 0)
        em_program_free(d->programs[--d->n_programs].program);
    em__decoder_ahead_free(d);
    em__decoder_weights_free(&d->config, &d->weights);
    em__decoder_config_free(&d->config);
    em__free(d->periods);
    em__free(d->inputs);
    em__free(d->outputs);
    pthread_mutex_destroy(&d->lock);
    em__free(d);
}
