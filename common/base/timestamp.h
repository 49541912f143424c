/* timestamp.h - event times and durations: int64 µs, parsed and printed. */
#ifndef WEIR_BASE_TIMESTAMP_H
#define WEIR_BASE_TIMESTAMP_H

#include "base/buf.h"
#include "base/status.h"
#include "base/text.h"
#include "base/zone.h"

#include <stdint.h>

#define TIME_US     INT64_C (1)
#define TIME_MS     (INT64_C (1000) * TIME_US)
#define TIME_SECOND (INT64_C (1000) * TIME_MS)
#define TIME_MINUTE (INT64_C (60) * TIME_SECOND)
#define TIME_HOUR   (INT64_C (60) * TIME_MINUTE)
#define TIME_DAY    (INT64_C (24) * TIME_HOUR)
#define TIME_WEEK   (INT64_C (7) * TIME_DAY)

#define TIME_EVENT_MIN INT64_C (0)                  /* 1970-01-01T00:00:00Z */
#define TIME_EVENT_MAX INT64_C (253402300799999999) /* 9999-12-31T23:59:59.999999Z */

/* Unit of an integer time. */
typedef enum time_unit { UNIT_S, UNIT_MS, UNIT_US, UNIT_NS } time_unit_t;

/* From "s", "ms", "us", "ns". */
bool time_unit_from_word (text_t word, time_unit_t *unit);

/* An integer in `unit` as µs (ns round towards minus infinity). RANGE on overflow. */
MUST_CHECK status_t time_from_integer (int64_t number, time_unit_t unit, int64_t *time,
                                       error_t *error);

/* Reads RFC 3339 (2026-01-02T03:04:05.678+01:00, Z), YYYY-MM-DD[ T]HH:MM:SS[.f] taken in `zone`
 * (NULL is UTC), a date YYYY-MM-DD (midnight in `zone`), or an integer in `unit`. An ambiguous
 * local time is its first occurrence; a nonexistent one is INVALID. More than 6 fraction digits are
 * cut. A leap second :60 is read as :59.999999. No limit to 1970-9999 here beyond four-digit years.
 */
MUST_CHECK status_t time_parse (text_t text, const zone_t *zone, time_unit_t unit, int64_t *time,
                                error_t *error);

/* As time_parse in UTC and ms, and also "now", and a sign and duration relative to now: "-1h". */
MUST_CHECK status_t time_parse_argument (text_t text, int64_t now, int64_t *time, error_t *error);

/* Appends 2026-01-02T03:04:05.000000Z. Years outside 0-9999 are printed as integer µs. */
void time_format (buf_t *out, int64_t time);

/* Reads 1h, 90s, 7d, 250ms, 10us, 2w (d = 24 h, w = 7 d); a positive integer and one unit. */
MUST_CHECK status_t duration_parse (text_t text, int64_t *duration, error_t *error);

/* Appends the shortest such text: 604800000000 is 1w. */
void duration_format (buf_t *out, int64_t duration);

#endif
