/* The vectors of FIPS 180-4 and of NIST's examples, given whole and in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/hash.h"

static const struct {
    const char *text, *sha1, *sha256;
} vectors[] = {
    {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     "a49b2446a02c645bf419f995b67091253a04a259", "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void check(void (*begin)(em__hash *), const char *text, size_t piece, const char *expected)
{
    em__hash hash;
    char digest[EM__HASH_TEXT];
    begin(&hash);
    for (size_t at = 0, n = strlen(text); at < n; at += piece)
        em__hash_add(&hash, text + at, n - at < piece ? n - at : piece);
    em__hash_end(&hash, digest);
    assert_string_equal(digest, expected);
}

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        for (size_t piece = 1; piece < 130; piece++) {
            check(em__hash_sha1, vectors[i].text, piece, vectors[i].sha1);
            check(em__hash_sha256, vectors[i].text, piece, vectors[i].sha256);
        }
    }
}

static void test_million_a(void **state)
{
    (void)state;
    char *a = malloc(1000001);
    memset(a, 'a', 1000000);
    a[1000000] = '\0';
    check(em__hash_sha1, a, 999, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    check(em__hash_sha256, a, 4096, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_million_a)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
