/* Roles of a service that read one partition of a log stand at one position of it, and all that
 * read the log on one dataset, or its answer would be of no moment. Their questions go to an owner
 * in one message, which it answers at once; but each may have to be asked again for reasons of its
 * own. */
#include "serving/node.h"

#include <stdio.h>
#include <stdlib.h>

/* One that was answered. */
typedef struct done {
    query_part_t *part;
    const char *log_name;
} done_t;

/* By log, then by partition. */
static int compare_places (const void *left, const void *right)
{
    const done_t *a = left, *b = right;
    int order = strcmp (a->log_name, b->log_name);
    return order != 0 ? order
                      : (a->part->partition > b->part->partition) -
                            (a->part->partition < b->part->partition);
}

/* Of those of one log. */
static uint64_t newest_dataset (const done_t *parts, size_t count)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < count; i++)
        if (parts[i].part->dataset->number > newest)
            newest = parts[i].part->dataset->number;
    return newest;
}

/* Those of one partition. */
static bool agree (const done_t *parts, size_t count, uint64_t dataset)
{
    for (size_t i = 0; i < count; i++)
        if (parts[i].part->dataset->number != dataset ||
            parts[i].part->position != parts[0].part->position)
            return false;
    return true;
}

/* All of them anew, with the dataset of then, in one round. */
static void ask_again (serving_core_t *self, const query_t *query, const done_t *parts,
                       size_t count)
{
    int64_t again = self->env->boot_us (self->env) + BACKOFF_FIRST;
    for (size_t i = 0; i < count; i++) {
        query_part_t *part = parts[i].part;
        part->state = PART_AGAIN;
        part->again = again;
        part->begun = false;
        part->since = query->round + 1; /* an answer that is under way would count twice */
        snprintf (part->reason, sizeof part->reason,
                  "its owner was not asked by all roles at one position before the deadline");
    }
    self->metrics.retries++;
    member_beat_soon (self->member); /* whatever is new, the orders tell */
}

/* How many from `from` on are of its log; of its partition, too. */
static size_t count_alike (const done_t *parts, size_t count, size_t from, bool partition)
{
    size_t to = from + 1;
    while (to < count && strcmp (parts[from].log_name, parts[to].log_name) == 0 &&
           (!partition || parts[from].part->partition == parts[to].part->partition))
        to++;
    return to - from;
}

/* Those of one log. */
static bool agree_on_log (serving_core_t *self, const query_t *query, const done_t *parts,
                          size_t count)
{
    uint64_t dataset = newest_dataset (parts, count);
    bool all = true;
    for (size_t from = 0, alike; from < count; from += alike) {
        alike = count_alike (parts, count, from, true);
        if (agree (parts + from, alike, dataset))
            continue;
        ask_again (self, query, parts + from, alike);
        all = false;
    }
    return all;
}

bool agree_or_ask (serving_core_t *self, query_t *query)
{
    bool all = true;
    size_t count = 0;
    if (query->target.roles_count < 2)
        return true;
    done_t *done = mem_zero (query->parts_count, sizeof *done);
    for (size_t i = 0; i < query->parts_count; i++)
        if (query->parts[i].state == PART_DONE)
            done[count++] =
                (done_t){ &query->parts[i], query_plan_of (query, &query->parts[i])->log_name };
    if (count > 0)
        qsort (done, count, sizeof *done, compare_places);
    for (size_t from = 0, alike; from < count; from += alike) {
        alike = count_alike (done, count, from, false);
        all = agree_on_log (self, query, done + from, alike) && all;
    }
    mem_free (done);
    return all;
}
