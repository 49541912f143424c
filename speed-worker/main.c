/* weir-speed-worker: the core in the shell of common/node. */
#include "base/mem.h"
#include "node/node.h"
#include "speed-worker/core.h"

NODE_CORE (speed);

enum { JOB_THREADS = 4 }; /* flushes of several logs overlap */

static status_t make (const node_t *node, void **core, error_t *error)
{
    (void)error;
    speed_options_t options = {
        .node = node->name,
        .cluster = node->cluster,
        .place = node->place,
        .cluster_id = node->cluster_id,
        .partitions = node->project->partitions,
        .endpoint = node->endpoint,
        .coordinator = node->coordinator,
        .standbys = node->standbys,
        .standbys_count = node->standbys_count,
        .max_ahead = node->project->max_ahead,
        .memory_limit = node->project->speed_memory,
        .disk_reserve = node->project->disk_reserve,
    };
    *core = speed_core_new (node->env, &options);
    return STATUS_OK;
}

int main (int argc, char **argv)
{
    const node_program_t program = {
        .kind = NODE_SPEED_WORKER,
        .purpose = "Owns partitions: appends events durably and keeps the real-time views.",
        .core = &speed_node_core,
        .make = make,
        .threads = JOB_THREADS,
    };
    mem_return_large (); /* what a trim drops */
    return node_main (&program, argc, argv);
}
