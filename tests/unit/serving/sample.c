#include "tests/unit/serving/sample.h"

#include <stdio.h>

static unsigned user_of (const value_t *key)
{
    for (unsigned user = 0; user < PAYMENTS_USERS; user++)
        if (text_is (key->s, payments_user (user)))
            return user;
    cr_assert_fail ("of nobody");
    return 0;
}

static kept_t copy (const sample_block_t *block, const sample_answer_t *answer)
{
    const sample_shape_t *shape = sample_block_shape (block, answer->shape);
    kept_t kept = { .version = shape->version,
                    .service = shape->service,
                    .user = user_of (&answer->fields[0]),
                    .flags = answer->flags,
                    .as_of = answer->as_of,
                    .time = answer->time,
                    .places = answer->places_count,
                    .features = shape->features_count };
    cr_assert_eq (shape->keys_count, 1);
    cr_assert (text_is (shape->keys[0], "user"));
    (void)snprintf (kept.name, sizeof kept.name, TEXT_FORMAT, TEXT_ARGS (shape->name));
    cr_assert_geq (answer->places_count, 1);
    const sample_place_t *place = &answer->places[0];
    const sample_dataset_t *dataset = sample_block_dataset (block, place->dataset);
    (void)snprintf (kept.log, sizeof kept.log, TEXT_FORMAT, TEXT_ARGS (dataset->log));
    kept.manifest = dataset->manifest;
    kept.partition = place->partition;
    kept.cut = place->cut;
    kept.position = place->position;
    for (size_t i = 0; i < shape->features_count && i < PAYMENTS_FEATURES; i++)
        if (answer->values[i].type == TYPE_INT64 || answer->values[i].type == TYPE_FLOAT64)
            kept.value[i] = answer->values[i];
    return kept;
}

static void read_segment (house_t *house, const char *path, sample_t *sample)
{
    sample_segment_t *segment;
    sample_block_t *block;
    sample_answer_t answer;
    error_t error;
    status_t status =
        sample_segment_open (house->rig.env.fs, path, 0, PARTITIONS, &segment, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    while ((status = sample_segment_next (segment, INT64_MIN, &block, &error)) == STATUS_OK) {
        while ((status = sample_block_next (block, &answer, &error)) == STATUS_OK) {
            if (sample->count % 4096 == 0)
                sample->answers =
                    mem_resize (sample->answers, sample->count + 4096, sizeof (kept_t));
            kept_t *kept = &sample->answers[sample->count++];
            *kept = copy (block, &answer);
            sample->users += sample->of_user[kept->user]++ == 0;
        }
        cr_assert_eq (status, STATUS_END, "%s", error.text);
        sample_block_destroy (&block);
    }
    cr_assert_eq (status, STATUS_END, "%s", error.text);
    sample->bytes += sample_segment_at (segment);
    sample->torn += sample_segment_torn (segment);
    sample_segment_destroy (&segment);
}

sample_t sample_read (house_t *house)
{
    sample_t sample = { 0 };
    arena_t *arena = arena_new (4096);
    const char **paths;
    error_t error;
    cr_assert_eq (sample_list (house->rig.env.fs, arena, &paths, &sample.segments, &error),
                  STATUS_OK);
    for (size_t i = 0; i < sample.segments; i++)
        read_segment (house, paths[i], &sample);
    arena_destroy (&arena);
    return sample;
}

void sample_release (sample_t *self)
{
    mem_free (self->answers);
}

size_t sample_count (house_t *house)
{
    sample_t sample = sample_read (house);
    sample_release (&sample);
    cr_assert_eq (sample.torn, 0);
    return sample.count;
}
