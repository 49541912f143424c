/* Partials of each kind over each type, answers, and the payloads of records. */
#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/timestamp.h"
#include "block/block.h"
#include "feature/answer.h"
#include "storage/log.h"
#include "storage/payload.h"
#include "tests/fuzz/answer_plan.h"
#include "tests/fuzz/driver/seeds.h"
#include "tests/fuzz/state_header.h"

#include <math.h>

static value_t some_value (random_t *random, type_t type)
{
    static const char *const words[] = { "", "a", "declined", "\xc3\xa9lodie", "zz" };
    static const double floats[] = { 0, 1.5, -1e300, 1e-300, 5e-324, 0.1, INFINITY, NAN };
    value_t value = { .type = type };
    if (type == TYPE_STRING)
        value.s = text_of (words[random_below (random, 5)]);
    else if (type == TYPE_FLOAT64)
        value.f = value_float (floats[random_below (random, 8)]);
    else if (type_is_decimal (type))
        value.d = (int128_t)random_next (random) << random_below (random, 60);
    else if (type == TYPE_BOOL)
        value.i = (int64_t)random_below (random, 2);
    else
        value.i = (int64_t)random_next (random) >> random_below (random, 64);
    return value;
}

static void write_partial (random_t *random, state_spec_t spec, size_t rows)
{
    buf_t out;
    buf_init (&out, AGGREGATE_PARTIAL_MAX + STATE_HEADER);
    state_header_write (spec, &out);
    CHECK (state_header_read (out.data, &spec));
    void *acc = mem_alloc (state_size (spec));
    state_init (spec, acc);
    for (size_t i = 0; i < rows; i++) {
        value_t values[STATE_INPUTS_MAX];
        for (unsigned k = 0; k < state_inputs (spec); k++) {
            values[k] = some_value (random, state_input_type (spec, k));
            values[k].null = state_takes_nulls (spec) && random_chance (random, 0.1);
        }
        row_place_t place = { .time = (int64_t)random_below (random, 20 * TIME_DAY), .offset = i };
        state_add (spec, acc, state_inputs (spec) == 0 ? NULL : values, &place);
    }
    state_encode (spec, acc, &out);
    seed_write ("partial", out.data, out.size);
    state_release (spec, acc);
    buf_release (&out);
    mem_free (acc);
}

/* Of the state, and with what may stand around it. */
static void write_partials (random_t *random, state_spec_t spec)
{
    static const struct {
        type_t by;
        uint16_t rows;
    } around[] = { { TYPE_STRING, 0 }, { TYPE_INT64, 0 }, { TYPE_NONE, 9 }, { TYPE_FLOAT64, 9 } };
    parameter_kind_t parameter;
    if (!state_header_known (spec, &parameter))
        return;
    spec.param = parameter == PARAMETER_STATE_K          ? 3
                 : parameter == PARAMETER_STATE_DURATION ? TIME_DAY
                                                         : 0;
    for (size_t rows = 0; rows <= 40; rows = 4 * rows + 1)
        write_partial (random, spec, rows);
    size_t one = random_below (random, sizeof around / sizeof *around);
    error_t error;
    spec.by = around[one].by;
    spec.rows = around[one].rows;
    if (state_spec_check (spec, &error) == STATUS_OK)
        write_partial (random, spec, 12);
}

/* Of all kinds over all inputs. */
static void partials (random_t *random)
{
    static const state_kind_t kinds[] = {
#define X(name, number, large) STATE_##name,
        STATE_TABLE (X)
#undef X
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (unsigned types = 0; types < STATE_HEADER_TYPES * STATE_HEADER_TYPES; types++)
            write_partials (
                random, (state_spec_t){ .kind = kinds[k],
                                        .input = state_header_type (types % STATE_HEADER_TYPES),
                                        .second = state_header_type (types / STATE_HEADER_TYPES) });
    /* a sketch that is dense, one with many buckets, and what is at its cap */
    static const state_spec_t large[] = {
        { .kind = STATE_DISTINCT_HLL, .input = TYPE_INT64 },
        { .kind = STATE_QUANTILES, .input = TYPE_INT64 },
        { .kind = STATE_DISTINCT_SET, .input = TYPE_INT64 },
        { .kind = STATE_COUNT, .by = TYPE_INT64 },
        { .kind = STATE_SESSIONS, .param = 10 },
    };
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        write_partial (random, large[i], i == 1 ? 600 : i == 3 ? 1200 : 6000);
}

static batch_t some_events (random_t *random, arena_t *arena, size_t rows)
{
    const plan_t *plan = answer_plan_once ();
    batch_t batch = batch_new (arena, plan->column_types, plan->columns, rows);
    for (size_t i = 0; i < rows; i++) {
        for (size_t c = 0; c < plan->columns; c++) {
            value_t value = some_value (random, plan->column_types[c]);
            column_set (&batch.column[c], i, &value);
        }
        batch.event_time[i] = (int64_t)random_below (random, 8 * TIME_DAY);
        batch.offset[i] = i;
    }
    return batch;
}

static void event_payload (random_t *random, size_t rows, uint32_t refused)
{
    arena_t *arena = arena_new (1 << 14);
    buf_t block;
    buf_t out;
    error_t error;
    buf_init (&block, LOG_PAYLOAD_MAX);
    events_payload_t payload = { .sequence = 1 + rows,
                                 .accepted = (uint32_t)rows,
                                 .refused_count = refused,
                                 .refused_listed = refused < 5 ? refused : 5 };
    for (uint32_t i = 0; i < payload.refused_listed; i++)
        payload.refused[i] = (payload_refused_t){ .row = 3 * i, .reason = text_of ("is not") };
    if (rows > 0) {
        batch_t batch = some_events (random, arena, rows);
        batch.key = NULL;
        CHECK (block_encode (&batch, 0, rows, &block, &error) == STATUS_OK);
        payload.block = (text_t){ (const char *)block.data, (uint32_t)block.size };
    }
    payload.has_ids = rows == 2;
    payload.ids_count = payload.has_ids ? answer_plan_once ()->columns : 0;
    for (size_t i = 0; i < payload.ids_count; i++)
        payload.ids[i] = (uint16_t)(i < 2 ? i : 300 - i);
    for (uint8_t first = 0; first < 3; first += 2) {
        buf_init (&out, LOG_PAYLOAD_MAX);
        buf_put_u8 (&out, first);
        events_payload_encode (&payload, &out);
        seed_write ("payload", out.data, out.size);
        buf_release (&out);
    }
    buf_release (&block);
    arena_destroy (&arena);
}

static void payloads (random_t *random)
{
    event_payload (random, 0, 3);
    event_payload (random, 1, 0);
    event_payload (random, 30, 200);
    forwarded_payload_t forwarded = { .source = 3, .from = 7, .to = 300 };
    uint64_t marks[4] = { 0, 7, 1u << 20, UINT64_MAX };
    for (uint8_t first = 3; first < 5; first++) {
        buf_t out;
        buf_init (&out, 256);
        buf_put_u8 (&out, first);
        if (first == 3)
            forwarded_payload_encode (&forwarded, &out);
        else
            marks_encode (marks, 4, &out);
        seed_write ("payload", out.data, out.size);
        buf_release (&out);
    }
    control_payload_t controls[] = { { .id = text_of ("cut-7"), .clock = TIME_DAY },
                                     { .id = text_of ("load-0123.2"), .producers = { "abc", 3 } } };
    for (size_t i = 0; i < 2; i++) {
        buf_t out;
        buf_init (&out, 256);
        buf_put_u8 (&out, 1);
        control_payload_encode (&controls[i], &out);
        seed_write ("payload", out.data, out.size);
        buf_release (&out);
    }
}

static void answers (random_t *random)
{
    const plan_t *plan = answer_plan_once ();
    for (size_t rows = 0; rows < 60; rows = 2 * rows + 1) {
        arena_t *arena = arena_new (1 << 14);
        batch_t batch = some_events (random, arena, rows);
        projection_t projection = plan_project (plan, &batch, arena);
        answer_t *answer = answer_new (plan);
        for (size_t i = 0; i < projection.rows; i++)
            answer_add_row (answer, 8 * TIME_DAY, &projection, i);
        buf_t out;
        buf_init (&out, ANSWER_ENCODED_MAX);
        answer_encode (answer, &out);
        if (rows % 2) /* several, one after the other */
            answer_encode (answer, &out);
        seed_write ("answer", out.data, out.size);
        buf_release (&out);
        answer_destroy (&answer);
        arena_destroy (&arena);
    }
}

void seeds_of_states (void)
{
    random_t random;
    random_seed (&random, 2);
    partials (&random);
    answers (&random);
    payloads (&random);
    event_payload (&random, 2, 0); /* of other fields */
}
