/* request.h - a client's batch while its parts are with their owners. */
#ifndef WEIR_SPEED_WORKER_REQUEST_H
#define WEIR_SPEED_WORKER_REQUEST_H

#include "base/env.h"
#include "base/status.h"
#include "speed-worker/outcome.h"

enum {
    REQUESTS_MAX = 4096,      /* batches under way; over it senders are told `busy` */
    REQUEST_PARTS_MAX = 1024, /* the most partitions there can be */
};

typedef struct request_part {
    char log_name[256];
    uint32_t partition;
    uint64_t position;
    bool done;
} request_part_t;

typedef struct request {
    uint64_t id; /* 0: free */
    peer_t from;
    uint64_t client_id;
    int64_t deadline; /* boot µs */
    size_t waiting;   /* parts not yet told */
    outcome_t outcome;
    error_t error; /* the first part that failed; STATUS_OK none */
    request_part_t *parts;
    size_t parts_count;
} request_t;

typedef struct request_table request_table_t;

request_table_t *request_table_new (void);
void request_table_destroy (request_table_t **self_p);

/* A request of `parts` parts (partition and done are the caller's to fill), or NULL when the table
 * is full. */
request_t *request_new (request_table_t *self, const peer_t *from, uint64_t client_id, size_t parts,
                        int64_t deadline);
/* By its id; NULL when it has ended. */
request_t *request_find (request_table_t *self, uint64_t id);
void request_free (request_table_t *self, request_t *request);
size_t request_memory (const request_table_t *self); /* bytes, about */

/* Message ids name a request and one of its parts. */
uint64_t request_message_id (const request_t *request, size_t part);
request_t *request_of_message (request_table_t *self, uint64_t message_id, size_t *part);

/* One part's end; a part that was told before is left as it is. */
void request_part_done (request_t *request, size_t part, const outcome_t *outcome,
                        uint64_t position);
/* `error` is what the owner says; one that is no failure is taken for UNAVAILABLE. The first one is
 * told to the sender, with the longest time to wait of all. */
void request_part_failed (request_t *request, size_t part, const error_t *error);

/* Calls `each` for every request whose deadline has passed; returns the next deadline, INT64_MAX
 * none. */
int64_t request_expired (request_table_t *self, int64_t now,
                         void (*each) (void *arg, request_t *request), void *arg);

#endif
