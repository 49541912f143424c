#include "aggregate/aggregate.h"

#include "base/check.h"

static const aggregate_info_t INFO[AGGREGATE_COUNT_OF] = {
#define X(word, name, state, inputs, second, output, parameter)                                    \
    [AGGREGATE_##                                                                                  \
        name] = { word, STATE_##state, inputs, second, TYPE_##output, PARAMETER_##parameter },
    AGGREGATE_TABLE (X)
#undef X
};

static const char *const WORDS[] = {
#define X(word, name, state, inputs, second, output, parameter) word,
    AGGREGATE_TABLE (X)
#undef X
};

static const struct alias {
    const char *word;
    aggregate_t aggregate;
} ALIASES[] = {
#define X(word, name) { word, AGGREGATE_##name },
    AGGREGATE_ALIAS_TABLE (X)
#undef X
};

const aggregate_info_t *aggregate_info (aggregate_t aggregate)
{
    CHECK (aggregate > AGGREGATE_NONE);
    CHECK (aggregate < AGGREGATE_COUNT_OF);
    return &INFO[aggregate];
}

aggregate_t aggregate_from_word (text_t word)
{
    for (unsigned i = AGGREGATE_NONE + 1; i < AGGREGATE_COUNT_OF; i++)
        if (text_is (word, INFO[i].word))
            return (aggregate_t)i;
    for (size_t i = 0; i < sizeof ALIASES / sizeof *ALIASES; i++)
        if (text_is (word, ALIASES[i].word))
            return ALIASES[i].aggregate;
    return AGGREGATE_NONE;
}

static bool has_type (unsigned types, type_t type)
{
    return type == TYPE_NONE ? types == 0 : (types & type_bit (type)) != 0;
}

bool aggregate_takes (aggregate_t aggregate, type_t input, type_t second)
{
    const aggregate_info_t *info = aggregate_info (aggregate);
    bool of_rows = info->state == STATE_COUNT && input == TYPE_NONE;
    return (of_rows || has_type (info->inputs, input)) && has_type (info->second, second);
}

const char *const *aggregate_words (size_t *count)
{
    *count = sizeof WORDS / sizeof *WORDS;
    return WORDS;
}

state_spec_t aggregate_spec (aggregate_t aggregate, type_t input, type_t second, int64_t parameter)
{
    static const bool in_state[] = {
#define X(name, words, in_state) [PARAMETER_##name] = in_state,
        PARAMETER_TABLE (X)
#undef X
    };
    const aggregate_info_t *info = aggregate_info (aggregate);
    return (state_spec_t){
        .kind = info->state,
        .input = input,
        .second = second,
        .param = in_state[info->parameter] ? parameter : 0,
    };
}

bool state_spec_equal (state_spec_t a, state_spec_t b)
{
    return a.kind == b.kind && a.input == b.input && a.second == b.second && a.by == b.by &&
           a.rows == b.rows && a.param == b.param;
}
