/* Batch parts are merged while owners are asked. */
#include "tests/unit/serving/house.h"

enum {
    MANY = 20,       /* queries, each of another client … */
    KEYS_MAX = 1000, /* … for so many keys at most, which are all of the user */
    AHEAD = 2 << 20, /* bytes of answers over which owners are waited for */
};

static unsigned user = 3;
static unsigned users[KEYS_MAX];

/* 200 events are in a dataset, with views for definitions that are not 0; `more` came after it. */
static const manifest_t *begin (house_t *house, uint64_t seed, uint64_t definitions, size_t more)
{
    house_init (house, seed);
    house_add (house, 200);
    const manifest_t *manifest = house_publish (house, definitions, false, false);
    if (more > 0)
        house_add (house, more);
    house_pass (house, TIME_SECOND);
    return manifest;
}

static void ask_many (house_t *house, size_t keys, uint64_t deadline_ms)
{
    char name[32];
    for (size_t i = 0; i < keys; i++)
        users[i] = user;
    for (int i = 0; i < MANY; i++) {
        house_get (house, "spend", users, keys);
        wire_field_uint (house->writer, "deadline_ms", deadline_ms);
        snprintf (name, sizeof name, "client-%d", i);
        house_ask_as (house, name);
    }
    cr_assert_eq (house_metric (house, "queries_under_way"), MANY);
}

/* All of them lack what owners have, and nothing else. */
static void expect_batch_parts (house_t *house, size_t keys, const manifest_t *manifest,
                                int64_t as_of)
{
    uint64_t cut = manifest->cut[payments_partition (user, PARTITIONS)];
    for (int i = 0; i < MANY; i++) {
        message_t message = house_reply (house, MESSAGE_GET_OK);
        wire_list_t results = wire_list (message.body, "results");
        cr_assert_eq (results.count, keys);
        for (uint32_t k = 0; k < results.count; k++) {
            cr_assert_not (wire_bool (&results.items[k], "complete", true));
            house_check_values (house, &results.items[k], 1, user, 0, cut, as_of);
        }
    }
}

Test (merging, is_done_by_a_deadline_that_is_near)
{
    house_t house;
    const manifest_t *manifest = begin (&house, 80, 1, 0);
    house.owners = OWNERS_SILENT;
    int64_t as_of = house.rig.clock;
    ask_many (&house, 1, 10);
    house_pass (&house, 12 * TIME_MS);
    expect_batch_parts (&house, 1, manifest, as_of);
    house_release (&house);
}

Test (merging, is_exact_when_owners_answer)
{
    house_t house;
    begin (&house, 82, 1, 100);
    house.owners = OWNERS_LATE;
    int64_t as_of = house.rig.clock;
    ask_many (&house, 1, 1000);
    house_answers (&house);
    for (int i = 0; i < MANY; i++)
        house_check (&house, &user, 1, &as_of);
    house_release (&house);
}

Test (merging, is_done_while_owners_are_asked)
{
    house_t house;
    const manifest_t *manifest = begin (&house, 83, 0, 0);
    house.owners = OWNERS_SILENT;
    int64_t as_of = house.rig.clock;
    ask_many (&house, 1, 1000);
    cr_assert_eq (house_metric (&house, "slow_keys"), MANY, "histories are looked for at once");
    house_pass (&house, 2 * TIME_SECOND);
    expect_batch_parts (&house, 1, manifest, as_of);
    house_release (&house);
}

/* Of many large ones those that are far ahead of the owners wait for them. */
Test (merging, is_exact_with_more_than_goes_ahead_of_owners)
{
    house_t house;
    begin (&house, 84, 1, 100);
    house.owners = OWNERS_LATE;
    int64_t as_of[KEYS_MAX];
    for (size_t i = 0; i < KEYS_MAX; i++)
        as_of[i] = house.rig.clock;
    ask_many (&house, KEYS_MAX, 1000);
    uint64_t memory = house_metric (&house, "memory");
    cr_assert_geq (memory, AHEAD);
    cr_assert_lt (memory, 2 * AHEAD, "%lu bytes", memory);
    house_answers (&house);
    for (int i = 0; i < MANY; i++)
        house_check (&house, users, KEYS_MAX, as_of);
    house_release (&house);
}

Test (merging, of_more_than_goes_ahead_of_owners_is_done_by_the_deadline)
{
    house_t house;
    const manifest_t *manifest = begin (&house, 85, 1, 0);
    house.owners = OWNERS_SILENT;
    int64_t as_of = house.rig.clock;
    ask_many (&house, KEYS_MAX, 100);
    house_pass (&house, 102 * TIME_MS);
    expect_batch_parts (&house, KEYS_MAX, manifest, as_of);
    house_release (&house);
}

/* A silent owner's queries do not wait for it with their histories. */
Test (merging, of_histories_is_begun_long_before_the_deadline)
{
    house_t house;
    const manifest_t *manifest = begin (&house, 86, 0, 0);
    house.owners = OWNERS_SILENT;
    int64_t as_of = house.rig.clock;
    ask_many (&house, KEYS_MAX, 1000);
    cr_assert_lt (house_metric (&house, "slow_keys"), MANY * KEYS_MAX);
    house_pass (&house, 60 * TIME_MS);
    cr_assert_eq (house_metric (&house, "slow_keys"), MANY * KEYS_MAX);
    house_pass (&house, TIME_SECOND);
    expect_batch_parts (&house, KEYS_MAX, manifest, as_of);
    house_release (&house);
}
