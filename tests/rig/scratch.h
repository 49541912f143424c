/* scratch.h - a directory of a test's own on the real disk. */
#ifndef WEIR_TESTS_RIG_SCRATCH_H
#define WEIR_TESTS_RIG_SCRATCH_H

typedef struct scratch {
    char path[64];
} scratch_t;

/* Makes a new directory for temporary files. CHECKs. */
void scratch_make (scratch_t *self);
/* Removes it, and all that is in it. */
void scratch_remove (scratch_t *self);

/* The path of a name in it; good for the next three calls. */
const char *scratch_path (const scratch_t *self, const char *name);

#endif
