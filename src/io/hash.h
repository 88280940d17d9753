/* SHA-1 and SHA-256 of FIPS 180-4. The hub names small files by the first (as git does), large ones by the second. */
#ifndef EM_IO_HASH_H
#define EM_IO_HASH_H

#include <stddef.h>
#include <stdint.h>

#define EM__HASH_TEXT 65 /* bytes of the longest digest in hexadecimal, with its NUL */

typedef struct em__hash {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    unsigned char block[64];
    int words; /* of the digest: 5 is SHA-1, 8 is SHA-256 */
} em__hash;

void em__hash_sha1(em__hash *hash);
void em__hash_sha256(em__hash *hash);
void em__hash_add(em__hash *hash, const void *bytes, size_t size);

/* Writes the digest in lower-case hexadecimal; the hash is then spent. */
void em__hash_end(em__hash *hash, char text[EM__HASH_TEXT]);

#endif
