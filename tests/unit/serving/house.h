/* house.h - one serving node, with the test as coordinator, owners and client. */
#ifndef WEIR_TESTS_SERVING_HOUSE_H
#define WEIR_TESTS_SERVING_HOUSE_H

#include "base/mem.h"
#include "base/timestamp.h"
#include "serving/core.h"
#include "tests/rig/env.h"
#include "tests/rig/payments.h"
#include "tests/sim/disk/disk.h"

#include <criterion/criterion.h>

enum { PARTITIONS = 4, MANIFESTS = 8, SLOW_MAX = 2 };

#define COORDINATOR    "tcp://coordinator"
#define HOUSE_LEASE    (6 * TIME_SECOND)
#define HOUSE_DEADLINE (2 * TIME_SECOND)
#define OTHER_LOG      "payments/items" /* of the view by another key */

typedef struct manifest {
    uint64_t cut[PARTITIONS];
    int64_t clock;
    uint64_t load_offset[PARTITIONS]; /* of a load's rows, UINT64_MAX none */
    uint64_t excluded[PARTITIONS];    /* an offset whose row does not count, UINT64_MAX none */
    uint64_t definitions;             /* of its view files; 0: it has none */
    bool short_of_one;                /* tells of one partition too few */
    uint64_t written_under;           /* definitions of who wrote its files; 0 is not told */
    uint64_t delta_from[PARTITIONS];  /* it has a delta of what is not below; 0: a base alone */
    size_t forgets;                   /* entities that it lacks */
    bool bad_layers;                  /* which are told as if there were a file more */
} manifest_t;

/* What the owners do when they are asked. */
typedef enum owners {
    OWNERS_ANSWER,
    OWNERS_SILENT,
    OWNERS_DAMAGE,
    OWNERS_REFUSE,
    OWNERS_TOO_LARGE, /* the answers of each part */
    OWNERS_LATE,      /* their answers wait for house_answers */
} owners_t;

typedef struct reply {
    struct reply *next;
    peer_t from;
    size_t size;
    uint8_t data[];
} reply_t;

typedef struct house {
    sim_disk_t *disk;
    rig_env_t rig;
    random_t random;
    serving_core_t *core;
    serving_options_t options;
    wire_writer_t *writer;
    wire_decoder_t *decoder;
    payment_t *payments;
    size_t payments_count;
    uint64_t next_offset[PARTITIONS];
    manifest_t manifest[MANIFESTS]; /* number 0 is the empty one */
    uint64_t manifests;
    uint64_t ordered; /* the number in the orders */
    bool deltas;      /* manifests after the first have one, over what the one before lacks … */
    bool shares;      /* … or what the first lacks, whose files stay in them */
    uint64_t definitions;
    bool moves;              /* there is a view `moves` of payments and refunds, which are the same
                                events once more, none of them published */
    const char *silent_log;  /* of which owners say nothing; NULL: none */
    const char *silent_view; /* likewise */
    uint32_t silent_partition; /* likewise, from 1; 0: none */
    bool service;              /* there is a service `model` of `visits` and `spend` */
    bool other_key;            /* there is a view `by_items` of the payments by their items */
    bool told;                 /* orders speak of its log … */
    bool filling;              /* … and say that it is filling */
    bool shrinks;              /* there is a view `shrinks`, of three features and then one */
    uint64_t other_ordered;    /* number of its manifest in the orders … */
    bool other_told;           /* … which is told to who asks, and has no rows */
    uint64_t owners_definitions;
    owners_t owners;
    uint64_t base[PARTITIONS]; /* below it the owners hold nothing */
    bool nobody;               /* owns anything */
    uint64_t routes;
    bool hold_jobs;
    bool cut_off;           /* from the coordinator */
    uint64_t queries;       /* that the owners were asked */
    uint64_t messages;      /* in which they were */
    uint64_t reported;      /* the manifest in the latest beat; UINT64_MAX: none */
    bool samples;           /* the latest beat tells of a sample … */
    bool stale_sample;      /* … that has somebody in it who is erased */
    uint32_t damaged_views; /* told in the latest beat */
    uint32_t damaged_runs;
    reply_t *replies; /* to the client */
    reply_t *late;    /* of the owners */
    uint64_t next_id;
    uint8_t *kept;
} house_t;

/* With a limit on what a query's answers hold; 0: the usual one. */
void house_init_limited (house_t *self, uint64_t seed, size_t query_memory);
/* With a sample of answers, of that share of the keys; so many bytes of it, for so long. */
void house_init_sampled (house_t *self, uint64_t seed, double share, uint64_t size, int64_t keep);
static inline void house_init (house_t *self, uint64_t seed)
{
    house_init_limited (self, seed, 0);
}
/* The node's process dies, with all that it was about, and another one starts. */
void house_restart (house_t *self);
void house_release (house_t *self);

/* Events at the owners, up to a week old. */
void house_add (house_t *self, size_t count);
/* Cuts at what there is now, writes runs (and view files, for definitions that are not 0), and
 * orders the manifest. A load of a few rows joins it if `load`; a row of each partition is excluded
 * if `exclude`. */
manifest_t *house_publish (house_t *self, uint64_t definitions, bool load, bool exclude);
/* Is the payment one of those that the manifest does not leave out? */
bool house_counts (const house_t *self, uint64_t number, const payment_t *payment);
/* The path of a manifest's run or view file (static until the next call). */
const char *house_path (uint64_t manifest, uint32_t partition, const char *kind);

/* The body of a `definitions.ok` of the house, and the model of what its owners know. */
void house_write_definitions (const house_t *self, uint64_t version, wire_writer_t *writer);
model_t *house_owners_model (const house_t *self);

/* Gives the node what stands in the writer, as from `from`. */
void house_give (house_t *self, const peer_t *from);
/* The coordinator's answer to a message. */
void house_coordinate (house_t *self, const message_t *message);

/* Until nothing is under way. */
void house_run (house_t *self);
void house_pass (house_t *self, int64_t time_us);
/* The owners' late answers arrive. */
void house_answers (house_t *self);

/* ---- the client ---- */

/* Begins a `get` in self->writer, for these users or (NULL) for all, with the map left open. */
uint64_t house_get (house_t *self, const char *view, const unsigned *users, size_t count);
/* Ends and gives it, and runs. */
void house_ask (house_t *self);
void house_ask_as (house_t *self, const char *name); /* as another client */
bool house_answered (const house_t *self);
/* The oldest reply, of that kind; valid until the next call. */
message_t house_reply (house_t *self, message_kind_t kind);
void house_expect_error (house_t *self, status_t status, const char *part_of_text);
/* The oldest reply is an answer for these users (NULL: all), complete, and exact at its positions.
 * as_of[i] or, when it is NULL, the clock. */
void house_check (house_t *self, const unsigned *users, size_t count, const int64_t *as_of);
/* A result's values are those of the user's events with from <= offset < to. */
void house_check_values (house_t *self, const wire_value_t *result, uint64_t definitions,
                         unsigned user, uint64_t from, uint64_t to, int64_t as_of);
/* The only reason that the one result gives for being incomplete (static until the next call). */
const char *house_reason (const message_t *message);
uint64_t house_metric (house_t *self, const char *name);

/* Counts what a beat says is damaged. */
void house_take_damages (house_t *self, wire_list_t damaged);

#endif
