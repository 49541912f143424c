/* pack.h - bytes in fewer bytes: LZ4 for what is written while someone waits, zstd for what is
 * kept. Private to the library. Both are called from here alone. */
#ifndef WEIR_BLOCK_PACK_H
#define WEIR_BLOCK_PACK_H

#include "base/buf.h"

/* Appends `size` bytes packed, when they then take at most `most`, less than `size`, and there is
 * room; else leaves `out` as it was. */
bool pack_lz4 (buf_t *out, const uint8_t *bytes, size_t size, size_t most);
bool pack_zstd (buf_t *out, const uint8_t *bytes, size_t size, size_t most);

/* Unpacks to exactly `size` bytes. False when the packed bytes are anything else. */
bool unpack_lz4 (const uint8_t *packed, size_t packed_size, uint8_t *bytes, size_t size);
bool unpack_zstd (const uint8_t *packed, size_t packed_size, uint8_t *bytes, size_t size);

#endif
