/* Batch parts are merged while owners are asked. */
#include "tests/unit/serving/house.h"

enum { MANY = 20 }; /* queries, each of another client */

static unsigned user = 3;

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

static void ask_many (house_t *house, uint64_t deadline_ms)
{
    char name[32];
    for (int i = 0; i < MANY; i++) {
        house_get (house, "spend", &user, 1);
        wire_field_uint (house->writer, "deadline_ms", deadline_ms);
        snprintf (name, sizeof name, "client-%d", i);
        house_ask_as (house, name);
    }
    cr_assert_eq (house_metric (house, "queries_under_way"), MANY);
}

/* All of them lack what owners have, and nothing else. */
static void expect_batch_parts (house_t *house, const manifest_t *manifest, int64_t as_of)
{
    uint64_t cut = manifest->cut[payments_partition (user, PARTITIONS)];
    for (int i = 0; i < MANY; i++) {
        message_t message = house_reply (house, MESSAGE_GET_OK);
        cr_assert_not_null (house_reason (&message));
        house_check_values (house, &wire_list (message.body, "results").items[0], 1, user, 0, cut,
                            as_of);
    }
}

Test (merging, is_done_by_a_deadline_that_is_near)
{
    house_t house;
    const manifest_t *manifest = begin (&house, 80, 1, 0);
    house.owners = OWNERS_SILENT;
    int64_t as_of = house.rig.clock;
    ask_many (&house, 10);
    house_pass (&house, 12 * TIME_MS);
    expect_batch_parts (&house, manifest, as_of);
    house_release (&house);
}

Test (merging, is_exact_when_owners_answer)
{
    house_t house;
    begin (&house, 82, 1, 100);
    house.owners = OWNERS_LATE;
    int64_t as_of = house.rig.clock;
    ask_many (&house, 1000);
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
    ask_many (&house, 1000);
    cr_assert_eq (house_metric (&house, "slow_keys"), MANY, "histories are looked for at once");
    house_pass (&house, 2 * TIME_SECOND);
    expect_batch_parts (&house, manifest, as_of);
    house_release (&house);
}
