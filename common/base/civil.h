/* civil.h - days and dates of the proleptic Gregorian calendar (Hinnant, chrono-Compatible
 * Low-Level Date Algorithms, 2013). */
#ifndef WEIR_BASE_CIVIL_H
#define WEIR_BASE_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct civil {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
} civil_t;

/* Division rounding towards minus infinity; `by` is positive. */
static inline int64_t floor_divide (int64_t number, int64_t by)
{
    return number / by - (number % by < 0);
}

static inline bool civil_is_leap (int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* 28 to 31. */
static inline int civil_days_in_month (int64_t year, int month)
{
    if (month == 2)
        return civil_is_leap (year) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Days from 1970-01-01 to a date. */
static inline int64_t civil_days (int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_divide (y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* The date so many days after 1970-01-01. */
static inline civil_t civil_of_days (int64_t days)
{
    int64_t shifted = days + 719468;
    int64_t era = floor_divide (shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    int month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    int day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    return (civil_t){ year_of_era + era * 400 + (month <= 2), month, day };
}

#endif
