/*
 * Emily: transformer checkpoints and tensor programs, from C. Include this and read in the order below.
 *
 * From a directory to vectors:
 *
 *     em_model *model = em_model_open("sentence-transformers/all-MiniLM-L6-v2", NULL);
 *     const char *texts[] = {"A man is eating food.", "Someone has lunch."};
 *     em_array *v = em_embed(model, texts, 2, NULL);               // f32 [2, 384], unit length
 *     const float *x = em_array_data(v);                           // NULL on error
 *     if (!x)
 *         return fprintf(stderr, "%s\n", em_last_error()), 1;
 *     printf("%.3f\n", em_dot_f32(x, x + 384, 384));
 *     em_array_release(&v);
 *     em_model_close(&model);
 *
 * Maths: ops take a scope, which owns what they return and keeps the first error (array.h, ops.h):
 *
 *     em_scope *s = em_scope_new(NULL);
 *     em_array *y = em_softmax(s, em_matmul(s, x, w), -1);
 *     if (em_eval(s, y) != EM_OK)
 *         fprintf(stderr, "%s\n", em_scope_error(s));
 *     em_scope_free(s);
 *
 * The same function, traced once, is a program that replays without allocating (program.h).
 *
 * Options are structs, of which only what matters is written: em_embed(model, texts, n,
 * &(em_embed_options){.normalize = 1}); NULL stands for the defaults. The first field, struct_size, may stay 0: that
 * means the fields of 0.1.0, and a later library reads no more of them. A field that a later header adds needs
 * struct_size, the sizeof of the struct.
 * Structs that the library fills (em_model_info) need it always, for it must know how much room there is.
 *
 * Ownership is in the verb: _new/_open make what _free/_close end; _retain/_release count; _wrap adopts foreign memory.
 * Nothing aborts, prints or exits: a call returns a status, or NULL, and em_last_error() says why.
 */
#ifndef EMILY_H
#define EMILY_H

#include <emily/status.h>
#include <emily/log.h>
#include <emily/memory.h>
#include <emily/dtype.h>
#include <emily/device.h>
#include <emily/array.h>
#include <emily/ops.h>
#include <emily/order.h>
#include <emily/fourier.h>
#include <emily/random.h>
#include <emily/quantize.h>
#include <emily/indexing.h>
#include <emily/windows.h>
#include <emily/linalg.h>
#include <emily/program.h>
#include <emily/control.h>
#include <emily/ir.h>
#include <emily/stream.h>
#include <emily/safetensors.h>
#include <emily/tokenizer.h>
#include <emily/template.h>
#include <emily/model.h>
#include <emily/generation.h>
#include <emily/hub.h>

#endif
