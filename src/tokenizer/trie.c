/* Tries of token texts. */
#include "core/alloc.h"
#include "core/error.h"
#include "tokenizer/tokenizer.h"

static em_status begin(em__trie *trie)
{
    EM__TRY(em__vec_reserve(&trie->nodes, 256));
    for (int byte = 0; byte < 256; byte++)
        trie->nodes.data[byte] = (em__trie_node){.id = -1, .byte = (uint8_t)byte};
    trie->nodes.length = 256;
    return EM_OK;
}

em_status em__trie_insert(em__trie *trie, const char *text, size_t length, int32_t id, int32_t *previous)
{
    if (trie->nodes.length == 0)
        EM__TRY(begin(trie));
    uint32_t node = (uint8_t)text[0];
    for (size_t i = 1; i < length; i++) {
        uint32_t child = em__trie_child(trie, node, (uint8_t)text[i]);
        if (!child) {
            child = (uint32_t)trie->nodes.length;
            em__trie_node fresh = {.id = -1, .byte = (uint8_t)text[i], .sibling = trie->nodes.data[node].child};
            EM__TRY(em__vec_push(&trie->nodes, fresh));
            trie->nodes.data[node].child = child;
        }
        node = child;
    }
    *previous = trie->nodes.data[node].id;
    trie->nodes.data[node].id = id;
    return EM_OK;
}

void em__trie_free(em__trie *trie)
{
    em__vec_free(&trie->nodes);
}
