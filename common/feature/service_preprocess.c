/* service_preprocess.c - `preprocess` of a service: what becomes of a number before a model gets
 * it, with numbers that are given. It becomes an expression, as all else that is computed. */
#include "feature/definition_read.h"

#include "base/number.h"

#include <math.h>

/* What a scale is given by, and what is subtracted and divided by. */
static const char *const scales[][2] = { { "mean", "stddev" },
                                         { "min", "max" },
                                         { "median", "iqr" } };

enum { SCALES = sizeof scales / sizeof *scales, SCALE_MIN_MAX = 1 };

/* What only fitting a training set would give. */
static bool is_fitted (text_t word)
{
    static const char *const words[] = { "mean",   "median", "standard", "minmax",
                                         "robust", "mode",   "constant" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (text_is (word, words[i]))
            return true;
    }
    return false;
}

/* False with a mistake. `example` shows how it is written. */
static bool read_number (mistakes_t *mistakes, const tree_node_t *node, const char *example,
                         double *number)
{
    if (node->kind == TREE_TEXT && is_fitted (node->text)) {
        mistakes_add (mistakes, tree_place (node), STATUS_UNSUPPORTED,
                      "this version does not support numbers that are fitted; give them, as in %s",
                      example);
        return false;
    }
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

static void read_scale (mistakes_t *mistakes, const tree_node_t *node, preprocess_t *out)
{
    static const char example[] = "scale: {mean: 35, stddev: 10}";
    double given[2];
    size_t kind = 0;
    if (node->kind != TREE_MAP) {
        if (!read_number (mistakes, node, example, &given[0]))
            return;
        tree_mistake (mistakes, node, "`scale` takes two numbers, as in %s", example);
        return;
    }
    while (kind < SCALES && (node->count != 2 || tree_get (node, scales[kind][0]) == NULL ||
                             tree_get (node, scales[kind][1]) == NULL))
        kind++;
    if (kind == SCALES) {
        tree_mistake (mistakes, node,
                      "`scale` takes mean and stddev, min and max, or median and iqr, as in %s",
                      example);
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        if (!read_number (mistakes, tree_get (node, scales[kind][i]), example, &given[i]))
            return;
    }
    if (kind == SCALE_MIN_MAX ? given[1] <= given[0] : given[1] <= 0) {
        tree_mistake (mistakes, node, "`scale`: %s must be above %s", scales[kind][1],
                      kind == SCALE_MIN_MAX ? scales[kind][0] : "0");
        return;
    }
    out->scale_words = scales[kind];
    out->scale[0] = given[0];
    out->scale[1] = given[1];
}

/* One feature's. */
static void read_steps (mistakes_t *mistakes, const tree_node_t *node, preprocess_t *out)
{
    static const char *const known[] = { "impute", "clip", "scale", NULL };
    static const char *const unsupported[] = { "encode", NULL };
    static const tree_keys_t keys = { "what is preprocessed", known, unsupported };
    if (!tree_check_keys (mistakes, node, &keys))
        return;
    const tree_node_t *step = tree_get (node, "impute");
    if (step != NULL)
        out->imputes = read_number (mistakes, step, "impute: 0", &out->impute);
    if ((step = tree_get (node, "clip")) != NULL)
        read_clip (mistakes, step, out);
    if ((step = tree_get (node, "scale")) != NULL)
        read_scale (mistakes, step, out);
    if (node->count == 0)
        tree_mistake (mistakes, node, "this does nothing; it takes impute, clip and scale");
}

static bool is_number (type_t type)
{
    return type == TYPE_INT64 || type == TYPE_FLOAT64 || type_is_decimal (type);
}

static void read_entry (mistakes_t *mistakes, const tree_node_t *key, service_t *service)
{
    const char *names[FEATURES_MAX];
    char nearest[SUGGESTION_MAX];
    size_t at = 0;
    for (size_t i = 0; i < service->outputs_count; i++)
        names[i] = service->outputs[i].name;
    while (at < service->outputs_count && !text_is (key->text, names[at]))
        at++;
    if (at == service->outputs_count) {
        text_t shown = mistake_shown (key->text);
        tree_mistake (mistakes, key, "'" TEXT_FORMAT "' is not among the service's `features`%s",
                      TEXT_ARGS (shown),
                      suggestion (key->text, names, service->outputs_count, nearest));
        return;
    }
    service_output_t *output = &service->outputs[at];
    if (!is_number (output->type.type)) {
        tree_mistake (mistakes, key, "'%s' is a %s, and only numbers are preprocessed",
                      output->name, type_word (output->type.type));
        return;
    }
    if (output->default_text != NULL) {
        tree_mistake (mistakes, key, "'%s' has a default as well; write it here, as in impute: %s",
                      output->name, output->default_text);
        return;
    }
    read_steps (mistakes, key->value, &output->preprocess);
    output->is_preprocessed = true;
    output->type = result_type_single (TYPE_FLOAT64);
}

void service_read_preprocess (definition_reader_t *reader, const tree_node_t *node,
                              service_t *service)
{
    if (!tree_check_map (&reader->mistakes, node,
                         "features of the service, and what becomes of "
                         "them"))
        return;
    for (const tree_node_t *key = node->first; key != NULL; key = key->next)
        read_entry (&reader->mistakes, key, service);
}

/* ---- as an expression ---- */

static void put_number (double number, buf_t *out)
{
    buf_put_u8 (out, '(');
    number_format_float (out, number);
    buf_put_u8 (out, ')');
}

/* The value as a number that is there, if it is to be. */
static void put_imputed (const preprocess_t *self, const char *of, buf_t *out)
{
    if (!self->imputes) {
        buf_printf (out, "cast(%s as float64)", of);
        return;
    }
    buf_printf (out, "coalesce(cast(%s as float64), ", of);
    put_number (self->impute, out);
    buf_put_u8 (out, ')');
}

static void put_bound (const preprocess_t *self, const char *of, char sign, double bound,
                       buf_t *out)
{
    buf_put_string (out, " when ");
    put_imputed (self, of, out);
    buf_printf (out, " %c ", sign);
    put_number (bound, out);
    buf_put_string (out, " then ");
    put_number (bound, out);
}

/* Null stays null. */
static void put_clipped (const preprocess_t *self, const char *of, buf_t *out)
{
    if (!self->clips) {
        put_imputed (self, of, out);
        return;
    }
    buf_put_string (out, "case");
    put_bound (self, of, '<', self->least, out);
    put_bound (self, of, '>', self->greatest, out);
    buf_put_string (out, " else ");
    put_imputed (self, of, out);
    buf_put_string (out, " end");
}

void preprocess_put_expression (const preprocess_t *self, const char *of, buf_t *out)
{
    if (self->scale_words == NULL) {
        put_clipped (self, of, out);
        return;
    }
    buf_put_string (out, "((");
    put_clipped (self, of, out);
    buf_put_string (out, ") - ");
    put_number (self->scale[0], out);
    buf_put_string (out, ") / (");
    put_number (self->scale[1], out);
    if (self->scale_words == scales[SCALE_MIN_MAX]) {
        buf_put_string (out, " - ");
        put_number (self->scale[0], out);
    }
    buf_put_u8 (out, ')');
}
