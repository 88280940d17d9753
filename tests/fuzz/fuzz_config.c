/* Any bytes as config.json: read as the models read it, and then by every typed getter. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/replay.h"
#include "io/json.h"
#include "models/config.h"

static const char *const keys[] = {"architectures", "hidden_size", "vocab_size", "weight_map", "rope_scaling", "a"};

static void get_all(const em__json *object)
{
    em__json member;
    int64_t integer;
    double real;
    bool boolean;
    const char *string;
    size_t size;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        em__json_get_int(object, keys[i], 0, 1 << 20, &integer);
        em__json_opt_int(object, keys[i], INT64_MIN, INT64_MAX, &integer);
        em__json_opt_real(object, keys[i], 0, 1, &real);
        em__json_opt_bool(object, keys[i], &boolean);
        em__json_opt_string(object, keys[i], &string);
        if (em__json_opt_object(object, keys[i], &member) == EM_OK && member.value)
            get_all(&member);
        if (em__json_get_array(object, keys[i], &member, &size) != EM_OK)
            continue;
        for (size_t j = 0; j < size; j++) {
            em__json item = em__json_item(&member, j);
            em__json_as_int(&item, 0, 9, &integer);
            if (em__json_as_object(&item) == EM_OK)
                get_all(&item);
        }
    }
}

/* The models read files; a file in memory has a path too. */
static void read_config(const uint8_t *data, size_t size)
{
    char path[64];
    em__config config = {0};
    const struct em__family *family;
    int fd = memfd_create("config.json", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    em__config_read(path, &config, &family);
    em__config_free(&config);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em__json_doc doc;
    if (em__json_parse((const char *)data, size, "config.json", &doc) == EM_OK) {
        em__json root = em__json_root(&doc);
        get_all(&root);
    }
    em__json_free(&doc);
    read_config(data, size);
    return 0;
}
