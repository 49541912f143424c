#include "client/cli/options.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 64 };

typedef struct parsing {
    const option_spec_t *specs;
    size_t count;
    const char **words;
    size_t words_count;
    size_t at; /* the next word */
} parsing_t;

static status_t unknown (const parsing_t *parsing, const char *name, size_t size, error_t *error)
{
    char word[64];
    const char *names[NAMES_MAX];
    size_t count = 0;
    snprintf (word, sizeof word, "%.*s", (int)size, name);
    for (size_t i = 0; i < parsing->count && count < NAMES_MAX; i++)
        names[count++] = parsing->specs[i].name;
    const char *nearest = text_nearest (word, names, count);
    return error_set (error, STATUS_INVALID, "there is no option --%s%s%s%s", word,
                      nearest ? "; did you mean --" : "", nearest ? nearest : "",
                      nearest ? "?" : "");
}

static bool may_repeat (const option_spec_t *spec)
{
    size_t size = strlen (spec->value);
    return size > 3 && strcmp (spec->value + size - 3, "...") == 0;
}

/* `given` is the value that stands in the same word, or NULL. */
static status_t take (parsing_t *parsing, const option_spec_t *spec, const char *given,
                      error_t *error)
{
    if (!spec->value) {
        if (given)
            return error_set (error, STATUS_INVALID, "--%s takes no value", spec->name);
        *spec->flag = true;
        return STATUS_OK;
    }
    if (!given) {
        if (parsing->at == parsing->words_count)
            return error_set (error, STATUS_INVALID, "--%s needs a value: %s", spec->name,
                              spec->value);
        given = parsing->words[parsing->at++];
    }
    size_t place = 0;
    while (may_repeat (spec) && spec->text[place])
        place++;
    if (place == OPTION_WORDS_MAX)
        return error_set (error, STATUS_INVALID, "--%s is given too often (at most %d times)",
                          spec->name, OPTION_WORDS_MAX);
    spec->text[place] = given;
    return STATUS_OK;
}

static status_t take_long (parsing_t *parsing, const char *name, error_t *error)
{
    size_t size = strcspn (name, "=");
    const char *given = name[size] == '=' ? name + size + 1 : NULL;
    for (size_t i = 0; i < parsing->count; i++) {
        const option_spec_t *spec = &parsing->specs[i];
        if (strlen (spec->name) == size && memcmp (spec->name, name, size) == 0)
            return take (parsing, spec, given, error);
    }
    return unknown (parsing, name, size, error);
}

static status_t take_letters (parsing_t *parsing, const char *letters, error_t *error)
{
    for (; *letters; letters++) {
        const option_spec_t *spec = NULL;
        for (size_t i = 0; i < parsing->count && !spec; i++)
            if (parsing->specs[i].letter == *letters)
                spec = &parsing->specs[i];
        if (!spec)
            return error_set (error, STATUS_INVALID, "there is no option -%c", *letters);
        if (spec->value)
            return take (parsing, spec, letters[1] ? letters + 1 : NULL, error);
        *spec->flag = true;
    }
    return STATUS_OK;
}

status_t options_parse (const option_spec_t *specs, size_t count, const char **words,
                        size_t words_count, size_t *operands, error_t *error)
{
    parsing_t parsing = {
        .specs = specs, .count = count, .words = words, .words_count = words_count
    };
    bool ended = false;
    status_t status = STATUS_OK;
    *operands = 0;
    while (status == STATUS_OK && parsing.at < words_count) {
        const char *word = words[parsing.at++];
        if (ended || word[0] != '-' || word[1] == '\0')
            words[(*operands)++] = word;
        else if (strcmp (word, "--") == 0)
            ended = true;
        else if (word[1] == '-')
            status = take_long (&parsing, word + 2, error);
        else
            status = take_letters (&parsing, word + 1, error);
    }
    return status;
}
