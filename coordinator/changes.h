/* changes.h - what an apply changes: streams, views and removals (changes.c), services
 * (changes_services.c), and the keys of logs beside the streams' own (changes_keys.c). */
#ifndef WEIR_COORDINATOR_CHANGES_H
#define WEIR_COORDINATOR_CHANGES_H

#include "coordinator/state.h"
#include "feature/schema.h"

/* What a new set of definitions is against the present one, and the objects to keep for it. */
typedef struct change {
    const char *kind;
    const char *name;
    const char *change; /* add, alter, remove, same */
    const char *detail; /* NULL */
    bool widened;       /* a field of the stream was */
} change_t;

typedef struct changes {
    arena_t *arena;
    change_t *list;
    size_t count;
    bool any; /* is one of them not `same`? */
    catalog_object_t *objects;
    size_t objects_count;
} changes_t;

/* INVALID with the reason when something may not be changed so. `next` is given the numbers of its
 * fields. */
MUST_CHECK status_t changes_find (coordinator_core_t *self, definitions_t *next, arena_t *arena,
                                  changes_t *changes, error_t *error);

/* ---- what its parts share ---- */

/* Every log that there ever was has an object of this kind, named as it, with the fields that its
 * rows have (schema.h): so that nobody reads them as something else. Version 0: nothing had been
 * kept in it when its stream was deleted. Nodes are told of the fields with the stream. */
#define KIND_LOG "log"

/* Was anything ever kept in a log? UNKNOWN: not all of its owners have said yet. */
typedef enum usage { UNUSED, USED, UNKNOWN } usage_t;

usage_t changes_usage_of (const coordinator_core_t *self, const char *log_name);
/* The same of a log whose stream was deleted, from its object; NULL is one that never was. */
usage_t changes_usage_of_deleted (const catalog_object_t *log);
/* Is there a load in the log that has not failed? */
bool changes_has_loads (const coordinator_core_t *self, const char *log);

/* The object as it is in the catalog now, or NULL. Borrowed. */
const catalog_object_t *changes_stored (const coordinator_core_t *self, const char *kind,
                                        const char *name);
/* Keeps the object; its texts live as long as the changes. */
void changes_add (changes_t *self, catalog_object_t object);

/* Tells a change; a NULL detail is none. */
void changes_note (changes_t *self, const char *kind, const char *name, const char *change,
                   const char *detail);
/* What the buffer holds, for as long as the changes live; releases it. */
const char *changes_text (changes_t *self, buf_t *text);

/* The services, after the views, whose versions `next` has been given: versions that they do not
 * name are filled in. INVALID when one needs a view that would change, or another version than
 * there is. */
MUST_CHECK status_t changes_services (coordinator_core_t *self, const definitions_t *next,
                                      changes_t *changes, error_t *error);

/* The objects of the logs of other keys than the streams' own. INVALID when a key cannot be had or
 * changed so, UNAVAILABLE when it can later; the message says why. */
MUST_CHECK status_t changes_keys (coordinator_core_t *self, const definitions_t *next,
                                  changes_t *changes, error_t *error);

#endif
