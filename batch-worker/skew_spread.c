/* skew_spread.c - values of a training set beside those that were served: some features at a time,
 * as many as the memory has room for. */
#include "batch-worker/skew.h"

#include "base/check.h"
#include "base/mem.h"
#include "intake/cell.h"

#include <inttypes.h>

enum { READ_BYTES = 1 << 20, ROWS_AT_ONCE = 1024 };

/* The features of one pass: outputs [from, to). */
typedef struct pass {
    skew_t *skew;
    size_t from;
    size_t to;
    size_t memory;        /* of each */
    distribution_t **all; /* by output; NULL: it is not compared any more */
    int32_t *column;      /* of the training set, by output; -1: it has none */
    uint64_t rows;        /* of the training set */
} pass_t;

static const plan_feature_t *feature_of (const skew_t *self, size_t at)
{
    return &self->target.plan->features[self->target.outputs[at]];
}

/* A feature that cannot be compared does not keep others from it. */
static void add_value (pass_t *self, size_t at, distribution_side_t side, const value_t *value)
{
    error_t error;
    if (self->all[at] == NULL || distribution_add (self->all[at], side, value, &error) == STATUS_OK)
        return;
    distribution_destroy (&self->all[at]);
    self->skew->spreads[at].problem = arena_string (self->skew->task->arena, text_of (error.text));
}

/* ---- the training set ---- */

static status_t map_columns (pass_t *self, const raw_table_t *table, error_t *error)
{
    skew_t *skew = self->skew;
    bool any = false;
    for (size_t i = 0; i < skew->target.outputs_count; i++) {
        self->column[i] = -1;
        for (size_t c = 0; c < table->columns_count; c++)
            if (text_is (table->columns[c], feature_of (skew, i)->name))
                self->column[i] = (int32_t)c;
        skew->spreads[i].in_training = self->column[i] >= 0;
        any = any || self->column[i] >= 0;
    }
    if (any)
        return STATUS_OK;
    return error_set (error, STATUS_INVALID,
                      "the training set has none of the features of '" TEXT_FORMAT
                      "': its columns are called as `weir training-set` calls them",
                      TEXT_ARGS (skew->order->name));
}

static status_t take_cell (pass_t *self, size_t at, const raw_t *raw, uint64_t record,
                           error_t *error)
{
    const plan_feature_t *feature = feature_of (self->skew, at);
    value_t value = { .type = feature->type.type, .null = raw->kind == RAW_NULL };
    if (!value.null && distribution_kind_of (value.type) != DISTRIBUTION_PRESENCE) {
        const field_t field = { .name = feature->name,
                                .column = feature->name,
                                .type = value.type,
                                .precision = DECIMAL_DIGITS_MAX,
                                .unit = UNIT_US };
        if (!cell_value (&field, raw, &value)) {
            return error_set (error, STATUS_INVALID, "record %" PRIu64 " of the training set: %s",
                              record, cell_reason (&field, raw, self->skew->arena));
        }
    }
    add_value (self, at, SIDE_TRAINING, &value);
    return STATUS_OK;
}

static status_t take_table (pass_t *self, const raw_table_t *table, uint64_t first, error_t *error)
{
    status_t status = STATUS_OK;
    if (self->rows == 0)
        status = map_columns (self, table, error);
    self->rows += table->rows;
    for (size_t r = 0; r < table->rows && status == STATUS_OK; r++) {
        const raw_t *cells = table->cells + r * table->columns_count;
        for (size_t i = self->from; i < self->to && status == STATUS_OK; i++)
            if (self->all != NULL && self->column[i] >= 0)
                status = take_cell (self, i, &cells[self->column[i]], first + r, error);
    }
    return status == STATUS_OK ? task_go_on (self->skew->task, error) : status;
}

static status_t feed (pass_t *self, text_reader_t *reader, const uint8_t *data, size_t size,
                      error_t *error)
{
    raw_table_t table;
    uint64_t first, bad;
    bool given;
    size_t at = 0;
    do {
        size_t taken = 0;
        status_t status = text_reader_feed (reader, data + at, size - at, &taken, &bad, error);
        if (status != STATUS_OK)
            return error_prefix (error, "the training set");
        at += taken;
        given = text_reader_table (reader, &table, &first);
        if (given) {
            status = take_table (self, &table, first, error);
            text_reader_next (reader);
        }
        if (status != STATUS_OK)
            return status;
    } while (at < size || (size == 0 && given));
    return STATUS_OK;
}

static status_t read_training (pass_t *self, error_t *error)
{
    fs_t *fs = self->skew->task->setting.fs;
    file_t *file = NULL;
    uint8_t *data = mem_alloc (READ_BYTES);
    text_reader_t *reader = text_reader_new (FORMAT_CSV, ROWS_AT_ONCE);
    uint64_t at = 0;
    size_t got = 1;
    status_t status = fs_open (fs, self->skew->order->training, FS_READ, &file, error);
    while (status == STATUS_OK && got > 0) {
        status = fs_read (fs, file, at, data, READ_BYTES, &got, error);
        at += got;
        if (status == STATUS_OK)
            status = feed (self, reader, data, got, error);
    }
    fs_close (fs, &file);
    text_reader_destroy (&reader);
    mem_free (data);
    if (status == STATUS_OK && self->rows == 0)
        status = error_set (error, STATUS_INVALID, "the training set has no rows");
    return status;
}

/* ---- serving ---- */

static bool is_served (skew_t *self, const sample_block_t *block, const sample_answer_t *answer)
{
    return (answer->flags & SAMPLE_COMPLETE) != 0 &&
           skew_is_version (self, sample_block_shape (block, answer->shape));
}

/* `arg` for skew_each is the skew itself: the pass stands behind it. */
typedef struct passing {
    skew_t skew; /* first */
    pass_t *pass;
} passing_t;

static status_t take_answer (skew_t *skew, sample_block_t *block, const sample_answer_t *answer,
                             bool *keep, error_t *error)
{
    passing_t *passing = (passing_t *)skew;
    pass_t *self = passing->pass;
    const sample_shape_t *shape = sample_block_shape (block, answer->shape);
    (void)keep;
    (void)error;
    if (!is_served (skew, block, answer))
        return STATUS_OK;
    for (size_t i = 0; i < shape->features_count; i++) {
        int at = skew_output (&skew->target, shape->features[i].name);
        type_t type = at < 0 ? TYPE_NONE : feature_of (skew, (size_t)at)->type.type;
        if (at >= (int)self->from && at < (int)self->to && answer->values[i].type == type)
            add_value (self, (size_t)at, SIDE_SERVING, &answer->values[i]);
    }
    return STATUS_OK;
}

/* ---- all ---- */

static status_t one_pass (pass_t *self, error_t *error)
{
    skew_t *skew = self->skew;
    size_t count = skew->target.outputs_count;
    self->all = mem_zero (count + 1, sizeof (distribution_t *));
    self->rows = 0;
    for (size_t i = self->from; i < self->to; i++)
        if (skew->spreads[i].in_training)
            self->all[i] = distribution_new (distribution_kind_of (feature_of (skew, i)->type.type),
                                             self->memory);
    status_t status = read_training (self, error);
    passing_t passing = { .skew = *skew, .pass = self };
    if (status == STATUS_OK)
        status = skew_each (&passing.skew, take_answer, error);
    for (size_t i = self->from; i < self->to; i++) {
        if (status == STATUS_OK && self->all[i] != NULL)
            distribution_finish (self->all[i], &skew->spreads[i].result);
        distribution_destroy (&self->all[i]);
    }
    mem_free (self->all);
    self->all = NULL;
    return status;
}

status_t skew_spreads (skew_t *self, error_t *error)
{
    enum { ROW = 12, LEAST = 1 << 20 }; /* bytes of a number while there is room to grow */
    size_t count = self->target.outputs_count;
    uint64_t memory = self->task->setting.memory_limit / 2;
    pass_t pass = { .skew = self };
    self->spreads = arena_zero (self->task->arena, count + 1, sizeof *self->spreads);
    pass.column = arena_zero (self->task->arena, count + 1, sizeof *pass.column);
    status_t status = read_training (&pass, error); /* which columns it has, and how many rows */
    if (status != STATUS_OK)
        return status;
    uint64_t each = (pass.rows + self->counts.answers) * ROW + LEAST;
    size_t at_once = memory / each > 0 ? (size_t)(memory / each) : 1;
    pass.memory = (size_t)(at_once == 1 ? memory : memory / at_once);
    for (pass.from = 0; pass.from < count && status == STATUS_OK; pass.from = pass.to) {
        pass.to = pass.from + at_once < count ? pass.from + at_once : count;
        status = one_pass (&pass, error);
    }
    return status;
}
