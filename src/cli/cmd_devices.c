/* emily devices: where programs can run here. */
#include <string.h>

#include <emily/device.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "device/plugin.h"

typedef struct devices_values {
    int json;
} devices_values;

static const cli_option options[] = {
    {"json", 0, NULL, "an object a device", CLI_FLAG, offsetof(devices_values, json), 1},
    {NULL},
};

static int print_device(em_device *device, bool chosen, bool json)
{
    char text[256];
    const char *name = em_device_name(device);
    if (em_device_describe(device, text, sizeof text) != EM_OK)
        return cli_fail_last();
    if (!json) {
        printf("%c %-6s %s\n", chosen ? '*' : ' ', name, text);
        return CLI_OK;
    }
    em__str line = {0};
    em_status status = em__str_add_text(&line, "{\"name\":");
    if (status == EM_OK)
        status = cli_json_string(&line, name, strlen(name));
    if (status == EM_OK)
        status = em__str_addf(&line, ",\"default\":%s,\"threads\":%d,\"description\":", chosen ? "true" : "false",
                              em_device_threads(device));
    if (status == EM_OK)
        status = cli_json_string(&line, text, strlen(text));
    printf("%s}\n", em__str_text(&line));
    em__str_free(&line);
    return status == EM_OK ? CLI_OK : cli_fail_last();
}

/* Why there is no GPU to use, in a line of its own. */
static int print_absent(const char *name, bool json)
{
    const char *reason = em__plugin_reason(name);
    if (!*reason)
        return CLI_OK;
    if (!json) {
        printf("  %-6s not used: %s\n", name, reason);
        return CLI_OK;
    }
    em__str line = {0};
    em_status status = em__str_addf(&line, "{\"name\":\"%s\",\"default\":false,\"absent\":", name);
    if (status == EM_OK)
        status = cli_json_string(&line, reason, strlen(reason));
    printf("%s}\n", em__str_text(&line));
    em__str_free(&line);
    return status == EM_OK ? CLI_OK : cli_fail_last();
}

static int run(const void *given, const cli_words *operands)
{
    const devices_values *values = given;
    (void)operands;
    em_device *chosen = em_device_default(), *device;
    int code = CLI_OK;
    if (!chosen) /* what there is helps to mend what was set */
        cli_note("no default: %s", em_last_error());
    for (size_t i = 0; (device = em_device_at(i)); i++) {
        int failed = print_device(device, device == chosen, values->json != 0);
        code = code == CLI_OK ? failed : code;
    }
    int failed = print_absent("cuda", values->json != 0);
    return code == CLI_OK ? failed : code;
}

const cli_command cli_devices = {
    .name = "devices",
    .operands = "",
    .summary = "where programs can run here",
    .examples = "emily devices\n"
                "EMILY_CPU=avx2 emily devices\n"
                "emily generate Qwen/Qwen3-0.6B \"Hello\" --device cuda\n",
    .notes =
        "The device with the star is used unless --device names another; EMILY_DEVICE moves the star. Where it names\n"
        "none that can be used, a note says so. EMILY_CPU (portable, avx2, avx512, amx) masks instruction sets. GPUs\n"
        "are cuda, cuda:1 and so on; where there is none to use, the line of cuda says why. EMILY_PLUGIN_PATH is the\n"
        "folder of libemily_cuda.so, should it not be found.\n",
    .options = options,
    .values_size = sizeof(devices_values),
    .run = run,
};
