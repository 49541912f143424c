/* world.h - what the other parts of the simulator need of world.c beside sim.h. */
#ifndef WEIR_SIM_WORLD_H
#define WEIR_SIM_WORLD_H

#include "tests/sim/sim.h"

/* The job has run; its core is told. */
void process_job_done (sim_node_t *self, job_t *job);
/* Runs it; false when the node died of it, and the job is gone. */
bool process_run_job (sim_node_t *self, job_t *job);

/* The next event. */
void sim_step (sim_t *self);

/* Every process dies at once, and the disk keeps what was synced and perhaps some of the rest. */
void sim_power_cut (sim_t *self, random_t *random);

/* While `calm`, the disk fails for nobody; then for whom it did before. */
void sim_disk_calm (sim_t *self, bool calm);

/* The run is over: events only give back what they own. */
bool sim_finished (const sim_t *self);

#endif
