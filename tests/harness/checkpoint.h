/*
 * Checkpoints that a test may spoil: a golden one copied to the scratch directory, files of it changed.
 */
#ifndef EM_TESTS_CHECKPOINT_H
#define EM_TESTS_CHECKPOINT_H

#include <stddef.h>

/* Copies tests/golden/GOLDEN, with its folders, to a scratch directory NAME that is emptied before. Returns its path,
 * valid until the next call. The test fails when anything does. */
const char *checkpoint_copy(const char *golden, const char *name);

/* Removes a directory, if it is there, with its files and folders. */
void checkpoint_remove(const char *dir);

/* How many files and folders the directory has. */
int checkpoint_entries(const char *dir);

/* DIR/FILE gets the text, folders on the way are made; NULL removes the file. */
void checkpoint_write(const char *dir, const char *file, const char *text);

/* The JSON file DIR/FILE with the member `key` set to `value`, which is JSON; NULL removes the member. */
void checkpoint_set(const char *dir, const char *file, const char *key, const char *value);

/* Bytes [at, at + count) of a tensor of DIR/model.safetensors become 0xff: NaN in every dtype. */
void checkpoint_spoil(const char *dir, const char *tensor, size_t at, size_t count);

#endif
