/* state_header.h - how a sample of the partial's fuzz entry point says which state it is of: a byte
 * for the kind, one for the types of the inputs and which of some parameters. */
#ifndef WEIR_TESTS_FUZZ_STATE_HEADER_H
#define WEIR_TESTS_FUZZ_STATE_HEADER_H

#include "aggregate/aggregate.h"
#include "base/timestamp.h"

enum { STATE_HEADER = 2, STATE_HEADER_TYPES = 8, STATE_HEADER_PARAMETERS = 4 };

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

/* False when the two bytes are of no state. */
static inline bool state_header_read (const uint8_t *data, state_spec_t *spec)
{
    static const int64_t durations[] = { TIME_DAY, 1, 3, TIME_HOUR }, counts[] = { 1, 3, 20, 1000 };
    *spec = (state_spec_t){ .kind = (state_kind_t)data[0],
                            .input = (type_t)(data[1] % STATE_HEADER_TYPES),
                            .second = (type_t)(data[1] / STATE_HEADER_TYPES % STATE_HEADER_TYPES) };
    unsigned which = data[1] / (STATE_HEADER_TYPES * STATE_HEADER_TYPES);
    parameter_kind_t parameter;
    if (!state_header_known (*spec, &parameter))
        return false;
    spec->param = parameter == PARAMETER_STATE_DURATION ? durations[which]
                  : parameter == PARAMETER_STATE_K      ? counts[which]
                                                        : 0;
    return true;
}

/* The two bytes of a state with the `which`th parameter. */
static inline void state_header_write (uint8_t *data, state_spec_t spec, unsigned which)
{
    data[0] = (uint8_t)spec.kind;
    data[1] =
        (uint8_t)(spec.input + STATE_HEADER_TYPES * (spec.second + STATE_HEADER_TYPES * which));
}

#endif
