/* Who listens to a generation, token by token or in the prompt, and how it is cancelled, also from elsewhere. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "generate/support/recorded_answer.h"
#include "harness/expect.h"

typedef struct watch {
    em_generation *g;
    size_t tokens, cancel_at;
    bool refuse;
} watch;

static bool on_token(const em_token *token, void *user)
{
    watch *w = user;
    assert_int_equal(token->index, w->tokens);
    assert_string_equal(token->text, "");
    w->tokens++;
    if (w->tokens == w->cancel_at && !w->refuse)
        em_generation_cancel(w->g);
    return !(w->refuse && w->tokens == w->cancel_at);
}

static void test_cancel(void **state)
{
    em_model *model = open_model("mistral-bf16");
    watch w = {.cancel_at = 4};
    (void)state;
    w.g = begin(model, (em_generation_options){.max_tokens = 50, .ignore_eos = true, .on_token = on_token, .user = &w});
    EXPECT_ERROR(em_generate_ids(w.g, prompt, PROMPT_LENGTH), EM_ERROR_CANCELLED, "cancelled");
    assert_int_equal(w.tokens, 4);
    assert_int_equal(em_generation_finish(w.g, 0), EM_FINISH_CANCELLED);
    w.tokens = 0;
    w.refuse = true;
    EXPECT_OK(em_generate_ids(w.g, prompt, PROMPT_LENGTH)); /* a listener that has enough is no error */
    assert_int_equal(w.tokens, 4);
    assert_int_equal(em_generation_finish(w.g, 0), EM_FINISH_CANCELLED);
    em_generation_free(w.g);
    em_model_close(&model);
}

typedef struct reading {
    em_generation *g;
    size_t calls, done, total; /* of the newest */
    size_t refuse_at, cancel_at;
} reading;

static bool on_prompt(size_t done, size_t total, void *user)
{
    reading *r = user;
    assert_true(r->calls++ == 0 ? done == 0 : done > r->done && total == r->total);
    assert_true(done <= total);
    r->done = done;
    r->total = total;
    if (done == r->cancel_at)
        em_generation_cancel(r->g);
    return done != r->refuse_at;
}

static bool begin_another(size_t done, size_t total, void *user)
{
    (void)done;
    (void)total;
    EXPECT_ERROR(em_generate_ids(*(em_generation **)user, prompt, PROMPT_LENGTH), EM_ERROR_INVALID_ARGUMENT,
                 "(on_token, on_prompt) began another call; begin it when this one returned");
    return true;
}

static void test_a_call_within_a_call(void **state)
{
    em_model *model = open_model("qwen3");
    em_generation *g = NULL;
    (void)state;
    g = begin(model,
              (em_generation_options){.max_tokens = 2, .ignore_eos = true, .on_prompt = begin_another, .user = &g});
    EXPECT_OK(em_generate_ids(g, prompt, PROMPT_LENGTH));
    em_generation_free(g);
    em_model_close(&model);
}

/* How far a prompt is read is told before its first chunk and after each; a listener may end it between two. */
static void test_prompt_progress(void **state)
{
    em_model *model = open_model("qwen3");
    const size_t never = SIZE_MAX;
    reading r = {.refuse_at = never, .cancel_at = never};
    em_generation_stats stats = {.struct_size = sizeof stats};
    (void)state;
    r.g =
        begin(model, (em_generation_options){
                         .max_tokens = 2, .ignore_eos = true, .prefill_chunk = 4, .on_prompt = on_prompt, .user = &r});
    EXPECT_OK(em_generate_ids(r.g, prompt, PROMPT_LENGTH));
    assert_true(r.calls == 5 && r.done == PROMPT_LENGTH && r.total == PROMPT_LENGTH);
    r = (reading){.g = r.g, .refuse_at = never, .cancel_at = never};
    EXPECT_OK(em_generate_ids(r.g, prompt, PROMPT_LENGTH)); /* the last token is read again */
    assert_true(r.calls == 2 && r.done == 1 && r.total == 1);
    for (int how = 0; how < 2; how++) {
        em_generation_reset(r.g);
        r = (reading){.g = r.g, .refuse_at = how ? 8 : never, .cancel_at = how ? never : 8};
        EXPECT_ERROR(em_generate_ids(r.g, prompt, PROMPT_LENGTH), EM_ERROR_CANCELLED, "cancelled in the prompt");
        assert_true(r.calls == 3 && r.done == 8);
        r = (reading){.g = r.g, .refuse_at = never, .cancel_at = never};
        EXPECT_OK(em_generate_ids(r.g, prompt, PROMPT_LENGTH));
        EXPECT_OK(em_generation_get_stats(r.g, &stats));
        assert_int_equal(stats.reused_tokens, 8);
        assert_int_equal(r.total, PROMPT_LENGTH - 8);
    }
    const em_prompt two[] = {{prompt, PROMPT_LENGTH}, {prompt, 5}};
    r = (reading){.g = r.g, .refuse_at = never, .cancel_at = never};
    EXPECT_OK(em_generation_start(r.g, two, 2));
    assert_true(r.done == PROMPT_LENGTH + 5 && r.total == PROMPT_LENGTH + 5);
    em_generation_free(r.g);
    em_model_close(&model);
}

static atomic_bool over;

static void *cancel_later(void *g)
{
    while (!atomic_load(&over)) { /* a cancel before the start is forgotten */
        usleep(1000);
        em_generation_cancel(g);
    }
    return NULL;
}

static void test_cancel_from_elsewhere(void **state)
{
    em_model *model = open_model("qwen3");
    pthread_t thread;
    (void)state;
    em_generation *g = begin(
        model, (em_generation_options){.max_tokens = 1u << 30, .ignore_eos = true, .overflow = EM_OVERFLOW_ROTATE});
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, g), 0);
    em_status status = em_generate_ids(g, prompt, PROMPT_LENGTH);
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    assert_int_equal(status, EM_ERROR_CANCELLED);
    em_generation_free(g);
    em_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_a_call_within_a_call),
        cmocka_unit_test(test_prompt_progress),
        cmocka_unit_test(test_cancel_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
