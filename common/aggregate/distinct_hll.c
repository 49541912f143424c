/* DISTINCT_HLL: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007) with 4096 registers over a
 * 64-bit hash, estimated as in O. Ertl, "New cardinality estimation algorithms for HyperLogLog
 * sketches" (2017), algorithm 6.
 *
 * The first 12 bits of a hash choose the register; its rank is the number of leading zeros of the
 * other 52, plus one. A register keeps the greatest rank.
 *
 * Partial: a byte that says the form, then the registers that are not 0 (the entries).
 *   1, sparse, below HLL_SPARSE_MAX entries: for each, by ascending register, a varint of
 *      64 * (register - the one before - 1) + rank, where the one before the first is -1.
 *   2, dense: all ranks, 6 bits each, the first in the lowest bits of the first byte.
 * At HLL_SPARSE_MAX entries of mostly two bytes the two forms are of one size. */
#include "aggregate/held_value.h"
#include "aggregate/partial.h"
#include "aggregate/state_ops.h"

#include "base/mem.h"

#include <math.h>

enum {
    HLL_BITS = 12,
    HLL_REGISTERS = 1 << HLL_BITS,
    HLL_RANK_MAX = 64 - HLL_BITS + 1,
    HLL_SPARSE = 1,
    HLL_DENSE = 2,
    HLL_SPARSE_MAX = 1536,
    HLL_DENSE_BYTES = HLL_REGISTERS / 4 * 3,
    LIST_MAX = 128, /* entries of an accumulator before it takes registers */
    LIST_FIRST = 8,
};
_Static_assert(1 + HLL_DENSE_BYTES <= AGGREGATE_PARTIAL_MAX, "a dense partial fits");

/* Either a sorted list of entries or registers; memory of the one not in use is kept. */
typedef struct distinct {
    uint32_t *list;     /* owned: register << 6 | rank */
    uint8_t *registers; /* owned: HLL_REGISTERS ranks, or NULL */
    uint16_t count;     /* entries */
    uint16_t capacity;  /* of the list */
    bool dense;         /* the registers are in use */
} distinct_t;

static size_t distinct_size (state_spec_t spec)
{
    return type_is_field (spec.input) && (AGGREGATE_ORDERED & type_bit (spec.input)) != 0
               ? sizeof (distinct_t)
               : 0;
}

static size_t distinct_partial_max (state_spec_t spec)
{
    (void)spec;
    /* sparse: two bytes an entry, but for the 16 at most that skip 256 registers */
    return 1 + 2 * HLL_SPARSE_MAX + HLL_REGISTERS / 256;
}

static void distinct_init (state_spec_t spec, void *acc)
{
    (void)spec;
    *(distinct_t *)acc = (distinct_t){ 0 };
}

static void distinct_release (state_spec_t spec, void *acc)
{
    distinct_t *self = acc;
    mem_free (self->list);
    mem_free (self->registers);
    distinct_init (spec, acc);
}

static void distinct_reset (state_spec_t spec, void *acc)
{
    (void)spec;
    distinct_t *self = acc;
    self->count = 0;
    self->dense = false;
}

static void set_register (distinct_t *self, uint32_t index, uint32_t rank)
{
    uint8_t held = self->registers[index];
    if (rank <= held)
        return;
    self->count = (uint16_t)(self->count + (held == 0));
    self->registers[index] = (uint8_t)rank;
}

static void take_registers (distinct_t *self)
{
    if (self->registers == NULL)
        self->registers = mem_alloc (HLL_REGISTERS);
    memset (self->registers, 0, HLL_REGISTERS);
    unsigned count = self->count;
    self->dense = true;
    self->count = 0;
    for (unsigned i = 0; i < count; i++)
        set_register (self, self->list[i] >> 6, self->list[i] & 63);
}

static void insert (distinct_t *self, unsigned at, uint32_t entry)
{
    if (self->count == self->capacity) {
        self->capacity = (uint16_t)(self->capacity == 0 ? LIST_FIRST : 2 * self->capacity);
        self->list = mem_resize (self->list, self->capacity, sizeof *self->list);
    }
    memmove (self->list + at + 1, self->list + at, (self->count - at) * sizeof *self->list);
    self->list[at] = entry;
    self->count++;
}

/* Raises a register to at least `rank`. */
static void raise_rank (distinct_t *self, uint32_t index, uint32_t rank)
{
    if (!self->dense) {
        unsigned low = 0, high = self->count;
        while (low < high) {
            unsigned middle = (low + high) / 2;
            if (self->list[middle] >> 6 < index)
                low = middle + 1;
            else
                high = middle;
        }
        uint32_t entry = index << 6 | rank;
        if (low < self->count && self->list[low] >> 6 == index) {
            if (self->list[low] < entry)
                self->list[low] = entry;
            return;
        }
        if (self->count < LIST_MAX) {
            insert (self, low, entry);
            return;
        }
        take_registers (self);
    }
    set_register (self, index, rank);
}

static void distinct_add (state_spec_t spec, void *acc, const value_t *value,
                          const row_place_t *place)
{
    (void)spec, (void)place;
    uint64_t hash = held_value_hash (value);
    uint64_t rest = hash << HLL_BITS | (uint64_t)1 << (HLL_BITS - 1);
    raise_rank (acc, (uint32_t)(hash >> (64 - HLL_BITS)), (uint32_t)__builtin_clzll (rest) + 1);
}

static void distinct_merge (state_spec_t spec, void *acc, const void *from)
{
    (void)spec;
    distinct_t *self = acc;
    const distinct_t *other = from;
    if (!other->dense) {
        for (unsigned i = 0; i < other->count; i++)
            raise_rank (self, other->list[i] >> 6, other->list[i] & 63);
        return;
    }
    if (!self->dense)
        take_registers (self);
    for (uint32_t i = 0; i < HLL_REGISTERS; i++)
        set_register (self, i, other->registers[i]);
}

static bool merge_sparse (distinct_t *self, reader_t *reader)
{
    uint64_t next = 0; /* the least register that may follow */
    unsigned count = 0;
    while (reader_left (reader) > 0) {
        uint64_t entry = partial_read_varint (reader);
        uint64_t skip = entry >> 6, rank = entry & 63;
        if (reader->bad || rank == 0 || rank > HLL_RANK_MAX || skip >= HLL_REGISTERS - next ||
            ++count >= HLL_SPARSE_MAX)
            return false;
        raise_rank (self, (uint32_t)(next + skip), (uint32_t)rank);
        next += skip + 1;
    }
    return count > 0;
}

static bool merge_dense (distinct_t *self, reader_t *reader)
{
    if (reader_left (reader) != HLL_DENSE_BYTES)
        return false;
    const uint8_t *bytes = reader_bytes (reader, HLL_DENSE_BYTES);
    if (!self->dense)
        take_registers (self);
    unsigned count = 0;
    for (uint32_t i = 0; i < HLL_REGISTERS; i += 4, bytes += 3) {
        uint32_t word = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
        for (uint32_t j = 0; j < 4; j++, word >>= 6) {
            uint32_t rank = word & 63;
            if (rank > HLL_RANK_MAX)
                return false;
            count += rank != 0;
            set_register (self, i + j, rank);
        }
    }
    return count >= HLL_SPARSE_MAX;
}

static bool distinct_merge_partial (state_spec_t spec, void *acc, text_t partial)
{
    (void)spec;
    reader_t reader = reader_of (partial.data, partial.size);
    uint8_t form = reader_u8 (&reader);
    return form == HLL_SPARSE  ? merge_sparse (acc, &reader)
           : form == HLL_DENSE ? merge_dense (acc, &reader)
                               : false;
}

static void encode_dense (const distinct_t *self, buf_t *out)
{
    buf_put_u8 (out, HLL_DENSE);
    uint8_t *bytes = buf_extend (out, HLL_DENSE_BYTES);
    if (bytes == NULL)
        return;
    for (unsigned i = 0; i < HLL_REGISTERS; i += 4, bytes += 3) {
        const uint8_t *rank = self->registers + i;
        uint32_t word = (uint32_t)rank[0] | (uint32_t)rank[1] << 6 | (uint32_t)rank[2] << 12 |
                        (uint32_t)rank[3] << 18;
        bytes[0] = (uint8_t)word;
        bytes[1] = (uint8_t)(word >> 8);
        bytes[2] = (uint8_t)(word >> 16);
    }
}

static void distinct_encode (state_spec_t spec, const void *acc, buf_t *out)
{
    (void)spec;
    const distinct_t *self = acc;
    if (self->count >= HLL_SPARSE_MAX) {
        encode_dense (self, out);
        return;
    }
    buf_put_u8 (out, HLL_SPARSE);
    uint32_t next = 0;
    unsigned end = self->dense ? HLL_REGISTERS : self->count;
    for (uint32_t i = 0; i < end; i++) {
        uint32_t index = self->dense ? i : self->list[i] >> 6;
        uint32_t rank = self->dense ? self->registers[i] : self->list[i] & 63;
        if (rank == 0)
            continue;
        buf_put_varint (out, (index - next) << 6 | rank);
        next = index + 1;
    }
}

static bool distinct_is_empty (state_spec_t spec, const void *acc)
{
    (void)spec;
    return ((const distinct_t *)acc)->count == 0;
}

/* x + sum over k of x^(2^k) * 2^(k-1), for 0 <= x < 1. */
static double sigma (double x)
{
    double power = 1.0, sum = x, before;
    do {
        x *= x;
        before = sum;
        sum += x * power;
        power += power;
    } while (sum != before);
    return sum;
}

/* (1 - x - sum over k of (1 - x^(2^-k))^2 * 2^-k) / 3, for 0 <= x <= 1. */
static double tau (double x)
{
    if (x == 0.0 || x == 1.0)
        return 0.0;
    double power = 1.0, sum = 1.0 - x, before;
    do {
        x = sqrt (x);
        before = sum;
        power *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * power;
    } while (sum != before);
    return sum / 3.0;
}

/* Only operations that IEEE 754 specifies to the last bit, in a fixed order. */
static double estimate (const unsigned *registers_of_rank)
{
    const double registers = HLL_REGISTERS;
    const double alpha = 0.72134752044448170368; /* 1 / (2 ln 2) */
    double z = registers * tau (1.0 - registers_of_rank[HLL_RANK_MAX] / registers);
    for (unsigned rank = HLL_RANK_MAX - 1; rank >= 1; rank--)
        z = 0.5 * (z + registers_of_rank[rank]);
    z += registers * sigma (registers_of_rank[0] / registers);
    return alpha * registers * registers / z;
}

static status_t distinct_final (state_spec_t spec, const void *acc, aggregate_t aggregate,
                                const final_context_t *context, value_t *value, error_t *error)
{
    (void)context;
    (void)spec;
    const distinct_t *self = acc;
    unsigned registers_of_rank[HLL_RANK_MAX + 1] = { 0 };
    if (self->count == 0) {
        final_int (value, 0);
        return STATUS_OK;
    }
    if (self->dense) {
        for (unsigned i = 0; i < HLL_REGISTERS; i++)
            registers_of_rank[self->registers[i]]++;
    } else {
        registers_of_rank[0] = (unsigned)HLL_REGISTERS - self->count;
        for (unsigned i = 0; i < self->count; i++)
            registers_of_rank[self->list[i] & 63]++;
    }
    double number = estimate (registers_of_rank) + 0.5;
    if (!(number < 0x1p63))
        return error_set (error, STATUS_RANGE, "%s: the estimate does not fit an int64",
                          aggregate_info (aggregate)->word);
    final_int (value, (int64_t)number);
    return STATUS_OK;
}

const state_ops_t state_ops_DISTINCT_HLL = {
    .size = distinct_size,
    .partial_max = distinct_partial_max,
    .init = distinct_init,
    .release = distinct_release,
    .reset = distinct_reset,
    .add = distinct_add,
    .merge = distinct_merge,
    .merge_partial = distinct_merge_partial,
    .encode = distinct_encode,
    .is_empty = distinct_is_empty,
    .final = distinct_final,
};
