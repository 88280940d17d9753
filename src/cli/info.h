/* What `emily info` knows about a checkpoint, also about one that does not open as a model. */
#ifndef EMILY_CLI_INFO_H
#define EMILY_CLI_INFO_H

#include <emily/model.h>
#include <emily/safetensors.h>

#include "core/str.h"

typedef struct cli_facts {
    const char *name, *path, *architecture; /* name: as it was given */
    const em_model *handle;                 /* for its prompts; NULL when the model did not open */
    em_model_info model;                    /* all zero when the model did not open */
    const em_safetensors *file;             /* NULL when its weights cannot be read */
    size_t parameters, bytes, files;
    const char *dtype;   /* "f32", or "mixed" */
    const char *missing; /* why it did not open; NULL: it did */
    char device[160];    /* "cpu: AVX-512 (VNNI), 2 threads" */
    double milliseconds; /* of a text of 16 tokens; 0: not measured */
} cli_facts;

bool cli_is_decoder(const em_model_info *model);

/* Counts parameters, bytes, files and dtype from the tensors. */
void cli_facts_count(cli_facts *facts);

em_status cli_facts_human(em__str *out, const cli_facts *facts, bool tensors);
em_status cli_facts_json(em__str *out, const cli_facts *facts, bool tensors);

#endif
