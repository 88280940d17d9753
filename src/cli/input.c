/* Batches of texts, from operands or from a reader. */
#include "cli/input.h"

#include <string.h>

#include "core/alloc.h"
#include "tokenizer/utf8.h"

static void note_ill(const char *name, const char *unit, uint64_t number)
{
    cli_note("%s%s%s %llu is not UTF-8: what is ill-formed is read as U+FFFD\n"
             "`iconv -f LATIN1 -t UTF-8` makes texts of another encoding so",
             name ? name : "", name ? ": " : "", unit, (unsigned long long)number);
}

void cli_ill_check(size_t *ill, const char *name, const char *unit, uint64_t number, const char *text, size_t length)
{
    if (em__utf8_valid(text, length) < length && (*ill)++ == 0)
        note_ill(name, unit, number);
}

void cli_ill_check_lines(const char *name, const char *text, size_t length)
{
    const size_t valid = em__utf8_valid(text, length);
    uint64_t line = 1;
    for (size_t i = 0; i < valid; i++)
        line += text[i] == '\n';
    if (valid < length)
        note_ill(name, "line", line);
}

void cli_ill_end(size_t ill, size_t texts)
{
    if (ill > 1)
        cli_note("%zu of %zu texts are not UTF-8", ill, texts);
}

int cli_source_open(cli_source *source, const char *command, const cli_words *operands, size_t first,
                    const cli_words *files, bool null)
{
    size_t texts = operands->length - first;
    const char *file = files && files->length ? files->data[0] : NULL;
    *source = (cli_source){.first = first, .reader = {.fd = -1}, .most_texts = 1024, .most_bytes = 1 << 18};
    if (file && files->length > 1) {
        cli_fail(CLI_USAGE, "%s: --file names one file, not %zu", command, files->length);
        cli_hint("join them: cat FILE FILE | emily %s MODEL -", command);
        return CLI_USAGE;
    }
    if (file && texts) {
        cli_fail(CLI_USAGE, "%s: texts come from --file or from the command line, not from both", command);
        cli_hint("`%s` would not be used", operands->data[first]);
        return CLI_USAGE;
    }
    if (!file && !texts) {
        cli_fail(CLI_USAGE, "%s: there is no text to %s", command, command);
        cli_hint("write it after MODEL, name a file with -f, or use - to read standard input");
        return CLI_USAGE;
    }
    for (size_t i = first; texts > 1 && i < operands->length; i++)
        if (strcmp(operands->data[i], "-") == 0) {
            cli_fail(CLI_USAGE, "%s: texts come from standard input (-) or from the command line, not from both",
                     command);
            cli_hint("- stands alone; as a text, it can be a line of what is read");
            return CLI_USAGE;
        }
    if (!file && texts == 1 && strcmp(operands->data[first], "-") == 0)
        file = "-";
    if (file)
        return cli_reader_open(&source->reader, file, null ? '\0' : '\n');
    if (null) {
        cli_fail(CLI_USAGE, "%s: --null is how texts of a file or of standard input end", command);
        cli_hint("name a file with -f, or use - to read standard input");
        return CLI_USAGE;
    }
    source->operands = operands;
    return CLI_OK;
}

void cli_source_close(cli_source *source)
{
    cli_ill_end(source->ill, source->taken);
    source->ill = 0;
    cli_reader_close(&source->reader);
}

static int fill_from_reader(cli_source *source, cli_batch *batch)
{
    const char *text;
    size_t length;
    while (batch->ends.length < source->most_texts && batch->bytes.length < source->most_bytes) {
        switch (cli_reader_next(&source->reader, batch->ends.length == 0, &text, &length)) {
        case CLI_READ_ERROR: return CLI_FAILURE;
        case CLI_READ_WAIT:
        case CLI_READ_END: return CLI_OK;
        case CLI_READ_RECORD: break;
        }
        if (cli_batch_add(batch, text, length) != EM_OK)
            return cli_fail_last();
        cli_ill_check(&source->ill, source->reader.name, source->reader.delimiter ? "line" : "text", ++source->taken,
                      text, length);
    }
    return CLI_OK;
}

int cli_source_fill(cli_source *source, cli_batch *batch)
{
    int code = CLI_OK;
    cli_batch_clear(batch);
    if (!source->operands)
        code = fill_from_reader(source, batch);
    while (source->operands && source->first + source->taken < source->operands->length &&
           batch->ends.length < source->most_texts) {
        const char *text = source->operands->data[source->first + source->taken++];
        if (cli_batch_add(batch, text, strlen(text)) != EM_OK)
            return cli_fail_last();
        cli_ill_check(&source->ill, NULL, "text", source->taken, text, strlen(text));
    }
    if (code == CLI_OK && cli_batch_point(batch) != EM_OK)
        return cli_fail_last();
    return code;
}

double cli_source_fraction(const cli_source *source)
{
    if (source->operands)
        return (double)source->taken / (double)(source->operands->length - source->first);
    return source->reader.total ? (double)source->reader.taken / (double)source->reader.total : -1.0;
}

void cli_batch_clear(cli_batch *batch)
{
    em__str_clear(&batch->bytes);
    batch->ends.length = batch->texts.length = batch->lengths.length = 0;
}

em_status cli_batch_add(cli_batch *batch, const char *text, size_t length)
{
    em_status status = em__str_add(&batch->bytes, text, length);
    return status == EM_OK ? em__vec_push(&batch->ends, batch->bytes.length) : status;
}

em_status cli_batch_point(cli_batch *batch)
{
    const char *bytes = em__str_text(&batch->bytes);
    size_t start = 0;
    for (size_t i = 0; i < batch->ends.length; i++) {
        em_status status = em__vec_push(&batch->texts, bytes + start);
        if (status == EM_OK)
            status = em__vec_push(&batch->lengths, batch->ends.data[i] - start);
        if (status != EM_OK)
            return status;
        start = batch->ends.data[i];
    }
    return EM_OK;
}

void cli_batch_free(cli_batch *batch)
{
    em__str_free(&batch->bytes);
    em__vec_free(&batch->ends);
    em__vec_free(&batch->texts);
    em__vec_free(&batch->lengths);
}
