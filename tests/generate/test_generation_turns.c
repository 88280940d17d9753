/*
 * A soak: 200 turns of conversations of any lengths with a trained model, in one generation. Answers are cancelled at
 * any token, from on_token and from another thread, and turns fail. Each ends with its status; what was said is what a
 * model that was opened for it says; memory is flat.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <emily/generation.h>
#include <emily/memory.h>

#include "harness/expect.h"
#include "harness/rng.h"

#define PRIMER EM_TEST_DIR "/../models/primer"

enum { TURNS = 200, MOST_MESSAGES = 8, MOST_BYTES = 600, TOKENS = 12, CONTEXT = 512 };

typedef struct soak {
    em_model *model;
    em_generation *g;
    rng random;
    em_message messages[MOST_MESSAGES];
    char texts[MOST_MESSAGES][MOST_BYTES];
    size_t n;                 /* messages */
    size_t tokens, cancel_at; /* of the answer; SIZE_MAX: it is left alone */
    bool elsewhere;           /* another thread cancels */
} soak;

static void *cancel(void *g)
{
    em_generation_cancel(g);
    return NULL;
}

static bool on_token(const em_token *token, void *user)
{
    soak *s = user;
    pthread_t thread;
    assert_int_equal(token->index, s->tokens);
    if (++s->tokens != s->cancel_at)
        return true;
    if (s->elsewhere) {
        assert_int_equal(pthread_create(&thread, NULL, cancel, s->g), 0);
        pthread_join(thread, NULL);
    } else {
        cancel(s->g);
    }
    return true;
}

static em_generation *begin(em_model *model, soak *listener)
{
    em_generation_options options = {
        .struct_size = sizeof options, .max_tokens = TOKENS, .ignore_eos = true, .context = CONTEXT};
    options.cache_dtype = EM_F32; /* how a prompt is cut must not choose between ids that are nearly as likely */
    if (listener) {
        options.on_token = on_token;
        options.user = listener;
    }
    em_generation *g = em_generation_new(model, &options);
    if (!g)
        fail_msg("%s", em_last_error());
    return g;
}

static em_model *open_model(void)
{
    const em_model_options options = {.struct_size = sizeof options, .exact = true};
    em_model *model = em_model_open(PRIMER, &options);
    if (!model)
        fail_msg("%s", em_last_error());
    return model;
}

static void add(soak *s, const char *role, const char *text)
{
    snprintf(s->texts[s->n], MOST_BYTES, "%s", text);
    s->messages[s->n] = (em_message){role, s->texts[s->n]};
    s->n++;
}

/* The next thing that a person says; at times it is the first of another conversation. */
static void ask(soak *s)
{
    static const char *const words[] = {"What ",  "is ",       "17 + 25",         "? ",
                                        "Spell ", "umbrella ", "My name is Bo. ", "red "};
    char text[MOST_BYTES] = "";
    size_t length = 0;
    if (s->n + 2 > MOST_MESSAGES || rng_below(&s->random, 5) == 0)
        s->n = 0;
    for (size_t left = 1 + rng_below(&s->random, 30); left > 0; left--)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s", words[rng_below(&s->random, 8)]);
    add(s, "user", text);
}

static em_status answer(soak *s, size_t cancel_at, bool elsewhere)
{
    s->tokens = 0;
    s->cancel_at = cancel_at;
    s->elsewhere = elsewhere;
    return em_generation_chat(s->g, s->messages, s->n);
}

/* Neither a prompt beyond the context nor a token that there is not begins an answer, and the conversation goes on. */
static void fail_turn(soak *s)
{
    static char endless[CONTEXT * 4];
    const int32_t ids[] = {1, 1 << 20};
    memset(endless, '?', sizeof endless - 1);
    const em_message message = {"user", endless};
    s->tokens = 0;
    EXPECT_ERROR(em_generation_chat(s->g, &message, 1), EM_ERROR_INVALID_ARGUMENT, "the context 512");
    EXPECT_ERROR(em_generate_ids(s->g, ids, 2), EM_ERROR_INVALID_ARGUMENT, "token 1 is 1048576");
    assert_int_equal(s->tokens, 0);
}

static void cancel_turn(soak *s, bool elsewhere)
{
    const size_t at = 1 + rng_below(&s->random, TOKENS - 1);
    EXPECT_ERROR(answer(s, at, elsewhere), EM_ERROR_CANCELLED, "cancelled");
    assert_int_equal(s->tokens, at);
    assert_int_equal(em_generation_finish(s->g, 0), EM_FINISH_CANCELLED);
}

static void expect_fresh(const soak *s)
{
    size_t length, n;
    const int32_t *ids = em_generation_ids(s->g, 0, &n);
    em_model *model = open_model();
    em_generation *g = begin(model, NULL);
    EXPECT_OK(em_generation_chat(g, s->messages, s->n));
    const int32_t *wanted = em_generation_ids(g, 0, &length);
    assert_int_equal(n, length);
    assert_memory_equal(ids, wanted, n * sizeof *ids);
    em_generation_free(g);
    em_model_close(&model);
}

static void take_turn(soak *s, int turn)
{
    ask(s);
    switch (turn % 10) {
    case 3: cancel_turn(s, false); break;
    case 5: fail_turn(s); break;
    case 7: cancel_turn(s, true); break;
    default: break;
    }
    EXPECT_OK(answer(s, SIZE_MAX, false)); /* asked again where it was not answered */
    assert_int_equal(s->tokens, TOKENS);
    assert_int_equal(em_generation_finish(s->g, 0), EM_FINISH_LENGTH);
    if (turn % 20 == 17)
        expect_fresh(s);
    add(s, "assistant", em_generation_text(s->g, 0, NULL));
}

static void test_turns(void **state)
{
    static soak s;
    em_memory_stats early = {.struct_size = sizeof early}, late = early;
    (void)state;
    s.random = (rng){3};
    s.model = open_model();
    s.g = begin(s.model, &s);
    for (int turn = 0; turn < TURNS; turn++) {
        take_turn(&s, turn);
        if (turn == TURNS / 2) {
            em_memory_get_stats(&early);
            em_memory_reset_peak();
        }
    }
    em_memory_get_stats(&late);
    assert_true(late.active < early.active + 64 * 1024); /* no cache of a few hundred turns is as small */
    assert_true((double)late.peak < 1.05 * (double)early.peak);
    em_generation_free(s.g);
    em_model_close(&s.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_turns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
