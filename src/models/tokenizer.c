/* Loading tokenizer.json beside the weights. */
#include "models/tokenizer.h"

#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/tokenizer.h"

em_status em__tokenizer_read(const char *dir, bool lowercase, em_tokenizer **tokenizer)
{
    return em__tokenizer_open(dir, lowercase, tokenizer);
}

static void *load_tokenizer(void *context)
{
    em__tokenizer_load *load = context;
    load->status = em__tokenizer_open(load->dir, load->lowercase, &load->tokenizer);
    if (load->status != EM_OK && load->threaded)
        load->error = em__strdup(em_last_error());
    return NULL;
}

void em__tokenizer_start(em__tokenizer_load *load, const char *dir, bool lowercase)
{
    memset(load, 0, sizeof *load);
    load->dir = dir;
    load->lowercase = lowercase;
    load->threaded = true;
    if (pthread_create(&load->thread, NULL, load_tokenizer, load) != 0) {
        load->threaded = false;
        load_tokenizer(load);
    }
}

em_status em__tokenizer_join(em__tokenizer_load *load, em_tokenizer **tokenizer)
{
    if (load->threaded)
        pthread_join(load->thread, NULL);
    *tokenizer = load->tokenizer;
    if (load->threaded && load->status != EM_OK)
        em__fail(load->status, "%s", load->error ? load->error : em_status_text(load->status));
    em__free(load->error);
    return load->status;
}

void em__tokenizer_discard(em__tokenizer_load *load)
{
    if (load->threaded)
        pthread_join(load->thread, NULL);
    em_tokenizer_free(load->tokenizer);
    em__free(load->error);
}
