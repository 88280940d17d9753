/*
 * An open model: what the files said, the weights, and the programs made so far. Everything but the programs is
 * constant after em_model_open. Callers on several threads share it; `lock` guards `programs` and the runs themselves.
 */
#ifndef EM_MODELS_MODEL_H
#define EM_MODELS_MODEL_H

#include <pthread.h>
#include <stdatomic.h>

#include <emily/model.h>
#include <emily/program.h>
#include <emily/safetensors.h>

#include "core/cause.h"
#include "models/batch.h"
#include "models/family.h"
#include "models/modules.h"

/* What is computed from a batch. Together with the batch's rounded size it is the key of a program. */
typedef struct em__task {
    size_t tokens, segments;
    int pooling;       /* em_pool + 1; 0: as the checkpoint says; EM__NO_POOLING: the last hidden state */
    int normalize;     /* 0: as the checkpoint says, 1: yes, -1: no */
    bool skip_prompt;  /* pool behind the cuts of the batch */
    size_t dimensions; /* elements of a sentence vector that are kept; 0: as the checkpoint says */
} em__task;

#define EM__NO_POOLING (-1)

/* Programs, most recently used first. Bounded in number and in working memory: old ones go. */
enum { EM__MAX_PROGRAMS = 64 };
#define EM__MAX_PROGRAM_BYTES ((size_t)64 << 20)

typedef struct em__program_entry {
    em__task task;
    em_program *program;
} em__program_entry;

typedef struct em__programs {
    em__program_entry entries[EM__MAX_PROGRAMS];
    size_t count;
    size_t compiled; /* since the model was opened */
} em__programs;

struct em__decoder;

/* An encoder, or a decoder: then `decoder` is set, there is no `family` and nothing in `weights`, and `config` says how
 * tokens are laid into a batch, and sizes. */
struct em_model {
    atomic_int refs; /* the caller's, and one a generation */
    char *path;
    struct em__decoder *decoder;
    em_device *device;
    em_model_lane lane;
    em_dtype dtype;
    bool profile, raw_weights, exact;
    const em__family *family;
    em__config config;
    em__modules modules;   /* empty where there are no vectors */
    bool vectors;          /* sentence vectors can be had: of an encoder always */
    em__error *no_vectors; /* why not, of a decoder whose modules can't be used; NULL: it has none, or they can */
    int64_t width;         /* of a sentence vector as the last stage gives it */
    em_safetensors *file;
    em__weights weights;
    em_tokenizer *tokenizer;           /* a decoder's is read at first use, under `lock` */
    size_t positions;                  /* tokens of the longest sequence that there are positions for */
    size_t max_tokens[EM__TASK_COUNT]; /* of a text as the checkpoint says, by its task, special tokens included;
                                          `positions` at most */
    bool truncate_left;                /* a longer text is cut at its beginning */
    em_model_info info;
    pthread_mutex_t lock;
    em__programs programs;
};

/* For a NULL model: the error that made it NULL stays, or one is set. Returns its status. */
em_status em__no_model(void);

/* One more owner; em_model_close takes one away. */
em_model *em__model_retain(em_model *model);

/* Fails, naming `what` was asked, when the model is NULL or gives no vectors, or does not generate. */
em_status em__need_vectors(const em_model *model, const char *what);
em_status em__need_decoder(const em_model *model, const char *what);

/* Where config.json, weights and tokenizer are. */
const char *em__model_dir(const em_model *model);

/* Fills model->info once all is read; and what is found out when somebody asks, of a decoder. (describe.c) */
void em__model_describe(em_model *model);
em_status em__model_describe_late(const em_model *model, em_model_info *info);

/* nan.c: whether one of n values is NaN; and the failure of `what` ("score: the logits are") that came out so, which
 * names the first weight that is no number, or how to find the op. */
bool em__has_nan(const float *values, size_t n);
em_status em__model_fail_nan(const em_model *model, const char *what);

/* The first element of so many bytes that is NaN or infinite; -1: all are numbers, or the dtype has no others. */
int64_t em__first_no_number(em_dtype dtype, const void *data, size_t bytes);

/* The failure of a tensor of `path` whose `element` is such; errors of such weights end with the advice. */
em_status em__fail_no_number(const char *path, const char *tensor, int64_t element);
#define EM__NO_NUMBER_ADVICE "the file is damaged or was made so: fetch it again, or convert it again"

/* em_model_tokenizer with its reason: EM_ERROR_NOT_FOUND when the checkpoint has no tokenizer.json. */
em_status em__model_tokenizer(const em_model *model, const em_tokenizer **tokenizer);
const em_tokenizer *em__model_tokenizer_if_read(const em_model *model); /* NULL: nobody wanted it yet */

/* Width of a row of the task's result; its rows are task->tokens or task->segments. */
int64_t em__task_width(const em_model *model, const em__task *task);
int64_t em__task_whole_width(const em_model *model, const em__task *task); /* before dimensions are cut off */

/* The task on arrays, in any lane: f32 [rows, width]. `cuts` as in em__batch. (task.c) */
em_array *em__task_build(em_scope *s, const em_model *model, const em__task *task, const em__tokens *tokens,
                         em_array *cuts);

/* A batch has so many tokens at least, or is filled up to them: fewer would be computed in another way, with other
 * bits. (run.c) */
size_t em__model_least_tokens(const em_model *model);

/* Runs the task, whose size is the batch's, into `out` (rows x width floats). Takes the model's lock. (run.c) */
em_status em__model_run(em_model *model, const em__task *task, const em__batch *batch, float *out);

/* The same in two parts, for a lane that compiles: the batch as arrays of the scope, owned by it, and a run on them
 * whose result the caller owns and need not wait for. */
enum { EM__TASK_INPUTS = 5 };
em_status em__task_inputs(em_scope *s, const em__task *task, const em__batch *batch, em_array **inputs);
em_status em__model_run_arrays(em_model *model, const em__task *task, em_array *const *inputs, em_array **out);
void em__programs_clear(em__programs *programs);

/* An array over `rows` x `width` floats that the caller then fills through *data; NULL on failure. (run.c) */
em_array *em__result_new(size_t rows, size_t width, float **data);

#endif
