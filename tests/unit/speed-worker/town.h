/* town.h - speed workers on one disk, with the test as coordinator, client and serving node.
 *
 * town_run goes on until nothing is under way: beats are answered with the orders that stand here,
 * messages between workers are delivered, jobs run (unless they are held). */
#ifndef WEIR_TESTS_SPEED_WORKER_TOWN_H
#define WEIR_TESTS_SPEED_WORKER_TOWN_H

#include "base/mem.h"
#include "base/timestamp.h"
#include "speed-worker/core.h"
#include "speed-worker/pressure.h"
#include "storage/payload.h"
#include "tests/rig/env.h"
#include "tests/rig/payments.h"
#include "tests/sim/disk/disk.h"

#include <criterion/criterion.h>

enum { PARTITIONS = 4, WORKERS = 3, CONTROLS = 8, BATCH_MAX = 400 };

#define TOWN_LEASE      (6 * TIME_SECOND)
#define TOWN_CLUSTER_ID 77

typedef struct reply {
    struct reply *next;
    message_kind_t kind;
    uint64_t id;
    size_t size;
    uint8_t data[];
} reply_t;

/* What the latest beat said of a partition. */
typedef struct held {
    bool there;
    uint64_t epoch;
    char state[16];
    char reason[256];
    uint64_t start, end, events;
    uint64_t cuts[16];
    size_t cuts_count;
    struct {
        char id[64];
        uint64_t offset;
        int64_t clock;
    } controls[16];
    size_t controls_count;
} held_t;

typedef struct worker {
    speed_core_t *core; /* NULL: not running */
    rig_env_t rig;
    fs_t *fs;
    char endpoint[32];
    bool hold_jobs;
    bool cut_off; /* what it sends to the coordinator, and the answers, are lost */
    bool stopped; /* does nothing, and what is sent to it is lost */
    bool deaf;    /* what other workers send to it is lost */
    held_t held[PARTITIONS];
    uint64_t memory, memory_limit; /* as the latest beat says */
} worker_t;

typedef struct town {
    sim_disk_t *disk;
    random_t random;
    worker_t worker[WORKERS];
    int owner[PARTITIONS]; /* -1: nobody */
    uint64_t epoch[PARTITIONS];
    uint64_t base[PARTITIONS];
    struct {
        char id[64];
        bool cut;
    } control[CONTROLS];
    size_t controls;
    uint64_t definitions;
    bool hold_definitions; /* orders tell of them, and they are not given */
    void (*write_definitions) (wire_writer_t *writer, uint64_t version); /* payments' if NULL */
    const char *other_log; /* ordered beside that of the payments; NULL: none */
    bool other_controls;   /* with the same controls */
    uint64_t other_base[PARTITIONS];
    uint64_t other_end[PARTITIONS]; /* as its owner said last */
    uint64_t other_cut[PARTITIONS]; /* where it said that a cut is; UINT64_MAX */
    uint64_t routes;                /* version; raise it with the owners */
    uint64_t memory_limit;
    uint64_t segment_size;
    wire_writer_t *writer;
    wire_decoder_t *decoder;
    reply_t *replies; /* to the client, oldest first */
    uint64_t next_id;
    uint8_t producer[PRODUCER_SIZE];
    uint64_t sequence;
    uint64_t oldest; /* that town_send says; 0: the batch's own sequence */
    bool resumed;
    payment_t *accepted; /* acknowledged events with their positions */
    size_t accepted_count;
} town_t;

/* `workers` of them run; worker 0 owns everything; definitions are of version 1. */
void town_init (town_t *self, uint64_t seed, unsigned workers);
void town_release (town_t *self);

void worker_start (town_t *self, unsigned number);
/* The process dies: its jobs never run. */
void worker_kill (town_t *self, unsigned number);

/* Moves a partition to a worker (-1: nobody), under a new epoch. */
void town_give (town_t *self, uint32_t partition, int worker);
void town_give_all (town_t *self, int worker);

void town_run (town_t *self);
/* So many rounds of it at most, each of one message or job for every worker. */
void town_steps (town_t *self, uint64_t rounds);
/* Time passes for everybody, and what is due is done. */
void town_pass (town_t *self, int64_t time_us);
/* Does everything but wait for time: until each partition is as its owner says `state`. */
bool town_is (const town_t *self, uint32_t partition, const char *state);

/* ---- the client ---- */

/* Gives a worker what stands in self->writer, as from a client. */
void town_tell (town_t *self, unsigned worker);
/* The oldest reply to the client, which must be of that kind; valid until the next call. Replies
 * are taken in the order in which they came. */
message_t town_reply (town_t *self, message_kind_t kind);
bool town_answered (const town_t *self);
/* Expects an error of that status. */
void town_expect_error (town_t *self, status_t status, const char *part_of_text);

/* Writes a `send` of these payments under that sequence into self->writer, and returns its id. */
uint64_t town_write_send (town_t *self, const payment_t *payments, size_t count, uint64_t sequence);
/* Writes and gives it. */
uint64_t town_send (town_t *self, unsigned worker, const payment_t *payments, size_t count,
                    uint64_t sequence);
/* Sends, runs and expects all to be accepted; notes them with their offsets. */
void town_add (town_t *self, unsigned worker, size_t count);
/* Notes what a `send.ok` says. */
void town_note (town_t *self, const message_t *sent_ok, const payment_t *payments, size_t count);

/* ---- the serving node ---- */

/* Asks `worker` for a user with that cut and compares with the oracle over the accepted events. */
void town_check_user (town_t *self, unsigned worker, unsigned user, uint64_t cut, int64_t as_of);
/* The same for all users and several times, with `cut` for all partitions (their own base when it
 * is UINT64_MAX). */
void town_check_all (town_t *self, unsigned worker);
/* Asks for one key; the status of its part as a word (static until the next call). */
const char *town_ask (town_t *self, unsigned worker, unsigned user, uint64_t plan, uint64_t cut,
                      int64_t as_of);

/* Orders a control record. */
void town_order (town_t *self, const char *id, bool cut);
/* Where the owner reports that control to be; UINT64_MAX: nowhere. */
uint64_t town_control (const town_t *self, uint32_t partition, const char *id);

uint64_t town_plan (uint64_t definitions);

#endif
