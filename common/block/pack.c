#include "block/pack.h"

#include "base/check.h"
#include "base/mem.h"

#include <limits.h>
#include <lz4.h>
#include <pthread.h>
#include <zstd.h>

enum { ZSTD_LEVEL = 1 }; /* higher ones take three times as long and save a hundredth */

/* zstd's tables, which are larger than what is packed, are kept for as long as the thread lives. */
typedef struct contexts {
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
} contexts_t;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key;

static void contexts_destroy (void *data)
{
    contexts_t *self = data;
    (void)ZSTD_freeCCtx (self->pack); /* never fails for what they made */
    (void)ZSTD_freeDCtx (self->unpack);
    mem_free (self);
}

static void contexts_prepare (void)
{
    CHECK (pthread_key_create (&contexts_key, contexts_destroy) == 0);
}

static contexts_t *contexts (void)
{
    CHECK (pthread_once (&once, contexts_prepare) == 0);
    contexts_t *self = pthread_getspecific (contexts_key);
    if (self == NULL) {
        self = mem_zero (1, sizeof *self);
        CHECK (pthread_setspecific (contexts_key, self) == 0);
    }
    return self;
}

/* Without what a block says itself: sizes and checksums. */
static ZSTD_CCtx *packing_context (void)
{
    contexts_t *self = contexts ();
    if (self->pack != NULL)
        return self->pack;
    self->pack = ZSTD_createCCtx ();
    CHECK (self->pack != NULL);
    CHECK (
        !ZSTD_isError (ZSTD_CCtx_setParameter (self->pack, ZSTD_c_compressionLevel, ZSTD_LEVEL)));
    CHECK (!ZSTD_isError (ZSTD_CCtx_setParameter (self->pack, ZSTD_c_contentSizeFlag, 0)));
    return self->pack;
}

static ZSTD_DCtx *unpacking_context (void)
{
    contexts_t *self = contexts ();
    if (self->unpack == NULL)
        self->unpack = ZSTD_createDCtx ();
    CHECK (self->unpack != NULL);
    return self->unpack;
}

bool pack_lz4 (buf_t *out, const uint8_t *bytes, size_t size, size_t most)
{
    CHECK (size <= LZ4_MAX_INPUT_SIZE && most < size);
    uint8_t *at = buf_extend (out, most);
    if (at == NULL)
        return false;
    int packed = LZ4_compress_default ((const char *)bytes, (char *)at, (int)size, (int)most);
    out->size -= most;
    if (packed <= 0)
        return false;
    out->size += (size_t)packed;
    return true;
}

bool pack_zstd (buf_t *out, const uint8_t *bytes, size_t size, size_t most)
{
    CHECK (most < size);
    uint8_t *at = buf_extend (out, most);
    if (at == NULL)
        return false;
    size_t packed = ZSTD_compress2 (packing_context (), at, most, bytes, size);
    out->size -= most;
    if (ZSTD_isError (packed)) /* it does not fit */
        return false;
    out->size += packed;
    return true;
}

bool unpack_lz4 (const uint8_t *packed, size_t packed_size, uint8_t *bytes, size_t size)
{
    if (packed_size > INT_MAX || size > INT_MAX)
        return false;
    int got =
        LZ4_decompress_safe ((const char *)packed, (char *)bytes, (int)packed_size, (int)size);
    return got >= 0 && (size_t)got == size;
}

bool unpack_zstd (const uint8_t *packed, size_t packed_size, uint8_t *bytes, size_t size)
{
    size_t got = ZSTD_decompressDCtx (unpacking_context (), bytes, size, packed, packed_size);
    return !ZSTD_isError (got) && got == size;
}
