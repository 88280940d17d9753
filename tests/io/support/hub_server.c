/* The test hub: a daemon, with one thread, for each of its two ports; counters are read when both rest. */
#include "hub_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <microhttpd.h>

#include "io/hash.h"

static void etag_of(const hub_file *file, char text[EM__HASH_TEXT])
{
    em__hash hash;
    char head[64];
    if (file->large) {
        em__hash_sha256(&hash);
    } else {
        em__hash_sha1(&hash);
        int n = snprintf(head, sizeof head, "blob %zu", file->size);
        em__hash_add(&hash, head, (size_t)n + 1);
    }
    em__hash_add(&hash, file->bytes, file->size);
    em__hash_end(&hash, text);
}

/* Is the fault on for this answer? */
static bool faulty(hub_file *file, hub_fault fault)
{
    if (file->fault != fault)
        return false;
    if (file->times > 0 && --file->times == 0)
        file->fault = HUB_FINE;
    return true;
}

static enum MHD_Result answer(hub_server *s, struct MHD_Connection *connection, unsigned status,
                              struct MHD_Response *response)
{
    if (status >= 400 && s->retry_after)
        MHD_add_response_header(response, "Retry-After", s->retry_after);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static struct MHD_Response *text_response(const char *text)
{
    return MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result answer_error(hub_server *s, struct MHD_Connection *connection, long status, const char *code)
{
    struct MHD_Response *response = text_response("an error page that nobody reads");
    MHD_add_response_header(response, "X-Error-Code", code);
    MHD_add_response_header(response, "X-Error-Message", "the server's words");
    return answer(s, connection, (unsigned)status, response);
}

/* ---- bodies ---- */

typedef struct body {
    const char *bytes;
    size_t from, size, stop; /* fails at `stop` when that is before `size` */
    size_t wrong;            /* this byte is changed */
    bool slow;
} body;

static ssize_t read_body(void *user, uint64_t position, char *out, size_t max)
{
    body *b = user;
    size_t at = b->from + (size_t)position;
    if (b->slow) {
        usleep(2000);
        out[0] = b->bytes[at % b->size];
        return 1;
    }
    if (at >= b->stop)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = b->stop - at < max ? b->stop - at : max;
    for (size_t i = 0; i < n; i++)
        out[i] = at + i < b->size ? b->bytes[at + i] : 'x';
    if (b->wrong >= at && b->wrong < at + n)
        out[b->wrong - at] ^= 1;
    return (ssize_t)n;
}

static enum MHD_Result send_file(hub_server *s, struct MHD_Connection *connection, hub_file *file, bool head)
{
    body *b = malloc(sizeof *b);
    assert_non_null(b);
    *b = (body){file->bytes, 0, file->size, file->size, SIZE_MAX, false};
    size_t total = file->size;
    const char *range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
    unsigned long long from = 0;
    bool partial = range && sscanf(range, "bytes=%llu-", &from) == 1;
    if (partial)
        s->ranges++;
    if (!head) {
        if (faulty(file, HUB_SHORT))
            b->stop = (size_t)from + (size_t)file->value;
        else if (faulty(file, HUB_WRONG))
            b->wrong = file->size / 2;
        else if (faulty(file, HUB_LONG))
            total = b->stop = file->size + 1000;
        else if (faulty(file, HUB_NO_RANGE))
            partial = false;
        else if (faulty(file, HUB_SLOW))
            b->slow = true;
    }
    if (partial && from >= file->size) {
        free(b);
        return answer_error(s, connection, 416, "");
    }
    b->from = partial ? (size_t)from : 0;
    struct MHD_Response *response = MHD_create_response_from_callback(total - b->from, 4096, read_body, b, free);
    char text[128], etag[EM__HASH_TEXT];
    etag_of(file, etag);
    snprintf(text, sizeof text, file->fault == HUB_EVIL_ETAG ? "\"../../%.9s\"" : "\"%s\"", etag);
    if (file->fault != HUB_NO_ETAG)
        MHD_add_response_header(response, "ETag", text);
    snprintf(text, sizeof text, "bytes %llu-%zu/%zu", from + (partial && faulty(file, HUB_WRONG_RANGE) ? 3 : 0),
             file->size - 1, file->size);
    if (partial)
        MHD_add_response_header(response, "Content-Range", text);
    if (!head)
        s->body_bytes += total - b->from;
    return answer(s, connection, partial ? 206 : 200, response);
}

/* ---- the hub ---- */

static enum MHD_Result redirect(hub_server *s, struct MHD_Connection *connection, hub_file *file, const char *url)
{
    char location[512], etag[EM__HASH_TEXT], size[32];
    struct MHD_Response *response = text_response("");
    if (faulty(file, HUB_LOOP))
        snprintf(location, sizeof location, "%s", url);
    else if (file->fault == HUB_PLAIN_REDIRECT)
        snprintf(location, sizeof location, "http://example.invalid/x?Signature=s3cret");
    else if (file->fault == HUB_NO_URL)
        snprintf(location, sizeof location, "http://[zz]/x?Signature=s3cret");
    else
        snprintf(location, sizeof location, "http://127.0.0.1:%d/cdn/%s?Signature=s3cret", s->cdn_port, file->path);
    etag_of(file, etag);
    snprintf(size, sizeof size, "%zu", file->fault == HUB_HUGE ? (size_t)1 << 60 : file->size);
    MHD_add_response_header(response, "Location", location);
    MHD_add_response_header(response, "X-Linked-Size", size);
    snprintf(location, sizeof location, "\"%s\"", etag);
    MHD_add_response_header(response, "X-Linked-ETag", location);
    MHD_add_response_header(response, "X-Repo-Commit", HUB_COMMIT);
    return answer(s, connection, 302, response);
}

static enum MHD_Result send_list(hub_server *s, struct MHD_Connection *connection)
{
    if (s->list_fault == HUB_STATUS) {
        if (s->list_times > 0 && --s->list_times == 0)
            s->list_fault = HUB_FINE;
        return answer_error(s, connection, s->list_value, "");
    }
    if (s->list)
        return answer(s, connection, 200, text_response(s->list));
    char text[8192];
    int n = snprintf(text, sizeof text, "{\"_id\":\"x\",\"sha\":\"" HUB_COMMIT "\",\"siblings\":[");
    for (size_t i = 0; i < s->count; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s{\"rfilename\":\"%s\"}", i ? "," : "", s->files[i].path);
    snprintf(text + n, sizeof text - (size_t)n, "]}");
    return answer(s, connection, 200, text_response(text));
}

static hub_file *find_file(hub_server *s, const char *path)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->files[i].path, path) == 0)
            return &s->files[i];
    return NULL;
}

static bool is_authorized(struct MHD_Connection *connection)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    return value && strcmp(value, "Bearer " HUB_TOKEN) == 0;
}

static enum MHD_Result serve_hub(hub_server *s, struct MHD_Connection *connection, const char *url, bool head)
{
    char prefix[256];
    s->requests++;
    s->authorized += is_authorized(connection);
    if (s->needs_token && !is_authorized(connection))
        return answer_error(s, connection, 401, "RepoNotFound");
    snprintf(prefix, sizeof prefix, "/api/models/%s/revision/", s->repo);
    if (strncmp(url, prefix, strlen(prefix)) == 0) {
        const char *revision = url + strlen(prefix);
        bool known =
            strcmp(revision, "main") == 0 || strcmp(revision, "refs/pr/1") == 0 || strcmp(revision, HUB_COMMIT) == 0;
        return known ? send_list(s, connection) : answer_error(s, connection, 404, "RevisionNotFound");
    }
    snprintf(prefix, sizeof prefix, "/%s/resolve/" HUB_COMMIT "/", s->repo);
    hub_file *file = strncmp(url, prefix, strlen(prefix)) == 0 ? find_file(s, url + strlen(prefix)) : NULL;
    /* The real hub answers for small files by way of a relative redirect. */
    if (!file && strncmp(url, "/cache/", 7) == 0 && (file = find_file(s, url + 7)))
        return send_file(s, connection, file, head);
    if (!file)
        return answer_error(s, connection, 404, "RepoNotFound");
    if (faulty(file, HUB_STATUS))
        return answer_error(s, connection, file->value, "EntryNotFound");
    if (file->large || file->fault == HUB_LOOP || file->fault == HUB_PLAIN_REDIRECT || file->fault == HUB_NO_URL)
        return redirect(s, connection, file, url);
    struct MHD_Response *response = text_response("");
    snprintf(prefix, sizeof prefix, "/cache/%s", file->path);
    MHD_add_response_header(response, "Location", prefix);
    return answer(s, connection, 307, response);
}

static enum MHD_Result serve(hub_server *s, struct MHD_Connection *connection, const char *url, const char *method,
                             bool cdn)
{
    bool head = strcmp(method, "HEAD") == 0;
    if (!cdn)
        return serve_hub(s, connection, url, head);
    s->cdn_requests++;
    s->cdn_authorized += MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization") != NULL;
    hub_file *file = strncmp(url, "/cdn/", 5) == 0 ? find_file(s, url + 5) : NULL;
    if (!file)
        return answer_error(s, connection, 403, "");
    if (faulty(file, HUB_CDN_STATUS))
        return answer_error(s, connection, file->value, "");
    return send_file(s, connection, file, head);
}

static enum MHD_Result on_hub(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state)
{
    (void)version, (void)upload, (void)upload_size, (void)state;
    return serve(cls, connection, url, method, false);
}

static enum MHD_Result on_cdn(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state)
{
    (void)version, (void)upload, (void)upload_size, (void)state;
    return serve(cls, connection, url, method, true);
}

static struct MHD_Daemon *start(MHD_AccessHandlerCallback handler, hub_server *server, int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handler, server,
                                                 MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    assert_non_null(daemon);
    *port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return daemon;
}

void hub_server_start(hub_server *server)
{
    int port;
    server->hub = start(on_hub, server, &port);
    server->cdn = start(on_cdn, server, &server->cdn_port);
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%d", port);
}

void hub_server_stop(hub_server *server)
{
    MHD_stop_daemon(server->hub);
    MHD_stop_daemon(server->cdn);
}
