/* findings.h - what fsck finds, for people and for programs. */
#ifndef WEIR_CLI_FINDINGS_H
#define WEIR_CLI_FINDINGS_H

#include "base/buf.h"
#include "fsck/fsck.h"

enum { FINDINGS_JSON_MAX = 64 << 20 }; /* bytes; what is over it is left out */

typedef struct findings {
    bool json;
    buf_t text; /* objects with commas between */
} findings_t;

void findings_init (findings_t *self, bool json);
void findings_release (findings_t *self);

/* For fsck_options_t: prints a finding, or keeps it when it is for programs. */
void findings_add (void *arg, const fsck_finding_t *finding);

/* The findings as JSON objects, commas between; borrowed. */
const char *findings_json (findings_t *self);

#endif
