/* weir training-set - rows of a spine with their features, each as of its own time. */
#include "client/cli/incoming.h"
#include "client/cli/registered.h"
#include "client/cli/terminal.h"
#include "client/cli/trained.h"
#include "client/cli/trainings.h"

#include "base/mem.h"
#include "storage/posix_fs.h"

#include <inttypes.h>
#include <string.h>

enum { ARENA_CHUNK = 4 << 10 };

typedef struct wanted {
    const char *spine, *spine_format, *time, *known, *out, *format, *on_error, *version, *prefix;
    const char *features;
    bool before, raw;
} wanted_t;

typedef struct work {
    call_t *call;
    const wanted_t *wanted;
    char *name; /* of the view or service, with its version if one is given or was then */
    registered_t registered;
    trainset_t *set;
    spine_t spine;
    making_t making;
    trained_t trained;
    fs_t *fs; /* the data directory */
    spine_writer_t *writer;
    result_reader_t *reader;
    uint64_t rows, refused;
    int64_t start; /* ms */
    arena_t *arena;
} work_t;

/* ---- what is there before ---- */

static status_t prepare (work_t *self, error_t *error)
{
    const wanted_t *wanted = self->wanted;
    self->name = making_name (self->call->words[0], wanted->version);
    trainset_options_t options = { .name = self->name,
                                   .time = wanted->time,
                                   .known = wanted->known,
                                   .before = wanted->before,
                                   .raw = wanted->raw };
    status_t status = registered_read (self->call, &self->registered, error);
    if (status == STATUS_OK) {
        options.features = making_features (&self->registered, self->name, wanted->features,
                                            wanted->version, self->arena, &options.features_count);
        status = trainset_new (self->registered.definitions, &options, &self->set, error);
    }
    if (status != STATUS_OK)
        return status;
    self->making = (making_t){ .call = self->call,
                               .registered = &self->registered,
                               .set = self->set,
                               .raw = wanted->raw || !self->set->is_preprocessed };
    if (wanted->raw && !self->set->service)
        return error_set (error, STATUS_INVALID,
                          "--raw is for services: a view has no `preprocess`");
    if (wanted->version)
        status = making_read_version (&self->making, wanted->version, error);
    if (status == STATUS_OK)
        status = posix_fs_open (self->call->project->data, &self->fs, error);
    if (status == STATUS_OK)
        status = trained_open (&self->trained, wanted->out, wanted->format, self->set,
                               wanted->prefix ? wanted->prefix : "", error);
    if (status == STATUS_OK)
        status = spine_open (&self->spine, wanted->spine, wanted->spine_format,
                             wanted->on_error && strcmp (wanted->on_error, "skip") == 0,
                             wanted->prefix ? wanted->prefix : "", self->set, error);
    return status;
}

/* ---- the rows ---- */

static status_t renew (void *making, error_t *error)
{
    return making_renew (making, error);
}

static status_t hand_over (work_t *self, const spine_file_t **files, size_t *count, error_t *error)
{
    const project_t *project = self->call->project;
    spine_writer_destroy (&self->writer);
    self->writer = spine_writer_new (self->set, self->fs, self->making.id, project->partitions,
                                     project->batch_memory);
    status_t status = fs_require (self->fs, 2 * self->spine.source.total, project->disk_reserve,
                                  project->data, error);
    if (status == STATUS_OK)
        status = spine_begin (&self->spine, error);
    while (status == STATUS_OK) {
        status = spine_next (&self->spine, error);
        if (status == STATUS_OK)
            status = spine_writer_add (self->writer, &self->spine.result.batch, error);
        if (status == STATUS_OK)
            status = making_renew (&self->making, error);
        progress ("reading %s: %" PRIu64 " rows", self->spine.shown, self->spine.rows);
    }
    self->rows = self->spine.rows;
    self->refused = self->spine.refused;
    if (status != STATUS_END || (status = spine_check (&self->spine, error)) != STATUS_OK)
        return status;
    return spine_writer_end (self->writer, renew, &self->making, files, count, error);
}

/* What the cluster does for it, up to the results. */
static status_t make_once (void *arg, error_t *error)
{
    work_t *self = arg;
    const spine_file_t *files = NULL;
    size_t count = 0;
    status_t status = making_begin (&self->making, error);
    if (status == STATUS_OK)
        status = hand_over (self, &files, &count, error);
    if (status == STATUS_OK)
        status = making_pin (&self->making, error);
    if (status == STATUS_OK)
        status = making_run (&self->making, files, count, NULL, error);
    return status;
}

static status_t write_rows (work_t *self, error_t *error)
{
    status_t status = result_reader_new (self->set, self->fs, self->making.files,
                                         self->making.files_count, false, &self->reader, error);
    if (status == STATUS_OK)
        status = spine_begin (&self->spine, error);
    if (status == STATUS_OK)
        status = trained_head (&self->trained, &self->spine, error);
    while (status == STATUS_OK) {
        const outcome_t *outcomes;
        status = spine_next (&self->spine, error);
        if (status == STATUS_OK)
            status = result_reader_next (self->reader, &self->spine.result.batch, &outcomes, error);
        if (status == STATUS_OK)
            status = trained_rows (&self->trained, &self->spine, outcomes, error);
        if (status == STATUS_OK)
            status = making_renew (&self->making, error);
        progress ("writing %s: %" PRIu64 " of %" PRIu64 " rows", self->trained.path,
                  self->trained.rows, self->rows);
    }
    if (status == STATUS_END)
        status = result_reader_end (self->reader, error);
    if (status == STATUS_OK && self->trained.rows != self->rows)
        status = error_set (error, STATUS_INVALID, "%s has changed while it was read",
                            self->spine.shown);
    return status;
}

/* ---- what is told ---- */

static json_t *parameters (const wanted_t *wanted)
{
    json_t *all = json_object ();
    json_object_set_new (all, "time", json_string (wanted->time));
    if (wanted->known)
        json_object_set_new (all, "known_at", json_string (wanted->known));
    if (wanted->prefix)
        json_object_set_new (all, "prefix", json_string (wanted->prefix));
    json_object_set_new (all, "before", json_boolean (wanted->before));
    json_object_set_new (all, "on_error",
                         json_string (wanted->on_error ? wanted->on_error : "stop"));
    return all;
}

static json_t *file_of (const char *name, const char *hash, text_format_t format)
{
    json_t *file = json_object ();
    json_object_set_new (file, "name", json_string (name));
    json_object_set_new (file, "xxh3_128", json_string (hash));
    json_object_set_new (file, "format", json_string (format_word (format)));
    return file;
}

static status_t write_manifest (work_t *self, error_t *error)
{
    char hash[33];
    buf_t when;
    const wanted_t *wanted = self->wanted;
    status_t status = content_hash (wanted->out, hash, error);
    if (status != STATUS_OK)
        return status;
    json_t *extra = json_object ();
    buf_init (&when, 64);
    time_format (&when, clock_us ());
    json_object_set_new (extra, "spine",
                         file_of (self->spine.shown, self->spine.hash, self->spine.source.format));
    json_object_set_new (extra, "out", file_of (wanted->out, hash, self->trained.format));
    json_object_set_new (extra, "rows", json_integer ((json_int_t)self->trained.rows));
    json_object_set_new (extra, "refused", json_integer ((json_int_t)self->refused));
    json_object_set_new (extra, "errors", json_integer ((json_int_t)self->trained.errors));
    json_object_set_new (extra, "made", json_string (buf_string (&when)));
    json_object_set_new (extra, "parameters", parameters (wanted));
    buf_release (&when);
    return making_write_manifest (&self->making, wanted->out, extra, error);
}

static int tell (work_t *self)
{
    const trained_t *trained = &self->trained;
    progress_end ();
    if (self->refused > 0)
        fprintf (stderr, "weir training-set: %" PRIu64 " row%s of %s left out; %s\n", self->refused,
                 plural (self->refused), self->spine.shown, self->spine.reason);
    if (trained->errors > 0)
        fprintf (stderr,
                 "weir training-set: %" PRIu64 " value%s could not be computed, and %s null; %s\n",
                 trained->errors, plural (trained->errors), trained->errors == 1 ? "is" : "are",
                 trained->reason);
    if (self->call->json)
        printf ("{\"rows\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"errors\":%" PRIu64 "}\n",
                trained->rows, self->refused, trained->errors);
    else
        printf ("%s: %" PRIu64 " row%s, %zu feature%s, in %.1f s; %s.weir.json says of which "
                "dataset\n",
                self->wanted->out, trained->rows, plural (trained->rows), self->set->outputs_count,
                plural (self->set->outputs_count), (double)(monotonic_ms () - self->start) / 1000,
                self->wanted->out);
    return trained->errors > 0 ? EXIT_INCOMPLETE : EXIT_DONE;
}

/* ---- the whole ---- */

static void release (work_t *self)
{
    result_reader_destroy (&self->reader);
    spine_writer_destroy (&self->writer);
    making_release (&self->making);
    trained_release (&self->trained);
    spine_release (&self->spine);
    trainset_destroy (&self->set);
    registered_release (&self->registered);
    mem_free (self->name);
    posix_fs_destroy (&self->fs);
    arena_destroy (&self->arena);
}

static status_t work (work_t *self, error_t *error)
{
    status_t status = prepare (self, error);
    if (status == STATUS_OK)
        status = making_make (&self->making, make_once, self, error);
    if (status == STATUS_OK)
        status = write_rows (self, error);
    if (status == STATUS_OK)
        status = making_check_definitions (&self->making, error);
    if (status == STATUS_OK)
        status = trained_end (&self->trained, error);
    return status == STATUS_OK ? write_manifest (self, error) : status;
}

static int make (call_t *call, const wanted_t *wanted)
{
    error_t error;
    if (!call_weir (call))
        return EXIT_FAILED;
    progress_in_lines ();
    interrupt_waits ();
    work_t *self = mem_zero (1, sizeof *self);
    *self = (work_t){ .call = call,
                      .wanted = wanted,
                      .spine.copy = -1,
                      .start = monotonic_ms (),
                      .arena = arena_new (ARENA_CHUNK) };
    status_t status = work (self, &error);
    int exit_status = EXIT_DONE;
    if (status == STATUS_OK)
        exit_status = tell (self);
    progress_end ();
    if (status == STATUS_CANCELLED)
        exit_status = EXIT_INTERRUPTED;
    if (status != STATUS_OK) {
        int failed = call_failed (call, &error);
        exit_status = exit_status == EXIT_INTERRUPTED ? exit_status : failed;
    }
    release (self);
    mem_free (self);
    return exit_status;
}

static int run (call_t *call)
{
    wanted_t wanted = { 0 };
    const option_spec_t specs[] = {
        { 's', "spine", "FILE",
          "the rows: CSV or NDJSON with the key, a time, and what else you "
          "like (- is stdin)",
          &wanted.spine, NULL },
        { 't', "time", "COLUMN", "of the spine: each row's own as-of", &wanted.time, NULL },
        { 'o', "out", "FILE", "what is written: the spine's columns, and the features", &wanted.out,
          NULL },
        { 'f', "format", "FORMAT", "of it: csv or ndjson (default: by its ending)", &wanted.format,
          NULL },
        { 0, "spine-format", "FORMAT", "of the spine (default: by its ending or content)",
          &wanted.spine_format, NULL },
        { 0, "known-at", "COLUMN", "of the spine: events that came in later do not count",
          &wanted.known, NULL },
        { 0, "before", NULL, "events at exactly a row's time do not count (of a view)", NULL,
          &wanted.before },
        { 0, "raw", NULL, "without the service's preprocessing", NULL, &wanted.raw },
        { 0, "features", "a,b", "of a view, these in this order (default: all)", &wanted.features,
          NULL },
        { 0, "version", "FILE", "of the same dataset as an earlier one: its .weir.json",
          &wanted.version, NULL },
        { 0, "prefix", "TEXT", "before the names of features", &wanted.prefix, NULL },
        { 0, "on-error", "WHAT", "stop at a bad row (default), or skip it", &wanted.on_error,
          NULL },
    };
    int exit_status;
    text_format_t format;
    error_t error;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    const char *what = wanted.on_error;
    if (!wanted.spine || !wanted.time || !wanted.out)
        return call_usage (call, "it takes --spine FILE, --time COLUMN and --out FILE");
    if (what && strcmp (what, "stop") != 0 && strcmp (what, "skip") != 0)
        return call_usage (call, "--on-error is stop or skip, not \"%s\"", what);
    if (strcmp (wanted.spine, wanted.out) == 0)
        return call_usage (call, "--out would overwrite the spine");
    if (trained_format (wanted.out, wanted.format, &format, &error) != STATUS_OK)
        return call_usage (call, "%s", error.text);
    return make (call, &wanted);
}

const command_t command_training_set = {
    .name = "training-set",
    .group = "Features",
    .operands = "VIEW_OR_SERVICE[@VERSION]",
    .purpose = "Writes rows with the features that each had at its own time",
    .details =
        "The spine has a column for each field of the key, and for each value of the request. As "
        "many rows come\nout as went in, in their order. No event later than its row's time is in "
        "any feature. FILE.weir.json says\nwhich dataset it is of: --version takes it, and makes "
        "the same again.",
    .examples =
        "  weir training-set user_spend --spine labels.csv --time ts --out train.csv\n"
        "  weir training-set transfer_model --spine transfers.csv --time ts --known-at ts --out "
        "train.csv\n"
        "  weir training-set user_spend --spine labels.ndjson --time ts --before --out "
        "train.ndjson\n"
        "  weir training-set user_spend --spine labels.csv --time ts --version "
        "train.csv.weir.json --out again.csv",
    .least = 1,
    .most = 1,
    .run = run,
};
