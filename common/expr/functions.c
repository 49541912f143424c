/* The functions of functions.h by their names. */
#include "expr/tree.h"

#include <strings.h>

enum { LENIENT, STRICT };

static const function_t functions[] = {
#define X(name, arguments, signature, nulls)                                                       \
    { #name, arguments, signature, nulls == STRICT, call_##name },
    FUNCTION_TABLE (X)
#undef X
};

enum { FUNCTIONS = sizeof functions / sizeof *functions };

static bool is_word (text_t name, const char *word)
{
    return strlen (word) == name.size && strncasecmp (word, name.data, name.size) == 0;
}

/* Alias and name, or name and what to write, one after the other. */
static const char *find_other (const char *const (*pairs)[2], size_t count, text_t name)
{
    for (size_t i = 0; i < count; i++) {
        if (is_word (name, pairs[i][0]))
            return pairs[i][1];
    }
    return NULL;
}

const function_t *function_find (text_t name)
{
    static const char *const aliases[][2] = {
#define X(alias, name) { #alias, #name },
        ALIAS_TABLE (X)
#undef X
    };
    const char *other = find_other (aliases, sizeof aliases / sizeof *aliases, name);
    if (other != NULL)
        name = text_of (other);
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if (is_word (name, functions[i].name))
            return &functions[i];
    }
    return NULL;
}

const char *function_hint (text_t name)
{
    static const char *const hints[][2] = {
#define X(name, hint) { #name, hint },
        HINT_TABLE (X)
#undef X
    };
    return find_other (hints, sizeof hints / sizeof *hints, name);
}

const char *const *function_names (size_t *count)
{
    static const char *const names[] = {
#define X(name, arguments, signature, nulls) #name,
        FUNCTION_TABLE (X)
#undef X
            "cast",
    };
    *count = sizeof names / sizeof *names;
    return names;
}
