/*
 * What a generation is made of. A sequence's tokens are its prompt and its answer; the first `cached` of them are in
 * the cache, in the row of caches that the sequence has. Sequences that go on always have the rows 0 .. active - 1, so
 * that one forward serves them all.
 */
#ifndef EM_GENERATE_GENERATION_H
#define EM_GENERATE_GENERATION_H

#include <stdatomic.h>

#include <emily/generation.h>

#include "core/vec.h"
#include "generate/cache.h"
#include "generate/sample.h"
#include "generate/text.h"
#include "models/model.h"

enum { EM__MAX_TOP = 64, EM__MAX_SPECULATE = 32 };

typedef struct em__sequence {
    EM__VEC(int32_t) tokens;
    size_t prompt; /* leading tokens that are the prompt */
    size_t cached; /* leading tokens whose keys and values are in the cache */
    int64_t row;   /* of the cache and of the logits; -1: none */
    em_finish finish;
    const float *chosen_from; /* logits of the newest token; NULL once they are gone */
    em__random random;
    em__text_out writer;
} em__sequence;

struct em_generation {
    em_model *model;
    em__decoder *decoder;
    em_generation_options options; /* with defaults filled in; lists are owned */
    em__stops stops;
    const em_tokenizer *tokenizer; /* NULL: texts are empty */
    em_chat_template *chat;        /* NULL until it is wanted */
    em__cache cache;
    em__sampler sampler;
    em__sequence *sequences;
    size_t n_sequences, room;
    size_t active;        /* sequences that go on */
    bool fresh;           /* logits of rows 0 .. active - 1 wait for a choice */
    size_t to_read, read; /* tokens of the prompts that are being read */
    bool rotated;         /* rows were overwritten: the cache can't be reused for another prompt */
    float *logits;        /* [logit_rows, vocabulary] */
    size_t logit_rows;
    EM__VEC(int32_t) feed; /* ids, positions, slots, lengths of a forward */
    struct {
        EM__VEC(int32_t) ids; /* [steps, active]: chosen on the device; of step `at` on not yet taken */
        size_t steps, at;
    } ahead;
    atomic_bool cancel;
    bool busy; /* in a call: on_token may not begin another */
    em_generation_stats stats;
};

/* options.c: checks, fills in defaults, and copies lists; the generation's old ones are freed. */
em_status em__generation_take_options(em_generation *g, const em_generation_options *given, bool first);
void em__generation_free_options(em_generation *g);

/* start.c: as em_generation_start, but a cancel that came before is not forgotten. */
em_status em__generation_begin(em_generation *g, const em_prompt *prompts, size_t n);

/* generation.c: for a NULL generation: the error that made it NULL stays, or one is set. Returns its status. */
em_status em__no_generation(void);

/* generation.c: refuses a call inside another, from a callback. */
em_status em__generation_idle(const em_generation *g);

/* generation.c: that, and an old cancel is forgotten. End with em__generation_leave. */
em_status em__generation_enter(em_generation *g);
em_status em__generation_leave(em_generation *g, em_status status);

/* generation.c: reads the prompt and writes to the end; `text` is encoded without special tokens of its own when it
 * `has_special` ones. */
em_status em__generation_answer(em_generation *g, const char *text, size_t length, bool has_special);

/* start.c: room for so many sequences; a prompt of which `cached` tokens are in the cache. */
em_status em__generation_make_sequences(em_generation *g, size_t count);
em_status em__generation_set_prompt(em_generation *g, size_t index, const em_prompt *prompt, size_t cached);

/* forward.c: one forward. Tokens [cached, cached + n) of a sequence, whose last logits come into its row... */
em_status em__generation_feed(em_generation *g, em__sequence *sequence, size_t n);
/* ...or the newest token of every active sequence... */
em_status em__generation_feed_each(em_generation *g);
/* ...or the newest token of the only sequence and n guesses behind it, with logits [n + 1, vocabulary]. */
em_status em__generation_feed_guesses(em_generation *g, const int32_t *guesses, size_t n);

/* forward.c: tokens of the longest sequence that goes on. */
size_t em__generation_longest(const em_generation *g);

/* Rows of the cache that all sequences need, when the longest will have so many tokens. */
em_status em__generation_reserve_rows(em_generation *g, size_t tokens);

/* ahead.c: whether tokens may be chosen on the device, some ahead; the step that takes the next of them; and what is
 * to be called when the sequences change in between. */
bool em__generation_can_run_ahead(const em_generation *g);
em_status em__generation_step_ahead(em_generation *g);
void em__generation_drop_ahead(em_generation *g);

/* Room for so many rows of logits. */
em_status em__generation_reserve_logits(em_generation *g, size_t rows);

/* step.c: the failure of logits that are NaN; chooses the sequence's next token from `logits`, where all are numbers;
 * takes `id` as it, and reports it. */
em_status em__generation_fail_nan(const em_generation *g);
em_status em__generation_choose(em_generation *g, em__sequence *sequence, const float *logits, int32_t *id);
em_status em__generation_accept(em_generation *g, em__sequence *sequence, int32_t id, const float *logits);

/* guess.c: tokens that followed the last place where the text's newest tokens stood before; how many. */
size_t em__guess(const int32_t *tokens, size_t n, size_t most, int32_t *guesses);
/* A step that checks guesses. */
em_status em__generation_step_guessing(em_generation *g);

#endif
