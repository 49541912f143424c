#include "client/cli/work.h"

#include "base/mem.h"
#include "base/timestamp.h"

#include <inttypes.h>

enum { FOLLOW_MS = 50, PATIENCE_MS = 30000 };

void format_time (buf_t *out, int64_t time)
{
    size_t at = out->size;
    if (time == 0)
        return;
    time_format (out, time);
    if (out->size == at + sizeof "2026-01-02T03:04:05.000000Z" - 1) {
        out->data[at + 10] = ' ';
        out->size = at + 19;
    }
}

static void add_time (table_t *table, int64_t time)
{
    buf_t text;
    buf_init (&text, 64);
    format_time (&text, time);
    table_add (table, (text_t){ (const char *)text.data, (uint32_t)text.size });
    buf_release (&text);
}

/* While it is parsed: a worker has told how long for. */
static void format_rates (buf_t *out, const wire_value_t *load)
{
    uint64_t bytes = wire_uint (load, "bytes_done", 0), total = wire_uint (load, "bytes_total", 0);
    double took = (double)wire_uint (load, "took", 0) / (double)TIME_SECOND;
    if (took <= 0 || bytes == 0)
        return;
    buf_put_string (out, ", ");
    format_count (out, (double)wire_uint (load, "rows", 0) / took);
    buf_put_string (out, " rows/s, ");
    format_bytes (out, (uint64_t)((double)bytes / took));
    buf_put_string (out, "/s");
    if (total <= bytes)
        return;
    buf_put_string (out, ", ");
    format_seconds (out, (uint64_t)(took * (double)(total - bytes) / (double)bytes + 0.5));
    buf_put_string (out, " left");
}

void format_load (buf_t *out, const wire_value_t *load)
{
    uint64_t rows = wire_uint (load, "rows", 0);
    format_bytes (out, wire_uint (load, "bytes_done", 0));
    buf_put_string (out, " of ");
    format_bytes (out, wire_uint (load, "bytes_total", 0));
    if (rows > 0) {
        buf_put_string (out, ", ");
        format_count (out, (double)rows);
        buf_printf (out, " row%s", plural (rows));
    }
    format_rates (out, load);
}

/* What there is to say of it beside its state. */
static void add_remark (table_t *table, const wire_value_t *load)
{
    buf_t text;
    buf_init (&text, 1 << 16);
    if (wire_has (load, "error"))
        buf_put (&text, wire_text (load, "error").data, wire_text (load, "error").size);
    else if (text_is (wire_text (load, "state"), "parsing"))
        format_load (&text, load);
    table_add (table, (text_t){ (const char *)text.data, (uint32_t)text.size });
    buf_release (&text);
}

void print_loads (wire_list_t loads)
{
    static const char *const heads[] = { "LOAD",     "STREAM", "FILE", "STATE", ">ROWS",
                                         ">REFUSED", "WHEN",   "",     NULL };
    table_t *table = table_new (heads);
    for (uint32_t i = 0; i < loads.count; i++) {
        const wire_value_t *load = &loads.items[i];
        table_add (table, wire_text (load, "id"));
        table_add (table, wire_text (load, "stream"));
        table_add (table, wire_text (load, "name"));
        table_add (table, wire_text (load, "state"));
        table_addf (table, "%" PRIu64, wire_uint (load, "rows", 0));
        table_addf (table, "%" PRIu64, wire_uint (load, "refused", 0));
        add_time (table, wire_int (load, "created", 0));
        add_remark (table, load);
    }
    table_print (table);
    table_destroy (&table);
}

void print_recomputes (wire_list_t recomputes)
{
    static const char *const heads[] = { "RECOMPUTE", "LOG",      "REASON", "STATE",
                                         ">EVENTS",   "FINISHED", "",       NULL };
    table_t *table = table_new (heads);
    for (uint32_t i = 0; i < recomputes.count; i++) {
        const wire_value_t *recompute = &recomputes.items[i];
        uint64_t done = wire_uint (recompute, "done", 0), total = wire_uint (recompute, "total", 0);
        table_addf (table, "%" PRIu64, wire_uint (recompute, "id", 0));
        table_add (table, wire_text (recompute, "log"));
        table_add (table, wire_text (recompute, "reason"));
        table_add (table, wire_text (recompute, "state"));
        if (done == total)
            table_addf (table, "%" PRIu64, done);
        else
            table_addf (table, "%" PRIu64 " of %" PRIu64, done, total);
        add_time (table, wire_int (recompute, "finished", 0));
        table_add (table, wire_text (recompute, "error"));
    }
    table_print (table);
    table_destroy (&table);
}

/* ---- following ---- */

typedef struct tally {
    size_t ended;     /* queries stand on it, or it failed */
    size_t published; /* no query has to stand on it yet */
    size_t failed;
    uint64_t done;
    uint64_t total;
    text_t waits; /* for what the first does that has not ended */
} tally_t;

/* It is done, but of a partition that could not be built. */
static bool is_partial (const wire_value_t *recompute)
{
    return text_is (wire_text (recompute, "state"), "trimmed") &&
           wire_text (recompute, "error").size > 0;
}

static tally_t tally_of (wire_list_t recomputes)
{
    tally_t tally = { 0 };
    for (uint32_t i = 0; i < recomputes.count; i++) {
        const wire_value_t *recompute = &recomputes.items[i];
        text_t state = wire_text (recompute, "state");
        bool failed = text_is (state, "failed");
        tally.failed += failed || is_partial (recompute);
        if (!failed && tally.waits.size == 0)
            tally.waits = wire_text (recompute, "error");
        tally.ended += failed || text_is (state, "trimmed");
        tally.published += text_is (state, "published");
        tally.done += wire_uint (recompute, "done", 0);
        tally.total += wire_uint (recompute, "total", 0);
    }
    return tally;
}

static void tell_failures (const call_t *call, wire_list_t recomputes)
{
    for (uint32_t i = 0; i < recomputes.count; i++) {
        const wire_value_t *recompute = &recomputes.items[i];
        bool partial = is_partial (recompute);
        if (partial || text_is (wire_text (recompute, "state"), "failed"))
            fprintf (stderr,
                     "weir %s: recompute %" PRIu64 " of " TEXT_FORMAT " %s: " TEXT_FORMAT "\n",
                     call->command->name, wire_uint (recompute, "id", 0),
                     TEXT_ARGS (wire_text (recompute, "log")),
                     partial ? "is published without all" : "failed",
                     TEXT_ARGS (wire_text (recompute, "error")));
    }
}

static int finish (call_t *call, const message_t *reply, const tally_t *tally, int64_t took_ms,
                   bool quiet)
{
    progress_end ();
    wire_list_t recomputes = wire_list (reply->body, "recomputes");
    tell_failures (call, recomputes);
    if (call->json && !quiet)
        print_json (reply->body);
    else if (!quiet && tally->failed == 0)
        printf ("recomputed %" PRIu64 " event%s of %u log%s in %.1f s\n", tally->done,
                plural (tally->done), recomputes.count, plural (recomputes.count),
                (double)took_ms / 1000);
    return tally->failed > 0 ? EXIT_FAILED : EXIT_DONE;
}

int follow (call_t *call, const following_t *work)
{
    int64_t heard = monotonic_ms ();
    int exit_status;
    interrupt_waits ();
    progress_in_lines ();
    for (;;) {
        message_t reply;
        error_t error;
        int64_t now = monotonic_ms ();
        status_t status = work->ask (work->arg, &reply, &error);
        if (status == STATUS_OK) {
            heard = now;
            if (work->look (work->arg, &reply, &exit_status))
                return exit_status;
        }
        if (interrupt_came ()) {
            progress_end ();
            work->leave (work->arg);
            return EXIT_INTERRUPTED;
        }
        bool passes = client_unreachable (call->weir) || status == STATUS_UNAVAILABLE;
        if (status != STATUS_OK && (!passes || now - heard > PATIENCE_MS))
            return call_failed (call, &error);
        wait_ms (FOLLOW_MS);
    }
}

typedef struct recomputing {
    call_t *call;
    const uint64_t *ids;
    size_t count;
    bool quiet;
    int64_t start; /* ms */
} recomputing_t;

static status_t ask (void *arg, message_t *reply, error_t *error)
{
    const recomputing_t *self = arg;
    return client_recomputes (self->call->weir, self->ids, self->count, reply, error);
}

static bool look (void *arg, const message_t *reply, int *exit_status)
{
    const recomputing_t *self = arg;
    tally_t tally = tally_of (wire_list (reply->body, "recomputes"));
    if (tally.ended >= self->count) {
        *exit_status =
            finish (self->call, reply, &tally, monotonic_ms () - self->start, self->quiet);
        return true;
    }
    if (tally.ended + tally.published == self->count)
        progress ("recomputed; serving nodes take it up");
    else if (tally.total == 0 && tally.waits.size > 0)
        progress ("recomputing waits: " TEXT_FORMAT, TEXT_ARGS (tally.waits));
    else
        progress ("recomputing: %" PRIu64 " of %" PRIu64 " events%s" TEXT_FORMAT, tally.done,
                  tally.total, tally.waits.size > 0 ? "; waits: " : "", TEXT_ARGS (tally.waits));
    return false;
}

static void leave (void *arg)
{
    const recomputing_t *self = arg;
    fprintf (stderr, "weir %s: the recompute%s on; `weir list recomputes` tells how far %s\n",
             self->call->command->name, self->count == 1 ? " goes" : "s go",
             self->count == 1 ? "it is" : "they are");
}

int follow_recomputes (call_t *call, const uint64_t *ids, size_t count, bool quiet)
{
    recomputing_t self = { call, ids, count, quiet, monotonic_ms () };
    return follow (call, &(following_t){ ask, look, leave, &self });
}
