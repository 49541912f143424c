#include "batch-worker/core.h"
#include "node/node.h"

#include <sched.h>

enum {
    TASKS_AT_ONCE = 2, /* beside a fold */
    FOLD_PART = 4,     /* of the memory is a fold's, which sorts nothing */
};

NODE_CORE (batch);

/* Those that the process may run on. */
static unsigned processors (void)
{
    cpu_set_t set;
    int count = sched_getaffinity (0, sizeof set, &set) == 0 ? CPU_COUNT (&set) : 1;
    return count > 0 ? (unsigned)count : 1;
}

static status_t make (const node_t *node, void **core, error_t *error)
{
    (void)error; /* nothing here can fail */
    uint64_t memory = node->project->batch_memory;
    batch_options_t options = { .node = node->name,
                                .cluster = node->cluster,
                                .place = node->place,
                                .cluster_id = node->cluster_id,
                                .partitions = node->project->partitions,
                                .coordinator = node->coordinator,
                                .standbys = node->standbys,
                                .standbys_count = node->standbys_count,
                                .max_ahead = node->project->max_ahead,
                                .memory_limit = (memory - memory / FOLD_PART) / TASKS_AT_ONCE,
                                .fold_memory = memory / FOLD_PART,
                                .disk_reserve = node->project->disk_reserve,
                                .data = node->project->data,
                                .skew_psi = node->project->skew.psi,
                                .skew_ks = node->project->skew.ks,
                                .skew_null_rate = node->project->skew.null_rate,
                                .tasks_max = TASKS_AT_ONCE,
                                .threads = processors () };
    *core = batch_core_new (node->env, &options);
    return STATUS_OK;
}

static void stop (void *core)
{
    batch_core_stop (core);
}

int main (int argc, char **argv)
{
    static const node_program_t program = {
        .kind = NODE_BATCH_WORKER,
        .purpose = "Runs the tasks of a weir cluster: loads files and builds batch views.",
        .core = &batch_node_core,
        .make = make,
        .stop = stop,
        .threads = TASKS_AT_ONCE + 1,
    };
    return node_main (&program, argc, argv);
}
