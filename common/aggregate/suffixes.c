/* suffixes.c - gathering the rows that count, and exact sums of floats of similar size. */
#include "aggregate/suffixes.h"
#include "aggregate/state_ops.h"

enum { GATHERED_MAX = 1024 }; /* rows of which some do not count */

/* The rows that count, with their ranges. */
typedef struct gathered {
    int64_t value[GATHERED_MAX]; /* a float's bits too */
    uint32_t start[GATHERED_MAX + 1];
} gathered_t;

static void gather (gathered_t *self, state_spec_t spec, const state_rows_t *rows,
                    state_suffixes_t *suffixes)
{
    const int64_t *lane = state_inputs (spec) > 0 ? rows->lane[0]->i : rows->time;
    const uint32_t *start = suffixes->start;
    uint32_t count = 0;
    for (size_t i = 0; i < suffixes->ranges; i++) {
        self->start[i] = count;
        for (size_t row = start[i]; row < start[i + 1]; row++) {
            self->value[count] = lane[row];
            count += state_row_counts (spec, rows, row);
        }
    }
    self->start[suffixes->ranges] = count;
}

static bool put_gathered (const state_ops_t *ops, state_spec_t spec, const state_rows_t *rows,
                          state_suffixes_t *suffixes)
{
    gathered_t gathered;
    const uint32_t *start = suffixes->start;
    gather (&gathered, spec, rows, suffixes);
    suffixes->values = gathered.value;
    suffixes->start = gathered.start;
    bool put = ops->put_suffixes (spec, suffixes);
    suffixes->start = start;
    return put;
}

bool suffixes_put (const state_ops_t *ops, state_spec_t spec, const state_rows_t *rows,
                   state_suffixes_t *suffixes)
{
    buf_t *out = suffixes->out;
    size_t count = suffix_all (suffixes);
    if (count > (rows->whole ? SUFFIX_ROWS_MAX : GATHERED_MAX) || suffixes->ranges > count)
        return false;
    uint8_t *from = buf_room (out, suffixes->ranges * SUFFIX_ROOM);
    if (from == NULL)
        return false;
    suffixes->values = state_inputs (spec) > 0 ? rows->lane[0]->data : NULL;
    suffixes->to = from;
    suffixes->origin = out->data;
    suffixes->latest = 0;
    if (!(rows->whole ? ops->put_suffixes (spec, suffixes)
                      : put_gathered (ops, spec, rows, suffixes)))
        return false;
    buf_grew (out, (size_t)(suffixes->to - from));
    return true;
}

/* ---- floats of similar size ---- */

/* The least exponent of those that are not 0; 1 when all are. */
static unsigned least_exponent (const double *values, size_t count)
{
    unsigned least = 0x7ff;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy (&bits, &values[i], sizeof bits);
        unsigned exponent = (unsigned)(bits >> 52) & 0x7ffu;
        if (bits << 1 != 0 && exponent < least)
            least = exponent;
    }
    return least == 0x7ff ? 1 : least;
}

bool near_floats_find (near_floats_t *self, const double *values, size_t count)
{
    uint64_t least = UINT64_MAX, most = 0, signs = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy (&bits, &values[i], sizeof bits);
        signs |= bits;
        bits <<= 1;
        most = bits > most ? bits : most;
        least = bits < least ? bits : least;
    }
    self->plain = least != 0 && signs >> 63 == 0;
    self->base = least != 0 ? (unsigned)(least >> 53) : least_exponent (values, count);
    return self->base > 0 && most >> 53 < 0x7ff && (int)(most >> 53) - (int)self->base <= NEAR_BITS;
}

uint8_t *near_floats_put (uint8_t *to, const uint64_t limb[3], bool negative, unsigned bit)
{
    uint64_t low = limb[0], middle = limb[1], high = limb[2];
    unsigned byte = bit / 8;
    if ((low | middle | high) == 0) {
        *to = 0;
        return to + 1;
    }
    if (low == 0) {
        low = middle, middle = high, high = 0;
        byte += 8;
    }
    if (low == 0) {
        low = middle, middle = 0;
        byte += 8;
    }
    /* By as many bits as the grid says to the left, then by whole bytes of zeros to the right. */
    unsigned left = bit & 7;
    high = high << left | middle >> 1 >> (63 - left);
    middle = middle << left | low >> 1 >> (63 - left);
    low <<= left;
    if (low == 0) {
        low = middle, middle = high, high = 0;
        byte += 8;
    }
    unsigned skip = (unsigned)__builtin_ctzll (low) / 8;
    unsigned right = 8 * skip;
    low = low >> right | middle << 1 << (63 - right);
    middle = middle >> right | high << 1 << (63 - right);
    high >>= right;
    unsigned size = high != 0     ? 24 - (unsigned)__builtin_clzll (high) / 8
                    : middle != 0 ? 16 - (unsigned)__builtin_clzll (middle) / 8
                                  : 8 - (unsigned)__builtin_clzll (low) / 8;
    to = suffix_head (to, size, negative, (int)(byte + skip));
    memcpy (to, &low, sizeof low);
    memcpy (to + 8, &middle, sizeof middle);
    memcpy (to + 16, &high, sizeof high);
    return to + size;
}
