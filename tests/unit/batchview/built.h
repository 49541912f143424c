/* built.h - a batch view of some of a case's events, and what is left for a timeline. */
#ifndef WEIR_TESTS_BATCHVIEW_BUILT_H
#define WEIR_TESTS_BATCHVIEW_BUILT_H

#include "batchview/batchview.h"
#include "tests/unit/batchview/memory_file.h"
#include "tests/unit/timeline/cases.h"

typedef struct built {
    memory_file_t file;
    batchview_info_t info;
    projection_t covered; /* in (key, time, offset, row) order */
    projection_t rest;
    batchview_budget_t *budget;    /* NULL: none */
    batchview_sections_t sections; /* .atoms 0: as the format has them */
} built_t;

/* Small sections, of any size, so that keys with few events have some, and layers of them; or none
 * but the format's. */
static inline batchview_sections_t built_sections (random_t *random)
{
    size_t least = 2 + random_below (random, 3);
    return (batchview_sections_t){ .atoms = random_chance (random, 0.3)
                                                ? 0
                                                : 1 + random_below (random, 40),
                                   .sections = least + random_below (random, 10),
                                   .least = least,
                                   .bytes = random_below (random, 300) };
}

static const projection_t *built_rows; /* what built_compare compares */

static inline int built_compare (const void *a, const void *b)
{
    const projection_t *rows = built_rows;
    size_t i = *(const size_t *)a;
    size_t j = *(const size_t *)b;
    int order = text_compare (rows->key[i], rows->key[j]);
    if (order != 0)
        return order;
    if (rows->time[i] != rows->time[j])
        return rows->time[i] < rows->time[j] ? -1 : 1;
    if (rows->offset[i] != rows->offset[j])
        return rows->offset[i] < rows->offset[j] ? -1 : 1;
    return rows->row[i] < rows->row[j] ? -1 : rows->row[i] > rows->row[j];
}

/* Deals the rows into those below `cut` and the rest, and fills info: the latest event. */
static inline void built_deal (built_t *self, test_case_t *c, uint64_t cut, int64_t clock_at_cut)
{
    size_t *covered = arena_zero (c->arena, c->rows.rows + 1, sizeof *covered);
    size_t *rest = arena_zero (c->arena, c->rows.rows + 1, sizeof *rest);
    size_t covered_count = 0;
    size_t rest_count = 0;
    self->info = (batchview_info_t){ .view = "v", .version = 7, .partition = 3, .partitions = 8 };
    self->info.cut = cut;
    self->info.clock_at_cut = clock_at_cut;
    self->info.latest = INT64_MIN;
    for (size_t i = 0; i < c->rows.rows; i++) {
        int64_t time = c->rows.time[i];
        if (c->rows.offset[i] >= cut) {
            rest[rest_count++] = i;
            continue;
        }
        covered[covered_count++] = i;
        if (time <= clock_at_cut && time > self->info.latest)
            self->info.latest = time;
    }
    built_rows = &c->rows;
    qsort (covered, covered_count, sizeof *covered, built_compare);
    self->covered = case_rows (c, covered, covered_count);
    self->rest = case_rows (c, rest, rest_count);
}

/* Writes the covered rows: all in one call, or with `parts` not SIZE_MAX, a key's rows in calls of
 * as many. */
static inline status_t built_write (built_t *self, test_case_t *c, size_t parts, error_t *error)
{
    batchview_writer_t *writer = NULL;
    const projection_t *rows = &self->covered;
    status_t status =
        batchview_writer_new (&self->file.fs, "v", c->plan, &self->info, &writer, error);
    if (status == STATUS_OK && self->budget)
        batchview_writer_budget (writer, self->budget);
    if (status == STATUS_OK && self->sections.atoms > 0)
        batchview_writer_sections (writer, self->sections);
    if (status == STATUS_OK && parts == SIZE_MAX)
        status = batchview_writer_add_all (writer, rows, error);
    for (size_t from = 0; parts != SIZE_MAX && from < rows->rows && status == STATUS_OK;) {
        size_t to = from + 1;
        while (to < rows->rows && to - from < parts && text_equal (rows->key[from], rows->key[to]))
            to++;
        status = batchview_writer_add (writer, rows, from, to, error);
        from = to;
    }
    uint64_t size = 0;
    if (status == STATUS_OK)
        status = batchview_writer_finish (writer, &size, error);
    if (status == STATUS_OK)
        cr_assert_eq (size, self->file.bytes.size);
    batchview_writer_destroy (&writer);
    return status;
}

static inline void built_init (built_t *self, test_case_t *c, uint64_t cut, int64_t clock_at_cut)
{
    error_t error;
    memory_file_init (&self->file);
    built_deal (self, c, cut, clock_at_cut);
    status_t status = built_write (self, c, SIZE_MAX, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
}

static inline void built_release (built_t *self)
{
    memory_file_release (&self->file);
}

static inline batchview_t *built_open (built_t *self)
{
    error_t error;
    batchview_t *view = NULL;
    status_t status = batchview_open (&self->file.fs, "v", &view, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    return view;
}

#endif
