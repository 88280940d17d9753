/*
 * Speculation by prompt lookup (Saxena 2023; Yang et al., arXiv 2304.04487): what followed the newest tokens when they
 * stood in the text before is guessed to follow them again. A forward over the guesses costs little more than one over
 * a single token, and each guess that the model itself would have chosen is a token won; the answer is the same.
 */
#include <string.h>

#include "core/error.h"
#include "generate/generation.h"

enum { LONGEST = 3 };

size_t em__guess(const int32_t *tokens, size_t n, size_t most, int32_t *guesses)
{
    for (size_t length = LONGEST; length > 0; length--) {
        if (n < length + 1)
            continue;
        const int32_t *tail = tokens + n - length;
        for (size_t at = n - length; at-- > 0;) {
            if (memcmp(tokens + at, tail, length * sizeof *tail) != 0)
                continue;
            size_t begin = at + length, count = n - begin < most ? n - begin : most;
            memcpy(guesses, tokens + begin, count * sizeof *guesses);
            return count;
        }
    }
    return 0;
}

/* How many guesses may be tried: an answer may not outgrow its limits on the way. */
static size_t room(const em_generation *g, const em__sequence *s)
{
    size_t most = g->options.speculate, left = g->options.context - s->tokens.length;
    most = most < left ? most : left;
    if (g->options.max_tokens > 0) {
        left = g->options.max_tokens - (s->tokens.length - s->prompt);
        most = most < left ? most : left;
    }
    return most;
}

em_status em__generation_step_guessing(em_generation *g)
{
    em__sequence *s = &g->sequences[0];
    int32_t guesses[EM__MAX_SPECULATE], id;
    size_t n = em__guess(s->tokens.data, s->tokens.length, room(g, s), guesses);
    if (n == 0) {
        EM__TRY(em__generation_feed_each(g));
        EM__TRY(em__generation_choose(g, s, g->logits, &id));
        return em__generation_accept(g, s, id, g->logits);
    }
    EM__TRY(em__generation_feed_guesses(g, guesses, n));
    g->stats.guessed += n;
    for (size_t i = 0; i <= n && s->finish == EM_FINISH_NONE; i++) {
        const float *logits = g->logits + i * g->sampler.vocabulary;
        EM__TRY(em__generation_choose(g, s, logits, &id));
        EM__TRY(em__generation_accept(g, s, id, logits));
        s->cached++;
        if (i == n || id != guesses[i])
            break;
        g->stats.accepted++;
    }
    return EM_OK;
}
