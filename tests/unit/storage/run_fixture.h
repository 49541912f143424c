/* run_fixture.h - a directory to write runs into, and random sorted batches. */
#ifndef WEIR_TESTS_RUN_FIXTURE_H
#define WEIR_TESTS_RUN_FIXTURE_H

#include "storage/run.h"
#include "tests/rig/scratch.h"
#include "tests/unit/block/random_batch.h"

enum { FIXTURE_COLUMNS = 6 };

typedef struct run_fixture {
    scratch_t scratch;
    fs_t *fs;
    arena_t *arena;
    random_t random;
    type_t types[FIXTURE_COLUMNS];
    size_t columns;
    uint32_t key_padding; /* bytes that all keys begin with; 0 at first */
    bool quick;           /* how runs are written; false at first */
    run_schema_t schema;
} run_fixture_t;

/* A fresh directory, and a schema of random columns. */
void run_fixture_init (run_fixture_t *self, uint64_t seed);
void run_fixture_release (run_fixture_t *self);

/* A batch of the schema in order; all rows have offset 0 when `load`. */
batch_t run_fixture_sorted (run_fixture_t *self, size_t rows, bool load);

/* Writes a sorted batch as the run `name`. */
void run_fixture_write (run_fixture_t *self, const char *name, const batch_t *batch);

run_t *run_fixture_open (run_fixture_t *self, const char *name, uint64_t offset_override);

#endif
