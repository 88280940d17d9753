/* How sentence vectors are compared: the four functions of sentence-transformers' util/similarity.py. */
#include <math.h>
#include <string.h>

#include <emily/model.h>

#include "core/error.h"
#include "models/modules.h"

static const char *const names[] = {"cosine", "dot", "euclidean", "manhattan"};

enum { COUNT = sizeof names / sizeof *names };
#define LEAST_NORM 1e-12 /* what torch.nn.functional.normalize divides by at least */

const char *em_similarity_name(em_similarity similarity)
{
    return (unsigned)similarity < COUNT ? names[similarity] : "?";
}

em_status em__similarity_read(const em__json *root, em_similarity *similarity)
{
    const char *name = NULL;
    char shown[64];
    EM__TRY(em__json_opt_string(root, "similarity_fn_name", &name));
    if (!name)
        return EM_OK;
    for (int i = 0; i < COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *similarity = (em_similarity)i;
            return EM_OK;
        }
    return em__json_fail(root, EM_ERROR_UNSUPPORTED,
                         "similarity_fn_name \"%s\" is not supported; supported: cosine, dot, euclidean, manhattan",
                         em__printable(shown, sizeof shown, name));
}

static double norm(const float *a, size_t n)
{
    const double length = sqrt(em_dot_f32(a, a, n));
    return length < LEAST_NORM ? LEAST_NORM : length;
}

/* Four sums, so that one addition need not wait for the other. */
static double distance(const float *a, const float *b, size_t n, bool squares)
{
    double sum[4] = {0};
    for (size_t i = 0; i < n; i += 4)
        for (size_t j = 0; j < 4 && i + j < n; j++) {
            const double off = fabs((double)a[i + j] - (double)b[i + j]);
            sum[j] += squares ? off * off : off;
        }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

double em_similarity_f32(em_similarity similarity, const float *a, const float *b, size_t n)
{
    if (n > 0 && (!a || !b))
        return NAN;
    switch (similarity) {
    case EM_SIMILARITY_COSINE: return em_dot_f32(a, b, n) / (norm(a, n) * norm(b, n));
    case EM_SIMILARITY_DOT: return em_dot_f32(a, b, n);
    case EM_SIMILARITY_EUCLIDEAN: return 0 - sqrt(distance(a, b, n, true)); /* of equals 0, not -0 */
    case EM_SIMILARITY_MANHATTAN: return 0 - distance(a, b, n, false);
    }
    return NAN;
}
