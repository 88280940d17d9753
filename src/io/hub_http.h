/*
 * One conversation with the hub: requests on a kept connection, redirects followed by hand so that the token stays with
 * the endpoint, failures sorted into passing ones (tried again) and final ones.
 */
#ifndef EM_IO_HUB_HTTP_H
#define EM_IO_HUB_HTTP_H

#include "core/str.h"
#include "io/curl.h"
#include "io/hub.h"

#define EM__HTTP_TEXT 256

/* What the headers said; numbers are -1 and texts "" when absent. */
typedef struct em__http_reply {
    long status;
    int64_t length, range_start, retry_after;
    char etag[EM__HTTP_TEXT]; /* without W/ and quotes */
    char error_code[EM__HTTP_TEXT], error_text[EM__HTTP_TEXT];
    int64_t linked_size; /* of a large file, by the hub itself: kept over redirects */
    char linked_etag[EM__HTTP_TEXT];
    em__str location;
} em__http_reply;

typedef struct em__http_request {
    const char *url;
    bool head;     /* headers only; a redirect to another host ends it */
    uint64_t from; /* first byte wanted */
    /* Takes the body of a 200 or 206 piece by piece; an error ends the transfer and is what the request returns. */
    em_status (*sink)(void *user, const em__http_reply *reply, const char *bytes, size_t size);
    void *user;
} em__http_request;

typedef struct em__http {
    const em__hub *hub;
    const char *repo;
    const em__curl *curl;
    CURL *easy;
    em_hub_progress progress;
    bool passing;      /* the last failure may pass: try again */
    bool answered;     /* some request had a reply: the server is there */
    bool advanced;     /* set by a sink that got further than ever before: the try does not count */
    long wait_seconds; /* the server's wish before the next try; -1: none */
    em__http_reply reply;
} em__http;

em_status em__http_open(em__http *http, const em__hub *hub, const char *repo);
void em__http_close(em__http *http); /* fine after a failed open */

/* One try, redirects included. A status other than 200 or 206 (or a redirect, for head) is an error; http->reply and
 * http->passing tell more. */
em_status em__http_send(em__http *http, const em__http_request *request);

/* Runs `attempt` until it succeeds or fails for good, waiting longer each time; tries that got further don't count. */
em_status em__http_retry(em__http *http, em_status (*attempt)(em__http *http, void *user), void *user);

/* Calls the user's progress function; EM_ERROR_CANCELLED when it says so. */
em_status em__http_report(em__http *http);

/* `text` with all but unreserved characters escaped, appended to out; slashes too unless `path`. */
em_status em__http_escape(em__http *http, em__str *out, const char *text, bool path);

#endif
