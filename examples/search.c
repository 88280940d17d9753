/* The K lines of a file that mean most nearly what a query means: search MODEL FILE QUERY [K]. */
#define _POSIX_C_SOURCE 200809L /* getline */
#include <emily/emily.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct hit {
    float score;
    size_t line;
} hit;

static int better(const void *a, const void *b)
{
    float x = ((const hit *)a)->score, y = ((const hit *)b)->score;
    return (x < y) - (x > y);
}

/* The file's lines, in one block that is never freed: the program ends soon. */
static char **read_lines(const char *path, size_t *count)
{
    FILE *file = fopen(path, "r");
    char **lines = NULL, *line = NULL;
    size_t capacity = 0;
    for (*count = 0; file && getline(&line, &capacity, file) > 0; line = NULL, capacity = 0) {
        line[strcspn(line, "\n")] = '\0';
        char **more = *line ? realloc(lines, (*count + 1) * sizeof *lines) : NULL;
        if (more)
            (lines = more)[(*count)++] = line;
    }
    if (file)
        fclose(file);
    return lines;
}

int main(int argc, char **argv)
{
    size_t n = 0, k = argc > 4 ? strtoul(argv[4], NULL, 10) : 3;
    if (argc < 4)
        return fprintf(stderr, "use: search MODEL FILE QUERY [K]\n"), 2;
    char **lines = read_lines(argv[2], &n);
    if (n == 0)
        return fprintf(stderr, "%s: no lines\n", argv[2]), 1;
    const em_embed_options unit = {.normalize = 1};
    em_model *model = em_model_open(argv[1], NULL);
    em_array *corpus = em_embed(model, (const char *const *)lines, n, &unit);
    em_array *query = em_embed(model, (const char *const *)&argv[3], 1, &unit);
    const float *x = em_array_data(corpus), *q = em_array_data(query);
    hit *hits = malloc(n * sizeof *hits);
    if (!x || !q || !hits)
        return fprintf(stderr, "%s\n", em_last_error()), 1;
    size_t width = em_array_size(query);
    for (size_t i = 0; i < n; i++)
        hits[i] = (hit){(float)em_dot_f32(x + i * width, q, width), i};
    qsort(hits, n, sizeof *hits, better);
    for (size_t i = 0; i < n && i < k; i++)
        printf("%.2f  %s\n", hits[i].score, lines[hits[i].line]);
    free(hits);
    em_array_release(&corpus);
    em_array_release(&query);
    em_model_close(&model);
}
