/* What a speed worker takes in, and when it says that there will be room. */
#include "speed-worker/pressure.h"

#include "base/timestamp.h"

#include <criterion/criterion.h>

enum { MIB = 1 << 20 };

Test (pressure, takes_in_what_fits_and_refuses_the_rest_with_a_time)
{
    pressure_t pressure;
    error_t error;
    pressure_init (&pressure, 100 * MIB);
    memory_t memory = { .views = 70 * MIB };
    pressure_take (&pressure, &memory, TIME_SECOND);
    size_t taken = 0;
    while (pressure_reserve (&pressure, MIB / 4, &error) == STATUS_OK)
        taken += MIB / 4;
    cr_assert_geq (taken * PRESSURE_GROWTH, 9 * MIB);
    cr_assert_lt (taken * PRESSURE_GROWTH, 10 * MIB);
    cr_assert_eq (error.status, STATUS_BUSY);
    cr_assert_geq (error.retry_ms, PRESSURE_RETRY_MIN);
    cr_assert_leq (error.retry_ms, PRESSURE_RETRY_MAX);
    cr_assert (pressure_due (&pressure, TIME_SECOND + 1), "what was taken in is to be counted");
    memory.views = 60 * MIB;
    pressure_take (&pressure, &memory, 2 * TIME_SECOND);
    cr_assert_eq (pressure_reserve (&pressure, MIB, &error), STATUS_OK);
}

Test (pressure, tables_that_stay_do_not_stop_all_events_for_good)
{
    pressure_t pressure;
    error_t error;
    pressure_init (&pressure, 16 * MIB);
    memory_t memory = { .producers = 20 * MIB, .logs = 20 * MIB };
    pressure_take (&pressure, &memory, TIME_SECOND);
    cr_assert_eq (pressure_reserve (&pressure, MIB, &error), STATUS_OK);
    memory.views = 7 * MIB;
    pressure_take (&pressure, &memory, 2 * TIME_SECOND);
    cr_assert_eq (pressure_reserve (&pressure, MIB, &error), STATUS_BUSY);
}

/* To wait would be of no use. */
Test (pressure, refuses_for_good_what_never_fits)
{
    pressure_t pressure;
    error_t error;
    pressure_init (&pressure, 16 * MIB);
    size_t most = pressure_admits (&pressure) / PRESSURE_GROWTH;
    cr_assert_eq (pressure_check_size (&pressure, most, &error), STATUS_TOO_LARGE);
    cr_assert_eq (error.retry_ms, 0);
    cr_assert_eq (pressure_check_size (&pressure, most - 1, &error), STATUS_OK);
    cr_assert_eq (pressure_reserve (&pressure, most - 1, &error), STATUS_OK);
    cr_assert_eq (pressure_reserve (&pressure, most - 1, &error), STATUS_BUSY);
}

Test (pressure, counts_each_part)
{
    memory_t memory = { 0 };
    size_t parts = 0;
#define X(name) memory.name = ++parts;
    MEMORY_TABLE (X)
#undef X
    cr_assert_eq (memory_total (&memory), parts * (parts + 1) / 2);
}

Test (pressure, waits_as_long_as_it_takes_at_the_rate_of_late)
{
    drain_t drain = { .window = 5 * TIME_SECOND };
    for (int64_t ms = 100; ms <= 20000; ms += 100)
        drain_look (&drain, (uint64_t)ms * 1000, ms * TIME_MS); /* 1000 bytes a ms */
    cr_assert_eq (drain_wait_ms (&drain, 0), 0);
    uint32_t wait = drain_wait_ms (&drain, 2000 * 1000);
    cr_assert (wait >= 1990 && wait <= 2010, "%u", wait);
    cr_assert_eq (drain_wait_ms (&drain, 1), PRESSURE_RETRY_MIN);
    cr_assert_eq (drain_wait_ms (&drain, UINT64_C (1) << 50), PRESSURE_RETRY_MAX);
    /* it stops: after two windows nothing is known */
    for (int64_t ms = 20100; ms <= 32000; ms += 100)
        drain_look (&drain, 20000 * 1000, ms * TIME_MS);
    cr_assert_eq (drain_wait_ms (&drain, 1000), PRESSURE_RETRY_UNKNOWN);
    /* a partition went elsewhere, with its count */
    drain_look (&drain, 5, 33000 * TIME_MS);
    cr_assert_eq (drain_wait_ms (&drain, 1000), PRESSURE_RETRY_UNKNOWN);
}
