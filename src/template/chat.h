/* The chat templates of a checkpoint: where they were found, and the special tokens that they name. */
#ifndef EM_TEMPLATE_CHAT_H
#define EM_TEMPLATE_CHAT_H

#include <pthread.h>

#include <jansson.h>

#include <emily/template.h>

enum { EM__J_MOST_SOURCES = 16 };

typedef struct em__jsource {
    char *name; /* "default", "tool_use" */
    char *file; /* for messages */
    char *text;
    size_t length;
    em_template *parsed; /* NULL until it is first rendered; under the lock */
} em__jsource;

struct em_chat_template {
    char *dir;
    json_t *tokens; /* bos_token and so on, an object; NULL: none */
    em__jsource sources[EM__J_MOST_SOURCES];
    size_t count;
    pthread_mutex_t lock;
};

/* The one for a chat with or without tools; NULL when there is none. */
const em__jsource *em__j_chat_source(const em_chat_template *chat, bool tools);

#endif
