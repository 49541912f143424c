/* forward.h - events of one partition of a stream's own log on their way to one re-keyed log.
 *
 * Each event goes to the partition of its other key. Per target partition there is one question
 * under way, `forward`, with everything that there is for it from its mark on; the answer is the
 * new mark. Marks are the targets' own, durable, and never go back: so a new owner asks for them
 * and goes on from there, and what is sent twice counts once. What the log held when this began is
 * read from it, a bit at a time; later records are handed over when they are durable. */
#ifndef WEIR_SPEED_WORKER_FORWARD_H
#define WEIR_SPEED_WORKER_FORWARD_H

#include "base/env.h"
#include "member/model.h"
#include "storage/payload.h"

typedef struct forward forward_t;

/* One question to the owner of a target partition. */
typedef struct forward_message {
    const char *log;
    uint32_t partition;
    uint32_t source;
    uint64_t from;
    uint64_t to;
    text_t block;                   /* empty: no events */
    const forget_payload_t *forget; /* stands at `to` - 1, after no events; NULL */
    uint64_t definitions;           /* version; its stream's columns are the block's */
    uint64_t id; /* the answer goes to forward_take of the source's forward with that `number` */
} forward_message_t;

typedef struct forward_options {
    env_t *env;
    uint64_t cluster_id;
    uint32_t source; /* partition */
    uint32_t partitions;
    uint32_t number;   /* of this one among the source's; below FORWARD_NUMBERS */
    uint32_t lane;     /* of its reading */
    uint64_t position; /* the source log's durable end: what comes later is handed over */
    /* Sends a question, or asks a partition that is here; it may be answered before it returns.
     * False: nobody is known to own the partition. */
    bool (*send) (void *arg, const forward_message_t *message);
    /* All events of a record that was handed over are with their targets. */
    void (*done) (void *arg, void *record);
    void *arg;
} forward_options_t;

enum { FORWARD_NUMBERS = 64 };

/* From `from` to `to`, logs that `model` has. */
forward_t *forward_new (const forward_options_t *options, const char *from, const char *to,
                        model_t *model);
/* Records that were handed over are done; a job under way comes back through discard. */
void forward_destroy (forward_t **self_p);

const char *forward_log_name (const forward_t *self);
void forward_set_model (forward_t *self, model_t *model);

/* A durable record that is handed over. */
typedef struct forward_record {
    uint64_t offset;
    uint32_t count;
    const batch_t *batch;           /* its events (none of a control record), of the stream … */
    const model_t *model;           /* … in this */
    const forget_payload_t *forget; /* of a FORGET, which goes to every target; NULL */
} forward_record_t;

/* Its events stay as they are until `done` is called with `arg`. False: there is nothing for
 * anybody in it, and it is not called. */
bool forward_add (forward_t *self, const forward_record_t *record, void *arg);

/* Asks what there is to be asked, while the lease holds; `base` is where the source would be
 * trimmed up to, which marks are moved past. Returns the boot time at which it is to be called
 * again. */
int64_t forward_tick (forward_t *self, bool leased, uint64_t base);

/* The answer to question `id`: the mark, or that it was refused. False: it was of another. */
bool forward_take (forward_t *self, uint64_t id, bool good, uint64_t mark);
/* Which source and which of its forwards an id is of; false for ids of other messages. */
bool forward_of_id (uint64_t id, uint32_t *source, uint32_t *number);

/* True when the job was this one's, and has been dealt with. */
bool forward_job_done (forward_t *self, job_t *job);

/* Is everything that the log held when this began with its targets? */
bool forward_caught_up (const forward_t *self);
/* All targets hold everything below; 0 while that is not known of all. */
uint64_t forward_low (const forward_t *self);
/* Bytes that it holds, beside the records that were handed over. */
size_t forward_memory (const forward_t *self);

#endif
