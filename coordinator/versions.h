/* versions.h - versions of views and services: what the catalog has of them, and how they become
 * active (docs/versions.md).
 *
 * For the coordinator's own files, as state.h. */
#ifndef WEIR_COORDINATOR_VERSIONS_H
#define WEIR_COORDINATOR_VERSIONS_H

#include "coordinator/state.h"
#include "feature/version.h"

/* ---- versions_of.c ---- */

/* Is it a version of a view or service? Others are streams, and what is kept of logs. */
bool object_is_version (const catalog_object_t *object);
/* Of one that is not retired, nodes are told. */
bool object_is_retired (const catalog_object_t *object);
version_state_t object_state (const catalog_object_t *object);
/* The newest one of the name that is not retired; NULL. Borrowed. */
const catalog_object_t *versions_newest (const coordinator_core_t *self, const char *kind,
                                         const char *name);
/* That version, retired or not; NULL. `name` alone names views and services. Borrowed. */
const catalog_object_t *versions_find (const coordinator_core_t *self, text_t name,
                                       uint32_t version);
/* The number that the next version of the name gets: none is used twice. */
uint32_t versions_next (const coordinator_core_t *self, const char *kind, const char *name);

/* The one of the name that `objects` say is active; NULL. Borrowed. */
const catalog_object_t *versions_active (const catalog_object_t *objects, size_t count,
                                         const char *kind, const char *name);
/* How a change of `newest` ends that makes the next version while another one is served: ", which"
 * or
 * "; version N", with what follows it. */
void versions_put_served (const coordinator_core_t *self, const catalog_object_t *newest,
                          buf_t *out);
/* How many features of the service's version are without their numbers; of a view none are. */
size_t version_unfitted (const coordinator_core_t *self, const catalog_object_t *object);
/* Would it be answered with nulls, in place of an active version that has all of its numbers? Then
 * it does not become active. `objects` have the states. */
bool version_waits_for_fit (const coordinator_core_t *self, const catalog_object_t *objects,
                            size_t count, const catalog_object_t *object);

/* How far a version that is being built, or is to be fitted, is. */
typedef struct version_progress {
    size_t done, total; /* partitions of its logs */
    char waits[160];    /* for what; empty when it is complete */
} version_progress_t;
version_progress_t version_progress (const coordinator_core_t *self, const char *kind,
                                     const char *name, uint32_t version);

/* ---- versions.c ---- */

/* Lets versions that are complete become active. */
void versions_settle (coordinator_core_t *self);
void versions_tell (coordinator_core_t *self, const peer_t *from, const message_t *message);
/* The fields `building` and `unfitted` of a status, when there is something. */
void versions_write_waiting (coordinator_core_t *self);
void versions_promote (coordinator_core_t *self, const peer_t *from, const message_t *message);
void versions_retire (coordinator_core_t *self, const peer_t *from, const message_t *message);
void versions_annotate (coordinator_core_t *self, const peer_t *from, const message_t *message);

/* ---- definitions.c ---- */

/* The same objects with others' states: all of it in one transaction. */
MUST_CHECK status_t definitions_replace (coordinator_core_t *self, const catalog_object_t *objects,
                                         size_t count, const char *message, error_t *error);

#endif
