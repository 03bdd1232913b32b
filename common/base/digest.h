/* Digests: SHA-256 names weights, XXH3-128 recognises images. */
#ifndef PF_COMMON_BASE_DIGEST_H
#define PF_COMMON_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

#define PF_SHA256_TEXT_SIZE 65

/* Lower-case hex of the SHA-256 of size bytes. */
void pf_digest_sha256_text(const void *bytes, size_t size, char text[PF_SHA256_TEXT_SIZE]);

/* The same of bytes that come one after the other. NULL and err filled where memory is short; the
 * text is of all bytes since the beginning or the last reset, and may be asked for once. Free with
 * free(). */
typedef struct PfSha256 PfSha256;
PfSha256 *pf_sha256_new(PfError *err);
void pf_sha256_reset(PfSha256 *sha256);
void pf_sha256_add(PfSha256 *sha256, const void *bytes, size_t size);
void pf_sha256_text(PfSha256 *sha256, char text[PF_SHA256_TEXT_SIZE]);

/* XXH3-128 in canonical (big-endian) form, as xxhsum -H2 prints it. */
void pf_digest_xxh128(const void *bytes, size_t size, uint8_t digest[16]);

/* A digest of 16 bytes in lower-case hex, into text, which is returned. */
#define PF_DIGEST_TEXT_SIZE 33
const char *pf_digest_text(const uint8_t digest[16], char text[PF_DIGEST_TEXT_SIZE]);

/* 64-bit XXH3: whether bytes are still those that were written. */
uint64_t pf_digest_xxh64(const void *bytes, size_t size);

/* 64-bit XXH3 of a text: for splits by hash. */
uint64_t pf_digest_xxh64_text(const char *text);

#endif
