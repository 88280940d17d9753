/*
 * A hub on 127.0.0.1 for tests, and the CDN that it redirects large files to (another port, so another origin). It
 * behaves as the real one does: API JSON, ETag, X-Linked-*, relative and absolute redirects, ranges. Faults are set
 * file by file.
 */
#ifndef EM_TESTS_HUB_SERVER_H
#define EM_TESTS_HUB_SERVER_H

#include <stddef.h>

#define HUB_COMMIT "0123456789abcdef0123456789abcdef01234567"
#define HUB_TOKEN "hf_secret"

typedef enum hub_fault {
    HUB_FINE,
    HUB_STATUS,      /* answers `value` (404, 500, ...) */
    HUB_SHORT,       /* closes the connection after `value` bytes of the body */
    HUB_WRONG,       /* one byte is not what the hash says */
    HUB_LONG,        /* more bytes than announced */
    HUB_NO_RANGE,    /* 200 with everything, whatever range was asked for */
    HUB_WRONG_RANGE, /* 206 from another byte on */
    HUB_NO_ETAG,
    HUB_EVIL_ETAG,      /* "../../x" */
    HUB_HUGE,           /* announces 2^60 bytes */
    HUB_LOOP,           /* redirects to itself */
    HUB_PLAIN_REDIRECT, /* redirects to http://example.invalid/ */
    HUB_NO_URL,         /* redirects to what is none */
    HUB_CDN_STATUS,     /* the CDN answers `value` */
    HUB_SLOW            /* a byte at a time, forever */
} hub_fault;

typedef struct hub_file {
    const char *path;
    const char *bytes;
    size_t size;
    int large; /* on the CDN, named by SHA-256 */
    hub_fault fault;
    long value;
    int times; /* the fault goes away after so many answers; 0: never */
} hub_file;

typedef struct hub_server {
    char endpoint[64];
    const char *repo;
    hub_file *files;
    size_t count;
    const char *list;     /* sent instead of the list of files, when set */
    hub_fault list_fault; /* HUB_STATUS or HUB_FINE */
    long list_value;
    int list_times;
    int needs_token;         /* 401 without HUB_TOKEN */
    const char *retry_after; /* sent with every error */
    /* what happened */
    int requests, cdn_requests, cdn_authorized, authorized, ranges;
    unsigned long long body_bytes; /* of 200s and 206s to GET */
    struct MHD_Daemon *hub, *cdn;
    int cdn_port;
} hub_server;

/* Starts both on free ports; the fields up to `retry_after` may be set before or between requests. */
void hub_server_start(hub_server *server);
void hub_server_stop(hub_server *server);

#endif
