/* dedupe.c - asking the producer table, and its encoding. */
#include "storage/dedupe.h"

#include "base/check.h"
#include "base/mem.h"
#include "storage/dedupe_table.h"

#include <inttypes.h>
#include <stdlib.h>

enum { VERSION = 1 };

/* Worst cases: version, floor and count; a producer; an outcome without its details. */
enum { HEAD_SIZE = 1 + 8 + 5, PRODUCER_MAX = 16 + 8 + 8 + 1, OUTCOME_MAX = 1 + 10 + 5 + 5 + 1 };

_Static_assert(HEAD_SIZE + DEDUPE_PRODUCERS_MAX * PRODUCER_MAX + DEDUPE_OUTCOMES_MAX * OUTCOME_MAX +
                       DEDUPE_DETAILS_MAX <=
                   DEDUPE_ENCODED_MAX,
               "the largest table fits");
_Static_assert((int)DEDUPE_ENCODED_MAX < (int)LOG_PAYLOAD_MAX,
               "in a cut record, with what else is there");
_Static_assert(DEDUPE_REASON_MAX < 1 << 14, "a reason's size takes two bytes");

/* ---- asking ---- */

static status_t check_age (const dedupe_t *self, dedupe_id_t id, int64_t now, error_t *error)
{
    if (now < 0 || id.created > (uint64_t)now + (uint64_t)DEDUPE_AHEAD)
        return error_set (error, STATUS_INVALID,
                          "the producer id says that it was created in the future");
    if (id.created + (uint64_t)DEDUPE_AGE <= (uint64_t)now)
        return error_set (error, STATUS_INVALID,
                          "the producer id was created more than two days ago; take a new one");
    if (id.created <= self->floor)
        return error_set (error, STATUS_INVALID,
                          "the producer id was given up, because it is old or there were over %d; "
                          "take a new one",
                          DEDUPE_PRODUCERS_MAX);
    return STATUS_OK;
}

status_t dedupe_in_window (uint64_t sequence, uint64_t oldest, error_t *error)
{
    if (oldest == 0 || oldest > sequence)
        return error_set (error, STATUS_INVALID,
                          "sequence %" PRIu64 " comes with the word that the oldest which is not "
                          "acknowledged is %" PRIu64 ": that is the batch itself or an earlier one",
                          sequence, oldest);
    if (sequence - oldest >= DEDUPE_WINDOW)
        return error_set (error, STATUS_INVALID,
                          "sequence %" PRIu64 " is %d or more past %" PRIu64 ", which is not "
                          "acknowledged; nothing of it was written: send it when that one is",
                          sequence, DEDUPE_WINDOW, oldest);
    return STATUS_OK;
}

dedupe_verdict_t dedupe_check (const dedupe_t *self, text_t producer_id, uint64_t sequence,
                               int64_t now, dedupe_outcome_t *outcome, error_t *error)
{
    CHECK_OBJECT (self, DEDUPE_MAGIC);
    if (producer_id.size != PRODUCER_SIZE) {
        error_set (error, STATUS_INVALID, "a producer id has %d bytes", PRODUCER_SIZE);
        return DEDUPE_EXPIRED;
    }
    dedupe_id_t id = dedupe_id_of (producer_id);
    if (check_age (self, id, now, error) != STATUS_OK)
        return DEDUPE_EXPIRED;
    const dedupe_producer_t *producer = dedupe_find (self, id);
    if (producer == NULL || sequence > producer->highest)
        return DEDUPE_NEW;
    uint64_t below = producer->highest - sequence;
    *outcome = (dedupe_outcome_t){ .offset = DEDUPE_NO_OFFSET };
    if (below >= DEDUPE_WINDOW) {
        error_set (error, STATUS_INVALID,
                   "sequence %" PRIu64 " was acknowledged, as its producer said with %" PRIu64
                   "; whether it is in is not known here any more. A producer that goes on after "
                   "an interruption sends `resumed`",
                   sequence, producer->highest);
        return DEDUPE_BELOW;
    }
    if ((producer->map >> below & 1) == 0)
        return DEDUPE_NEW;
    const dedupe_entry_t *entry = dedupe_entry (producer, sequence);
    if (entry != NULL)
        *outcome = (dedupe_outcome_t){
            .offset = entry->offset,
            .accepted = entry->accepted,
            .refused_count = entry->refused_count,
            .refused_listed = entry->refused_listed,
            .refused = entry->refused,
        };
    return DEDUPE_REPEAT;
}

void dedupe_replay (dedupe_t *self, const log_record_t *record, const events_payload_t *payload)
{
    dedupe_outcome_t outcome = {
        .offset = record->offset,
        .accepted = payload->accepted,
        .refused_count = payload->refused_count,
        .refused_listed = payload->refused_listed,
        .refused = payload->refused,
    };
    text_t producer = { (const char *)payload->producer, PRODUCER_SIZE };
    dedupe_record (self, producer, payload->sequence, &outcome);
}

/* ---- encoding ---- */

static int compare_producers (const void *a, const void *b)
{
    return dedupe_compare_ids ((*(dedupe_producer_t *const *)a)->id,
                               (*(dedupe_producer_t *const *)b)->id);
}

static void encode_producer (const dedupe_producer_t *producer, buf_t *out)
{
    buf_put_u64 (out, producer->id.created);
    buf_put_u64 (out, producer->id.random);
    buf_put_u64 (out, producer->highest);
    buf_put_u64 (out, producer->map);
    buf_put_u8 (out, producer->count);
    for (uint8_t i = 0; i < producer->count; i++) {
        const dedupe_entry_t *entry = &producer->entry[i];
        buf_put_u8 (out, (uint8_t)(producer->highest - entry->sequence));
        buf_put_varint (out, entry->offset);
        buf_put_varint (out, entry->accepted);
        buf_put_varint (out, entry->refused_count);
        buf_put_u8 (out, (uint8_t)entry->refused_listed);
        for (uint32_t row = 0; row < entry->refused_listed; row++) {
            buf_put_varint (out, entry->refused[row].row);
            buf_put_text (out, entry->refused[row].reason);
        }
    }
}

void dedupe_encode (const dedupe_t *self, buf_t *out)
{
    CHECK_OBJECT (self, DEDUPE_MAGIC);
    dedupe_producer_t **sorted = mem_alloc (self->producers * sizeof (dedupe_producer_t *));
    size_t count = 0;
    for (size_t i = 0; i < self->slots; i++)
        if (self->slot[i] != NULL)
            sorted[count++] = self->slot[i];
    CHECK (count == self->producers);
    qsort (sorted, count, sizeof (dedupe_producer_t *), compare_producers);
    buf_put_u8 (out, VERSION);
    buf_put_u64 (out, self->floor);
    buf_put_varint (out, count);
    for (size_t i = 0; i < count; i++)
        encode_producer (sorted[i], out);
    mem_free (sorted);
}

/* ---- decoding ---- */

static uint32_t read_u32 (reader_t *reader)
{
    uint64_t value = reader_varint (reader);
    if (value > UINT32_MAX)
        reader->bad = true;
    return (uint32_t)value;
}

/* `previous` is how far below the highest sequence the entry before was. */
static void decode_entry (reader_t *reader, dedupe_t *self, dedupe_producer_t *producer,
                          int *previous)
{
    payload_refused_t refused[PAYLOAD_REFUSED_MAX];
    uint8_t below = reader_u8 (reader);
    dedupe_outcome_t outcome = { .refused = refused };
    outcome.offset = reader_varint (reader);
    outcome.accepted = read_u32 (reader);
    outcome.refused_count = read_u32 (reader);
    outcome.refused_listed = reader_u8 (reader);
    bool possible = below > *previous && below < DEDUPE_WINDOW && below <= producer->highest &&
                    outcome.offset != DEDUPE_NO_OFFSET &&
                    outcome.refused_listed <= PAYLOAD_REFUSED_MAX &&
                    outcome.refused_listed <= outcome.refused_count;
    if (reader->bad || !possible || (producer->map >> below & 1) == 0) {
        reader->bad = true;
        return;
    }
    for (size_t i = 0; i < outcome.refused_listed; i++) {
        refused[i].row = read_u32 (reader);
        refused[i].reason = reader_text (reader);
        if (refused[i].reason.size > DEDUPE_REASON_MAX)
            reader->bad = true;
    }
    if (reader->bad)
        return;
    *previous = below;
    dedupe_insert (self, producer, producer->highest - below, &outcome);
    dedupe_note_age (self, producer->id, producer->highest - below, outcome.offset);
}

static void decode_producer (reader_t *reader, dedupe_t *self, dedupe_id_t *previous)
{
    dedupe_id_t id;
    id.created = reader_u64 (reader);
    id.random = reader_u64 (reader);
    bool first = self->producers == 0;
    if (reader->bad || id.created <= self->floor ||
        (!first && dedupe_compare_ids (*previous, id) >= 0)) {
        reader->bad = true;
        return;
    }
    *previous = id;
    dedupe_producer_t *producer = dedupe_add (self, id);
    producer->highest = reader_u64 (reader);
    producer->map = reader_u64 (reader);
    uint8_t count = reader_u8 (reader);
    bool before_zero =
        producer->highest < DEDUPE_WINDOW - 1 && producer->map >> (producer->highest + 1) != 0;
    if ((producer->map & 1) == 0 || before_zero)
        reader->bad = true;
    int previous_below = -1;
    for (uint8_t i = 0; i < count && !reader->bad; i++)
        decode_entry (reader, self, producer, &previous_below);
    if (self->outcomes > DEDUPE_OUTCOMES_MAX || self->details_size > DEDUPE_DETAILS_MAX)
        reader->bad = true;
}

static int compare_ages (const void *a, const void *b)
{
    const dedupe_age_t *left = a;
    const dedupe_age_t *right = b;
    if (left->offset != right->offset)
        return left->offset < right->offset ? -1 : 1;
    return dedupe_compare_ids (left->id, right->id);
}

static status_t decode_table (reader_t *reader, dedupe_t *self, error_t *error)
{
    uint8_t version = reader_u8 (reader);
    if (!reader->bad && version != VERSION)
        return error_set (error, STATUS_VERSION, "the producer table has version %u, not %d",
                          version, VERSION);
    self->floor = reader_u64 (reader);
    uint64_t count = reader_varint (reader);
    if (count > DEDUPE_PRODUCERS_MAX)
        reader->bad = true;
    dedupe_id_t previous = { 0 };
    for (uint64_t i = 0; i < count && !reader->bad; i++)
        decode_producer (reader, self, &previous);
    if (reader->bad || reader_left (reader) > 0)
        return error_set (error, STATUS_CORRUPT, "the producer table is not well formed");
    /* offsets rise with time: this is the order of recording again */
    if (self->ages > 1)
        qsort (self->age, self->ages, sizeof *self->age, compare_ages);
    return STATUS_OK;
}

status_t dedupe_decode (text_t bytes, dedupe_t *self, error_t *error)
{
    CHECK_OBJECT (self, DEDUPE_MAGIC);
    dedupe_clear (self);
    reader_t reader = reader_of (bytes.data, bytes.size);
    status_t status = decode_table (&reader, self, error);
    if (status != STATUS_OK)
        dedupe_clear (self);
    return status;
}
