#include "client/cli/status_view.h"

#include "base/timestamp.h"
#include "client/cli/loose.h"
#include "client/cli/terminal.h"

#include <inttypes.h>
#include <stdlib.h>

static bool is_true (const wire_value_t *map, const char *name)
{
    const wire_value_t *value = loose_any (map, name);
    return value && value->type == MSGPACK_OBJECT_BOOLEAN && value->via.boolean;
}

static bool is_alive (const wire_value_t *node)
{
    return is_true (node, "alive");
}

/* Of coordinators, which one leads. */
static const char *state_of (const wire_value_t *node)
{
    if (is_true (node, "leads"))
        return "leads";
    if (!is_alive (node))
        return "gone";
    return text_is (loose_text (node, "kind"), "coordinator") ? "stands by" : "alive";
}

static bool is_filling (const wire_value_t *log)
{
    return is_true (log, "filling");
}

uint32_t count_alive (const wire_value_t *body)
{
    wire_list_t nodes = wire_list (body, "nodes");
    uint32_t count = 0;
    for (uint32_t i = 0; i < nodes.count; i++)
        count += is_alive (&nodes.items[i]);
    return count;
}

void print_nodes (const wire_value_t *body)
{
    static const char *const heads[] = { "NODE", "KIND", "STATE", "ENDPOINT", NULL };
    wire_list_t nodes = wire_list (body, "nodes");
    table_t *table = table_new (heads);
    for (uint32_t i = 0; i < nodes.count; i++) {
        const wire_value_t *node = &nodes.items[i];
        table_add (table, loose_text (node, "node"));
        table_add (table, loose_text (node, "kind"));
        table_add (table, text_of (state_of (node)));
        table_add (table, loose_text (node, "endpoint"));
    }
    table_print (table);
    table_destroy (&table);
}

void print_disk (const wire_value_t *body)
{
    if (!wire_has (body, "disk_free"))
        return;
    uint64_t free = wire_uint (body, "disk_free", 0), kept = wire_uint (body, "disk_reserve", 0);
    buf_t free_text, kept_text;
    buf_init (&free_text, 64);
    buf_init (&kept_text, 64);
    format_bytes (&free_text, free);
    format_bytes (&kept_text, kept);
    if (free < kept)
        printf ("the disk is full: %s free, less than the %s in reserve; no events are taken until "
                "there is room\n\n",
                buf_string (&free_text), buf_string (&kept_text));
    else
        printf ("disk: %s free\n\n", buf_string (&free_text));
    buf_release (&free_text);
    buf_release (&kept_text);
}

void put_failed_partition (buf_t *out, const wire_value_t *body)
{
    wire_list_t logs = wire_list (body, "logs");
    for (uint32_t i = 0; i < logs.count; i++) {
        wire_list_t parts = loose_list (&logs.items[i], "partitions");
        for (uint32_t p = 0; p < parts.count; p++) {
            const wire_value_t *part = &parts.items[p];
            if (!text_is (loose_text (part, "state"), "failed"))
                continue;
            buf_printf (out, TEXT_FORMAT "/%" PRIu64 " failed: " TEXT_FORMAT,
                        TEXT_ARGS (loose_text (&logs.items[i], "log")),
                        loose_uint (part, "partition"), TEXT_ARGS (loose_text (part, "reason")));
            return;
        }
    }
}

void print_partitions (const wire_value_t *body)
{
    static const char *const heads[] = { "LOG",        ">PARTITION", "OWNER", "STATE", ">POSITION",
                                         ">UNCOVERED", ">MEMORY",    "",      NULL };
    wire_list_t logs = wire_list (body, "logs");
    table_t *table = table_new (heads);
    for (uint32_t i = 0; i < logs.count; i++) {
        const wire_value_t *log = &logs.items[i];
        wire_list_t parts = loose_list (log, "partitions");
        for (uint32_t p = 0; p < parts.count; p++) {
            const wire_value_t *part = &parts.items[p];
            buf_t memory;
            buf_init (&memory, 64);
            format_bytes (&memory, loose_uint (part, "memory"));
            table_add (table, loose_text (log, "log"));
            table_addf (table, "%" PRIu64, loose_uint (part, "partition"));
            table_add (table, loose_text (part, "owner"));
            table_add (table, loose_text (part, "state"));
            table_addf (table, "%" PRIu64, loose_uint (part, "end"));
            table_addf (table, "%" PRIu64, loose_uint (part, "events"));
            table_add (table, text_of (buf_string (&memory)));
            text_t reason = loose_text (part, "reason");
            table_add (table, reason.size == 0 && is_filling (log)
                                  ? text_of ("filling: events of before its key are on their way")
                                  : reason);
            buf_release (&memory);
        }
    }
    table_print (table);
    table_destroy (&table);
}

void print_damaged (const wire_value_t *body)
{
    wire_list_t logs = wire_list (body, "logs");
    for (uint32_t i = 0; i < logs.count; i++) {
        wire_list_t damaged = loose_list (&logs.items[i], "damaged");
        for (uint32_t k = 0; k < damaged.count; k++)
            printf ("\ndamaged, and not used by " TEXT_FORMAT ": " TEXT_FORMAT "\n  " TEXT_FORMAT
                    "\n",
                    TEXT_ARGS (loose_text (&damaged.items[k], "node")),
                    TEXT_ARGS (loose_text (&damaged.items[k], "path")),
                    TEXT_ARGS (loose_text (&damaged.items[k], "reason")));
    }
}

static void print_stuck_part (text_t log, const wire_value_t *stuck)
{
    printf ("\n" TEXT_FORMAT "/%" PRIu64 " cannot be built%s; tried again in %.0f s\n  " TEXT_FORMAT
            "\n",
            TEXT_ARGS (log), loose_uint (stuck, "partition"),
            is_true (stuck, "behind") ? ", and stays at its cut"
                                      : " anew: what is new is put above what it has",
            (double)loose_uint (stuck, "retry_us") / 1e6, TEXT_ARGS (loose_text (stuck, "reason")));
}

void print_stuck (const wire_value_t *body)
{
    wire_list_t logs = wire_list (body, "logs");
    for (uint32_t i = 0; i < logs.count; i++) {
        text_t log = loose_text (&logs.items[i], "log");
        wire_list_t stuck = loose_list (&logs.items[i], "stuck");
        for (uint32_t k = 0; k < stuck.count; k++)
            print_stuck_part (log, &stuck.items[k]);
        wire_list_t left_out = loose_list (&logs.items[i], "left_out");
        for (uint32_t k = 0; k < left_out.count; k++)
            printf ("\nview " TEXT_FORMAT " has no file of " TEXT_FORMAT "/%" PRIu64
                    ", and is answered from history:\n  " TEXT_FORMAT "\n",
                    TEXT_ARGS (loose_text (&left_out.items[k], "view")), TEXT_ARGS (log),
                    loose_uint (&left_out.items[k], "partition"),
                    TEXT_ARGS (loose_text (&left_out.items[k], "reason")));
    }
}

void print_folds (const wire_value_t *body)
{
    wire_list_t logs = wire_list (body, "logs");
    for (uint32_t i = 0; i < logs.count; i++) {
        const wire_value_t *folds = wire_map (&logs.items[i], "folds");
        if (!folds)
            continue;
        uint64_t total = loose_uint (folds, "total");
        double part = total > 0 ? (double)loose_uint (folds, "done") / (double)total : 0;
        printf ("\n" TEXT_FORMAT ": layers of %" PRIu64
                " partitions are folded into one each, %.0f %% of %" PRIu64
                " rows; recomputes go on meanwhile\n",
                TEXT_ARGS (loose_text (&logs.items[i], "log")), loose_uint (folds, "partitions"),
                100 * (part < 1 ? part : 1), total);
        text_t waits = loose_text (folds, "waits");
        if (waits.size > 0)
            printf ("  " TEXT_FORMAT "\n", TEXT_ARGS (waits));
    }
}

void print_skew (const wire_value_t *body)
{
    wire_list_t found = wire_list (body, "skew");
    for (uint32_t i = 0; i < found.count; i++) {
        const wire_value_t *one = &found.items[i];
        wire_list_t alerts = wire_list (one, "alerts");
        buf_t time;
        buf_init (&time, 64);
        time_format (&time, wire_int (one, "time", 0));
        printf ("%sskew of " TEXT_FORMAT ", %s: %llu of %llu answers differ where they stood, %llu "
                "would now\n",
                i == 0 ? "\n" : "", TEXT_ARGS (wire_text (one, "name")), buf_string (&time),
                (unsigned long long)wire_uint (one, "mismatches", 0),
                (unsigned long long)wire_uint (one, "compared", 0),
                (unsigned long long)wire_uint (one, "late", 0));
        for (uint32_t a = 0; a < alerts.count; a++)
            printf ("  alert: " TEXT_FORMAT "\n", TEXT_ARGS (wire_item_text (&alerts.items[a])));
        buf_release (&time);
    }
}

void print_building (const wire_value_t *body)
{
    wire_list_t building = wire_list (body, "building"), unfitted = wire_list (body, "unfitted");
    if (building.count > 0 || unfitted.count > 0)
        puts ("");
    for (uint32_t i = 0; i < building.count; i++) {
        const wire_value_t *version = &building.items[i];
        printf (TEXT_FORMAT "@v%" PRIu64 " is being built: %" PRIu64 " of %" PRIu64
                            " partitions; it waits for " TEXT_FORMAT "\n",
                TEXT_ARGS (wire_text (version, "name")), wire_uint (version, "version", 0),
                wire_uint (version, "done", 0), wire_uint (version, "total", 0),
                TEXT_ARGS (wire_text (version, "waits")));
    }
    for (uint32_t i = 0; i < unfitted.count; i++) {
        const wire_value_t *version = &unfitted.items[i];
        printf (TEXT_FORMAT "@v%" PRIu64
                            " is answered only when it is named; it waits for " TEXT_FORMAT "\n",
                TEXT_ARGS (wire_text (version, "name")), wire_uint (version, "version", 0),
                TEXT_ARGS (wire_text (version, "waits")));
    }
}
