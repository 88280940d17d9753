/* Ranking by similarity: a sorted list of k, since k is small and most rows fall below its end. */
#include "cli/rank.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/output.h"

enum { MOST_DIGITS = DBL_MAX_10_EXP + 16 }; /* of a score: an index file may hold any numbers */

em_status cli_rank(cli_ranked *ranked, const cli_index *index, const float *query, size_t k)
{
    /* The cosine of unit vectors is their dot product. */
    const em_similarity how = index->similarity == EM_SIMILARITY_COSINE ? EM_SIMILARITY_DOT : index->similarity;
    k = k < index->n ? k : index->n;
    em_status status = em__vec_reserve(ranked, k);
    for (size_t i = 0; i < index->n && status == EM_OK; i++) {
        double score = em_similarity_f32(how, index->vectors + i * index->width, query, index->width);
        score = isnan(score) ? -INFINITY : score;
        if (ranked->length == k && !(score > ranked->data[k - 1].score))
            continue;
        size_t at = ranked->length;
        while (at && score > ranked->data[at - 1].score)
            at--;
        ranked->length += ranked->length < k;
        memmove(ranked->data + at + 1, ranked->data + at, (ranked->length - at - 1) * sizeof *ranked->data);
        ranked->data[at] = (cli_hit){score, i};
    }
    return status;
}

em_status cli_rank_human(em__str *out, const cli_ranked *ranked, const cli_index *index, const char *query,
                         size_t length, bool titled, bool follows)
{
    const char *dim = cli_color(stdout, "2"), *plain = cli_color(stdout, "0");
    em_status status = follows ? em__str_add_char(out, '\n') : EM_OK;
    if (titled && status == EM_OK && (status = cli_plain_text(out, query, length, SIZE_MAX)) == EM_OK)
        status = em__str_add_char(out, '\n');
    for (size_t i = 0; i < ranked->length && status == EM_OK; i++) {
        size_t passage = ranked->data[i].passage, bytes;
        const char *name = cli_index_name(index, passage), *text = cli_index_text(index, passage, &bytes);
        status = em__str_addf(out, "%.2f  %s", ranked->data[i].score, dim);
        if (status == EM_OK)
            status = cli_plain_text(out, name, strlen(name), SIZE_MAX);
        if (status == EM_OK)
            status = em__str_addf(out, ":%" PRIu64 "%s  ", index->lines[passage], plain);
        if (status == EM_OK)
            status = cli_plain_text(out, text, bytes, SIZE_MAX);
        if (status == EM_OK)
            status = em__str_add_char(out, '\n');
    }
    return status;
}

static em_status add_hit(em__str *out, const cli_hit *hit, const cli_index *index)
{
    size_t bytes;
    const char *name = cli_index_name(index, hit->passage), *text = cli_index_text(index, hit->passage, &bytes);
    char score[MOST_DIGITS];
    snprintf(score, sizeof score, "%.6f", hit->score);
    em_status status = em__str_addf(out, "{\"score\":%s,\"file\":", cli_json_number(hit->score, score));
    if (status == EM_OK)
        status = cli_json_string(out, name, strlen(name));
    if (status == EM_OK)
        status = em__str_addf(out, ",\"line\":%" PRIu64 ",\"text\":", index->lines[hit->passage]);
    if (status == EM_OK)
        status = cli_json_string(out, text, bytes);
    return status == EM_OK ? em__str_add_char(out, '}') : status;
}

em_status cli_rank_json(em__str *out, const cli_ranked *ranked, const cli_index *index, const char *query,
                        size_t length)
{
    em_status status = em__str_add_text(out, "{\"query\":");
    if (status == EM_OK)
        status = cli_json_string(out, query, length);
    if (status == EM_OK)
        status = em__str_add_text(out, ",\"results\":[");
    for (size_t i = 0; i < ranked->length && status == EM_OK; i++) {
        status = i ? em__str_add_char(out, ',') : EM_OK;
        if (status == EM_OK)
            status = add_hit(out, ranked->data + i, index);
    }
    return status == EM_OK ? em__str_add_text(out, "]}\n") : status;
}
