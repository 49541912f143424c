/* batchview.h - the batch view file: one view of one partition below a cut (docs/formats.md).
 *
 * Per key the file holds atoms in time order. An atom is one event, or several neighbouring ones
 * collapsed because no window's left edge is expected between them. For every slot of the plan
 * there is the *suffix partial* of everything from each atom on, so any window is one binary search
 * for its left edge and one partial. Slots with large partials keep each atom's own partial, and a
 * suffix partial at every CHECKPOINT_STEP-th atom. A slot with a delay, whose windows have their
 * right edge inside the file, has own partials and those of blocks of 4, 16, 64 … atoms. Events
 * later than the clock at the cut are kept apart as raw atoms with own partials, and join when
 * as-of (less the delay) reaches them. Of a key with few events, as most have in a delta, the file
 * holds these instead. One with very many has its atoms in sections, written as they are made, each
 * of which stands for its atoms in a section above, or in the record; a window is then a section or
 * two of each layer.
 *
 * Exactness is decided per key and window from the atoms themselves: an edge that falls inside a
 * collapsed atom, or an as-of (without delay, one before the key's last atom), cannot be answered
 * from the file; the caller then takes the slow path. What the horizon says only makes that rare.
 */
#ifndef WEIR_BATCHVIEW_BATCHVIEW_H
#define WEIR_BATCHVIEW_BATCHVIEW_H

#include "base/fs.h"
#include "feature/answer.h"
#include "feature/plan.h"

/* What a file says of itself. */
typedef struct batchview_info {
    char view[NAME_MAX_SIZE + 1];
    uint32_t version;
    uint64_t plan_hash;
    uint32_t partition;
    uint32_t partitions;
    uint64_t cut;         /* covers positions below it */
    int64_t clock_at_cut; /* µs */
    int64_t latest; /* latest covered event time, at most clock_at_cut; INT64_MIN when empty */
    uint64_t keys;
    uint64_t atoms;
    uint64_t events;
} batchview_info_t;

/* ---- writing: keys in byte order, each key's rows in (time, offset, row) order ---- */

typedef struct batchview_writer batchview_writer_t;

/* What the writers of one task, in one thread, may hold together of keys that are not written yet:
 * a key's latest sections, its future atoms, and what becomes of them. */
typedef struct batchview_budget {
    size_t limit; /* bytes */
    size_t used;
} batchview_budget_t;

/* Creates `path` (FS_CREATE). `info` gives view, version, partition(s), cut, clock_at_cut and
 * latest (the collapse spans depend on it, so it must be known first: run footers have it); counts
 * are filled by the writer. Equal inputs give equal bytes. `plan` and `fs` must outlive the writer.
 */
MUST_CHECK status_t batchview_writer_new (fs_t *fs, const char *path, const plan_t *plan,
                                          const batchview_info_t *info, batchview_writer_t **writer,
                                          error_t *error);
/* Makes a key that needs more than the budget has left TOO_LARGE, before any row; otherwise a
 * record's own limit is the only one. The budget outlives the writer. */
void batchview_writer_budget (batchview_writer_t *self, batchview_budget_t *budget);
/* Of how much sections consist, which a key with very many events has in place of one large record.
 */
typedef struct batchview_sections {
    size_t atoms;    /* one of atoms: at most; at least 1 */
    size_t sections; /* one of sections: at most; at least 2 … */
    size_t least;    /* … and no fewer than these (at least 2), however … */
    size_t bytes;    /* … many bytes their partials have together */
} batchview_sections_t;

/* Sets it, before any row, to other than the format has it, which makes other bytes with the same
 * answers: so that a file has all of it with few events. */
void batchview_writer_sections (batchview_writer_t *self, batchview_sections_t sections);

/* Rows [from, to) of `rows`, all of one key. A key's rows may come in several calls. */
MUST_CHECK status_t batchview_writer_add (batchview_writer_t *self, const projection_t *rows,
                                          size_t from, size_t to, error_t *error);
/* All of the rows, of any number of keys: the quicker way to add many. The last key may go on in
 * the next call. */
MUST_CHECK status_t batchview_writer_add_all (batchview_writer_t *self, const projection_t *rows,
                                              error_t *error);
/* Writes index and footer and syncs the file (not its directory). Returns the size in bytes. */
MUST_CHECK status_t batchview_writer_finish (batchview_writer_t *self, uint64_t *size,
                                             error_t *error);
/* Closes; removes the file when it was not finished. */
void batchview_writer_destroy (batchview_writer_t **self_p);

/* ---- reading ---- */

typedef struct batchview batchview_t;

/* Maps the file and verifies every checksum in it. */
MUST_CHECK status_t batchview_open (fs_t *fs, const char *path, batchview_t **view, error_t *error);
/* One more reference, of any thread; returns self. */
batchview_t *batchview_ref (batchview_t *self);
/* Gives up a reference, of any thread; the last one closes the file. */
void batchview_unref (batchview_t **self_p);
/* Verifies every checksum again of what is mapped. CORRUPT, naming the bytes. May be called by a
 * job while the file is used. */
MUST_CHECK status_t batchview_verify (const batchview_t *self, error_t *error);
const batchview_info_t *batchview_info (const batchview_t *self);

/* Slots of a plan found in a file by their hash. A view that has got a new feature since the file
 * was built lacks its slot. */
typedef struct batchview_binding batchview_binding_t;
batchview_binding_t *batchview_bind (const batchview_t *self, const plan_t *plan);
/* Of those cells alone for which wanted[cell] is true: the others need not be there, are not
 * merged, and do not matter for exactness. NULL wants all. */
batchview_binding_t *batchview_bind_cells (const batchview_t *self, const plan_t *plan,
                                           const bool *wanted);
void batchview_binding_destroy (batchview_binding_t **self_p);

/* Lets the memory come in which a merge of that key will look: the index first, and with a second
 * call a little later, the record. For who merges from several files, or several keys, so that they
 * wait for all of it together. `hash` is that of the key (key_hash). Changes nothing. */
void batchview_fetch_index (const batchview_t *self, uint64_t hash);
void batchview_fetch_record (const batchview_t *self, uint64_t hash);

/* Merges the key's events with T - D - W < time <= T - D into every bound cell of `answer`, where D
 * is the delay of its slot, or leaves `answer` untouched and sets *exact false when any of them
 * cannot be answered exactly from the file. A key that is not in the file adds nothing and is exact
 * (unless a slot is missing from the file). CORRUPT when a partial does not decode. */
MUST_CHECK status_t batchview_merge (const batchview_t *self, const batchview_binding_t *binding,
                                     text_t key, int64_t as_of, answer_t *answer, bool *exact,
                                     error_t *error);

#endif
