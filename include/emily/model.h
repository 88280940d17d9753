/*
 * Models: from a checkpoint directory to answers.
 *
 * A NULL model passes through every call: the first error is the one reported, at the end, with its cause.
 */
#ifndef EMILY_MODEL_H
#define EMILY_MODEL_H

#include <emily/array.h>
#include <emily/ops.h>
#include <emily/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_model em_model;

typedef enum em_model_lane { EM_LANE_FUSE, EM_LANE_NATIVE, EM_LANE_EAGER } em_model_lane;

typedef struct em_model_options {
    size_t struct_size;
    em_device *device;  /* NULL: the default */
    em_model_lane lane; /* fuse */
    em_dtype dtype;     /* of weights and arithmetic; EM_PRED (0) means f32 */
    bool profile;       /* keep counts and times per kernel, for em_model_profile */
    /* Leave weights as they lie in the file. Otherwise the first run packs them, large bf16 ones into 3/4 of their
     * bytes: a short answer comes later, every further token sooner, with the same bits. A decoder whose files are
     * larger than this machine's memory is never packed. */
    bool raw_weights;
    bool exact; /* f32 stays f32 in products. Otherwise a decoder in the fuse lane rounds activations to bf16 where they
                 * meet bf16 or quantized weights, and what codes stand for: a generation in forwards of 64 new tokens
                 * and more, on a GPU of 16 and more, vectors always (em_compile_options.half_products) */
} em_model_options;

/* Opens a directory, a Hugging Face cache entry or a hub name (never downloads: `em_hub_pull` does). Weights are
 * mapped, not copied. NULL on failure, with em_last_error(). `options` may be NULL. Any thread. */
EM_API em_model *em_model_open(const char *name, const em_model_options *options);

/* Frees the model and sets *model to NULL. Arrays and generations that came from it stay valid. NULL is fine. */
EM_API void em_model_close(em_model **model);

/* What a text is for, as by encode, encode_query and encode_document of sentence-transformers: a checkpoint may have a
 * prompt "query", a prompt "document", and a length of each (query_length, document_length). */
typedef enum em_task { EM_TASK_ANY, EM_TASK_QUERY, EM_TASK_DOCUMENT } em_task;

typedef struct em_embed_options {
    size_t struct_size;
    const char *prompt;      /* put before each text ("query: "); NULL: the model's default prompt, "" for none */
    const char *prompt_name; /* a prompt of config_sentence_transformers.json by its name; NULL: its default */
    int pooling;             /* em_pool + 1; 0: as the checkpoint says */
    int normalize;           /* 0: as the checkpoint says, 1: yes, -1: no */
    size_t max_tokens;       /* where longer texts are cut, as sentence-transformers does, at most what the model has
                              * positions for; 0: as the checkpoint says, which may be less */
    size_t batch_tokens;     /* tokens computed at a time; 0: a good default */
    bool (*progress)(size_t done, size_t total, void *user); /* false cancels: EM_ERROR_CANCELLED */
    void *user;
    size_t *truncated; /* set to how many texts were cut; NULL: not wanted */
    size_t dimensions; /* keep so many leading elements of a vector: of one trained so (Matryoshka) they are a vector
                        * too. Cut as sentence-transformers does, behind the checkpoint's own unit length; normalize 1
                        * makes what is left unit length. 0: as the checkpoint says */
    em_task task;      /* without prompt and prompt_name: the prompt of that name, or none, instead of the default;
                        * without max_tokens: the length of that task, if the checkpoint has one */
} em_embed_options;

/* One vector a text, in order: f32 [n, width], owned by the caller. The vector of a text does not depend on the others:
 * on `cpu` it has the same bits, on a GPU it is the same but for rounding (docs/cuda.md). `options` may be NULL. Any
 * thread; calls on one model take turns.
 *
 * NULL on failure, with em_last_error(). EM_ERROR_INVALID_ARGUMENT: an option, which the text names, or NULL texts.
 * EM_ERROR_NOT_FOUND: there is no prompt of that name. EM_ERROR_UNSUPPORTED: a decoder without modules.json, or with
 * one that can't be used.
 * EM_ERROR_FORMAT: a NaN in a vector. EM_ERROR_CANCELLED: progress returned false. EM_ERROR_OUT_OF_MEMORY; those of
 * em_tokenizer_encode. */
EM_API em_array *em_embed(em_model *model, const char *const *texts, size_t n, const em_embed_options *options);

/* The same for texts with lengths (they may hold NUL). */
EM_API em_array *em_embed_n(em_model *model, const char *const *texts, const size_t *lengths, size_t n,
                            const em_embed_options *options);

/* Forward alone, on token ids: `ids` are packed, sequence i is ids[offsets[i] .. offsets[i + 1] - 1]. Result: f32
 * [offsets[n], hidden], the last hidden state, owned by the caller. Special tokens are the caller's affair. `type_ids`
 * may be NULL: all 0. NULL on failure: EM_ERROR_INVALID_ARGUMENT for n 0, offsets that do not ascend from 0, a sequence
 * longer than the model takes, or an id that it lacks; otherwise as em_embed. Any thread; calls take turns. */
EM_API em_array *em_model_hidden(em_model *model, const int32_t *ids, const int32_t *type_ids, const int32_t *offsets,
                                 size_t n);

/* How two sentence vectors are compared; the larger, the nearer. Distances are negative. */
typedef enum em_similarity {
    EM_SIMILARITY_COSINE,
    EM_SIMILARITY_DOT,
    EM_SIMILARITY_EUCLIDEAN,
    EM_SIMILARITY_MANHATTAN
} em_similarity;

/* "cosine", "dot", "euclidean", "manhattan", as sentence-transformers calls them; "?" for another. */
EM_API const char *em_similarity_name(em_similarity similarity);

/* The similarity of a and b, of n elements, summed in double; NaN when one is NULL and n is not 0. The cosine of a
 * vector of zeros is 0. Any thread. */
EM_API double em_similarity_f32(em_similarity similarity, const float *a, const float *b, size_t n);

/* What the checkpoint is. Strings and pointers live as long as the model. */
typedef struct em_model_info {
    size_t struct_size; /* sizeof(em_model_info), set by the caller */
    const char *path;
    const char *architecture; /* "BertModel" */
    const char *family;       /* "bert" */
    size_t parameters, weight_bytes, weight_files, tensors;
    em_dtype dtype; /* as stored */
    int layers, hidden, heads, intermediate, positions, vocabulary;
    int kv_heads, head_dim;
    size_t token_bytes;                  /* of a decoder: weights that are read for each token */
    int quantized_bits, quantized_group; /* of the first layer's weights; 0: dense */
    size_t max_tokens;                   /* of a text, special tokens included */
    em_pool pooling;
    bool normalize;
    bool plain; /* there is no modules.json: mean pooled, as sentence-transformers does then */
    int width;  /* of a sentence vector, as much as the checkpoint keeps of it; 0: there are none */
    size_t prompts;
    const char *can;          /* "embed, search, tokenize" */
    const em_pool *poolings;  /* all ways of pooling, `pooling` first: vectors are these, one behind the other */
    size_t n_poolings;        /* of a model without vectors 0 */
    bool truncate_left;       /* longer texts are cut at their beginning */
    int whole_width;          /* `width`, or more where the checkpoint cuts vectors to `width` (truncate_dim) */
    em_similarity similarity; /* of its sentence vectors, by similarity_fn_name of config_sentence_transformers.json */
    bool generates;           /* a decoder with a language model's head */
    size_t query_tokens, document_tokens; /* max_tokens of a text for that task */
} em_model_info;
/* Fills as much of `info` as its struct_size says; EM_ERROR_INVALID_ARGUMENT when that was not set. */
EM_API em_status em_model_get_info(const em_model *model, em_model_info *info);

/* The i-th prompt's name and text, borrowed from the model; false past the last. `is_default` may be NULL. */
EM_API bool em_model_prompt(const em_model *model, size_t index, const char **name, const char **text,
                            bool *is_default);

/* The model's tokenizer; borrowed. NULL for a NULL model, or with em_last_error() when a decoder's can't be read. */
EM_API const em_tokenizer *em_model_tokenizer(const em_model *model);

/* Times the forward of `batch` sequences of `tokens` tokens each, `runs` times after warm-up, into `milliseconds`
 * [runs], each run's own. Without tokenizer and pooling. EM_ERROR_INVALID_ARGUMENT for sizes that the model does not
 * take, EM_ERROR_UNSUPPORTED for one without vectors, EM_ERROR_OUT_OF_MEMORY. Any thread; calls take turns. */
EM_API em_status em_model_bench(em_model *model, size_t batch, size_t tokens, size_t runs, double *milliseconds);

/* The kernels of the most recent forward (see em_program_describe). EM_ERROR_INVALID_ARGUMENT when nothing was run yet,
 * EM_ERROR_UNSUPPORTED in the eager lane, which has no program. Any thread; `emit` must not use the model. */
EM_API em_status em_model_profile(em_model *model, void (*emit)(const char *line, void *user), void *user);

#ifdef __cplusplus
}
#endif
#endif
