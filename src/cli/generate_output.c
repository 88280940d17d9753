/* What emily generate prints: answers as text, ids or JSON, and how it went. */
#include "cli/generating.h"
#include "cli/limit.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/number.h"

em_status cli_generating_score(em__str *out, const em_token *t)
{
    char number[EM__NUMBER_SIZE];
    em__print_f32(number, t->logprob);
    EM__TRY(em__str_addf(out, "%s{\"id\":%d,\"logprob\":%s,\"top\":[", out->length ? "," : "", (int)t->id,
                         cli_json_number((double)t->logprob, number)));
    for (size_t i = 0; i < t->n_top; i++) {
        em__print_f32(number, t->top[i].logprob);
        EM__TRY(em__str_addf(out, "%s[%d,%s]", i ? "," : "", (int)t->top[i].id,
                             cli_json_number((double)t->top[i].logprob, number)));
    }
    return em__str_add_text(out, "]}");
}

static em_status json_answer(const cli_generating *g, size_t i, em__str *out)
{
    size_t n, length;
    const int32_t *ids = em_generation_ids(g->generation, i, &n);
    const char *text = em_generation_text(g->generation, i, &length);
    EM__TRY(em__str_add_text(out, i ? ",{\"text\":" : "{\"text\":"));
    EM__TRY(cli_json_string(out, text, length));
    EM__TRY(em__str_add_text(out, ",\"ids\":["));
    for (size_t k = 0; k < n; k++)
        EM__TRY(em__str_addf(out, "%s%d", k ? "," : "", (int)ids[k]));
    EM__TRY(em__str_addf(out, "],\"finish\":\"%s\"", em_finish_name(em_generation_finish(g->generation, i))));
    if (i == 0 && g->values->logprobs)
        EM__TRY(em__str_addf(out, ",\"logprobs\":[%s]", em__str_text(&g->scores)));
    return em__str_add_text(out, "}");
}

static em_status json_all(const cli_generating *g, em__str *out)
{
    em_generation_stats stats = {.struct_size = sizeof stats};
    em_generation_get_stats(g->generation, &stats);
    EM__TRY(em__str_add_text(out, "{\"answers\":["));
    for (size_t i = 0; i < em_generation_sequences(g->generation); i++)
        EM__TRY(json_answer(g, i, out));
    return em__str_addf(out, "],\"prompt_tokens\":%zu,\"tokens\":%zu,\"seed\":%llu}\n", stats.prompt_tokens,
                        stats.tokens, (unsigned long long)g->sampling.options.seed);
}

int cli_generating_print(const cli_generating *g)
{
    em__str out = {0};
    em_status status = EM_OK;
    if (g->values->json)
        status = json_all(g, &out);
    else if (g->stream)
        status = em__str_add_text(&out, "\n");
    for (size_t i = 0; !g->values->json && !g->stream && i < em_generation_sequences(g->generation); i++) {
        size_t n;
        const int32_t *ids = em_generation_ids(g->generation, i, &n);
        for (size_t k = 0; g->ids && k < n && status == EM_OK; k++)
            status = em__str_addf(&out, "%s%d", k ? "," : "", (int)ids[k]);
        if (status == EM_OK)
            status = em__str_addf(&out, "%s\n", g->ids ? "" : em_generation_text(g->generation, i, NULL));
    }
    int code = status == EM_OK ? CLI_OK : cli_fail_last();
    fwrite(em__str_text(&out), 1, out.length, stdout);
    em__str_free(&out);
    fflush(stdout); /* what goes to standard error comes after it */
    for (size_t i = 0; i < em_generation_sequences(g->generation) && !g->values->json; i++)
        if (em_generation_finish(g->generation, i) == EM_FINISH_CONTEXT)
            cli_note("the context is full: an answer was cut there");
    return code;
}

enum { CACHED_BYTES = 200 << 20 }; /* weights below it may stay in the caches, where memory is no limit */

/* What decoding reads, weights and half of the final cache, against what memory gives. */
static void print_share(const cli_generating *g, const em_generation_stats *s, const em_model_info *info,
                        size_t decoded)
{
    size_t tokens = s->prompt_tokens + s->tokens / 2;
    double kept = 2.0 * info->layers * info->kv_heads * info->head_dim *
                  (double)(tokens < info->max_tokens ? tokens : info->max_tokens) *
                  (double)em_dtype_size(s->cache_dtype);
    if (decoded == 0 || info->weight_bytes < CACHED_BYTES || g->values->answers > 1 || s->guessed > 0)
        return;
    double rate = ((double)info->token_bytes + kept) * (double)decoded / s->token_seconds;
    double limit = cli_read_limit(cli_session_device(&g->values->session), (int)g->values->session.threads);
    if (limit > 0)
        fprintf(stderr, "  decoding reads %.1f GB/s, %.0f %% of the %.1f GB/s that memory gives\n", rate / 1e9,
                rate / limit * 100, limit / 1e9);
}

/* Where the device has memory of its own: how much of it is in use. */
static void print_device_memory(const cli_generating *g)
{
    em_memory_stats m = {.struct_size = sizeof m};
    em_device *device = cli_session_device(&g->values->session);
    if (em_device_has_memory(device) && em_device_get_memory(device, &m) == EM_OK)
        fprintf(stderr, "  %s: %.2f GB in use, %.2f GB at most, %.2f GB kept for reuse\n", em_device_name(device),
                (double)m.active / 1e9, (double)m.peak / 1e9, (double)m.cached / 1e9);
}

void cli_generating_stats(const cli_generating *g)
{
    em_generation_stats s = {.struct_size = sizeof s};
    em_model_info info = {.struct_size = sizeof info};
    em_generation_get_stats(g->generation, &s);
    em_model_get_info(g->model, &info);
    size_t decoded = s.tokens > 1 ? s.tokens - 1 : 0; /* the first comes with the prompt */
    fflush(stdout);                                   /* the answer's line ends first, also where both go to one file */
    fprintf(stderr,
            "  load %.2f s (%.2f GB mapped), prompt %zu tokens at %.0f tok/s, answer %zu tokens at %.1f tok/s, cache "
            "%.0f MB\n",
            g->load_seconds, (double)info.weight_bytes / 1e9, s.prompt_tokens,
            s.prompt_seconds > 0 ? (double)(s.prompt_tokens - s.reused_tokens) / s.prompt_seconds : 0, s.tokens,
            s.token_seconds > 0 ? (double)decoded / s.token_seconds : 0, (double)s.cache_bytes / 1e6);
    print_device_memory(g);
    print_share(g, &s, &info, decoded);
    if (s.guessed > 0)
        fprintf(stderr, "  %zu of %zu guessed tokens were right\n", s.accepted, s.guessed);
}
