#include "tests/bench/hdr/hdr.h"

#include "base/random.h"
#include "tests/rig/scratch.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES = 20000 };

static int compare (const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Of all sizes, from nanoseconds to a minute. */
static int64_t some_value (random_t *random)
{
    return (int64_t)exp (random_unit (random) * log ((double)HDR_MAX));
}

Test (hdr, every_quantile_is_right_to_three_digits)
{
    static int64_t value[VALUES];
    random_t random;
    random_seed (&random, 1);
    hdr_t *hdr = hdr_new ();
    for (int i = 0; i < VALUES; i++)
        hdr_record (hdr, value[i] = some_value (&random));
    qsort (value, VALUES, sizeof *value, compare);
    for (int i = 1; i <= VALUES; i++) {
        int64_t found = hdr_quantile (hdr, ((double)i - 0.5) / VALUES);
        cr_assert (found >= value[i - 1] && found <= value[i - 1] + value[i - 1] / 1000,
                   "%lld for %lld", (long long)found, (long long)value[i - 1]);
    }
    cr_assert_eq (hdr_count (hdr), VALUES);
    cr_assert_eq (hdr_quantile (hdr, 1), hdr_max (hdr));
    hdr_destroy (&hdr);
}

Test (hdr, what_cannot_be_counted_is_counted_at_the_ends)
{
    hdr_t *hdr = hdr_new ();
    cr_assert_eq (hdr_quantile (hdr, 0.5), 0);
    hdr_record (hdr, -1);
    cr_assert_eq (hdr_max (hdr), 0);
    hdr_record (hdr, INT64_MAX);
    cr_assert (hdr_max (hdr) >= HDR_MAX && hdr_max (hdr) <= HDR_MAX + HDR_MAX / 1000);
    hdr_destroy (&hdr);
}

Test (hdr, adding_is_as_if_all_were_recorded_in_one)
{
    random_t random;
    random_seed (&random, 2);
    hdr_t *parts[2] = { hdr_new (), hdr_new () }, *all = hdr_new ();
    for (int i = 0; i < VALUES; i++) {
        int64_t value = some_value (&random);
        hdr_record (parts[i % 2], value);
        hdr_record (all, value);
    }
    hdr_add (parts[0], parts[1]);
    for (double quantile = 0; quantile <= 1; quantile += 0.01)
        cr_assert_eq (hdr_quantile (parts[0], quantile), hdr_quantile (all, quantile));
    cr_assert_eq (hdr_max (parts[0]), hdr_max (all));
    cr_assert (fabs (hdr_mean (parts[0]) - hdr_mean (all)) <= 1e-6);
    hdr_clear (all);
    cr_assert_eq (hdr_count (all), 0);
    hdr_destroy (&parts[0]);
    hdr_destroy (&parts[1]);
    hdr_destroy (&all);
}

/* 1, 4, 9 … 400 µs: as HdrHistogram itself writes them. */
static const char TEXT[] = "       Value     Percentile TotalCount 1/(1-Percentile)\n"
                           "\n"
                           "       1.000 0.000000000000          1           1.00\n"
                           "       4.001 0.100000000000          2           1.11\n"
                           "      16.007 0.200000000000          4           1.25\n"
                           "      36.031 0.300000000000          6           1.43\n"
                           "      64.031 0.400000000000          8           1.67\n"
                           "     100.031 0.500000000000         10           2.00\n"
                           "     121.023 0.550000000000         11           2.22\n"
                           "     144.127 0.600000000000         12           2.50\n"
                           "     169.087 0.650000000000         13           2.86\n"
                           "     196.095 0.700000000000         14           3.33\n"
                           "     225.023 0.750000000000         15           4.00\n"
                           "     256.127 0.775000000000         16           4.44\n"
                           "     256.127 0.800000000000         16           5.00\n"
                           "     289.023 0.825000000000         17           5.71\n"
                           "     289.023 0.850000000000         17           6.67\n"
                           "     324.095 0.875000000000         18           8.00\n"
                           "     324.095 0.887500000000         18           8.89\n"
                           "     324.095 0.900000000000         18          10.00\n"
                           "     361.215 0.912500000000         19          11.43\n"
                           "     361.215 0.925000000000         19          13.33\n"
                           "     361.215 0.937500000000         19          16.00\n"
                           "     361.215 0.943750000000         19          17.78\n"
                           "     361.215 0.950000000000         19          20.00\n"
                           "     400.127 0.956250000000         20          22.86\n"
                           "     400.127 1.000000000000         20\n"
                           "#[Mean    =      143.506, StdDeviation   =      124.664]\n"
                           "#[Max     =      400.127, Total count    =           20]\n"
                           "#[Buckets =           26, SubBuckets     =         2048]\n";

Test (hdr, text_is_that_of_hdrhistogram)
{
    scratch_t scratch;
    char text[4096];
    hdr_t *hdr = hdr_new ();
    for (int i = 1; i <= 20; i++)
        hdr_record (hdr, INT64_C (1000) * i * i);
    scratch_make (&scratch);
    cr_assert (hdr_write (hdr, scratch_path (&scratch, "squares.hgrm")));
    FILE *file = fopen (scratch_path (&scratch, "squares.hgrm"), "r");
    cr_assert_not_null (file);
    size_t size = fread (text, 1, sizeof text - 1, file);
    text[size] = 0;
    cr_assert_str_eq (text, TEXT);
    cr_assert_not (hdr_write (hdr, scratch_path (&scratch, "none/squares.hgrm")));
    fclose (file);
    scratch_remove (&scratch);
    hdr_destroy (&hdr);
}
