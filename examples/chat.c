/* A conversation in thirty lines: chat MODEL answers lines of standard input, and remembers. */
#include <emily/emily.h>
#include <stdio.h>
#include <string.h>

enum { TURNS = 32 };

static bool print(const em_token *token, void *user) /* false would stop the answer */
{
    (void)user;
    fwrite(token->text, 1, token->length, stdout);
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    static char lines[TURNS][1024], answers[TURNS][8192];
    em_model *model = em_model_open(argc > 1 ? argv[1] : "models/primer", NULL);
    em_generation *generation =
        em_generation_new(model, &(em_generation_options){.max_tokens = 200, .on_token = print});
    em_message messages[2 * TURNS];
    em_status status = generation ? EM_OK : em_last_status();
    for (size_t i = 0; i < TURNS && status == EM_OK && fgets(lines[i], sizeof lines[i], stdin); i++) {
        lines[i][strcspn(lines[i], "\n")] = 0;
        messages[2 * i] = (em_message){"user", lines[i]};
        status = em_generation_chat(generation, messages, 2 * i + 1);
        snprintf(answers[i], sizeof answers[i], "%s", status ? "" : em_generation_text(generation, 0, NULL));
        messages[2 * i + 1] = (em_message){"assistant", answers[i]};
        puts("");
    }
    if (status != EM_OK)
        fprintf(stderr, "%s\n", em_last_error());
    em_generation_free(generation);
    em_model_close(&model);
    return status != EM_OK;
}
