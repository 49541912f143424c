#include "feature/preprocess.h"

#include "base/check.h"
#include "base/number.h"

#include <inttypes.h>

/* ---- words ---- */

const char *impute_word (impute_kind_t kind)
{
    static const char *const words[] = { [IMPUTE_MEDIAN] = "median", [IMPUTE_MEAN] = "mean" };
    return words[kind];
}

const char *scale_word (scale_kind_t kind)
{
    static const char *const words[] = {
        [SCALE_STANDARD] = "standard", [SCALE_MINMAX] = "minmax", [SCALE_ROBUST] = "robust"
    };
    return words[kind];
}

const char *encode_word (encode_kind_t kind)
{
    static const char *const words[] = {
        [ENCODE_ONE_HOT] = "one_hot", [ENCODE_ORDINAL] = "ordinal"
    };
    return words[kind];
}

const char *const *scale_words (scale_kind_t kind)
{
    static const char *const words[][2] = { [SCALE_STANDARD] = { "mean", "stddev" },
                                            [SCALE_MINMAX] = { "min", "max" },
                                            [SCALE_ROBUST] = { "median", "iqr" } };
    CHECK (kind != SCALE_NONE);
    return words[kind];
}

/* ---- what is fitted ---- */

static bool fits_impute (const preprocess_t *self)
{
    return self->impute == IMPUTE_MEDIAN || self->impute == IMPUTE_MEAN;
}

static bool fits_scale (const preprocess_t *self)
{
    return self->scale != SCALE_NONE && !self->scale_is_given;
}

bool preprocess_is_fitted_kind (const preprocess_t *self)
{
    return fits_impute (self) || fits_scale (self) || self->encode != ENCODE_NONE;
}

bool preprocess_lacks_numbers (const preprocess_t *self)
{
    return (self->impute != IMPUTE_NONE && !self->has_impute) ||
           (self->scale != SCALE_NONE && !self->has_scale) ||
           (self->encode != ENCODE_NONE && self->categories == NULL);
}

bool preprocess_has_fitted (const preprocess_t *self)
{
    return (fits_impute (self) && self->has_impute) || (fits_scale (self) && self->has_scale) ||
           self->categories != NULL;
}

static bool same_number (double a, double b)
{
    return a == b;
}

static bool same_imputed (const value_t *a, const value_t *b)
{
    return a->type == b->type && value_equal (a, b);
}

bool preprocess_same_kind (const preprocess_t *a, const preprocess_t *b)
{
    if (a->impute != b->impute || a->clips != b->clips || a->scale != b->scale ||
        a->scale_is_given != b->scale_is_given || a->encode != b->encode)
        return false;
    if (a->impute == IMPUTE_VALUE && !same_imputed (&a->imputed, &b->imputed))
        return false;
    if (a->clips && !(same_number (a->least, b->least) && same_number (a->greatest, b->greatest)))
        return false;
    return !a->scale_is_given || (same_number (a->scaled_by[0], b->scaled_by[0]) &&
                                  same_number (a->scaled_by[1], b->scaled_by[1]));
}

void preprocess_take (preprocess_t *self, const preprocess_t *from, arena_t *arena)
{
    CHECK (preprocess_same_kind (self, from));
    if (!self->has_impute && from->has_impute) {
        self->has_impute = true;
        self->imputed = category_copy (&from->imputed, arena);
    }
    if (!self->has_scale && from->has_scale) {
        self->has_scale = true;
        self->scaled_by[0] = from->scaled_by[0];
        self->scaled_by[1] = from->scaled_by[1];
    }
    if (self->categories != NULL || from->categories == NULL)
        return;
    self->categories_count = from->categories_count;
    self->categories = arena_zero (arena, from->categories_count, sizeof *self->categories);
    for (size_t i = 0; i < from->categories_count; i++)
        self->categories[i] = category_copy (&from->categories[i], arena);
}

void preprocess_forget (preprocess_t *self)
{
    if (fits_impute (self)) {
        self->has_impute = false;
        self->imputed = (value_t){ 0 };
    }
    if (fits_scale (self))
        self->has_scale = false;
    self->categories = NULL;
    self->categories_count = 0;
}

/* ---- numbers, as an expression ---- */

static void put_number (double number, buf_t *out)
{
    buf_put_u8 (out, '(');
    number_format_float (out, number);
    buf_put_u8 (out, ')');
}

/* The value as a number that is there, if it is to be. */
static void put_imputed (const preprocess_t *self, const char *of, buf_t *out)
{
    if (self->impute == IMPUTE_NONE) {
        buf_printf (out, "cast(%s as float64)", of);
        return;
    }
    buf_printf (out, "coalesce(cast(%s as float64), ", of);
    put_number (self->imputed.f, out);
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
    CHECK (self->encode == ENCODE_NONE && !preprocess_lacks_numbers (self));
    if (self->scale == SCALE_NONE) {
        put_clipped (self, of, out);
        return;
    }
    double from = self->scaled_by[0], by = self->scaled_by[1];
    bool minmax = self->scale == SCALE_MINMAX;
    buf_put_string (out, "((");
    put_clipped (self, of, out);
    buf_put_string (out, ") - ");
    put_number (from, out);
    buf_put_string (out, ") / (");
    if (minmax ? by > from : by > 0)
        put_number (by, out);
    else
        buf_put_string (out, "1.0"); /* all were the same */
    if (minmax && by > from) {
        buf_put_string (out, " - ");
        put_number (from, out);
    }
    buf_put_u8 (out, ')');
}

/* ---- categories ---- */

void category_format (const value_t *category, buf_t *out)
{
    if (category->type == TYPE_STRING)
        buf_put (out, category->s.data, category->s.size);
    else if (category->type == TYPE_BOOL)
        buf_put_string (out, category->i != 0 ? "true" : "false");
    else
        buf_printf (out, "%" PRId64, category->i);
}

const char *category_refusal (text_t text)
{
    _Static_assert(CATEGORY_MAX_SIZE == 127, "as it is said");
    if (text.size > CATEGORY_MAX_SIZE)
        return "a category has at most 127 bytes";
    if (!text_is_utf8 (text))
        return "a category is UTF-8";
    for (uint32_t i = 0; i < text.size; i++) {
        if ((uint8_t)text.data[i] < ' ' || text.data[i] == 0x7f)
            return "a category has no control characters";
    }
    return NULL;
}

value_t category_copy (const value_t *category, arena_t *arena)
{
    value_t copy = *category;
    if (category->type == TYPE_STRING)
        copy.s = arena_text (arena, category->s);
    return copy;
}

/* The place of the category, or count. */
static size_t find_category (const encoding_t *self, const value_t *value)
{
    size_t from = 0, to = self->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = value_compare (&self->categories[middle], value);
        if (order == 0)
            return middle;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return self->count;
}

value_t encoding_of (const encoding_t *self, const value_t *value)
{
    value_t out = { .type = TYPE_FLOAT64 };
    bool is_one_hot = self->kind == ENCODE_ONE_HOT;
    if (value->null && self->imputed.type != TYPE_NONE)
        value = &self->imputed;
    if (value->null)
        out.null = !is_one_hot;
    else if (is_one_hot)
        out.f = value_equal (&self->categories[self->category], value) ? 1.0 : 0.0;
    else {
        size_t at = find_category (self, value);
        out.f = at < self->count ? (double)at : -1.0;
    }
    return out;
}
