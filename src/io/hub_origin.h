/* Where a URL leads, and whether Emily goes there. */
#ifndef EM_IO_HUB_ORIGIN_H
#define EM_IO_HUB_ORIGIN_H

#include "core/str.h"
#include "io/curl.h"

#define EM__URL_SHOWN 300

/* `url` for messages, in `out`: without its query, which may be a signature, and without control characters. */
const char *em__url_shown(char out[EM__URL_SHOWN], const char *url);

/* Whether two URLs have scheme, host and port in common: where one may see the other's token. */
bool em__url_same_origin(const em__curl *curl, const char *a, const char *b);

bool em__url_is_loopback(const em__curl *curl, const char *url);

/* EM_OK for https, and for http on the loopback interface when `endpoint` is that too. */
em_status em__url_allowed(const em__curl *curl, const char *endpoint, const char *url);

/* Replaces *url by what `location` means seen from it. */
em_status em__url_resolve(const em__curl *curl, em__str *url, const char *location);

#endif
