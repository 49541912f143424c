#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/timestamp.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static zone_t *opened (const char *name)
{
    error_t error;
    zone_t *zone;
    status_t status = zone_open (name, &zone, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    return zone;
}

static status_t local_time (const zone_t *zone, const char *text, const char *expected)
{
    error_t error;
    int64_t time = 0, expected_time;
    status_t status = time_parse (text_of (text), zone, UNIT_MS, &time, &error);
    if (status == STATUS_OK) {
        cr_assert_eq (time_parse (text_of (expected), NULL, UNIT_MS, &expected_time, &error),
                      STATUS_OK);
        cr_assert_eq (time, expected_time, "%s", text);
    }
    return status;
}

Test (zone, new_york_ambiguous_times_are_the_first_and_skipped_ones_invalid)
{
    zone_t *zone = opened ("America/New_York");
    cr_assert_eq (local_time (zone, "2026-01-15 12:00:00", "2026-01-15T17:00:00Z"), STATUS_OK);
    cr_assert_eq (local_time (zone, "2026-07-15 12:00:00", "2026-07-15T16:00:00Z"), STATUS_OK);
    /* clocks go from 02:00 to 03:00 on March 8 */
    cr_assert_eq (local_time (zone, "2026-03-08 01:59:59.999999", "2026-03-08T06:59:59.999999Z"),
                  STATUS_OK);
    cr_assert_eq (local_time (zone, "2026-03-08 02:00:00", ""), STATUS_INVALID);
    cr_assert_eq (local_time (zone, "2026-03-08 02:59:59.999999", ""), STATUS_INVALID);
    cr_assert_eq (local_time (zone, "2026-03-08 03:00:00", "2026-03-08T07:00:00Z"), STATUS_OK);
    /* and from 02:00 back to 01:00 on November 1 */
    cr_assert_eq (local_time (zone, "2026-11-01 01:00:00", "2026-11-01T05:00:00Z"), STATUS_OK);
    cr_assert_eq (local_time (zone, "2026-11-01 01:59:59.999999", "2026-11-01T05:59:59.999999Z"),
                  STATUS_OK);
    cr_assert_eq (local_time (zone, "2026-11-01 02:00:00", "2026-11-01T07:00:00Z"), STATUS_OK);
    /* a written offset beats the zone */
    cr_assert_eq (local_time (zone, "2026-03-08T02:30:00Z", "2026-03-08T02:30:00Z"), STATUS_OK);
    /* a date is its midnight */
    cr_assert_eq (local_time (zone, "2090-07-15", "2090-07-15T04:00:00Z"), STATUS_OK);
    zone_destroy (&zone);
    cr_assert_null (zone);
    zone_destroy (&zone);
}

Test (zone, a_day_that_was_left_out_is_invalid)
{
    zone_t *zone = opened ("Pacific/Apia");
    cr_assert_eq (local_time (zone, "2011-12-29 23:59:59", "2011-12-30T09:59:59Z"), STATUS_OK);
    cr_assert_eq (local_time (zone, "2011-12-30 12:00:00", ""), STATUS_INVALID);
    cr_assert_eq (local_time (zone, "2011-12-31 00:00:00", "2011-12-30T10:00:00Z"), STATUS_OK);
    zone_destroy (&zone);
}

static const char *const names[] = {
    "America/New_York", "Europe/Berlin",      "Europe/Dublin",       "Africa/Casablanca",
    "Asia/Kathmandu",   "Asia/Tehran",        "Australia/Lord_Howe", "Pacific/Apia",
    "Asia/Gaza",        "America/Nuuk",       "America/Sao_Paulo",   "UTC",
    "Etc/GMT+12",       "Pacific/Kiritimati", "Antarctica/Troll",
};

enum { NAMES = sizeof names / sizeof names[0] };

/* 1850 to 2250, often near the end of the tables and beyond them. */
static int64_t any_second (random_t *random)
{
    return INT64_C (-3786825600) + (int64_t)random_below (random, INT64_C (400) * 31556952);
}

Test (zone, offsets_are_those_of_the_c_library)
{
    random_t random;
    random_seed (&random, 31);
    for (int i = 0; i < NAMES; i++) {
        zone_t *zone = opened (names[i]);
        setenv ("TZ", names[i], 1);
        tzset ();
        for (int round = 0; round < 5000; round++) {
            time_t second = any_second (&random);
            struct tm local;
            localtime_r (&second, &local);
            cr_assert_eq (zone_offset (zone, second * TIME_SECOND), local.tm_gmtoff, "%s at %lld",
                          names[i], (long long)second);
        }
        zone_destroy (&zone);
    }
}

/* The first instant within two days that reads `local`, looked for a quarter of an hour at a time:
 * every difference of offsets of these zones after 1980 is a multiple of that. */
static bool find_slowly (const zone_t *zone, int64_t local, int64_t *utc)
{
    for (int64_t step = -2 * 96; step <= 2 * 96; step++) {
        *utc = local + step * 15 * TIME_MINUTE;
        if (*utc + zone_offset (zone, *utc) * TIME_SECOND == local)
            return true;
    }
    return false;
}

Test (zone, local_times_are_their_first_instant_or_there_is_none)
{
    random_t random;
    random_seed (&random, 32);
    int skipped = 0;
    for (int i = 0; i < NAMES; i++) {
        zone_t *zone = opened (names[i]);
        for (int round = 0; round < 2000; round++) {
            /* near a change of offset, where it is interesting */
            int64_t utc =
                (INT64_C (315532800) + (int64_t)random_below (&random, 4000000000)) * TIME_SECOND;
            int64_t later = utc + 300 * TIME_DAY;
            while (later - utc > TIME_MINUTE) {
                int64_t middle = utc + (later - utc) / 2;
                bool same = zone_offset (zone, middle) == zone_offset (zone, utc);
                *(same ? &utc : &later) = middle;
            }
            int64_t local = later + zone_offset (zone, later) * TIME_SECOND - 2 * TIME_HOUR +
                            (int64_t)random_below (&random, 4 * TIME_HOUR);
            int64_t expected, found;
            error_t error;
            bool exists = find_slowly (zone, local, &expected);
            status_t status = zone_to_utc (zone, local, &found, &error);
            cr_assert_eq (status, exists ? STATUS_OK : STATUS_INVALID, "%s", names[i]);
            int64_t start;
            cr_assert (zone_start (zone, local, &start));
            if (exists) {
                cr_assert_eq (found, expected, "%s", names[i]);
                cr_assert_eq (start, expected, "%s", names[i]);
            } else { /* the clock jumps over it */
                int64_t before = start - 1;
                cr_assert_gt (start + zone_offset (zone, start) * TIME_SECOND, local);
                cr_assert_lt (before + zone_offset (zone, before) * TIME_SECOND, local);
            }
            skipped += !exists;
        }
        zone_destroy (&zone);
    }
    cr_assert_gt (skipped, 100);
}

Test (zone, a_start_outside_int64_is_none)
{
    zone_t *zone = opened ("Europe/Berlin");
    int64_t utc;
    cr_assert (!zone_start (zone, INT64_MAX, &utc));
    cr_assert (!zone_start (zone, INT64_MIN, &utc));
    cr_assert (zone_start (zone, INT64_MAX - 5 * TIME_DAY, &utc));
    cr_assert (zone_start (zone, INT64_MIN + 5 * TIME_DAY, &utc));
    zone_destroy (&zone);
}

Test (zone, names_that_are_not_zones_are_refused)
{
    static const char *const bad[] = { "",    "../etc/passwd",  "/etc/passwd",    "Europe/",
                                       "a b", "Europe/Ber.lin", "Europe/Berlin\n" };
    error_t error;
    zone_t *zone;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq (zone_open (bad[i], &zone, &error), STATUS_INVALID, "%s", bad[i]);
    cr_assert_eq (zone_open ("Europe/Nowhere", &zone, &error), STATUS_NOT_FOUND);
    cr_assert_eq (zone_open ("Europe", &zone, &error), STATUS_NOT_FOUND);
    cr_assert_null (zone);
}

/* A file of version 2 without transitions, one type of offset 0, and the footer. */
static void make_file (buf_t *out, const char *footer)
{
    static const uint32_t old_counts[] = { 0, 0, 0, 0, 0, 0 }, counts[] = { 0, 0, 0, 0, 1, 4 };
    buf_clear (out);
    for (int block = 0; block < 2; block++) {
        buf_put_string (out, "TZif2");
        memset (buf_extend (out, 15), 0, 15);
        for (int i = 0; i < 6; i++)
            buf_put_u32 (out, __builtin_bswap32 ((block ? counts : old_counts)[i]));
    }
    buf_put (out, "\0\0\0\0\0\0UTC\0", 10);
    buf_printf (out, "\n%s\n", footer);
}

static status_t read_footer (const char *footer, zone_t **zone)
{
    error_t error;
    buf_t file;
    buf_init (&file, 1000);
    make_file (&file, footer);
    status_t status = zone_read (file.data, file.size, zone, &error);
    buf_release (&file);
    return status;
}

static int32_t offset_by (const char *footer, const char *time)
{
    zone_t *zone;
    error_t error;
    int64_t utc;
    cr_assert_eq (read_footer (footer, &zone), STATUS_OK, "%s", footer);
    cr_assert_eq (time_parse (text_of (time), NULL, UNIT_S, &utc, &error), STATUS_OK);
    int32_t offset = zone_offset (zone, utc);
    zone_destroy (&zone);
    return offset;
}

Test (zone, footers_are_followed)
{
    cr_assert_eq (offset_by ("", "2026-01-01"), 0);
    cr_assert_eq (offset_by ("<+0330>-3:30", "2026-01-01"), 12600);
    cr_assert_eq (offset_by ("EST5EDT,M3.2.0,M11.1.0", "2026-07-01"), -4 * 3600);
    cr_assert_eq (offset_by ("EST5EDT,M3.2.0,M11.1.0", "2026-12-01"), -5 * 3600);
    /* summer time all year */
    cr_assert_eq (offset_by ("EST5EDT,0/0,J365/25", "2026-01-01T05:00:00Z"), -4 * 3600);
    cr_assert_eq (offset_by ("XXX3EDT4,0/0,J365/23", "2026-01-01T03:00:00Z"), -4 * 3600);
    cr_assert_eq (offset_by ("XXX3EDT4,0/0,J365/23", "2026-01-01T02:59:59Z"), -4 * 3600);
    /* J60 is March 1 in every year; 59 is it only in years without February 29 */
    cr_assert_eq (offset_by ("A0B,J60/0,J300", "2024-02-29T23:59:59Z"), 0);
    cr_assert_eq (offset_by ("A0B,J60/0,J300", "2024-03-01T00:00:00Z"), 3600);
    cr_assert_eq (offset_by ("A0B,59/0,300", "2024-02-29T00:00:00Z"), 3600);
    cr_assert_eq (offset_by ("A0B,59/0,300", "2023-03-01T00:00:00Z"), 3600);
    cr_assert_eq (offset_by ("A0B,59/0,300", "2023-02-28T23:59:59Z"), 0);
    /* Nuuk: the last Sunday of March, an hour before its day begins */
    cr_assert_eq (offset_by ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z"), -7200);
    cr_assert_eq (offset_by ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z"), -3600);
}

Test (zone, malformed_footers_are_corrupt)
{
    static const char *const bad[] = {
        "5",
        "UTC",
        "UTC25",
        "EST5EDT",
        "EST5EDT,M3.2.0",
        "EST5EDT,M13.2.0,M11.1.0",
        "EST5EDT,M3.0.0,M11.1.0",
        "EST5EDT,M3.2.7,M11.1.0",
        "EST5EDT,J0,J365",
        "EST5EDT,0,366",
        "EST5EDT,M3.2.0/168,M11.1.0",
        "<UTC0",
        "<>0",
        "UTC0 ",
        "UTC99999999999999999999",
        "UTC0:60",
        "EST5EDT,M3.2.0,M11.1.0,",
        "UTC0:",
        "EST5EDT,M3.2.0/,M11.1.0",
    };
    zone_t *zone;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq (read_footer (bad[i], &zone), STATUS_CORRUPT, "%s", bad[i]);
        cr_assert_null (zone);
    }
}

/* Changes a few bytes, mostly in the counts; or cuts the file. */
static void damage (random_t *random, uint8_t *data, size_t *size)
{
    if (random_chance (random, 0.2))
        *size = random_below (random, *size);
    for (uint64_t i = random_below (random, 4); i > 0 && *size > 0; i--) {
        size_t end = random_chance (random, 0.3) && *size > 44 ? 44 : *size;
        data[random_below (random, end)] = (uint8_t)random_next (random);
    }
}

Test (zone, damaged_files_are_refused_or_give_bounded_offsets)
{
    static uint8_t whole[8192];
    FILE *file = fopen ("/usr/share/zoneinfo/America/New_York", "rb");
    cr_assert_not_null (file);
    size_t whole_size = fread (whole, 1, sizeof whole, file);
    fclose (file);
    random_t random;
    random_seed (&random, 33);
    int refused = 0, accepted = 0;
    for (int round = 0; round < 20000; round++) {
        size_t size = whole_size;
        uint8_t *data = mem_alloc (size); /* of its own, so that reading past it is seen */
        memcpy (data, whole, size);
        damage (&random, data, &size);
        data = mem_resize (data, size, 1);
        error_t error;
        zone_t *zone;
        if (zone_read (data, size, &zone, &error) == STATUS_OK) {
            int64_t utc, time = (int64_t)random_next (&random);
            cr_assert (abs (zone_offset (zone, time)) <= 93599);
            (void)!zone_to_utc (zone, time, &utc, &error);
            (void)!zone_to_utc (zone, INT64_MIN, &utc, &error);
            zone_destroy (&zone);
            accepted++;
        } else {
            cr_assert_null (zone);
            refused++;
        }
        mem_free (data);
    }
    cr_assert (refused > 1000 && accepted > 1000, "%d refused, %d accepted", refused, accepted);
}
