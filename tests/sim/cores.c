/* Which core a node runs: the only part of the simulator that knows that there are four. */
#include "tests/sim/sim.h"

#include "batch-worker/core.h"
#include "coordinator/core.h"
#include "serving/core.h"
#include "speed-worker/core.h"

#include "base/check.h"

static peer_t coordinator_of (const sim_node_t *node)
{
    return peer_of_endpoint (sim_node (node->sim, ROLE_COORDINATOR, 0)->endpoint);
}

/* The other ones. */
static size_t standbys_of (const sim_node_t *node, peer_t standbys[SIM_NODES_MAX])
{
    size_t count = sim_count (node->sim, ROLE_COORDINATOR);
    for (size_t i = 1; i < count; i++)
        standbys[i - 1] = peer_of_endpoint (sim_node (node->sim, ROLE_COORDINATOR, i)->endpoint);
    return count - 1;
}

static bool new_coordinator (sim_node_t *node)
{
    const sim_knobs_t *knobs = sim_knobs (node->sim);
    coordinator_options_t options = {
        .node = node->name,
        .endpoint = node->endpoint,
        .cluster = SIM_CLUSTER,
        .partitions = SIM_PARTITIONS,
        .lease = knobs->lease,
        .recompute_every = knobs->recompute_every,
        .fold_least = knobs->fold_least,
        .catalog_path = "catalog.db",
    };
    coordinator_core_t *core = NULL;
    error_t error;
    error_clear (&error);
    if (coordinator_core_new (&node->env, &options, &core, &error) != STATUS_OK) {
        sim_log (node->sim, "%s: does not start: %s", node->name, error.text);
        bool full = sim_knobs (node->sim)->every[STRIKE_DISK_FULL] > 0 && !sim_healed (node->sim);
        if (!node->faulty && !full && !process_is_doomed (node))
            sim_fail (node->sim, "%s does not start: %s", node->name, error.text);
        return false;
    }
    node->core = core;
    return true;
}

static void new_speed (sim_node_t *node)
{
    peer_t standbys[SIM_NODES_MAX];
    speed_options_t options = {
        .node = node->name,
        .cluster = SIM_CLUSTER,
        .cluster_id = SIM_CLUSTER_ID,
        .partitions = SIM_PARTITIONS,
        .endpoint = node->endpoint,
        .coordinator = coordinator_of (node),
        .standbys = standbys,
        .standbys_count = standbys_of (node, standbys),
        .max_ahead = SIM_MAX_AHEAD,
        .memory_limit = sim_knobs (node->sim)->memory_limit,
        .disk_reserve = SIM_DISK_RESERVE,
        .segment_size = sim_knobs (node->sim)->segment_size,
    };
    node->core = speed_core_new (&node->env, &options);
}

static void new_batch (sim_node_t *node)
{
    enum {
        LITTLE = 64 << 20
    }; /* where speed workers have little, batch workers have none to speak of */
    bool short_of_memory = sim_knobs (node->sim)->memory_limit < LITTLE;
    peer_t standbys[SIM_NODES_MAX];
    batch_options_t options = {
        .node = node->name,
        .cluster = SIM_CLUSTER,
        .cluster_id = SIM_CLUSTER_ID,
        .partitions = SIM_PARTITIONS,
        .coordinator = coordinator_of (node),
        .standbys = standbys,
        .standbys_count = standbys_of (node, standbys),
        .max_ahead = SIM_MAX_AHEAD,
        .memory_limit = short_of_memory ? 1 : LITTLE,
        .tasks_max = SIM_BATCH_LANES,
        .fold_memory = LITTLE,
    };
    node->core = batch_core_new (&node->env, &options);
}

static void new_serving (sim_node_t *node)
{
    peer_t standbys[SIM_NODES_MAX];
    serving_options_t options = {
        .node = node->name,
        .cluster = SIM_CLUSTER,
        .partitions = SIM_PARTITIONS,
        .endpoint = node->endpoint,
        .coordinator = coordinator_of (node),
        .standbys = standbys,
        .standbys_count = standbys_of (node, standbys),
        .slow_max = sim_knobs (node->sim)->slow_max,
        .default_deadline = 2 * TIME_SECOND,
        .sample = sim_knobs (node->sim)->watch ? 1 : 0,
        .sample_size = 8 << 20,
        .sample_keep = TIME_HOUR,
    };
    node->core = serving_core_new (&node->env, &options);
}

bool process_core_new (sim_node_t *self)
{
    switch (self->role) {
    case ROLE_COORDINATOR:
        return new_coordinator (self);
    case ROLE_SPEED:
        new_speed (self);
        return true;
    case ROLE_BATCH:
        new_batch (self);
        return true;
    default:
        CHECK (self->role == ROLE_SERVING);
        new_serving (self);
        return true;
    }
}

void process_core_destroy (sim_node_t *self)
{
    union {
        coordinator_core_t *coordinator;
        speed_core_t *speed;
        batch_core_t *batch;
        serving_core_t *serving;
    } core;
    switch (self->role) {
    case ROLE_COORDINATOR:
        core.coordinator = self->core;
        coordinator_core_destroy (&core.coordinator);
        break;
    case ROLE_SPEED:
        core.speed = self->core;
        speed_core_destroy (&core.speed);
        break;
    case ROLE_BATCH:
        core.batch = self->core;
        batch_core_destroy (&core.batch);
        break;
    default:
        CHECK (self->role == ROLE_SERVING);
        core.serving = self->core;
        serving_core_destroy (&core.serving);
    }
}

void process_core_receive (sim_node_t *self, const peer_t *from, const void *data, size_t size)
{
    switch (self->role) {
    case ROLE_COORDINATOR:
        coordinator_core_receive (self->core, from, data, size);
        break;
    case ROLE_SPEED:
        speed_core_receive (self->core, from, data, size);
        break;
    case ROLE_BATCH:
        batch_core_receive (self->core, from, data, size);
        break;
    default:
        serving_core_receive (self->core, from, data, size);
    }
}

void process_core_job_done (sim_node_t *self, job_t *job)
{
    switch (self->role) {
    case ROLE_COORDINATOR:
        coordinator_core_job_done (self->core, job);
        break;
    case ROLE_SPEED:
        speed_core_job_done (self->core, job);
        break;
    case ROLE_BATCH:
        batch_core_job_done (self->core, job);
        break;
    default:
        serving_core_job_done (self->core, job);
    }
}

int64_t process_core_tick (sim_node_t *self)
{
    switch (self->role) {
    case ROLE_COORDINATOR:
        return coordinator_core_tick (self->core);
    case ROLE_SPEED:
        return speed_core_tick (self->core);
    case ROLE_BATCH:
        return batch_core_tick (self->core);
    default:
        return serving_core_tick (self->core);
    }
}
