/* weir export - every entity of a view with its features as of one time. */
#include "client/cli/incoming.h"
#include "client/cli/registered.h"
#include "client/cli/terminal.h"
#include "client/cli/trained.h"
#include "client/cli/trainings.h"

#include "base/key.h"
#include "base/mem.h"
#include "storage/posix_fs.h"

#include <inttypes.h>
#include <string.h>

enum { RENEW_ROWS = 1024, CHUNK = 1 << 16 };

typedef struct wanted {
    const char *as_of, *out, *format, *version, *features;
    bool before;
    int64_t time; /* µs */
} wanted_t;

typedef struct work {
    call_t *call;
    const wanted_t *wanted;
    char *name; /* of the view, with its version if one is given or was then */
    registered_t registered;
    trainset_t *set;
    making_t making;
    trained_t trained;
    fs_t *fs; /* the data directory */
    result_reader_t *reader;
    arena_t *arena; /* of a key */
    const char *names[KEY_FIELDS_MAX];
    type_t types[KEY_FIELDS_MAX];
    size_t keys_count;
    int64_t start; /* ms */
} work_t;

static status_t bind_key (work_t *self, error_t *error)
{
    const view_t *view = self->set->view;
    if (view == NULL)
        return error_set (error, STATUS_INVALID,
                          "%s is a service: an export is of a view, whose keys are known",
                          self->call->words[0]);
    self->keys_count = view->key_count;
    for (size_t i = 0; i < view->key_count; i++) {
        const field_t *field = view_key_field (view, i);
        self->names[i] = field->name;
        self->types[i] = field->type;
        if (trainset_output (self->set, text_of (field->name)) >= 0)
            return error_set (error, STATUS_INVALID,
                              "field %s of the key has the name of a feature: both would be "
                              "columns of what is written",
                              field->name);
    }
    return STATUS_OK;
}

static status_t prepare (work_t *self, error_t *error)
{
    const wanted_t *wanted = self->wanted;
    self->name = making_name (self->call->words[0], wanted->version);
    trainset_options_t options = { .name = self->name, .before = wanted->before };
    status_t status = registered_read (self->call, &self->registered, error);
    if (status == STATUS_OK) {
        options.features = making_features (&self->registered, self->name, wanted->features,
                                            wanted->version, self->arena, &options.features_count);
        status = trainset_new (self->registered.definitions, &options, &self->set, error);
    }
    if (status == STATUS_OK)
        status = bind_key (self, error);
    if (status != STATUS_OK)
        return status;
    self->making = (making_t){
        .call = self->call, .registered = &self->registered, .set = self->set, .raw = true
    };
    if (wanted->version)
        status = making_read_version (&self->making, wanted->version, error);
    if (status == STATUS_OK)
        status = posix_fs_open (self->call->project->data, &self->fs, error);
    if (status == STATUS_OK)
        status = trained_open (&self->trained, wanted->out, wanted->format, self->set, "", error);
    return status;
}

static status_t make_once (void *arg, error_t *error)
{
    work_t *self = arg;
    status_t status = making_begin (&self->making, error);
    if (status == STATUS_OK)
        status = making_pin (&self->making, error);
    if (status == STATUS_OK)
        status = making_run (&self->making, NULL, 0, &self->wanted->time, error);
    return status;
}

static status_t write_row (work_t *self, text_t key, const outcome_t *outcomes, error_t *error)
{
    value_t values[KEY_FIELDS_MAX];
    arena_reset (self->arena);
    if (!key_get (key, self->types, self->keys_count, self->arena, values))
        return error_set (error, STATUS_CORRUPT, "row %" PRIu64 " has no key of the view",
                          self->trained.rows + 1);
    return trained_row_of (&self->trained, self->names, values, self->keys_count, outcomes, error);
}

static status_t write_rows (work_t *self, error_t *error)
{
    status_t status = result_reader_new (self->set, self->fs, self->making.files,
                                         self->making.files_count, true, &self->reader, error);
    if (status == STATUS_OK)
        status = trained_head_of (&self->trained, self->names, self->keys_count, error);
    while (status == STATUS_OK) {
        text_t key;
        const outcome_t *outcomes;
        status = result_reader_next_key (self->reader, &key, &outcomes, error);
        if (status == STATUS_OK)
            status = write_row (self, key, outcomes, error);
        if (status == STATUS_OK && self->trained.rows % RENEW_ROWS == 0) {
            status = making_renew (&self->making, error);
            progress ("writing %s: %" PRIu64 " entities", self->trained.path, self->trained.rows);
        }
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static status_t write_manifest (work_t *self, error_t *error)
{
    char hash[33];
    buf_t when, as_of;
    status_t status = content_hash (self->wanted->out, hash, error);
    if (status != STATUS_OK)
        return status;
    buf_init (&when, 64);
    buf_init (&as_of, 64);
    time_format (&when, clock_us ());
    time_format (&as_of, self->wanted->time);
    json_t *extra = json_object (), *out = json_object ();
    json_object_set_new (out, "name", json_string (self->wanted->out));
    json_object_set_new (out, "xxh3_128", json_string (hash));
    json_object_set_new (out, "format", json_string (format_word (self->trained.format)));
    json_object_set_new (extra, "out", out);
    json_object_set_new (extra, "as_of", json_string (buf_string (&as_of)));
    json_object_set_new (extra, "before", json_boolean (self->wanted->before));
    json_object_set_new (extra, "rows", json_integer ((json_int_t)self->trained.rows));
    json_object_set_new (extra, "errors", json_integer ((json_int_t)self->trained.errors));
    json_object_set_new (extra, "made", json_string (buf_string (&when)));
    buf_release (&when);
    buf_release (&as_of);
    return making_write_manifest (&self->making, self->wanted->out, extra, error);
}

static int tell (work_t *self)
{
    const trained_t *trained = &self->trained;
    progress_end ();
    if (trained->errors > 0)
        fprintf (stderr, "weir export: %" PRIu64 " value%s could not be computed; %s\n",
                 trained->errors, plural (trained->errors), trained->reason);
    if (self->call->json)
        printf ("{\"rows\":%" PRIu64 ",\"errors\":%" PRIu64 "}\n", trained->rows, trained->errors);
    else
        printf ("%s: %" PRIu64 " entit%s, %zu feature%s, in %.1f s\n", self->wanted->out,
                trained->rows, trained->rows == 1 ? "y" : "ies", self->set->outputs_count,
                plural (self->set->outputs_count), (double)(monotonic_ms () - self->start) / 1000);
    return trained->errors > 0 ? EXIT_INCOMPLETE : EXIT_DONE;
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

static void release (work_t *self)
{
    result_reader_destroy (&self->reader);
    making_release (&self->making);
    trained_release (&self->trained);
    trainset_destroy (&self->set);
    registered_release (&self->registered);
    mem_free (self->name);
    posix_fs_destroy (&self->fs);
    arena_destroy (&self->arena);
}

static int make (call_t *call, const wanted_t *wanted)
{
    error_t error;
    if (!call_weir (call))
        return EXIT_FAILED;
    progress_in_lines ();
    interrupt_waits ();
    work_t self = {
        .call = call, .wanted = wanted, .arena = arena_new (CHUNK), .start = monotonic_ms ()
    };
    status_t status = work (&self, &error);
    int exit_status = EXIT_DONE;
    if (status == STATUS_OK)
        exit_status = tell (&self);
    progress_end ();
    if (status != STATUS_OK)
        exit_status = call_failed (call, &error);
    release (&self);
    return status == STATUS_CANCELLED ? EXIT_INTERRUPTED : exit_status;
}

static int run (call_t *call)
{
    wanted_t wanted = { 0 };
    error_t error;
    const option_spec_t specs[] = {
        { 't', "as-of", "TIME", "the instant that is asked about", &wanted.as_of, NULL },
        { 'o', "out", "FILE", "what is written", &wanted.out, NULL },
        { 'f', "format", "FORMAT", "of it: csv or ndjson (default: by its ending)", &wanted.format,
          NULL },
        { 0, "before", NULL, "leave out what happened at exactly that instant", NULL,
          &wanted.before },
        { 0, "features", "a,b", "these, in this order (default: all)", &wanted.features, NULL },
        { 0, "version", "FILE", "of the same dataset as an earlier one: its .weir.json",
          &wanted.version, NULL },
    };
    int exit_status;
    text_format_t format;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (!wanted.as_of || !wanted.out)
        return call_usage (call, "it takes --as-of TIME and --out FILE");
    if (trained_format (wanted.out, wanted.format, &format, &error) != STATUS_OK)
        return call_usage (call, "%s", error.text);
    if (time_parse_argument (text_of (wanted.as_of), clock_us (), &wanted.time, &error) !=
        STATUS_OK)
        return call_usage (call, "--as-of: %s", error.text);
    return make (call, &wanted);
}

const command_t command_export = {
    .name = "export",
    .group = "Features",
    .operands = "VIEW[@VERSION]",
    .purpose = "Writes every entity of a view with its features as of one time",
    .details = "An entity is there that had an event by then. They come in the order of their "
               "keys. FILE.weir.json says of\nwhich dataset they are; --version takes it.",
    .examples = "  weir export user_spend --as-of 2026-01-01 --out users.csv\n"
                "  weir export user_spend --as-of now --out users.ndjson",
    .least = 1,
    .most = 1,
    .run = run,
};
