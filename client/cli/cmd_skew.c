/* weir skew - answers that serving kept, computed again; training's values beside serving's. */
#include "client/cli/beside.h"
#include "client/cli/incoming.h"
#include "client/cli/skew_view.h"
#include "client/cli/work.h"

#include "base/mem.h"
#include "base/timestamp.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

typedef struct wanted {
    const char *since;
    const char *training;
    bool no_recompute;
    client_skew_t request;
} wanted_t;

typedef struct looking {
    call_t *call;
    uint64_t id;
} looking_t;

/* A duration ("1d") is that long ago; times are as everywhere. */
static bool read_since (const call_t *call, wanted_t *wanted)
{
    struct timespec now;
    error_t error;
    int64_t duration;
    text_t text = text_of (wanted->since ? wanted->since : "1d");
    (void)clock_gettime (CLOCK_REALTIME, &now);
    int64_t now_us = (int64_t)now.tv_sec * TIME_SECOND + now.tv_nsec / 1000;
    if (duration_parse (text, &duration, &error) == STATUS_OK) {
        wanted->request.since = now_us - duration;
        return true;
    }
    if (time_parse_argument (text, now_us, &wanted->request.since, &error) == STATUS_OK)
        return true;
    (void)call_usage (call, "--since: %s", error.text);
    return false;
}

/* What was answered up to now lies below the cuts of a recompute that begins now. */
static bool recompute (call_t *call, int *exit_status)
{
    message_t reply;
    error_t error;
    if (client_recompute (call->weir, NULL, false, &reply, &error) != STATUS_OK) {
        *exit_status = call_failed (call, &error);
        return false;
    }
    wire_list_t given = wire_list (reply.body, "ids");
    size_t count = given.count;
    if (count == 0)
        return true;
    uint64_t *ids = mem_alloc (count * sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = wire_item_uint (&given.items[i]);
    *exit_status = follow_recomputes (call, ids, count, true);
    mem_free (ids);
    return *exit_status == EXIT_DONE;
}

/* ---- asking ---- */

static status_t begin (call_t *call, const wanted_t *wanted, uint64_t *id, error_t *error)
{
    message_t reply;
    status_t status = client_skew (call->weir, &wanted->request, &reply, error);
    if (status == STATUS_OK)
        *id = wire_uint (reply.body, "id", 0);
    return status;
}

/* Of which version the training set says that it is, as far as it says so: any CSV will do. */
static status_t tell_training (const call_t *call, const char *path, error_t *error)
{
    json_t *beside = beside_read (path);
    text_t name;
    uint32_t asked;
    char datasets[BESIDE_DATASETS_MAX + 1];
    if (!beside)
        return STATUS_OK;
    if (!version_reference (text_of (call->words[0]), &name, &asked))
        name = text_of (call->words[0]);
    uint32_t version = beside_version (beside, name);
    const char *of = json_string_value (json_object_get (beside, "service"));
    of = of ? of : json_string_value (json_object_get (beside, "view"));
    status_t status = STATUS_OK;
    bool changed = beside_check (beside, path, error) != STATUS_OK;
    beside_datasets (beside, datasets, sizeof datasets);
    if (changed)
        fprintf (stderr, "%s was changed since it was made, by what stands beside it\n", path);
    else if (!of || !text_is (name, of) || version == 0)
        fprintf (stderr, "%s is of %s, by what stands beside it\n", path,
                 of ? of : "something else");
    else if (json_is_true (json_object_get (beside, "without_preprocess")))
        status = error_set (error, STATUS_INVALID,
                            "%s was made with --raw, and answers are preprocessed: make it without",
                            path);
    else if (asked != 0 && version != asked)
        status = error_set (error, STATUS_INVALID,
                            "%s is a training set of %s@v%" PRIu32 ", not of v%" PRIu32, path, of,
                            version, asked);
    else
        fprintf (stderr, "%s is of %s@v%" PRIu32 ", from %s\n", path, of, version, datasets);
    json_decref (beside);
    return status;
}

static status_t begin_with_training (call_t *call, wanted_t *wanted, uint64_t *id, error_t *error)
{
    source_t source;
    incoming_t incoming = { .fd = -1 };
    status_t status = tell_training (call, wanted->training, error);
    if (status == STATUS_OK)
        status = source_open (&source, wanted->training, "csv", error);
    if (status != STATUS_OK)
        return status;
    status =
        incoming_copy (call->project->data, call->project->disk_reserve, &source, &incoming, error);
    if (status == STATUS_OK) {
        wanted->request.training = incoming.path;
        status = begin (call, wanted, id, error);
        if (status != STATUS_OK)
            incoming_remove (call->project->data, &incoming);
    }
    incoming_release (&incoming);
    source_close (&source);
    return status;
}

static status_t ask (void *arg, message_t *reply, error_t *error)
{
    const looking_t *self = arg;
    return client_skew (self->call->weir, &(client_skew_t){ .id = self->id }, reply, error);
}

static bool look (void *arg, const message_t *reply, int *exit_status)
{
    const looking_t *self = arg;
    text_t state = wire_text (reply->body, "state");
    uint64_t total = wire_uint (reply->body, "total", 0);
    error_t error;
    if (text_is (state, "running")) {
        text_t waits = wire_text (reply->body, "error");
        progress ("recomputing answers: %" PRIu64 " %%%s" TEXT_FORMAT,
                  total > 0 ? wire_uint (reply->body, "done", 0) * 100 / total : 0,
                  waits.size > 0 ? "; waits: " : "", TEXT_ARGS (waits));
        return false;
    }
    progress_end ();
    if (text_is (state, "failed")) {
        (void)error_set (&error, STATUS_INVALID, TEXT_FORMAT,
                         TEXT_ARGS (wire_text (reply->body, "error")));
        *exit_status = call_failed (self->call, &error);
        return true;
    }
    uint64_t mismatches = 0;
    text_t report = wire_text (reply->body, "report");
    if (skew_show (report, self->call->json, &mismatches, &error) != STATUS_OK)
        *exit_status = call_failed (self->call, &error);
    else
        *exit_status = mismatches > 0 ? EXIT_FAILED : EXIT_DONE;
    return true;
}

static void leave (void *arg)
{
    (void)arg;
    fprintf (stderr, "weir skew: it goes on; `weir status` will say what came of it\n");
}

static int run (call_t *call)
{
    wanted_t wanted = { 0 };
    const option_spec_t specs[] = {
        { 0, "since", "TIME", "answers given from then on, or a duration: 1d", &wanted.since,
          NULL },
        { 0, "training", "FILE", "a training set (CSV) whose values are compared with serving's",
          &wanted.training, NULL },
        { 0, "no-recompute", NULL, "only answers that history covers already", NULL,
          &wanted.no_recompute },
    };
    int exit_status;
    error_t error;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (!read_since (call, &wanted))
        return EXIT_USAGE;
    if (!call_weir (call))
        return EXIT_FAILED;
    if (!wanted.no_recompute && !recompute (call, &exit_status))
        return exit_status;
    looking_t looking = { .call = call };
    wanted.request.name = call->words[0];
    status_t status = wanted.training ? begin_with_training (call, &wanted, &looking.id, &error)
                                      : begin (call, &wanted, &looking.id, &error);
    if (status != STATUS_OK)
        return call_failed (call, &error);
    return follow (call, &(following_t){ ask, look, leave, &looking });
}

const command_t command_skew = {
    .name = "skew",
    .group = "Features",
    .operands = "NAME",
    .purpose = "Recomputes answers that serving kept, and compares training with serving",
    .details =
        "NAME is a service or a view. Serving keeps answers when weir.yaml says so (skew: {sample: "
        "0.01}).\nEach is computed again from history, where it stood in the log: there must be no "
        "mismatch, to the bit.\nWhat events that came late would change is told apart. A recompute "
        "goes first, so that history\nhas all that was answered from. The exit status is 1 when "
        "there are mismatches.",
    .examples = "  weir skew transfer_model\n"
                "  weir skew transfer_model --since 7d --training train.csv\n"
                "  weir skew transfer_model --json",
    .least = 1,
    .most = 1,
    .run = run,
};
