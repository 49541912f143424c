/* weir-serving: the core in the shell of common/node. */
#include "base/timestamp.h"
#include "node/node.h"
#include "serving/core.h"

NODE_CORE (serving);

enum {
    JOB_THREADS = 4,
    SLOW_MAX = 3, /* one thread stays free for opening a new dataset */
};

#define DEFAULT_DEADLINE (2 * TIME_SECOND)

static status_t make (const node_t *node, void **core, error_t *error)
{
    (void)error;
    serving_options_t options = {
        .node = node->name,
        .cluster = node->cluster,
        .place = node->place,
        .partitions = node->project->partitions,
        .endpoint = node->endpoint,
        .coordinator = node->coordinator,
        .standbys = node->standbys,
        .standbys_count = node->standbys_count,
        .slow_max = SLOW_MAX,
        .node_memory = node->project->serving_memory,
        .default_deadline = DEFAULT_DEADLINE,
    };
    *core = serving_core_new (node->env, &options);
    return STATUS_OK;
}

int main (int argc, char **argv)
{
    const node_program_t program = {
        .kind = NODE_SERVING,
        .purpose = "Answers queries: batch view merged with real-time view.",
        .core = &serving_node_core,
        .make = make,
        .threads = JOB_THREADS,
    };
    return node_main (&program, argc, argv);
}
