#include "storage/dedupe.h"

#include "base/mem.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NOW (INT64_C (1700000000) * TIME_SECOND)

static error_t error;

typedef struct id_bytes {
    char bytes[PRODUCER_SIZE];
} id_bytes_t;

static id_bytes_t id_of (int64_t created, uint64_t number)
{
    id_bytes_t id;
    for (int i = 0; i < 8; i++) {
        id.bytes[i] = (char)((uint64_t)created >> (56 - 8 * i));
        id.bytes[8 + i] = (char)(number >> (56 - 8 * i));
    }
    return id;
}

static text_t text_of_id (const id_bytes_t *id)
{
    return (text_t){ id->bytes, PRODUCER_SIZE };
}

static text_t encode (const dedupe_t *table, buf_t *buf)
{
    buf_clear (buf);
    dedupe_encode (table, buf);
    cr_assert_not (buf->bad);
    return (text_t){ (const char *)buf->data, (uint32_t)buf->size };
}

/* ---- a plain model: everything that was ever recorded ---- */

enum { PRODUCERS = 5, SEQUENCES = 400 };

typedef struct model {
    uint64_t highest[PRODUCERS];
    bool any[PRODUCERS];
    bool seen[PRODUCERS][SEQUENCES];
    dedupe_outcome_t outcome[PRODUCERS][SEQUENCES];
} model_t;

static const payload_refused_t refusals[3] = { { 3, { "amount: not a number", 20 } },
                                               { 9, { "", 0 } },
                                               { 70000, { "user_id is required", 19 } } };

static dedupe_verdict_t model_verdict (const model_t *model, size_t p, uint64_t sequence)
{
    if (!model->any[p] || sequence > model->highest[p])
        return DEDUPE_NEW;
    if (model->highest[p] - sequence >= DEDUPE_WINDOW)
        return DEDUPE_BELOW;
    return model->seen[p][sequence] ? DEDUPE_REPEAT : DEDUPE_NEW;
}

static void check_against (const dedupe_t *table, const model_t *model, const id_bytes_t *ids)
{
    for (size_t p = 0; p < PRODUCERS; p++)
        for (uint64_t s = 0; s < SEQUENCES; s++) {
            dedupe_outcome_t got;
            dedupe_verdict_t verdict =
                dedupe_check (table, text_of_id (&ids[p]), s, NOW, &got, &error);
            cr_assert_eq (verdict, model_verdict (model, p, s));
            if (verdict == DEDUPE_BELOW) {
                cr_assert_eq (got.offset, DEDUPE_NO_OFFSET);
                cr_assert_eq (error.status, STATUS_INVALID);
            }
            if (verdict != DEDUPE_REPEAT)
                continue;
            const dedupe_outcome_t *expected = &model->outcome[p][s];
            cr_assert_eq (got.offset, expected->offset);
            cr_assert_eq (got.accepted, expected->accepted);
            cr_assert_eq (got.refused_count, expected->refused_count);
            cr_assert_eq (got.refused_listed, expected->refused_listed);
            for (size_t i = 0; i < got.refused_listed; i++) {
                cr_assert_eq (got.refused[i].row, refusals[i].row);
                cr_assert (text_equal (got.refused[i].reason, refusals[i].reason));
            }
        }
}

Test (dedupe, answers_as_everything_recorded_would)
{
    buf_t buf;
    buf_t again;
    buf_init (&buf, DEDUPE_ENCODED_MAX);
    buf_init (&again, DEDUPE_ENCODED_MAX);
    for (uint64_t seed = 0; seed < 20; seed++) {
        random_t random;
        random_seed (&random, seed);
        static model_t model;
        memset (&model, 0, sizeof model);
        id_bytes_t ids[PRODUCERS];
        for (size_t p = 0; p < PRODUCERS; p++)
            ids[p] = id_of (NOW - (int64_t)random_below (&random, 1000), p);
        dedupe_t *table = dedupe_new ();
        uint64_t offset = 0;
        for (int step = 0; step < 600; step++) {
            size_t p = random_below (&random, PRODUCERS);
            uint64_t low = model.highest[p] > 80 ? model.highest[p] - 80 : 0;
            uint64_t s = low + random_below (&random, 90);
            s = random_chance (&random, 0.01) ? s + 70 : s;
            if (s >= SEQUENCES || model_verdict (&model, p, s) != DEDUPE_NEW)
                continue;
            dedupe_outcome_t outcome = { .offset = offset++,
                                         .accepted = (uint32_t)random_below (&random, 1000),
                                         .refused_listed = random_below (&random, 4),
                                         .refused = refusals };
            outcome.refused_count = (uint32_t)(outcome.refused_listed * 7);
            dedupe_record (table, text_of_id (&ids[p]), s, &outcome);
            model.seen[p][s] = true;
            model.highest[p] = s > model.highest[p] || !model.any[p] ? s : model.highest[p];
            model.any[p] = true;
            model.outcome[p][s] = outcome;
        }
        check_against (table, &model, ids);
        dedupe_t *copy = dedupe_new ();
        cr_assert_eq (dedupe_decode (encode (table, &buf), copy, &error), STATUS_OK, "%s",
                      error.text);
        check_against (copy, &model, ids);
        cr_assert (text_equal (encode (copy, &again), encode (table, &buf)));
        dedupe_destroy (&copy);
        dedupe_destroy (&table);
    }
    buf_release (&buf);
    buf_release (&again);
}

Test (dedupe, a_recorded_batch_is_not_recorded_again)
{
    dedupe_t *table = dedupe_new ();
    id_bytes_t id = id_of (NOW, 1);
    dedupe_outcome_t outcome = { .offset = 7, .accepted = 2 };
    dedupe_record (table, text_of_id (&id), 100, &outcome);
    dedupe_record (table, text_of_id (&id), 100, &(dedupe_outcome_t){ .offset = 9 });
    dedupe_record (table, text_of_id (&id), 30, &(dedupe_outcome_t){ .offset = 10 });
    dedupe_outcome_t got;
    cr_assert_eq (dedupe_check (table, text_of_id (&id), 100, NOW, &got, &error), DEDUPE_REPEAT);
    cr_assert_eq (got.offset, 7);
    cr_assert_eq (got.accepted, 2);
    cr_assert_eq (dedupe_check (table, text_of_id (&id), 36, NOW, &got, &error), DEDUPE_BELOW);
    cr_assert_eq (got.offset, DEDUPE_NO_OFFSET);
    cr_assert_eq (got.accepted, 0);
    cr_assert_eq (dedupe_check (table, text_of_id (&id), 37, NOW, &got, &error), DEDUPE_NEW);
    dedupe_destroy (&table);
    cr_assert_null (table);
}

Test (dedupe, a_window_begins_at_the_oldest_that_is_not_acknowledged)
{
    const struct {
        uint64_t sequence, oldest;
        bool good;
    } cases[] = {
        { 1, 1, true },
        { 64, 1, true },
        { 65, 1, false },
        { 65, 2, true },
        { 70, 70, true },
        { 70, 71, false },
        { 70, UINT64_MAX, false },
        { 1, 0, false },
        { 70, 0, false },
        { UINT64_MAX, UINT64_MAX - 63, true },
        { UINT64_MAX, UINT64_MAX - 64, false },
        { UINT64_MAX, 1, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq (dedupe_in_window (cases[i].sequence, cases[i].oldest, &error),
                      cases[i].good ? STATUS_OK : STATUS_INVALID, "case %zu", i);
    cr_assert_eq (dedupe_in_window (65, 1, &error), STATUS_INVALID);
    cr_assert_not_null (strstr (error.text, "nothing of it was written"), "%s", error.text);
}

/* What the window is for: while batches are recorded under it, and go out of it when they are
 * acknowledged, which is when they are recorded, none that is not is ever below. */
Test (dedupe, what_is_not_acknowledged_is_never_below_the_window)
{
    enum { LAST = 2000 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        random_t random;
        random_seed (&random, seed);
        id_bytes_t id = id_of (NOW, seed);
        dedupe_t *table = dedupe_new ();
        static bool done[LAST + DEDUPE_WINDOW + 1];
        memset (done, 0, sizeof done);
        uint64_t oldest = 1, offset = 0, ahead = 0;
        while (oldest <= LAST) {
            uint64_t s = oldest + random_below (&random, 2 * DEDUPE_WINDOW);
            dedupe_outcome_t got;
            if (dedupe_in_window (s, oldest, &error) != STATUS_OK) {
                cr_assert_geq (s, oldest + DEDUPE_WINDOW);
                ahead++;
                continue;
            }
            cr_assert_eq (dedupe_check (table, text_of_id (&id), s, NOW, &got, &error),
                          done[s] ? DEDUPE_REPEAT : DEDUPE_NEW);
            if (random_chance (&random, 0.3)) /* else there was no room for it */
                dedupe_record (table, text_of_id (&id), s,
                               &(dedupe_outcome_t){ .offset = offset++ });
            else
                continue;
            done[s] = true;
            while (done[oldest])
                oldest++;
        }
        cr_assert_gt (ahead, 100);
        dedupe_destroy (&table);
    }
}

Test (dedupe, producers_are_refused_by_age)
{
    dedupe_t *table = dedupe_new ();
    dedupe_outcome_t got;
    const struct {
        int64_t created;
        dedupe_verdict_t verdict;
    } cases[] = {
        { NOW, DEDUPE_NEW },
        { NOW - DEDUPE_AGE + 1, DEDUPE_NEW },
        { NOW - DEDUPE_AGE, DEDUPE_EXPIRED },
        { NOW + DEDUPE_AHEAD, DEDUPE_NEW },
        { NOW + DEDUPE_AHEAD + 1, DEDUPE_EXPIRED },
        { -1, DEDUPE_EXPIRED },
        { 0, DEDUPE_EXPIRED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        id_bytes_t id = id_of (cases[i].created, i);
        error_clear (&error);
        cr_assert_eq (dedupe_check (table, text_of_id (&id), 1, NOW, &got, &error),
                      cases[i].verdict);
        cr_assert_eq (error.status,
                      cases[i].verdict == DEDUPE_EXPIRED ? STATUS_INVALID : STATUS_OK);
    }
    cr_assert_eq (dedupe_check (table, text_of ("short"), 1, NOW, &got, &error), DEDUPE_EXPIRED);
    dedupe_destroy (&table);
}

Test (dedupe, expiry_forgets_just_what_is_refused_anyway)
{
    dedupe_t *table = dedupe_new ();
    for (uint64_t i = 0; i < 1000; i++) {
        id_bytes_t id = id_of (NOW + (int64_t)i, i);
        dedupe_record (table, text_of_id (&id), i, &(dedupe_outcome_t){ .offset = i });
    }
    dedupe_expire (table, NOW + DEDUPE_AGE + 299);
    cr_assert_eq (dedupe_producers (table), 700);
    for (uint64_t i = 0; i < 1000; i++) {
        id_bytes_t id = id_of (NOW + (int64_t)i, i);
        dedupe_outcome_t got;
        cr_assert_eq (
            dedupe_check (table, text_of_id (&id), i, NOW + DEDUPE_AGE + 299, &got, &error),
            i < 300 ? DEDUPE_EXPIRED : DEDUPE_REPEAT);
        if (i >= 300)
            cr_assert_eq (got.offset, i);
    }
    dedupe_destroy (&table);
}

/* An owner's clock jumped ahead, or the next one's is behind: what was forgotten is not taken for
 * new, and who comes later is taken. */
Test (dedupe, an_expired_producer_stays_refused_when_the_clock_goes_back)
{
    dedupe_t *table = dedupe_new ();
    dedupe_t *next = dedupe_new ();
    id_bytes_t old = id_of (NOW, 1);
    id_bytes_t kept = id_of (NOW + 1, 2);
    id_bytes_t later = id_of (NOW + 2, 3);
    dedupe_record (table, text_of_id (&old), 1, &(dedupe_outcome_t){ .offset = 1 });
    dedupe_record (table, text_of_id (&kept), 1, &(dedupe_outcome_t){ .offset = 2 });
    dedupe_expire (table, NOW + DEDUPE_AGE);
    cr_assert_eq (dedupe_producers (table), 1);
    buf_t buf;
    buf_init (&buf, DEDUPE_ENCODED_MAX);
    cr_assert_eq (dedupe_decode (encode (table, &buf), next, &error), STATUS_OK, "%s", error.text);
    dedupe_outcome_t got;
    const dedupe_t *tables[] = { table, next };
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq (dedupe_check (tables[i], text_of_id (&old), 1, NOW + TIME_DAY, &got, &error),
                      DEDUPE_EXPIRED);
        cr_assert_eq (dedupe_check (tables[i], text_of_id (&kept), 1, NOW + TIME_DAY, &got, &error),
                      DEDUPE_REPEAT);
    }
    dedupe_expire (next, NOW + 100 * DEDUPE_AGE);
    cr_assert_eq (dedupe_check (next, text_of_id (&kept), 1, NOW + TIME_DAY, &got, &error),
                  DEDUPE_EXPIRED);
    cr_assert_eq (dedupe_check (next, text_of_id (&later), 1, NOW + TIME_DAY, &got, &error),
                  DEDUPE_NEW);
    buf_release (&buf);
    dedupe_destroy (&next);
    dedupe_destroy (&table);
}

/* An evicted producer is refused from then on: never taken for a new one. */
Test (dedupe, too_many_producers_evict_the_oldest)
{
    dedupe_t *table = dedupe_new ();
    enum { MORE = DEDUPE_PRODUCERS_MAX + 1000 };
    for (uint64_t i = 0; i < MORE; i++) {
        id_bytes_t id = id_of (NOW + (int64_t)i, i);
        dedupe_record (table, text_of_id (&id), 1, &(dedupe_outcome_t){ .offset = i });
        cr_assert_leq (dedupe_producers (table), DEDUPE_PRODUCERS_MAX);
    }
    size_t refused = 0;
    for (uint64_t i = 0; i < MORE; i++) {
        id_bytes_t id = id_of (NOW + (int64_t)i, i);
        dedupe_outcome_t got;
        dedupe_verdict_t verdict =
            dedupe_check (table, text_of_id (&id), 1, NOW + MORE, &got, &error);
        cr_assert_neq (verdict, DEDUPE_NEW);
        refused += verdict == DEDUPE_EXPIRED;
    }
    cr_assert_eq (refused, MORE - dedupe_producers (table));
    buf_t buf;
    buf_init (&buf, DEDUPE_ENCODED_MAX);
    dedupe_t *copy = dedupe_new ();
    cr_assert_eq (dedupe_decode (encode (table, &buf), copy, &error), STATUS_OK);
    id_bytes_t evicted = id_of (NOW, 0);
    dedupe_outcome_t got;
    cr_assert_eq (dedupe_check (copy, text_of_id (&evicted), 1, NOW, &got, &error), DEDUPE_EXPIRED);
    dedupe_destroy (&copy);
    buf_release (&buf);
    dedupe_destroy (&table);
}

/* Whatever is recorded, the table stays below its stated sizes, and repeats stay repeats. */
Test (dedupe, the_table_is_bounded)
{
    dedupe_t *table = dedupe_new ();
    char text[300];
    memset (text, 'x', sizeof text);
    payload_refused_t refused[PAYLOAD_REFUSED_MAX];
    for (uint32_t i = 0; i < PAYLOAD_REFUSED_MAX; i++)
        refused[i] = (payload_refused_t){ UINT32_MAX - i, { text, sizeof text } };
    enum { SENDERS = 6000 };
    uint64_t offset = UINT64_MAX / 2;
    for (uint64_t s = 1; s <= 70; s++)
        for (uint64_t p = 0; p < SENDERS; p++) {
            id_bytes_t id = id_of (NOW, p);
            dedupe_outcome_t outcome = { .offset = offset++,
                                         .accepted = UINT32_MAX,
                                         .refused_count = UINT32_MAX,
                                         .refused_listed = p % 100 == 0 ? PAYLOAD_REFUSED_MAX : 0,
                                         .refused = refused };
            dedupe_record (table, text_of_id (&id), s, &outcome);
        }
    size_t known = 0;
    size_t listed = 0;
    for (uint64_t p = 0; p < SENDERS; p++)
        for (uint64_t s = 1; s <= 70; s++) {
            id_bytes_t id = id_of (NOW, p);
            dedupe_outcome_t got;
            cr_assert_eq (dedupe_check (table, text_of_id (&id), s, NOW, &got, &error),
                          s <= 70 - DEDUPE_WINDOW ? DEDUPE_BELOW : DEDUPE_REPEAT);
            known += got.offset != DEDUPE_NO_OFFSET;
            listed += got.refused_listed;
            cr_assert (got.offset == DEDUPE_NO_OFFSET || got.offset >= offset - DEDUPE_OUTCOMES_MAX,
                       "the last recorded are the ones kept");
        }
    cr_assert_eq (known, DEDUPE_OUTCOMES_MAX);
    cr_assert_gt (listed, 10000);
    cr_assert_leq (listed * (DEDUPE_REASON_MAX + 7), DEDUPE_DETAILS_MAX);
    buf_t buf;
    buf_t again;
    buf_init (&buf, DEDUPE_ENCODED_MAX);
    buf_init (&again, DEDUPE_ENCODED_MAX);
    text_t bytes = encode (table, &buf);
    dedupe_t *copy = dedupe_new ();
    cr_assert_eq (dedupe_decode (bytes, copy, &error), STATUS_OK, "%s", error.text);
    /* both go on in the same way: the order of recording came back */
    for (uint64_t i = 0; i < 3000; i++) {
        id_bytes_t id = id_of (NOW, i);
        dedupe_outcome_t outcome = { .offset = offset++ };
        dedupe_record (table, text_of_id (&id), 71, &outcome);
        dedupe_record (copy, text_of_id (&id), 71, &outcome);
    }
    cr_assert (text_equal (encode (table, &buf), encode (copy, &again)));
    buf_release (&buf);
    buf_release (&again);
    dedupe_destroy (&copy);
    dedupe_destroy (&table);
}

Test (dedupe, a_long_reason_is_cut_between_characters)
{
    dedupe_t *table = dedupe_new ();
    char text[DEDUPE_REASON_MAX + 10];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "\xe2\x82\xac"[i % 3];
    payload_refused_t refused = { 0, { text, sizeof text } };
    id_bytes_t id = id_of (NOW, 1);
    dedupe_outcome_t outcome = { .refused_count = 1, .refused_listed = 1, .refused = &refused };
    dedupe_record (table, text_of_id (&id), 1, &outcome);
    dedupe_outcome_t got;
    cr_assert_eq (dedupe_check (table, text_of_id (&id), 1, NOW, &got, &error), DEDUPE_REPEAT);
    cr_assert_eq (got.refused[0].reason.size, 198);
    cr_assert (text_is_utf8 (got.refused[0].reason));
    dedupe_destroy (&table);
}

Test (dedupe, bytes_that_are_no_table_are_refused)
{
    random_t random;
    random_seed (&random, 5);
    dedupe_t *table = dedupe_new ();
    for (uint64_t i = 0; i < 40; i++) {
        id_bytes_t id = id_of (NOW, i % 4);
        dedupe_outcome_t outcome = {
            .offset = i, .refused_count = 3, .refused_listed = i % 4, .refused = refusals
        };
        dedupe_record (table, text_of_id (&id), i, &outcome);
    }
    buf_t buf;
    buf_t again;
    buf_init (&buf, DEDUPE_ENCODED_MAX);
    buf_init (&again, DEDUPE_ENCODED_MAX);
    text_t bytes = encode (table, &buf);
    dedupe_t *copy = dedupe_new ();
    for (uint32_t size = 0; size < bytes.size; size++) {
        cr_assert_eq (dedupe_decode ((text_t){ bytes.data, size }, copy, &error), STATUS_CORRUPT);
        cr_assert_eq (dedupe_producers (copy), 0);
    }
    /* what is believed of damaged bytes is a table that can be written and read again */
    dedupe_t *third = dedupe_new ();
    for (uint32_t at = 0; at < bytes.size; at++) {
        uint8_t was = buf.data[at];
        buf.data[at] ^= (uint8_t)(1U << random_below (&random, 8));
        status_t status = dedupe_decode (bytes, copy, &error);
        buf.data[at] = was;
        if (status != STATUS_OK)
            continue;
        cr_assert_eq (dedupe_decode (encode (copy, &again), third, &error), STATUS_OK);
        cr_assert_eq (dedupe_producers (third), dedupe_producers (copy));
    }
    dedupe_destroy (&third);
    buf.data[0]++;
    cr_assert_eq (dedupe_decode (bytes, copy, &error), STATUS_VERSION);
    buf_release (&buf);
    buf_release (&again);
    dedupe_destroy (&copy);
    dedupe_destroy (&table);
}
