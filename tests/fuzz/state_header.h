/* state_header.h - how a sample of the partial's fuzz entry point says which state it is of: a byte
 * for the kind, one for the types of the inputs, one for that of a key, two for a number of rows,
 * eight for the parameter, least first. */
#ifndef WEIR_TESTS_FUZZ_STATE_HEADER_H
#define WEIR_TESTS_FUZZ_STATE_HEADER_H

#include "aggregate/aggregate.h"
#include "base/buf.h"

enum { STATE_HEADER = 1 + 1 + 1 + 2 + 8, STATE_HEADER_TYPES = 8 };

/* The type of a number: that of the family of decimals is one of them. */
static inline type_t state_header_type (unsigned number)
{
    return number == TYPE_DECIMAL ? type_decimal (2) : (type_t)number;
}

/* Is there an aggregate of such a state? Gives its parameter's kind. */
static inline bool state_header_known (state_spec_t spec, parameter_kind_t *parameter)
{
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++) {
        const aggregate_info_t *info = aggregate_info ((aggregate_t)i);
        *parameter = info->parameter;
        if (info->state == spec.kind && aggregate_takes ((aggregate_t)i, spec.input, spec.second))
            return true;
    }
    return false;
}

/* False when the bytes are of no state. */
static inline bool state_header_read (const uint8_t *data, state_spec_t *spec)
{
    error_t error;
    parameter_kind_t parameter;
    reader_t reader = reader_of (data, STATE_HEADER);
    *spec = (state_spec_t){ .kind = (state_kind_t)reader_u8 (&reader) };
    uint8_t types = reader_u8 (&reader);
    spec->input = state_header_type (types % STATE_HEADER_TYPES);
    spec->second = state_header_type (types / STATE_HEADER_TYPES % STATE_HEADER_TYPES);
    spec->by = state_header_type (reader_u8 (&reader) % STATE_HEADER_TYPES);
    spec->rows = reader_u16 (&reader);
    spec->param = reader_i64 (&reader);
    if (!state_header_known (*spec, &parameter))
        return false;
    bool in_state = parameter == PARAMETER_STATE_K || parameter == PARAMETER_STATE_DURATION;
    if (!in_state)
        spec->param = 0;
    return (!in_state || spec->param >= 1) && state_spec_check (*spec, &error) == STATUS_OK;
}

/* Appends the bytes of a state. */
static inline void state_header_write (state_spec_t spec, buf_t *out)
{
    buf_put_u8 (out, (uint8_t)spec.kind);
    buf_put_u8 (
        out, (uint8_t)(type_family (spec.input) + STATE_HEADER_TYPES * type_family (spec.second)));
    buf_put_u8 (out, (uint8_t)type_family (spec.by));
    buf_put_u16 (out, spec.rows);
    buf_put_i64 (out, spec.param);
}

#endif
