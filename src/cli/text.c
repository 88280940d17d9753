/* Texts of unknown origin on their way out: as JSON strings, and as lines for people; numbers as JSON has them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "tokenizer/utf8.h"

static em_status add_control(em__str *out, unsigned char c)
{
    switch (c) {
    case '"': return em__str_add_text(out, "\\\"");
    case '\\': return em__str_add_text(out, "\\\\");
    case '\n': return em__str_add_text(out, "\\n");
    case '\r': return em__str_add_text(out, "\\r");
    case '\t': return em__str_add_text(out, "\\t");
    default: return em__str_addf(out, "\\u%04x", c);
    }
}

static bool is_plain_json(unsigned char c)
{
    return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

em_status cli_json_string(em__str *out, const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    em_status status = em__str_add_char(out, '"');
    for (size_t i = 0; i < length && status == EM_OK;) {
        size_t n = i;
        while (n < length && is_plain_json(bytes[n]))
            n++;
        if (n > i) {
            status = em__str_add(out, text + i, n - i);
            i = n;
        } else if (bytes[i] < 0x80) {
            status = add_control(out, bytes[i++]);
        } else {
            const int size = em__utf8_measure(text + i, length - i);
            status = size > 0 ? em__str_add(out, text + i, (size_t)size) : em__str_add_text(out, "\\ufffd");
            i += (size_t)abs(size);
        }
    }
    return status == EM_OK ? em__str_add_char(out, '"') : status;
}

const char *cli_json_number(double value, const char *printed)
{
    return isfinite(value) ? printed : "null";
}

em_status cli_plain_text(em__str *out, const char *text, size_t length, size_t columns)
{
    const unsigned char *bytes = (const unsigned char *)text;
    em_status status = EM_OK;
    for (size_t i = 0; i < length && status == EM_OK; columns--) {
        const int size = em__utf8_measure(text + i, length - i);
        if (columns == 0)
            return em__str_add_text(out, "...");
        bool control = size == 1 && (bytes[i] < ' ' || bytes[i] == 0x7f);
        bool c1 = size == 2 && bytes[i] == 0xc2 && bytes[i + 1] < 0xa0;
        if (size > 0 && !control && !c1)
            status = em__str_add(out, text + i, (size_t)size);
        else
            status = em__str_add_text(out, control && bytes[i] == '\t' ? " " : "\xef\xbf\xbd");
        i += (size_t)abs(size);
    }
    return status;
}
