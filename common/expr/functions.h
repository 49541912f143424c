/* functions.h - the functions of the language: adding one is adding a row here, its kernel
 * call_<name>, and its description with an example in docs/expressions.md.
 *
 * A signature is a letter for each argument, `>`, and a letter for the result:
 *   b bool, i int64, s string, t timestamp, d duration: that type;
 *   f float64, another number is widened;
 *   n a number: int64, float64 or decimal; m those or duration; a any type; r a number, of which a
 *   decimal is widened to float64. All arguments with one of these letters must agree (a number
 *   widens to the type that holds both), and a result with it has the type agreed;
 *   h what has a key encoding (key.h), each argument its own type;
 *   o a number, duration or timestamp; e literals that can be compared with it, ascending;
 *   z a literal: the name of a time zone, opened while parsing; u a literal: a unit of UNIT_TABLE.
 * `*` after a letter: one or more such arguments. `?`: the argument may be left out.
 *
 * STRICT: null when any argument is null; the kernel is called with the valid bits already set so,
 * and may only clear some. LENIENT: the kernel sees to nulls itself. */
#ifndef WEIR_EXPR_FUNCTIONS_H
#define WEIR_EXPR_FUNCTIONS_H

/* name, arguments as messages show them, signature, nulls */
#define FUNCTION_TABLE(X)                                                                          \
    X (abs, "x", "m>m", STRICT)                                                                    \
    X (acos, "x", "f>f", STRICT)                                                                   \
    X (asin, "x", "f>f", STRICT)                                                                   \
    X (atan, "x", "f>f", STRICT)                                                                   \
    X (atan2, "y, x", "ff>f", STRICT)                                                              \
    X (bucketize, "x, edge, ...", "oe*>i", LENIENT)                                                \
    X (ceil, "x", "n>n", STRICT)                                                                   \
    X (clamp, "x, low, high", "aaa>a", STRICT)                                                     \
    X (coalesce, "a, b, ...", "a*>a", LENIENT)                                                     \
    X (concat, "s, t, ...", "s*>s", STRICT)                                                        \
    X (contains, "s, part", "ss>b", STRICT)                                                        \
    X (cos, "x", "f>f", STRICT)                                                                    \
    X (date_trunc, "unit, ts[, zone]", "utz?>t", STRICT)                                           \
    X (day, "ts[, zone]", "tz?>i", STRICT)                                                         \
    X (ends_with, "s, suffix", "ss>b", STRICT)                                                     \
    X (exp, "x", "f>f", STRICT)                                                                    \
    X (expm1, "x", "f>f", STRICT)                                                                  \
    X (floor, "x", "n>n", STRICT)                                                                  \
    X (from_unix, "seconds", "r>t", STRICT)                                                        \
    X (from_unix_ms, "milliseconds", "r>t", STRICT)                                                \
    X (greatest, "a, b, ...", "a*>a", LENIENT)                                                     \
    X (hash, "x, ...", "h*>i", STRICT)                                                             \
    X (hash_bucket, "x, ..., n", "h*i>i", STRICT)                                                  \
    X (hour, "ts[, zone]", "tz?>i", STRICT)                                                        \
    X (if, "condition, a, b", "baa>a", LENIENT)                                                    \
    X (is_finite, "x", "f>b", STRICT)                                                              \
    X (is_nan, "x", "f>b", STRICT)                                                                 \
    X (is_weekend, "ts[, zone]", "tz?>b", STRICT)                                                  \
    X (least, "a, b, ...", "a*>a", LENIENT)                                                        \
    X (left, "s, n", "si>s", STRICT)                                                               \
    X (length, "s", "s>i", STRICT)                                                                 \
    X (ln, "x", "f>f", STRICT)                                                                     \
    X (log10, "x", "f>f", STRICT)                                                                  \
    X (log1p, "x", "f>f", STRICT)                                                                  \
    X (log2, "x", "f>f", STRICT)                                                                   \
    X (lower, "s", "s>s", STRICT)                                                                  \
    X (ltrim, "s[, characters]", "ss?>s", STRICT)                                                  \
    X (minute, "ts[, zone]", "tz?>i", STRICT)                                                      \
    X (mod, "x, y", "nn>n", STRICT)                                                                \
    X (month, "ts[, zone]", "tz?>i", STRICT)                                                       \
    X (nullif, "a, b", "aa>a", LENIENT)                                                            \
    X (pi, "", ">f", STRICT)                                                                       \
    X (position, "s, part", "ss>i", STRICT)                                                        \
    X (pow, "x, y", "ff>f", STRICT)                                                                \
    X (quarter, "ts[, zone]", "tz?>i", STRICT)                                                     \
    X (replace, "s, from, to", "sss>s", STRICT)                                                    \
    X (right, "s, n", "si>s", STRICT)                                                              \
    X (round, "x[, digits]", "ni?>n", STRICT)                                                      \
    X (rtrim, "s[, characters]", "ss?>s", STRICT)                                                  \
    X (second, "ts[, zone]", "tz?>i", STRICT)                                                      \
    X (sign, "x", "n>n", STRICT)                                                                   \
    X (sin, "x", "f>f", STRICT)                                                                    \
    X (split_part, "s, separator, n", "ssi>s", STRICT)                                             \
    X (sqrt, "x", "f>f", STRICT)                                                                   \
    X (starts_with, "s, prefix", "ss>b", STRICT)                                                   \
    X (substring, "s, from[, n]", "sii?>s", STRICT)                                                \
    X (tan, "x", "f>f", STRICT)                                                                    \
    X (to_seconds, "d", "d>f", STRICT)                                                             \
    X (to_unix, "ts", "t>i", STRICT)                                                               \
    X (to_unix_ms, "ts", "t>i", STRICT)                                                            \
    X (trim, "s[, characters]", "ss?>s", STRICT)                                                   \
    X (trunc, "x", "n>n", STRICT)                                                                  \
    X (upper, "s", "s>s", STRICT)                                                                  \
    X (week, "ts[, zone]", "tz?>i", STRICT)                                                        \
    X (weekday, "ts[, zone]", "tz?>i", STRICT)                                                     \
    X (year, "ts[, zone]", "tz?>i", STRICT)                                                        \
    X (yearday, "ts[, zone]", "tz?>i", STRICT)

/* Other names for functions, as other systems have them: only where they mean the same in all of
 * them. They are read, and written as the function's own name. */
#define ALIAS_TABLE(X)                                                                             \
    X (ceiling, ceil)                                                                              \
    X (char_length, length)                                                                        \
    X (character_length, length)                                                                   \
    X (day_of_month, day)                                                                          \
    X (day_of_year, yearday)                                                                       \
    X (dayofmonth, day)                                                                            \
    X (dayofyear, yearday)                                                                         \
    X (endswith, ends_with)                                                                        \
    X (epoch, to_unix)                                                                             \
    X (epoch_ms, to_unix_ms)                                                                       \
    X (ifnull, coalesce)                                                                           \
    X (iif, if)                                                                                    \
    X (instr, position)                                                                            \
    X (isnan, is_nan)                                                                              \
    X (isodow, weekday)                                                                            \
    X (lcase, lower)                                                                               \
    X (nvl, coalesce)                                                                              \
    X (power, pow)                                                                                 \
    X (startswith, starts_with)                                                                    \
    X (strpos, position)                                                                           \
    X (substr, substring)                                                                          \
    X (truncate, trunc)                                                                            \
    X (ucase, upper)                                                                               \
    X (unix_timestamp, to_unix)                                                                    \
    X (week_of_year, week)                                                                         \
    X (weekofyear, week)

/* Names that mean different things elsewhere, or that are something else here: what to write. */
#define HINT_TABLE(X)                                                                              \
    X (avg, AGGREGATE_HINT)                                                                        \
    X (count, AGGREGATE_HINT)                                                                      \
    X (current_timestamp, "the as-of time is written now")                                         \
    X (date, "the day of a time is date_trunc('day', ts)")                                         \
    X (date_diff, "times are subtracted: (a - b) / 1d")                                            \
    X (date_part, "the parts of a time are year(ts), month(ts), day(ts), hour(ts) and so on")      \
    X (datediff, "times are subtracted: (a - b) / 1d")                                             \
    X (day_of_week, WEEKDAY_HINT)                                                                  \
    X (dayofweek, WEEKDAY_HINT)                                                                    \
    X (dow, WEEKDAY_HINT)                                                                          \
    X (extract, "the parts of a time are year(ts), month(ts), day(ts), hour(ts) and so on")        \
    X (len, "length(s) counts characters")                                                         \
    X (log, "ln(x) is the natural logarithm, log10(x) that of base 10, log2(x) that of base 2")    \
    X (max, "the greatest of several values is greatest(a, b, ...)")                               \
    X (mean, AGGREGATE_HINT)                                                                       \
    X (min, "the least of several values is least(a, b, ...)")                                     \
    X (sum, AGGREGATE_HINT)                                                                        \
    X (to_timestamp, "text is read with cast(s as timestamp), a number with from_unix(seconds)")   \
    X (try_cast, "cast(x as type) gives null where it cannot")                                     \
    X (width_bucket, "bucketize(x, edge, ...) gives the interval of x")

#define AGGREGATE_HINT "an aggregate stands outermost in a feature and takes an expression"
#define WEEKDAY_HINT   "weekday(ts) is 1 on Monday and 7 on Sunday"

/* Units of date_trunc. */
#define UNIT_TABLE(X)                                                                              \
    X (SECOND, "second")                                                                           \
    X (MINUTE, "minute")                                                                           \
    X (HOUR, "hour")                                                                               \
    X (DAY, "day")                                                                                 \
    X (WEEK, "week")                                                                               \
    X (MONTH, "month")                                                                             \
    X (QUARTER, "quarter")                                                                         \
    X (YEAR, "year")

#endif
