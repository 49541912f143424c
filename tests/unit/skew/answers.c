#include "tests/unit/skew/answers.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

static text_t word (answers_t *self, const char *what, uint64_t number)
{
    char name[64];
    snprintf (name, sizeof name, "%s_%llu", what, (unsigned long long)number);
    return arena_text (self->arena, text_of (name));
}

static void make_shape (answers_t *self, sample_shape_t *shape, size_t number)
{
    random_t *random = &self->random;
    *shape = (sample_shape_t){ .name = word (self, "service", number),
                               .version = (uint32_t)random_below (random, 1000),
                               .service = number > 0,
                               .meaning = random_next (random),
                               .views_count = number,
                               .keys_count = 1 + random_below (random, 3),
                               .request_count = random_below (random, 3),
                               .features_count = 1 + random_below (random, 12) };
    sample_view_t *views = arena_zero (self->arena, 8, sizeof *views);
    for (size_t i = 0; i < shape->views_count; i++)
        views[i] = (sample_view_t){ word (self, "view", i), (uint32_t)i + 1 };
    text_t *keys = arena_zero (self->arena, 8, sizeof *keys);
    for (size_t i = 0; i < 8; i++)
        keys[i] = word (self, "key", i);
    sample_field_t *features = arena_zero (self->arena, 16, sizeof *features);
    for (size_t i = 0; i < 16; i++)
        features[i] = (sample_field_t){ word (self, "feature", i), text_of ("float64") };
    shape->views = views;
    shape->keys = keys;
    shape->features = features;
}

static value_t make_value (answers_t *self, unsigned depth);

static value_t *make_values (answers_t *self, size_t count, unsigned depth)
{
    value_t *values = arena_zero (self->arena, count + 1, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = make_value (self, depth);
    return values;
}

static double make_float (random_t *random)
{
    static const double special[] = { 0, 1.0 / 3, -1e300, 5e-324 };
    uint64_t choice = random_below (random, 6);
    return choice == 5   ? value_float ((double)NAN)
           : choice == 4 ? (double)INFINITY
                         : special[choice];
}

static value_t make_value (answers_t *self, unsigned depth)
{
    random_t *random = &self->random;
    value_t value = { .null = random_chance (random, 0.2) };
    switch (random_below (random, depth < 2 ? 8 : 6)) {
    case 0:
        value.type = TYPE_BOOL;
        value.i = (int64_t)random_below (random, 2);
        break;
    case 1:
        value.type = TYPE_INT64;
        value.i = (int64_t)random_next (random);
        break;
    case 2:
        value.type = TYPE_FLOAT64;
        value.f = make_float (random);
        break;
    case 3:
        value.type = TYPE_STRING;
        value.s = word (self, "text", random_below (random, 1000000));
        break;
    case 4:
        value.type = TYPE_TIMESTAMP;
        value.i = -(int64_t)random_below (random, 1 << 30);
        break;
    case 5:
        value.type = type_decimal ((unsigned)random_below (random, 39));
        value.d = -(int128_t)random_next (random) * 12345;
        break;
    case 6: {
        value_list_t *list = arena_zero (self->arena, 1, sizeof *list);
        list->count = random_below (random, 5);
        list->items = make_values (self, list->count, depth + 1);
        value.type = TYPE_LIST;
        value.list = list;
        break;
    }
    default: {
        value_map_t *map = arena_zero (self->arena, 1, sizeof *map);
        map->count = random_below (random, 4);
        map->keys = make_values (self, map->count, depth + 1);
        map->values = make_values (self, map->count, depth + 1);
        map->capped = random_chance (random, 0.5);
        map->total = random_next (random);
        value.type = TYPE_MAP;
        value.map = map;
    }
    }
    return value;
}

static void make_answer (answers_t *self, sample_answer_t *answer)
{
    random_t *random = &self->random;
    answer->shape = (uint32_t)random_below (random, ANSWER_SHAPES);
    const sample_shape_t *shape = &self->shapes[answer->shape];
    answer->time = (int64_t)random_below (random, 1 << 30);
    answer->as_of = answer->time - 1;
    answer->flags = (unsigned)random_below (random, 4);
    answer->fields = make_values (self, shape->keys_count + shape->request_count, 2);
    answer->places_count = random_below (random, 4);
    sample_place_t *places = arena_zero (self->arena, 4, sizeof *places);
    for (size_t i = 0; i < answer->places_count; i++) {
        uint64_t cut = random_below (random, 1 << 20);
        uint64_t *absent = arena_zero (self->arena, 2, sizeof *absent);
        absent[0] = cut / 2;
        absent[1] = cut;
        places[i] = (sample_place_t){ .dataset = (uint32_t)random_below (random, ANSWER_DATASETS),
                                      .partition = (uint32_t)i,
                                      .cut = cut,
                                      .position = cut + random_below (random, 1000),
                                      .absent = absent,
                                      .absent_count = cut > 1 ? random_below (random, 3) : 0 };
    }
    answer->places = places;
    answer->values = make_values (self, shape->features_count, 0);
    text_t *errors = arena_zero (self->arena, 16, sizeof *errors);
    for (size_t i = 0; i < shape->features_count; i++)
        if (random_chance (random, 0.1))
            errors[i] = text_of ("sum: the exact result does not fit an int64");
    answer->errors = errors;
}

answers_t answers_new (uint64_t seed, size_t count)
{
    answers_t self = { .arena = arena_new (1 << 16), .count = count };
    random_seed (&self.random, seed);
    for (size_t i = 0; i < ANSWER_SHAPES; i++)
        make_shape (&self, &self.shapes[i], i);
    for (size_t i = 0; i < ANSWER_DATASETS; i++)
        self.datasets[i] = (sample_dataset_t){ word (&self, "stream.key", i), 100 + i };
    self.items = arena_zero (self.arena, count, sizeof *self.items);
    for (size_t i = 0; i < count; i++)
        make_answer (&self, &self.items[i]);
    return self;
}

void answers_release (answers_t *self)
{
    arena_destroy (&self->arena);
}

bool answers_add (const answers_t *self, sample_writer_t *writer, size_t at)
{
    sample_answer_t answer = self->items[at];
    const sample_shape_t *shape = &self->shapes[answer.shape];
    sample_place_t places[4];
    int number = sample_writer_shape (writer, shape);
    if (number < 0)
        return false;
    answer.shape = (uint32_t)number;
    for (size_t i = 0; i < answer.places_count; i++) {
        places[i] = answer.places[i];
        int dataset = sample_writer_dataset (writer, &self->datasets[places[i].dataset]);
        if (dataset < 0)
            return false;
        places[i].dataset = (uint32_t)dataset;
    }
    answer.places = places;
    return sample_writer_add (writer, shape, &answer);
}

void answers_write (const answers_t *self, buf_t *out)
{
    sample_writer_t *writer = sample_writer_new ();
    for (size_t i = 0; i < self->count; i++)
        cr_assert (answers_add (self, writer, i));
    cr_assert (sample_writer_end (writer, out));
    sample_writer_destroy (&writer);
}

static void check_shape (const sample_shape_t *a, const sample_shape_t *b)
{
    cr_assert (text_equal (a->name, b->name));
    cr_assert_eq (a->version, b->version);
    cr_assert_eq (a->service, b->service);
    cr_assert_eq (a->meaning, b->meaning);
    cr_assert_eq (a->views_count, b->views_count);
    cr_assert_eq (a->keys_count, b->keys_count);
    cr_assert_eq (a->request_count, b->request_count);
    cr_assert_eq (a->features_count, b->features_count);
    for (size_t i = 0; i < a->features_count; i++)
        cr_assert (text_equal (a->features[i].name, b->features[i].name));
}

void answers_check_one (const answers_t *self, size_t at, const sample_block_t *block,
                        const sample_answer_t *found)
{
    const sample_answer_t *given = &self->items[at];
    const sample_shape_t *shape = &self->shapes[given->shape];
    check_shape (shape, sample_block_shape (block, found->shape));
    cr_assert_eq (given->time, found->time);
    cr_assert_eq (given->as_of, found->as_of);
    cr_assert_eq (given->flags, found->flags);
    cr_assert_eq (given->places_count, found->places_count);
    for (size_t i = 0; i < shape->keys_count + shape->request_count; i++)
        cr_assert (value_equal (&given->fields[i], &found->fields[i]));
    for (size_t i = 0; i < given->places_count; i++) {
        const sample_place_t *a = &given->places[i], *b = &found->places[i];
        const sample_dataset_t *dataset = sample_block_dataset (block, b->dataset);
        cr_assert (text_equal (self->datasets[a->dataset].log, dataset->log));
        cr_assert_eq (self->datasets[a->dataset].manifest, dataset->manifest);
        cr_assert (a->partition == b->partition && a->cut == b->cut && a->position == b->position);
        cr_assert_eq (a->absent_count, b->absent_count);
        for (size_t k = 0; k < a->absent_count; k++)
            cr_assert_eq (a->absent[k], b->absent[k]);
    }
    for (size_t i = 0; i < shape->features_count; i++) {
        cr_assert (value_equal (&given->values[i], &found->values[i]));
        text_t error = found->errors ? found->errors[i] : (text_t){ .size = 0 };
        cr_assert (text_equal (given->errors[i], error));
    }
}

void answers_check (const answers_t *self, const void *data, size_t size)
{
    sample_block_t *block;
    sample_answer_t answer;
    error_t error;
    cr_assert_eq (sample_block_open (data, size, &block, &error), STATUS_OK, "%s", error.text);
    for (size_t i = 0; i < self->count; i++) {
        status_t status = sample_block_next (block, &answer, &error);
        cr_assert_eq (status, STATUS_OK, "%s", error.text);
        answers_check_one (self, i, block, &answer);
    }
    cr_assert_eq (sample_block_next (block, &answer, &error), STATUS_END);
    sample_block_destroy (&block);
}
