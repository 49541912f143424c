/* A task that takes much longer than others of its kind is given to a second worker, too. Which of
 * the two is first counts (docs/coordination.md, Tasks). */
#include "coordinator/state.h"

#include <stdlib.h>
#include <string.h>

/* Units of size for which paces are told: so that they are whole numbers. */
#define PACE_UNITS UINT64_C (1000000)

void straggler_pace (coordinator_core_t *self, const task_t *task, const attempt_t *attempt)
{
    pace_t *pace = &self->paces[task_kind (task)];
    uint64_t time = (uint64_t)(core_now (self) - attempt->given);
    if (task->size == 0 || time > UINT64_MAX / PACE_UNITS)
        return;
    pace->kept[pace->count++ % PACES_KEPT] = time * PACE_UNITS / task->size;
}

static int compare (const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

/* The median of what tasks of the kind took; UINT64_MAX while there are too few. */
static uint64_t median (const pace_t *self)
{
    uint64_t sorted[PACES_KEPT];
    size_t count = self->count < PACES_KEPT ? self->count : PACES_KEPT;
    if (count < PACES_LEAST)
        return UINT64_MAX;
    memcpy (sorted, self->kept, count * sizeof *sorted);
    qsort (sorted, count, sizeof *sorted, compare);
    return sorted[count / 2];
}

static bool is_slow (const coordinator_core_t *self, const task_t *task)
{
    uint64_t usual = median (&self->paces[task_kind (task)]);
    uint64_t most;
    if (task->attempts_count != 1 || task->size == 0 || usual == UINT64_MAX)
        return false;
    const attempt_t *attempt = &task->attempts[0];
    if (task->copied != 0 && attempt->number == task->last)
        return false; /* it is the copy: what it was made of failed, and so may this, which counts
                       */
    int64_t time = core_now (self) - attempt->given;
    if (task->copied != 0 && time < COPY_AGAIN * (task->copied - attempt->given))
        return false; /* a copy failed, or was lost, which it may be again */
    if (time < SLOW_LEAST || __builtin_mul_overflow (usual, task->size, &most))
        return false;
    return (uint64_t)time / SLOW_TIMES > most / PACE_UNITS;
}

/* A live batch worker that has nothing to do, and where the task did not fail last if there is
 * such a one; NULL. */
static node_t *idle (const coordinator_core_t *self, const task_t *task)
{
    node_t *avoided = NULL;
    for (size_t i = 0; i < self->nodes_count; i++) {
        node_t *node = self->nodes[i];
        if (node->role != ROLE_BATCH || !node_alive (self, node) || node->given_up > 0 ||
            tasks_given (self, node, false) > 0 ||
            (task_is_aside (task) && tasks_given (self, node, true) > 0))
            continue;
        if (!task->avoid || strcmp (task->avoid, node->name) != 0)
            return node;
        avoided = node;
    }
    return avoided;
}

void stragglers_settle (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->tasks_count; i++) {
        task_t *task = self->tasks[i];
        if (!is_slow (self, task))
            continue;
        node_t *node = idle (self, task);
        if (!node && task_is_aside (task))
            continue; /* what others wait for may have one */
        if (!node)
            return;
        env_log (self->env, LOG_INFO, "task %" PRIu64 " is slow at %s: %s gets it, too", task->id,
                 task->attempts[0].node, node->name);
        task_give (self, task, node);
        task->copied = core_now (self);
        self->tasks_copied++;
    }
}
