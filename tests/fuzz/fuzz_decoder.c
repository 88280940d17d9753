/*
 * Any bytes as a decoder's config.json; what stands behind the first NUL as its generation_config.json. What is
 * accepted must give rotary periods that are numbers at any length.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "fuzz/replay.h"
#include "models/decoder/config.h"

static char dir[] = "/tmp/fuzz_decoder_XXXXXX";
static bool made; /* the letters that take the place of XXXXXX may be X themselves */

static void write_file(const char *name, const uint8_t *data, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = data ? fopen(path, "wb") : NULL;
    if (!data)
        unlink(path);
    else if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static void clean(void)
{
    write_file("config.json", NULL, 0);
    write_file("generation_config.json", NULL, 0);
    rmdir(dir);
}

static void check_periods(const em__rope *rope)
{
    static const int64_t lengths[] = {1, 17, 4096, (int64_t)1 << 40};
    float *periods = em__calloc((size_t)rope->dims / 2, sizeof *periods);
    for (size_t i = 0; periods && i < sizeof lengths / sizeof *lengths; i++) {
        em__rope_periods(rope, lengths[i], periods);
        for (int64_t k = 0; k < rope->dims / 2; k++)
            if (!(periods[k] > 0))
                abort();
    }
    em__free(periods);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em__decoder_config config;
    bool is;
    char path[64];
    if (!made && (!mkdtemp(dir) || atexit(clean) != 0))
        abort();
    made = true;
    const uint8_t *end = memchr(data, 0, size);
    size_t first = end ? (size_t)(end - data) : size;
    write_file("config.json", data, first);
    write_file("generation_config.json", end ? end + 1 : NULL, end ? size - first - 1 : 0);
    snprintf(path, sizeof path, "%s/config.json", dir);
    em__decoder_config_is(path, &is);
    if (em__decoder_config_read(dir, &config) == EM_OK) {
        check_periods(&config.rope);
        em__decoder_quantization(&config, "model.embed_tokens");
    }
    em__decoder_config_free(&config);
    return 0;
}
