/* From a directory to vectors: embed MODEL prints how alike two sentences are. */
#include <emily/emily.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    em_model *model = em_model_open(argc > 1 ? argv[1] : "sentence-transformers/all-MiniLM-L6-v2", NULL);
    const char *texts[] = {"A man is eating food.", "Someone has lunch."};
    em_array *v = em_embed(model, texts, 2, NULL); /* f32 [2, 384], unit length */
    const float *x = em_array_data(v);             /* evaluates; NULL on error */
    if (!x)
        return fprintf(stderr, "%s\n", em_last_error()), 1;
    size_t width = em_array_size(v) / 2;
    printf("%.3f\n", em_dot_f32(x, x + width, width));
    em_array_release(&v);
    em_model_close(&model);
}
