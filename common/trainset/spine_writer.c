#include "trainset/spine_writer.h"

#include "base/key.h"
#include "base/mem.h"
#include "storage/sorter.h"

#include <inttypes.h>
#include <stdio.h>

enum { CHUNK = 1 << 18, COLUMNS_MAX = REQUEST_FIELDS_MAX + 1 };

typedef struct side {
    type_t types[COLUMNS_MAX];
    uint32_t field[COLUMNS_MAX]; /* of the stream, for each column */
    size_t columns;
    sorter_t *sorter;
} side_t;

struct spine_writer {
    const trainset_t *set;
    fs_t *fs;
    uint64_t id;
    uint32_t partitions;
    uint64_t memory;
    uint64_t rows;
    side_t *sides;  /* of the set's roles */
    arena_t *arena; /* of the files */
    arena_t *batch; /* of what is added */
    buf_t key;
    spine_file_t *files;
    size_t files_count;
    run_writer_t **writers; /* per partition, while those of a role are written */
    status_t (*go_on) (void *arg, error_t *error);
    void *arg;
    bool ended;
};

static void make_side (spine_writer_t *self, size_t number)
{
    const trainset_role_t *role = &self->set->roles[number];
    side_t *side = &self->sides[number];
    char path[96];
    for (size_t i = 0; i < role->request_count; i++)
        side->field[side->columns++] = role->request[i];
    if (self->set->known != TRAINSET_NONE)
        side->field[side->columns++] = (uint32_t)self->set->known;
    for (size_t c = 0; c < side->columns; c++)
        side->types[c] = self->set->stream.fields[side->field[c]].type;
    side->sorter = sorter_new (side->types, side->columns, NULL);
    (void)snprintf (path, sizeof path, "training/%" PRIu64 "-%zu-aside.tmp", self->id, number);
    sorter_set_aside (side->sorter, self->fs, arena_string (self->arena, text_of (path)),
                      self->memory / 4 / self->set->roles_count);
}

spine_writer_t *spine_writer_new (const trainset_t *set, fs_t *fs, uint64_t id, uint32_t partitions,
                                  uint64_t memory)
{
    spine_writer_t *self = mem_zero (1, sizeof *self);
    *self = (spine_writer_t){
        .set = set, .fs = fs, .id = id, .partitions = partitions, .memory = memory
    };
    self->arena = arena_new (CHUNK);
    self->batch = arena_new (CHUNK);
    buf_init (&self->key, 1 << 20);
    self->sides = arena_zero (self->arena, set->roles_count + 1, sizeof *self->sides);
    self->files = arena_zero (self->arena, set->roles_count * partitions + 1, sizeof *self->files);
    self->writers = arena_zero (self->arena, partitions, sizeof (run_writer_t *));
    for (size_t i = 0; i < set->roles_count; i++)
        make_side (self, i);
    return self;
}

void spine_writer_destroy (spine_writer_t **self_p)
{
    spine_writer_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    for (uint32_t p = 0; p < self->partitions; p++)
        run_writer_destroy (&self->writers[p]);
    for (size_t i = 0; i < self->set->roles_count; i++)
        sorter_destroy (&self->sides[i].sorter);
    for (size_t i = 0; i < self->files_count && !self->ended; i++) {
        error_t ignored; /* what stays goes with the set's number */
        status_t status = fs_remove (self->fs, self->files[i].path, &ignored);
        (void)status;
    }
    buf_release (&self->key);
    arena_destroy (&self->batch);
    arena_destroy (&self->arena);
    mem_free (self);
}

/* The key of a row in a role; empty when a field of it is null: it is nobody's. */
static status_t key_of (spine_writer_t *self, const trainset_role_t *role, const batch_t *batch,
                        size_t row, text_t *key, error_t *error)
{
    *key = (text_t){ "", 0 };
    buf_clear (&self->key);
    for (size_t i = 0; i < role->view->key_count; i++) {
        value_t value = column_get (&batch->column[role->key[i]], row);
        if (value.null)
            return STATUS_OK;
        key_put (&self->key, &value);
    }
    if (self->key.size > KEY_SIZE_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "row %" PRIu64 ": its key takes %zu bytes, more than the %d that a key "
                          "can have",
                          self->rows + row + 1, self->key.size, KEY_SIZE_MAX);
    *key = arena_text (self->batch,
                       (text_t){ (const char *)self->key.data, (uint32_t)self->key.size });
    return STATUS_OK;
}

static status_t add_to (spine_writer_t *self, size_t number, const batch_t *batch, error_t *error)
{
    const trainset_role_t *role = &self->set->roles[number];
    side_t *side = &self->sides[number];
    arena_reset (self->batch);
    batch_t rows = batch_new (self->batch, NULL, 0, batch->rows);
    rows.columns = side->columns;
    rows.column = arena_zero (self->batch, side->columns + 1, sizeof *rows.column);
    for (size_t c = 0; c < side->columns; c++)
        rows.column[c] = batch->column[side->field[c]];
    for (size_t r = 0; r < batch->rows; r++) {
        status_t status = key_of (self, role, batch, r, &rows.key[r], error);
        if (status != STATUS_OK)
            return status;
        rows.event_time[r] = batch->event_time[r];
        rows.offset[r] = self->rows + r;
    }
    sorter_add (side->sorter, &rows, 0, rows.rows);
    if (sorter_bytes (side->sorter) < self->memory / 2 / self->set->roles_count)
        return STATUS_OK;
    return sorter_spill (side->sorter, error);
}

status_t spine_writer_add (spine_writer_t *self, const batch_t *batch, error_t *error)
{
    for (size_t i = 0; i < self->set->roles_count && batch->rows > 0; i++) {
        status_t status = add_to (self, i, batch, error);
        if (status != STATUS_OK)
            return status;
    }
    self->rows += batch->rows;
    return STATUS_OK;
}

uint64_t spine_writer_rows (const spine_writer_t *self)
{
    return self->rows;
}

/* ---- the runs ---- */

static status_t begin_file (spine_writer_t *self, uint32_t role, uint32_t partition, error_t *error)
{
    char path[96];
    const side_t *side = &self->sides[role];
    run_schema_t schema = { .log = text_of ("training"),
                            .partition = partition,
                            .partitions = self->partitions,
                            .types = side->types,
                            .columns = side->columns };
    (void)snprintf (path, sizeof path, "training/%" PRIu64 "-%" PRIu32 "-%" PRIu32 ".spine",
                    self->id, role, partition);
    const char *name = arena_string (self->arena, text_of (path));
    status_t status = run_writer_new (self->fs, name, &schema, &self->writers[partition], error);
    if (status != STATUS_OK)
        return status;
    self->files[self->files_count++] =
        (spine_file_t){ .role = role, .partition = partition, .path = name };
    return STATUS_OK;
}

/* Rows of one batch go to their partitions, in their order. */
static status_t deal (spine_writer_t *self, uint32_t role, const batch_t *batch, error_t *error)
{
    size_t from = 0;
    while (from < batch->rows) {
        uint32_t partition = key_partition (key_hash (batch->key[from]), self->partitions);
        size_t to = from + 1;
        while (to < batch->rows && text_equal (batch->key[to], batch->key[from]))
            to++;
        status_t status = STATUS_OK;
        if (self->writers[partition] == NULL)
            status = begin_file (self, role, partition, error);
        if (status == STATUS_OK)
            status = run_writer_add (self->writers[partition], batch, from, to, error);
        if (status != STATUS_OK)
            return status;
        from = to;
    }
    return STATUS_OK;
}

static status_t finish_role (spine_writer_t *self, size_t first, error_t *error)
{
    for (size_t i = first; i < self->files_count; i++) {
        run_info_t info;
        spine_file_t *file = &self->files[i];
        run_writer_t **writer = &self->writers[file->partition];
        status_t status = run_writer_finish (*writer, &info, error);
        if (status != STATUS_OK)
            return status;
        file->size = info.size;
        file->rows = info.rows;
        run_writer_destroy (writer);
    }
    return STATUS_OK;
}

static status_t write_role (spine_writer_t *self, uint32_t role, error_t *error)
{
    size_t first = self->files_count;
    side_t *side = &self->sides[role];
    status_t status = STATUS_OK;
    while (status == STATUS_OK && sorter_rows (side->sorter) > 0) {
        batch_t batch;
        status = sorter_next (side->sorter, &batch, error);
        if (status == STATUS_OK)
            status = deal (self, role, &batch, error);
        if (status == STATUS_OK && self->go_on != NULL)
            status = self->go_on (self->arg, error);
    }
    if (status == STATUS_OK || status == STATUS_END)
        status = finish_role (self, first, error);
    sorter_clear (side->sorter);
    return status;
}

status_t spine_writer_end (spine_writer_t *self, status_t (*go_on) (void *arg, error_t *error),
                           void *arg, const spine_file_t **files, size_t *count, error_t *error)
{
    self->go_on = go_on;
    self->arg = arg;
    status_t status = fs_make_dir (self->fs, "training", error);
    for (uint32_t r = 0; status == STATUS_OK && r < self->set->roles_count; r++)
        status = write_role (self, r, error);
    self->ended = status == STATUS_OK;
    *files = self->files;
    *count = self->files_count;
    return status;
}
