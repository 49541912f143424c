/* texts.h - sequences of strings as bytes. Private to the library. */
#ifndef WEIR_BLOCK_TEXTS_H
#define WEIR_BLOCK_TEXTS_H

#include "block/format.h"

/* Appends texts[0..count) in the encoding that is estimated to be smallest, and returns it. All of
 * `scratch` is used; `texts` must not be its texts. */
encoding_t texts_encode (buf_t *out, const text_t *texts, size_t count, const scratch_t *scratch);

/* Reads `count` texts, which take all that is left in `in` and borrow its bytes. False when the
 * bytes are not such a sequence. `texts` must not be scratch's. */
bool texts_decode (reader_t *in, encoding_t encoding, text_t *texts, size_t count,
                   const scratch_t *scratch);

#endif
