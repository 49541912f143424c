#include "client/cli/inference.h"
#include "client/cli/terminal.h"

#include "base/mem.h"
#include "base/number.h"
#include "base/timestamp.h"
#include "expr/expr.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COULD_BOOL = 1,
    COULD_INT = 2,
    COULD_FLOAT = 4,
    COULD_TIME = 8, /* as text */
    COULD_ALL = 15,
};

typedef struct guess {
    text_t column;
    char name[NAME_MAX_SIZE + 1];
    unsigned could;
    size_t values;       /* that are not null */
    size_t distinct;     /* of these */
    int64_t least, most; /* of the integers */
    type_t type;
    time_unit_t unit;
    bool is_number; /* a timestamp written as an integer */
    int as_time;    /* how good it is as the event time; 0: it cannot be */
    int as_key;
} guess_t;

/* ---- names ---- */

static void identifier (text_t text, char *name, size_t size)
{
    size_t at = 0;
    for (uint32_t i = 0; i < text.size && at + 1 < size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = isascii (c) && isalnum (c);
        if (at == 0 && !isalpha (c))
            name[at++] = 'c'; /* a letter comes first */
        if (plain && at + 1 < size)
            name[at++] = (char)c;
        else if (!plain && at > 0 && name[at - 1] != '_' && at + 1 < size)
            name[at++] = '_';
    }
    while (at > 1 && name[at - 1] == '_')
        at--;
    if (at == 0)
        name[at++] = 'c';
    name[at] = '\0';
    if (expr_is_keyword ((text_t){ name, (uint32_t)at }) && at + 1 < size)
        memcpy (name + at, "_", 2);
}

void infer_name (const char *path, char *name, size_t size)
{
    const char *base = strrchr (path, '/') ? strrchr (path, '/') + 1 : path;
    identifier ((text_t){ base, (uint32_t)strcspn (base, ".") }, name, size);
}

/* Does the name have the word, set off by its ends or underscores? */
static bool has_word (const char *name, const char *word)
{
    size_t size = strlen (word);
    for (const char *at = name; *at; at += strcspn (at, "_"), at += *at == '_')
        if (strncasecmp (at, word, size) == 0 && (at[size] == '\0' || at[size] == '_'))
            return true;
    return false;
}

static bool has_any_word (const char *name, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has_word (name, words[i]))
            return true;
    return false;
}

static bool ends_with (const char *name, const char *end)
{
    size_t size = strlen (name), length = strlen (end);
    return size >= length && strcasecmp (name + size - length, end) == 0;
}

static bool sounds_like_time (const char *name)
{
    static const char *const words[] = { "ts",       "time", "timestamp", "date",
                                         "datetime", "at",   "when",      "day" };
    return has_any_word (name, words, sizeof words / sizeof words[0]) || ends_with (name, "time") ||
           ends_with (name, "date");
}

static bool sounds_like_entity (const char *name)
{
    static const char *const words[] = { "user",   "customer", "account", "client",
                                         "card",   "device",   "session", "merchant",
                                         "vendor", "seller",   "player" };
    return has_any_word (name, words, sizeof words / sizeof words[0]);
}

/* ---- types ---- */

static unsigned could_be_text (const raw_t *raw, guess_t *guess)
{
    int64_t number, time;
    double real;
    unsigned could = 0;
    if (raw->loose &&
        (text_is (raw->s, "true") || text_is (raw->s, "false") || text_is (raw->s, "True") ||
         text_is (raw->s, "False") || text_is (raw->s, "TRUE") || text_is (raw->s, "FALSE")))
        could |= COULD_BOOL;
    bool is_int = number_parse_int (raw->s, &number);
    if (raw->loose && is_int) {
        could |= COULD_INT;
        guess->least = number < guess->least ? number : guess->least;
        guess->most = number > guess->most ? number : guess->most;
    } else if (!is_int && time_parse (raw->s, NULL, UNIT_MS, &time, NULL) == STATUS_OK) {
        could |= COULD_TIME;
    }
    if (raw->loose && number_parse_float (raw->s, &real))
        could |= COULD_FLOAT;
    return could;
}

static unsigned could_be (const raw_t *raw, guess_t *guess)
{
    switch (raw->kind) {
    case RAW_BOOL:
        return COULD_BOOL;
    case RAW_INT:
        guess->least = raw->i < guess->least ? raw->i : guess->least;
        guess->most = raw->i > guess->most ? raw->i : guess->most;
        return COULD_INT | COULD_FLOAT;
    case RAW_FLOAT:
        return COULD_FLOAT;
    case RAW_TEXT:
        return could_be_text (raw, guess);
    case RAW_NULL:
        return COULD_ALL;
    case RAW_OTHER:
        break;
    }
    return 0;
}

/* The unit in which all of a column's integers are times between 1990 and 2100. */
static bool unit_of (const guess_t *guess, time_unit_t *unit)
{
    static const int64_t per_second[] = { 1, 1000, 1000000, 1000000000 };
    const int64_t from = INT64_C (631152000), until = INT64_C (4102444800);
    for (unsigned i = 0; i < sizeof per_second / sizeof per_second[0]; i++) {
        if (guess->least / per_second[i] >= from && guess->most / per_second[i] < until) {
            *unit = (time_unit_t)i;
            return true;
        }
    }
    return false;
}

static void choose_type (guess_t *guess)
{
    guess->type = TYPE_STRING;
    if (guess->values == 0)
        return;
    if (guess->could & COULD_BOOL)
        guess->type = TYPE_BOOL;
    else if (guess->could & COULD_INT)
        guess->type = TYPE_INT64;
    else if (guess->could & COULD_FLOAT)
        guess->type = TYPE_FLOAT64;
    else if (guess->could & COULD_TIME)
        guess->type = TYPE_TIMESTAMP;
    if (guess->type == TYPE_INT64 && sounds_like_time (guess->name) &&
        unit_of (guess, &guess->unit)) {
        guess->type = TYPE_TIMESTAMP;
        guess->is_number = true;
    }
}

/* ---- time and key ---- */

static int compare_hashes (const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static uint64_t hash_raw (const raw_t *raw)
{
    if (raw->kind == RAW_TEXT)
        return key_hash (raw->s);
    return key_hash ((text_t){ (const char *)&raw->i, sizeof raw->i });
}

static size_t count_distinct (const raw_table_t *sample, size_t column)
{
    uint64_t *hashes = mem_alloc (sample->rows * sizeof *hashes);
    size_t count = 0, distinct = 0;
    for (size_t r = 0; r < sample->rows; r++) {
        const raw_t *raw = &sample->cells[r * sample->columns_count + column];
        if (raw->kind != RAW_NULL)
            hashes[count++] = hash_raw (raw);
    }
    qsort (hashes, count, sizeof *hashes, compare_hashes);
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || hashes[i] != hashes[i - 1];
    mem_free (hashes);
    return distinct;
}

/* An event time is always there, and what happens first is what the event is about. */
static void rate (guess_t *guess, size_t rows, size_t place)
{
    static const char *const times[] = { "ts", "timestamp", "event", "time" };
    int early = (int)(place < 50 ? 50 - place : 0); /* breaks ties */
    if (guess->type == TYPE_TIMESTAMP && guess->values == rows) {
        guess->as_time = 100 + early;
        if (sounds_like_time (guess->name))
            guess->as_time += 100;
        if (has_any_word (guess->name, times, sizeof times / sizeof times[0]))
            guess->as_time += 100;
    }
    bool can_be_key = guess->type == TYPE_STRING || guess->type == TYPE_INT64;
    if (!can_be_key || guess->values < rows || guess->distinct < 2)
        return;
    bool is_id = has_word (guess->name, "id") || ends_with (guess->name, "id");
    bool repeats = guess->distinct * 10 < rows * 9 || rows < 5;
    if (!is_id && !sounds_like_entity (guess->name) && guess->type != TYPE_STRING)
        return;
    guess->as_key = early + (repeats ? 200 : 0) + (is_id ? 100 : 0) +
                    (sounds_like_entity (guess->name) ? 150 : 0);
}

static void look (const raw_table_t *sample, size_t column, guess_t *guess)
{
    *guess = (guess_t){
        .column = sample->columns[column], .could = COULD_ALL, .least = INT64_MAX, .most = INT64_MIN
    };
    identifier (guess->column, guess->name, sizeof guess->name);
    for (size_t r = 0; r < sample->rows; r++) {
        const raw_t *raw = &sample->cells[r * sample->columns_count + column];
        guess->values += raw->kind != RAW_NULL;
        guess->could &= could_be (raw, guess);
    }
    choose_type (guess);
    guess->distinct = count_distinct (sample, column);
    rate (guess, sample->rows, column);
}

/* Columns whose names became the same identifier are told apart by a number. */
static void tell_apart (guess_t *guesses, size_t at)
{
    char plain[NAME_MAX_SIZE + 1];
    memcpy (plain, guesses[at].name, sizeof plain);
    unsigned number = 1;
    for (size_t i = 0; i < at; i++) {
        if (strcmp (guesses[i].name, guesses[at].name) != 0)
            continue;
        snprintf (guesses[at].name, sizeof guesses[at].name, "%.50s_%u", plain, ++number);
        i = SIZE_MAX; /* look at all again */
    }
}

/* ---- as YAML ---- */

static void put_others (const guess_t *guesses, size_t count, size_t chosen, bool key, buf_t *out)
{
    const char *before = "  # or ";
    for (size_t i = 0; i < count; i++) {
        int rating = key ? guesses[i].as_key : guesses[i].as_time;
        if (i == chosen || rating < 100)
            continue;
        buf_printf (out, "%s%s", before, guesses[i].name);
        before = ", ";
    }
    buf_put_u8 (out, '\n');
}

static void put_quoted (buf_t *out, text_t text)
{
    buf_put_u8 (out, '\'');
    for (uint32_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'')
            buf_put_u8 (out, '\'');
        buf_put_u8 (out, (uint8_t)text.data[i]);
    }
    buf_put_u8 (out, '\'');
}

static void put_field (const guess_t *guess, bool required, buf_t *out)
{
    static const char *const units[] = { "s", "ms", "us", "ns" };
    bool renamed = !text_is (guess->column, guess->name);
    buf_printf (out, "      %s:", guess->name);
    if (!renamed && !required && !guess->is_number) {
        buf_printf (out, " %s%s\n", type_word (guess->type),
                    guess->values == 0 ? "  # empty in the sample" : "");
        return;
    }
    buf_printf (out, "\n        type: %s\n", type_word (guess->type));
    if (guess->is_number)
        buf_printf (out, "        unit: %s\n", units[guess->unit]);
    if (renamed) {
        buf_put_string (out, "        column: ");
        put_quoted (out, guess->column);
        buf_put_u8 (out, '\n');
    }
    if (required)
        buf_put_string (out, "        required: true\n");
}

static void put_stream (const guess_t *guesses, const raw_table_t *sample, const char *name,
                        size_t time, size_t key, buf_t *out)
{
    size_t count = sample->columns_count;
    buf_printf (out, "# guessed from %zu row%s: check the key, the time and the types\nstreams:\n",
                sample->rows, plural (sample->rows));
    buf_printf (out, "  %s:\n    key: %s", name, key < count ? guesses[key].name : "[]");
    put_others (guesses, count, key, true, out);
    buf_printf (out, "    time: %s", guesses[time].name);
    put_others (guesses, count, time, false, out);
    buf_put_string (out, "    fields:\n");
    for (size_t i = 0; i < count; i++)
        put_field (&guesses[i], i == key, out);
}

status_t infer_stream (const raw_table_t *sample, const char *name, buf_t *out, error_t *error)
{
    size_t count = sample->columns_count;
    if (sample->rows == 0)
        return error_set (error, STATUS_INVALID, "there are no rows to guess from");
    if (count > FIELDS_MAX)
        return error_set (error, STATUS_TOO_LARGE, "%zu columns; a stream has at most %d fields",
                          count, FIELDS_MAX);
    guess_t *guesses = mem_zero (count, sizeof *guesses);
    size_t time = count, key = count;
    for (size_t i = 0; i < count; i++) {
        look (sample, i, &guesses[i]);
        tell_apart (guesses, i);
        if (guesses[i].as_time > 0 && (time == count || guesses[i].as_time > guesses[time].as_time))
            time = i;
        if (guesses[i].as_key > 0 && (key == count || guesses[i].as_key > guesses[key].as_key))
            key = i;
    }
    status_t status = STATUS_OK;
    if (time == count)
        status = error_set (error, STATUS_INVALID,
                            "no column can be the event time: one with a time in every row is "
                            "needed (RFC 3339, YYYY-MM-DD HH:MM:SS, a date, or an integer since "
                            "1970 in a column whose name says that it is a time)");
    else
        put_stream (guesses, sample, name, time, key, out);
    mem_free (guesses);
    return status;
}
