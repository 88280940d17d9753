/* Opening libcurl, once a process. */
#include "io/curl.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "core/error.h"
#include "core/library.h"

static em__curl functions;
static bool opened;

static void open_library(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};
    void *library = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    bool all = true;
#define FIND(name) all = em__library_find(library, "curl_" #name, &functions.name) && all;
    EM__CURL_FUNCTIONS(FIND)
#undef FIND
    opened = all && functions.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

em_status em__curl_get(const em__curl **curl)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_library);
    EM__FAIL_IF(!opened, EM_ERROR_UNSUPPORTED, "libcurl.so.4 cannot be opened; install it: apt-get install libcurl4");
    *curl = &functions;
    return EM_OK;
}
