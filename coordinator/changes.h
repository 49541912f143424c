/* changes.h - what an apply changes: it is read (changes_read.c), and streams (changes.c), views
 * (changes_views.c), services (changes_services.c) and the keys of logs beside the streams' own
 * (changes_keys.c) are compared with those that there are. */
#ifndef WEIR_COORDINATOR_CHANGES_H
#define WEIR_COORDINATOR_CHANGES_H

#include "coordinator/state.h"
#include "coordinator/versions.h"
#include "feature/schema.h"

/* What a new set of definitions is against the present one, and the objects to keep for it. */
typedef struct change {
    const char *kind;
    const char *name;
    const char *change; /* add, alter, remove, same */
    const char *detail; /* NULL */
    const char *before; /* canonical texts of what is altered; NULL of others */
    const char *after;
    bool widened;  /* a field of the stream was */
    bool replaced; /* the stream, which has no events, is another one from now on */
} change_t;

/* What becomes of an object that the catalog has. */
typedef enum fate {
    FATE_STAYS,    /* its text is read again, and it goes on */
    FATE_RENEWED,  /* its text is read again, and is another version, for its stream has changed */
    FATE_COMPARED, /* files define it anew: what they say takes its place, unless it means else */
    FATE_GOES,     /* what it was is kept, if it was a version */
} fate_t;

/* Who changes what. All is borrowed. */
typedef struct change_request {
    const definition_file_t *files;
    size_t files_count;
    bool prune;               /* what they do not define goes */
    const char *removed_kind; /* this goes, in all its versions; NULL: nothing */
    text_t removed;
    const char *author;
    const char *message;
} change_request_t;

typedef struct changes {
    arena_t *arena;
    const change_request_t *request;
    int64_t now; /* wall clock µs */
    change_t *list;
    size_t count;
    bool any; /* is one of them not `same`? */
    catalog_object_t *objects;
    size_t objects_count;
    fate_t *fates; /* of each object that the catalog has */
    bool again;    /* a fate has changed: the texts are to be read again */
} changes_t;

/* Reads what is asked for together with what stays, numbers its versions and finds what changes. On
 * failure nothing is made; what is wrong with texts is in `lines` too, a line each. INVALID with
 * the reason when something may not be changed so. */
MUST_CHECK status_t changes_read (coordinator_core_t *self, const change_request_t *request,
                                  arena_t *arena, changes_t *changes, buf_t *lines, error_t *error);

/* ---- definitions.c ---- */

/* Does what is asked for, unless the message says `dry_run`, and replies as to an apply. What the
 * files say of a service that means something else becomes its next version. */
void definitions_change (coordinator_core_t *self, const peer_t *from, const message_t *message,
                         const change_request_t *request);

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
/* The same of what is altered, with copies of both texts. */
void changes_note_altered (changes_t *self, const char *kind, const char *name, const char *detail,
                           const char *before, const char *after);
/* What the buffer holds, for as long as the changes live; releases it. */
const char *changes_text (changes_t *self, buf_t *text);

/* The streams and views of `next`: those of users' files are numbered. `next` is given the numbers
 * of its fields. */
MUST_CHECK status_t changes_views (coordinator_core_t *self, definitions_t *next,
                                   changes_t *changes, error_t *error);
/* Their part of that in changes_views.c. */
MUST_CHECK status_t changes_number_views (coordinator_core_t *self, definitions_t *next,
                                          changes_t *changes, error_t *error);
/* The services, after the views: versions of views that they do not name are filled in. */
MUST_CHECK status_t changes_services (coordinator_core_t *self, const definitions_t *next,
                                      changes_t *changes, error_t *error);
/* What goes, and what stays as it is. */
MUST_CHECK status_t changes_rest (coordinator_core_t *self, const definitions_t *next,
                                  changes_t *changes, error_t *error);

/* Tells that the newest version is what files define. When another one is active, and this need not
 * wait for anything, the detail says how it becomes so. */
void changes_note_same (const coordinator_core_t *core, changes_t *self,
                        const catalog_object_t *newest);

/* A version of what a user's file defines. */
void changes_add_version (changes_t *self, const char *kind, const char *name, uint32_t version,
                          version_state_t state, uint64_t meaning, const char *text);
/* The same with another text or meaning in place of the newest so far, `object`. */
void changes_keep_version (changes_t *self, const catalog_object_t *object, uint64_t meaning,
                           const char *text);
/* Its fate, that of an object of the catalog. */
fate_t *changes_fate (const coordinator_core_t *self, const changes_t *changes,
                      const catalog_object_t *object);
void changes_set_fate (const coordinator_core_t *self, changes_t *changes,
                       const catalog_object_t *object, fate_t fate);
/* Has the stream, which had no events, become another one? */
bool changes_replaced (const changes_t *changes, const char *stream);

/* The objects of the logs of other keys than the streams' own. INVALID when a key cannot be had or
 * changed so, UNAVAILABLE when it can later; the message says why. */
MUST_CHECK status_t changes_keys (coordinator_core_t *self, const definitions_t *next,
                                  changes_t *changes, error_t *error);

#endif
