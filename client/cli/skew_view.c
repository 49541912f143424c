#include "client/cli/skew_view.h"

#include "base/mem.h"
#include "base/timestamp.h"
#include "client/cli/terminal.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static uint64_t count_of (const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value (json_object_get (object, name));
}

static const char *text_in (const json_t *object, const char *name)
{
    const char *text = json_string_value (json_object_get (object, name));
    return text ? text : "";
}

/* Numbers that are not finite are texts. */
static void put_number (table_t *table, const json_t *number)
{
    if (json_is_number (number))
        table_addf (table, "%.6g", json_number_value (number));
    else
        table_add (table, text_of (json_is_string (number) ? json_string_value (number) : ""));
}

/* ---- answers ---- */

static void print_left (const json_t *report, const char *name, const char *why)
{
    uint64_t count = count_of (report, name);
    if (count > 0)
        printf ("  not compared: %" PRIu64 " %s\n", count, why);
}

static void print_counts (const json_t *report)
{
    const char *name = text_in (report, "name"); /* as it was asked for: "user_spend@v2" */
    printf ("%.*s %s, since %s: %" PRIu64 " answers were kept\n", (int)strcspn (name, "@"), name,
            text_in (report, "version"), text_in (report, "since"), count_of (report, "answers"));
    if (count_of (report, "answers") == 0)
        puts (
            "  serving nodes keep answers where weir.yaml says so, as in skew: {sample: 0.01}, and "
            "write them within a second or two");
    printf ("  computed again where they stood: %" PRIu64 ", of which %" PRIu64 " differ\n",
            count_of (report, "compared"), count_of (report, "mismatches"));
    printf ("  would differ now, for events that came late or loads that came or went: %" PRIu64
            "\n",
            count_of (report, "late"));
    print_left (report, "removed", "that differ, from before events were erased or unloaded");
    print_left (report, "incomplete", "that were incomplete");
    print_left (report, "ahead", "that history does not cover yet");
    print_left (report, "other_version", "of another version");
    print_left (report, "damaged", "that are damaged");
}

static void print_mismatches (const json_t *report)
{
    static const char *const heads[] = {
        "KEY", "AS OF", "FEATURE", "ANSWERED", "RECOMPUTED", NULL
    };
    const json_t *shown = json_object_get (report, "shown");
    if (json_array_size (shown) == 0)
        return;
    table_t *table = table_new (heads);
    for (size_t i = 0; i < json_array_size (shown); i++) {
        static const char *const parts[] = { "key", "as_of", "feature", "answered", "recomputed" };
        const json_t *one = json_array_get (shown, i);
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            const json_t *part = json_object_get (one, parts[k]);
            char *text =
                k == 1 || k == 2 ? NULL : json_dumps (part, JSON_ENCODE_ANY | JSON_COMPACT);
            table_add (table, text_of (text ? text : text_in (one, parts[k])));
            mem_free (text);
        }
    }
    puts ("");
    table_print (table);
    table_destroy (&table);
}

/* ---- distributions ---- */

static const char *const sides[] = { "training", "serving" };

/* Is there a value on that side, null or not? */
static bool has_values (const json_t *feature, size_t side)
{
    return count_of (json_object_get (feature, sides[side]), "count") > 0;
}

/* A value of the feature's type, or about that much: times are as everywhere. */
static void put_value (table_t *table, const json_t *feature, const json_t *value)
{
    buf_t text;
    if (!json_is_number (value) || strcmp (text_in (feature, "type"), "timestamp") != 0) {
        put_number (table, value);
        return;
    }
    buf_init (&text, 64);
    time_format (&text, (int64_t)json_number_value (value));
    table_add (table, text_of (buf_string (&text)));
    buf_release (&text);
}

/* Where there is nothing on one side, nothing is compared. */
static void put_distances (table_t *table, const json_t *feature)
{
    bool both = has_values (feature, 0) && has_values (feature, 1);
    put_number (table, both ? json_object_get (feature, "psi") : NULL);
    put_number (table, both ? json_object_get (feature, "ks") : NULL);
    for (size_t i = 0; i < 2; i++) {
        const json_t *side = json_object_get (feature, sides[i]);
        put_number (table, has_values (feature, i) ? json_object_get (side, "null_rate") : NULL);
    }
}

static void put_places (table_t *table, const json_t *feature)
{
    for (size_t i = 0; i < 2; i++)
        put_value (table, feature, json_object_get (json_object_get (feature, sides[i]), "mean"));
    for (size_t i = 0; i < 2; i++) {
        const json_t *side = json_object_get (feature, sides[i]);
        put_value (table, feature, json_object_get (json_object_get (side, "quantiles"), "0.5"));
    }
}

static void print_distributions (const json_t *report)
{
    static const char *const heads[] = {
        "FEATURE",     ">PSI",         ">KS",           ">NULLS TRAIN",   ">NULLS SERVED",
        ">MEAN TRAIN", ">MEAN SERVED", ">MEDIAN TRAIN", ">MEDIAN SERVED", "",
        NULL
    };
    const json_t *all = json_object_get (report, "distributions");
    if (json_array_size (all) == 0)
        return;
    table_t *table = table_new (heads);
    for (size_t i = 0; i < json_array_size (all); i++) {
        const json_t *feature = json_array_get (all, i);
        table_add (table, text_of (text_in (feature, "feature")));
        put_distances (table, feature);
        put_places (table, feature);
        table_add (table, text_of (text_in (feature, "problem")));
    }
    puts ("");
    table_print (table);
    table_destroy (&table);
}

static void print_alerts (const json_t *report)
{
    const json_t *alerts = json_object_get (report, "alerts");
    if (json_array_size (alerts) > 0)
        puts ("");
    for (size_t i = 0; i < json_array_size (alerts); i++)
        printf ("alert: %s\n", json_string_value (json_array_get (alerts, i)));
}

status_t skew_show (text_t report, bool json, uint64_t *mismatches, error_t *error)
{
    json_error_t problem;
    json_set_alloc_funcs (mem_alloc, mem_free);
    json_t *root = json_loadb (report.data, report.size, 0, &problem);
    if (!json_is_object (root)) {
        json_decref (root);
        return error_set (error, STATUS_CORRUPT, "the report is not JSON: %s", problem.text);
    }
    *mismatches = count_of (root, "mismatches");
    if (json) {
        printf (TEXT_FORMAT "\n", TEXT_ARGS (report));
    } else {
        print_counts (root);
        print_mismatches (root);
        print_distributions (root);
        print_alerts (root);
    }
    json_decref (root);
    return STATUS_OK;
}
