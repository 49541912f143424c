#include "coordinator/core.h"
#include "node/node.h"

enum { FOLD_LEAST = 2000000 }; /* rows: a second or less of one thread */

NODE_CORE (coordinator);

static status_t make (const node_t *node, void **core, error_t *error)
{
    coordinator_options_t options = { .node = node->name,
                                      .endpoint = node->endpoint,
                                      .cluster = node->cluster,
                                      .place = node->place,
                                      .partitions = node->project->partitions,
                                      .lease = node->project->lease,
                                      .recompute_every = node->project->batch_every,
                                      .disk_reserve = node->project->disk_reserve,
                                      .fold_least = FOLD_LEAST,
                                      .catalog_path = "catalog.db",
                                      .resigns = true };
    coordinator_core_t *self = NULL;
    status_t status = coordinator_core_new (node->env, &options, &self, error);
    *core = self;
    return status;
}

int main (int argc, char **argv)
{
    static const node_program_t program = {
        .kind = NODE_COORDINATOR,
        .purpose = "Keeps a weir cluster together: members, partitions, recomputes, loads, "
                   "definitions.",
        .core = &coordinator_node_core,
        .make = make,
        .threads = 1,
    };
    return node_main (&program, argc, argv);
}
