/* Hashes: XXH3-64 of the key encodings (key.h) of the arguments, one after the other. */
#include "base/buf.h"
#include "base/key.h"
#include "expr/tree.h"

enum { ENCODED_MAX = 64 << 20 }; /* EXPR_NODES_MAX texts of EXPR_STRING_MAX, each byte escaped */

_Static_assert(ENCODED_MAX >= EXPR_NODES_MAX * (2 * EXPR_STRING_MAX + 3),
               "all arguments fit into the buffer");

/* Of the first `count` arguments. */
static uint64_t hash_row (const call_t *call, size_t count, size_t row, buf_t *buf)
{
    buf_clear (buf);
    for (size_t k = 0; k < count; k++) {
        const vector_t *arg = call->args[k];
        value_t value = column_get (&arg->column, row * arg->step);
        key_put (buf, &value);
    }
    return key_hash ((text_t){ (const char *)buf->data, (uint32_t)buf->size });
}

void call_hash (const call_t *call, column_t *out)
{
    buf_t buf;
    buf_init (&buf, ENCODED_MAX);
    for (size_t r = 0; r < call->rows; r++)
        out->i[r] = out->valid[r] ? (int64_t)hash_row (call, call->count, r, &buf) : 0;
    buf_release (&buf);
}

/* The hash as an unsigned number, modulo the last argument. */
void call_hash_bucket (const call_t *call, column_t *out)
{
    const vector_t *buckets = call->args[call->count - 1];
    buf_t buf;
    buf_init (&buf, ENCODED_MAX);
    for (size_t r = 0; r < call->rows; r++) {
        int64_t count = buckets->column.i[r * buckets->step];
        if (count <= 0)
            out->valid[r] = 0;
        out->i[r] = 0;
        if (out->valid[r])
            out->i[r] = (int64_t)(hash_row (call, call->count - 1, r, &buf) % (uint64_t)count);
    }
    buf_release (&buf);
}
