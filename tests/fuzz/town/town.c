#include "tests/fuzz/town/town.h"

#include "batch-worker/core.h"
#include "coordinator/core.h"
#include "serving/core.h"
#include "speed-worker/core.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"
#include "tests/rig/env.h"
#include "tests/sim/disk/disk.h"
#include "wire/roles.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

enum {
    COORDINATOR,
    SPEED,
    BATCH,
    SERVING,
    CORES,
    PARTITIONS = 2,
    STEPS_MAX = 3000,
    SILENT_MAX = 60, /* steps of no message but beats until the client goes on without an answer */
    DELIVERIES_MAX = 20000,
    QUESTIONS_MAX = 64,
};

#define STEP_US (20 * TIME_MS)
#define LEASE   (300 * TIME_MS)
#define CLIENT  "client"

typedef struct resident {
    rig_env_t rig;
    void *core;
    char endpoint[32];
    int64_t next_tick;
} resident_t;

typedef struct town {
    resident_t core[CORES];
    sim_disk_t *disk;
    const town_edit_t *edits;
    size_t edits_count;
    size_t delivered;
    wire_writer_t *writer;
    size_t asked;      /* questions of the client */
    uint64_t answered; /* id of the latest that was */
    unsigned silent;
    bool loud;
} town_t;

static const char *const names[CORES] = { "tcp://coordinator", "tcp://speed", "tcp://batch",
                                          "tcp://serving" };

/* ---- cores ---- */

static void receive (resident_t *self, int which, const peer_t *from, const void *data, size_t size)
{
    switch (which) {
    case COORDINATOR:
        coordinator_core_receive (self->core, from, data, size);
        break;
    case SPEED:
        speed_core_receive (self->core, from, data, size);
        break;
    case BATCH:
        batch_core_receive (self->core, from, data, size);
        break;
    default:
        serving_core_receive (self->core, from, data, size);
    }
}

static void job_done (resident_t *self, int which, job_t *job)
{
    switch (which) {
    case COORDINATOR:
        coordinator_core_job_done (self->core, job);
        break;
    case SPEED:
        speed_core_job_done (self->core, job);
        break;
    case BATCH:
        batch_core_job_done (self->core, job);
        break;
    default:
        serving_core_job_done (self->core, job);
    }
}

static void tick (resident_t *self, int which)
{
    self->next_tick = which == COORDINATOR ? coordinator_core_tick (self->core)
                      : which == SPEED     ? speed_core_tick (self->core)
                      : which == BATCH     ? batch_core_tick (self->core)
                                           : serving_core_tick (self->core);
}

static void start (town_t *self)
{
    resident_t *core = self->core;
    peer_t coordinator = peer_of_endpoint (names[COORDINATOR]);
    coordinator_options_t options = { .node = "coordinator",
                                      .endpoint = names[COORDINATOR],
                                      .cluster = "town",
                                      .partitions = PARTITIONS,
                                      .lease = LEASE,
                                      .catalog_path = "catalog.db" };
    error_t error;
    coordinator_core_t *made = NULL;
    CHECK (coordinator_core_new (&core[COORDINATOR].rig.env, &options, &made, &error) == STATUS_OK);
    core[COORDINATOR].core = made;
    core[SPEED].core =
        speed_core_new (&core[SPEED].rig.env, &(speed_options_t){ .node = "speed",
                                                                  .cluster = "town",
                                                                  .cluster_id = 7,
                                                                  .partitions = PARTITIONS,
                                                                  .endpoint = names[SPEED],
                                                                  .coordinator = coordinator,
                                                                  .max_ahead = 5 * TIME_MINUTE,
                                                                  .memory_limit = 64 << 20 });
    core[BATCH].core =
        batch_core_new (&core[BATCH].rig.env, &(batch_options_t){ .node = "batch",
                                                                  .cluster = "town",
                                                                  .cluster_id = 7,
                                                                  .partitions = PARTITIONS,
                                                                  .coordinator = coordinator,
                                                                  .max_ahead = 5 * TIME_MINUTE,
                                                                  .memory_limit = 16 << 20,
                                                                  .tasks_max = 2,
                                                                  .fold_memory = 1 << 20 });
    core[SERVING].core = serving_core_new (&core[SERVING].rig.env,
                                           &(serving_options_t){ .node = "serving",
                                                                 .cluster = "town",
                                                                 .partitions = PARTITIONS,
                                                                 .endpoint = names[SERVING],
                                                                 .coordinator = coordinator,
                                                                 .slow_max = 2,
                                                                 .default_deadline = TIME_SECOND });
}

static void stop (town_t *self)
{
    coordinator_core_t *coordinator = self->core[COORDINATOR].core;
    speed_core_t *speed = self->core[SPEED].core;
    batch_core_t *batch = self->core[BATCH].core;
    serving_core_t *serving = self->core[SERVING].core;
    serving_core_destroy (&serving);
    batch_core_destroy (&batch);
    speed_core_destroy (&speed);
    coordinator_core_destroy (&coordinator);
    for (int i = 0; i < CORES; i++)
        rig_env_release (&self->core[i].rig);
}

/* ---- messages on their way ---- */

static int core_at (const peer_t *to)
{
    for (int i = 0; i < CORES; i++)
        if (to->size == strlen (names[i]) && memcmp (to->bytes, names[i], to->size) == 0)
            return i;
    return -1;
}

static void note_answer (town_t *self, const void *data, size_t size)
{
    message_kind_t kind;
    uint64_t id;
    if (wire_peek (data, size, &kind, &id) && id == self->asked)
        self->answered = id;
}

/* `from` is a core, or CORES for the client. A reply comes over the line to whoever sends it. */
static void hand_over (town_t *self, int from, const peer_t *to, const void *data, size_t size)
{
    int which = core_at (to);
    if (which < 0) {
        note_answer (self, data, size);
        return;
    }
    peer_t sender = peer_of_endpoint (from == CORES ? CLIENT : names[from]);
    sender.incoming = !to->incoming;
    sender.role = ROLE_OPEN;
    self->delivered++;
    receive (&self->core[which], which, &sender, data, size);
    tick (&self->core[which], which);
}

/* The ways of an edited message: instead of the one that it was, before or after it, to another
 * core; and one that is not edited but lost, doubled or gone astray. */
static void hand_over_edited (town_t *self, int from, const peer_t *to, const void *data,
                              size_t size, const town_edit_t *edit)
{
    size_t edited_size = size;
    uint8_t *edited = edit_message (data, &edited_size, edit->value, edit->how);
    unsigned way = edit->how >> 5;
    peer_t astray = peer_of_endpoint (names[edit->value % CORES]);
    if (way == 1 || way == 5)
        hand_over (self, from, to, data, size);
    if (way == 3)
        hand_over (self, from, &astray, data, size);
    else if (way != 4 && edited)
        hand_over (self, from, way == 6 ? &astray : to, edited, edited_size);
    if (way == 2 || way == 5)
        hand_over (self, from, to, data, size);
    mem_free (edited);
}

static void deliver (town_t *self, int from, const peer_t *to, const void *data, size_t size)
{
    size_t number = self->delivered;
    if (core_at (to) >= 0)
        for (size_t i = 0; i < self->edits_count; i++)
            if (self->edits[i].message == number) {
                hand_over_edited (self, from, to, data, size, &self->edits[i]);
                self->delivered += self->delivered == number; /* one that was lost counts, too */
                return;
            }
    hand_over (self, from, to, data, size);
}

/* ---- the client ---- */

static const char definitions[] =
    "streams:\n"
    "  payments:\n"
    "    key: user\n"
    "    time: ts\n"
    "    fields: {user: string, shop: int64, amount: float64, price: 'decimal(10,2)', ts: {type: "
    "timestamp, unit: us}}\n"
    "  visits:\n"
    "    key: [shop, user]\n"
    "    time: ts\n"
    "    fields: {user: string, shop: int64, amount: float64, ts: {type: timestamp, unit: us}}\n"
    "views:\n"
    "  users:\n"
    "    from: payments\n"
    "    features: {n: 'count() over 1h, lifetime', total: sum(amount) over 1d, dear: sum(price), "
    "by_shop: sum(amount) by "
    "shop}\n"
    "  shops: {from: payments, key: shop, features: {n: count(), last: last(amount), m: "
    "approx_median(amount)}}\n"
    "  both: {from: [payments, visits], key: user, features: {n: count(), top: max(amount) over "
    "7d}}\n";

static void put_key (wire_writer_t *writer, const char *field, const char *value)
{
    wire_field_list (writer, "keys");
    wire_open_map (writer);
    wire_field_string (writer, field, value);
    wire_close (writer);
    wire_close (writer);
}

static void put_rows (town_t *self, int64_t first)
{
    static const char *const columns[] = { "user", "shop", "amount", "price", "ts" };
    wire_writer_t *writer = self->writer;
    int64_t now = self->core[SPEED].rig.clock;
    uint8_t producer[16] = { 0 };
    for (size_t i = 0; i < 8; i++)
        producer[i] = (uint8_t)((uint64_t)now >> (56 - 8 * i));
    producer[15] = (uint8_t)first;
    wire_field_string (writer, "stream", "payments");
    wire_field_bin (writer, "producer", (text_t){ (const char *)producer, sizeof producer });
    wire_field_uint (writer, "sequence", 1);
    wire_field_uint (writer, "oldest", 1);
    wire_field_list (writer, "columns");
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        wire_put_string (writer, columns[i]);
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (int64_t i = first; i < first + 6; i++) {
        wire_open_list (writer);
        wire_put_string (writer, i % 2 ? "ann" : "bob");
        wire_put_int (writer, i % 3);
        wire_put_float (writer, (double)i / 4);
        wire_put_string (writer, "1.25");
        wire_put_int (writer, now - i * TIME_MINUTE);
        wire_close (writer);
    }
    wire_close (writer);
}

static void put_get (wire_writer_t *writer, const char *view, const char *field, const char *value)
{
    wire_field_string (writer, "view", view);
    put_key (writer, field, value);
    wire_field_uint (writer, "deadline_ms", 500);
}

/* The next question, and to whom; false when there are no more. */
static bool question (town_t *self, size_t number, message_kind_t *kind, int *to)
{
    static const struct {
        message_kind_t kind;
        int to;
    } questions[] = {
        { MESSAGE_APPLY, COORDINATOR },
        { MESSAGE_SEND, SPEED },
        { MESSAGE_GET, SERVING },
        { MESSAGE_SEND, SPEED },
        { MESSAGE_RECOMPUTE, COORDINATOR },
        { MESSAGE_GET, SERVING },
        { MESSAGE_LOAD, COORDINATOR },
        { MESSAGE_SEND, SPEED },
        { MESSAGE_GET, SERVING },
        { MESSAGE_RECOMPUTES, COORDINATOR },
        { MESSAGE_RECOMPUTE, COORDINATOR },
        { MESSAGE_LOADS, COORDINATOR },
        { MESSAGE_STATUS, COORDINATOR },
        { MESSAGE_GET, SERVING },
        { MESSAGE_UNLOAD, COORDINATOR },
        { MESSAGE_METRICS, SPEED },
        { MESSAGE_GET, SERVING },
        { MESSAGE_DELETE, COORDINATOR },
        { MESSAGE_ROUTES, COORDINATOR },
        { MESSAGE_DEFINITIONS, COORDINATOR },
        { MESSAGE_SEND, SPEED },
        { MESSAGE_GET, SERVING },
    };
    (void)self;
    if (number >= sizeof questions / sizeof questions[0])
        return false;
    *kind = questions[number].kind;
    *to = questions[number].to;
    return true;
}

static const char load_rows[] =
    "user,shop,amount,price,ts\nann,1,2.5,3.10,1699999000000000\nbob,2,,0.01,1699999100000000\n";

/* Hex XXH3-128 of the file, as clients name loads. */
static void put_load_id (wire_writer_t *writer)
{
    char id[33];
    XXH128_hash_t hash = XXH3_128bits (load_rows, sizeof load_rows - 1);
    snprintf (id, sizeof id, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
              (uint64_t)hash.low64);
    wire_field_string (writer, "id", id);
}

static void put_question (town_t *self, message_kind_t kind, size_t number)
{
    wire_writer_t *writer = self->writer;
    switch (kind) {
    case MESSAGE_APPLY:
        wire_field_list (writer, "files");
        wire_open_map (writer);
        wire_field_string (writer, "name", "town.yaml");
        wire_field_string (writer, "text", definitions);
        wire_close (writer);
        wire_close (writer);
        break;
    case MESSAGE_SEND:
        put_rows (self, (int64_t)number);
        break;
    case MESSAGE_GET:
        put_get (writer,
                 number % 2   ? "users"
                 : number % 4 ? "both"
                              : "shops",
                 number % 2 || number % 4 ? "user" : "shop",
                 number % 2 || number % 4 ? "ann" : "1");
        break;
    case MESSAGE_LOAD:
        wire_field_string (writer, "stream", "payments");
        wire_field_string (writer, "path", "incoming/rows");
        put_load_id (writer);
        wire_field_string (writer, "name", "rows.csv");
        wire_field_string (writer, "format", "csv");
        break;
    case MESSAGE_UNLOAD:
        put_load_id (writer);
        break;
    case MESSAGE_DELETE:
        wire_field_string (writer, "name", "shops");
        break;
    default:
        break;
    }
}

/* Asks the next question when the one before was answered, or will not be. False after the last. */
static bool ask (town_t *self)
{
    message_kind_t kind;
    int to;
    if (self->asked > 0 && self->answered < self->asked && self->silent < SILENT_MAX)
        return true;
    if (!question (self, self->asked, &kind, &to))
        return false;
    self->silent = 0;
    self->asked++;
    wire_begin (self->writer, kind, self->asked);
    put_question (self, kind, self->asked);
    const void *data;
    size_t size;
    CHECK (wire_end (self->writer, &data, &size));
    peer_t peer = peer_of_endpoint (names[to]);
    deliver (self, CORES, &peer, data, size);
    return true;
}

/* ---- */

static void step (town_t *self)
{
    for (int i = 0; i < CORES; i++) {
        resident_t *core = &self->core[i];
        for (rig_message_t *message;
             self->delivered < DELIVERIES_MAX && (message = rig_env_take (&core->rig)) != NULL;) {
            deliver (self, i, &message->to, message->data, message->size);
            rig_message_free (&message);
        }
        for (job_t *job; (job = rig_env_run (&core->rig)) != NULL;) {
            job_done (core, i, job);
            tick (core, i);
        }
    }
}

static void write_rows (fs_t *fs)
{
    file_t *file = NULL;
    error_t error;
    CHECK (fs_make_dir (fs, "incoming", &error) == STATUS_OK);
    CHECK (fs_open (fs, "incoming/rows", FS_CREATE, &file, &error) == STATUS_OK);
    CHECK (fs_write (fs, file, 0, load_rows, sizeof load_rows - 1, &error) == STATUS_OK);
    fs_close (fs, &file);
}

size_t town_run (const town_edit_t *edits, size_t count, bool loud)
{
    town_t town = { .edits = edits,
                    .edits_count = count,
                    .disk = sim_disk_new (1, 0),
                    .writer = wire_writer_new (),
                    .loud = loud };
    for (int i = 0; i < CORES; i++) {
        rig_env_init (&town.core[i].rig, sim_disk_mount (town.disk), (uint64_t)i + 1);
        town.core[i].rig.loud = loud;
    }
    write_rows (sim_disk_fs (town.disk));
    start (&town);
    bool more = true;
    for (size_t steps = 0; steps < STEPS_MAX && (more || town.silent < SILENT_MAX); steps++) {
        for (int i = 0; i < CORES; i++) {
            rig_env_pass (&town.core[i].rig, STEP_US);
            tick (&town.core[i], i);
        }
        step (&town);
        town.silent++;
        if (more && steps > 10)
            more = ask (&town);
    }
    size_t delivered = town.delivered;
    if (loud)
        fprintf (stderr, "%zu messages, %zu questions, the last answered: %lu\n", delivered,
                 town.asked, (unsigned long)town.answered);
    stop (&town);
    wire_writer_destroy (&town.writer);
    sim_disk_destroy (&town.disk);
    return delivered;
}
