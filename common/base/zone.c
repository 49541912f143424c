#include "base/zone.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "base/timestamp.h"

#include <stdio.h>

enum {
    ZONE_MAGIC = 0x5a4f4e45,
    ZONE_NAME_MAX = 64,         /* bytes */
    ZONE_FILE_MAX = 256 * 1024, /* bytes; the system's largest has 4 KiB */
    ZONE_TRANSITIONS_MAX = 8192,
    ZONE_TYPES_MAX = 256, /* an index is one byte */
    ZONE_OFFSETS_MAX = ZONE_TYPES_MAX + 2,
    HEADER_SIZE = 44,
    DAY_SECONDS = 86400,
    OFFSET_MIN = -89999, /* RFC 9636, 3.2: between -25 and 26 hours */
    OFFSET_MAX = 93599,
    RULE_HOURS_MAX = 167, /* RFC 9636, 3.3.2: a week less an hour either way */
};

/* RFC 9636, 3.2: no transition is before about the Big Bang; our own limit after it. */
static const int64_t transition_limit = INT64_C (1) << 59;

/* When summer time begins or ends in a year: a day, and seconds after its midnight. */
typedef struct rule {
    enum { RULE_JULIAN, RULE_DAY, RULE_WEEKDAY } kind;
    int day; /* RULE_JULIAN 1 to 365 without February 29; RULE_DAY 0 to 365; 0 (Sunday) to 6 */
    int month;
    int week; /* 1 to 5, 5 is the last */
    int32_t seconds;
} rule_t;

/* The footer's POSIX TZ string. Offsets are seconds east of UTC. */
typedef struct footer {
    bool present;
    bool has_dst;
    int32_t standard;
    int32_t dst;
    rule_t begin;
    rule_t end;
} footer_t;

struct zone {
    uint32_t magic;
    size_t transitions;
    int64_t *at;     /* seconds of UTC, ascending */
    int32_t *after;  /* the offset from at[i] on */
    int32_t first;   /* the offset before at[0] */
    footer_t footer; /* from the last transition on */
    size_t offsets;
    int32_t offset[ZONE_OFFSETS_MAX]; /* every offset that is ever in force, each once */
};

/* ---- the footer ---- */

static bool take_char (reader_t *in, char c)
{
    if (reader_left (in) == 0 || *in->at != (uint8_t)c)
        return false;
    in->at++;
    return true;
}

static bool at_letter (const reader_t *in)
{
    return reader_left (in) > 0 && ((*in->at | 0x20) >= 'a' && (*in->at | 0x20) <= 'z');
}

static bool at_digit (const reader_t *in)
{
    return reader_left (in) > 0 && *in->at >= '0' && *in->at <= '9';
}

/* Letters, or anything between < and >. The name itself is of no use here. */
static bool take_name (reader_t *in)
{
    size_t size = 0;
    bool quoted = take_char (in, '<');
    while (reader_left (in) > 0 && (quoted ? *in->at != '>' : at_letter (in))) {
        in->at++;
        size++;
    }
    return size > 0 && (!quoted || take_char (in, '>'));
}

/* A number from `low` to `high`. */
static bool take_number (reader_t *in, int low, int high, int *number)
{
    int sum = 0;
    if (!at_digit (in))
        return false;
    for (; at_digit (in) && sum <= high; in->at++)
        sum = 10 * sum + (*in->at - '0');
    *number = sum;
    return sum >= low && sum <= high;
}

/* [+-]hh[:mm[:ss]] as seconds. */
static bool take_seconds (reader_t *in, int hours_max, int32_t *seconds)
{
    int hours, minutes = 0, rest = 0;
    bool negative = take_char (in, '-');
    if (!negative)
        (void)take_char (in, '+');
    if (!take_number (in, 0, hours_max, &hours))
        return false;
    if (take_char (in, ':')) {
        if (!take_number (in, 0, 59, &minutes))
            return false;
        if (take_char (in, ':') && !take_number (in, 0, 59, &rest))
            return false;
    }
    *seconds = (hours * 3600 + minutes * 60 + rest) * (negative ? -1 : 1);
    return true;
}

/* ,Mm.w.d or ,Jn or ,n and perhaps /time */
static bool take_rule (reader_t *in, rule_t *rule)
{
    *rule = (rule_t){ .seconds = 2 * 3600 };
    if (!take_char (in, ','))
        return false;
    if (take_char (in, 'M')) {
        rule->kind = RULE_WEEKDAY;
        if (!take_number (in, 1, 12, &rule->month) || !take_char (in, '.') ||
            !take_number (in, 1, 5, &rule->week) || !take_char (in, '.') ||
            !take_number (in, 0, 6, &rule->day))
            return false;
    } else {
        rule->kind = take_char (in, 'J') ? RULE_JULIAN : RULE_DAY;
        if (!take_number (in, rule->kind == RULE_JULIAN, 365, &rule->day))
            return false;
    }
    return !take_char (in, '/') || take_seconds (in, RULE_HOURS_MAX, &rule->seconds);
}

/* std offset [dst [offset] ,rule,rule]. POSIX counts offsets west of UTC. */
static bool read_footer (reader_t in, footer_t *footer)
{
    int32_t west;
    *footer = (footer_t){ 0 };
    if (reader_left (&in) == 0)
        return true;
    if (!take_name (&in) || !take_seconds (&in, 24, &west))
        return false;
    footer->present = true;
    footer->standard = -west;
    if (reader_left (&in) == 0)
        return true;
    footer->has_dst = true;
    footer->dst = footer->standard + 3600;
    if (!take_name (&in))
        return false;
    if (reader_left (&in) > 0 && *in.at != ',') {
        if (!take_seconds (&in, 24, &west))
            return false;
        footer->dst = -west;
    }
    return take_rule (&in, &footer->begin) && take_rule (&in, &footer->end) &&
           reader_left (&in) == 0;
}

/* Days from 1970-01-01 to the rule's day in a year. */
static int64_t rule_day (const rule_t *rule, int64_t year)
{
    int64_t new_year = civil_days (year, 1, 1);
    switch (rule->kind) {
    case RULE_JULIAN:
        return new_year + rule->day - 1 + (rule->day >= 60 && civil_is_leap (year));
    case RULE_DAY:
        return new_year + rule->day;
    case RULE_WEEKDAY:
        break;
    }
    int64_t first = civil_days (year, rule->month, 1);
    int64_t weekday = first + 4 - 7 * floor_divide (first + 4, 7); /* 1970-01-01 was a Thursday */
    int64_t day = (rule->day - weekday + 7) % 7 + 7 * (rule->week - 1);
    if (day >= civil_days_in_month (year, rule->month))
        day -= 7;
    return first + day;
}

/* The offset at `utc` (seconds) by the footer. The neighbouring years are looked at too, because a
 * rule's time may lie outside its year; a summer that ends when the next begins never ends. */
static int32_t footer_offset (const footer_t *footer, int64_t utc)
{
    if (!footer->has_dst)
        return footer->standard;
    int64_t year = civil_of_days (floor_divide (utc + footer->standard, DAY_SECONDS)).year;
    int64_t latest = INT64_MIN;
    int32_t offset = footer->standard;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t begin =
            rule_day (&footer->begin, y) * DAY_SECONDS + footer->begin.seconds - footer->standard;
        int64_t end = rule_day (&footer->end, y) * DAY_SECONDS + footer->end.seconds - footer->dst;
        if (begin <= utc && begin >= latest) {
            latest = begin;
            offset = footer->dst;
        }
        if (end <= utc && end >= latest) {
            latest = end;
            offset = footer->standard;
        }
    }
    return offset;
}

/* ---- the file ---- */

typedef struct counts {
    uint32_t isut, isstd, leap, time, type, characters;
    uint8_t version;
} counts_t;

static uint32_t big_endian_u32 (reader_t *in)
{
    return __builtin_bswap32 (reader_u32 (in));
}

static counts_t read_header (reader_t *in)
{
    counts_t counts = { 0 };
    const uint8_t *magic = reader_bytes (in, 4);
    if (magic && memcmp (magic, "TZif", 4) != 0)
        in->bad = true;
    counts.version = reader_u8 (in);
    reader_bytes (in, 15);
    counts.isut = big_endian_u32 (in);
    counts.isstd = big_endian_u32 (in);
    counts.leap = big_endian_u32 (in);
    counts.time = big_endian_u32 (in);
    counts.type = big_endian_u32 (in);
    counts.characters = big_endian_u32 (in);
    return counts;
}

/* Skips the first block, whose times have 32 bits. */
static void skip_old_block (reader_t *in, const counts_t *counts)
{
    uint64_t size = (uint64_t)counts->time * 5 + (uint64_t)counts->type * 6 + counts->characters +
                    (uint64_t)counts->leap * 8 + counts->isstd + counts->isut;
    reader_bytes (in, size);
}

static void add_offset (zone_t *self, int32_t offset)
{
    for (size_t i = 0; i < self->offsets; i++) {
        if (self->offset[i] == offset)
            return;
    }
    CHECK (self->offsets < ZONE_OFFSETS_MAX);
    self->offset[self->offsets++] = offset;
}

/* Reads the times and the offsets after them. Marks `in` bad on anything that is not in order. */
static void read_transitions (zone_t *self, reader_t *in, const counts_t *counts)
{
    int32_t types[ZONE_TYPES_MAX] = { 0 };
    self->transitions = counts->time;
    self->at = mem_zero (counts->time, sizeof *self->at);
    self->after = mem_zero (counts->time, sizeof *self->after);
    for (uint32_t i = 0; i < counts->time; i++) {
        int64_t at = (int64_t)__builtin_bswap64 (reader_u64 (in));
        if (at < -transition_limit || at > transition_limit || (i > 0 && at <= self->at[i - 1]))
            in->bad = true;
        self->at[i] = at;
    }
    const uint8_t *indices = reader_bytes (in, counts->time);
    for (uint32_t i = 0; i < counts->type; i++) {
        types[i] = (int32_t)big_endian_u32 (in);
        reader_bytes (in, 2); /* is it summer time, and its name */
        if (types[i] < OFFSET_MIN || types[i] > OFFSET_MAX)
            in->bad = true;
        add_offset (self, types[i]);
    }
    for (uint32_t i = 0; indices && i < counts->time; i++) {
        if (indices[i] >= counts->type)
            in->bad = true;
        self->after[i] = types[indices[i]];
    }
    self->first = types[0];
}

/* The text between the newlines at the end. */
static bool read_file_end (zone_t *self, reader_t *in)
{
    if (!take_char (in, '\n'))
        return false;
    const uint8_t *start = in->at;
    const uint8_t *end = memchr (start, '\n', reader_left (in));
    if (!end || !read_footer (reader_of (start, (size_t)(end - start)), &self->footer))
        return false;
    if (self->footer.present)
        add_offset (self, self->footer.standard);
    if (self->footer.has_dst)
        add_offset (self, self->footer.dst);
    return true;
}

static status_t corrupt (error_t *error, const char *why)
{
    return error_set (error, STATUS_CORRUPT, "not a time zone file: %s", why);
}

static status_t read_new_block (zone_t *self, reader_t *in, error_t *error)
{
    counts_t counts = read_header (in);
    if (in->bad || counts.type == 0 || counts.type > ZONE_TYPES_MAX ||
        counts.time > ZONE_TRANSITIONS_MAX)
        return corrupt (error, "its counts are out of bounds");
    if (counts.leap > 0)
        return error_set (error, STATUS_UNSUPPORTED, "time zones that count leap seconds");
    read_transitions (self, in, &counts);
    reader_bytes (in, (size_t)counts.characters + counts.isstd + counts.isut);
    if (in->bad)
        return corrupt (error, "its transitions are cut short or out of order");
    return read_file_end (self, in) ? STATUS_OK : corrupt (error, "its footer is malformed");
}

status_t zone_read (const void *data, size_t size, zone_t **zone, error_t *error)
{
    *zone = NULL;
    if (size > ZONE_FILE_MAX)
        return error_set (error, STATUS_TOO_LARGE, "a time zone file over %d bytes", ZONE_FILE_MAX);
    reader_t in = reader_of (data, size);
    counts_t old = read_header (&in);
    if (in.bad)
        return corrupt (error, "it does not begin with a TZif header");
    if (old.version < '2')
        return error_set (error, STATUS_VERSION,
                          "a time zone file of version 1, without 64-bit times");
    skip_old_block (&in, &old);
    zone_t *self = mem_zero (1, sizeof *self);
    self->magic = ZONE_MAGIC;
    status_t status = read_new_block (self, &in, error);
    if (status != STATUS_OK)
        zone_destroy (&self);
    *zone = self;
    return status;
}

void zone_destroy (zone_t **self_p)
{
    zone_t *self = *self_p;
    if (!self)
        return;
    CHECK_OBJECT (self, ZONE_MAGIC);
    mem_free (self->at);
    mem_free (self->after);
    self->magic = 0;
    mem_free (self);
    *self_p = NULL;
}

static bool is_zone_name (const char *name)
{
    size_t size = strlen (name);
    if (size == 0 || size > ZONE_NAME_MAX || name[0] == '/' || name[size - 1] == '/')
        return false;
    for (; *name; name++) {
        bool letter = (*name | 0x20) >= 'a' && (*name | 0x20) <= 'z';
        bool digit = *name >= '0' && *name <= '9';
        if (!letter && !digit && !strchr ("_+-/", *name))
            return false;
    }
    return true;
}

status_t zone_open (const char *name, zone_t **zone, error_t *error)
{
    *zone = NULL;
    if (!is_zone_name (name))
        return error_set (error, STATUS_INVALID,
                          "'%.64s' is not a time zone's name: expected one like Europe/Berlin",
                          name);
    char *path = mem_format ("/usr/share/zoneinfo/%s", name);
    FILE *file = fopen (path, "rbe");
    mem_free (path);
    uint8_t *data = mem_alloc (ZONE_FILE_MAX + 1);
    size_t size = file ? fread (data, 1, ZONE_FILE_MAX + 1, file) : 0;
    bool failed = !file || ferror (file);
    if (file)
        fclose (file);
    status_t status =
        failed ? error_set (error, STATUS_NOT_FOUND, "the system knows no time zone '%s'", name)
               : zone_read (data, size, zone, error);
    mem_free (data);
    if (!failed && status != STATUS_OK)
        return error_prefix (error, "time zone '%s'", name);
    return status;
}

/* ---- times ---- */

/* The offset at `utc`, in seconds. */
static int32_t offset_at (const zone_t *self, int64_t utc)
{
    size_t low = 0, high = self->transitions;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (self->at[middle] <= utc)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == self->transitions && self->footer.present)
        return footer_offset (&self->footer, utc);
    return low == 0 ? self->first : self->after[low - 1];
}

int32_t zone_offset (const zone_t *self, int64_t utc)
{
    CHECK_OBJECT (self, ZONE_MAGIC);
    return offset_at (self, floor_divide (utc, TIME_SECOND));
}

/* An instant reads `local` when the offset in force then is the one that `local` is away from it,
 * so each offset of the zone gives one candidate. */
static bool find_first (const zone_t *self, int64_t local, int64_t *utc)
{
    bool found = false;
    for (size_t i = 0; i < self->offsets; i++) {
        int64_t candidate;
        if (__builtin_sub_overflow (local, self->offset[i] * TIME_SECOND, &candidate))
            continue;
        if (zone_offset (self, candidate) != self->offset[i] || (found && candidate >= *utc))
            continue;
        *utc = candidate;
        found = true;
    }
    return found;
}

status_t zone_to_utc (const zone_t *self, int64_t local, int64_t *utc, error_t *error)
{
    CHECK_OBJECT (self, ZONE_MAGIC);
    if (find_first (self, local, utc))
        return STATUS_OK;
    return error_set (error, STATUS_INVALID, "a local time that the zone's clock skips");
}

bool zone_start (const zone_t *self, int64_t local, int64_t *utc)
{
    CHECK_OBJECT (self, ZONE_MAGIC);
    if (local < INT64_MIN + 4 * TIME_DAY || local > INT64_MAX - 4 * TIME_DAY)
        return false;
    if (find_first (self, local, utc))
        return true;
    /* The clock shows less than `local` before all candidates and more after them, and changes on
     * whole seconds. */
    int64_t second = floor_divide (local, TIME_SECOND);
    int64_t before = second - OFFSET_MAX - 1;
    int64_t after = second - OFFSET_MIN + 1;
    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;
        if (middle + offset_at (self, middle) > second)
            after = middle;
        else
            before = middle;
    }
    *utc = after * TIME_SECOND;
    return true;
}
