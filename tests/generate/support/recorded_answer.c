/* Answers of the recorded decoders to one prompt. */
#include "generate/support/recorded_answer.h"

#include <stdio.h>
#include <string.h>

#include "harness/expect.h"
#include "harness/golden.h"

const int32_t prompt[PROMPT_LENGTH] = {5, 17, 100, 3, 42, 42, 7, 99, 12, 60, 5, 17, 100};

em_model *open_model(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "decoders/%s", name);
    em_model *model = em_model_open(golden_path(path), NULL);
    if (!model)
        fail_msg("%s", em_last_error());
    return model;
}

em_generation *begin(em_model *model, em_generation_options options)
{
    options.struct_size = sizeof options;
    em_generation *g = em_generation_new(model, &options);
    if (!g)
        fail_msg("%s", em_last_error());
    return g;
}

size_t answer(em_generation *g, const int32_t *ids, size_t n, int32_t *out)
{
    size_t length;
    EXPECT_OK(em_generate_ids(g, ids, n));
    const int32_t *written = em_generation_ids(g, 0, &length);
    memcpy(out, written, length * sizeof *out);
    return length;
}
