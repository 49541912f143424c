#include "feature/tree_check.h"

#include "base/check.h"
#include "base/number.h"
#include "expr/expr.h"

#include <stdarg.h>
#include <stdio.h>

void tree_mistake (mistakes_t *mistakes, const tree_node_t *node, const char *format, ...)
{
    char text[MISTAKE_TEXT_MAX];
    va_list args;
    va_start (args, format);
    (void)vsnprintf (text, sizeof text, format, args);
    va_end (args);
    mistakes_add (mistakes, tree_place (node), STATUS_INVALID, "%s", text);
}

void tree_unsupported (mistakes_t *mistakes, const tree_node_t *node, const char *what)
{
    mistakes_add (mistakes, tree_place (node), STATUS_UNSUPPORTED,
                  "this version does not support %s", what);
}

const char *suggestion (text_t word, const char *const *candidates, size_t count, char *out)
{
    char string[NAME_MAX_SIZE + 1];
    out[0] = '\0';
    if (word.size == 0 || word.size > NAME_MAX_SIZE)
        return out;
    memcpy (string, word.data, word.size);
    string[word.size] = '\0';
    const char *nearest = text_nearest (string, candidates, count);
    if (nearest != NULL)
        (void)snprintf (out, SUGGESTION_MAX, "; did you mean '%s'?", nearest);
    return out;
}

static const char *kind_word (const tree_node_t *node)
{
    if (node->kind == TREE_MAP)
        return "a mapping";
    if (node->kind == TREE_LIST)
        return "a list";
    return tree_is_empty (node) ? "nothing" : "a text";
}

bool tree_check_map (mistakes_t *mistakes, const tree_node_t *node, const char *what)
{
    if (node->kind == TREE_MAP)
        return true;
    tree_mistake (mistakes, node, "expected %s (a mapping), found %s", what, kind_word (node));
    return false;
}

static bool is_listed (text_t word, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++) {
        if (text_is (word, *list))
            return true;
    }
    return false;
}

static void refuse_key (mistakes_t *mistakes, const tree_node_t *key, const tree_keys_t *keys)
{
    text_t shown = mistake_shown (key->text);
    size_t count = 0;
    while (keys->known[count] != NULL)
        count++;
    char nearest[SUGGESTION_MAX];
    suggestion (key->text, keys->known, count, nearest);
    if (nearest[0] != '\0') {
        tree_mistake (mistakes, key, "unknown key '" TEXT_FORMAT "' in %s%s", TEXT_ARGS (shown),
                      keys->what, nearest);
        return;
    }
    char all[MISTAKE_TEXT_MAX / 2] = "";
    size_t size = 0;
    for (size_t i = 0; i < count && size < sizeof all; i++)
        size += (size_t)snprintf (all + size, sizeof all - size, "%s%s", i > 0 ? ", " : "",
                                  keys->known[i]);
    tree_mistake (mistakes, key, "unknown key '" TEXT_FORMAT "' in %s; it takes %s",
                  TEXT_ARGS (shown), keys->what, all);
}

bool tree_check_keys (mistakes_t *mistakes, const tree_node_t *node, const tree_keys_t *keys)
{
    if (!tree_check_map (mistakes, node, keys->what))
        return false;
    for (const tree_node_t *key = node->first; key != NULL; key = key->next) {
        if (is_listed (key->text, keys->known))
            continue;
        if (is_listed (key->text, keys->unsupported)) {
            char what[2 * NAME_MAX_SIZE];
            (void)snprintf (what, sizeof what, "`" TEXT_FORMAT "` in %s", TEXT_ARGS (key->text),
                            keys->what);
            tree_unsupported (mistakes, key, what);
            continue;
        }
        refuse_key (mistakes, key, keys);
    }
    return true;
}

bool tree_check_text (mistakes_t *mistakes, const tree_node_t *node, const char *what)
{
    if (node->kind == TREE_TEXT && node->text.size > 0)
        return true;
    tree_mistake (mistakes, node, "expected %s, found %s", what,
                  node->kind == TREE_TEXT ? "nothing" : kind_word (node));
    return false;
}

bool tree_check_texts (mistakes_t *mistakes, const tree_node_t *node, const char *what,
                       const tree_node_t **texts, size_t max, size_t *count)
{
    *count = 0;
    if (node->kind != TREE_LIST) {
        if (!tree_check_text (mistakes, node, what))
            return false;
        texts[(*count)++] = node;
        return true;
    }
    for (const tree_node_t *item = node->first; item != NULL; item = item->next) {
        if (!tree_check_text (mistakes, item, what))
            return false;
        if (*count == max) {
            tree_mistake (mistakes, item, "the list is too long (at most %zu)", max);
            return false;
        }
        texts[(*count)++] = item;
    }
    return true;
}

static bool is_letter (char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_identifier (text_t text)
{
    if (text.size == 0 || !is_letter (text.data[0]))
        return false;
    for (uint32_t i = 1; i < text.size; i++) {
        char c = text.data[i];
        if (!is_letter (c) && c != '_' && !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

static bool has_double_underscore (text_t text)
{
    for (uint32_t i = 1; i < text.size; i++) {
        if (text.data[i] == '_' && text.data[i - 1] == '_')
            return true;
    }
    return false;
}

bool tree_check_name (mistakes_t *mistakes, const tree_node_t *node, const char *what)
{
    if (!tree_check_text (mistakes, node, what))
        return false;
    text_t shown = mistake_shown (node->text);
    if (!is_identifier (node->text))
        tree_mistake (mistakes, node,
                      "'" TEXT_FORMAT "' cannot be %s; names are letters, digits and _, and begin "
                      "with a letter",
                      TEXT_ARGS (shown), what);
    else if (has_double_underscore (node->text))
        tree_mistake (mistakes, node, "'" TEXT_FORMAT "' cannot be %s; names have no __",
                      TEXT_ARGS (shown), what);
    else if (node->text.size > NAME_MAX_SIZE)
        tree_mistake (mistakes, node, "'" TEXT_FORMAT "…' is too long for %s; at most %d letters",
                      TEXT_ARGS (shown), what, NAME_MAX_SIZE);
    else if (expr_is_keyword (node->text))
        tree_mistake (mistakes, node, "'" TEXT_FORMAT "' is a reserved word; it cannot be %s",
                      TEXT_ARGS (shown), what);
    else
        return true;
    return false;
}

bool tree_read_bool (mistakes_t *mistakes, const tree_node_t *node, const char *what, bool *value)
{
    if (!tree_check_text (mistakes, node, what))
        return false;
    *value = text_is (node->text, "true");
    if (*value || text_is (node->text, "false"))
        return true;
    text_t shown = mistake_shown (node->text);
    tree_mistake (mistakes, node, "`%s` must be true or false, not '" TEXT_FORMAT "'", what,
                  TEXT_ARGS (shown));
    return false;
}

bool tree_read_duration (mistakes_t *mistakes, const tree_node_t *node, const char *what,
                         int64_t least, int64_t most, int64_t *value)
{
    if (!tree_check_text (mistakes, node, what))
        return false;
    error_t error;
    text_t shown = mistake_shown (node->text);
    if (duration_parse (node->text, value, &error) != STATUS_OK) {
        tree_mistake (mistakes, node,
                      "`%s` must be a duration such as 90s, 10m or 7d, not '" TEXT_FORMAT "'", what,
                      TEXT_ARGS (shown));
        return false;
    }
    if (*value >= least && *value <= most)
        return true;
    buf_t limits;
    buf_init (&limits, 128);
    duration_format (&limits, least);
    buf_put_string (&limits, " to ");
    duration_format (&limits, most);
    tree_mistake (mistakes, node, "`%s` is '" TEXT_FORMAT "'; it must be %s", what,
                  TEXT_ARGS (shown), buf_string (&limits));
    buf_release (&limits);
    return false;
}

bool tree_read_integer (mistakes_t *mistakes, const tree_node_t *node, const char *what,
                        int64_t least, int64_t most, int64_t *value)
{
    if (!tree_check_text (mistakes, node, what))
        return false;
    if (number_parse_int (node->text, value) && *value >= least && *value <= most)
        return true;
    text_t shown = mistake_shown (node->text);
    tree_mistake (mistakes, node,
                  "`%s` must be a whole number from %lld to %lld, not '" TEXT_FORMAT "'", what,
                  (long long)least, (long long)most, TEXT_ARGS (shown));
    return false;
}

/* 64MiB as bytes; false when it is not a size. */
static bool parse_size (text_t text, uint64_t *value)
{
    static const struct {
        const char *word;
        uint64_t bytes;
    } units[] = { { "B", 1 },
                  { "KiB", UINT64_C (1) << 10 },
                  { "MiB", UINT64_C (1) << 20 },
                  { "GiB", UINT64_C (1) << 30 },
                  { "TiB", UINT64_C (1) << 40 } };
    uint32_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    int64_t number;
    if (!number_parse_int ((text_t){ text.data, digits }, &number))
        return false;
    text_t unit = { text.data + digits, text.size - digits };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (text_is (unit, units[i].word))
            return !__builtin_mul_overflow ((uint64_t)number, units[i].bytes, value);
    }
    return false;
}

bool tree_read_size (mistakes_t *mistakes, const tree_node_t *node, const char *what,
                     uint64_t least, uint64_t most, uint64_t *value)
{
    if (!tree_check_text (mistakes, node, what))
        return false;
    text_t shown = mistake_shown (node->text);
    if (!parse_size (node->text, value)) {
        tree_mistake (mistakes, node,
                      "`%s` must be a size such as 512MiB or 2GiB, not '" TEXT_FORMAT "'", what,
                      TEXT_ARGS (shown));
        return false;
    }
    if (*value >= least && *value <= most)
        return true;
    tree_mistake (mistakes, node, "`%s` is '" TEXT_FORMAT "'; it must be %lluMiB to %lluMiB", what,
                  TEXT_ARGS (shown), (unsigned long long)(least >> 20),
                  (unsigned long long)(most >> 20));
    return false;
}
