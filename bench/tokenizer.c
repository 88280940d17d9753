/*
 * Tokenizer speed: opens a tokenizer.json, then encodes a text as a whole and line by line, and decodes it.
 *
 *     tokenizer FILE TEXT [ROUNDS]    prints one JSON object: best times in milliseconds, tokens, bytes
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <emily/tokenizer.h>

#include "core/number.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void must(em_status status)
{
    if (status != EM_OK) {
        fprintf(stderr, "%s\n", em_last_error());
        exit(1);
    }
}

static char *read_text(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        return NULL;
    *length = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*length + 1);
    if (text && fread(text, 1, *length, file) != *length)
        *length = 0;
    fclose(file);
    return text;
}

static void encode_lines(const em_tokenizer *tokenizer, const char *text, size_t length, em_encoding *out)
{
    for (const char *at = text, *end = text + length; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        must(em_tokenizer_encode(tokenizer, at, (size_t)(stop - at), NULL, out));
        at = stop + 1;
    }
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: tokenizer FILE TEXT [ROUNDS]\n");
        return 2;
    }
    size_t length = 0;
    char *text = read_text(argv[2], &length);
    if (!text || length == 0) {
        fprintf(stderr, "%s cannot be read\n", argv[2]);
        return 1;
    }
    long long rounds = 7;
    if (argc > 3 && !em__parse_i64(argv[3], &rounds))
        return 2;
    double best[4] = {1e9, 1e9, 1e9, 1e9}, start;
    em_encoding whole = {0}, line = {0};
    em_text decoded = {0};
    for (long long round = 0; round < rounds; round++) {
        em_tokenizer *tokenizer;
        start = now();
        must(em_tokenizer_open(argv[1], &tokenizer));
        best[0] = least(best[0], now() - start);
        for (int again = 0; again < 2; again++) { /* the second time its memory and caches are warm */
            start = now();
            must(em_tokenizer_encode(tokenizer, text, length, NULL, &whole));
            best[1] = least(best[1], now() - start);
            start = now();
            encode_lines(tokenizer, text, length, &line);
            best[2] = least(best[2], now() - start);
        }
        start = now();
        must(em_tokenizer_decode(tokenizer, whole.ids, whole.length, true, &decoded));
        best[3] = least(best[3], now() - start);
        em_tokenizer_free(tokenizer);
    }
    printf("{\"open_ms\":%.2f,\"whole_ms\":%.2f,\"lines_ms\":%.2f,\"decode_ms\":%.2f,\"tokens\":%zu,\"bytes\":%zu}\n",
           best[0], best[1], best[2], best[3], whole.length, length);
    em_encoding_free(&whole);
    em_encoding_free(&line);
    em_text_free(&decoded);
    free(text);
    return 0;
}
