/* A conversation in thirty lines: chat MODEL answers lines of standard input, and remembers. */
#include <emily/emily.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool print(const em_token *token, void *user) /* false would stop the answer */
{
    (void)user;
    fwrite(token->text, 1, token->length, stdout);
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    const em_generation_options options = {.struct_size = sizeof options, .max_tokens = 200, .on_token = print};
    em_model *model = em_model_open(argc > 1 ? argv[1] : "models/primer", NULL);
    em_generation *generation = em_generation_new(model, &options);
    em_message messages[64];
    size_t n = 0;
    char line[1024];
    em_status status = generation ? EM_OK : em_last_status();
    while (status == EM_OK && n < 64 && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        messages[n++] = (em_message){"user", strdup(line)};
        status = em_generation_chat(generation, messages, n);
        messages[n++] = (em_message){"assistant", strdup(status ? "" : em_generation_text(generation, 0, NULL))};
        puts("");
    }
    if (status != EM_OK)
        fprintf(stderr, "%s\n", em_last_error());
    while (n > 0)
        free((void *)messages[--n].content);
    em_generation_free(generation);
    em_model_close(&model);
    return status != EM_OK;
}
