/* The dense modules behind the pooling: their weights. */
#include "core/alloc.h"
#include "core/error.h"
#include "io/file.h"
#include "models/modules.h"
#include "models/weights.h"

/* A folder with nothing but pytorch_model.bin has pickled weights. */
em_status em__checkpoint_open(const char *dir, em_safetensors **file)
{
    em_status status = em_safetensors_open(dir, NULL, file);
    if (status != EM_ERROR_NOT_FOUND)
        return status;
    char *pickled = em__path_join(dir, "pytorch_model.bin");
    if (!pickled)
        return EM_ERROR_OUT_OF_MEMORY;
    if (em__path_is_file(pickled))
        status = em__fail(EM_ERROR_UNSUPPORTED,
                          "%s: pickled weights are not read; convert the checkpoint to model.safetensors", pickled);
    em__free(pickled);
    return status;
}

static em_status load_dense(em__stage *stage, em_device *device)
{
    em__source from = {NULL, EM_F32, device};
    EM__TRY(em__checkpoint_open(stage->dir, &from.file));
    const em__wanted weight = {"linear.weight", stage->out, stage->in, "config.json", false};
    const em__wanted bias = {"linear.bias", stage->out, EM__VECTOR, "config.json", false};
    em_status status = em__tensor_load(&from, &weight, &stage->weight);
    if (status == EM_OK && stage->has_bias)
        status = em__tensor_load(&from, &bias, &stage->bias);
    em_safetensors_close(&from.file);
    return status;
}

em_status em__stages_load(em__modules *modules, int64_t hidden, em_device *device, int64_t *width)
{
    *width = hidden * modules->n_pools;
    for (size_t i = 0; i < modules->n_stages; i++) {
        em__stage *stage = &modules->stages[i];
        if (!stage->dir)
            continue;
        EM__FAIL_IF(stage->in != *width, EM_ERROR_FORMAT,
                    "%s/config.json: in_features is %lld, but the module before it gives %lld", stage->dir,
                    (long long)stage->in, (long long)*width);
        EM__TRY(load_dense(stage, device));
        *width = stage->out;
    }
    return EM_OK;
}
