/* Times: their parts by the clock of a zone, and as numbers. Everything is of the proleptic
 * Gregorian calendar. */
#include "base/check.h"
#include "base/civil.h"
#include "base/timestamp.h"
#include "base/value.h"
#include "expr/tree.h"

#include <math.h>

#define INLINE static inline __attribute__ ((always_inline))

INLINE void set_int (column_t *out, size_t row, bool ok, int64_t value)
{
    ok = ok && out->valid[row];
    out->valid[row] = ok;
    out->i[row] = ok ? value : 0;
}

/* What the zone's clock shows at `utc`, as if it were UTC; false when that is outside int64. */
INLINE bool local_of (const zone_t *zone, int64_t utc, int64_t *local)
{
    *local = utc;
    if (zone == NULL)
        return true;
    return !__builtin_add_overflow (utc, zone_offset (zone, utc) * TIME_SECOND, local);
}

/* ---- parts; `local` is what the clock shows ---- */

typedef int64_t part_t (int64_t local);

INLINE int64_t day_number (int64_t local)
{
    return floor_divide (local, TIME_DAY);
}

/* How many whole `unit`s of its day, hour or minute have gone by. */
INLINE int64_t within (int64_t local, int64_t period, int64_t unit)
{
    int64_t rest = local % period;
    return (rest < 0 ? rest + period : rest) / unit;
}

INLINE int64_t part_year (int64_t local)
{
    return civil_of_days (day_number (local)).year;
}

INLINE int64_t part_month (int64_t local)
{
    return civil_of_days (day_number (local)).month;
}

INLINE int64_t part_quarter (int64_t local)
{
    return (part_month (local) + 2) / 3;
}

INLINE int64_t part_day (int64_t local)
{
    return civil_of_days (day_number (local)).day;
}

INLINE int64_t part_hour (int64_t local)
{
    return within (local, TIME_DAY, TIME_HOUR);
}

INLINE int64_t part_minute (int64_t local)
{
    return within (local, TIME_HOUR, TIME_MINUTE);
}

INLINE int64_t part_second (int64_t local)
{
    return within (local, TIME_MINUTE, TIME_SECOND);
}

/* Monday is 1; 1970-01-01 was a Thursday. */
INLINE int64_t weekday_of (int64_t day)
{
    return day + 3 - floor_divide (day + 3, 7) * 7 + 1;
}

INLINE int64_t yearday_of (int64_t day)
{
    return day - civil_days (civil_of_days (day).year, 1, 1) + 1;
}

INLINE int64_t part_weekday (int64_t local)
{
    return weekday_of (day_number (local));
}

INLINE int64_t part_is_weekend (int64_t local)
{
    return part_weekday (local) >= 6;
}

INLINE int64_t part_yearday (int64_t local)
{
    return yearday_of (day_number (local));
}

/* ISO 8601: a week belongs to the year that has its Thursday. */
INLINE int64_t part_week (int64_t local)
{
    int64_t day = day_number (local);
    return (yearday_of (day + 4 - weekday_of (day)) - 1) / 7 + 1;
}

INLINE void each_part (const call_t *call, column_t *out, part_t *part)
{
    const vector_t *a = call->args[0];
    const zone_t *zone = call->node->call.zone;
    for (size_t r = 0; r < call->rows; r++) {
        int64_t local;
        bool ok = local_of (zone, a->column.i[r * a->step], &local);
        set_int (out, r, ok, part (local));
    }
}

#define PART_TABLE(X)                                                                              \
    X (year)                                                                                       \
    X (quarter)                                                                                    \
    X (month)                                                                                      \
    X (week)                                                                                       \
    X (day)                                                                                        \
    X (weekday)                                                                                    \
    X (yearday)                                                                                    \
    X (is_weekend)                                                                                 \
    X (hour)                                                                                       \
    X (minute)                                                                                     \
    X (second)

#define X(name)                                                                                    \
    void call_##name (const call_t *call, column_t *out)                                           \
    {                                                                                              \
        each_part (call, out, part_##name);                                                        \
    }
PART_TABLE (X)
#undef X

/* ---- date_trunc ---- */

static int64_t size_of_unit (unit_t unit)
{
    return unit == UNIT_OF_SECOND   ? TIME_SECOND
           : unit == UNIT_OF_MINUTE ? TIME_MINUTE
           : unit == UNIT_OF_HOUR   ? TIME_HOUR
                                    : TIME_DAY;
}

/* The day with which the week, month, quarter or year of a day begins. */
static int64_t first_day (unit_t unit, int64_t day)
{
    civil_t date = civil_of_days (day);
    switch (unit) {
    case UNIT_OF_WEEK:
        return day - weekday_of (day) + 1;
    case UNIT_OF_MONTH:
        return civil_days (date.year, date.month, 1);
    case UNIT_OF_QUARTER:
        return civil_days (date.year, date.month - (date.month - 1) % 3, 1);
    case UNIT_OF_YEAR:
        return civil_days (date.year, 1, 1);
    default:
        CHECK (unit == UNIT_OF_DAY);
        return day;
    }
}

/* Hours and less are cut in the offset that is in force; a day begins when the clock first shows
 * its midnight, or jumps over it. */
static bool truncate (const zone_t *zone, unit_t unit, int64_t utc, int64_t *result)
{
    int64_t local;
    if (!local_of (zone, utc, &local))
        return false;
    if (unit < UNIT_OF_DAY) {
        int64_t size = size_of_unit (unit);
        return !__builtin_sub_overflow (utc, within (local, size, 1), result);
    }
    if (__builtin_mul_overflow (first_day (unit, day_number (local)), TIME_DAY, &local))
        return false;
    *result = local;
    return zone == NULL || zone_start (zone, local, result);
}

void call_date_trunc (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[1];
    for (size_t r = 0; r < call->rows; r++) {
        int64_t value = 0;
        bool ok = truncate (call->node->call.zone, call->node->call.unit, a->column.i[r * a->step],
                            &value);
        set_int (out, r, ok, value);
    }
}

/* ---- times and durations as numbers ---- */

static void to_units (const call_t *call, column_t *out, int64_t unit)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++)
        set_int (out, r, true, floor_divide (a->column.i[r * a->step], unit));
}

void call_to_unix (const call_t *call, column_t *out)
{
    to_units (call, out, TIME_SECOND);
}

void call_to_unix_ms (const call_t *call, column_t *out)
{
    to_units (call, out, TIME_MS);
}

/* The nearest microsecond, an even one when two are as near. */
static bool from_float (double number, int64_t unit, int64_t *time)
{
    double scaled = rint (number * (double)unit);
    if (!(scaled >= -0x1p63 && scaled < 0x1p63))
        return false;
    *time = (int64_t)scaled;
    return true;
}

static void from_units (const call_t *call, column_t *out, int64_t unit)
{
    const vector_t *a = call->args[0];
    bool is_float = a->column.type == TYPE_FLOAT64;
    for (size_t r = 0; r < call->rows; r++) {
        int64_t value = 0;
        bool ok = is_float ? from_float (a->column.f[r * a->step], unit, &value)
                           : !__builtin_mul_overflow (a->column.i[r * a->step], unit, &value);
        set_int (out, r, ok, value);
    }
}

void call_from_unix (const call_t *call, column_t *out)
{
    from_units (call, out, TIME_SECOND);
}

void call_from_unix_ms (const call_t *call, column_t *out)
{
    from_units (call, out, TIME_MS);
}

/* Rounded to float64, then divided, as duration / 1s is. */
void call_to_seconds (const call_t *call, column_t *out)
{
    const vector_t *a = call->args[0];
    for (size_t r = 0; r < call->rows; r++) {
        double value = (double)a->column.i[r * a->step] / (double)TIME_SECOND;
        out->f[r] = out->valid[r] ? value_float (value) : 0.0;
    }
}
