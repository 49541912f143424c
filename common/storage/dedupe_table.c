#include "storage/dedupe_table.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int dedupe_compare_ids (dedupe_id_t a, dedupe_id_t b)
{
    if (a.created != b.created)
        return a.created < b.created ? -1 : 1;
    return a.random < b.random ? -1 : a.random > b.random;
}

dedupe_id_t dedupe_id_of (text_t producer)
{
    CHECK (producer.size == PRODUCER_SIZE);
    dedupe_id_t id = { 0 };
    for (size_t i = 0; i < 8; i++) {
        id.created = id.created << 8 | (uint8_t)producer.data[i];
        id.random = id.random << 8 | (uint8_t)producer.data[8 + i];
    }
    return id;
}

/* ---- producers ---- */

/* The slot that holds `id`, or the empty one where it belongs. */
static size_t slot_of (const dedupe_t *self, dedupe_id_t id)
{
    size_t slot = (size_t)XXH3_64bits (&id, sizeof id) & (self->slots - 1);
    while (self->slot[slot] != NULL && dedupe_compare_ids (self->slot[slot]->id, id) != 0)
        slot = (slot + 1) & (self->slots - 1);
    return slot;
}

dedupe_producer_t *dedupe_find (const dedupe_t *self, dedupe_id_t id)
{
    return self->slots == 0 ? NULL : self->slot[slot_of (self, id)];
}

static void grow (dedupe_t *self)
{
    dedupe_producer_t **old = self->slot;
    size_t old_slots = self->slots;
    self->slots = old_slots == 0 ? 64 : old_slots * 2;
    self->slot = mem_zero (self->slots, sizeof *self->slot);
    for (size_t i = 0; i < old_slots; i++)
        if (old[i] != NULL)
            self->slot[slot_of (self, old[i]->id)] = old[i];
    mem_free (old);
}

dedupe_producer_t *dedupe_add (dedupe_t *self, dedupe_id_t id)
{
    if (self->producers * 2 >= self->slots)
        grow (self);
    size_t slot = slot_of (self, id);
    CHECK (self->slot[slot] == NULL);
    self->slot[slot] = mem_zero (1, sizeof **self->slot);
    self->slot[slot]->id = id;
    self->producers++;
    return self->slot[slot];
}

/* ---- entries ---- */

dedupe_entry_t *dedupe_entry (const dedupe_producer_t *producer, uint64_t sequence)
{
    for (uint8_t i = 0; i < producer->count; i++)
        if (producer->entry[i].sequence == sequence)
            return &producer->entry[i];
    return NULL;
}

/* A reason's bytes as far as they are kept: whole UTF-8 characters. */
static uint32_t kept_size (text_t reason)
{
    if (reason.size <= DEDUPE_REASON_MAX)
        return reason.size;
    uint32_t size = DEDUPE_REASON_MAX;
    while (size > 0 && ((uint8_t)reason.data[size] & 0xc0) == 0x80)
        size--;
    return size;
}

static void copy_details (dedupe_entry_t *entry, const dedupe_outcome_t *outcome)
{
    size_t listed = outcome->refused_listed;
    if (listed > PAYLOAD_REFUSED_MAX)
        listed = PAYLOAD_REFUSED_MAX;
    if (listed == 0)
        return;
    size_t size = 0;
    for (size_t i = 0; i < listed; i++)
        size += kept_size (outcome->refused[i].reason);
    entry->refused = mem_alloc (listed * sizeof *entry->refused + size);
    char *at = (char *)(entry->refused + listed);
    for (size_t i = 0; i < listed; i++) {
        text_t reason = { at, kept_size (outcome->refused[i].reason) };
        if (reason.size > 0)
            memcpy (at, outcome->refused[i].reason.data, reason.size);
        at += reason.size;
        entry->refused[i] = (payload_refused_t){ outcome->refused[i].row, reason };
    }
    entry->refused_listed = (uint32_t)listed;
    entry->details_size = (uint32_t)(size + listed * DEDUPE_DETAIL_OVERHEAD);
}

static void drop_details (dedupe_t *self, dedupe_entry_t *entry)
{
    self->details_size -= entry->details_size;
    mem_free (entry->refused);
    entry->refused = NULL;
    entry->refused_listed = entry->details_size = 0;
}

void dedupe_insert (dedupe_t *self, dedupe_producer_t *producer, uint64_t sequence,
                    const dedupe_outcome_t *outcome)
{
    CHECK (producer->count < DEDUPE_WINDOW);
    if (producer->count == producer->capacity) {
        producer->capacity = producer->capacity == 0 ? 1 : (uint8_t)(producer->capacity * 2);
        producer->entry = mem_resize (producer->entry, producer->capacity, sizeof *producer->entry);
    }
    uint8_t place = 0;
    while (place < producer->count && producer->entry[place].sequence > sequence)
        place++;
    memmove (producer->entry + place + 1, producer->entry + place,
             (size_t)(producer->count - place) * sizeof *producer->entry);
    dedupe_entry_t *entry = &producer->entry[place];
    *entry = (dedupe_entry_t){
        .sequence = sequence,
        .offset = outcome->offset,
        .accepted = outcome->accepted,
        .refused_count = outcome->refused_count,
    };
    copy_details (entry, outcome);
    producer->count++;
    self->outcomes++;
    self->details_size += entry->details_size;
}

static void remove_entry (dedupe_t *self, dedupe_producer_t *producer, dedupe_entry_t *entry)
{
    drop_details (self, entry);
    producer->count--;
    self->outcomes--;
    size_t after = (size_t)(producer->entry + producer->count - entry);
    memmove (entry, entry + 1, after * sizeof *entry);
}

static void free_producer (dedupe_t *self, dedupe_producer_t *producer)
{
    while (producer->count > 0)
        remove_entry (self, producer, &producer->entry[producer->count - 1]);
    mem_free (producer->entry);
    mem_free (producer);
    self->producers--;
}

/* ---- the order of recording ---- */

static dedupe_entry_t *entry_of_age (const dedupe_t *self, const dedupe_age_t *age,
                                     dedupe_producer_t **producer)
{
    *producer = dedupe_find (self, age->id);
    dedupe_entry_t *entry = *producer == NULL ? NULL : dedupe_entry (*producer, age->sequence);
    return entry != NULL && entry->offset == age->offset ? entry : NULL;
}

static void compact_ages (dedupe_t *self)
{
    size_t kept = 0;
    size_t first_detail = 0;
    for (size_t i = self->first_age; i < self->ages; i++) {
        dedupe_producer_t *producer;
        if (i == self->first_detail)
            first_detail = kept;
        if (entry_of_age (self, &self->age[i], &producer) != NULL)
            self->age[kept++] = self->age[i];
    }
    self->first_detail = self->first_detail >= self->ages ? kept : first_detail;
    self->first_age = 0;
    self->ages = kept;
}

void dedupe_note_age (dedupe_t *self, dedupe_id_t id, uint64_t sequence, uint64_t offset)
{
    if (self->ages == self->ages_capacity && self->ages > 2 * self->outcomes)
        compact_ages (self);
    if (self->ages == self->ages_capacity) {
        self->ages_capacity = self->ages_capacity * 2 + 64;
        self->age = mem_resize (self->age, self->ages_capacity, sizeof *self->age);
    }
    self->age[self->ages++] = (dedupe_age_t){ id, sequence, offset };
}

/* Makes room by forgetting what was recorded first. */
static void forget_oldest (dedupe_t *self)
{
    dedupe_producer_t *producer;
    while (self->outcomes > DEDUPE_OUTCOMES_MAX) {
        CHECK (self->first_age < self->ages);
        const dedupe_age_t *age = &self->age[self->first_age++];
        dedupe_entry_t *entry = entry_of_age (self, age, &producer);
        if (entry != NULL)
            remove_entry (self, producer, entry);
    }
    if (self->first_detail < self->first_age)
        self->first_detail = self->first_age;
    while (self->details_size > DEDUPE_DETAILS_MAX) {
        CHECK (self->first_detail < self->ages);
        const dedupe_age_t *age = &self->age[self->first_detail++];
        dedupe_entry_t *entry = entry_of_age (self, age, &producer);
        if (entry != NULL)
            drop_details (self, entry);
    }
}

/* ---- recording ---- */

/* Moves the window up to `sequence`; what falls out of it is forgotten. */
static void advance (dedupe_t *self, dedupe_producer_t *producer, uint64_t sequence)
{
    uint64_t step = sequence - producer->highest;
    producer->map = step < DEDUPE_WINDOW ? producer->map << step : 0;
    producer->highest = sequence;
    while (producer->count > 0 &&
           sequence - producer->entry[producer->count - 1].sequence >= DEDUPE_WINDOW)
        remove_entry (self, producer, &producer->entry[producer->count - 1]);
}

/* Removes the producers created at `created` or before, and refuses all that are as old as any of
 * them from then on: one that is forgotten must not be taken for a new one, whatever the next
 * owner's clock says. */
static void remove_created_until (dedupe_t *self, uint64_t created)
{
    dedupe_producer_t **old = self->slot;
    size_t old_slots = self->slots;
    self->slot = mem_zero (old_slots, sizeof *self->slot);
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i] != NULL && old[i]->id.created <= created) {
            if (old[i]->id.created > self->floor)
                self->floor = old[i]->id.created;
            free_producer (self, old[i]);
        } else if (old[i] != NULL) {
            self->slot[slot_of (self, old[i]->id)] = old[i];
        }
    }
    mem_free (old);
}

static int compare_times (const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* Evicts the oldest sixteenth by creation. */
static void evict (dedupe_t *self)
{
    uint64_t *created = mem_alloc (self->producers * sizeof *created);
    size_t count = 0;
    for (size_t i = 0; i < self->slots; i++)
        if (self->slot[i] != NULL)
            created[count++] = self->slot[i]->id.created;
    qsort (created, count, sizeof *created, compare_times);
    remove_created_until (self, created[count / 16]);
    mem_free (created);
}

void dedupe_record (dedupe_t *self, text_t producer_id, uint64_t sequence,
                    const dedupe_outcome_t *outcome)
{
    CHECK_OBJECT (self, DEDUPE_MAGIC);
    dedupe_id_t id = dedupe_id_of (producer_id);
    if (id.created <= self->floor)
        return;
    dedupe_producer_t *producer = dedupe_find (self, id);
    if (producer == NULL && self->producers >= DEDUPE_PRODUCERS_MAX) {
        evict (self);
        if (id.created <= self->floor)
            return;
    }
    if (producer == NULL) {
        producer = dedupe_add (self, id);
        producer->highest = sequence;
    }
    if (sequence > producer->highest)
        advance (self, producer, sequence);
    uint64_t below = producer->highest - sequence;
    if (below >= DEDUPE_WINDOW || (producer->map >> below & 1) != 0)
        return;
    producer->map |= UINT64_C (1) << below;
    dedupe_insert (self, producer, sequence, outcome);
    dedupe_note_age (self, id, sequence, outcome->offset);
    forget_oldest (self);
}

/* ---- lifetime ---- */

dedupe_t *dedupe_new (void)
{
    dedupe_t *self = mem_zero (1, sizeof *self);
    self->magic = DEDUPE_MAGIC;
    return self;
}

void dedupe_clear (dedupe_t *self)
{
    for (size_t i = 0; i < self->slots; i++)
        if (self->slot[i] != NULL)
            free_producer (self, self->slot[i]);
    mem_free (self->slot);
    mem_free (self->age);
    *self = (dedupe_t){ .magic = self->magic };
}

void dedupe_destroy (dedupe_t **self_p)
{
    dedupe_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, DEDUPE_MAGIC);
    dedupe_clear (self);
    self->magic = 0;
    mem_free (self);
}

void dedupe_expire (dedupe_t *self, int64_t now)
{
    CHECK_OBJECT (self, DEDUPE_MAGIC);
    if (now >= DEDUPE_AGE && self->slots > 0)
        remove_created_until (self, (uint64_t)(now - DEDUPE_AGE));
}

size_t dedupe_producers (const dedupe_t *self)
{
    CHECK_OBJECT (self, DEDUPE_MAGIC);
    return self->producers;
}

/* Entries of a producer double; small allocations have a header each. */
size_t dedupe_memory (const dedupe_t *self)
{
    CHECK_OBJECT (self, DEDUPE_MAGIC);
    const size_t header = 2 * sizeof (size_t);
    return sizeof *self + self->slots * sizeof *self->slot +
           self->producers * (sizeof (dedupe_producer_t) + header) +
           self->outcomes * (2 * sizeof (dedupe_entry_t)) + 2 * self->details_size +
           self->ages_capacity * sizeof *self->age;
}
