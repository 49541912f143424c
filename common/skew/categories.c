#include "skew/categories.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <xxhash.h>

enum { CATEGORIES_OBJECT = 0x43415447, TABLE_LEAST = 256, TEXTS_CHUNK = 64 << 10 };

typedef struct category {
    text_t text;
    uint64_t hash;
    uint64_t counts[SIDES]; /* both 0: the entry is free */
} category_t;

struct categories {
    uint32_t magic;
    size_t memory;
    arena_t *texts;
    category_t *table; /* open addressing; a power of two */
    size_t size;
    size_t count;
};

categories_t *categories_new (size_t memory)
{
    categories_t *self = mem_zero (1, sizeof *self);
    self->magic = CATEGORIES_OBJECT;
    self->memory = memory;
    self->texts = arena_new (TEXTS_CHUNK);
    self->size = TABLE_LEAST;
    self->table = mem_zero (self->size, sizeof *self->table);
    return self;
}

void categories_destroy (categories_t **self_p)
{
    categories_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, CATEGORIES_OBJECT);
    arena_destroy (&self->texts);
    mem_free (self->table);
    self->magic = 0;
    mem_free (self);
}

static bool is_free (const category_t *self)
{
    return self->counts[SIDE_TRAINING] + self->counts[SIDE_SERVING] == 0;
}

static category_t *find (category_t *table, size_t size, uint64_t hash, text_t text)
{
    size_t at = (size_t)hash & (size - 1);
    while (!is_free (&table[at]) && (table[at].hash != hash || !text_equal (table[at].text, text)))
        at = (at + 1) & (size - 1);
    return &table[at];
}

static bool grow (categories_t *self)
{
    size_t size = 2 * self->size;
    if (size * sizeof (category_t) > self->memory)
        return false;
    category_t *table = mem_zero (size, sizeof *table);
    for (size_t i = 0; i < self->size; i++)
        if (!is_free (&self->table[i]))
            *find (table, size, self->table[i].hash, self->table[i].text) = self->table[i];
    mem_free (self->table);
    self->table = table;
    self->size = size;
    return true;
}

bool categories_add (categories_t *self, distribution_side_t side, text_t text)
{
    CHECK_OBJECT (self, CATEGORIES_OBJECT);
    uint64_t hash = XXH3_64bits (text.data, text.size);
    category_t *category = find (self->table, self->size, hash, text);
    if (is_free (category)) {
        if (2 * (self->count + 1) > self->size) {
            if (!grow (self))
                return false;
            category = find (self->table, self->size, hash, text);
        }
        if (arena_held (self->texts) + text.size + self->size * sizeof (category_t) > self->memory)
            return false;
        category->text = arena_text (self->texts, text);
        category->hash = hash;
        self->count++;
    }
    category->counts[side]++;
    return true;
}

/* Training's most frequent first, by bytes where they are as many. */
static int compare_categories (const void *a, const void *b)
{
    const category_t *x = a;
    const category_t *y = b;
    if (x->counts[SIDE_TRAINING] != y->counts[SIDE_TRAINING])
        return x->counts[SIDE_TRAINING] > y->counts[SIDE_TRAINING] ? -1 : 1;
    return text_compare (x->text, y->text);
}

void categories_finish (categories_t *self, distribution_result_t *result)
{
    CHECK_OBJECT (self, CATEGORIES_OBJECT);
    size_t count = 0;
    uint64_t bins[SIDES][DISTRIBUTION_CATEGORIES + 1] = { { 0 } };
    for (size_t i = 0; i < self->size; i++) {
        if (is_free (&self->table[i]))
            continue;
        self->table[count++] = self->table[i]; /* nothing is looked for any more */
        for (int s = 0; s < SIDES; s++)
            result->sides[s].distinct += self->table[count - 1].counts[s] > 0;
    }
    if (!result->compared)
        return;
    qsort (self->table, count, sizeof *self->table, compare_categories);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        bool own = i < DISTRIBUTION_CATEGORIES && self->table[i].counts[SIDE_TRAINING] > 0;
        size_t bin = own ? used++ : used;
        for (int s = 0; s < SIDES; s++)
            bins[s][bin] += self->table[i].counts[s];
    }
    bool others = bins[SIDE_TRAINING][used] + bins[SIDE_SERVING][used] > 0;
    result->psi = distribution_psi (bins[SIDE_TRAINING], bins[SIDE_SERVING], used + others);
}
