/* Two threads share a model, in shapes that make programs come and go: the answers are those of one thread. */
#include <pthread.h>
#include <string.h>

#include <emily/model.h>

#include "harness/expect.h"
#include "harness/golden.h"

enum { WORKERS = 3, ROUNDS = 12, TEXTS = 24, WIDTH = 32 };

static em_model *model;
static const char *texts[TEXTS];
static char storage[TEXTS][256];
static float expected[TEXTS][WIDTH];

/* Takes its own stretch of the texts each round, and compares. Asserting is for the main thread. */
static void *embed_often(void *user)
{
    size_t worker = *(size_t *)user;
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t from = (worker * 5 + i * 7) % (TEXTS - 8), n = 1 + (worker + i) % 8;
        em_array *v = em_embed(model, texts + from, n, NULL);
        bool same = v && memcmp(em_array_data(v), expected[from], n * sizeof expected[0]) == 0;
        em_array_release(&v);
        if (!same)
            return user;
    }
    return NULL;
}

static void test_shared_model(void **state)
{
    (void)state;
    pthread_t threads[WORKERS];
    size_t ids[WORKERS];
    model = em_model_open(golden_path("models/bert-mean-gelu"), NULL);
    assert_non_null(model);
    for (size_t i = 0; i < TEXTS; i++) {
        for (size_t k = 0; k <= i; k++)
            memcpy(storage[i] + 8 * k, k % 3 ? "the dog " : "woman,  ", 8);
        texts[i] = storage[i];
    }
    em_array *all = em_embed(model, texts, TEXTS, NULL);
    assert_int_equal(em_array_size(all), TEXTS * WIDTH);
    memcpy(expected, em_array_data(all), sizeof expected);
    em_array_release(&all);
    for (size_t i = 0; i < WORKERS; i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, embed_often, &ids[i]), 0);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    em_model_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shared_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
