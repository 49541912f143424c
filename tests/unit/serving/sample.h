/* sample.h - what a house's node has kept of its answers, as it is on the disk. */
#ifndef WEIR_TESTS_SERVING_SAMPLE_H
#define WEIR_TESTS_SERVING_SAMPLE_H

#include "skew/sample_files.h"
#include "tests/unit/serving/house.h"

/* One answer of the sample, copied. */
typedef struct kept {
    char name[16];
    uint32_t version;
    bool service;
    unsigned user;
    unsigned flags;
    int64_t as_of;
    int64_t time;
    size_t places;
    char log[32];
    uint64_t manifest;
    uint32_t partition;
    uint64_t cut;
    uint64_t position;
    size_t features;
    value_t value[PAYMENTS_FEATURES]; /* numbers */
} kept_t;

typedef struct sample {
    kept_t *answers;
    size_t count;
    size_t of_user[PAYMENTS_USERS];
    size_t users; /* that have any */
    size_t segments;
    uint64_t bytes;
    uint64_t torn;
} sample_t;

/* All of it; sample_release it. */
sample_t sample_read (house_t *house);
void sample_release (sample_t *self);
/* How many answers there are; nothing is torn. */
size_t sample_count (house_t *house);

#endif
