/* Requests to the hub and what became of them: hub_http.h says the rules. */
#include "io/hub_http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/alloc.h"
#include "core/error.h"
#include "io/hub_origin.h"
#include "io/json.h"
#include "io/sigpipe.h"

#define REDIRECTS 8
#define CONNECT_SECONDS 10L
#define STALL_SECONDS 30L
#define LONGEST_WAIT_SECONDS 60

/* One transfer, for libcurl's callbacks. */
typedef struct transfer {
    em__http *http;
    const em__http_request *request;
    em_status status; /* what a callback failed with */
} transfer;

em_status em__http_open(em__http *http, const em__hub *hub, const char *repo)
{
    *http = (em__http){.hub = hub, .repo = repo, .progress = {.repo = repo, .file = ""}};
    EM__TRY(em__curl_get(&http->curl));
    http->easy = http->curl->easy_init();
    return http->easy ? EM_OK : em__fail(EM_ERROR_OUT_OF_MEMORY, "libcurl: out of memory");
}

void em__http_close(em__http *http)
{
    em__str_free(&http->reply.location);
    em__sigpipe signals;
    em__sigpipe_block(&signals);
    if (http->easy)
        http->curl->easy_cleanup(http->easy);
    em__sigpipe_unblock(&signals);
    http->easy = NULL;
}

em_status em__http_report(em__http *http)
{
    const em_hub_options *options = &http->hub->options;
    if (!options->progress || options->progress(&http->progress, options->user))
        return EM_OK;
    return em__fail(EM_ERROR_CANCELLED, "cancelled; what was fetched stays for the next time");
}

em_status em__http_escape(em__http *http, em__str *out, const char *text, bool path)
{
    for (;;) {
        size_t n = path ? strcspn(text, "/") : strlen(text);
        char *escaped = n ? http->curl->easy_escape(http->easy, text, (int)n) : NULL;
        EM__FAIL_IF(n && !escaped, EM_ERROR_OUT_OF_MEMORY, "libcurl: out of memory");
        em_status status = n ? em__str_add_text(out, escaped) : EM_OK;
        http->curl->free(escaped);
        EM__TRY(status);
        text += n;
        if (!*text)
            return EM_OK;
        EM__TRY(em__str_add_char(out, *text++));
    }
}

/* ---- headers ---- */

static void copy_text(char *out, const char *value, size_t n)
{
    if (n >= EM__HTTP_TEXT)
        n = 0; /* a name this long is none that the hub gives */
    memcpy(out, value, n);
    out[n] = '\0';
}

static void copy_etag(char *out, const char *value, size_t n)
{
    if (n > 2 && value[0] == 'W' && value[1] == '/')
        value += 2, n -= 2;
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"')
        value++, n -= 2;
    copy_text(out, value, n);
}

static int64_t parse_number(const char *value, size_t n)
{
    char text[24];
    long long number;
    if (n == 0 || n >= sizeof text)
        return -1;
    memcpy(text, value, n);
    text[n] = '\0';
    return em__parse_i64(text, &number) && number >= 0 ? number : -1;
}

/* "bytes 100-199/200" gives 100. */
static int64_t parse_range(const char *value, size_t n)
{
    const char unit[] = "bytes ";
    size_t m = sizeof unit - 1;
    const char *dash = n > m && strncasecmp(value, unit, m) == 0 ? memchr(value, '-', n) : NULL;
    return dash ? parse_number(value + m, (size_t)(dash - value) - m) : -1;
}

/* What a new response on the way must not inherit. */
static void clear_reply(em__http_reply *reply)
{
    reply->status = 0;
    reply->length = reply->range_start = reply->retry_after = -1;
    reply->etag[0] = reply->error_code[0] = reply->error_text[0] = '\0';
    em__str_clear(&reply->location);
}

static em_status take_header(em__http_reply *reply, const char *name, size_t m, const char *value, size_t n)
{
#define IS(text) (m == sizeof text - 1 && strncasecmp(name, text, m) == 0)
    if (IS("content-length"))
        reply->length = parse_number(value, n);
    else if (IS("content-range"))
        reply->range_start = parse_range(value, n);
    else if (IS("retry-after"))
        reply->retry_after = parse_number(value, n);
    else if (IS("etag"))
        copy_etag(reply->etag, value, n);
    else if (IS("x-linked-etag") && !reply->linked_etag[0])
        copy_etag(reply->linked_etag, value, n);
    else if (IS("x-linked-size") && reply->linked_size < 0)
        reply->linked_size = parse_number(value, n);
    else if (IS("x-error-code"))
        copy_text(reply->error_code, value, n);
    else if (IS("x-error-message"))
        copy_text(reply->error_text, value, n);
    else if (IS("location"))
        return em__str_add(&reply->location, value, n);
#undef IS
    return EM_OK;
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    transfer *t = user;
    size_t n = size * count;
    while (n > 0 && strchr("\r\n \t", line[n - 1]))
        n--;
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        clear_reply(&t->http->reply);
        return size * count;
    }
    const char *colon = memchr(line, ':', n), *value = colon ? colon + 1 : NULL;
    while (value && value < line + n && (*value == ' ' || *value == '\t'))
        value++;
    if (value)
        t->status = take_header(&t->http->reply, line, (size_t)(colon - line), value, (size_t)(line + n - value));
    return t->status == EM_OK ? size * count : 0;
}

/* ---- body and progress ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    transfer *t = user;
    em__http *http = t->http;
    http->curl->easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &http->reply.status);
    bool wanted = http->reply.status == 200 || http->reply.status == 206;
    if (wanted && t->request->sink)
        t->status = t->request->sink(t->request->user, &http->reply, bytes, size * count);
    return t->status == EM_OK ? size * count : 0;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    (void)total, (void)now, (void)up_total, (void)up_now;
    transfer *t = user;
    /* Called once more after a callback failed. */
    if (t->status == EM_OK)
        t->status = em__http_report(t->http);
    return t->status != EM_OK;
}

/* ---- one exchange ---- */

static void set_options(em__http *http, transfer *t, const char *url, char *error)
{
    const em__http_request *request = t->request;
    __typeof__(http->curl->easy_setopt) set = http->curl->easy_setopt;
    CURL *easy = http->easy;
    http->curl->easy_reset(easy);
    set(easy, CURLOPT_URL, url);
    set(easy, CURLOPT_ERRORBUFFER, error);
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_USERAGENT, "emily");
    set(easy, CURLOPT_NOBODY, request->head ? 1L : 0L);
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    set(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(easy, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
    if (em__url_is_loopback(http->curl, url))
        set(easy, CURLOPT_NOPROXY, "*");
    set(easy, CURLOPT_HEADERFUNCTION, on_header);
    set(easy, CURLOPT_HEADERDATA, t);
    set(easy, CURLOPT_WRITEFUNCTION, on_body);
    set(easy, CURLOPT_WRITEDATA, t);
    set(easy, CURLOPT_NOPROGRESS, 0L);
    set(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    set(easy, CURLOPT_XFERINFODATA, t);
}

/* Appends a header line; on failure the list stays as it was. */
static em_status add_line(const em__curl *curl, struct curl_slist **list, const char *line)
{
    struct curl_slist *grown = line ? curl->slist_append(*list, line) : NULL;
    EM__FAIL_IF(!grown, EM_ERROR_OUT_OF_MEMORY, "libcurl: out of memory");
    *list = grown;
    return EM_OK;
}

static em_status build_lines(em__http *http, const em__http_request *request, bool trusted, struct curl_slist **list)
{
    /* Hashes are of the plain bytes. */
    EM__TRY(add_line(http->curl, list, "Accept-Encoding: identity"));
    if (trusted && http->hub->token) {
        char *line = em__format("Authorization: Bearer %s", http->hub->token);
        em_status status = add_line(http->curl, list, line);
        em__free(line);
        EM__TRY(status);
    }
    if (request->from > 0) {
        /* As a header, so that a server that ignores it is no error of libcurl's. */
        char *line = em__format("Range: bytes=%llu-", (unsigned long long)request->from);
        em_status status = add_line(http->curl, list, line);
        em__free(line);
        EM__TRY(status);
    }
    return EM_OK;
}

static bool is_passing(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    default: return false;
    }
}

/* A request and its response, no redirects. */
static em_status exchange(em__http *http, const em__http_request *request, const char *url)
{
    char error[CURL_ERROR_SIZE] = "", where[EM__URL_SHOWN];
    transfer t = {http, request, EM_OK};
    struct curl_slist *lines = NULL;
    bool trusted = em__url_same_origin(http->curl, url, http->hub->endpoint);
    em_status status = build_lines(http, request, trusted, &lines);
    if (status == EM_OK) {
        clear_reply(&http->reply);
        set_options(http, &t, url, error);
        http->curl->easy_setopt(http->easy, CURLOPT_HTTPHEADER, lines);
        em__sigpipe signals;
        em__sigpipe_block(&signals);
        CURLcode code = http->curl->easy_perform(http->easy);
        em__sigpipe_unblock(&signals);
        http->curl->easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &http->reply.status);
        http->answered = http->answered || http->reply.status != 0;
        status = t.status;
        http->passing = status == EM_OK && is_passing(code);
        if (status == EM_OK && code != CURLE_OK)
            status = em__fail(EM_ERROR_NETWORK, "%s: %s", em__url_shown(where, url),
                              error[0] ? error : http->curl->easy_strerror(code));
    }
    http->curl->slist_free_all(lines);
    return status;
}

/* ---- outcomes ---- */

/* `where` is the URL for messages. A 403 of another host, where large files are, is of no licence: the signature in
 * the address has expired, and the hub gives a fresh one to those who ask again. */
static em_status fail_refused(em__http *http, const char *url, const char *where)
{
    const em__http_reply *r = &http->reply;
    const char *wish = http->hub->token ? "the token was refused, or lacks the right to read it"
                                        : "it does not exist, or needs a token: set HF_TOKEN";
    char shown[EM__HTTP_TEXT];
    em__printable(shown, sizeof shown, r->error_text);
    const char *space = *shown ? " " : "";
    if (r->status == 401)
        return em__fail(EM_ERROR_NETWORK, "%s: 401%s%s: %s", where, space, shown, wish);
    http->passing = !em__url_same_origin(http->curl, url, http->hub->endpoint);
    if (http->passing)
        return em__fail(EM_ERROR_NETWORK, "%s: %ld%s%s: the address has expired, or something on the way refuses it",
                        where, r->status, space, shown);
    return em__fail(EM_ERROR_NETWORK, "%s: %ld%s%s: access is refused; accept the licence at %s/%s and set HF_TOKEN",
                    where, r->status, space, shown, http->hub->endpoint, http->repo);
}

static em_status fail_status(em__http *http, const char *url)
{
    const em__http_reply *r = &http->reply;
    char shown[EM__HTTP_TEXT], where[EM__URL_SHOWN];
    em__url_shown(where, url);
    http->passing = r->status == 408 || r->status == 429 || r->status >= 500;
    http->wait_seconds =
        r->retry_after < 0 ? -1 : (long)(r->retry_after < LONGEST_WAIT_SECONDS ? r->retry_after : LONGEST_WAIT_SECONDS);
    if (r->status == 401 || r->status == 403)
        return fail_refused(http, url, where);
    if (r->status == 404 || r->status == 410)
        return em__fail(EM_ERROR_NOT_FOUND, "%s: %ld%s%s: no such repository, revision or file", where, r->status,
                        *r->error_code ? " " : "", em__printable(shown, sizeof shown, r->error_code));
    if (r->status == 429)
        return em__fail(EM_ERROR_NETWORK, "%s: 429: the server asks for fewer requests; wait, or set HF_TOKEN", where);
    return em__fail(EM_ERROR_NETWORK, "%s: the server answered %ld %s", where, r->status,
                    em__printable(shown, sizeof shown, r->error_text));
}

em_status em__http_send(em__http *http, const em__http_request *request)
{
    em__str url = {0};
    http->passing = false;
    http->wait_seconds = -1;
    http->reply.linked_size = -1;
    http->reply.linked_etag[0] = '\0';
    em_status status = em__str_add_text(&url, request->url);
    for (int hops = 0; status == EM_OK; hops++) {
        status = em__url_allowed(http->curl, http->hub->endpoint, url.data);
        if (status == EM_OK)
            status = exchange(http, request, url.data);
        long code = http->reply.status;
        if (status != EM_OK || code == 200 || code == 206)
            break;
        if (code < 300 || code >= 400 || code == 304 || http->reply.location.length == 0) {
            status = fail_status(http, url.data);
            break;
        }
        if (hops == REDIRECTS)
            status = em__fail(EM_ERROR_NETWORK, "%s: more than %d redirects", request->url, REDIRECTS);
        else
            status = em__url_resolve(http->curl, &url, http->reply.location.data);
        if (status == EM_OK && request->head && !em__url_same_origin(http->curl, url.data, http->hub->endpoint))
            break;
    }
    em__str_free(&url);
    return status;
}

/* ---- again ---- */

static em_status pause_before(em__http *http, unsigned try)
{
    uint64_t first = http->hub->options.retry_ms ? http->hub->options.retry_ms : 1000;
    uint64_t left = first << (try < 16 ? try : 16);
    if (left > LONGEST_WAIT_SECONDS * 1000)
        left = LONGEST_WAIT_SECONDS * 1000;
    if (http->wait_seconds >= 0 && (uint64_t)http->wait_seconds * 1000 > left)
        left = (uint64_t)http->wait_seconds * 1000;
    while (left > 0) {
        uint64_t slice = left < 200 ? left : 200;
        EM__TRY(em__http_report(http));
        nanosleep(&(struct timespec){.tv_nsec = (long)slice * 1000000}, NULL);
        left -= slice;
    }
    return EM_OK;
}

em_status em__http_retry(em__http *http, em_status (*attempt)(em__http *http, void *user), void *user)
{
    unsigned retries = http->hub->options.retries ? http->hub->options.retries : 5;
    const unsigned unheard = 1; /* of a server that never answered: a wrong address does not pass by waiting */
    for (unsigned try = 0;; try++) {
        http->advanced = false;
        em_status status = attempt(http, user);
        if (status == EM_OK || !http->passing)
            return status;
        if (http->advanced)
            try = 0;
        else if (try >= retries || (!http->answered && try >= unheard))
            return em__fail(status, "%s; tried %u times, run it again later to go on", em_last_error(), try + 1);
        EM__TRY(pause_before(http, try));
    }
}
