/*
 * Generation: a prompt in, text out, token by token.
 *
 *     static bool print(const em_token *t, void *user) { fwrite(t->text, 1, t->length, stdout); return true; }
 *     const em_generation_options options = {sizeof options, .max_tokens = 200, .on_token = print};
 *     em_generation *g = em_generation_new(model, &options);
 *     em_status status = em_generate(g, "Why is the sky blue?");
 *     em_generation_free(g);
 *
 * A generation keeps what it has computed (the cache of keys and values): the next prompt begins where it agrees with
 * what was read and written before, so that a conversation is not read again at every turn. Equal options, prompt and
 * seed give equal text, on any number of threads.
 *
 * One thread at a time uses a generation, but for em_generation_cancel; several generations may share a model. From
 * on_token and on_prompt only what asks about a generation may be called, and em_generation_cancel.
 */
#ifndef EMILY_GENERATION_H
#define EMILY_GENERATION_H

#include <emily/model.h>
#include <emily/template.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_generation em_generation;

/* Why a sequence ended. */
typedef enum em_finish {
    EM_FINISH_NONE,     /* it goes on */
    EM_FINISH_STOP,     /* a token that ends answers, a stop id, or a stop string */
    EM_FINISH_LENGTH,   /* max_tokens */
    EM_FINISH_CONTEXT,  /* the context is full */
    EM_FINISH_CANCELLED /* em_generation_cancel, or on_token said so */
} em_finish;

/* "none", "stop", "length", "context", "cancelled"; "?" for another value. Static. */
EM_API const char *em_finish_name(em_finish finish);

typedef struct em_token_score {
    int32_t id;
    float logprob;
} em_token_score;

/* A token as it comes. Pointers are good during the call. */
typedef struct em_token {
    int32_t id;
    const char *text; /* what can be shown now, UTF-8, NUL-terminated: never half a character, never a part of a stop
                         string; often more or less than this one token. "" where the model's tokenizer was not read */
    size_t length;    /* bytes of text */
    size_t sequence, index;    /* which sequence, which token of its answer; index counts from 0 */
    float logprob;             /* with logprobs: of this token */
    const em_token_score *top; /* with top_logprobs: the most likely tokens, best first */
    size_t n_top;
    em_finish finish; /* of the sequence, with this token */
} em_token;

typedef struct em_logit_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY forbids the token */
} em_logit_bias;

typedef enum em_overflow {
    EM_OVERFLOW_STOP,  /* the answer ends when the context is full, and a longer prompt is an error */
    EM_OVERFLOW_ROTATE /* the oldest tokens behind the first `keep` are forgotten, one by one; of a longer prompt the
                          first `keep` and the newest that fit are read */
} em_overflow;

/* All zero: greedy, to the end of the answer or of the context. */
typedef struct em_generation_options {
    size_t struct_size;
    size_t max_tokens; /* of an answer; 0: no limit but the context */

    /* Sampling. Steps in this order: bias, penalties, temperature, top_k, top_p, min_p, then a draw. */
    float temperature; /* 0: greedy, the most likely token, the lowest id of equals; the next three are then unused */
    int top_k;         /* the k most likely; 0: all */
    float top_p;       /* the most likely that together reach p, at least one; 0 or 1: all */
    float min_p;       /* those at least this times as likely as the best; 0: all */
    float repetition_penalty; /* logits of tokens seen, prompt included: divided by it when positive, multiplied when
                                 negative (Keskar et al., arXiv 1909.05858); 0 or 1: none */
    float presence_penalty;   /* subtracted from logits of tokens in the answer */
    float frequency_penalty;  /* subtracted once for each time the token is in the answer */
    const em_logit_bias *logit_bias; /* copied */
    size_t n_logit_bias;
    uint64_t seed; /* sequence i of a call draws from the seed and i alone */

    /* Ends. The tokens that config.json and generation_config.json name end an answer, unless ignore_eos. */
    bool ignore_eos;
    const int32_t *stop_ids; /* copied */
    size_t n_stop_ids;
    const char *const *stop; /* strings that end an answer and are not part of it; copied */
    size_t n_stop;

    /* What is reported. */
    bool logits; /* em_generation_logits will be called; without it a device with memory of its own may choose tokens
                    itself, some ahead, and hand out no logits */
    bool logprobs;
    int top_logprobs;                                    /* at most 64 */
    bool show_special;                                   /* texts of special tokens too */
    bool (*on_token)(const em_token *token, void *user); /* false cancels that sequence; NULL: nobody listens */
    void *user;

    /* Memory. */
    size_t sequences;     /* answers to each prompt; 0 means 1 */
    size_t context;       /* tokens that are remembered; 0: what the model was made for, max_position_embeddings */
    em_dtype cache_dtype; /* f32, bf16, f16, or s8 (codes of 8 bits and a scale a row); EM_PRED (0): f32 for an f32
                             checkpoint, otherwise its half type */
    em_overflow overflow;
    size_t keep;          /* tokens at the beginning that EM_OVERFLOW_ROTATE keeps */
    size_t prefill_chunk; /* tokens of a prompt computed at a time; 0: 512, on a GPU 2,048 */
    size_t speculate;     /* guess so many tokens from what stands in the text already and check them in one step, with
                             the same result; greedy and one sequence only. 0: no */

    /* While prompts are read: before the first chunk and after each, with `user`. `done` of the `total` tokens are
     * read; those found in the cache don't count. false cancels the call: EM_ERROR_CANCELLED, and what was read serves
     * the next prompt. NULL: nobody listens. What may be called in it is what on_token may call. */
    bool (*on_prompt)(size_t done, size_t total, void *user);
} em_generation_options;

/* Sets temperature, top_k, top_p, min_p and repetition_penalty as the checkpoint's generation_config.json recommends:
 * temperature 0 when it does not sample. The rest stays, struct_size too. EM_ERROR_INVALID_ARGUMENT for NULL,
 * EM_ERROR_UNSUPPORTED for a model that does not generate. */
EM_API em_status em_generation_recommended(const em_model *model, em_generation_options *options);

/* A generation with `model`, which may be closed before it. NULL on failure, with em_last_error(),
 * which calls with that NULL leave as it is: EM_ERROR_INVALID_ARGUMENT names the option; EM_ERROR_UNSUPPORTED for a
 * model that does not generate. The caller frees it. */
EM_API em_generation *em_generation_new(em_model *model, const em_generation_options *options);
EM_API void em_generation_free(em_generation *generation); /* NULL is fine */

/* Other options for the next prompts; context, cache_dtype, overflow and keep can't change.
 * EM_ERROR_INVALID_ARGUMENT, and the old ones stay, for wrong ones and while an answer is being written. */
EM_API em_status em_generation_set_options(em_generation *generation, const em_generation_options *options);

/* ---- whole answers ---- */

/* Reads the text as it stands (special tokens of the tokenizer's own template are added) and writes to the end.
 * EM_ERROR_CANCELLED after em_generation_cancel; what was written until then stays readable. EM_ERROR_NOT_FOUND: the
 * checkpoint has no tokenizer; otherwise the errors of em_generation_start. */
EM_API em_status em_generate(em_generation *generation, const char *prompt);

/* The same from token ids; needs no tokenizer. There is text when em_model_tokenizer or em_generate has read it. */
EM_API em_status em_generate_ids(em_generation *generation, const int32_t *ids, size_t n);

/* ---- conversations ---- */

typedef struct em_message {
    const char *role; /* "system", "user", "assistant" */
    const char *content;
} em_message;

/* Renders the conversation with the checkpoint's chat template, opens the model's answer, and writes it to the end.
 * What the last call read and wrote is not read again where the conversation goes on from it. EM_ERROR_NOT_FOUND: the
 * checkpoint has no chat template. EM_ERROR_INVALID_ARGUMENT also when the template refuses the messages. */
EM_API em_status em_generation_chat(em_generation *generation, const em_message *messages, size_t n);

/* The same with all that a template takes: JSON messages, tools, variables (template.h); add_generation_prompt is as
 * given. */
EM_API em_status em_generation_chat_with(em_generation *generation, const em_chat_options *chat);

/* ---- step by step ---- */

typedef struct em_prompt {
    const int32_t *ids;
    size_t length; /* at least 1 */
} em_prompt;

/* Reads prompts, of any lengths, each for `sequences` answers: sequence i answers prompts[i / sequences]. Then each
 * em_generation_step writes one token a sequence that has not ended. EM_ERROR_INVALID_ARGUMENT for ids outside the
 * vocabulary, for a prompt that does not fit the context or is the generation's own memory, and for more than 4,096
 * sequences: the last answer then stays. After another failure nothing goes on; what was read serves the next one. */
EM_API em_status em_generation_start(em_generation *generation, const em_prompt *prompts, size_t n);

/* One more token (or several) for each sequence; *going: any has not ended. EM_ERROR_FORMAT where logits are NaN, also
 * those that a device chose from. */
EM_API em_status em_generation_step(em_generation *generation, bool *going);

/* Ends the present call within one token or one chunk of a prompt: it returns EM_ERROR_CANCELLED. A cancel between
 * calls ends the next step; a new prompt forgets it. Any thread, also a signal handler. */
EM_API void em_generation_cancel(em_generation *generation);

/* ---- what was written ---- */

/* Of the present or latest call; 0 before the first, and for NULL. */
EM_API size_t em_generation_sequences(const em_generation *generation);

/* The answer so far: ids, and text ("" without a tokenizer) of which `length` bytes can be shown; while the answer is
 * being written more may follow that a stop string would take back. Owned by the generation, valid until the next
 * step. `length` may be NULL. Past the last sequence NULL. */
EM_API const int32_t *em_generation_ids(const em_generation *generation, size_t sequence, size_t *length);
EM_API const char *em_generation_text(const em_generation *generation, size_t sequence, size_t *length);
/* EM_FINISH_NONE also past the last. */
EM_API em_finish em_generation_finish(const em_generation *generation, size_t sequence);

/* The logits that the newest token of the sequence was chosen from, before bias and penalties: f32 [vocabulary], valid
 * until the next step. NULL before the first, when the newest step wrote nothing for it, past the last sequence, and
 * where options.logits is false and the device chose the token. */
EM_API const float *em_generation_logits(const em_generation *generation, size_t sequence);

typedef struct em_generation_stats {
    size_t struct_size;   /* sizeof(em_generation_stats), set by the caller */
    size_t prompt_tokens; /* of the latest prompts: those that an answer sees */
    size_t reused_tokens; /* of them found in the cache */
    size_t tokens;        /* written since the start */
    double prompt_seconds, token_seconds;
    size_t cache_bytes; /* keys and values, allocated */
    em_dtype cache_dtype;
    size_t guessed, accepted; /* by speculation */
} em_generation_stats;
/* EM_ERROR_INVALID_ARGUMENT for NULL, or a struct_size that is none. */
EM_API em_status em_generation_get_stats(const em_generation *generation, em_generation_stats *stats);

/* Forgets what was read and written; keeps the memory. */
EM_API void em_generation_reset(em_generation *generation);

/* ---- sessions ---- */

/* Writes the first sequence's tokens and cache to `path`, whole or not at all; reads them back into a generation with
 * the same model and cache_dtype, for the next prompt to go on from: until then there is no answer. On failure of a
 * load what was there may be gone. EM_ERROR_INVALID_ARGUMENT: nothing to save. EM_ERROR_UNSUPPORTED: the cache has
 * rotated. EM_ERROR_FORMAT: the file belongs to another model, or is broken. */
EM_API em_status em_generation_save(const em_generation *generation, const char *path);
EM_API em_status em_generation_load(em_generation *generation, const char *path);

/* ---- scores ---- */

/* log p(ids[i] | ids[0 .. i - 1]) into logprobs[i], for i >= 1; logprobs[0] is 0. n at most the model's context. Used
 * for perplexity: exp(-mean). EM_ERROR_INVALID_ARGUMENT for ids outside the vocabulary, or more than the context;
 * EM_ERROR_UNSUPPORTED for a model that does not generate; EM_ERROR_FORMAT where logits are NaN, and
 * EM_ERROR_OUT_OF_MEMORY: then logprobs hold anything. Any thread; forwards of one model take turns. */
EM_API em_status em_model_score(em_model *model, const int32_t *ids, size_t n, float *logprobs);

#ifdef __cplusplus
}
#endif
#endif
