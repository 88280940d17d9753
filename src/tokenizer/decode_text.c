/* What decoders do to the text of one token. */
#include <string.h>

#include "core/error.h"
#include "tokenizer/decode.h"

/* An empty `from` is nowhere. */
em_status em__replace_all(em__str *out, em__string text, em__string from, em__string to)
{
    const char *at = text.data, *end = text.data + text.length;
    while (at < end && from.length > 0) {
        const char *found = memmem(at, (size_t)(end - at), from.data, from.length);
        if (!found)
            break;
        EM__TRY(em__str_add(out, at, (size_t)(found - at)));
        EM__TRY(em__str_add(out, to.data, to.length));
        at = found + from.length;
    }
    return em__str_add(out, at, (size_t)(end - at));
}

/* Whether a rule of em__clean_up could apply: all begin with a space and one of a few characters. */
static bool may_clean(em__string text)
{
    for (size_t i = 0; i + 1 < text.length; i++)
        if (text.data[i] == ' ' && text.data[i + 1] && strchr(".?!,'nd", text.data[i + 1]))
            return true;
    return false;
}

/* Spaces before punctuation and English contractions, one rule after the other. */
em_status em__clean_up(em__str *out, em__string text)
{
    static const char *const rules[][2] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
                                           {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
                                           {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    em__str parts[2] = {{0}, {0}};
    em_status status = EM_OK;
    size_t which = 0;
    if (!may_clean(text))
        return em__str_add(out, text.data, text.length);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0] && status == EM_OK; i++) {
        em__string from = {rules[i][0], strlen(rules[i][0])}, to = {rules[i][1], strlen(rules[i][1])};
        if (!memmem(text.data, text.length, from.data, from.length))
            continue;
        em__str_clear(&parts[which]);
        status = em__replace_all(&parts[which], text, from, to);
        text = (em__string){em__str_text(&parts[which]), parts[which].length};
        which = !which;
    }
    if (status == EM_OK)
        status = em__str_add(out, text.data, text.length);
    em__str_free(&parts[0]);
    em__str_free(&parts[1]);
    return status;
}
