/* Failing allocations, a megabyte without a space, many threads: over the recorded files of each kind. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include <emily/tokenizer.h>

#include "core/alloc.h"
#include "harness/faults.h"

static const char *const files[] = {"bert_uncased",  "wordpiece_sequence",
                                    "roberta",       "qwen2",
                                    "bytes_digits",  "clip_suffix",
                                    "llama2_legacy", "e5_precompiled",
                                    "xlmr_plain",    "gpt2",
                                    "llama2",        "llama3",
                                    "gemma",         "smollm",
                                    "modernbert",    "tekken",
                                    "o200k",         "deepseek",
                                    "phi3"};
enum { FILES = sizeof files / sizeof files[0] };

static const char text[] = "The walking \xC3\x89t\xC3\xA9\xE2\x80\x89isn't [MASK] \xE6\x97\xA5\xE6\x9C\x88 \xFF 12,345 "
                           "e\xCC\x81\xCC\xA3 \xEF\xAC\x81 <mask>internationalization";

static char *read_file(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, EM_TEST_DIR "/golden/tokenizer/data/%s.json", name);
    json_t *records = json_load_file(path, JSON_ALLOW_NUL, &error);
    assert_non_null(records);
    char *json = json_dumps(json_object_get(records, "tokenizer"), JSON_COMPACT);
    json_decref(records);
    return json;
}

static em_tokenizer *open_file(const char *name)
{
    em_tokenizer *tokenizer;
    char *json = read_file(name);
    if (em_tokenizer_parse(json, strlen(json), &tokenizer) != EM_OK)
        fail_msg("%s: %s", name, em_last_error());
    free(json);
    return tokenizer;
}

static em_status open_and_use(void *json)
{
    em_encode_options options = {
        .struct_size = sizeof options, .pair = "so (what)?", .pair_length = 10, .overflow = true};
    em_tokenizer *tokenizer = NULL;
    em_encoding encoding = {0};
    em_text decoded = {0};
    options.truncation = EM_TRUNCATION_GIVEN;
    options.max_length = 12;
    options.padding = EM_PADDING_GIVEN;
    options.pad_length = 14;
    em_status status = em_tokenizer_parse(json, strlen(json), &tokenizer);
    if (status == EM_OK)
        status = em_tokenizer_encode(tokenizer, text, sizeof text - 1, &options, &encoding);
    if (status == EM_OK)
        status = em_tokenizer_decode(tokenizer, encoding.ids, encoding.length, true, &decoded);
    em_text_free(&decoded);
    em_encoding_free(&encoding);
    em_tokenizer_free(tokenizer);
    return status;
}

static void every_allocation_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        char *json = read_file(files[i]);
        assert_true(faults_sweep_benign(open_and_use, json) > 20);
        free(json);
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Sanitizers make all of it slow: there a piece shows what they look for. */
#ifdef __SANITIZE_ADDRESS__
enum { LONG = 1 << 15 };
#else
enum { LONG = 1 << 20 };
#endif

/* Words of a megabyte: one letter, a cycle of letters, spaces, marks upon one letter. */
static void a_megabyte_without_a_space(void **state)
{
    static const char *const units[] = {"a", "internationalization", " ", "\xCC\x81\xCC\xA3", "\xE4\xB8\xAD", "'", "1"};
    const size_t size = LONG;
    char *long_text = malloc(size);
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        em_tokenizer *tokenizer = open_file(files[i]);
        em_encoding encoding = {0};
        for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
            for (size_t k = 0; k < size; k++)
                long_text[k] = units[u][k % strlen(units[u])];
            double start = seconds();
            assert_int_equal(em_tokenizer_encode(tokenizer, long_text, size, NULL, &encoding), EM_OK);
            double spent = seconds() - start;
            print_message("%s: %d bytes of \"%s\": %.0f ms, %zu tokens\n", files[i], LONG, units[u], 1e3 * spent,
                          encoding.length);
            assert_true(spent < 20); /* generous: busy machines; quadratic would take minutes */
        }
        em_encoding_free(&encoding);
        em_tokenizer_free(tokenizer);
    }
    free(long_text);
}

static void a_loop_allocates_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        em_tokenizer *tokenizer = open_file(files[i]);
        em_encoding encoding = {0};
        for (int round = 0; round < 8; round++) /* buffers that change places grow one after the other */
            assert_int_equal(em_tokenizer_encode(tokenizer, text, sizeof text - 1, NULL, &encoding), EM_OK);
        unsigned long before = em__alloc_count();
        for (int round = 0; round < 10; round++)
            assert_int_equal(em_tokenizer_encode(tokenizer, text, sizeof text - 1, NULL, &encoding), EM_OK);
        assert_int_equal(em__alloc_count(), before);
        em_encoding_free(&encoding);
        em_tokenizer_free(tokenizer);
    }
}

static void *encode_many(void *tokenizer)
{
    em_encoding encoding = {0};
    uintptr_t sum = 0;
    for (int round = 0; round < 200; round++) {
        if (em_tokenizer_encode(tokenizer, text, sizeof text - 1, NULL, &encoding) != EM_OK)
            break;
        for (size_t i = 0; i < encoding.length; i++)
            sum = sum * 31 + (uintptr_t)encoding.ids[i] + encoding.offsets[i].end;
    }
    em_encoding_free(&encoding);
    return (void *)sum;
}

static void many_threads_share_a_tokenizer(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILES; i++) {
        em_tokenizer *tokenizer = open_file(files[i]);
        pthread_t threads[4];
        void *want = encode_many(tokenizer), *got;
        for (int t = 0; t < 4; t++)
            assert_int_equal(pthread_create(&threads[t], NULL, encode_many, tokenizer), 0);
        for (int t = 0; t < 4; t++) {
            pthread_join(threads[t], &got);
            assert_ptr_equal(got, want);
        }
        em_tokenizer_free(tokenizer);
    }
}

/* One encoding may serve tokenizers in turn: what it remembers belongs to one of them. */
static void an_encoding_serves_tokenizers_in_turn(void **state)
{
    em_tokenizer *first = open_file("qwen2"), *second = open_file("llama2_legacy");
    em_encoding alone = {0}, shared = {0};
    (void)state;
    for (int round = 0; round < 4; round++) {
        em_tokenizer *tokenizer = round % 2 ? second : first;
        assert_int_equal(em_tokenizer_encode(tokenizer, text, sizeof text - 1, NULL, &shared), EM_OK);
        em_encoding_free(&alone);
        assert_int_equal(em_tokenizer_encode(tokenizer, text, sizeof text - 1, NULL, &alone), EM_OK);
        assert_int_equal(alone.length, shared.length);
        assert_memory_equal(alone.ids, shared.ids, alone.length * sizeof *alone.ids);
    }
    em_encoding_free(&alone);
    em_encoding_free(&shared);
    em_tokenizer_free(first);
    em_tokenizer_free(second);
}

/* The system's fstat, which fails while `refuse` is set; a C library may have the name for a macro alone. */
static bool refuse, refused;

int fstat(int fd, struct stat *info)
{
    int (*next)(int, struct stat *);
    if (refuse) {
        refused = true;
        errno = ENOMEM;
        return -1;
    }
    *(void **)&next = dlsym(RTLD_NEXT, "fstat");
    return next ? next(fd, info) : -1;
}

/* A regular file that cannot be looked at is not called a device. */
static void a_file_that_cannot_be_looked_at(void **state)
{
    (void)state;
    em_tokenizer *tokenizer = NULL;
    refuse = true;
    const em_status status = em_tokenizer_open(EM_TEST_DIR "/golden/models/bert-plain/tokenizer.json", &tokenizer);
    refuse = false;
    em_tokenizer_free(tokenizer);
    if (!refused)
        skip();
    assert_int_equal(status, EM_ERROR_IO);
    assert_non_null(strstr(em_last_error(), "tokenizer.json: cannot stat: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails),
        cmocka_unit_test(a_megabyte_without_a_space),
        cmocka_unit_test(a_loop_allocates_nothing),
        cmocka_unit_test(many_threads_share_a_tokenizer),
        cmocka_unit_test(an_encoding_serves_tokenizers_in_turn),
        cmocka_unit_test(a_file_that_cannot_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
