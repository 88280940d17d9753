/* Texts of unknown origin on their way out: as JSON strings, and as lines for people; numbers as JSON has them. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "cli/output.h"

/* Bytes of the UTF-8 character at `text` (length > 0), 0 when it is invalid: overlong, surrogate, too large, cut. */
static size_t utf8_length(const unsigned char *text, size_t length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char c = text[0];
    if (c < 0x80)
        return 1;
    size_t n = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc0 && c < 0xe0 ? 2 : 0;
    if (n == 0 || n > length)
        return 0;
    uint32_t code = c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3fu);
    }
    return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

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
            n = utf8_length(bytes + i, length - i);
            status = n ? em__str_add(out, text + i, n) : em__str_add_text(out, "\\ufffd");
            i += n ? n : 1;
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
        size_t n = utf8_length(bytes + i, length - i);
        if (columns == 0)
            return em__str_add_text(out, "...");
        bool control = n == 1 && (bytes[i] < ' ' || bytes[i] == 0x7f);
        bool c1 = n == 2 && bytes[i] == 0xc2 && bytes[i + 1] < 0xa0;
        if (n && !control && !c1)
            status = em__str_add(out, text + i, n);
        else
            status = em__str_add_text(out, control && bytes[i] == '\t' ? " " : "\xef\xbf\xbd");
        i += n ? n : 1;
    }
    return status;
}
