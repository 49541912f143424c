/* viewrecord.h - a key's record, and its sections, as they lie in the mapped file (docs/formats.md,
 * Batch view): which atoms a window holds, and merging their partials. */
#ifndef WEIR_BATCHVIEW_VIEWRECORD_H
#define WEIR_BATCHVIEW_VIEWRECORD_H

#include "batchview/viewfile.h"

/* The file as it is mapped. */
typedef struct viewdata {
    const uint8_t *data;
    uint64_t end; /* of the records */
    const viewfile_header_t *header;
} viewdata_t;

/* What all of a record or section has in common. */
typedef struct viewpage {
    uint64_t place; /* in the file */
    viewfile_shape_t shape;
    int64_t clock;           /* ages count from it */
    int64_t first;           /* time of the first atom of every group … */
    int64_t last;            /* … and the last time of the last */
    const uint8_t *places;   /* slot by slot */
    const uint8_t *partials; /* up to `end` */
    const uint8_t *end;
} viewpage_t;

/* A group's atoms there, or the sections that stand in their place. */
typedef struct viewatoms {
    const uint8_t *last;     /* ages of all but the last */
    const uint8_t *first;    /* ages of all but the first; NULL: as their last */
    const uint8_t *sections; /* of a layer above 0: u64 places in the file */
    uint32_t count;
    unsigned layer;
} viewatoms_t;

/* Large: it is not made to be cleared. */
typedef struct viewrecord {
    viewpage_t page;
    const uint8_t *future; /* i64 per atom of the future */
    uint32_t futures;
    reader_t rows; /* what follows the shape: of a record that is rows, all that there is */
    viewatoms_t group[FEATURES_MAX];
} viewrecord_t;

/* CORRUPT: a record or section is not well formed. */
MUST_CHECK status_t viewrecord_bad (error_t *error);

/* Lays out what follows the key of the record that begins at `place`. */
MUST_CHECK status_t viewrecord_lay_out (const viewdata_t *data, uint64_t place, reader_t *reader,
                                        viewrecord_t *record, error_t *error);

/* How many of the ascending times of the future are at most `time`. */
uint32_t viewrecord_futures_to (const viewrecord_t *record, int64_t time);

/* The time of the key's latest event at or before as-of, ANSWER_NEVER when there is none. False:
 * the record cannot tell. */
bool viewrecord_latest (const viewrecord_t *record, int64_t as_of, int64_t *latest);

/* What is asked of a group: left < time <= right. */
typedef struct viewwindow {
    int64_t left;
    int64_t right;
    bool first_missing; /* some slot that is asked may lack the partials of the first atom */
} viewwindow_t;

/* A range of atoms, of a group in its record or a section; with a delay anywhere in it, else up to
 * the end. */
typedef struct viewrange {
    uint32_t from;
    uint32_t to;
} viewrange_t;

/* The atoms of a group without sections that a window holds. False: the file cannot tell. */
bool viewrecord_range (const viewpage_t *page, const viewatoms_t *atoms,
                       const viewfile_group_t *info, const viewwindow_t *window,
                       viewrange_t *range);

/* A part of a window, in one place. */
typedef struct viewpart {
    viewpage_t page;
    viewatoms_t atoms;
    viewrange_t range;
    bool in_record;
} viewpart_t;

enum { VIEWPARTS_MAX = 2 * BATCHVIEW_LAYERS_MAX };

typedef struct viewparts {
    size_t count;
    viewpart_t part[VIEWPARTS_MAX];
} viewparts_t;

/* The same of a group with sections, in so many parts; *exact false: the file cannot tell. */
MUST_CHECK status_t viewrecord_parts (const viewdata_t *data, const viewrecord_t *record,
                                      uint16_t group, const viewwindow_t *window,
                                      viewparts_t *parts, bool *exact, error_t *error);

/* Merges the partial that has place number `index`. */
MUST_CHECK status_t viewpage_merge (const viewpage_t *page, size_t index, state_spec_t spec,
                                    void *acc, error_t *error);
/* Merges everything from atom `atom` on, of a slot with checkpoints, and a range of atoms of one
 * with a delay; the slot's first place has the number `places`. */
MUST_CHECK status_t viewpage_merge_checkpoint (const viewpage_t *page, const viewatoms_t *atoms,
                                               state_spec_t spec, size_t places, uint32_t atom,
                                               void *acc, error_t *error);
MUST_CHECK status_t viewpage_merge_blocks (const viewpage_t *page, const viewatoms_t *atoms,
                                           state_spec_t spec, size_t places, viewrange_t range,
                                           void *acc, error_t *error);

/* Merges a range of atoms of any slot. */
MUST_CHECK static inline status_t
viewpage_merge_range (const viewpage_t *page, const viewatoms_t *atoms, const viewfile_slot_t *slot,
                      state_spec_t spec, size_t places, viewrange_t range, void *acc,
                      error_t *error)
{
    if (slot->delayed)
        return viewpage_merge_blocks (page, atoms, spec, places, range, acc, error);
    if (range.from == atoms->count)
        return STATUS_OK;
    if (viewfile_has_checkpoints (slot, atoms->layer))
        return viewpage_merge_checkpoint (page, atoms, spec, places, range.from, acc, error);
    return viewpage_merge (page, places + range.from, spec, acc, error);
}

#endif
