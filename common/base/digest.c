#include "common/base/digest.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "common/base/memory.h"

struct PfSha256 {
    struct sha256_ctx context;
};

static void finish(struct sha256_ctx *context, char text[PF_SHA256_TEXT_SIZE])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    text[2 * sizeof digest] = '\0';
}

void pf_digest_sha256_text(const void *bytes, size_t size, char text[PF_SHA256_TEXT_SIZE])
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, size, bytes);
    finish(&context, text);
}

PfSha256 *pf_sha256_new(PfError *err)
{
    PfSha256 *sha256 = pf_calloc(1, sizeof *sha256, err);
    if (sha256) pf_sha256_reset(sha256);
    return sha256;
}

void pf_sha256_reset(PfSha256 *sha256)
{
    sha256_init(&sha256->context);
}

void pf_sha256_add(PfSha256 *sha256, const void *bytes, size_t size)
{
    sha256_update(&sha256->context, size, bytes);
}

void pf_sha256_text(PfSha256 *sha256, char text[PF_SHA256_TEXT_SIZE])
{
    finish(&sha256->context, text);
}

void pf_digest_xxh128(const void *bytes, size_t size, uint8_t digest[16])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
    memcpy(digest, canonical.digest, sizeof canonical.digest);
}

const char *pf_digest_text(const uint8_t digest[16], char text[PF_DIGEST_TEXT_SIZE])
{
    for (int i = 0; i < 16; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return text;
}

uint64_t pf_digest_xxh64(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

uint64_t pf_digest_xxh64_text(const char *text)
{
    return XXH3_64bits(text, strlen(text));
}
