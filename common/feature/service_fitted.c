/* service_fitted.c - what a service answers once its numbers are there, and which of them hold for
 * another definition of it. */
#include "feature/definition_format.h"
#include "feature/service_plan.h"

#include "base/check.h"
#include "base/mem.h"

#include <sodium.h>

enum { BARE_CHUNK = 1 << 14 };
_Static_assert((int)PREPROCESS_HASH_DIGITS == 2 * crypto_hash_sha256_BYTES, "SHA-256 in hex");

/* ---- what is answered ---- */

static bool is_spread (const service_feature_t *feature)
{
    return feature->preprocess.encode == ENCODE_ONE_HOT && feature->preprocess.categories != NULL;
}

static const char *category_name (const service_feature_t *feature, size_t category, arena_t *arena)
{
    buf_t name;
    buf_init (&name, 2 * NAME_MAX_SIZE + 2 + CATEGORY_MAX_SIZE + 1);
    buf_printf (&name, "%s=", feature->name);
    category_format (&feature->preprocess.categories[category], &name);
    CHECK (!name.bad);
    const char *kept =
        arena_string (arena, (text_t){ (const char *)name.data, (uint32_t)name.size });
    buf_release (&name);
    return kept;
}

status_t service_set_outputs (service_t *self, arena_t *arena, error_t *error)
{
    size_t count = 0, categories = 0;
    for (size_t i = 0; i < self->features_count; i++)
        categories += self->features[i].preprocess.categories_count;
    if (categories > CATEGORIES_ALL_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "the service '%s' has %zu categories in all (at most %d)", self->name,
                          categories, CATEGORIES_ALL_MAX);
    for (size_t i = 0; i < self->features_count; i++)
        count += is_spread (&self->features[i]) ? self->features[i].preprocess.categories_count : 1;
    if (count > FEATURES_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "the service '%s' answers %zu features, each category that is encoded as "
                          "one_hot counted (at most %d)",
                          self->name, count, FEATURES_MAX);
    self->outputs = arena_zero (arena, count, sizeof *self->outputs);
    self->outputs_count = 0;
    for (uint32_t i = 0; i < self->features_count; i++) {
        const service_feature_t *feature = &self->features[i];
        bool spread = is_spread (feature);
        size_t places = spread ? feature->preprocess.categories_count : 1;
        for (uint32_t c = 0; c < places; c++)
            self->outputs[self->outputs_count++] = (service_output_t){
                .name = spread ? category_name (feature, c, arena) : feature->name,
                .feature = i,
                .category = c,
                .type = feature->is_preprocessed ? result_type_single (TYPE_FLOAT64) : feature->type
            };
    }
    return STATUS_OK;
}

size_t service_unfitted (const service_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->features_count; i++)
        count += preprocess_lacks_numbers (&self->features[i].preprocess);
    return count;
}

bool service_preprocess_hash (const service_t *self, char hash[PREPROCESS_HASH_DIGITS + 1])
{
    uint8_t bytes[crypto_hash_sha256_BYTES];
    buf_t text;
    buf_init (&text, 2 * DEFINITION_FILE_MAX);
    service_format_preprocess (self, &text);
    CHECK (!text.bad);
    bool any = text.size > 0 && service_unfitted (self) == 0;
    (void)crypto_hash_sha256 (bytes, text.data, text.size);
    (void)sodium_bin2hex (hash, PREPROCESS_HASH_DIGITS + 1, bytes, sizeof bytes);
    buf_release (&text);
    return any;
}

/* The text without what is fitted. */
static void format_unfitted (const service_t *self, buf_t *out)
{
    arena_t *arena = arena_new (BARE_CHUNK);
    service_t bare = *self;
    bare.fitted_on = NULL;
    bare.features = arena_zero (arena, self->features_count, sizeof *bare.features);
    for (size_t i = 0; i < self->features_count; i++) {
        bare.features[i] = self->features[i];
        preprocess_forget (&bare.features[i].preprocess);
    }
    buf_init (out, 2 * DEFINITION_FILE_MAX);
    service_format (&bare, out);
    CHECK (!out->bad);
    arena_destroy (&arena);
}

bool service_same_kind (const service_t *a, const service_t *b)
{
    buf_t of_a, of_b;
    format_unfitted (a, &of_a);
    format_unfitted (b, &of_b);
    bool same = of_a.size == of_b.size && memcmp (of_a.data, of_b.data, of_a.size) == 0;
    buf_release (&of_a);
    buf_release (&of_b);
    return same;
}

/* ---- the same feature in another definition ---- */

typedef struct comparison {
    const service_t *a, *b;
    const plan_t *plan; /* of a, raw: what its derived features read */
} comparison_t;

static bool same_keys (const comparison_t *self, const service_role_t *a, const service_role_t *b)
{
    for (size_t k = 0; k < a->view->key_count; k++) {
        if (strcmp (self->a->keys[a->key[k]].name, self->b->keys[b->key[k]].name) != 0)
            return false;
    }
    return true;
}

/* The same feature of the same version of the view, of an entity that requests call the same. */
static bool same_input (const comparison_t *self, const service_input_t *input)
{
    const service_role_t *a = &self->a->roles[input->role];
    for (size_t i = 0; i < self->b->inputs_count; i++) {
        const service_input_t *other = &self->b->inputs[i];
        if (strcmp (input->name, other->name) != 0)
            continue;
        const service_role_t *b = &self->b->roles[other->role];
        return strcmp (a->view->name, b->view->name) == 0 && a->version == b->version &&
               a->view->key_count == b->view->key_count && same_keys (self, a, b);
    }
    return false;
}

static const derived_t *derived_named (const service_t *service, const char *name)
{
    for (size_t i = 0; i < service->derived_count; i++) {
        if (strcmp (service->derived[i].name, name) == 0)
            return &service->derived[i];
    }
    return NULL;
}

static bool same_derived (const derived_t *a, const derived_t *b)
{
    bool defaults = b != NULL && a->default_text != NULL && b->default_text != NULL
                        ? strcmp (a->default_text, b->default_text) == 0
                        : b != NULL && a->default_text == b->default_text;
    return defaults && a->type == b->type && strcmp (a->expr, b->expr) == 0;
}

/* Of the plan's features, which are the same in both: inputs first, then derived ones by rank, each
 * after those that it reads. */
static void find_same (const comparison_t *self, bool *same)
{
    const service_t *a = self->a;
    for (size_t i = 0; i < a->inputs_count; i++)
        same[i] = same_input (self, &a->inputs[i]);
    for (size_t i = 0; i < a->derived_count; i++) {
        uint32_t at = self->plan->derived[i];
        const plan_feature_t *feature = &self->plan->features[at];
        const derived_t *derived = &a->derived[at - a->inputs_count];
        same[at] = same_derived (derived, derived_named (self->b, derived->name));
        for (size_t r = 0; r < feature->reads_count; r++) {
            if (feature->reads[r] < self->plan->features_count)
                same[at] = same[at] && same[feature->reads[r]];
        }
    }
}

static bool is_same (const service_t *self, const bool *same, const service_feature_t *feature)
{
    if (feature->kind == OUTPUT_REQUEST)
        return true; /* it has its name and type */
    return same[feature->kind == OUTPUT_INPUT ? feature->index
                                              : self->inputs_count + feature->index];
}

/* Is `other`, of the definition that `same` is against, the same feature, but for its
 * preprocessing?
 */
static bool is_it (const service_t *self, const bool *same, const service_feature_t *feature,
                   const service_feature_t *other)
{
    return strcmp (feature->name, other->name) == 0 && feature->kind == other->kind &&
           feature->type.type == other->type.type && is_same (self, same, feature);
}

const char *service_other_to_fit (const service_t *self, const service_t *from)
{
    service_plan_t *compiled = service_plan_new_raw (self);
    comparison_t comparison = { self, from, compiled->plan };
    bool *same = mem_zero (compiled->plan->features_count + 1, sizeof *same);
    const char *other = NULL;
    find_same (&comparison, same);
    for (size_t i = 0; i < self->features_count && !other; i++) {
        const service_feature_t *feature = &self->features[i];
        bool found = !preprocess_is_fitted_kind (&feature->preprocess);
        for (size_t k = 0; k < from->features_count && !found; k++)
            found = is_it (self, same, feature, &from->features[k]);
        if (!found)
            other = feature->name;
    }
    mem_free (same);
    service_plan_destroy (&compiled);
    return other;
}

status_t service_take_fitted (service_t *self, const service_t *from, arena_t *arena,
                              error_t *error)
{
    service_plan_t *compiled = service_plan_new_raw (self);
    comparison_t comparison = { self, from, compiled->plan };
    bool *same = arena_zero (arena, compiled->plan->features_count, sizeof *same);
    bool any = false;
    find_same (&comparison, same);
    for (size_t i = 0; i < self->features_count; i++) {
        service_feature_t *feature = &self->features[i];
        if (!preprocess_lacks_numbers (&feature->preprocess))
            continue;
        for (size_t k = 0; k < from->features_count; k++) {
            const service_feature_t *other = &from->features[k];
            if (!is_it (self, same, feature, other) ||
                !preprocess_same_kind (&feature->preprocess, &other->preprocess))
                continue;
            preprocess_take (&feature->preprocess, &other->preprocess, arena);
            any = any || preprocess_has_fitted (&feature->preprocess);
        }
    }
    service_plan_destroy (&compiled);
    if (any && self->fitted_on == NULL && from->fitted_on != NULL) {
        self->fitted_on = arena_string (arena, text_of (from->fitted_on));
        self->fitted_rows = from->fitted_rows;
    }
    return any ? service_set_outputs (self, arena, error) : STATUS_OK;
}
