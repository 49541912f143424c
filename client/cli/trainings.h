/* trainings.h - a training set that the cluster makes, from the client's side: begun, renewed, and
 * ended whatever happens. */
#ifndef WEIR_CLI_TRAININGS_H
#define WEIR_CLI_TRAININGS_H

#include "client/cli/command.h"
#include "client/cli/registered.h"
#include "trainset/result_reader.h"
#include "trainset/spine_writer.h"

#include <jansson.h>

typedef struct making {
    call_t *call;
    const registered_t *registered; /* what the set is of */
    const trainset_t *set;
    uint64_t id;     /* 0: none is begun */
    json_t *version; /* array of PINNED (docs/protocol.md); NULL: not known yet */
    bool raw;        /* without preprocessing, or there is none */
    int64_t renewed; /* ms */
    /* what was last told */
    char state[16];
    uint64_t done, total;
    char waits[512];
    arena_t *arena; /* of the list */
    result_file_t *files;
    size_t files_count;
} making_t;

/* Begins one of the set's views, at self->version if that is known. */
MUST_CHECK status_t making_begin (making_t *self, error_t *error);
/* Waits until its dataset is known, which is then self->version. */
MUST_CHECK status_t making_pin (making_t *self, error_t *error);
/* Hands the rows over, or with `as_of` asks for all keys of the view as of then; then waits for the
 * results. CANCELLED on Ctrl-C here and below. */
MUST_CHECK status_t making_run (making_t *self, const spine_file_t *files, size_t count,
                                const int64_t *as_of, error_t *error);
/* To be called now and then by who works on something: it is kept. */
MUST_CHECK status_t making_renew (making_t *self, error_t *error);
/* It is not wanted any more; its files go. */
void making_end (making_t *self);
void making_release (making_t *self); /* ends it too */

/* Has `once` make it, and again when the coordinator does not know it any more. */
MUST_CHECK status_t making_make (making_t *self, status_t (*once) (void *arg, error_t *error),
                                 void *arg, error_t *error);
/* Has the cluster the definitions still that it is made of? */
MUST_CHECK status_t making_check_definitions (const making_t *self, error_t *error);

/* The manifest beside what was written (docs/training.md), as `path`.weir.json. `extra` has fields
 * of its own. Takes it. */
MUST_CHECK status_t making_write_manifest (const making_t *self, const char *path, json_t *extra,
                                           error_t *error);
/* The view's or service's name with the version that the manifest at `path` (may be NULL) is of,
 * unless the name has one; the caller frees it. What is wrong with the manifest is found later. */
char *making_name (const char *name, const char *path);
/* The features that are wanted: those of "a,b", else of a view those that the manifest at `path`
 * has; NULL: all. They live in `arena`. */
const char *const *making_features (const registered_t *registered, const char *name,
                                    const char *given, const char *path, arena_t *arena,
                                    size_t *count);
/* The version of such a manifest. */
MUST_CHECK status_t making_read_version (making_t *self, const char *path, error_t *error);

#endif
