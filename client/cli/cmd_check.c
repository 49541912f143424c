/* weir check - definitions without a cluster. */
#include "client/cli/command.h"

#include "base/number.h"
#include "feature/advice.h"

#include <string.h>

enum { LINES_MAX = 1 << 20 };

/* A list of texts, one a line. */
static void print_lines_json (const char *lines)
{
    buf_t out;
    buf_init (&out, 2 * LINES_MAX);
    buf_put_u8 (&out, '[');
    for (const char *line = lines; *line;) {
        size_t size = strcspn (line, "\n");
        if (line != lines)
            buf_put_u8 (&out, ',');
        number_format_json_string (&out, (text_t){ line, (uint32_t)size });
        line += size + (line[size] != '\0');
    }
    buf_put_string (&out, "]}");
    puts (buf_string (&out));
    buf_release (&out);
}

static int wrong (const call_t *call, const char *lines)
{
    if (call->json) {
        printf ("{\"ok\":false,\"errors\":");
        print_lines_json (lines);
    } else {
        fprintf (stderr, "%s\n", lines);
    }
    return EXIT_FAILED;
}

static size_t count_features (const definitions_t *definitions)
{
    size_t count = 0;
    for (size_t i = 0; i < definitions->views_count; i++)
        count += definitions->views[i].features_count + definitions->views[i].derived_count;
    return count;
}

static void put_count (size_t count, const char *what, const char *end)
{
    printf ("%zu %s%s%s", count, what, count == 1 ? "" : "s", end);
}

static void summarise (const call_t *call, const definitions_t *definitions, const char *advice)
{
    const project_t *project = call->project;
    size_t features = count_features (definitions);
    if (call->json) {
        printf ("{\"ok\":true,\"cluster\":\"%s\",\"partitions\":%u,\"files\":%zu,\"streams\":%zu,"
                "\"views\":%zu,\"features\":%zu,\"services\":%zu,\"advice\":",
                project->cluster, project->partitions, project->files_count,
                definitions->streams_count, definitions->views_count, features,
                definitions->services_count);
        print_lines_json (advice);
        return;
    }
    printf ("%s: ", project->cluster);
    put_count (project->files_count, "file", ", ");
    put_count (definitions->streams_count, "stream", ", ");
    put_count (definitions->views_count, "view", ", ");
    put_count (features, "feature", definitions->services_count > 0 ? ", " : "\n");
    if (definitions->services_count > 0)
        put_count (definitions->services_count, "service", "\n");
    for (size_t i = 0; i < definitions->streams_count; i++) {
        const stream_t *stream = &definitions->streams[i];
        printf ("  stream %s: ", stream->name);
        put_count (stream->fields_count, "field", "\n");
    }
    for (size_t i = 0; i < definitions->views_count; i++) {
        const view_t *view = &definitions->views[i];
        buf_t from;
        buf_init (&from, 4096);
        view_format_sources (view, &from);
        printf ("  view %s from %s: ", view->name, buf_string (&from));
        buf_release (&from);
        put_count (view->features_count + view->derived_count, "feature", "\n");
    }
    for (size_t i = 0; i < definitions->services_count; i++) {
        const service_t *service = &definitions->services[i];
        printf ("  service %s over ", service->name);
        put_count (service->roles_count, "role", ": ");
        put_count (service->outputs_count, "feature", "\n");
    }
    if (*advice)
        fprintf (stderr, "advice:\n%s", advice);
}

static int run (call_t *call)
{
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    if (call->words_count == 1)
        call->directory = call->words[0];
    if (!call_project (call))
        return EXIT_FAILED;
    buf_t lines;
    definitions_t *definitions;
    error_t error;
    buf_init (&lines, LINES_MAX);
    status_t status = definitions_check (call->project->files, call->project->files_count,
                                         &definitions, &lines, &error);
    if (status == STATUS_OK) {
        (void)definitions_advise (definitions, call->project->batch_every, &lines);
        summarise (call, definitions, buf_string (&lines));
        definitions_destroy (&definitions);
        exit_status = EXIT_DONE;
    } else {
        exit_status = wrong (call, lines.size > 0 ? buf_string (&lines) : error.text);
    }
    buf_release (&lines);
    return exit_status;
}

const command_t command_check = {
    .name = "check",
    .group = "A project",
    .operands = "[DIR]",
    .purpose = "Checks weir.yaml and the definitions, without a cluster",
    .details = "Every mistake is printed as file:line:column: what is wrong, and what was probably "
               "meant. What is right but probably not meant is told as advice, and changes no exit "
               "status.",
    .examples = "  weir check\n  weir check examples/flights --json",
    .least = 0,
    .most = 1,
    .run = run,
};
