/* leadership.h - who leads, as far as this coordinator knows: leader.c.
 *
 * For the coordinator's own files, as state.h. */
#ifndef WEIR_COORDINATOR_LEADERSHIP_H
#define WEIR_COORDINATOR_LEADERSHIP_H

#include "base/env.h"
#include "catalog/catalog.h"
#include "coordinator/core.h"
#include "wire/wire.h"

typedef struct leadership {
    bool leads;            /* it has raised the term, and was not found fenced since */
    bool ready;            /* and memory was made from the catalog */
    bool watched;          /* somebody stands by: proofs are written, not only read */
    int64_t until;         /* boot µs: it is proven until then that nobody else leads */
    int64_t due;           /* boot µs: of the next proof, or look at the catalog */
    int64_t earlier_lease; /* µs: the longest that the leaders before may have given */
    int64_t earlier_until; /* boot µs: none of them runs any more */
    int64_t told_lease;    /* µs, in the catalog */
    /* standing by */
    catalog_leader_t seen;
    int64_t seen_at; /* boot µs: it has not changed since then */
    int64_t beat_due;
    uint64_t beat_id;
    peer_t *askers; /* nodes that have beaten; NODES_MAX at most */
    size_t askers_count;
} leadership_t;

/* ---- leader.c ---- */
/* Leads, if nobody else may; otherwise stands by. */
MUST_CHECK status_t leader_start (coordinator_core_t *self, error_t *error);
/* Renews the proof, looks whether to take over, steps down. */
void leader_settle (coordinator_core_t *self);
/* Is it proven at this instant that this coordinator leads, and does it know what it needs for
 * that? A proof that has run out is renewed first. */
bool leader_confirm (coordinator_core_t *self);
/* Answers who does not lead: who does. */
void leader_refer (coordinator_core_t *self, const peer_t *from, const message_t *message);

#endif
