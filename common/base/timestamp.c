#include "base/timestamp.h"

#include "base/civil.h"
#include "base/number.h"

#define EXPECTED                                                                                   \
    "expected RFC 3339 (2026-01-02T03:04:05Z), YYYY-MM-DD HH:MM:SS, YYYY-MM-DD or an integer"

enum { QUOTED_MAX = 64 }; /* bytes of the user's text in a message */

static status_t not_a_time (text_t text, const char *why, error_t *error)
{
    text_t quoted = { text.data, text.size < QUOTED_MAX ? text.size : QUOTED_MAX };
    return error_set (error, STATUS_INVALID, "'" TEXT_FORMAT "' is not a time: %s",
                      TEXT_ARGS (quoted), why);
}

bool time_unit_from_word (text_t word, time_unit_t *unit)
{
    static const char *const words[] = { "s", "ms", "us", "ns" };
    for (unsigned i = 0; i < 4; i++) {
        if (text_is (word, words[i])) {
            *unit = (time_unit_t)i;
            return true;
        }
    }
    return false;
}

status_t time_from_integer (int64_t number, time_unit_t unit, int64_t *time, error_t *error)
{
    static const int64_t factors[] = { TIME_SECOND, TIME_MS, TIME_US };
    if (unit == UNIT_NS) {
        *time = floor_divide (number, 1000);
        return STATUS_OK;
    }
    if (__builtin_mul_overflow (number, factors[unit], time))
        return error_set (error, STATUS_RANGE,
                          "the time %lld is too far from 1970; is it in a "
                          "finer unit than the field's?",
                          (long long)number);
    return STATUS_OK;
}

/* What is left to read. Functions take from the front, or answer false. */
static bool take_digits (text_t *text, uint32_t count, int *number)
{
    int sum = 0;
    if (text->size < count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        char c = text->data[i];
        if (c < '0' || c > '9')
            return false;
        sum = 10 * sum + (c - '0');
    }
    *number = sum;
    *text = (text_t){ text->data + count, text->size - count };
    return true;
}

/* One of the characters of `set`. */
static bool take_one (text_t *text, const char *set)
{
    if (text->size == 0 || text->data[0] == '\0' || !strchr (set, text->data[0]))
        return false;
    *text = (text_t){ text->data + 1, text->size - 1 };
    return true;
}

/* YYYY-MM-DD as µs at midnight. */
static bool take_date (text_t *text, int64_t *time)
{
    int year, month, day;
    if (!take_digits (text, 4, &year) || !take_one (text, "-") || !take_digits (text, 2, &month) ||
        !take_one (text, "-") || !take_digits (text, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > civil_days_in_month (year, month))
        return false;
    *time = civil_days (year, month, day) * TIME_DAY;
    return true;
}

/* .f, cut to µs. */
static bool take_fraction (text_t *text, int64_t *fraction)
{
    int64_t unit = TIME_SECOND;
    int digit;
    uint32_t before = text->size;
    while (take_digits (text, 1, &digit)) {
        unit /= 10;
        *fraction += digit * unit;
    }
    return text->size < before;
}

/* HH:MM:SS[.f] as µs. */
static bool take_clock (text_t *text, int64_t *time)
{
    int hour, minute, second;
    int64_t fraction = 0;
    if (!take_digits (text, 2, &hour) || !take_one (text, ":") || !take_digits (text, 2, &minute) ||
        !take_one (text, ":") || !take_digits (text, 2, &second))
        return false;
    if (take_one (text, ".") && !take_fraction (text, &fraction))
        return false;
    if (hour > 23 || minute > 59 || second > 60)
        return false;
    if (second == 60) { /* a leap second has no µs of its own */
        second = 59;
        fraction = TIME_SECOND - 1;
    }
    *time = hour * TIME_HOUR + minute * TIME_MINUTE + second * TIME_SECOND + fraction;
    return true;
}

/* Z, +HH:MM or -HH:MM as µs east of UTC. */
static bool take_offset (text_t *text, int64_t *offset)
{
    int hours, minutes;
    *offset = 0;
    if (take_one (text, "Zz"))
        return true;
    bool west = text->size > 0 && text->data[0] == '-';
    if (!take_one (text, "+-") || !take_digits (text, 2, &hours) || !take_one (text, ":") ||
        !take_digits (text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *offset = (hours * TIME_HOUR + minutes * TIME_MINUTE) * (west ? -1 : 1);
    return true;
}

/* Reads a date and perhaps a time of day. False when it is not well formed. */
static bool read_calendar (text_t text, int64_t *local, bool *has_offset, int64_t *offset)
{
    int64_t clock = 0;
    *has_offset = false;
    if (!take_date (&text, local))
        return false;
    if (text.size > 0) {
        if (!take_one (&text, "Tt ") || !take_clock (&text, &clock))
            return false;
        *has_offset = text.size > 0;
        if (*has_offset && !take_offset (&text, offset))
            return false;
    }
    *local += clock;
    return text.size == 0;
}

/* Is it a sign and digits, so that only its size can be wrong? */
static bool looks_like_integer (text_t text)
{
    uint32_t at = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    uint32_t start = at;
    while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9')
        at++;
    return at == text.size && at > start;
}

status_t time_parse (text_t text, const zone_t *zone, time_unit_t unit, int64_t *time,
                     error_t *error)
{
    int64_t number;
    if (number_parse_int (text, &number))
        return time_from_integer (number, unit, time, error);
    if (looks_like_integer (text))
        return error_set (error, STATUS_RANGE, "the time is too far from 1970");
    int64_t local, offset;
    bool has_offset;
    if (!read_calendar (text, &local, &has_offset, &offset))
        return not_a_time (text, EXPECTED, error);
    if (has_offset || !zone) {
        *time = has_offset ? local - offset : local;
        return STATUS_OK;
    }
    status_t status = zone_to_utc (zone, local, time, error);
    return status == STATUS_OK ? status : not_a_time (text, "its zone's clock skips it", error);
}

status_t time_parse_argument (text_t text, int64_t now, int64_t *time, error_t *error)
{
    if (text_is (text, "now")) {
        *time = now;
        return STATUS_OK;
    }
    bool sign = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+');
    if (sign && !looks_like_integer (text)) {
        int64_t distance;
        text_t rest = { text.data + 1, text.size - 1 };
        status_t status = duration_parse (rest, &distance, error);
        if (status != STATUS_OK)
            return error_prefix (error, "a time relative to now");
        bool overflow = text.data[0] == '-' ? __builtin_sub_overflow (now, distance, time)
                                            : __builtin_add_overflow (now, distance, time);
        return overflow ? error_set (error, STATUS_RANGE, "the time is too far from now")
                        : STATUS_OK;
    }
    error_t reason;
    status_t status = time_parse (text, NULL, UNIT_MS, time, &reason);
    if (status == STATUS_INVALID)
        return not_a_time (text, EXPECTED " of ms, or now, -1h, +10m", error);
    return status == STATUS_OK ? status : error_set (error, status, "%s", reason.text);
}

void time_format (buf_t *out, int64_t time)
{
    int64_t days = floor_divide (time, TIME_DAY);
    int64_t clock = (time % TIME_DAY + TIME_DAY) % TIME_DAY; /* days * TIME_DAY may overflow */
    civil_t date = civil_of_days (days);
    if (date.year < 0 || date.year > 9999) {
        buf_printf (out, "%lld", (long long)time);
        return;
    }
    buf_printf (out, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (int)date.year, date.month, date.day,
                (int)(clock / TIME_HOUR), (int)(clock / TIME_MINUTE % 60),
                (int)(clock / TIME_SECOND % 60), (int)(clock % TIME_SECOND));
}

/* From the longest to the shortest. */
static const struct duration_unit {
    const char *word;
    int64_t us;
} duration_units[] = {
    { "w", TIME_WEEK },   { "d", TIME_DAY }, { "h", TIME_HOUR }, { "m", TIME_MINUTE },
    { "s", TIME_SECOND }, { "ms", TIME_MS }, { "us", TIME_US },
};

enum { DURATION_UNITS = sizeof duration_units / sizeof duration_units[0] };

status_t duration_parse (text_t text, int64_t *duration, error_t *error)
{
    uint32_t digits = 0;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    text_t quoted = { text.data, text.size < QUOTED_MAX ? text.size : QUOTED_MAX };
    text_t word = { text.data + digits, text.size - digits };
    for (size_t i = 0; i < DURATION_UNITS && digits > 0; i++) {
        if (!text_is (word, duration_units[i].word))
            continue;
        int64_t number;
        if (!number_parse_int ((text_t){ text.data, digits }, &number) ||
            __builtin_mul_overflow (number, duration_units[i].us, duration))
            return error_set (error, STATUS_RANGE, "the duration '" TEXT_FORMAT "' is too long",
                              TEXT_ARGS (quoted));
        if (number > 0)
            return STATUS_OK;
        break;
    }
    return error_set (error, STATUS_INVALID,
                      "'" TEXT_FORMAT "' is not a duration: expected a positive integer and one "
                      "of w, d, h, m, s, ms, us, as in 7d",
                      TEXT_ARGS (quoted));
}

void duration_format (buf_t *out, int64_t duration)
{
    if (duration == 0) {
        buf_put_string (out, "0s");
        return;
    }
    const struct duration_unit *unit = duration_units;
    while (duration % unit->us != 0)
        unit++;
    buf_printf (out, "%lld%s", (long long)(duration / unit->us), unit->word);
}
