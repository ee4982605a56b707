/* SHA-256 by mbedTLS. */
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>

#include "platform/platform.h"

/* Version 2 keeps the names without _ret for the older functions that return nothing. */
#if MBEDTLS_VERSION_MAJOR < 3
#define sha256_starts mbedtls_sha256_starts_ret
#define sha256_update mbedtls_sha256_update_ret
#define sha256_finish mbedtls_sha256_finish_ret
#else
#define sha256_starts mbedtls_sha256_starts
#define sha256_update mbedtls_sha256_update
#define sha256_finish mbedtls_sha256_finish
#endif

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(struct osl_sha256), "opaque storage");
_Static_assert(_Alignof(mbedtls_sha256_context) <= _Alignof(struct osl_sha256), "alignment");

static mbedtls_sha256_context *context_of(struct osl_sha256 *hash)
{
    return (mbedtls_sha256_context *)(void *)hash->storage;
}

void osl_sha256_begin(struct osl_sha256 *hash)
{
    mbedtls_sha256_init(context_of(hash));
    int failed = sha256_starts(context_of(hash), 0);
    OSL_ASSERT(failed == 0);
}

void osl_sha256_add(struct osl_sha256 *hash, const void *data, uint64_t bytes)
{
    OSL_ASSERT(bytes <= SIZE_MAX);
    int failed = sha256_update(context_of(hash), data, (size_t)bytes);
    OSL_ASSERT(failed == 0);
}

void osl_sha256_end(struct osl_sha256 *hash, uint8_t digest_out[32])
{
    int failed = sha256_finish(context_of(hash), digest_out);
    OSL_ASSERT(failed == 0);
    mbedtls_sha256_free(context_of(hash));
}
