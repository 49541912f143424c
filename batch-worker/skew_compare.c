#include "batch-worker/skew.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/timestamp.h"

#include <inttypes.h>

enum { SHOWN_BYTES = 16 << 10 };

/* ---- equality ---- */

/* An error stands for a null, and for nothing else. */
static bool is_same (const value_t *answered, bool failed, const outcome_t *outcome)
{
    if (failed != (outcome->error != NULL))
        return false;
    if (answered->null || outcome->value.null)
        return answered->null == outcome->value.null;
    return value_equal (answered, &outcome->value);
}

/* The first feature of an answer that is another now; -1: none is. */
static int differs_at (const skew_t *self, const skew_entry_t *entry, const outcome_t *outcomes,
                       const int *places)
{
    (void)self;
    for (size_t i = 0; i < entry->shape->features_count; i++) {
        bool failed = entry->answer.errors != NULL && entry->answer.errors[i].size > 0;
        if (!is_same (&entry->answer.values[i], failed, &outcomes[places[i]]))
            return (int)i;
    }
    return -1;
}

/* Where the features of a shape stand among the outputs. */
static int *places_of (skew_t *self, const sample_shape_t *shape)
{
    int *places = arena_zero (self->arena, shape->features_count + 1, sizeof *places);
    for (size_t i = 0; i < shape->features_count; i++) {
        places[i] = skew_output (&self->target, shape->features[i].name);
        CHECK (places[i] >= 0); /* it is of the version */
    }
    return places;
}

/* ---- what is told ---- */

static void put_fields (const skew_entry_t *entry, buf_t *out)
{
    const sample_shape_t *shape = entry->shape;
    buf_put_u8 (out, '{');
    for (size_t i = 0; i < shape->keys_count + shape->request_count; i++) {
        if (i > 0)
            buf_put_u8 (out, ',');
        number_format_json_string (out, shape->keys[i]);
        buf_put_u8 (out, ':');
        skew_put_value (out, &entry->answer.fields[i]);
    }
    buf_put_u8 (out, '}');
}

static void put_positions (const skew_entry_t *entry, buf_t *out)
{
    buf_put_u8 (out, '{');
    for (size_t i = 0; i < entry->answer.places_count; i++) {
        const sample_place_t *place = &entry->answer.places[i];
        text_t log = sample_block_dataset (entry->block, place->dataset)->log;
        buf_printf (out, "%s\"" TEXT_FORMAT "/%" PRIu32 "\":%" PRIu64, i > 0 ? "," : "",
                    TEXT_ARGS (log), place->partition, place->position);
    }
    buf_put_u8 (out, '}');
}

static void put_answer (const value_t *value, text_t error, buf_t *out)
{
    if (error.size == 0) {
        skew_put_value (out, value);
        return;
    }
    buf_put_string (out, "{\"error\":");
    number_format_json_string (out, error);
    buf_put_u8 (out, '}');
}

static void show (skew_t *self, const skew_entry_t *entry, size_t at, const outcome_t *outcome)
{
    if (self->shown_count == SKEW_SHOWN_MAX)
        return;
    buf_t out;
    buf_init (&out, SHOWN_BYTES);
    buf_put_string (&out, "{\"key\":");
    put_fields (entry, &out);
    buf_put_string (&out, ",\"as_of\":\"");
    time_format (&out, entry->answer.as_of);
    buf_put_string (&out, "\",\"feature\":");
    number_format_json_string (&out, entry->shape->features[at].name);
    buf_put_string (&out, ",\"answered\":");
    put_answer (&entry->answer.values[at],
                entry->answer.errors ? entry->answer.errors[at] : (text_t){ .size = 0 }, &out);
    buf_put_string (&out, ",\"recomputed\":");
    put_answer (&outcome->value, outcome->error ? text_of (outcome->error) : (text_t){ .size = 0 },
                &out);
    buf_put_string (&out, ",\"positions\":");
    put_positions (entry, &out);
    buf_put_u8 (&out, '}');
    if (!out.bad) /* one that is too long is counted all the same */
        self->shown[self->shown_count++] = arena_string (
            self->task->arena, (text_t){ (const char *)out.data, (uint32_t)out.size });
    buf_release (&out);
}

/* ---- all ---- */

static void compare (skew_t *self, const outcome_t *then, const outcome_t *now)
{
    const sample_shape_t *shape = NULL;
    const int *places = NULL;
    for (size_t i = 0; i < self->entries_count; i++) {
        const skew_entry_t *entry = &self->entries[i];
        const outcome_t *stood = then + i * self->target.outputs_count;
        if (entry->shape != shape) {
            shape = entry->shape;
            places = places_of (self, shape);
        }
        int at = differs_at (self, entry, stood, places);
        if (at >= 0 && entry->removed) {
            self->counts.removed++;
            continue;
        }
        self->counts.compared++;
        if (at >= 0) {
            self->counts.mismatches++;
            show (self, entry, (size_t)at, &stood[places[at]]);
            continue;
        }
        const outcome_t *today = now + i * self->target.outputs_count;
        self->counts.late += differs_at (self, entry, today, places) >= 0;
    }
}

status_t skew_compare (skew_t *self, error_t *error)
{
    const outcome_t *then = NULL;
    const outcome_t *now = NULL;
    if (self->entries_count == 0)
        return STATUS_OK;
    status_t status = skew_compute (self, true, &then, error);
    if (status == STATUS_OK)
        status = skew_compute (self, false, &now, error);
    if (status == STATUS_OK)
        compare (self, then, now);
    return status;
}
