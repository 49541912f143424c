#include "aggregate/aggregate.h"

#include "base/check.h"

static const aggregate_info_t INFO[AGGREGATE_COUNT_OF] = {
#define X(word, name, state, inputs, output)                                                       \
    [AGGREGATE_##name] = { word, STATE_##state, inputs, TYPE_##output },
    AGGREGATE_TABLE (X)
#undef X
};

static const char *const WORDS[] = {
#define X(word, name, state, inputs, output) word,
    AGGREGATE_TABLE (X)
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
    return AGGREGATE_NONE;
}

const char *const *aggregate_words (size_t *count)
{
    *count = sizeof WORDS / sizeof *WORDS;
    return WORDS;
}
