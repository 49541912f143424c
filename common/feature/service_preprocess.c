/* service_preprocess.c - `preprocess` of a service: what becomes of its features before a model
 * gets them, with numbers that are given, or to be fitted, or have been; and `fitted`, to what. */
#include "feature/definition_read.h"

#include "base/number.h"

#include <math.h>

enum { HASH_DIGITS = 64 }; /* of a SHA-256 */

/* False with a mistake. `example` shows how it is written. */
static bool read_number (mistakes_t *mistakes, const tree_node_t *node, const char *example,
                         double *number)
{
    if (node->kind == TREE_TEXT && number_parse_float (node->text, number) && isfinite (*number)) {
        *number = value_float (*number);
        return true;
    }
    text_t shown = mistake_shown (node->text);
    if (node->kind == TREE_TEXT)
        tree_mistake (mistakes, node, "'" TEXT_FORMAT "' is no number; write %s", TEXT_ARGS (shown),
                      example);
    else
        tree_mistake (mistakes, node, "expected a number, as in %s", example);
    return false;
}

/* ---- impute ---- */

static impute_kind_t impute_of (text_t word)
{
    return text_is (word, "median") ? IMPUTE_MEDIAN
           : text_is (word, "mean") ? IMPUTE_MEAN
                                    : IMPUTE_NONE;
}

static void read_impute (mistakes_t *mistakes, const tree_node_t *node, preprocess_t *out)
{
    static const char example[] = "impute: 0, impute: median or impute: mean";
    const tree_node_t *number = node;
    out->impute = IMPUTE_VALUE;
    if (node->kind == TREE_TEXT && impute_of (node->text) != IMPUTE_NONE) {
        out->impute = impute_of (node->text);
        return;
    }
    if (node->kind == TREE_MAP && node->count == 1 &&
        impute_of (node->first->text) != IMPUTE_NONE) {
        out->impute = impute_of (node->first->text);
        number = node->first->value;
    }
    out->imputed.type = TYPE_FLOAT64;
    out->has_impute = read_number (mistakes, number, example, &out->imputed.f);
}

/* ---- clip ---- */

static void read_clip (mistakes_t *mistakes, const tree_node_t *node, preprocess_t *out)
{
    static const char example[] = "clip: [0, 100]";
    if (node->kind != TREE_LIST || node->count != 2) {
        tree_mistake (mistakes, node, "`clip` takes the least and the greatest, as in %s", example);
        return;
    }
    if (!read_number (mistakes, node->first, example, &out->least) ||
        !read_number (mistakes, node->first->next, example, &out->greatest))
        return;
    out->clips = out->least <= out->greatest;
    if (!out->clips)
        tree_mistake (mistakes, node, "`clip`: the least comes first");
}

/* ---- scale ---- */

static const char scale_example[] = "scale: {mean: 35, stddev: 10}";

static scale_kind_t scale_of (text_t word)
{
    for (int kind = SCALE_STANDARD; kind <= SCALE_ROBUST; kind++) {
        if (text_is (word, scale_word ((scale_kind_t)kind)))
            return (scale_kind_t)kind;
    }
    return SCALE_NONE;
}

/* Which kind has numbers of these names. */
static scale_kind_t scale_with (const tree_node_t *node)
{
    for (int kind = SCALE_STANDARD; node->count == 2 && kind <= SCALE_ROBUST; kind++) {
        const char *const *words = scale_words ((scale_kind_t)kind);
        if (tree_get (node, words[0]) != NULL && tree_get (node, words[1]) != NULL)
            return (scale_kind_t)kind;
    }
    return SCALE_NONE;
}

/* Of those that are fitted the spread may be none: all were the same then. */
static void read_scale_numbers (mistakes_t *mistakes, const tree_node_t *node, preprocess_t *out)
{
    const char *const *words = scale_words (out->scale);
    for (size_t i = 0; i < 2; i++) {
        if (!read_number (mistakes, tree_get (node, words[i]), scale_example, &out->scaled_by[i]))
            return;
    }
    double least = out->scale == SCALE_MINMAX ? out->scaled_by[0] : 0;
    out->has_scale = out->scaled_by[1] > least;
    if (!out->scale_is_given)
        out->has_scale = out->scaled_by[1] >= least;
    if (out->has_scale && out->scale == SCALE_MINMAX)
        out->has_scale = isfinite (out->scaled_by[1] - out->scaled_by[0]);
    if (!out->has_scale)
        tree_mistake (mistakes, node, "`scale`: %s must be above %s, and not too far", words[1],
                      out->scale == SCALE_MINMAX ? words[0] : "0");
}

static void read_scale_word (mistakes_t *mistakes, const tree_node_t *node, preprocess_t *out)
{
    static const char *const words[] = { "standard", "minmax", "robust" };
    char nearest[SUGGESTION_MAX];
    text_t shown = mistake_shown (node->text);
    out->scale = scale_of (node->text);
    if (out->scale == SCALE_NONE)
        tree_mistake (mistakes, node,
                      "`scale` is standard, minmax or robust, or two numbers, as in %s; not "
                      "'" TEXT_FORMAT "'%s",
                      scale_example, TEXT_ARGS (shown), suggestion (node->text, words, 3, nearest));
}

static void read_scale (mistakes_t *mistakes, const tree_node_t *node, preprocess_t *out)
{
    if (node->kind == TREE_TEXT) {
        read_scale_word (mistakes, node, out);
        return;
    }
    if (node->kind == TREE_MAP && node->count == 1) {
        out->scale = scale_of (node->first->text);
        node = node->first->value;
        if (out->scale != SCALE_NONE && node->kind == TREE_MAP && scale_with (node) == out->scale) {
            read_scale_numbers (mistakes, node, out);
            return;
        }
    } else if (node->kind == TREE_MAP && scale_with (node) != SCALE_NONE) {
        out->scale = scale_with (node);
        out->scale_is_given = true;
        read_scale_numbers (mistakes, node, out);
        return;
    }
    tree_mistake (mistakes, node,
                  "`scale` takes mean and stddev, min and max, or median and iqr, as in %s; or "
                  "standard, minmax or robust, of which `weir fit` finds the numbers",
                  scale_example);
}

/* ---- all steps of a feature ---- */

static bool is_number (type_t type)
{
    return type == TYPE_INT64 || type == TYPE_FLOAT64 || type_is_decimal (type);
}

static bool is_category (type_t type)
{
    return type == TYPE_STRING || type == TYPE_BOOL || type == TYPE_INT64;
}

static void read_steps (mistakes_t *mistakes, const tree_node_t *node, preprocess_t *out)
{
    const tree_node_t *step = tree_get (node, "impute");
    if (step != NULL)
        read_impute (mistakes, step, out);
    if ((step = tree_get (node, "clip")) != NULL)
        read_clip (mistakes, step, out);
    if ((step = tree_get (node, "scale")) != NULL)
        read_scale (mistakes, step, out);
    if (node->count == 0)
        tree_mistake (mistakes, node,
                      "this does nothing; it takes impute, clip and scale, or "
                      "encode");
}

static service_feature_t *find_feature (mistakes_t *mistakes, const tree_node_t *key,
                                        service_t *service)
{
    const char *names[FEATURES_MAX];
    char nearest[SUGGESTION_MAX];
    text_t shown = mistake_shown (key->text);
    for (size_t i = 0; i < service->features_count; i++) {
        names[i] = service->features[i].name;
        if (text_is (key->text, names[i]))
            return &service->features[i];
    }
    tree_mistake (mistakes, key, "'" TEXT_FORMAT "' is not among the service's `features`%s",
                  TEXT_ARGS (shown),
                  suggestion (key->text, names, service->features_count, nearest));
    return NULL;
}

static void read_entry (definition_reader_t *reader, const tree_node_t *key, service_t *service)
{
    static const char *const known[] = { "impute", "clip", "scale", "encode", NULL };
    static const tree_keys_t keys = { "what is preprocessed", known, NULL };
    mistakes_t *mistakes = &reader->mistakes;
    service_feature_t *feature = find_feature (mistakes, key, service);
    if (feature == NULL)
        return;
    type_t type = feature->type.type;
    if (!is_number (type) && !is_category (type)) {
        tree_mistake (mistakes, key,
                      "'%s' is a %s: numbers are preprocessed, and string, bool and int64 encoded",
                      feature->name, type_word (type));
        return;
    }
    if (feature->default_text != NULL) {
        tree_mistake (mistakes, key, "'%s' has a default as well; write it here, as in impute: %s",
                      feature->name, feature->default_text);
        return;
    }
    if (!tree_check_keys (mistakes, key->value, &keys))
        return;
    if (tree_get (key->value, "encode") != NULL)
        preprocess_read_encode (reader, key->value, feature, &feature->preprocess);
    else if (is_number (type))
        read_steps (mistakes, key->value, &feature->preprocess);
    else
        tree_mistake (mistakes, key, "'%s' is a %s; it takes encode, as in encode: one_hot",
                      feature->name, type_word (type));
    feature->is_preprocessed = true;
}

/* ---- what they are fitted to ---- */

static bool has_fitted (const service_t *service)
{
    for (size_t i = 0; i < service->features_count; i++) {
        if (preprocess_has_fitted (&service->features[i].preprocess))
            return true;
    }
    return false;
}

static bool is_hash (const tree_node_t *node)
{
    bool good = node != NULL && node->kind == TREE_TEXT && node->text.size == HASH_DIGITS;
    for (uint32_t i = 0; good && i < HASH_DIGITS; i++) {
        char c = node->text.data[i];
        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }
    return good;
}

static void read_fitted (definition_reader_t *reader, const tree_node_t *node, service_t *service)
{
    static const char *const known[] = { "on", "rows", NULL };
    static const tree_keys_t keys = { "`fitted`", known, NULL };
    mistakes_t *mistakes = &reader->mistakes;
    int64_t rows;
    if (!tree_check_keys (mistakes, node, &keys))
        return;
    const tree_node_t *on = tree_get (node, "on");
    const tree_node_t *count = tree_get (node, "rows");
    if (!is_hash (on) || count == NULL) {
        tree_mistake (mistakes, on != NULL ? on : node,
                      "`fitted` has `on`, the SHA-256 of a training set as %d small hexadecimal "
                      "digits, and `rows`",
                      HASH_DIGITS);
        return;
    }
    if (!tree_read_integer (mistakes, count, "rows", 1, INT64_MAX, &rows))
        return;
    if (!has_fitted (service)) {
        tree_mistake (mistakes, node,
                      "no feature has numbers that were fitted, so that `fitted` "
                      "says nothing; leave it out");
        return;
    }
    service->fitted_on = arena_string (reader->out->arena, on->text);
    service->fitted_rows = (uint64_t)rows;
}

void service_read_preprocess (definition_reader_t *reader, const tree_node_t *body,
                              service_t *service)
{
    const tree_node_t *node = tree_get (body, "preprocess");
    const tree_node_t *fitted = tree_get (body, "fitted");
    if (node != NULL && tree_check_map (&reader->mistakes, node,
                                        "features of the service, and what becomes of them")) {
        for (const tree_node_t *key = node->first; key != NULL; key = key->next)
            read_entry (reader, key, service);
    }
    if (fitted != NULL)
        read_fitted (reader, fitted, service);
}
