/* Writers of sentence vectors. */
#include "cli/vectors.h"

#include <math.h>
#include <string.h>

#include <emily/array.h>

#include "cli/cli.h"
#include "core/alloc.h"
#include "core/number.h"
#include "io/npy.h"

enum { KEPT = 8, SHOWN = 4, TEXT_COLUMNS = 48 };

/* Written again once the number of rows is known: its length does not depend on that. */
static int npy_header(const cli_vectors *v, FILE *file)
{
    em__str header = {0};
    const em_status status = em__npy_header(&header, EM_F32, em_shape((int64_t)v->rows, (int64_t)v->width));
    fwrite(em__str_text(&header), 1, header.length, file);
    em__str_free(&header);
    return status == EM_OK ? CLI_OK : cli_fail_last();
}

int cli_vectors_begin(cli_vectors *v, cli_output *out, cli_format format, size_t width)
{
    *v = (cli_vectors){.out = out, .format = format, .width = width};
    if (format == CLI_HUMAN) {
        v->kept = em__calloc(KEPT * width, sizeof *v->kept);
        return v->kept ? CLI_OK : cli_fail_last();
    }
    if (format != CLI_NPY)
        return CLI_OK;
    if (!out->writer.temporary) {
        v->spool = tmpfile();
        return v->spool ? CLI_OK : cli_fail_errno("a temporary file for npy");
    }
    return npy_header(v, out->file);
}

static em_status add_numbers(em__str *line, const float *row, size_t n, bool json)
{
    char number[EM__NUMBER_SIZE];
    em_status status = EM_OK;
    for (size_t i = 0; i < n && status == EM_OK; i++) {
        em__print_f32(number, row[i]);
        status = i ? em__str_add_char(line, ',') : EM_OK;
        if (status == EM_OK)
            status = em__str_add_text(line, json ? cli_json_number((double)row[i], number) : number);
    }
    return status;
}

static em_status jsonl_line(cli_vectors *v, const float *row)
{
    em_status status = em__str_addf(&v->line, "{\"index\":%zu,\"embedding\":[", v->rows);
    if (status == EM_OK)
        status = add_numbers(&v->line, row, v->width, true);
    return status == EM_OK ? em__str_add_text(&v->line, "]}\n") : status;
}

static em_status csv_line(cli_vectors *v, const float *row)
{
    em_status status = add_numbers(&v->line, row, v->width, false);
    return status == EM_OK ? em__str_add_char(&v->line, '\n') : status;
}

static em_status human_line(cli_vectors *v, const float *row, const char *text, size_t length)
{
    em_status status = em__str_addf(&v->line, "%zu  [", v->rows);
    for (size_t i = 0; i < v->width && i < SHOWN && status == EM_OK; i++)
        status = em__str_addf(&v->line, "%s%.4f", i ? ", " : "", (double)row[i]);
    if (status == EM_OK)
        status = em__str_addf(&v->line, "%s] %zu numbers  ", v->width > SHOWN ? ", ..." : "", v->width);
    if (status == EM_OK)
        status = cli_plain_text(&v->line, text, length, TEXT_COLUMNS);
    if (v->rows < KEPT)
        memcpy(v->kept + v->rows * v->width, row, v->width * sizeof *row);
    return status == EM_OK ? em__str_add_char(&v->line, '\n') : status;
}

int cli_vectors_add(cli_vectors *v, const float *data, size_t rows, const char *const *texts, const size_t *lengths)
{
    for (size_t i = 0; i < rows; i++, v->rows++) {
        const float *row = data + i * v->width;
        em_status status = EM_OK;
        if (v->format == CLI_NPY) {
            fwrite(row, sizeof *row, v->width, v->spool ? v->spool : v->out->file);
            continue;
        }
        em__str_clear(&v->line);
        if (v->format == CLI_JSONL)
            status = jsonl_line(v, row);
        else if (v->format == CLI_CSV)
            status = csv_line(v, row);
        else
            status = human_line(v, row, texts[i], lengths[i]);
        if (status != EM_OK)
            return cli_fail_last();
        fwrite(em__str_text(&v->line), 1, v->line.length, v->out->file);
    }
    return cli_output_flush(v->out);
}

static double norm(const float *row, size_t n)
{
    return em_dot_f32(row, row, n);
}

static int human_similarities(const cli_vectors *v)
{
    if (v->rows < 2 || v->rows > KEPT)
        return CLI_OK;
    FILE *file = v->out->file;
    fprintf(file, "\ncosine similarity\n");
    for (size_t i = 0; i < v->rows; i++) {
        fprintf(file, "%zu ", i);
        for (size_t j = 0; j < v->rows; j++) {
            const float *a = v->kept + i * v->width, *b = v->kept + j * v->width;
            double scale = norm(a, v->width) * norm(b, v->width), dot = em_dot_f32(a, b, v->width);
            fprintf(file, " %6.3f", scale > 0 ? dot / sqrt(scale) : 0.0);
        }
        fputc('\n', file);
    }
    return CLI_OK;
}

static int npy_unspool(cli_vectors *v)
{
    char chunk[1 << 14];
    size_t n;
    if (fflush(v->spool) != 0 || fseek(v->spool, 0, SEEK_SET) != 0)
        return cli_fail_errno("a temporary file for npy");
    const int code = npy_header(v, v->out->file);
    if (code != CLI_OK)
        return code;
    while ((n = fread(chunk, 1, sizeof chunk, v->spool)) > 0)
        fwrite(chunk, 1, n, v->out->file);
    return ferror(v->spool) ? cli_fail_errno("a temporary file for npy") : CLI_OK;
}

int cli_vectors_end(cli_vectors *v)
{
    if (v->format == CLI_HUMAN)
        return human_similarities(v);
    if (v->format != CLI_NPY)
        return CLI_OK;
    if (v->spool)
        return npy_unspool(v);
    if (fseek(v->out->file, 0, SEEK_SET) != 0)
        return cli_fail_errno(v->out->name);
    return npy_header(v, v->out->file);
}

void cli_vectors_free(cli_vectors *v)
{
    if (v->spool)
        fclose(v->spool);
    em__str_free(&v->line);
    em__free(v->kept);
    *v = (cli_vectors){0};
}
