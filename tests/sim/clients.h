/* clients.h - the users: producers, queriers, a loader and an operator, and how a run goes.
 *
 * The operator applies the definitions; then everybody works while faults happen. When that time is
 * over, faults stop, and the run ends well when within a while every batch is acknowledged, every
 * load is done, a recompute goes through, and every key is answered completely and rightly. */
#ifndef WEIR_SIM_CLIENTS_H
#define WEIR_SIM_CLIENTS_H

#include "tests/sim/sim.h"

typedef struct sim_clients sim_clients_t;

sim_clients_t *clients_new (sim_t *sim);
void clients_destroy (sim_clients_t **self_p);

/* What the run waits for, for a message. */
const char *clients_waiting (const sim_clients_t *self);

/* ---- asking, for the users' own files ---- */

typedef struct sim_client sim_client_t;

sim_client_t *client_new (sim_t *sim, const char *name);
void client_destroy (sim_client_t **self_p);

/* The coordinator that leads, as far as the client has heard. */
const sim_node_t *client_coordinator (sim_client_t *self);

/* Begins a request; its body is open. */
wire_writer_t *client_begin (sim_client_t *self, message_kind_t kind);
/* Sends it. `done` is called once: with the reply (MESSAGE_ERROR included), or with NULL when none
 * came in time. The reply is valid during the call. */
void client_ask (sim_client_t *self, const sim_node_t *to, int64_t timeout,
                 void (*done) (void *arg, const message_t *reply), void *arg);

/* The status of an error reply. */
status_t client_status (const message_t *reply);
/* Is it one after which the same may be asked again? Fails the run when not. */
bool client_may_retry (sim_t *sim, const char *what, const message_t *reply);

/* ---- the users ---- */

typedef struct sim_producer sim_producer_t;
sim_producer_t *producer_new (sim_t *sim, unsigned number);
void producer_destroy (sim_producer_t **self_p);
void producer_start (sim_producer_t *self);
void producer_stop (sim_producer_t *self); /* nothing new; what is unacknowledged goes on */
bool producer_is_done (const sim_producer_t *self);

typedef struct sim_querier sim_querier_t;
sim_querier_t *querier_new (sim_t *sim);
void querier_destroy (sim_querier_t **self_p);
void querier_start (sim_querier_t *self);
void querier_steps (sim_querier_t *self, unsigned steps); /* taken by now */
/* Asks for all keys of all views at every serving node, until all answers were complete. */
void querier_ask_all (sim_querier_t *self);
/* Answers of version 2 of `changes` to who named no version. */
unsigned querier_seconds (const sim_querier_t *self);
bool querier_is_done (const sim_querier_t *self);

typedef struct sim_loader sim_loader_t;
sim_loader_t *loader_new (sim_t *sim);
void loader_destroy (sim_loader_t **self_p);
void loader_start (sim_loader_t *self);
void loader_stop (sim_loader_t *self);
bool loader_is_done (const sim_loader_t *self);

typedef struct sim_trainer sim_trainer_t;
sim_trainer_t *trainer_new (sim_t *sim);
void trainer_destroy (sim_trainer_t **self_p);
void trainer_start (sim_trainer_t *self);
void trainer_steps (sim_trainer_t *self, unsigned steps); /* taken by now */
void trainer_stop (sim_trainer_t *self);                  /* what is under way goes on */
bool trainer_is_done (const sim_trainer_t *self);

typedef struct sim_forgetter sim_forgetter_t;
sim_forgetter_t *forgetter_new (sim_t *sim);
void forgetter_destroy (sim_forgetter_t **self_p);
void forgetter_start (sim_forgetter_t *self);
void forgetter_stop (sim_forgetter_t *self); /* what is asked for goes on */
bool forgetter_is_done (const sim_forgetter_t *self);

typedef struct sim_watcher sim_watcher_t;
sim_watcher_t *watcher_new (sim_t *sim); /* NULL when nobody watches; NULL is fine below */
void watcher_destroy (sim_watcher_t **self_p);
void watcher_start (sim_watcher_t *self);
/* One more round, of some views. */
void watcher_look_at_all (sim_watcher_t *self);
bool watcher_is_done (const sim_watcher_t *self);

#endif
