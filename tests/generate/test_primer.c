/*
 * Primer (models/primer), asked what it never saw in training: words come out, and they are right. The questions stand
 * in models/primer/train/held-out.tsv, a line each: kind, question, answer. They are asked greedily, many at a time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <emily/generation.h>
#include <emily/quantize.h>

#include "harness/checkpoint.h"
#include "harness/expect.h"
#include "harness/golden.h"

#define PRIMER EM_TEST_DIR "/../models/primer"
#define ASKS "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n"

enum { TOGETHER = 50, LONGEST = 512 };

typedef struct exercise {
    char kind[32], question[LONGEST], answer[LONGEST];
    bool right;
} exercise;

static exercise *exercises;
static size_t n_exercises;
static em_model *model;

static int read_exercises(void **state)
{
    char line[3 * LONGEST];
    FILE *file = fopen(PRIMER "/train/held-out.tsv", "r");
    (void)state;
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file)) {
        exercise *e = realloc(exercises, (n_exercises + 1) * sizeof *e);
        if (!e)
            break;
        exercises = e;
        if (sscanf(line, "%31[^\t]\t%511[^\t]\t%511[^\n]", e[n_exercises].kind, e[n_exercises].question,
                   e[n_exercises].answer) == 3)
            n_exercises++;
    }
    fclose(file);
    model = em_model_open(PRIMER, NULL);
    return n_exercises > 0 && model ? 0 : -1;
}

static int forget_exercises(void **state)
{
    (void)state;
    free(exercises);
    em_model_close(&model);
    return 0;
}

/* The ids of a question as the template asks it. */
static void encode(const char *question, em_encoding *encoding)
{
    char text[LONGEST + sizeof ASKS];
    int length = snprintf(text, sizeof text, ASKS, question);
    EXPECT_OK(em_tokenizer_encode(em_model_tokenizer(model), text, (size_t)length, NULL, encoding));
}

static void ask(em_generation *g, exercise **asked, size_t n)
{
    em_encoding encodings[TOGETHER] = {0};
    em_prompt prompts[TOGETHER];
    bool going = true;
    for (size_t i = 0; i < n; i++) {
        encode(asked[i]->question, &encodings[i]);
        prompts[i] = (em_prompt){encodings[i].ids, encodings[i].length};
    }
    EXPECT_OK(em_generation_start(g, prompts, n));
    while (going)
        EXPECT_OK(em_generation_step(g, &going));
    for (size_t i = 0; i < n; i++) {
        asked[i]->right = strcmp(em_generation_text(g, i, NULL), asked[i]->answer) == 0 &&
                          em_generation_finish(g, i) == EM_FINISH_STOP;
        em_encoding_free(&encodings[i]);
    }
}

/* Asks every `step`-th exercise of a kind, `count` of them; at least `percent` of the answers are to the letter. */
static void expect_right(const char *kind, size_t count, size_t step, size_t percent)
{
    const em_generation_options options = {.struct_size = sizeof options, .max_tokens = 100};
    em_generation *g = em_generation_new(model, &options);
    exercise *asked[TOGETHER];
    size_t found = 0, taken = 0, right = 0;
    assert_non_null(g);
    for (size_t i = 0; i < n_exercises && taken < count; i++) {
        if (strcmp(exercises[i].kind, kind) != 0 || found++ % step != 0)
            continue;
        asked[taken++ % TOGETHER] = &exercises[i];
        if (taken % TOGETHER != 0 && taken < count)
            continue;
        size_t n = (taken - 1) % TOGETHER + 1;
        ask(g, asked, n);
        for (size_t k = 0; k < n; k++)
            right += asked[k]->right;
    }
    em_generation_free(g);
    assert_int_equal(taken, count);
    if (100 * right < percent * count)
        fail_msg("%s: %zu of %zu answers are right, expected %zu %%", kind, right, count, percent);
}

static void test_unseen_sums(void **state)
{
    (void)state;
    expect_right("sums to 99", 200, 1, 95);
    expect_right("sums to 999", 100, 2, 95);
}

static void test_each_kind(void **state)
{
    static const char *const kinds[] = {"backwards", "spelling", "calendar", "capitals", "talk", "names", "unknown"};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        expect_right(kinds[i], 25, 4, 80);
}

/* With its weights in 4 bits it still adds. */
static void test_four_bits(void **state)
{
    char path[LONGEST];
    em_model *whole = model;
    (void)state;
    snprintf(path, sizeof path, "%s", golden_scratch("primer_4_bits"));
    checkpoint_remove(path);
    EXPECT_OK(em_checkpoint_quantize(PRIMER, path, NULL, NULL));
    model = em_model_open(path, NULL);
    assert_non_null(model);
    expect_right("sums to 99", 200, 1, 95);
    expect_right("backwards", 25, 4, 80);
    em_model_close(&model);
    model = whole;
}

/* Turns of one conversation, each read behind what the cache holds of the turns before. */
static void test_conversation(void **state)
{
    static const char *const turns[][2] = {{"My name is Edith.", "Hello, Edith!"},
                                           {"What is 17 + 25?", "17 + 25 = 42."},
                                           {"And plus 3?", "42 + 3 = 45."},
                                           {"What is my name?", "Your name is Edith."},
                                           {"Who discovered Norway?", "I don't know."}};
    enum { TURNS = sizeof turns / sizeof *turns };
    const em_generation_options options = {.struct_size = sizeof options, .max_tokens = 100};
    em_generation *g = em_generation_new(model, &options);
    em_message messages[2 * TURNS] = {{0}};
    (void)state;
    assert_non_null(g);
    for (size_t i = 0; i < TURNS; i++) {
        em_generation_stats stats = {.struct_size = sizeof stats};
        messages[2 * i] = (em_message){.role = "user", .content = turns[i][0]};
        EXPECT_OK(em_generation_chat(g, messages, 2 * i + 1));
        assert_string_equal(em_generation_text(g, 0, NULL), turns[i][1]);
        EXPECT_OK(em_generation_get_stats(g, &stats));
        assert_true(i == 0 || stats.reused_tokens > 0);
        messages[2 * i + 1] = (em_message){.role = "assistant", .content = turns[i][1]};
    }
    em_generation_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unseen_sums),
        cmocka_unit_test(test_each_kind),
        cmocka_unit_test(test_four_bits),
        cmocka_unit_test(test_conversation),
    };
    return cmocka_run_group_tests(tests, read_exercises, forget_exercises);
}
