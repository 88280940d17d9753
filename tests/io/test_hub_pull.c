/* Downloads from a hub on 127.0.0.1: the cache that results, and every way in which a server or a disk can fail. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/inotify.h>
#endif
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <emily/hub.h>

#include "core/alloc.h"
#include "io/file.h"
#include "support/hub_server.h"
#include "support/temp.h"

#define LARGE 300000

static char large[LARGE];
static hub_file files[4];
static hub_server server;
static em_hub_options options;

/* Progress as the callback saw it. */
static struct {
    int calls, cancel_at;
    unsigned long long last, total;
} seen;

static bool on_progress(const em_hub_progress *progress, void *user)
{
    (void)user;
    seen.last = progress->done;
    seen.total = progress->total;
    return ++seen.calls != seen.cancel_at;
}

static int setup(void **state)
{
    int failed = temp_setup(state);
    setenv("HF_HOME", *state, 1);
    unsetenv("HF_HUB_CACHE");
    unsetenv("HF_TOKEN");
    unsetenv("HF_HUB_OFFLINE");
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* loopback goes past proxies */
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)(i * 2654435761u >> 13);
    const hub_file fresh[] = {{.path = "config.json", .bytes = "{\"a\":1}", .size = 7},
                              {.path = "1_Pooling/config.json", .bytes = "{}", .size = 2},
                              {.path = "model.safetensors", .bytes = large, .size = LARGE, .large = 1},
                              {.path = "README.md", .bytes = "no", .size = 2}};
    memcpy(files, fresh, sizeof files);
    server = (hub_server){.repo = "org/name", .files = files, .count = 4};
    hub_server_start(&server);
    options = (em_hub_options){.struct_size = sizeof options, .endpoint = server.endpoint, .retries = 3, .retry_ms = 1};
    memset(&seen, 0, sizeof seen);
    return failed;
}

static int teardown(void **state)
{
    hub_server_stop(&server);
    return temp_teardown(state);
}

static void pull_fails(em_status expected, const char *part)
{
    char *path;
    assert_int_equal(em_hub_pull("org/name", &options, &path), expected);
    assert_null(path);
    assert_error_has("pull org/name: ");
    assert_error_has(part);
    if (strstr(em_last_error(), "s3cret") || strstr(em_last_error(), HUB_TOKEN))
        fail_msg("a secret is in \"%s\"", em_last_error());
}

static void pull_works(void)
{
    char *path;
    if (em_hub_pull("org/name", &options, &path) != EM_OK)
        fail_msg("%s", em_last_error());
    em_hub_path_free(path);
}

static void file_is(const char *dir, const char *name, const char *bytes, size_t size)
{
    char *text;
    size_t n;
    assert_int_equal(em__file_read(temp_path(dir, name), 1 << 20, &text, &n), EM_OK);
    assert_int_equal(n, size);
    assert_memory_equal(text, bytes, size);
    em__free(text);
}

static size_t incomplete_size(const char *home, const char *etag)
{
    char name[256];
    struct stat st;
    snprintf(name, sizeof name, "hub/models--org--name/blobs/%s.incomplete", etag);
    return stat(temp_path(home, name), &st) == 0 ? (size_t)st.st_size : 0;
}

/* The large file's SHA-256, as a link in the snapshot tells it. */
static const char *large_etag(const char *home)
{
    static char target[256];
    ssize_t n =
        readlink(temp_path(home, "hub/models--org--name/snapshots/" HUB_COMMIT "/model.safetensors"), target, 255);
    assert_true(n > 64);
    target[n] = '\0';
    return strrchr(target, '/') + 1;
}

static void test_layout(void **state)
{
    options.progress = on_progress;
    pull_works();
    char repo[1024], snapshot[1200];
    snprintf(repo, sizeof repo, "%s/hub/models--org--name", (const char *)*state);
    snprintf(snapshot, sizeof snapshot, "%s/snapshots/" HUB_COMMIT, repo);
    file_is(repo, "refs/main", HUB_COMMIT, 40);
    file_is(snapshot, "config.json", "{\"a\":1}", 7);
    file_is(snapshot, "1_Pooling/config.json", "{}", 2);
    file_is(snapshot, "model.safetensors", large, LARGE);
    assert_false(em__path_is_file(temp_path(snapshot, "README.md")));
    char target[256] = "";
    assert_true(readlink(temp_path(snapshot, "1_Pooling/config.json"), target, 255) > 0);
    assert_string_equal(target, "../../../blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b"); /* git hash-object of {} */
    file_is(repo, "blobs/9e26dfeeb6e641a33dae4961196235bdb965b21b", "{}", 2);
    assert_true(em__path_is_file(
        temp_path(*state, "hub/.locks/models--org--name/9e26dfeeb6e641a33dae4961196235bdb965b21b.lock")));
    assert_int_equal(seen.last, LARGE + 9);
    assert_int_equal(seen.total, LARGE + 9);
    char *path;
    assert_int_equal(em_hub_resolve("org/name", NULL, &path), EM_OK);
    assert_string_equal(path, snapshot);
    em_hub_path_free(path);
    /* All is there: only the list is asked for. */
    server.requests = server.cdn_requests = 0;
    pull_works();
    assert_int_equal(server.requests, 1);
    assert_int_equal(server.cdn_requests, 0);
}

static void test_revisions(void **state)
{
    options.revision = "refs/pr/1";
    pull_works();
    file_is(*state, "hub/models--org--name/refs/refs/pr/1", HUB_COMMIT, 40);
    options.revision = HUB_COMMIT;
    pull_works();
    assert_false(em__path_is_file(temp_path(*state, "hub/models--org--name/refs/" HUB_COMMIT)));
    options.revision = "v9";
    pull_fails(EM_ERROR_NOT_FOUND, "404 RevisionNotFound: no such repository, revision or file");
    assert_error_has("/revision/v9");
}

static void test_bare_name(void **state)
{
    (void)state;
    char *path;
    server.repo = "sentence-transformers/mini";
    assert_int_equal(em_hub_pull("mini", &options, &path), EM_OK);
    assert_non_null(strstr(path, "models--sentence-transformers--mini/snapshots"));
    em_hub_path_free(path);
    assert_int_equal(em_hub_pull("other", &options, &path), EM_ERROR_NOT_FOUND);
}

static void test_token(void **state)
{
    (void)state;
    server.needs_token = 1;
    pull_fails(EM_ERROR_NETWORK, "401 the server's words: it does not exist, or needs a token: set HF_TOKEN");
    options.token = "hf_wrong";
    pull_fails(EM_ERROR_NETWORK, "the token was refused");
    options.token = HUB_TOKEN;
    pull_works();
    assert_true(server.authorized > 0);
    assert_true(server.cdn_requests > 0);
    assert_int_equal(server.cdn_authorized, 0);
    /* What redirects lead to, signed as it is, stays out of messages too. */
    files[2] =
        (hub_file){.path = "x.safetensors", .bytes = large, .size = 1000, .large = 1, .fault = HUB_SHORT, .value = 0};
    pull_fails(EM_ERROR_NETWORK, "tried 4 times");
}

static void test_offline(void **state)
{
    (void)state;
    setenv("HF_HUB_OFFLINE", "1", 1);
    char *path;
    assert_int_equal(em_hub_pull("org/name", &options, &path), EM_ERROR_NETWORK);
    assert_error_has("offline, as HF_HUB_OFFLINE");
    assert_int_equal(em_hub_resolve("org/name", &options, &path), EM_ERROR_NOT_FOUND);
    assert_int_equal(server.requests, 0);
}

static void test_passing_failures(void **state)
{
    (void)state;
    server.list_fault = HUB_STATUS, server.list_value = 503, server.list_times = 2;
    files[0].fault = HUB_STATUS, files[0].value = 429, files[0].times = 2;
    files[1].fault = HUB_STATUS, files[1].value = 500, files[1].times = 3;
    server.retry_after = "0";
    pull_works();
}

static void test_lasting_failures(void **state)
{
    static const struct {
        long status;
        em_status expected;
        const char *part;
    } rows[] = {
        {500, EM_ERROR_NETWORK, "the server answered 500 the server's words; tried 4 times, run it again later"},
        {502, EM_ERROR_NETWORK, "the server answered 502"},
        {429, EM_ERROR_NETWORK, "429: the server asks for fewer requests; wait, or set HF_TOKEN; tried 4 times"},
        {404, EM_ERROR_NOT_FOUND, "404 EntryNotFound: no such"},
        {403, EM_ERROR_NETWORK, "access is refused; accept the licence at http://127.0.0.1"},
        {401, EM_ERROR_NETWORK, "needs a token: set HF_TOKEN"},
        {418, EM_ERROR_NETWORK, "the server answered 418"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        files[2].fault = HUB_STATUS, files[2].value = rows[i].status;
        pull_fails(rows[i].expected, rows[i].part);
        assert_error_has("model.safetensors");
    }
    assert_false(em__path_is_file(temp_path(*state, "hub/models--org--name/refs/main")));
}

/* A signature that has expired is asked for again, and no licence changes that. */
static void test_expired(void **state)
{
    (void)state;
    files[2].fault = HUB_CDN_STATUS, files[2].value = 403, files[2].times = 2;
    pull_works();
    assert_int_equal(server.cdn_requests, 3);
    files[2].path = "x.safetensors", files[2].size = 1000, files[2].fault = HUB_CDN_STATUS, files[2].times = 0;
    pull_fails(EM_ERROR_NETWORK, "/cdn/x.safetensors: 403 the server's words: the address has expired");
    assert_error_has("tried 4 times");
    assert_null(strstr(em_last_error(), "licence"));
}

static void test_resume(void **state)
{
    files[2].fault = HUB_SHORT, files[2].value = 100000, files[2].times = 0;
    options.retries = 1;
    /* Each try brings 100,000 bytes more, so none counts as failed. */
    pull_works();
    assert_int_equal(server.ranges, 2);
    file_is(*state, "hub/models--org--name/snapshots/" HUB_COMMIT "/model.safetensors", large, LARGE);
}

/* What an earlier process left is gone on from. */
static void test_resume_later(void **state)
{
    pull_works();
    char name[256], etag[128];
    snprintf(etag, sizeof etag, "%s", large_etag(*state));
    snprintf(name, sizeof name, "hub/models--org--name/blobs/%s", etag);
    unlink(temp_path(*state, name));
    snprintf(name, sizeof name, "hub/models--org--name/blobs/%s.incomplete", etag);
    temp_file(*state, name, large, 123456);
    server.body_bytes = 0;
    pull_works();
    assert_int_equal(server.body_bytes, LARGE - 123456);
    assert_int_equal(incomplete_size(*state, etag), 0);
    /* Longer than the file: begin again. Complete: only check. Wrong: throw away, fetch anew. */
    const size_t sizes[] = {LARGE + 5, LARGE, 1000};
    const unsigned long long expected[] = {LARGE, 0, LARGE - 1000 + LARGE};
    for (int i = 0; i < 3; i++) {
        static char bytes[LARGE + 5];
        memcpy(bytes, large, LARGE);
        bytes[7] ^= i == 2;
        snprintf(name, sizeof name, "hub/models--org--name/blobs/%s", etag);
        unlink(temp_path(*state, name));
        snprintf(name, sizeof name, "hub/models--org--name/blobs/%s.incomplete", etag);
        temp_file(*state, name, bytes, sizes[i]);
        server.body_bytes = 0;
        pull_works();
        assert_int_equal(server.body_bytes, expected[i]);
    }
    file_is(*state, "hub/models--org--name/snapshots/" HUB_COMMIT "/model.safetensors", large, LARGE);
}

static void test_ranges(void **state)
{
    pull_works();
    char name[256], etag[128];
    snprintf(etag, sizeof etag, "%s", large_etag(*state));
    static const struct {
        hub_fault fault;
        int times;
    } rows[] = {{HUB_NO_RANGE, 1}, {HUB_WRONG_RANGE, 0}};
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "hub/models--org--name/blobs/%s", etag);
        unlink(temp_path(*state, name));
        snprintf(name, sizeof name, "hub/models--org--name/blobs/%s.incomplete", etag);
        temp_file(*state, name, large, 1000);
        files[2].fault = rows[i].fault, files[2].times = rows[i].times;
        if (i == 0)
            pull_works();
        else
            pull_fails(EM_ERROR_NETWORK, "asked for bytes from 1000 on, the server sends from 1003");
    }
}

static void test_wrong_bytes(void **state)
{
    (void)state;
    files[2].fault = HUB_WRONG, files[2].times = 1;
    pull_works();
    files[0].path = "config_2.json", files[0].bytes = "{\"b\":2}", files[0].fault = HUB_WRONG;
    pull_fails(EM_ERROR_NETWORK, "config_2.json: the bytes that came have the hash ");
    assert_error_has("they were thrown away");
}

static void test_bodies(void **state)
{
    (void)state;
    files[2].fault = HUB_LONG;
    pull_fails(EM_ERROR_NETWORK, "model.safetensors: the server sends more than the 300000 bytes that it announced");
    files[2].fault = HUB_SHORT, files[2].value = 0;
    pull_fails(EM_ERROR_NETWORK, "tried 4 times");
    files[2].fault = HUB_HUGE;
    pull_fails(EM_ERROR_IO, "bytes are needed");
    assert_error_has("make room or set HF_HUB_CACHE");
    files[2].fault = HUB_LOOP;
    pull_fails(EM_ERROR_NETWORK, "more than 8 redirects");
    files[2].fault = HUB_PLAIN_REDIRECT;
    pull_fails(EM_ERROR_NETWORK, "http://example.invalid/x: only https is spoken");
    files[2].fault = HUB_NO_URL;
    pull_fails(EM_ERROR_NETWORK, "redirected to \"http://[zz]/x\", which is not a URL");
    files[2].fault = HUB_FINE;
    files[0].path = "config_2.json", files[0].fault = HUB_NO_ETAG;
    pull_fails(EM_ERROR_NETWORK, "config_2.json: the server gave the ETag \"\"");
    files[0].fault = HUB_EVIL_ETAG;
    pull_fails(EM_ERROR_NETWORK, "can't name a file");
}

static void test_lists(void **state)
{
    static const struct {
        const char *list;
        em_status expected;
        const char *part;
    } rows[] = {
        {"<html>", EM_ERROR_NETWORK, "not valid JSON"},
        {"[]", EM_ERROR_NETWORK, "sha: is missing"},
        {"{\"sha\":\"main\",\"siblings\":[]}", EM_ERROR_NETWORK, "sha is not 40 hexadecimal digits"},
        {"{\"sha\":\"" HUB_COMMIT "\"}", EM_ERROR_NETWORK, "siblings: is missing"},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[{}]}", EM_ERROR_NETWORK, "siblings[0].rfilename: is missing"},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[{\"rfilename\":\"x.bin\"}]}", EM_ERROR_NOT_FOUND,
         "none of the files that a model needs (1 others)"},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[{\"rfilename\":\"../config.json\"}]}", EM_ERROR_NETWORK,
         "siblings[0]: the server lists a file named \"../config.json\"; nothing was fetched"},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[{\"rfilename\":\"/etc/config.json\"}]}", EM_ERROR_NETWORK,
         "\"/etc/config.json\""},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[{\"rfilename\":\"..\\\\config.json\"}]}", EM_ERROR_NETWORK,
         "lists a file named"},
        {"{\"sha\":\"" HUB_COMMIT "\",\"siblings\":[{\"rfilename\":\"a/../../config.json\"}]}", EM_ERROR_NETWORK,
         "lists a file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        server.list = rows[i].list;
        pull_fails(rows[i].expected, rows[i].part);
    }
    assert_false(em__path_is_dir(temp_path(*state, "hub")));
}

static void test_unreachable(void **state)
{
    (void)state;
    options.endpoint = "http://127.0.0.1:1";
    pull_fails(EM_ERROR_NETWORK, "tried 2 times");
    static const char *const refused[] = {
        "http://huggingface.co",        "ftp://127.0.0.1", "file:///etc",
        "http://127.0.0.1.example.com", "nonsense",        "http://localhost@example.com"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        options.endpoint = refused[i];
        pull_fails(EM_ERROR_NETWORK, "only https is spoken");
    }
}

static void test_cancel(void **state)
{
    (void)state;
    options.progress = on_progress;
    for (int at = 1; at < 12; at++) {
        seen.calls = 0;
        seen.cancel_at = at;
        pull_fails(EM_ERROR_CANCELLED, "cancelled");
    }
    seen.cancel_at = 0;
    pull_works();
}

/* A transfer that never ends is left when the caller says so. */
static void test_cancel_slow(void **state)
{
    (void)state;
    files[2].fault = HUB_SLOW;
    options.progress = on_progress;
    seen.cancel_at = 60;
    pull_fails(EM_ERROR_CANCELLED, "cancelled");
}

static bool pipe_in(int (*ask)(sigset_t *set))
{
    sigset_t set;
    return ask(&set) == 0 && sigismember(&set, SIGPIPE) == 1;
}

static int ask_mask(sigset_t *set)
{
    return pthread_sigmask(SIG_BLOCK, NULL, set);
}

/* As a TLS library does where the server has closed the connection; called within a transfer, and between two. */
static bool break_pipe(const em_hub_progress *progress, void *count)
{
    (void)progress;
    if (pipe_in(ask_mask)) {
        raise(SIGPIPE);
        ++*(int *)count;
    }
    return true;
}

/* A server that hangs up is an error with a text, not the end of the caller's process. */
static void test_broken_pipe(void **state)
{
    (void)state;
    int broken = 0;
    signal(SIGPIPE, SIG_DFL);
    options.progress = break_pipe;
    options.user = &broken;
    pull_works();
    assert_true(broken > 0);
    assert_false(pipe_in(ask_mask) || pipe_in(sigpending));
}

/* The disk is full after 100,000 bytes: an error says so; what came stays, and the next pull goes on from there. */
static void test_disk_full(void **state)
{
    struct rlimit old, small = {100000, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    char *path;
    em_status status = em_hub_pull("org/name", &options, &path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, EM_ERROR_IO);
    assert_error_has("cannot write at byte 100000 of 300000: File too large; make room, then pull again");
    server.body_bytes = 0;
    pull_works();
    assert_true(server.body_bytes < LARGE - 50000);
    file_is(*state, "hub/models--org--name/snapshots/" HUB_COMMIT "/model.safetensors", large, LARGE);
}

static void test_unwritable(void **state)
{
    options.cache_dir = temp_text(*state, "file", "");
    pull_fails(EM_ERROR_IO, "/file");
}

/* Several processes at once: all succeed, and each byte crosses the wire once. */
static void test_processes(void **state)
{
    pid_t children[4];
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char *path;
            em_status status = em_hub_pull("org/name", &options, &path);
            if (status != EM_OK)
                fprintf(stderr, "%s\n", em_last_error());
            em_hub_path_free(path);
            _exit(status);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(server.body_bytes, LARGE + 9);
    file_is(*state, "hub/models--org--name/snapshots/" HUB_COMMIT "/model.safetensors", large, LARGE);
}

#ifdef __linux__
static int watch = -1;

/* Before the first file is fetched, another pull of the same fetches all, and somebody begins to look at its links. */
static bool pull_between(const em_hub_progress *progress, void *home)
{
    if (watch >= 0 || progress->total != LARGE + 9)
        return true;
    char *path;
    em_hub_options plain = options;
    plain.progress = NULL;
    assert_int_equal(em_hub_pull("org/name", &plain, &path), EM_OK);
    em_hub_path_free(path);
    watch = inotify_init1(IN_NONBLOCK);
    const char *folder = temp_path(home, "hub/models--org--name/snapshots/" HUB_COMMIT);
    assert_true(inotify_add_watch(watch, folder, IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO) >= 0);
    return true;
}

/* Two pulls at once: the second leaves no moment in which the first one's files are not there. */
static void test_links_stay(void **state)
{
    options.progress = pull_between;
    options.user = *state;
    pull_works();
    _Alignas(struct inotify_event) char bytes[4096];
    int moved = 0;
    ssize_t n = read(watch, bytes, sizeof bytes);
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const void *)(bytes + at);
        assert_int_equal(event->mask & (IN_DELETE | IN_MOVED_FROM), 0);
        moved += (event->mask & IN_MOVED_TO) != 0;
        at += (ssize_t)(sizeof *event + event->len);
    }
    close(watch);
    assert_int_equal(moved, 2); /* and 1_Pooling/config.json, in a folder of its own */
    file_is(*state, "hub/models--org--name/snapshots/" HUB_COMMIT "/config.json", "{\"a\":1}", 7);
}
#endif

static void test_every_allocation_fails(void **state)
{
    char *path, cache[64];
    for (int n = 1;; n++) {
        snprintf(cache, sizeof cache, "cache%d", n);
        options.cache_dir = temp_path(*state, cache);
        em__alloc_fail_at(n, 0);
        em_status status = em_hub_pull("org/name", &options, &path);
        em__alloc_fail_at(0, 0);
        em_hub_path_free(path);
        if (status == EM_OK) {
            assert_true(n > 30);
            return;
        }
        assert_int_equal(status, EM_ERROR_OUT_OF_MEMORY);
    }
}

#define TEMP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEMP(test_layout),
        TEMP(test_revisions),
        TEMP(test_bare_name),
        TEMP(test_token),
        TEMP(test_offline),
        TEMP(test_passing_failures),
        TEMP(test_lasting_failures),
        TEMP(test_expired),
        TEMP(test_resume),
        TEMP(test_resume_later),
        TEMP(test_ranges),
        TEMP(test_wrong_bytes),
        TEMP(test_bodies),
        TEMP(test_lists),
        TEMP(test_unreachable),
        TEMP(test_cancel),
        TEMP(test_cancel_slow),
        TEMP(test_broken_pipe),
        TEMP(test_disk_full),
        TEMP(test_unwritable),
        TEMP(test_processes),
#ifdef __linux__
        TEMP(test_links_stay),
#endif
        TEMP(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
