/* env.h - an env (base/env.h) for tests of one core: its clocks stand still until they are told to
 * go on, what it sends is kept, and its jobs run when the test says so. */
#ifndef WEIR_TESTS_RIG_ENV_H
#define WEIR_TESTS_RIG_ENV_H

#include "base/env.h"
#include "base/random.h"
#include "wire/wire.h"

typedef struct rig_message {
    struct rig_message *next;
    peer_t to;
    size_t size;
    uint8_t data[];
} rig_message_t;

typedef struct rig_env {
    env_t env; /* first */
    int64_t clock;
    int64_t boot;
    random_t random;
    rig_message_t *sent; /* oldest first */
    job_t *jobs;         /* oldest first */
    uint64_t warnings;   /* logged, and worse */
    bool loud;           /* logs go to stderr */
} rig_env_t;

/* `fs` may be NULL for a core that keeps nothing. */
void rig_env_init (rig_env_t *self, fs_t *fs, uint64_t seed);
/* Discards the jobs that did not run. */
void rig_env_release (rig_env_t *self);

/* Both clocks go on. */
void rig_env_pass (rig_env_t *self, int64_t time_us);

/* Takes the oldest message sent, or NULL; rig_message_free it. */
rig_message_t *rig_env_take (rig_env_t *self);
void rig_message_free (rig_message_t **self_p);
/* Forgets all that was sent. */
void rig_env_forget (rig_env_t *self);

/* Runs the oldest job, and gives it back for the core's job_done; NULL when there is none. */
job_t *rig_env_run (rig_env_t *self);
/* The same for the oldest job of a lane. */
job_t *rig_env_run_lane (rig_env_t *self, uint32_t lane);
size_t rig_env_jobs (const rig_env_t *self);
/* Jobs that will never run: their process has died. */
void rig_env_drop_jobs (rig_env_t *self);

/* A return address as a transport makes it. */
peer_t rig_incoming (const char *name);

#endif
