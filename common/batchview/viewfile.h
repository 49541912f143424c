/* viewfile.h - the fixed parts of a batch view file: header, footer, checksums, spans
 * (docs/formats.md, "Batch view"). */
#ifndef WEIR_BATCHVIEW_VIEWFILE_H
#define WEIR_BATCHVIEW_VIEWFILE_H

#include "batchview/batchview.h"

#define BATCHVIEW_MAGIC        "weirview"
#define BATCHVIEW_FOOTER_MAGIC "weirvend"

enum {
    BATCHVIEW_FORMAT = 6,
    BATCHVIEW_BLOCK = 64 << 10, /* bytes under one checksum */
    BATCHVIEW_FOOTER = 64,      /* bytes */
    BATCHVIEW_HEADER_MAX = 64 << 10,
    BATCHVIEW_ALIGN = 8,            /* of the first record and the index */
    BATCHVIEW_CHECKPOINT = 16,      /* atoms between the suffixes of a large slot */
    BATCHVIEW_ROWS_MAX = 4,         /* of one key that are kept as they are */
    BATCHVIEW_FANOUT = 4,           /* blocks of a delayed slot in the next larger one */
    BATCHVIEW_FUTURE_MAX = 1 << 16, /* atoms of one key later than the clock at the cut */
    BATCHVIEW_SECTION_ATOMS = 1024, /* of a group in a section, at most */
    BATCHVIEW_SECTION_MOST = 4096,  /* sections in one of the next layer, … */
    BATCHVIEW_SECTION_LEAST = 16,
    BATCHVIEW_SECTION_BYTES = 4 << 20, /* … or at least this many, with so many bytes of partials */
    BATCHVIEW_LAYERS_MAX = 8,          /* of sections, with that of the atoms */
    BATCHVIEW_TAG_BITS = 24,           /* of the key's hash in an index entry */
    BATCHVIEW_PLACE_BITS = 40,         /* of the record's place */
};
#define BATCHVIEW_RECORD_MAX ((size_t)2 << 30)   /* bytes of a record or section */
#define BATCHVIEW_KEYS_MAX   ((uint64_t)1 << 28) /* per file */
#define BATCHVIEW_BYTES_MAX  ((uint64_t)1 << BATCHVIEW_PLACE_BITS)
#define BATCHVIEW_INDEX_MAX  ((uint64_t)1 << 32) /* entries */
_Static_assert(BATCHVIEW_TAG_BITS + BATCHVIEW_PLACE_BITS == 64, "an index entry is 64 bits");

/* Slots with the same delay and windows (lifetime aside) share their atoms: a group. */
typedef struct viewfile_group {
    /* The least left edge that the file was made for. A slot that has no lifetime window has no
     * suffix partial at a key's first atom unless the atom begins after it: nothing will ask.
     * INT64_MAX when the group has no window but lifetime. */
    int64_t edge_min;
    int64_t delay; /* µs: its windows end at as-of minus this */
} viewfile_group_t;

typedef struct viewfile_slot {
    uint64_t hash; /* fixes the whole state; the next two are for whoever looks at a file */
    state_kind_t kind;
    type_t input;
    bool lifetime; /* some feature asks for everything */
    bool large;    /* own partials and checkpoints, not a suffix partial per atom */
    bool delayed;  /* own partials and blocks of them: the group has a delay */
    uint16_t group;
    uint16_t inputs;                 /* how many of the lanes */
    uint16_t lane[STATE_INPUTS_MAX]; /* which */
    uint16_t filter;                 /* its number and 1; 0: none */
} viewfile_slot_t;

enum { BATCHVIEW_LANES_MAX = STATE_INPUTS_MAX * FEATURES_MAX };

typedef struct viewfile_header {
    batchview_info_t info; /* counts are in the footer */
    int64_t horizon;       /* µs */
    size_t groups;
    viewfile_group_t group[FEATURES_MAX];
    size_t slots;
    viewfile_slot_t slot[FEATURES_MAX];
    size_t lanes; /* what slots are made of: values of rows, … */
    type_t lane_type[BATCHVIEW_LANES_MAX];
    size_t filters; /* … which they count where these are true */
    bool positions; /* some slot reads offsets and numbers of rows */
    size_t size;    /* encoded bytes, padded to BATCHVIEW_ALIGN: where the first record starts */
} viewfile_header_t;

typedef struct viewfile_footer {
    uint64_t index_at;   /* bytes from the start of the file */
    uint64_t index_size; /* entries, more than keys */
    uint64_t keys;
    uint64_t atoms;
    uint64_t events;
} viewfile_footer_t;

/* What the header of a new file says; *header is big, allocate it. */
void viewfile_header_of (const plan_t *plan, const batchview_info_t *info,
                         viewfile_header_t *header);
/* Sets header->size. */
void viewfile_header_encode (viewfile_header_t *header, buf_t *out);
/* CORRUPT or VERSION; refuses everything that the rest of the reader relies on. */
MUST_CHECK status_t viewfile_header_decode (const uint8_t *data, size_t size,
                                            viewfile_header_t *header, error_t *error);

/* Appends what follows the index: the checksums (`count` of them) and the footer. */
void viewfile_tail_encode (const viewfile_footer_t *footer, const uint64_t *checksums, size_t count,
                           buf_t *out);
/* Verifies tail and every block of a whole file. CORRUPT or VERSION. */
MUST_CHECK status_t viewfile_verify (const uint8_t *data, uint64_t size, viewfile_footer_t *footer,
                                     error_t *error);
uint64_t viewfile_checksum (const void *data, size_t size);

/* ---- spans: where the edges of windows are expected ---- */

/* Closed intervals of edges, ascending, disjoint. */
typedef struct viewfile_span {
    int64_t first;
    int64_t last;
} viewfile_span_t;

/* Spans that a group of so many windows may have: two per edge, and the right one may move too. */
static inline size_t viewfile_spans_max (size_t windows)
{
    return 2 * windows + 2;
}

/* A group's spans from its windows (lifetime left out) and delay; returns how many. */
size_t viewfile_spans (const int64_t *windows, size_t count, int64_t delay,
                       const batchview_info_t *info, int64_t horizon, viewfile_span_t *spans);

/* The distinct windows but lifetime of a slot, ascending; returns how many. */
size_t viewfile_slot_windows (const plan_t *plan, uint32_t slot, int64_t *windows);

/* ---- the index ---- */

/* Entries of the index of so many keys: it is 5/8 full, so that looking for a key that is not there
 * takes four of them on average. */
static inline uint64_t viewfile_index_size (uint64_t keys)
{
    return keys + keys * 3 / 5 + 2;
}

/* Where a hash is looked for first, by its low 32 bits (multiply-shift). */
static inline uint64_t viewfile_index_slot (uint64_t hash, uint64_t size)
{
    return (hash & UINT32_MAX) * size >> 32;
}

static inline uint64_t viewfile_index_entry (uint64_t hash, uint64_t place)
{
    return (hash >> 28 << BATCHVIEW_PLACE_BITS) | place;
}

static inline bool viewfile_index_tag_is (uint64_t entry, uint64_t hash)
{
    return entry >> BATCHVIEW_PLACE_BITS == (hash >> 28 & ((1u << BATCHVIEW_TAG_BITS) - 1));
}

static inline uint64_t viewfile_index_place (uint64_t entry)
{
    return entry & (((uint64_t)1 << BATCHVIEW_PLACE_BITS) - 1);
}

/* ---- a record's shape ---- */

/* In a byte: how many bytes a place and an age have, or how many rows it is. */
typedef struct viewfile_shape {
    unsigned place_bytes; /* 1, 2 or 4 */
    unsigned age_bytes;   /* 1 to 8 */
    unsigned rows;        /* that it consists of, at most BATCHVIEW_ROWS_MAX; 0: of partials */
    bool sections;        /* some group has sections in place of atoms */
} viewfile_shape_t;

enum {
    SHAPE_OF_ROWS = 3, /* in place of a place's bytes */
    SHAPE_SECTIONS = 1 << 5,
};

static inline uint8_t viewfile_shape_put (viewfile_shape_t shape)
{
    unsigned kind = shape.rows > 0 ? SHAPE_OF_ROWS | (shape.rows - 1) << 5 : shape.place_bytes / 2;
    return (uint8_t)(kind | (shape.age_bytes - 1) << 2 | (shape.sections ? SHAPE_SECTIONS : 0));
}

/* False: there is no such shape. */
static inline bool viewfile_shape_read (uint8_t byte, viewfile_shape_t *shape)
{
    bool rows = (byte & 3) == SHAPE_OF_ROWS;
    *shape = (viewfile_shape_t){ .place_bytes = rows ? 0 : 1u << (byte & 3),
                                 .age_bytes = 1 + (byte >> 2 & 7u),
                                 .rows = rows ? 1 + (unsigned)(byte >> 5) : 0,
                                 .sections = !rows && (byte & SHAPE_SECTIONS) != 0 };
    return rows ? shape->rows <= BATCHVIEW_ROWS_MAX : byte < 2 * SHAPE_SECTIONS;
}

/* How long before the clock at the cut an event was that is not after it, and back. */
static inline uint64_t viewfile_age (const viewfile_header_t *header, int64_t time)
{
    return (uint64_t)header->info.clock_at_cut - (uint64_t)time;
}

static inline int64_t viewfile_time (const viewfile_header_t *header, uint64_t age)
{
    return (int64_t)((uint64_t)header->info.clock_at_cut - age);
}

static inline unsigned viewfile_age_bytes (uint64_t age)
{
    return age == 0 ? 1 : (64 - (unsigned)__builtin_clzll (age) + 7) / 8;
}

/* The number of `bytes` bytes at `at`, least first. It reads 8, which are always there: behind the
 * records are index and footer. */
static inline uint64_t viewfile_narrow (const uint8_t *at, unsigned bytes)
{
    uint64_t value;
    memcpy (&value, at, sizeof value);
    return value << (64 - 8 * bytes) >> (64 - 8 * bytes);
}

/* Little-endian integers at places that need not be aligned. */
static inline uint32_t viewfile_u32 (const uint8_t *at)
{
    uint32_t value;
    memcpy (&value, at, sizeof value);
    return value;
}

static inline int64_t viewfile_i64 (const uint8_t *at)
{
    int64_t value;
    memcpy (&value, at, sizeof value);
    return value;
}

static inline size_t viewfile_align (size_t size)
{
    return (size + BATCHVIEW_ALIGN - 1) / BATCHVIEW_ALIGN * BATCHVIEW_ALIGN;
}

static inline size_t viewfile_checkpoints (size_t atoms)
{
    return (atoms + BATCHVIEW_CHECKPOINT - 1) / BATCHVIEW_CHECKPOINT;
}

/* Blocks of `step` atoms; the last one may have fewer. */
static inline size_t viewfile_blocks (size_t atoms, size_t step)
{
    return (atoms + step - 1) / step;
}

/* Are its partials each atom's own, and a suffix at every checkpoint? */
static inline bool viewfile_has_checkpoints (const viewfile_slot_t *slot, unsigned layer)
{
    return slot->large && !slot->delayed && layer == 0;
}

/* Places of partials that a slot has for so many atoms of its group, which is layer 0, or sections.
 */
static inline size_t viewfile_places (const viewfile_slot_t *slot, unsigned layer, size_t atoms)
{
    if (!slot->delayed)
        return atoms + (viewfile_has_checkpoints (slot, layer) ? viewfile_checkpoints (atoms) : 0);
    size_t places = atoms;
    for (size_t step = 1; step < atoms;) {
        step *= BATCHVIEW_FANOUT;
        places += viewfile_blocks (atoms, step);
    }
    return places;
}

#endif
