/* weir up, weir down - every node of the project on this machine. */
#include "client/cli/command.h"
#include "client/cli/loose.h"
#include "client/cli/nodes.h"
#include "client/cli/status_view.h"
#include "client/cli/terminal.h"

#include "base/mem.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOOK_EVERY_MS = 50,
    ASK_TIMEOUT_MS = 500,
    READY_MS = 60000, /* until everything must be up; a long log is replayed */
    STOP_MS = 10000,  /* after SIGTERM, before SIGKILL */
    WORDS_MAX = 1024,
};

typedef struct cluster {
    call_t *call;
    local_node_t nodes[NODES_MOST];
    bool started[NODES_MOST]; /* by us */
    bool told[NODES_MOST];    /* that it has ended */
    size_t count;
    int turn; /* to start nodes; -1: it is not ours */
} cluster_t;

/* ---- waiting, and Ctrl-C ---- */

static void stop_signals (sigset_t *signals)
{
    sigemptyset (signals);
    sigaddset (signals, SIGINT);
    sigaddset (signals, SIGTERM);
    sigaddset (signals, SIGHUP);
}

/* Waits; true when we were asked to stop. The signals are blocked but for here. */
static bool wait_stopped (int ms)
{
    sigset_t signals;
    stop_signals (&signals);
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    return sigtimedwait (&signals, NULL, &time) > 0;
}

static size_t running (cluster_t *cluster)
{
    size_t count = 0;
    for (size_t i = 0; i < cluster->count; i++)
        count += node_runs (cluster->call->project, &cluster->nodes[i]);
    return count;
}

/* Waits until the node has ended, at last by force. True when it took force. */
static bool await_end (const project_t *project, local_node_t *node, int64_t deadline)
{
    bool killed = false;
    while (node_runs (project, node)) {
        int64_t late = monotonic_ms () - deadline;
        if (late >= 0 && !killed) {
            node_signal (project, node, SIGKILL);
            killed = true;
        }
        if (late > STOP_MS)
            break; /* the disk holds it; it is as good as gone */
        progress ("waiting for %s to stop", node->name);
        wait_ms (LOOK_EVERY_MS / 5);
    }
    return killed;
}

/* All at once; what one hands over while the others stop is of no use to anybody. Returns how many
 * had to be ended by force. */
static size_t stop (cluster_t *cluster, bool only_started)
{
    const project_t *project = cluster->call->project;
    int64_t deadline = monotonic_ms () + STOP_MS;
    size_t killed = 0;
    for (size_t i = 0; i < cluster->count; i++)
        if (!only_started || cluster->started[i])
            node_signal (project, &cluster->nodes[i], SIGTERM);
    for (size_t i = 0; i < cluster->count; i++) {
        if (only_started && !cluster->started[i])
            continue;
        killed += await_end (project, &cluster->nodes[i], deadline);
        node_forget (project, &cluster->nodes[i]);
    }
    progress_end ();
    return killed;
}

/* ---- being ready ---- */

static bool ask (call_t *call, message_kind_t kind, message_t *reply, error_t *error)
{
    (void)client_begin (call->weir, kind);
    return client_call (call->weir, CLIENT_COORDINATOR, ASK_TIMEOUT_MS, reply, error) == STATUS_OK;
}

/* Another cluster of the same name may answer where ours is to listen, such as the one that a
 * backup is of. */
static const local_node_t *lacking (const cluster_t *cluster,
                                    bool (*has) (const project_t *, const local_node_t *))
{
    for (size_t i = 0; i < cluster->count; i++)
        if (cluster->started[i] && !has (cluster->call->project, &cluster->nodes[i]))
            return &cluster->nodes[i];
    return NULL;
}

/* What is still waited for; false when nothing is. */
static bool is_waiting (cluster_t *cluster, buf_t *what, error_t *error)
{
    call_t *call = cluster->call;
    message_t reply;
    buf_clear (what);
    if (!ask (call, MESSAGE_STATUS, &reply, error)) {
        buf_put_string (what, "the coordinator");
        return true;
    }
    const local_node_t *node = lacking (cluster, node_is_placed);
    if (node) {
        buf_put_string (what, node->name);
        return true;
    }
    uint32_t alive = count_alive (reply.body);
    if (alive < cluster->count) {
        buf_printf (what, "nodes (%u of %zu)", alive, cluster->count);
        return true;
    }
    node = lacking (cluster, node_has_definitions);
    if (node && loose_uint (reply.body, "version") > 0) {
        buf_printf (what, "the definitions at %s", node->name);
        return true;
    }
    buf_t failed; /* told with the partitions, which another reply has */
    buf_init (&failed, 1024);
    put_failed_partition (&failed, reply.body);
    uint64_t served = 0;
    bool waiting = !ask (call, MESSAGE_METRICS, &reply, error);
    if (!waiting) {
        served = loose_uint (wire_map (reply.body, "values"), "partitions_served");
        waiting = served < call->project->partitions;
        if (waiting)
            buf_printf (what, "partitions (%llu of %u)%s%s", (unsigned long long)served,
                        call->project->partitions, failed.size > 0 ? ": " : "",
                        buf_string (&failed));
    }
    buf_release (&failed);
    return waiting;
}

/* Has a node that we started ended? Says why. */
static bool has_failed (cluster_t *cluster)
{
    const project_t *project = cluster->call->project;
    for (size_t i = 0; i < cluster->count; i++) {
        char words[WORDS_MAX];
        local_node_t *node = &cluster->nodes[i];
        if (!cluster->started[i] || node_runs (project, node))
            continue;
        progress_end ();
        node_last_words (project, node, words, sizeof words);
        fprintf (stderr, "weir up: %s could not start: %s\n", node->name,
                 words[0] ? words : "it ended without a word");
        return true;
    }
    return false;
}

static int told_foreign (const error_t *error)
{
    progress_end ();
    fprintf (stderr, "weir up: %s; stop that one, or give this one another `base_port`\n",
             error->text);
    return EXIT_FAILED;
}

/* EXIT_DONE, or why not. */
static int wait_ready (cluster_t *cluster)
{
    int64_t start = monotonic_ms ();
    buf_t what;
    buf_init (&what, 4096);
    int exit_status = -1;
    error_t error;
    error_clear (&error);
    while (exit_status < 0) {
        bool waiting = is_waiting (cluster, &what, &error);
        /* after asking: whoever answered may not be ours */
        if (client_foreign (cluster->call->weir))
            exit_status = told_foreign (&error);
        else if (has_failed (cluster))
            exit_status = EXIT_FAILED;
        else if (!waiting)
            exit_status = EXIT_DONE;
        else if (error.status == STATUS_DENIED) /* our key, and that will not change */
            exit_status = call_failed (cluster->call, &error);
        else if (monotonic_ms () - start > READY_MS) {
            progress_end ();
            fprintf (
                stderr,
                "weir up: after %d s still waiting for %s; `weir status` and `weir logs` say more, "
                "and the nodes go on\n",
                READY_MS / 1000, buf_string (&what));
            exit_status = EXIT_UNREACHABLE;
        } else {
            progress ("waiting for %s", buf_string (&what));
            if (wait_stopped (LOOK_EVERY_MS))
                exit_status = EXIT_INTERRUPTED;
        }
    }
    progress_end ();
    buf_release (&what);
    return exit_status;
}

/* ---- up ---- */

/* One `weir up` at a time starts nodes; what the one before has started is then running. */
static int take_turn (cluster_t *cluster)
{
    const project_t *project = cluster->call->project;
    error_t error;
    status_t status = nodes_prepare (project, &error);
    if (status == STATUS_OK)
        status = nodes_take_turn (project, &cluster->turn, &error);
    if (status == STATUS_BUSY)
        fprintf (stderr, "%s; waiting for it\n", error.text);
    while (status == STATUS_BUSY) {
        if (wait_stopped (LOOK_EVERY_MS))
            return EXIT_INTERRUPTED;
        status = nodes_take_turn (project, &cluster->turn, &error);
    }
    if (status != STATUS_OK)
        return call_failed (cluster->call, &error);
    cluster->count = nodes_find (project, cluster->nodes);
    return EXIT_DONE;
}

static void end_turn (cluster_t *cluster)
{
    if (cluster->turn >= 0)
        close (cluster->turn);
    cluster->turn = -1;
}

static int start (cluster_t *cluster)
{
    call_t *call = cluster->call;
    error_t error;
    status_t status = STATUS_OK;
    for (size_t i = 0; i < cluster->count && status == STATUS_OK; i++) {
        if (cluster->nodes[i].pid != 0)
            continue;
        status = node_start (call->project, &cluster->nodes[i], &error);
        cluster->started[i] = cluster->nodes[i].pid != 0;
    }
    return status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
}

static void tell_started (const cluster_t *cluster)
{
    const project_t *project = cluster->call->project;
    if (cluster->call->json) {
        printf ("{\"cluster\":\"%s\",\"nodes\":{", project->cluster);
        for (size_t i = 0; i < cluster->count; i++)
            printf ("%s\"%s\":%d", i > 0 ? "," : "", cluster->nodes[i].name,
                    (int)cluster->nodes[i].pid);
        printf ("}}\n");
    } else {
        printf ("%s is up: %zu nodes, %u partitions; coordinator%s at ", project->cluster,
                cluster->count, project->partitions, project->coordinators_count > 1 ? "s" : "");
        for (size_t i = 0; i < project->coordinators_count; i++)
            printf ("%s%s", i > 0 ? ", " : "", project->coordinators[i]);
        printf ("; serving at %s\n", project->serving[0]);
    }
    fflush (stdout);
}

/* Until Ctrl-C, telling of nodes that end. */
static int stay (cluster_t *cluster)
{
    const project_t *project = cluster->call->project;
    fprintf (stderr, "Ctrl-C stops it; logs are in %s/logs\n", project->data);
    while (!wait_stopped (LOOK_EVERY_MS * 4)) {
        for (size_t i = 0; i < cluster->count; i++) {
            char words[WORDS_MAX];
            local_node_t *node = &cluster->nodes[i];
            if (cluster->told[i] || node_runs (project, node))
                continue;
            cluster->told[i] = true;
            node_last_words (project, node, words, sizeof words);
            fprintf (stderr, "weir up: %s has ended; its last words: %s\n", node->name, words);
            node_forget (project, node);
        }
        if (running (cluster) == 0) {
            fputs ("weir up: no node is left\n", stderr);
            return EXIT_FAILED;
        }
    }
    fputs ("\nstopping\n", stderr);
    return EXIT_INTERRUPTED;
}

/* Says so; how many do, if some. */
static bool are_all_running (cluster_t *cluster)
{
    size_t already = running (cluster);
    size_t older = 0;
    for (size_t i = 0; i < cluster->count; i++)
        older += cluster->nodes[i].pid != 0 &&
                 node_is_older (cluster->call->project, &cluster->nodes[i]);
    if (older > 0)
        fprintf (stderr,
                 "weir.yaml was written after they were started, and they go by what it said then: "
                 "`weir down`, then `weir up -d`, has them read it\n");
    if (already == cluster->count)
        printf ("%s is running already: %zu nodes\n", cluster->call->project->cluster,
                cluster->count);
    else if (already > 0)
        fprintf (stderr, "%zu of %zu nodes are running already; starting the others\n", already,
                 cluster->count);
    return already == cluster->count;
}

static int bring_up (cluster_t *cluster, bool detached)
{
    sigset_t signals;
    stop_signals (&signals);
    if (sigprocmask (SIG_BLOCK, &signals, NULL) != 0)
        return EXIT_FAILED;
    /* with the keys to ask the nodes whether all is ready, before any is started */
    error_t error;
    int exit_status = EXIT_DONE;
    if (!call_weir (cluster->call))
        exit_status = EXIT_FAILED;
    else if (running (cluster) < cluster->count &&
             client_check_keys (cluster->call->weir, &error) != STATUS_OK)
        exit_status = call_failed (cluster->call, &error);
    if (exit_status == EXIT_DONE)
        exit_status = take_turn (cluster);
    if (exit_status == EXIT_DONE && are_all_running (cluster))
        return EXIT_DONE;
    if (exit_status == EXIT_DONE)
        exit_status = start (cluster);
    if (exit_status == EXIT_DONE)
        exit_status = wait_ready (cluster);
    if (exit_status == EXIT_DONE)
        tell_started (cluster);
    if (exit_status == EXIT_UNREACHABLE && detached)
        return exit_status;
    if (exit_status == EXIT_DONE && detached)
        return exit_status;
    if (exit_status == EXIT_DONE) {
        end_turn (cluster);
        exit_status = stay (cluster);
    }
    (void)stop (cluster, true);
    return exit_status;
}

static int run_up (call_t *call)
{
    bool detached = false;
    const option_spec_t specs[] = {
        { 'd', "detach", NULL, "return when all is ready; the nodes go on", NULL, &detached },
    };
    int exit_status;
    if (!call_options (call, specs, 1, &exit_status))
        return exit_status;
    if (!call_project (call))
        return EXIT_FAILED;
    progress_in_lines ();
    cluster_t *cluster = mem_zero (1, sizeof *cluster);
    cluster->call = call;
    cluster->count = nodes_find (call->project, cluster->nodes);
    cluster->turn = -1;
    exit_status = bring_up (cluster, detached);
    end_turn (cluster);
    mem_free (cluster);
    return exit_status;
}

/* ---- down ---- */

static int run_down (call_t *call)
{
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    if (!call_project (call))
        return EXIT_FAILED;
    cluster_t *cluster = mem_zero (1, sizeof *cluster);
    cluster->call = call;
    cluster->count = nodes_find (call->project, cluster->nodes);
    cluster->count = nodes_add_left (call->project, cluster->nodes, cluster->count);
    size_t count = running (cluster);
    size_t killed = stop (cluster, false);
    mem_free (cluster);
    if (call->json)
        printf ("{\"stopped\":%zu,\"killed\":%zu}\n", count, killed);
    else if (count == 0)
        puts ("no node was running");
    else if (killed > 0)
        printf ("stopped %zu nodes, %zu of them by force after %d s\n", count, killed,
                STOP_MS / 1000);
    else
        printf ("stopped %zu nodes\n", count);
    return EXIT_DONE;
}

const command_t command_up = {
    .name = "up",
    .group = "A cluster on this machine",
    .operands = "",
    .purpose = "Starts every node that is not running yet, and waits until all is ready",
    .details =
        "Without -d it stays until Ctrl-C and then stops what it has started. Logs are in the data "
        "directory,\nin logs/.",
    .examples = "  weir up -d\n  weir -C my-project up",
    .least = 0,
    .most = 0,
    .run = run_up,
};

const command_t command_down = {
    .name = "down",
    .group = "A cluster on this machine",
    .operands = "",
    .purpose = "Stops every node that `weir up` has started",
    .details = "Nodes are asked to stop, and ended by force after 10 s, which loses nothing that "
               "was acknowledged.",
    .examples = "  weir down",
    .least = 0,
    .most = 0,
    .run = run_down,
};
