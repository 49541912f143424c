#include "serving/query.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"

enum { ARENA_CHUNK = 16 << 10, SLOT_BITS = 10, GENERATION_BITS = QUERY_ID_BITS - SLOT_BITS };
_Static_assert(1 << SLOT_BITS == QUERIES_MAX, "a slot fits its bits");

struct query_table {
    query_t slots[QUERIES_MAX];
    arena_t *arenas[QUERIES_MAX]; /* kept with their memory from query to query */
    uint32_t order[QUERIES_MAX];  /* every slot once: the used ones first */
    uint32_t place[QUERIES_MAX];  /* of each slot in `order` */
    uint32_t used;
    uint64_t generation;
    size_t memory; /* that the answers of all hold … */
    size_t most;   /* … and may */
    int64_t took;  /* µs, on average of late */
    uint32_t waiting;
};

query_table_t *query_table_new (size_t memory)
{
    query_table_t *self = mem_zero (1, sizeof *self);
    self->most = memory;
    for (uint32_t i = 0; i < QUERIES_MAX; i++)
        self->order[i] = self->place[i] = i;
    return self;
}

void query_table_destroy (query_table_t **self_p)
{
    query_table_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    for (size_t i = 0; i < QUERIES_MAX; i++) {
        if (self->slots[i].id)
            query_free (self, &self->slots[i]);
        arena_destroy (&self->arenas[i]);
    }
    mem_free (self);
}

/* Others get a place however many one client asks for. */
static bool has_its_share (const query_table_t *self, const peer_t *from)
{
    uint32_t count = 0;
    if (self->used < QUERIES_MAX / 2)
        return false;
    for (uint32_t i = 0; i < self->used; i++)
        count += peer_same_connection (&self->slots[self->order[i]].from, from);
    return count >= QUERIES_SHARE;
}

query_t *query_new (query_table_t *self, const peer_t *from, int64_t now)
{
    if (self->used == QUERIES_MAX || self->memory >= self->most || has_its_share (self, from))
        return NULL;
    uint32_t slot = self->order[self->used++];
    query_t *query = &self->slots[slot];
    CHECK (query->id == 0);
    if (!self->arenas[slot])
        self->arenas[slot] = arena_new (ARENA_CHUNK);
    arena_reset (self->arenas[slot]);
    /* after a billion others a number comes again, which none can be confused with any more */
    self->generation = self->generation % ((UINT64_C (1) << GENERATION_BITS) - 1) + 1;
    *query = (query_t){ .id = self->generation << SLOT_BITS | slot, .arena = self->arenas[slot] };
    query->table = self;
    query->from = *from;
    query->begun = now;
    return query;
}

query_t *query_find (query_table_t *self, uint64_t id)
{
    query_t *query = &self->slots[id & (QUERIES_MAX - 1)];
    return id != 0 && query->id == id ? query : NULL;
}

void query_free (query_table_t *self, query_t *query)
{
    CHECK (query->id != 0);
    for (size_t i = 0; i < query->keys_count; i++) {
        query_key_t *key = &query->keys[i];
        if (key->answers)
            query_drop_answers (query, key);
    }
    for (size_t i = 0; i < query->parts_count; i++)
        dataset_unref (&query->parts[i].dataset);
    model_unref (&query->model);
    self->memory -= query->memory;
    self->waiting -= query->waits;
    *query = (query_t){ 0 };
    uint32_t slot = (uint32_t)(query - self->slots);
    if (arena_held (self->arenas[slot]) > QUERY_ARENA_KEPT)
        arena_destroy (&self->arenas[slot]);
    uint32_t last = self->order[--self->used];
    uint32_t place = self->place[slot];
    self->order[place] = last;
    self->place[last] = place;
    self->order[self->used] = slot;
    self->place[slot] = self->used;
}

void query_measure (query_t *query, query_key_t *key, size_t most)
{
    size_t before = key->memory;
    key->memory = 0;
    for (size_t s = 0; s < query->target.roles[key->role].plans_count; s++)
        key->memory += key->answers[s] ? answer_memory (key->answers[s]) : 0;
    query->memory += key->memory - before;
    query_table_t *table = query->table;
    table->memory += key->memory - before;
    query->too_large |= query->memory > most;
    if (table->memory > table->most && !query->too_large) {
        query->too_large = true;
        query->no_room = table->memory > query->memory; /* alone it might have been answered */
    }
}

static uint32_t count_started (const query_table_t *self, const peer_t *from)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->used; i++) {
        const query_t *query = &self->slots[self->order[i]];
        count += !query->waits && peer_same_connection (&query->from, from);
    }
    return count;
}

bool query_must_wait (query_table_t *self, query_t *query)
{
    query->waits = count_started (self, &query->from) > QUERIES_AT_ONCE; /* it is one of them */
    self->waiting += query->waits;
    return query->waits;
}

query_t *query_next (query_table_t *self)
{
    query_t *oldest = NULL;
    const peer_t *busy = NULL; /* a client that has as many as it may */
    if (self->waiting == 0)
        return NULL;
    for (uint32_t i = 0; i < self->used; i++) {
        query_t *query = &self->slots[self->order[i]];
        if (!query->waits || (oldest && oldest->id < query->id) ||
            (busy && peer_same_connection (busy, &query->from)))
            continue;
        if (count_started (self, &query->from) >= QUERIES_AT_ONCE)
            busy = &query->from;
        else
            oldest = query;
    }
    if (oldest) {
        oldest->waits = false;
        self->waiting--;
    }
    return oldest;
}

void query_took (query_table_t *self, const query_t *query, int64_t now)
{
    self->took += (now - query->begun - self->took) / 16;
}

uint32_t query_retry_ms (const query_table_t *self)
{
    int64_t ms = self->took / TIME_MS;
    if (ms < QUERY_RETRY_MIN)
        return QUERY_RETRY_MIN;
    return ms < QUERY_RETRY_MAX ? (uint32_t)ms : QUERY_RETRY_MAX;
}

size_t query_memory (const query_table_t *self)
{
    return self->memory;
}

const query_role_t *query_role_of (const query_t *self, const query_part_t *part)
{
    return &self->target.roles[part->role];
}

const plan_t *query_plan_of (const query_t *self, const query_part_t *part)
{
    return query_role_of (self, part)->plans[part->source];
}

query_key_t *query_key_of (const query_t *self, size_t role, size_t entity)
{
    CHECK (role < self->target.roles_count);
    return &self->keys[role * self->entities_count + entity];
}

query_part_t *query_part_of (const query_t *self, const query_key_t *key, size_t source)
{
    const query_role_t *role = &self->target.roles[key->role];
    CHECK (source < role->plans_count);
    return &self->parts[role->parts_first + source * role->parts_each + key->part];
}

answer_t *query_empty_answer (query_t *self, query_key_t *key, size_t source)
{
    answer_t **answer = &key->answers[source];
    if (*answer)
        answer_reset (*answer);
    else
        *answer = answer_new (self->target.roles[key->role].plans[source]);
    return *answer;
}

void query_drop_answers (query_t *self, query_key_t *key)
{
    for (size_t s = 0; s < self->target.roles[key->role].plans_count; s++)
        answer_destroy (&key->answers[s]);
}

/* Backwards: the place of one that is freed meanwhile goes to one that was seen already. */
void query_each (query_table_t *self, void (*each) (void *arg, query_t *query), void *arg)
{
    for (uint32_t i = self->used; i-- > 0;)
        if (i < self->used)
            each (arg, &self->slots[self->order[i]]);
}

size_t query_count (const query_table_t *self)
{
    return self->used;
}
