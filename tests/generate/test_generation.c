/* What a generation promises: its ends, its cache, its batches, its cancelling; on recorded checkpoints. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <emily/generation.h>

#include "harness/expect.h"
#include "harness/golden.h"

static const int32_t prompt[] = {5, 17, 100, 3, 42, 42, 7, 99, 12, 60, 5, 17, 100};
enum { LENGTH = sizeof prompt / sizeof *prompt };

static em_model *open_model(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "decoders/%s", name);
    em_model *model = em_model_open(golden_path(path), NULL);
    if (!model)
        fail_msg("%s", em_last_error());
    return model;
}

static em_generation *begin(em_model *model, em_generation_options options)
{
    options.struct_size = sizeof options;
    em_generation *g = em_generation_new(model, &options);
    if (!g)
        fail_msg("%s", em_last_error());
    return g;
}

/* The answer to ids, copied; returns its length. */
static size_t answer(em_generation *g, const int32_t *ids, size_t n, int32_t *out)
{
    size_t length;
    EXPECT_OK(em_generate_ids(g, ids, n));
    const int32_t *written = em_generation_ids(g, 0, &length);
    memcpy(out, written, length * sizeof *out);
    return length;
}

static void test_limits(void **state)
{
    em_model *model = open_model("qwen3");
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 9, .ignore_eos = true});
    int32_t ids[64];
    (void)state;
    assert_int_equal(answer(g, prompt, LENGTH, ids), 9);
    assert_int_equal(em_generation_finish(g, 0), EM_FINISH_LENGTH);
    em_generation_free(g);
    g = begin(model, (em_generation_options){.context = LENGTH + 4, .ignore_eos = true});
    assert_int_equal(answer(g, prompt, LENGTH, ids), 5); /* the fifth does not fit and is not needed */
    assert_int_equal(em_generation_finish(g, 0), EM_FINISH_CONTEXT);
    em_generation_free(g);
    g = begin(model, (em_generation_options){.context = LENGTH - 1});
    EXPECT_ERROR(em_generate_ids(g, prompt, LENGTH), EM_ERROR_INVALID_ARGUMENT, "13 tokens, the context 12");
    em_generation_free(g);
    em_model_close(&model);
}

static void test_stop_ids(void **state)
{
    em_model *model = open_model("qwen3");
    int32_t free_run[20], ids[20];
    (void)state;
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 20, .ignore_eos = true});
    answer(g, prompt, LENGTH, free_run);
    const em_generation_options stop = {
        .struct_size = sizeof stop, .max_tokens = 20, .ignore_eos = true, .stop_ids = &free_run[6], .n_stop_ids = 1};
    EXPECT_OK(em_generation_set_options(g, &stop));
    size_t n = answer(g, prompt, LENGTH, ids);
    assert_true(n <= 7);
    assert_int_equal(ids[n - 1], free_run[6]);
    assert_int_equal(em_generation_finish(g, 0), EM_FINISH_STOP);
    em_generation_free(g);
    em_model_close(&model);
}

/* A conversation that grows reads only what is new, and answers as a fresh process does. */
static void test_reuse(void **state)
{
    em_model *model = open_model("llama3");
    const em_generation_options options = {.max_tokens = 10, .ignore_eos = true};
    em_generation *g = begin(model, options);
    int32_t text[128], again[10];
    em_generation_stats stats = {.struct_size = sizeof stats};
    size_t n = LENGTH;
    (void)state;
    memcpy(text, prompt, sizeof prompt);
    for (int turn = 0; turn < 5; turn++) {
        answer(g, text, n, text + n);
        em_generation *fresh = begin(model, options);
        answer(fresh, text, n, again);
        em_generation_free(fresh);
        assert_memory_equal(text + n, again, sizeof again);
        EXPECT_OK(em_generation_get_stats(g, &stats));
        assert_int_equal(stats.reused_tokens, turn ? n - 3 - 1 : 0);
        n += 10;
        for (int i = 0; i < 3; i++)
            text[n++] = 20 + turn * 3 + i;
    }
    em_generation_free(g);
    em_model_close(&model);
}

static void test_batches(void **state)
{
    em_model *model = open_model("qwen2");
    const size_t lengths[] = {LENGTH, 1, 6, 3};
    em_prompt prompts[4];
    bool going = true;
    (void)state;
    for (int i = 0; i < 4; i++)
        prompts[i] = (em_prompt){prompt + i, lengths[i] - (i == 0 ? 0 : 0)};
    prompts[0].length = LENGTH;
    int32_t alone[30];
    em_generation *one = begin(model, (em_generation_options){.max_tokens = 1, .ignore_eos = true});
    answer(one, prompts[1].ids, prompts[1].length, alone);
    const int32_t stop = alone[0]; /* the second sequence ends at once, others later or never */
    const em_generation_options options = {
        .struct_size = sizeof options, .max_tokens = 30, .ignore_eos = true, .stop_ids = &stop, .n_stop_ids = 1};
    EXPECT_OK(em_generation_set_options(one, &options));
    em_generation *g = begin(model, options);
    EXPECT_OK(em_generation_start(g, prompts, 4));
    while (going)
        EXPECT_OK(em_generation_step(g, &going));
    for (size_t i = 0; i < 4; i++) {
        size_t length, n = answer(one, prompts[i].ids, prompts[i].length, alone);
        const int32_t *ids = em_generation_ids(g, i, &length);
        assert_int_equal(length, n);
        assert_memory_equal(ids, alone, n * sizeof *ids);
        assert_int_equal(em_generation_finish(g, i), em_generation_finish(one, 0));
    }
    em_generation_free(one);
    em_generation_free(g);
    em_model_close(&model);
}

/* Each answer has draws of its own, whatever else is asked for; equal seeds give equal answers. */
static void test_seeds(void **state)
{
    em_model *model = open_model("smollm3");
    em_generation_options options = {.max_tokens = 12, .temperature = 1, .seed = 5, .ignore_eos = true, .sequences = 3};
    int32_t first[12];
    size_t n;
    (void)state;
    em_generation *three = begin(model, options);
    EXPECT_OK(em_generate_ids(three, prompt, LENGTH));
    options.sequences = 1;
    em_generation *one = begin(model, options);
    answer(one, prompt, LENGTH, first);
    assert_memory_equal(first, em_generation_ids(three, 0, &n), sizeof first);
    assert_memory_not_equal(first, em_generation_ids(three, 1, &n), sizeof first);
    assert_memory_not_equal(em_generation_ids(three, 2, &n), em_generation_ids(three, 1, &n), sizeof first);
    assert_null(em_generation_ids(three, 3, &n));
    em_generation_free(one);
    em_generation_free(three);
    em_model_close(&model);
}

static void test_speculation(void **state)
{
    em_model *model = open_model("qwen3");
    int32_t plain[200], guessed[200];
    em_generation_stats stats = {.struct_size = sizeof stats};
    (void)state;
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 200, .ignore_eos = true});
    answer(g, prompt, LENGTH, plain);
    em_generation_free(g);
    for (size_t most = 1; most <= 16; most *= 4) {
        g = begin(model, (em_generation_options){.max_tokens = 200, .ignore_eos = true, .speculate = most});
        assert_int_equal(answer(g, prompt, LENGTH, guessed), 200);
        assert_memory_equal(plain, guessed, sizeof plain);
        EXPECT_OK(em_generation_get_stats(g, &stats));
        assert_true(stats.guessed > 0 && stats.accepted <= stats.guessed);
        em_generation_free(g);
    }
    em_model_close(&model);
}

/* As long as the context is not full a rotating cache changes nothing; afterwards it goes on, as often as it is run. */
static void test_rotation(void **state)
{
    em_model *model = open_model("tinyllama");
    int32_t plain[20], ids[60], again[60];
    (void)state;
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 20, .ignore_eos = true});
    answer(g, prompt, LENGTH, plain);
    em_generation_free(g);
    const em_generation_options options = {
        .max_tokens = 60, .ignore_eos = true, .context = 32, .overflow = EM_OVERFLOW_ROTATE, .keep = 4};
    g = begin(model, options);
    assert_int_equal(answer(g, prompt, LENGTH, ids), 60);
    assert_memory_equal(ids, plain, (32 - LENGTH + 1) * sizeof *ids);
    assert_int_equal(answer(g, prompt, LENGTH, again), 60);
    assert_memory_equal(ids, again, sizeof ids);
    em_generation_free(g);
    em_model_close(&model);
}

/* A prompt beyond a rotating context is its first `keep` and its newest tokens, also where some was read before. */
static void test_long_prompts(void **state)
{
    em_model *model = open_model("tinyllama");
    const em_generation_options options = {
        .max_tokens = 20, .ignore_eos = true, .context = 32, .overflow = EM_OVERFLOW_ROTATE, .keep = 4};
    int32_t text[100], cut[32], wanted[20], ids[20];
    em_generation_stats stats = {.struct_size = sizeof stats};
    (void)state;
    for (int i = 0; i < 100; i++)
        text[i] = prompt[i % LENGTH] + i / LENGTH;
    memcpy(cut, text, 4 * sizeof *cut);
    memcpy(cut + 4, text + 100 - 28, 28 * sizeof *cut);
    em_generation *g = begin(model, options);
    assert_int_equal(answer(g, cut, 32, wanted), 20);
    for (size_t before = 0; before < 30; before += 3) {
        em_generation_reset(g);
        const em_prompt early = {text, before};
        if (before > 0)
            EXPECT_OK(em_generation_start(g, &early, 1));
        assert_int_equal(answer(g, text, 100, ids), 20);
        assert_memory_equal(ids, wanted, sizeof ids);
        EXPECT_OK(em_generation_get_stats(g, &stats));
        assert_int_equal(stats.prompt_tokens, 32);
        em_generation_stats unset = {0};
        EXPECT_ERROR(em_generation_get_stats(g, &unset), EM_ERROR_INVALID_ARGUMENT, "sizeof(em_generation_stats)");
    }
    em_generation_free(g);
    em_model_close(&model);
}

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
    EXPECT_ERROR(em_generate_ids(w.g, prompt, LENGTH), EM_ERROR_CANCELLED, "cancelled");
    assert_int_equal(w.tokens, 4);
    assert_int_equal(em_generation_finish(w.g, 0), EM_FINISH_CANCELLED);
    w.tokens = 0;
    w.refuse = true;
    EXPECT_OK(em_generate_ids(w.g, prompt, LENGTH)); /* a listener that has enough is no error */
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
    EXPECT_ERROR(em_generate_ids(*(em_generation **)user, prompt, LENGTH), EM_ERROR_INVALID_ARGUMENT,
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
    EXPECT_OK(em_generate_ids(g, prompt, LENGTH));
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
    EXPECT_OK(em_generate_ids(r.g, prompt, LENGTH));
    assert_true(r.calls == 5 && r.done == LENGTH && r.total == LENGTH);
    r = (reading){.g = r.g, .refuse_at = never, .cancel_at = never};
    EXPECT_OK(em_generate_ids(r.g, prompt, LENGTH)); /* the last token is read again */
    assert_true(r.calls == 2 && r.done == 1 && r.total == 1);
    for (int how = 0; how < 2; how++) {
        em_generation_reset(r.g);
        r = (reading){.g = r.g, .refuse_at = how ? 8 : never, .cancel_at = how ? never : 8};
        EXPECT_ERROR(em_generate_ids(r.g, prompt, LENGTH), EM_ERROR_CANCELLED, "cancelled in the prompt");
        assert_true(r.calls == 3 && r.done == 8);
        r = (reading){.g = r.g, .refuse_at = never, .cancel_at = never};
        EXPECT_OK(em_generate_ids(r.g, prompt, LENGTH));
        EXPECT_OK(em_generation_get_stats(r.g, &stats));
        assert_int_equal(stats.reused_tokens, 8);
        assert_int_equal(r.total, LENGTH - 8);
    }
    const em_prompt two[] = {{prompt, LENGTH}, {prompt, 5}};
    r = (reading){.g = r.g, .refuse_at = never, .cancel_at = never};
    EXPECT_OK(em_generation_start(r.g, two, 2));
    assert_true(r.done == LENGTH + 5 && r.total == LENGTH + 5);
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
    em_status status = em_generate_ids(g, prompt, LENGTH);
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    assert_int_equal(status, EM_ERROR_CANCELLED);
    em_generation_free(g);
    em_model_close(&model);
}

/* A session goes on in another generation where it was left, without reading anything again. */
static void hold_session(em_dtype cache)
{
    em_model *model = open_model("qwen3-bf16"), *other = open_model("llama3");
    const em_generation_options options = {.max_tokens = 10, .ignore_eos = true, .cache_dtype = cache};
    char path[512];
    int32_t text[LENGTH + 21], there[10], here[10];
    em_generation_stats stats = {.struct_size = sizeof stats};
    snprintf(path, sizeof path, "%s", golden_scratch("session.safetensors"));
    memcpy(text, prompt, sizeof prompt);
    em_generation *g = begin(model, options), *h = begin(model, options), *wrong = begin(other, options);
    EXPECT_ERROR(em_generation_save(g, path), EM_ERROR_INVALID_ARGUMENT, "nothing to save");
    answer(g, text, LENGTH, text + LENGTH);
    EXPECT_OK(em_generation_save(g, path));
    text[LENGTH + 10] = 77;
    answer(g, text, LENGTH + 11, there);
    EXPECT_OK(em_generation_load(h, path));
    answer(h, text, LENGTH + 11, here);
    assert_memory_equal(there, here, sizeof here);
    EXPECT_OK(em_generation_get_stats(h, &stats));
    assert_int_equal(stats.reused_tokens, LENGTH + 9);
    EXPECT_ERROR(em_generation_load(wrong, path), EM_ERROR_FORMAT, "the session is of qwen3");
    EXPECT_ERROR(em_generation_load(h, golden_path("decoders/qwen3/model.safetensors")), EM_ERROR_FORMAT,
                 "not a session");
    EXPECT_ERROR(em_generation_load(h, "/nonexistent"), EM_ERROR_NOT_FOUND, "");
    em_generation_free(g);
    em_generation_free(h);
    em_generation_free(wrong);
    em_model_close(&model);
    em_model_close(&other);
}

static void test_sessions(void **state)
{
    (void)state;
    hold_session(EM_PRED);
    hold_session(EM_S8);
}

/* The kinds of cache: all are read by chunks, by single tokens and in batches; exact ones agree with f32. */
static void test_cache_dtypes(void **state)
{
    em_model *model = open_model("qwen3");
    const em_dtype dtypes[] = {EM_F32, EM_F16, EM_BF16, EM_S8};
    int32_t once[12], again[12];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        em_generation_options options = {.max_tokens = 12, .ignore_eos = true, .cache_dtype = dtypes[i]};
        em_generation *g = begin(model, options);
        answer(g, prompt, LENGTH, once);
        em_generation_free(g);
        options.sequences = 2;
        options.prefill_chunk = 1;
        g = begin(model, options);
        answer(g, prompt, LENGTH, again);
        assert_memory_equal(once, again, 4 * sizeof *once);
        em_generation_free(g);
    }
    em_model_close(&model);
}

/* What was written can be read after the model was closed; its own ids are no prompt. */
static void test_ownership(void **state)
{
    em_model *model = open_model("qwen3");
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 5, .ignore_eos = true});
    size_t n;
    bool going;
    (void)state;
    EXPECT_OK(em_generate_ids(g, prompt, LENGTH));
    em_model_close(&model);
    assert_null(model);
    const int32_t *ids = em_generation_ids(g, 0, &n);
    assert_int_equal(n, 5);
    EXPECT_ERROR(em_generate_ids(g, ids, n), EM_ERROR_INVALID_ARGUMENT, "own memory");
    const em_prompt again = {prompt, LENGTH};
    EXPECT_OK(em_generation_start(g, &again, 1));
    EXPECT_OK(em_generation_step(g, &going));
    EXPECT_ERROR(em_generation_set_options(g, NULL), EM_ERROR_INVALID_ARGUMENT, "between answers");
    assert_string_equal(em_finish_name(EM_FINISH_LENGTH), "length");
    em_generation_free(g);
}

/* The logits are those that the newest token was chosen from, also when it was a guess. */
static void test_logits(void **state)
{
    em_model *model = open_model("qwen3");
    (void)state;
    for (size_t speculate = 0; speculate <= 4; speculate += 4) {
        const em_generation_options options = {
            .max_tokens = 40, .ignore_eos = true, .speculate = speculate, .logits = true};
        const em_prompt start = {prompt, LENGTH};
        em_generation *g = begin(model, options);
        bool going = true;
        EXPECT_OK(em_generation_start(g, &start, 1));
        assert_null(em_generation_logits(g, 0));
        while (going) {
            size_t n;
            EXPECT_OK(em_generation_step(g, &going));
            const int32_t *ids = em_generation_ids(g, 0, &n);
            const float *logits = em_generation_logits(g, 0);
            for (int i = 0; i < 256; i++)
                assert_true(logits[i] <= logits[ids[n - 1]]);
        }
        em_generation_free(g);
    }
    em_model_close(&model);
}

static void test_bad_options(void **state)
{
    em_model *model = open_model("mistral");
    const em_logit_bias bias = {1 << 20, 1};
    const char *const empty = "";
    const struct {
        em_generation_options options;
        const char *text;
    } bad[] = {
        {{.temperature = -1}, "temperature is -1"},
        {{.top_p = 1.5f}, "top_p is 1.5"},
        {{.top_p = 1.0000001f}, "top_p is 1.0000001, expected 0 to 1"},
        {{.temperature = 1000001}, "temperature is 1000001, expected 0 to 1000000"},
        {{.context = 1073741825}, "context is 1073741825, expected 1 to 1073741824"},
        {{.presence_penalty = -INFINITY}, "presence_penalty is -inf, expected -1000000 to 1000000"},
        {{.top_logprobs = 65}, "top_logprobs is 65"},
        {{.speculate = 4, .temperature = 1}, "speculate needs temperature 0"},
        {{.logit_bias = &bias, .n_logit_bias = 1}, "token 1048576"},
        {{.stop = &empty, .n_stop = 1}, "stop string 0 is empty"},
        {{.n_stop = 1}, "a list is NULL"},
        {{.cache_dtype = EM_S32}, "cache_dtype is s32"},
        {{.overflow = EM_OVERFLOW_ROTATE}, "see a window of 12"},
        {{.context = 8, .overflow = EM_OVERFLOW_ROTATE, .keep = 8}, "keep is 8"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        em_generation_options options = bad[i].options;
        options.struct_size = sizeof options;
        assert_null(em_generation_new(model, &options));
        assert_non_null(strstr(em_last_error(), bad[i].text));
    }
    em_model_close(&model);
    assert_null(em_generation_new(NULL, NULL));
    model = em_model_open(golden_path("models/bert-plain"), NULL);
    assert_null(em_generation_new(model, NULL));
    assert_int_equal(em_last_status(), EM_ERROR_UNSUPPORTED);
    em_model_close(&model);
    model = open_model("qwen3");
    const char *texts[] = {"x"};
    assert_null(em_embed(model, texts, 1, NULL));
    assert_int_equal(em_last_status(), EM_ERROR_UNSUPPORTED);
    em_model_close(&model);
}

/* Why a generation could not be made is still known after calls on the NULL that came of it. */
static void test_first_error_stays(void **state)
{
    enum { CALLS = 10 };
    em_model *model = open_model("qwen3");
    const em_generation_options options = {.struct_size = sizeof options, .top_p = 2};
    const em_message message = {"user", "x"};
    const em_prompt ids = {prompt, LENGTH};
    em_generation_stats stats = {.struct_size = sizeof stats};
    bool going = true;
    (void)state;
    em_generation *g = em_generation_new(model, &options);
    assert_null(g);
    const em_status made[CALLS] = {em_generate(g, "x"),
                                   em_generate(g, NULL),
                                   em_generate_ids(g, prompt, LENGTH),
                                   em_generation_start(g, &ids, 1),
                                   em_generation_step(g, &going),
                                   em_generation_save(g, "x"),
                                   em_generation_load(g, "x"),
                                   em_generation_chat(g, &message, 1),
                                   em_generation_set_options(g, &options),
                                   em_generation_get_stats(g, &stats)};
    for (int i = 0; i < CALLS; i++)
        EXPECT_ERROR(made[i], EM_ERROR_INVALID_ARGUMENT, "top_p is 2");
    assert_false(going);
    em_model_close(&model);
}

static void test_nothing(void **state)
{
    em_model *model = open_model("qwen3");
    em_generation *g = begin(model, (em_generation_options){.max_tokens = 3});
    bool going = true;
    (void)state;
    EXPECT_ERROR(em_generation_step(g, &going), EM_ERROR_INVALID_ARGUMENT, "nothing was started");
    assert_false(going);
    EXPECT_ERROR(em_generate_ids(g, NULL, 0), EM_ERROR_INVALID_ARGUMENT, "prompt 0 is empty");
    EXPECT_ERROR(em_generation_start(g, NULL, 0), EM_ERROR_INVALID_ARGUMENT, "no prompt");
    assert_int_equal(em_generate(g, "hello"), EM_ERROR_NOT_FOUND); /* no tokenizer.json */
    assert_null(em_generation_logits(g, 0));
    em_generation_free(g);
    em_generation_free(NULL);
    em_generation_cancel(NULL);
    em_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_stop_ids),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_speculation),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_prompt_progress),
        cmocka_unit_test(test_a_call_within_a_call),
        cmocka_unit_test(test_cancel_from_elsewhere),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_first_error_stays),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_cache_dtypes),
        cmocka_unit_test(test_ownership),
        cmocka_unit_test(test_logits),
        cmocka_unit_test(test_long_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
