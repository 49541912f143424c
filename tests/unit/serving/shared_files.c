/* Files that a dataset has in common with the one before: they are mapped once. */
#include "tests/unit/serving/house.h"

/* A dataset whose files stay in those that follow, each with a delta above. */
static void publish_first (house_t *house, uint64_t seed)
{
    house_init (house, seed);
    house->deltas = house->shares = true;
    house_add (house, 200);
    house_publish (house, 1, false, false);
    house_pass (house, TIME_SECOND);
    cr_assert_eq (house->reported, 1);
}

static void ask_and_check (house_t *house)
{
    house_get (house, "spend", NULL, 0);
    house_ask (house);
    house_check (house, NULL, 0, NULL);
}

/* Only what is new of a dataset is opened: the others' names may even have gone. */
Test (shared_files, of_the_dataset_before_are_not_opened_again)
{
    house_t house;
    error_t error;
    publish_first (&house, 16);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        cr_assert_eq (fs_remove (house.rig.env.fs, house_path (1, p, "view"), &error), STATUS_OK);
    for (uint64_t number = 2; number < 5; number++) {
        house_add (&house, 50);
        house_publish (&house, 1, false, false);
        house_pass (&house, TIME_SECOND);
        cr_assert_eq (house.reported, number);
        cr_assert_eq (house.damaged_views, 0);
        ask_and_check (&house);
    }
    cr_assert_eq (house_metric (&house, "slow_keys"), 0);
    house_release (&house);
}

/* However often a dataset is published that has the file still: it is verified by its own age. */
Test (shared_files, that_rot_are_found_and_given_up)
{
    house_t house;
    publish_first (&house, 17);
    sim_disk_rot_mapped (house.disk, house_path (1, 1, "view"), 8000);
    for (uint64_t number = 2; number < 6; number++) {
        house_add (&house, 20);
        house_publish (&house, 1, false, false);
        house_pass (&house, 200 * TIME_SECOND);
        cr_assert_eq (house.reported, number);
        cr_assert_eq (house.damaged_views, 0);
    }
    for (int i = 0; i < 150 && house.damaged_views == 0; i++)
        house_pass (&house, TIME_SECOND);
    cr_assert_eq (house.damaged_views, 1);
    ask_and_check (&house);
    house_pass (&house, 2 * TIME_MINUTE); /* it is opened anew, and as it was */
    cr_assert_eq (house.damaged_views, 0);
    ask_and_check (&house);
    house_release (&house);
}

/* It was being opened when one that it shares a file with found that damaged. */
Test (shared_files, that_were_given_up_meanwhile_are_not_used)
{
    house_t house;
    publish_first (&house, 18);
    sim_disk_rot_mapped (house.disk, house_path (1, 1, "view"), 8000);
    house_pass (&house, 14 * TIME_MINUTE);
    house.hold_jobs = true;
    house_pass (&house, 2 * TIME_MINUTE); /* it is being verified … */
    house_publish (&house, 1, false, false);
    house_pass (&house, TIME_SECOND); /* … and the next one opened */
    house.hold_jobs = false;
    house_pass (&house, TIME_SECOND);
    cr_assert_eq (house.reported, 2);
    cr_assert_eq (house.damaged_views, 1);
    ask_and_check (&house);
    house_release (&house);
}
