/* QUANTILES: how many rows are in each bucket of magnitude: DDSketch (Masson, Rim, Lee, "DDSketch:
 * a fast and fully-mergeable quantile sketch with relative-error guarantees", 2019) with buckets
 * that are found from the bits of a number: 64 of equal width between two powers of 2.
 *
 * A bucket has a key, and keys are ordered as the numbers are: 0 is zero; from 1 up are the
 * positive buckets, and below 0 those of the negative numbers; the infinities and NaN have keys
 * beyond them. A bucket has a word: twice its rows, plus 1 when some of them are not at its end
 * that is nearer to zero. Of magnitudes only the SPAN buckets below the greatest one are told
 * apart: rows nearer to zero count in the last of them, to whichever side of zero they belong.
 *
 * Partial: the buckets in order; of the first the zigzag varint of its key, of the others the
 * varint of how many keys were left out; after each key the varint of the word. */
#include "aggregate/number_term.h"
#include "aggregate/state_ops.h"

#include "base/check.h"
#include "base/mem.h"

enum {
    LOWEST_EXPONENT = -1074,
    BUCKET_BITS = 6, /* buckets in a power of 2 */
    BUCKETS = 1 << BUCKET_BITS,
    KEY_MAX = (1024 - LOWEST_EXPONENT) * BUCKETS,
    KEY_INFINITY = KEY_MAX + 1,
    KEY_NAN = KEY_MAX + 2,
    KEY_ONE = 1 - LOWEST_EXPONENT * BUCKETS,
    SPAN = 48 * BUCKETS,
    ENTRIES_FIRST = 8,
};
typedef struct entry {
    int32_t key;
    uint64_t word;
} entry_t;

typedef struct quantiles {
    uint64_t rows;
    entry_t *entry; /* owned: `count` of them, by ascending key */
    uint32_t count;
    uint32_t capacity;
    int32_t top; /* the greatest magnitude of a finite number's key */
} quantiles_t;

static size_t quantiles_size (state_spec_t spec)
{
    return number_is_type (spec.input) ? sizeof (quantiles_t) : 0;
}

/* The words of all entries are below 2^64 together, so that fewer than 128 have over 8 bytes, and
 * so few entries have over 1 byte of keys left out. */
static size_t quantiles_partial_max (state_spec_t spec)
{
    (void)spec;
    return (2 * SPAN + 4) * (1 + 8) + 128 * 2 + 2 * SPAN / 128 + 8;
}

static void quantiles_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(quantiles_t *)acc = (quantiles_t){ 0 };
}

static void quantiles_release (state_spec_t spec, void *acc)
{
    mem_free (((quantiles_t *)acc)->entry);
    quantiles_init (spec, acc);
}

static void quantiles_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    quantiles_t *self = acc;
    self->rows = 0;
    self->count = 0;
    self->top = 0;
}

static uint64_t word_add (uint64_t a, uint64_t b)
{
    return ((a & ~UINT64_C (1)) + (b & ~UINT64_C (1))) | ((a | b) & 1);
}

/* Is it the key of a finite number that is not zero? */
static bool is_magnitude (int32_t key)
{
    return key != 0 && key <= KEY_MAX && key >= -KEY_MAX;
}

/* The least magnitude that is told apart. */
static int32_t floor_of (const quantiles_t *self)
{
    return self->top > SPAN ? self->top - SPAN + 1 : 1;
}

/* Where an entry goes that may be nearer to zero than the floor. */
static entry_t raised (const entry_t *entry, int32_t floor)
{
    if (!is_magnitude (entry->key) || entry->key >= floor || entry->key <= -floor)
        return *entry;
    return (entry_t){ entry->key > 0 ? floor : -floor, entry->word | 1 };
}

static void raise_top (quantiles_t *self, int32_t top)
{
    int32_t before = floor_of (self);
    self->top = top;
    int32_t floor = floor_of (self);
    if (floor == before)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        entry_t entry = raised (&self->entry[i], floor);
        if (kept > 0 && self->entry[kept - 1].key == entry.key)
            self->entry[kept - 1].word = word_add (self->entry[kept - 1].word, entry.word);
        else
            self->entry[kept++] = entry;
    }
    self->count = kept;
}

/* The place of the first entry from `from` on whose key is not below `key`. */
static uint32_t place_of (const quantiles_t *self, uint32_t from, int32_t key)
{
    uint32_t low = from, high = self->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (self->entry[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put (quantiles_t *self, uint32_t at, const entry_t *entry)
{
    if (at < self->count && self->entry[at].key == entry->key) {
        self->entry[at].word = word_add (self->entry[at].word, entry->word);
        return;
    }
    if (self->count == self->capacity) {
        self->capacity = self->capacity == 0 ? ENTRIES_FIRST : 2 * self->capacity;
        self->entry = mem_resize (self->entry, self->capacity, sizeof *self->entry);
    }
    memmove (self->entry + at + 1, self->entry + at, (self->count - at) * sizeof *self->entry);
    self->entry[at] = *entry;
    self->count++;
}

static entry_t entry_of (const value_t *value)
{
    if (value->type == TYPE_FLOAT64 && isnan (value->f))
        return (entry_t){ KEY_NAN, 2 };
    if (value->type == TYPE_FLOAT64 && isinf (value->f))
        return (entry_t){ value->f > 0 ? KEY_INFINITY : -KEY_INFINITY, 2 };
    exact_term_t term = number_term (value);
    if (term.limb[0] == 0)
        return (entry_t){ 0, 2 };
    int zeros = __builtin_clzll (term.limb[0]);
    uint64_t after = term.limb[0] << zeros << 1; /* the bits after the leading one */
    int32_t power = term.exponent + 63 - zeros - LOWEST_EXPONENT;
    int32_t key = power * BUCKETS + (int32_t)(after >> (64 - BUCKET_BITS)) + 1;
    return (entry_t){ term.negative ? -key : key, after << BUCKET_BITS != 0 ? 3 : 2 };
}

static int32_t magnitude_of (int32_t key)
{
    return !is_magnitude (key) ? 0 : key < 0 ? -key : key;
}

static void quantiles_add (state_spec_t spec, void *acc, const value_t *value,
                           const row_place_t *place)
{
    (void)spec, (void)place;
    quantiles_t *self = acc;
    if (!rows_add (&self->rows, 1))
        return;
    entry_t entry = entry_of (value);
    if (magnitude_of (entry.key) > self->top)
        raise_top (self, magnitude_of (entry.key));
    entry = raised (&entry, floor_of (self));
    put (self, place_of (self, 0, entry.key), &entry);
}

/* Puts an entry whose key is not below that of the one before, which is at *at. */
static void put_after (quantiles_t *self, uint32_t *at, const entry_t *entry)
{
    entry_t raised_entry = raised (entry, floor_of (self));
    int32_t key = raised_entry.key;
    if (*at < self->count && self->entry[*at].key < key)
        ++*at; /* often it is the next one */
    if (*at < self->count && self->entry[*at].key < key)
        *at = place_of (self, *at, key);
    put (self, *at, &raised_entry);
}

static void quantiles_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    quantiles_t *self = acc;
    const quantiles_t *other = from;
    if (!rows_add (&self->rows, other->rows))
        return;
    if (other->top > self->top)
        raise_top (self, other->top);
    uint32_t at = 0;
    for (uint32_t i = 0; i < other->count; i++)
        put_after (self, &at, &other->entry[i]);
}

/* Can numbers of this type have the key? int64s are from -2^63 to below 2^63. */
static bool is_key_of (type_t type, int64_t key)
{
    if (type == TYPE_FLOAT64)
        return key >= -KEY_INFINITY && key <= KEY_NAN;
    return key == 0 || (key >= KEY_ONE && key < KEY_ONE + 63 * BUCKETS) ||
           (key <= -KEY_ONE && key >= -(KEY_ONE + 63 * BUCKETS));
}

/* Reads the next entry; false at something that is not one. */
static bool read_entry (state_spec_t spec, reader_t *reader, const entry_t *before, entry_t *entry)
{
    int64_t key;
    if (before == NULL) {
        key = partial_read_zigzag (reader);
    } else {
        uint64_t skipped = partial_read_varint (reader);
        if (skipped > 2 * KEY_NAN)
            return false;
        key = (int64_t)before->key + 1 + (int64_t)skipped;
    }
    entry->word = partial_read_varint (reader);
    if (reader->bad || !is_key_of (spec.input, key) || entry->word < 2)
        return false;
    entry->key = (int32_t)key;
    return is_magnitude (entry->key) || (entry->word & 1) == 0;
}

/* Checks all of it before anything is added, since the greatest magnitude decides what may be
 * there. */
static bool check (state_spec_t spec, reader_t reader, quantiles_t *sum)
{
    entry_t before = { 0 };
    int32_t nearest = KEY_MAX;
    while (reader_left (&reader) > 0) {
        entry_t entry;
        if (!read_entry (spec, &reader, sum->count > 0 ? &before : NULL, &entry) ||
            !rows_add (&sum->rows, entry.word >> 1))
            return false;
        int32_t magnitude = magnitude_of (entry.key);
        sum->top = magnitude > sum->top ? magnitude : sum->top;
        nearest = magnitude > 0 && magnitude < nearest ? magnitude : nearest;
        sum->count++;
        before = entry;
    }
    return nearest >= floor_of (sum);
}

static bool quantiles_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    quantiles_t *self = acc;
    reader_t reader = reader_of (partial.data, partial.size);
    quantiles_t sum = { 0 };
    if (!check (spec, reader, &sum) || !rows_add (&self->rows, sum.rows))
        return false;
    if (sum.top > self->top)
        raise_top (self, sum.top);
    entry_t before = { 0 };
    uint32_t at = 0;
    for (uint32_t i = 0; i < sum.count; i++) {
        entry_t entry;
        bool good = read_entry (spec, &reader, i > 0 ? &before : NULL, &entry);
        CHECK (good);
        put_after (self, &at, &entry);
        before = entry;
    }
    return true;
}

static void quantiles_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const quantiles_t *self = acc;
    for (uint32_t i = 0; i < self->count; i++) {
        const entry_t *entry = &self->entry[i];
        if (i == 0)
            buf_put_zigzag (out, entry->key);
        else
            buf_put_varint (out, (uint64_t)(entry->key - entry[-1].key - 1));
        buf_put_varint (out, entry->word);
    }
}

static bool quantiles_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const quantiles_t *)acc)->rows == 0;
}

static size_t quantiles_memory (state_spec_t spec, const void *acc)
{
    (void)spec;
    const quantiles_t *self = acc;
    return self->capacity * sizeof *self->entry;
}

/* The number that stands for the rows of a bucket: its end nearer to zero when all of them are
 * there, else its middle. */
static double number_of (const entry_t *entry)
{
    if (entry->key == KEY_NAN)
        return (double)NAN;
    if (entry->key == KEY_INFINITY || entry->key == -KEY_INFINITY)
        return entry->key > 0 ? (double)INFINITY : -(double)INFINITY;
    if (entry->key == 0)
        return 0.0;
    int32_t index = magnitude_of (entry->key) - 1;
    int32_t halves = 2 * (BUCKETS + index % BUCKETS) + (int32_t)(entry->word & 1);
    double number = ldexp (halves, index / BUCKETS + LOWEST_EXPONENT - BUCKET_BITS - 1);
    return entry->key < 0 ? -number : number;
}

/* floor (fraction * (rows - 1)), where the product is rounded to a float64 first, so that 0.7 of 10
 * is 7. */
static uint64_t rank_of (double fraction, uint64_t rows)
{
    CHECK (fraction >= 0 && fraction <= 1);
    double rank = fraction * (double)(rows - 1);
    return rank < (double)(rows - 1) ? (uint64_t)rank : rows - 1;
}

static status_t quantiles_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                                 const final_context_t *context, value_t *value, error_t *error)
{
    (void)spec, (void)error;
    const quantiles_t *self = acc;
    if (self->rows == 0)
        return STATUS_OK;
    double fraction = aggregate == AGGREGATE_APPROX_MEDIAN ? 0.5 : context->parameter.f;
    uint64_t rank = rank_of (fraction, self->rows), below = 0;
    uint32_t i = 0;
    while (i + 1 < self->count && below + (self->entry[i].word >> 1) <= rank)
        below += self->entry[i++].word >> 1;
    final_float (value, number_of (&self->entry[i]));
    return STATUS_OK;
}

const state_ops_t state_ops_QUANTILES = {
    .size = quantiles_size,
    .partial_max = quantiles_partial_max,
    .init = quantiles_init,
    .release = quantiles_release,
    .reset = quantiles_reset,
    .add = quantiles_add,
    .merge = quantiles_merge,
    .merge_partial = quantiles_merge_partial,
    .encode = quantiles_encode,
    .is_empty = quantiles_is_empty,
    .memory = quantiles_memory,
    .final = quantiles_final,
};
