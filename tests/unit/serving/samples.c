/* The answers that a node keeps: which, where they stood, how much of them, and that nothing that
 * happens to them is seen in an answer. */
#include "serving/samples.h"
#include "tests/unit/serving/sample.h"

#include <stdio.h>

#define MUCH (UINT64_C (1) << 30)

/* ---- questions ---- */

/* All users are asked for, and answered as they should be. */
static void ask_all (house_t *house)
{
    int64_t as_of[PAYMENTS_USERS];
    for (size_t i = 0; i < PAYMENTS_USERS; i++)
        as_of[i] = house->rig.clock;
    house_get (house, "spend", NULL, 0);
    house_ask (house);
    cr_assert (house_answered (house), "it waits for no disk");
    house_check (house, NULL, 0, as_of);
}

/* Of the sample, all that was gathered is written. */
static void write_all (house_t *house)
{
    house_pass (house, SAMPLES_WAIT + 20 * TIME_MS);
}

static void start (house_t *house, uint64_t seed, double share)
{
    house_init_sampled (house, seed, share, MUCH, 7 * TIME_DAY);
    house_add (house, 200);
    house_publish (house, 1, false, false);
    house_pass (house, 2 * TIME_SECOND);
    house_add (house, 100);
}

/* ---- which ---- */

Test (samples, have_what_was_answered_and_where_it_stood)
{
    house_t house;
    start (&house, 90, 1);
    int64_t as_of = house.rig.clock;
    house_get (&house, "spend", NULL, 0);
    house_ask (&house);
    write_all (&house);
    sample_t sample = sample_read (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    wire_list_t results = wire_list (message.body, "results");
    cr_assert_eq (sample.count, PAYMENTS_USERS);
    for (uint32_t i = 0; i < PAYMENTS_USERS; i++) {
        const kept_t *kept = &sample.answers[i];
        uint32_t partition = payments_partition (i, PARTITIONS);
        char place[64];
        cr_assert_str_eq (kept->name, "spend");
        cr_assert_eq (kept->version, 1);
        cr_assert_not (kept->service);
        cr_assert_eq (kept->user, i);
        cr_assert_eq (kept->as_of, as_of);
        cr_assert_eq (kept->time, as_of);
        cr_assert_eq (kept->flags, SAMPLE_COMPLETE);
        cr_assert_eq (kept->places, 1);
        cr_assert_str_eq (kept->log, PAYMENTS_LOG);
        cr_assert_eq (kept->manifest, 1);
        cr_assert_eq (kept->partition, partition);
        cr_assert_eq (kept->cut, house.manifest[1].cut[partition]);
        (void)snprintf (place, sizeof place, PAYMENTS_LOG "/%u", partition);
        cr_assert_eq (kept->position,
                      wire_uint (wire_map (&results.items[i], "positions"), place, 0));
        wire_list_t values = wire_list (&results.items[i], "values");
        cr_assert_eq (kept->features, values.count);
        for (uint32_t f = 0; f < values.count; f++) {
            const value_t *value = &kept->value[f];
            const msgpack_object *told = &values.items[f];
            cr_assert_eq (value->null, told->type == MSGPACK_OBJECT_NIL);
            if (!value->null && value->type == TYPE_FLOAT64)
                cr_assert_eq (memcmp (&value->f, &told->via.f64, sizeof value->f), 0);
            else if (!value->null)
                cr_assert_eq (value->i, wire_item_int (told));
        }
    }
    sample_release (&sample);
    house_release (&house);
}

/* All answers of a key, or none: on whichever node, whoever asks. */
Test (samples, have_whole_histories_of_some_keys)
{
    enum { ROUNDS = 6 };
    bool chosen[2][PAYMENTS_USERS];
    for (uint64_t node = 0; node < 2; node++) {
        house_t house;
        start (&house, 91 + node, 0.4);
        for (int i = 0; i < ROUNDS; i++) {
            ask_all (&house);
            house_add (&house, 20);
            write_all (&house);
            if (i == 3)
                house_restart (&house);
            house_pass (&house, 2 * TIME_SECOND);
        }
        write_all (&house);
        sample_t sample = sample_read (&house);
        for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
            chosen[node][user] = sample.of_user[user] > 0;
            cr_assert (sample.of_user[user] == 0 || sample.of_user[user] == ROUNDS, "%zu",
                       sample.of_user[user]);
        }
        cr_assert_gt (sample.users, 0);
        cr_assert_lt (sample.users, PAYMENTS_USERS);
        sample_release (&sample);
        house_release (&house);
    }
    cr_assert_eq (memcmp (chosen[0], chosen[1], sizeof chosen[0]), 0);
}

static void ask_for (house_t *house, const char *name)
{
    house_get (house, name, NULL, 0);
    house_ask (house);
    (void)house_reply (house, MESSAGE_GET_OK);
}

/* Of views and services alike, when their keys are the same; half of what chance gives is chosen by
 * a greater share, too. */
Test (samples, are_of_the_same_keys_for_all_that_is_asked_and_for_greater_shares)
{
    static const double shares[] = { 0.2, 0.4, 0.6, 0.9 };
    size_t before[PAYMENTS_USERS] = { 0 };
    size_t least = 0;
    for (size_t s = 0; s < 4; s++) {
        house_t house;
        house_init_sampled (&house, 93, shares[s], MUCH, TIME_DAY);
        house.service = true;
        house.definitions = house.owners_definitions = 2;
        house_pass (&house, TIME_SECOND);
        house_add (&house, 100);
        ask_for (&house, "spend");
        ask_for (&house, "visits");
        ask_for (&house, "earlier");
        write_all (&house);
        sample_t sample = sample_read (&house);
        for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
            cr_assert (sample.of_user[user] == 0 || sample.of_user[user] == 3);
            cr_assert_geq (sample.of_user[user], before[user]);
            before[user] = sample.of_user[user];
        }
        cr_assert_geq (sample.users, least);
        least = sample.users;
        for (size_t i = 0; i < sample.count; i++) {
            const kept_t *kept = &sample.answers[i];
            bool earlier = strcmp (kept->name, "earlier") == 0;
            cr_assert_eq (kept->service, earlier);
            cr_assert_eq ((kept->flags & SAMPLE_BEFORE) != 0, earlier);
        }
        sample_release (&sample);
        house_release (&house);
    }
    cr_assert_geq (least, 9);
}

Test (samples, are_not_there_when_none_is_wanted)
{
    house_t house;
    start (&house, 94, 0);
    ask_all (&house);
    write_all (&house);
    cr_assert_eq (sample_count (&house), 0);
    cr_assert_eq (house_metric (&house, "samples"), UINT64_MAX, "nothing is told of them");
    cr_assert_not (house.samples);
    house_release (&house);
}

/* What is of one layer alone stands nowhere; what is not complete says so. */
Test (samples, have_no_parts_and_say_what_is_not_complete)
{
    static const char *const parts[] = { "batch", "realtime" };
    house_t house;
    start (&house, 95, 1);
    for (size_t i = 0; i < 2; i++) {
        house_get (&house, "spend", NULL, 0);
        wire_field_string (house.writer, "part", parts[i]);
        house_ask (&house);
        (void)house_reply (&house, MESSAGE_GET_OK);
    }
    write_all (&house);
    cr_assert_eq (sample_count (&house), 0);
    house.silent_partition = 1; /* 0 */
    house_get (&house, "spend", NULL, 0);
    house_ask (&house);
    house_pass (&house, HOUSE_DEADLINE + 10 * TIME_MS);
    (void)house_reply (&house, MESSAGE_GET_OK);
    write_all (&house);
    sample_t sample = sample_read (&house);
    cr_assert_eq (sample.count, PAYMENTS_USERS);
    for (size_t i = 0; i < sample.count; i++) {
        const kept_t *kept = &sample.answers[i];
        cr_assert_eq (kept->flags, kept->partition == 0 ? 0 : SAMPLE_COMPLETE);
        if (kept->partition == 0)
            cr_assert_eq (kept->position, kept->cut, "as far as the batch view goes");
    }
    sample_release (&sample);
    house_release (&house);
}

/* ---- when, and how much ---- */

Test (samples, are_written_each_second_or_when_they_are_many)
{
    house_t house;
    start (&house, 96, 1);
    ask_all (&house);
    house_pass (&house, SAMPLES_WAIT - 20 * TIME_MS);
    cr_assert_eq (sample_count (&house), 0);
    cr_assert_eq (house_metric (&house, "samples"), PAYMENTS_USERS);
    cr_assert_eq (house_metric (&house, "samples_written"), 0);
    house_pass (&house, 40 * TIME_MS);
    cr_assert_eq (sample_count (&house), PAYMENTS_USERS);
    cr_assert_eq (house_metric (&house, "samples_written"), PAYMENTS_USERS);
    size_t asked = 0;
    for (; sample_count (&house) == PAYMENTS_USERS; asked++) { /* no time goes by */
        cr_assert_lt (asked, 1000);
        ask_all (&house);
    }
    cr_assert_gt (asked, 10);
    write_all (&house);
    cr_assert_eq (sample_count (&house), (asked + 1) * PAYMENTS_USERS);
    house_release (&house);
}

/* Of the sample's job, and of no other. */
static void run_but_samples (house_t *house)
{
    for (job_t *job; (job = rig_env_run_lane (&house->rig, 0)) != NULL;)
        serving_core_job_done (house->core, job);
}

/* While the disk is slow all is answered, and what is over a block is dropped and counted. */
Test (samples, of_a_slow_disk_are_dropped_and_no_answer_waits)
{
    house_t house;
    start (&house, 97, 1);
    house.hold_jobs = true;
    size_t asked = 0;
    while (house_metric (&house, "samples_dropped") == 0) {
        cr_assert_lt (asked, 3000);
        ask_all (&house);
        run_but_samples (&house);
        asked++;
    }
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (rig_env_jobs (&house.rig), 1, "one at a time");
    cr_assert_eq (sample_count (&house), 0);
    for (int i = 0; i < 20; i++, asked++)
        ask_all (&house);
    house.hold_jobs = false;
    house_pass (&house, 2 * TIME_SECOND);
    uint64_t dropped = house_metric (&house, "samples_dropped");
    uint64_t taken = house_metric (&house, "samples");
    cr_assert_geq (dropped, 20 * PAYMENTS_USERS);
    cr_assert_eq (taken + dropped, asked * PAYMENTS_USERS);
    cr_assert_eq (house_metric (&house, "samples_written"), taken);
    cr_assert_eq (sample_count (&house), taken);
    ask_all (&house); /* and it goes on */
    write_all (&house);
    cr_assert_eq (sample_count (&house), taken + PAYMENTS_USERS);
    cr_assert_eq (house_metric (&house, "samples_dropped"), dropped);
    house_release (&house);
}

/* The disk fails in whichever way: answers are what they were, the sample is whole blocks of those
 * that it says are written, and goes on when the disk does. */
Test (samples, of_a_disk_that_fails_are_dropped_and_no_answer_fails)
{
    static const sim_disk_faults_t faults[] = {
        { .no_space = 1 },
        { .write_error = 1 },
        { .name_error = 1 },
        { .read_error = 1 },
        { .no_space = 0.3 },
        { .write_error = 0.3 },
        { .name_error = 0.3, .read_error = 0.3 },
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        house_t house;
        start (&house, 100 + i, 1);
        ask_all (&house);
        write_all (&house);
        if (i % 2)
            house_restart (&house); /* then it has to look what there is */
        house_pass (&house, 2 * TIME_SECOND);
        sim_disk_set_faults (house.disk, &faults[i]);
        for (int round = 0; round < 10; round++) {
            ask_all (&house);
            write_all (&house);
        }
        sim_disk_set_faults (house.disk, &(sim_disk_faults_t){ 0 });
        ask_all (&house);
        write_all (&house);
        uint64_t written = house_metric (&house, "samples_written");
        uint64_t dropped = house_metric (&house, "samples_dropped");
        bool all = i == 0 || i == 1;
        cr_assert (!all || dropped == 10 * PAYMENTS_USERS, "%zu: %lu", i, dropped);
        cr_assert_eq (written + dropped, (i % 2 ? 11 : 12) * PAYMENTS_USERS);
        cr_assert_eq (sample_count (&house), written + (i % 2 ? PAYMENTS_USERS : 0));
        house_release (&house);
    }
}

Test (samples, are_never_more_than_may_be_kept)
{
    enum { SIZE = 64 << 10 };
    house_t house;
    house_init_sampled (&house, 110, 1, SIZE, TIME_DAY);
    house_add (&house, 200);
    house_pass (&house, TIME_SECOND);
    for (int i = 0; i < 300; i++) {
        ask_all (&house);
        write_all (&house);
    }
    sample_t sample = sample_read (&house);
    cr_assert_leq (sample.bytes, SIZE);
    cr_assert_geq (sample.bytes, SIZE / 2);
    cr_assert_gt (sample.segments, 2);
    cr_assert_lt (sample.count, 300 * PAYMENTS_USERS);
    /* the latest are there */
    cr_assert_eq (sample.answers[sample.count - 1].time,
                  house.rig.clock - SAMPLES_WAIT - 20 * TIME_MS);
    sample_release (&sample);
    house_release (&house);
}

Test (samples, that_are_old_go)
{
    house_t house;
    house_init_sampled (&house, 111, 1, MUCH, TIME_HOUR);
    house_add (&house, 50);
    house_pass (&house, TIME_SECOND);
    for (int i = 0; i < 40; i++) {
        ask_all (&house);
        write_all (&house);
        rig_env_pass (&house.rig, 10 * TIME_MINUTE);
        house_pass (&house, 2 * TIME_SECOND); /* for another lease */
    }
    sample_t sample = sample_read (&house);
    cr_assert_geq (sample.count, 6 * PAYMENTS_USERS);
    cr_assert_leq (sample.count, 9 * PAYMENTS_USERS);
    sample_release (&sample);
    house_release (&house);
}

/* ---- restarts ---- */

/* What was gathered goes with the process, what was written stays, and the next one goes on. */
Test (samples, go_on_after_a_restart)
{
    house_t house;
    start (&house, 112, 1);
    ask_all (&house);
    write_all (&house);
    ask_all (&house);
    house.hold_jobs = true;
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (rig_env_jobs (&house.rig), 1, "a write is under way");
    ask_all (&house);
    house_restart (&house);
    house.hold_jobs = false;
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (sample_count (&house), PAYMENTS_USERS);
    ask_all (&house);
    write_all (&house);
    cr_assert_eq (sample_count (&house), 2 * PAYMENTS_USERS);
    cr_assert_eq (house_metric (&house, "samples"), PAYMENTS_USERS);
    house_release (&house);
}

/* A power cut may take what was not synced, which is all of it: it leaves whole blocks once the
 * next process has written. */
Test (samples, are_whole_after_a_power_cut)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        house_t house;
        start (&house, 120 + seed, 1);
        for (int i = 0; i < 5; i++) {
            ask_all (&house);
            write_all (&house);
            if (i == 2)
                sim_disk_settle (house.disk);
        }
        serving_core_destroy (&house.core);
        rig_env_drop_jobs (&house.rig);
        sim_disk_crash (house.disk, &house.random);
        house_restart (&house);
        house_pass (&house, 2 * TIME_SECOND);
        ask_all (&house);
        write_all (&house);
        size_t kept = sample_count (&house);
        cr_assert_geq (kept, 4 * PAYMENTS_USERS);
        cr_assert_leq (kept, 6 * PAYMENTS_USERS);
        house_release (&house);
    }
}

/* ---- entities that are erased ---- */

/* The next dataset lacks one entity more. */
static void publish_without (house_t *house)
{
    size_t before = house->manifest[house->manifests].forgets;
    house_publish (house, 1, false, false)->forgets = before + 1;
}

/* All goes that stood on a dataset that has it: what is written, being written, and gathered. */
Test (samples, go_when_an_entity_is_erased)
{
    house_t house;
    start (&house, 140, 1);
    ask_all (&house);
    write_all (&house);
    cr_assert_eq (sample_count (&house), PAYMENTS_USERS);
    ask_all (&house);
    publish_without (&house);
    house_pass (&house, 3 * TIME_SECOND);
    cr_assert_eq (house.reported, 2);
    cr_assert_eq (sample_count (&house), 0);
    ask_all (&house);
    write_all (&house);
    sample_t sample = sample_read (&house);
    cr_assert_eq (sample.count, PAYMENTS_USERS);
    for (size_t i = 0; i < sample.count; i++)
        cr_assert_eq (sample.answers[i].manifest, 2);
    sample_release (&sample);
    house_publish (&house, 1, false, false)->forgets = 1; /* none is erased by it */
    house_pass (&house, 3 * TIME_SECOND);
    cr_assert_eq (sample_count (&house), PAYMENTS_USERS);
    house_release (&house);
}

Test (samples, that_are_being_written_go_when_an_entity_is_erased)
{
    house_t house;
    start (&house, 141, 1);
    house.hold_jobs = true;
    ask_all (&house);
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert_eq (rig_env_jobs (&house.rig), 1, "a write is under way");
    ask_all (&house);
    publish_without (&house);
    for (int i = 0; i < 300 && house.reported != 2; i++) { /* others of its jobs are done */
        house_pass (&house, 10 * TIME_MS);
        run_but_samples (&house);
    }
    cr_assert_eq (house.reported, 2);
    cr_assert (house.stale_sample, "what is being written may have it");
    cr_assert_eq (sample_count (&house), 0);
    house.hold_jobs = false;
    house_pass (&house, 10 * TIME_MS);
    cr_assert_not (house.stale_sample, "told as soon as it is gone");
    house_pass (&house, TIME_SECOND);
    cr_assert_eq (sample_count (&house), 0);
    house_release (&house);
}

/* It was asked before, of a dataset that has the entity, and is answered after. */
Test (samples, of_queries_that_were_under_way_when_an_entity_was_erased_are_not_kept)
{
    house_t house;
    start (&house, 142, 1);
    publish_without (&house);
    house.hold_jobs = true;
    for (int i = 0; i < 300 && rig_env_jobs (&house.rig) == 0; i++)
        house_pass (&house, 10 * TIME_MS);
    cr_assert_eq (rig_env_jobs (&house.rig), 1, "the dataset is being opened");
    house.owners = OWNERS_LATE;
    house_get (&house, "spend", NULL, 0);
    house_ask (&house);
    house.hold_jobs = false;
    for (int i = 0; i < 20 && house.reported != 2; i++) /* before owners are asked again */
        house_pass (&house, 10 * TIME_MS);
    cr_assert_eq (house.reported, 2);
    cr_assert_not (house_answered (&house));
    house_answers (&house);
    message_t message = house_reply (&house, MESSAGE_GET_OK);
    const wire_value_t *result = &wire_list (message.body, "results").items[0];
    cr_assert (text_is (wire_text (result, "dataset"), "d1"), "it stands on what it began with");
    write_all (&house);
    cr_assert_eq (sample_count (&house), 0);
    cr_assert_eq (house_metric (&house, "samples_dropped"), PAYMENTS_USERS);
    house.owners = OWNERS_ANSWER;
    ask_all (&house);
    write_all (&house);
    cr_assert_eq (sample_count (&house), PAYMENTS_USERS);
    house_release (&house);
}

/* It does not know what was erased while it was away. */
Test (samples, begin_anew_at_a_node_that_starts_with_a_dataset_without_an_entity)
{
    for (int erased = 0; erased < 2; erased++) {
        house_t house;
        start (&house, 143, 1);
        ask_all (&house);
        write_all (&house);
        house.manifest[1].forgets = (size_t)erased;
        house_restart (&house);
        house_pass (&house, 3 * TIME_SECOND);
        cr_assert_eq (sample_count (&house), erased ? 0 : PAYMENTS_USERS);
        house_release (&house);
    }
}

/* It is tried again until it is done, now and then, and nothing is written before. */
Test (samples, that_cannot_be_removed_are_removed_when_the_disk_works)
{
    house_t house;
    start (&house, 144, 1);
    ask_all (&house);
    write_all (&house);
    publish_without (&house);
    house.hold_jobs = true;
    for (int i = 0; i < 300 && house.reported != 2; i++) {
        house_pass (&house, 10 * TIME_MS);
        run_but_samples (&house);
    }
    cr_assert_eq (house.reported, 2);
    sim_disk_set_faults (house.disk, &(sim_disk_faults_t){ .name_error = 1 });
    house.hold_jobs = false;
    uint64_t calls = sim_disk_calls (house.rig.env.fs);
    house_pass (&house, 5 * TIME_SECOND);
    cr_assert_lt (sim_disk_calls (house.rig.env.fs) - calls, 50, "now and then");
    ask_all (&house);
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert (house.stale_sample, "that is not told to be over");
    sim_disk_set_faults (house.disk, &(sim_disk_faults_t){ 0 });
    house_pass (&house, 2 * TIME_SECOND);
    cr_assert (house.samples);
    cr_assert_not (house.stale_sample);
    sample_t sample = sample_read (&house);
    cr_assert_eq (sample.count, PAYMENTS_USERS, "those that came after");
    for (size_t i = 0; i < sample.count; i++)
        cr_assert_eq (sample.answers[i].manifest, 2);
    sample_release (&sample);
    house_release (&house);
}
