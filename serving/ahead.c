/* Batch parts that are merged while owners are at work, of the queries that were begun first. Not
 * of all: what goes far ahead of its owner has left the processor's cache when the owner answers.
 * The others are merged when theirs do; or here after a while, so that a silent owner leaves
 * neither histories unread nor all of it for the deadline. */
#include "serving/node.h"

#define PATIENCE (50 * TIME_MS) /* or half of what is left until the deadline */

static query_t *waiting_at (serving_core_t *self, size_t at)
{
    return query_find (self->queries, self->ahead[(self->ahead_first + at) % AHEAD_MAX].query);
}

/* Keeps those that are still under way, which are at most half of what there is room for. */
static void drop_ended (serving_core_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->ahead_count; i++)
        if (waiting_at (self, i))
            self->ahead[(self->ahead_first + kept++) % AHEAD_MAX] =
                self->ahead[(self->ahead_first + i) % AHEAD_MAX];
    self->ahead_count = kept;
}

void ahead_add (serving_core_t *self, query_t *query, int64_t now)
{
    if (query->goes_ahead)
        return;
    if (self->ahead_count == AHEAD_MAX)
        drop_ended (self);
    CHECK (self->ahead_count < AHEAD_MAX);
    int64_t wait = (query->deadline - now) / 2;
    query->goes_ahead = true;
    self->ahead[(self->ahead_first + self->ahead_count++) % AHEAD_MAX] =
        (ahead_t){ query->id, now + (wait < PATIENCE ? wait : PATIENCE) };
}

query_t *ahead_take (serving_core_t *self, int64_t now, int64_t *next)
{
    while (self->ahead_count > 0) {
        const ahead_t *first = &self->ahead[self->ahead_first];
        query_t *query = waiting_at (self, 0);
        if (query && now < first->due && query_memory (self->queries) >= AHEAD_MEMORY) {
            *next = first->due < *next ? first->due : *next;
            return NULL;
        }
        self->ahead_first = (self->ahead_first + 1) % AHEAD_MAX;
        self->ahead_count--;
        if (!query)
            continue;
        query->goes_ahead = false;
        return query;
    }
    return NULL;
}
