/* service_encode.c - `encode` of a feature: its categories, which are to be fitted, or have been.
 */
#include "feature/definition_read.h"

#include "base/number.h"

#include <inttypes.h>
#include <stdlib.h>

static encode_kind_t encode_of (text_t word)
{
    return text_is (word, "one_hot")   ? ENCODE_ONE_HOT
           : text_is (word, "ordinal") ? ENCODE_ORDINAL
                                       : ENCODE_NONE;
}

/* A text as a value of the feature's type; false with a mistake. */
static bool read_category (definition_reader_t *reader, const tree_node_t *node, type_t type,
                           value_t *value)
{
    mistakes_t *mistakes = &reader->mistakes;
    bool good = node->kind == TREE_TEXT && !tree_is_empty (node);
    *value = (value_t){ .type = type };
    if (good && type == TYPE_STRING) {
        const char *refusal = category_refusal (node->text);
        if (refusal != NULL) {
            tree_mistake (mistakes, node, "%s", refusal);
            return false;
        }
        value->s = arena_text (reader->out->arena, node->text);
        return true;
    }
    if (good && type == TYPE_BOOL) {
        value->i = text_is (node->text, "true");
        good = value->i != 0 || text_is (node->text, "false");
    } else if (good) {
        good = number_parse_int (node->text, &value->i);
    }
    if (!good)
        tree_mistake (mistakes, node, "expected a value of the feature's type, %s",
                      type_word (type));
    return good;
}

static int compare (const void *a, const void *b)
{
    return value_compare (a, b);
}

static void read_categories (definition_reader_t *reader, const tree_node_t *node, type_t type,
                             preprocess_t *out)
{
    mistakes_t *mistakes = &reader->mistakes;
    if (node->kind != TREE_LIST || node->count == 0 || node->count > CATEGORIES_MAX) {
        tree_mistake (mistakes, node, "expected a list of categories (1 to %d)", CATEGORIES_MAX);
        return;
    }
    value_t *categories = arena_zero (reader->out->arena, node->count, sizeof *categories);
    size_t count = 0;
    for (const tree_node_t *item = node->first; item != NULL; item = item->next) {
        if (!read_category (reader, item, type, &categories[count++]))
            return;
    }
    qsort (categories, count, sizeof *categories, compare);
    for (size_t i = 1; i < count; i++) {
        if (value_compare (&categories[i - 1], &categories[i]) != 0)
            continue;
        tree_mistake (mistakes, node, "a category is listed twice");
        return;
    }
    out->categories = categories;
    out->categories_count = count;
}

void preprocess_read_encode (definition_reader_t *reader, const tree_node_t *steps,
                             const service_feature_t *feature, preprocess_t *out)
{
    static const char *const words[] = { "one_hot", "ordinal" };
    mistakes_t *mistakes = &reader->mistakes;
    type_t type = feature->type.type;
    const tree_node_t *node = tree_get (steps, "encode");
    const tree_node_t *impute = tree_get (steps, "impute");
    bool is_list = node->kind == TREE_MAP && node->count == 1;
    char nearest[SUGGESTION_MAX];
    if (type != TYPE_STRING && type != TYPE_BOOL && type != TYPE_INT64) {
        tree_mistake (mistakes, node, "'%s' is a %s; what is encoded is a string, bool or int64",
                      feature->name, type_word (type));
        return;
    }
    if (tree_get (steps, "clip") != NULL || tree_get (steps, "scale") != NULL) {
        tree_mistake (mistakes, node, "what is encoded is not clipped and not scaled");
        return;
    }
    const tree_node_t *word = is_list ? node->first : node;
    if (word->kind == TREE_TEXT)
        out->encode = encode_of (word->text);
    if (out->encode == ENCODE_NONE) {
        tree_mistake (mistakes, word, "`encode` is one_hot or ordinal%s",
                      word->kind == TREE_TEXT ? suggestion (word->text, words, 2, nearest) : "");
        return;
    }
    if (is_list)
        read_categories (reader, word->value, type, out);
    if (impute == NULL)
        return;
    out->impute = IMPUTE_VALUE;
    out->has_impute = read_category (reader, impute, type, &out->imputed);
}
