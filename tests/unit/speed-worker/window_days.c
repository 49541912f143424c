/* Random days of producers of every manner, over a network that loses, doubles and reorders, at
 * workers that are moved, killed, slow and deaf: an acknowledged batch is in the log, once. */
#include "tests/unit/speed-worker/town.h"

#include "intake/logged.h"
#include "storage/dedupe.h"
#include "tests/rig/cases.h"

enum {
    PRODUCERS = 4,
    SEQUENCES = 250,
    ROWS = 4,
    AHEAD = 30,     /* sequences that some send further than they may */
    UNDER_WAY = 90, /* messages to workers at a time */
    STEPS = 6000,
};

typedef enum manner {
    PLAIN,
    HASTY,     /* sends ahead of its window, too */
    UNTRUE,    /* says of batches that they are acknowledged which are not */
    FORGETFUL, /* ends, and goes on with what it had saved */
} manner_t;

typedef struct batch_sent {
    payment_t rows[ROWS];
    size_t count;
    bool allowed;                 /* it was sent as the protocol has it */
    bool acked;                   /* it was told so, in whichever life */
    bool known;                   /* it knows so, or that the batch is lost */
    unsigned records[PARTITIONS]; /* in the logs, as far as they have been read */
} batch_sent_t;

typedef struct producer {
    manner_t manner;
    uint8_t id[PRODUCER_SIZE];
    uint64_t newest;
    uint64_t next;   /* to be sent in this life */
    uint64_t oldest; /* that is not known as acknowledged */
    uint64_t saved;
    unsigned life;
    batch_sent_t batch[SEQUENCES + 2];
} producer_t;

/* A message, which may arrive at any time from when it is sent on, at any worker, more than once.
 */
typedef struct letter {
    producer_t *producer;
    uint64_t sequence;
    unsigned life;
    bool wrong; /* what it says breaks the protocol */
    void *data;
    size_t size;
} letter_t;

typedef struct day {
    town_t town;
    producer_t producer[PRODUCERS];
    letter_t *letters; /* all, by id */
    size_t letters_count;
    uint64_t first_id;
    size_t under_way[UNDER_WAY];
    size_t under_way_count;
    uint64_t read[PARTITIONS]; /* the logs up to there */
    unsigned cuts;
    bool over; /* nothing goes wrong any more */
    model_t *model;
    keyed_log_t log;
    unsigned put_off, ahead, lost, resumed; /* batches that were told so */
} day_t;

/* ---- the logs ---- */

static batch_sent_t *batch_of_record (day_t *self, const events_payload_t *payload)
{
    producer_t *producer = NULL;
    for (size_t i = 0; i < PRODUCERS; i++)
        if (memcmp (self->producer[i].id, payload->producer, PRODUCER_SIZE) == 0)
            producer = &self->producer[i];
    cr_assert (producer && payload->sequence <= SEQUENCES, "a record that nobody sent");
    return &producer->batch[payload->sequence];
}

static uint32_t rows_in (const batch_sent_t *batch, uint32_t p)
{
    uint32_t rows = 0;
    for (size_t i = 0; i < batch->count; i++)
        rows += batch->rows[i].partition == p;
    return rows;
}

static void note_record (day_t *self, uint32_t p, const log_record_t *record, arena_t *arena)
{
    events_payload_t payload;
    batch_t batch;
    error_t error;
    arena_reset (arena);
    status_t status = logged_events (&self->log, record, arena, &payload, &batch, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    batch_sent_t *sent = batch_of_record (self, &payload);
    cr_assert (sent->allowed, "a batch is there that was only sent ahead of its window");
    cr_assert_eq (payload.accepted, rows_in (sent, p));
    cr_assert_eq (++sent->records[p], 1, "a batch counts twice");
}

/* Reads what is new below `to`. */
static void read_log (day_t *self, uint32_t p, uint64_t to)
{
    if (to <= self->read[p])
        return;
    fs_t *fs = sim_disk_mount (self->town.disk);
    arena_t *arena = arena_new (1 << 16);
    arena_t *scratch = arena_new (1 << 16);
    log_identity_t identity = logged_identity (&self->log, TOWN_CLUSTER_ID, p);
    log_reader_t *reader;
    log_record_t record;
    error_t error;
    status_t status = log_reader_open (fs, logged_dir (arena, "log", self->log.name, p), &identity,
                                       self->read[p], to, &reader, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    while ((status = log_reader_next (reader, &record, &error)) == STATUS_OK) {
        self->read[p] = record.offset + record.count;
        if (record.kind == LOG_KIND_EVENTS)
            note_record (self, p, &record, scratch);
    }
    cr_assert_eq (status, STATUS_END, "%s", error.text);
    log_reader_destroy (&reader);
    arena_destroy (&scratch);
    arena_destroy (&arena);
}

static void check_acknowledged (day_t *self, const letter_t *letter, const wire_value_t *body)
{
    const batch_sent_t *batch = &letter->producer->batch[letter->sequence];
    const wire_value_t *positions = wire_map (body, "positions");
    cr_assert_not (letter->wrong, "acknowledged, and sent ahead of its window");
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        char name[64];
        if (rows_in (batch, p) == 0)
            continue;
        snprintf (name, sizeof name, PAYMENTS_LOG "/%u", p);
        read_log (self, p, wire_uint (positions, name, 0));
        cr_assert_eq (batch->records[p], 1,
                      "batch %llu of producer %u is acknowledged, and not in partition %u",
                      (unsigned long long)letter->sequence, letter->producer->manner, p);
    }
    uint64_t accepted = wire_uint (body, "accepted", 0);
    cr_assert (accepted == batch->count || (letter->life > 0 && accepted < batch->count));
    self->resumed += accepted < batch->count;
}

/* ---- producers ---- */

static void know (producer_t *self, uint64_t sequence)
{
    self->batch[sequence].known = true;
    while (self->oldest < self->next && self->batch[self->oldest].known)
        self->oldest++;
}

static void take_refusal (day_t *self, const letter_t *letter, const message_t *message)
{
    producer_t *producer = letter->producer;
    char word[64], text[1024];
    wire_copy (message->body, "status", word, sizeof word);
    wire_copy (message->body, "text", text, sizeof text);
    status_t status = status_from_word (word);
    bool known = producer->batch[letter->sequence].known;
    if (status != STATUS_INVALID) {
        cr_assert (status == STATUS_BUSY || status == STATUS_UNAVAILABLE ||
                       status == STATUS_TIMEOUT || status == STATUS_FENCED,
                   "%s: %s", word, text);
        self->put_off++;
    } else if (letter->wrong) {
        self->ahead++;
    } else if (letter->life == producer->life && !known) {
        cr_assert_eq (producer->manner, UNTRUE, "batch %llu of producer %u: %s",
                      (unsigned long long)letter->sequence, producer->manner, text);
        self->lost++;
        know (producer, letter->sequence);
    }
}

static void take_replies (day_t *self)
{
    while (town_answered (&self->town)) {
        message_t message = town_reply (&self->town, self->town.replies->kind);
        const letter_t *letter = &self->letters[message.id - self->first_id];
        producer_t *producer = letter->producer;
        if (message.kind == MESSAGE_SEND_OK)
            check_acknowledged (self, letter, message.body);
        if (!self->over && random_chance (&self->town.random, 0.15))
            continue; /* it is lost */
        if (message.kind != MESSAGE_SEND_OK) {
            take_refusal (self, letter, &message);
        } else {
            producer->batch[letter->sequence].acked = true;
            if (letter->life == producer->life)
                know (producer, letter->sequence);
        }
    }
}

static void make_batch (day_t *self, producer_t *producer)
{
    batch_sent_t *batch = &producer->batch[++producer->newest];
    batch->count = 1 + random_below (&self->town.random, ROWS);
    for (size_t i = 0; i < batch->count; i++)
        batch->rows[i] = payments_random (&self->town.random, self->town.worker[0].rig.clock,
                                          TIME_HOUR, PARTITIONS);
}

static void write_letter (day_t *self, producer_t *producer, uint64_t sequence)
{
    batch_sent_t *batch = &producer->batch[sequence];
    town_t *town = &self->town;
    uint64_t oldest = producer->oldest;
    if (producer->manner == UNTRUE)
        oldest += random_below (&town->random, sequence + 2 - oldest);
    letter_t letter = { .producer = producer, .sequence = sequence, .life = producer->life };
    letter.wrong = oldest > sequence || sequence - oldest >= DEDUPE_WINDOW;
    batch->allowed = batch->allowed || !letter.wrong;
    memcpy (town->producer, producer->id, PRODUCER_SIZE);
    town->oldest = oldest;
    town->resumed = producer->life > 0;
    uint64_t id = town_write_send (town, batch->rows, batch->count, sequence);
    const void *data;
    cr_assert (wire_end (town->writer, &data, &letter.size));
    letter.data = mem_alloc (letter.size);
    memcpy (letter.data, data, letter.size);
    cr_assert_eq (id, self->first_id + self->letters_count);
    self->letters = mem_resize (self->letters, self->letters_count + 1, sizeof *self->letters);
    self->letters[self->letters_count++] = letter;
}

/* The next one that is new in this life, or one that may have been lost; 0: none may be sent. */
static uint64_t choose_sequence (day_t *self, producer_t *producer)
{
    uint64_t window = DEDUPE_WINDOW;
    if (producer->manner == HASTY || producer->manner == UNTRUE)
        window += AHEAD;
    if (producer->next <= SEQUENCES && producer->next < producer->oldest + window &&
        random_chance (&self->town.random, 0.8)) {
        if (producer->next > producer->newest)
            make_batch (self, producer);
        return producer->next++;
    }
    for (unsigned tries = 0; tries < 20 && producer->oldest < producer->next; tries++) {
        uint64_t sequence =
            producer->oldest + random_below (&self->town.random, producer->next - producer->oldest);
        if (!producer->batch[sequence].known)
            return sequence;
    }
    return 0;
}

static void produce (day_t *self)
{
    producer_t *producer = &self->producer[random_below (&self->town.random, PRODUCERS)];
    uint64_t sequence = self->under_way_count < UNDER_WAY ? choose_sequence (self, producer) : 0;
    if (sequence == 0)
        return;
    write_letter (self, producer, sequence);
    self->under_way[self->under_way_count++] = self->letters_count - 1;
}

/* Another process goes on, which knows what was saved. */
static void forget (producer_t *self)
{
    if (self->manner != FORGETFUL)
        return;
    self->life++;
    self->next = self->oldest = self->saved + 1;
    for (uint64_t sequence = self->next; sequence <= self->newest; sequence++)
        self->batch[sequence].known = false;
}

/* ---- the network and the workers ---- */

static void hand_over (day_t *self, size_t letter, unsigned worker)
{
    peer_t client = rig_incoming ("client");
    if (self->town.worker[worker].core)
        speed_core_receive (self->town.worker[worker].core, &client, self->letters[letter].data,
                            self->letters[letter].size);
}

static void deliver_one (day_t *self)
{
    random_t *random = &self->town.random;
    if (self->under_way_count == 0)
        return;
    size_t at = random_below (random, self->under_way_count);
    size_t letter = self->under_way[at];
    if (!random_chance (random, 0.15)) /* else it comes again */
        self->under_way[at] = self->under_way[--self->under_way_count];
    if (!random_chance (random, 0.1)) /* else it is lost */
        hand_over (self, letter, (unsigned)random_below (random, WORKERS));
}

static void give_ownerless (day_t *self)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        if (self->town.owner[p] < 0)
            town_give (&self->town, p, (int)random_below (&self->town.random, WORKERS));
}

static void restart (day_t *self, unsigned number)
{
    worker_kill (&self->town, number);
    worker_start (&self->town, number);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        if (self->town.owner[p] == (int)number)
            town_give (&self->town, p, (int)random_below (&self->town.random, WORKERS));
}

static void order_cut (day_t *self)
{
    char id[16];
    snprintf (id, sizeof id, "cut-%u", ++self->cuts);
    self->town.controls = 0;
    town_order (&self->town, id, true);
}

/* Nothing below a cut is needed: from then on, what was there before is known from its record. */
static void raise_bases (day_t *self)
{
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        if (self->town.owner[p] < 0)
            continue;
        const held_t *held = &self->town.worker[self->town.owner[p]].held[p];
        if (!town_is (&self->town, p, "serving") || held->cuts_count == 0)
            continue;
        read_log (self, p, held->end);
        self->town.base[p] = held->cuts[held->cuts_count - 1];
    }
}

static void trouble (day_t *self)
{
    random_t *random = &self->town.random;
    unsigned number = (unsigned)random_below (random, WORKERS);
    worker_t *worker = &self->town.worker[number];
    switch (random_below (random, 10)) {
    case 0:
        worker->hold_jobs = !worker->hold_jobs;
        break;
    case 1:
        worker->deaf = !worker->deaf;
        break;
    case 2: /* given to another in a while, when this one knows */
        town_give (&self->town, (uint32_t)random_below (random, PARTITIONS), -1);
        town_pass (&self->town, 2 * TIME_SECOND);
        break;
    case 3:
    case 7:
    case 8:
    case 9:
        give_ownerless (self);
        break;
    case 4:
        restart (self, number);
        break;
    case 5:
        order_cut (self);
        break;
    default:
        raise_bases (self);
    }
}

static void step (day_t *self)
{
    random_t *random = &self->town.random;
    if (random_chance (random, 0.5))
        produce (self);
    else
        deliver_one (self);
    if (random_chance (random, 0.3))
        town_run (&self->town);
    if (random_chance (random, 0.05))
        town_pass (&self->town, (int64_t)random_below (random, 3) * TIME_SECOND);
    if (random_chance (random, 0.01))
        trouble (self);
    for (size_t i = 0; i < PRODUCERS; i++) {
        if (random_chance (random, 0.001))
            self->producer[i].saved = self->producer[i].oldest - 1;
        if (random_chance (random, 0.001))
            forget (&self->producer[i]);
    }
    take_replies (self);
}

/* ---- a day ---- */

static void begin (day_t *self, uint64_t seed)
{
    town_init (&self->town, seed, WORKERS);
    self->first_id = self->town.next_id;
    self->model = payments_model (1);
    cr_assert (model_log (self->model, text_of (PAYMENTS_LOG), &self->log));
    for (size_t i = 0; i < PRODUCERS; i++) {
        producer_t *producer = &self->producer[i];
        producer->manner = (manner_t)i;
        producer->next = producer->oldest = 1;
        memcpy (producer->id, self->town.producer, PRODUCER_SIZE);
        producer->id[PRODUCER_SIZE - 1] = (uint8_t)(1 + i);
    }
    for (uint32_t p = 0; p < PARTITIONS; p++)
        town_give (&self->town, p, (int)(p % WORKERS));
    town_pass (&self->town, 2 * TIME_SECOND);
}

static void heal (day_t *self)
{
    self->over = true;
    self->under_way_count = 0;
    for (unsigned i = 0; i < WORKERS; i++)
        self->town.worker[i].hold_jobs = self->town.worker[i].deaf = false;
    town_give_all (&self->town, -1);
    town_pass (&self->town, 8 * TIME_SECOND);
    town_give_all (&self->town, 0);
    town_pass (&self->town, 8 * TIME_SECOND);
    take_replies (self);
    for (size_t i = 0; i < PRODUCERS; i++)
        forget (&self->producer[i]);
}

static void send_the_rest (day_t *self, producer_t *producer)
{
    for (unsigned rounds = 0; producer->oldest <= SEQUENCES; rounds++) {
        cr_assert_lt (rounds, 2 * SEQUENCES);
        while (producer->next <= SEQUENCES && producer->next < producer->oldest + DEDUPE_WINDOW) {
            if (producer->next > producer->newest)
                make_batch (self, producer);
            producer->next++;
        }
        for (uint64_t sequence = producer->oldest; sequence < producer->next; sequence++) {
            if (producer->batch[sequence].known)
                continue;
            write_letter (self, producer, sequence);
            hand_over (self, self->letters_count - 1, 1);
            town_pass (&self->town, 100 * TIME_MS);
            take_replies (self);
        }
    }
}

static void check_end (day_t *self)
{
    town_pass (&self->town, 2 * TIME_SECOND);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        read_log (self, p, self->town.worker[0].held[p].end);
    for (size_t i = 0; i < PRODUCERS; i++)
        for (uint64_t sequence = 1; sequence <= SEQUENCES; sequence++) {
            const batch_sent_t *batch = &self->producer[i].batch[sequence];
            cr_assert (batch->acked || self->producer[i].manner == UNTRUE);
            for (uint32_t p = 0; p < PARTITIONS && batch->acked; p++)
                cr_assert_eq (batch->records[p], rows_in (batch, p) > 0);
        }
}

static void end (day_t *self)
{
    for (size_t i = 0; i < self->letters_count; i++)
        mem_free (self->letters[i].data);
    mem_free (self->letters);
    model_unref (&self->model);
    town_release (&self->town);
}

Test (window_days, what_is_acknowledged_is_in_the_log_once, .timeout = 240)
{
    unsigned put_off = 0, ahead = 0, lost = 0, resumed = 0;
    for (uint64_t seed = 300; seed < 300 + cases (20); seed++) {
        day_t *day = mem_zero (1, sizeof *day);
        begin (day, seed);
        for (int i = 0; i < STEPS; i++)
            step (day);
        heal (day);
        for (size_t i = 0; i < PRODUCERS; i++)
            send_the_rest (day, &day->producer[i]);
        check_end (day);
        put_off += day->put_off;
        ahead += day->ahead;
        lost += day->lost;
        resumed += day->resumed;
        end (day);
        mem_free (day);
    }
    /* the days had what they are about */
    cr_assert (put_off > cases (1000) && ahead > cases (1000), "%u, %u", put_off, ahead);
    unsigned least = CASES_APART > 1 ? 10 : 100;
    cr_assert (lost > least && resumed > least, "%u, %u", lost, resumed);
}
