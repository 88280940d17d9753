/*
 * libcurl, opened when the first download asks for it. Linking it would cost every start of every program its forty
 * libraries (5 ms measured, and their memory), for a thing done once a model.
 */
#ifndef EM_IO_CURL_H
#define EM_IO_CURL_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include <emily/status.h>

/* Each is a member of em__curl, named without "curl_". */
#define EM__CURL_FUNCTIONS(X)                                                                                          \
    X(global_init)                                                                                                     \
    X(easy_init)                                                                                                       \
    X(easy_cleanup)                                                                                                    \
    X(easy_reset)                                                                                                      \
    X(easy_setopt)                                                                                                     \
    X(easy_getinfo)                                                                                                    \
    X(easy_perform)                                                                                                    \
    X(easy_strerror)                                                                                                   \
    X(easy_escape)                                                                                                     \
    X(free)                                                                                                            \
    X(slist_append)                                                                                                    \
    X(slist_free_all)                                                                                                  \
    X(url)                                                                                                             \
    X(url_set)                                                                                                         \
    X(url_get)                                                                                                         \
    X(url_cleanup)

typedef struct em__curl {
#define MEMBER(name) __typeof__(&curl_##name) name;
    EM__CURL_FUNCTIONS(MEMBER)
#undef MEMBER
} em__curl;

/* The process's libcurl, initialised; stays open. EM_ERROR_UNSUPPORTED when it is not installed. Any thread. */
em_status em__curl_get(const em__curl **curl);

#endif
