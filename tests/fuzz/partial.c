/* Partials from files and peers: the first bytes say which state (state_header.h), the rest is the
 * partial, given to a fresh accumulator. What is taken must be written back unchanged. */
#include "tests/fuzz/state_header.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"

static arena_t *arena;

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void finish_all (state_spec_t spec, const void *acc)
{
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
        value_t value;
        error_t error;
        if (aggregate_info ((aggregate_t)i)->state != spec.kind ||
            !aggregate_takes ((aggregate_t)i, spec.input, spec.second))
            continue;
        final_context_t context = { .window = TIME_DAY,
                                    .parameter = { .type = TYPE_INT64, .i = 3 },
                                    .arena = arena };
        if (aggregate_info ((aggregate_t)i)->parameter == PARAMETER_FRACTION)
            context.parameter = (value_t){ .type = TYPE_FLOAT64, .f = 0.95 };
        status_t status = state_final (spec, acc, (aggregate_t)i, &context, &value, &error);
        CHECK (status == STATUS_OK || status == STATUS_RANGE || status == STATUS_TOO_LARGE ||
               status == STATUS_CORRUPT);
    }
    arena_reset (arena);
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
    state_spec_t spec;
    if (size < STATE_HEADER || size > AGGREGATE_PARTIAL_MAX || !state_header_read (data, &spec))
        return 0;
    if (arena == NULL)
        arena = arena_new (1 << 16);
    error_t error;
    text_t partial = { (const char *)data + STATE_HEADER, (uint32_t)(size - STATE_HEADER) };
    void *acc = mem_alloc (state_size (spec)), *both = mem_alloc (state_size (spec));
    state_init (spec, acc);
    state_init (spec, both);
    status_t status = state_merge_partial (spec, acc, partial, &error);
    CHECK (status == STATUS_OK || status == STATUS_CORRUPT);
    if (status == STATUS_OK) {
        buf_t out;
        buf_init (&out, AGGREGATE_PARTIAL_MAX);
        state_encode (spec, acc, &out);
        CHECK (text_equal (partial, (text_t){ (const char *)out.data, (uint32_t)out.size }));
        buf_release (&out);
        finish_all (spec, acc);
        for (int i = 0; i < 3; i++)
            state_merge (spec, both, acc);
        status = state_merge_partial (spec, both, partial, &error);
        CHECK (status == STATUS_OK || status == STATUS_CORRUPT);
        finish_all (spec, both);
    }
    state_release (spec, acc);
    state_release (spec, both);
    mem_free (acc);
    mem_free (both);
    return 0;
}
