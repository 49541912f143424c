/* weir fsck - is a data directory whole? */
#include "client/cli/command.h"
#include "client/cli/data_place.h"
#include "client/cli/findings.h"
#include "client/cli/terminal.h"

#include "base/mem.h"

#include <inttypes.h>

static const char *directory_of (call_t *call)
{
    if (call->words_count > 0)
        return call->words[0];
    return call_project (call) ? call->project->data : NULL;
}

static void print_summary (const data_place_t *place, const fsck_summary_t *summary)
{
    buf_t bytes;
    buf_init (&bytes, 64);
    format_bytes (&bytes, summary->bytes);
    printf ("%" PRIu64 " files, %s, %" PRIu64 " events: ", summary->files, buf_string (&bytes),
            summary->events);
    if (summary->wrong == 0)
        fputs ("clean", stdout);
    else
        printf ("%" PRIu64 " damaged", summary->wrong);
    if (summary->orphans > 0)
        printf (", %" PRIu64 " that nothing needs", summary->orphans);
    if (summary->repaired > 0)
        printf (", %" PRIu64 " removed", summary->repaired);
    puts ("");
    if (place->running)
        puts ("nodes run here: what they are writing, and what nothing needs, was not looked at");
    buf_release (&bytes);
}

static void print_summary_json (const data_place_t *place, const fsck_summary_t *summary,
                                findings_t *findings, const error_t *problem)
{
    printf ("{\"clean\":%s,\"running\":%s,\"files\":%" PRIu64 ",\"bytes\":%" PRIu64
            ",\"events\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"orphans\":%" PRIu64
            ",\"repaired\":%" PRIu64,
            summary->wrong == 0 && !problem ? "true" : "false", place->running ? "true" : "false",
            summary->files, summary->bytes, summary->events, summary->wrong, summary->orphans,
            summary->repaired);
    printf (",\"findings\":[%s]}\n", findings_json (findings));
}

static int look (call_t *call, const char *directory, bool repair)
{
    data_place_t place;
    error_t error;
    if (data_place_open (&place, directory, &error) != STATUS_OK)
        return call_failed (call, &error);
    if (repair && place.running) {
        data_place_release (&place);
        (void)error_set (&error, STATUS_BUSY,
                         "nodes run on %s: stop them (weir down) before it is repaired", directory);
        return call_failed (call, &error);
    }
    findings_t findings;
    fsck_summary_t summary;
    findings_init (&findings, call->json);
    fsck_options_t options = { .live = place.running,
                               .repair = repair,
                               .found = findings_add,
                               .progress = progress_bytes,
                               .arg = &findings };
    status_t status = fsck_run (place.fs, &options, &summary, &error);
    progress_end ();
    if (call->json)
        print_summary_json (&place, &summary, &findings, status == STATUS_OK ? NULL : &error);
    else if (status == STATUS_OK)
        print_summary (&place, &summary);
    data_place_release (&place);
    findings_release (&findings);
    if (status != STATUS_OK && !(call->json && summary.wrong > 0))
        return summary.wrong > 0 ? EXIT_FAILED : call_failed (call, &error);
    return summary.wrong > summary.repaired || status != STATUS_OK ? EXIT_FAILED : EXIT_DONE;
}

static int run (call_t *call)
{
    bool repair = false;
    const option_spec_t specs[] = {
        { 0, "repair", NULL, "remove damaged batch views, and files that nothing needs", NULL,
          &repair },
    };
    int exit_status;
    if (!call_options (call, specs, 1, &exit_status))
        return exit_status;
    const char *directory = directory_of (call);
    return directory ? look (call, directory, repair) : EXIT_FAILED;
}

const command_t command_fsck = {
    .name = "fsck",
    .group = "Keeping it safe",
    .operands = "[DIR]",
    .purpose = "Checks every file of a data directory, block by block",
    .details =
        "DIR is a data directory; without it, the project's. Every block that the catalog knows of "
        "and every log\nare read and verified, and held against one another. While nodes run, only "
        "what does not change is looked at.\n\nWhat is damaged is told with file and byte, what of "
        "the data it holds, and what can be done. --repair does what\nis always safe: it removes "
        "damaged batch views, which are built again, and files that nothing needs. It never\n"
        "touches logs and history.\n\nExit status: 0 clean, 1 damaged or could not be looked at, 2 "
        "wrong usage.",
    .examples = "  weir fsck\n  weir fsck --json /srv/shop/data\n  weir down && weir fsck --repair",
    .least = 0,
    .most = 1,
    .run = run,
};
