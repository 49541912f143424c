/* weir infer - a stream's definition from a sample of its rows. */
#include "client/cli/command.h"
#include "client/cli/inference.h"
#include "client/cli/source.h"
#include "client/cli/terminal.h"

enum { YAML_MAX = 1 << 20 };

/* The rows before the first bad one, or the first ones. */
static status_t infer (source_t *source, const char *name, buf_t *out, error_t *error)
{
    text_reader_t *reader = text_reader_new (source->format, INFERENCE_ROWS_MAX);
    raw_table_t sample;
    uint64_t first_row, bad_row;
    status_t status = source_table (source, reader, &sample, &first_row, &bad_row, error);
    if (status == STATUS_INVALID && bad_row > 0 &&
        text_reader_table (reader, &sample, &first_row)) {
        fprintf (stderr, "weir infer: %s; what is before that row was looked at\n", error->text);
        status = STATUS_OK;
    }
    if (status == STATUS_END)
        status = error_set (error, STATUS_INVALID, "there are no rows to guess from");
    if (status == STATUS_OK)
        status = infer_stream (&sample, name, out, error);
    text_reader_destroy (&reader);
    return status;
}

/* What was written must be what `weir check` takes; if not, say what has to be mended by hand. */
static void warn (const buf_t *yaml)
{
    definition_file_t file = { "-", { (const char *)yaml->data, (uint32_t)yaml->size } };
    definitions_t *definitions;
    error_t error;
    if (definitions_read (&file, 1, &definitions, &error) == STATUS_OK)
        definitions_destroy (&definitions);
    else
        fprintf (stderr, "weir infer: to be mended by hand:\n%s\n", error.text);
}

static int run (call_t *call)
{
    const char *name = NULL, *format = NULL;
    const option_spec_t specs[] = {
        { 'n', "name", "STREAM", "the stream's name (default: the file's)", &name, NULL },
        { 'f', "format", "FORMAT", "csv or ndjson (default: by ending or content)", &format, NULL },
    };
    int exit_status;
    if (!call_options (call, specs, 2, &exit_status))
        return exit_status;
    char own_name[NAME_MAX_SIZE + 1];
    infer_name (name ? name : call->words[0], own_name, sizeof own_name);
    source_t source;
    buf_t out;
    error_t error;
    buf_init (&out, YAML_MAX);
    status_t status = source_open (&source, call->words[0], format, &error);
    if (status == STATUS_OK) {
        status = infer (&source, own_name, &out, &error);
        if (status != STATUS_OK)
            (void)error_prefix (&error, "%s", call->words[0]);
        source_close (&source);
    }
    if (status == STATUS_OK) {
        print_buf (&out);
        warn (&out);
    }
    buf_release (&out);
    return status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
}

const command_t command_infer = {
    .name = "infer",
    .group = "A project",
    .operands = "FILE",
    .purpose = "Writes a stream's definition from a sample, CSV or NDJSON",
    .details = "Looks at the first 10000 rows. Other columns that could be the key or the time are "
               "named in\ncomments. FILE may be - for stdin.",
    .examples = "  weir infer taxi.csv --name trips > features/trips.yaml\n"
                "  zcat flights.csv.gz | weir infer - --name flights",
    .least = 1,
    .most = 1,
    .run = run,
};
