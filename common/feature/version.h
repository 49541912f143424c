/* version.h - versions of views and services: how they are named, and what they are in the cluster
 * (docs/versions.md). */
#ifndef WEIR_FEATURE_VERSION_H
#define WEIR_FEATURE_VERSION_H

#include "base/text.h"

enum {
    VIEW_VERSIONS_MAX = 8, /* of one name that are not retired */
    SERVICE_VERSIONS_MAX = 64,
};

/* name, word */
#define VERSION_STATE_TABLE(X)                                                                     \
    X (ACTIVE, "active")     /* what is answered when no version is named: one of a name */        \
    X (LIVE, "live")         /* answered when it is named */                                       \
    X (BUILDING, "building") /* not answered yet: not all of history is in it */                   \
    X (RETIRED, "retired")   /* not answered any more: only what it was is kept */

typedef enum version_state {
#define X(name, word) VERSION_##name,
    VERSION_STATE_TABLE (X)
#undef X
} version_state_t;

/* Static storage. */
const char *version_state_word (version_state_t state);
/* ACTIVE for a word that is none, as "": what has no state is of before there were several. */
version_state_t version_state_of (text_t word);

/* "user_spend" or "user_spend@v2": the name, and the version or 0. False when it is neither. */
bool version_reference (text_t reference, text_t *name, uint32_t *version);

#endif
