/*
 * Any bytes as a chat template, rendered over a chat with tools. Behind a NUL byte there may stand JSON: then it is the
 * variables. The limits are small, so that an input takes milliseconds.
 */
#include <string.h>

#include <emily/template.h>

#include "fuzz/replay.h"

static const char chat[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"Be \\u00e9 brief\"}, {\"role\": \"user\", \"content\": \" "
    "Hi\\n\"}, "
    "{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"abc\", \"function\": {\"name\": \"f\", "
    "\"arguments\": {\"x\": [1, 2.5, true]}}}]}, {\"role\": \"tool\", \"content\": \"<think>a</think>b\"}], "
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"type\": \"object\"}}}], "
    "\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"add_generation_prompt\": true, \"s\": \"Hello, World\", \"i\": "
    "7, "
    "\"l\": [3, 1, 2], \"d\": {\"a\": 1, \"b\": {\"c\": null}}, \"f\": 2.5, \"u\": \"\\u65e5\\ud83d\\ude42\"}";

static int64_t fixed_clock(void *context)
{
    (void)context;
    return 1732200000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    em_template_options options = {.struct_size = sizeof options,
                                   .clock = fixed_clock,
                                   .max_steps = 20000,
                                   .max_memory = (size_t)4 << 20,
                                   .max_output = (size_t)1 << 20};
    em_template *parsed;
    char *text;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t length = nul ? (size_t)(nul - data) : size;
    const char *json = nul ? (const char *)nul + 1 : chat;
    size_t json_length = nul ? size - length - 1 : sizeof chat - 1;
    if (em_template_parse((const char *)data, length, &options, &parsed) != EM_OK)
        return 0;
    if (em_template_render(parsed, json, json_length, &text, NULL) == EM_OK)
        em_template_text_free(text);
    em_template_free(parsed);
    return 0;
}
