/*
 * A model opened as the options say. Commands that compute put a cli_session_values into their values, and
 * these rows into their table.
 */
#ifndef EMILY_CLI_SESSION_H
#define EMILY_CLI_SESSION_H

#include <stddef.h>

#include <emily/model.h>

#include "cli/cli.h"

typedef struct cli_session_values {
    size_t threads;
    const char *dtype, *device;
    int lane, profile, raw, exact;
} cli_session_values;

/* Rows for a values struct with a member `session`: of all commands that compute, of those that run what can be
 * profiled, and of those that read prompts. */
/* clang-format off */
#define CLI_COMPUTE_OPTIONS(T)                                                                                         \
    {"threads", 't', "N", "threads, 1 to 1024 (all that the process may use, but 256 at most)",                        \
     CLI_COUNT, offsetof(T, session.threads), 1024},                                                                   \
    {"dtype", 0, "TYPE", "f32, f64, bf16 or f16 arithmetic (f32); decoders: f32 only",                     \
     CLI_TEXT, offsetof(T, session.dtype)},                                                                            \
    {"device", 0, "NAME", "a device of `emily devices`, say cuda (EMILY_DEVICE, else cpu)",                            \
     CLI_TEXT, offsetof(T, session.device)},                                                                           \
    {"lane", 0, "fuse|native|eager", "how programs run (fuse)", CLI_CHOICE, offsetof(T, session.lane)},                \
    {"no-pack", 0, NULL, "weights as they lie: sooner, but slower", CLI_FLAG, offsetof(T, session.raw), 1}
#define CLI_PROFILE_OPTION(T)                                                                                          \
    {"profile", 0, NULL, "kernels of the last forward, on stderr", CLI_FLAG, offsetof(T, session.profile), 1}
#define CLI_EXACT_OPTION(T)                                                                                            \
    {"exact", 0, NULL, "of a decoder: without rounding to bf16", CLI_FLAG, offsetof(T, session.exact), 1}
/* clang-format on */

/* Opens the model; on failure NULL, after a message, with its exit code in *code. */
em_model *cli_session_open(const char *name, const cli_session_values *values, int *code);

/* The same, but when the model itself does not open it says nothing: *code is CLI_GO_ON, and the library has the
 * error. */
em_model *cli_session_try(const char *name, const cli_session_values *values, int *code);

/* The library's message about the model, and a next step where it names none. The exit code. */
int cli_fail_model(const char *name);

/* The next step where `name` is no folder of a model: but nothing, another format's file, one of a model's files. */
void cli_hint_missing(const char *name);

/* That a name is not empty: CLI_OK, or an exit code after a message. */
int cli_model_named(const char *name);

/* Where a model lies: the directory or file that `name` stands for, to be freed with em_hub_path_free. CLI_OK, or an
 * exit code after a message. */
int cli_model_path(const char *name, char **path);

/* For a command that can do without: `name`, NULL for a default device that can be used, else "cpu" after a note. */
const char *cli_device_or_cpu(const char *name);

/* The device that the options name. It is there: the model is open. */
em_device *cli_session_device(const cli_session_values *values);

/* Prints the profile when it was asked for. */
void cli_session_profile(em_model *model, const cli_session_values *values);

/* The value of a --pooling word: CLI_CHOICE counts from 1 as em_embed_options does. */
#define CLI_POOLINGS "mean|cls|max|last|mean-sqrt|weighted"

#endif
