#include "feature/version.h"

#include "base/check.h"
#include "base/number.h"

#include <string.h>

static const char *const words[] = {
#define X(name, word) [VERSION_##name] = word,
    VERSION_STATE_TABLE (X)
#undef X
};

const char *version_state_word (version_state_t state)
{
    CHECK ((size_t)state < sizeof words / sizeof words[0]);
    return words[state];
}

version_state_t version_state_of (text_t word)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (text_is (word, words[i]))
            return (version_state_t)i;
    return VERSION_ACTIVE;
}

bool version_reference (text_t reference, text_t *name, uint32_t *version)
{
    const char *at = reference.size > 0 ? memchr (reference.data, '@', reference.size) : NULL;
    int64_t value = 0;
    *name = reference;
    *version = 0;
    if (at == NULL)
        return true;
    name->size = (uint32_t)(at - reference.data);
    if (reference.size < name->size + 3 || at[1] != 'v')
        return false;
    text_t number = { .data = at + 2, .size = reference.size - name->size - 2 };
    if (!number_parse_int (number, &value) || value < 1 || value > INT32_MAX)
        return false;
    *version = (uint32_t)value;
    return true;
}
