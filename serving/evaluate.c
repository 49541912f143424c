/* How a query gets its answer: per partition the batch part from the mapped files (or, where they
 * are not exact, from history), and the rest from the partition's owner, asked with the cut of
 * those same files. */
#include "serving/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BACKOFF_MAX    (100 * TIME_MS)
#define OWNER_PATIENCE (250 * TIME_MS) /* without an answer, the owner is asked again */

/* ---- the batch part ---- */

/* The part that waits for this job; NULL: answered without it, or begun again. */
static query_part_t *part_waiting (serving_core_t *self, const history_job_t *job)
{
    query_t *query = query_find (self->queries, job->query);
    query_part_t *part = query ? &query->parts[job->part] : NULL;
    return part && part->since == job->since && part->slow ? part : NULL;
}

/* The next one that waits, of another client than the one before if there is: who asks for much
 * history does not hold up who asks for a little. */
static history_job_t *take_slow (serving_core_t *self)
{
    history_job_t **at = &self->slow_first;
    while (*at && peer_same_connection (&(*at)->from, &self->slow_from))
        at = &(*at)->next;
    if (!*at)
        at = &self->slow_first;
    history_job_t *job = *at;
    *at = job->next;
    if (!job->next)
        self->slow_last = at;
    self->slow_from = job->from;
    return job;
}

static void start_slow (serving_core_t *self)
{
    while (self->slow_first && self->slow_running < self->options.slow_max) {
        history_job_t *job = take_slow (self);
        if (!part_waiting (self, job)) {
            history_job_destroy (&job);
            continue;
        }
        self->slow_running++;
        job->job.lane = 1 + self->slow_started++ % self->options.slow_max; /* 0 opens datasets */
        self->env->submit (self->env, &job->job);
    }
}

static void queue_slow (serving_core_t *self, query_t *query, query_part_t *part,
                        const history_key_t *keys, size_t count)
{
    history_job_t *job = history_job_new (query->model, query_plan_of (query, part), part->dataset,
                                          part->partition, keys, count);
    job->query = query->id;
    job->from = query->from;
    job->answers.max = self->options.node_memory / (self->options.slow_max + 1);
    job->part = (size_t)(part - query->parts);
    job->since = part->since;
    job->next = NULL;
    *self->slow_last = job;
    self->slow_last = &job->next;
    part->slow = true;
    self->metrics.slow_keys += count;
}

/* The files of a view that cover a part, and how they are read: one a layer. */
typedef struct view_files {
    const batchview_t *file[DATASET_LAYERS_MAX];
    batchview_binding_t *binding[DATASET_LAYERS_MAX];
    size_t count; /* 0: the part cannot be answered from files */
} view_files_t;

/* False, with nothing in the answer, when some file cannot tell. */
static bool from_files (serving_core_t *self, dataset_t *dataset, const view_files_t *files,
                        const query_key_t *key, answer_t *answer)
{
    bool exact = files->count > 0;
    for (size_t i = 0; i < files->count && exact; i++) {
        error_t error;
        if (batchview_merge (files->file[i], files->binding[i], key->key, key->as_of, answer,
                             &exact, &error) == STATUS_OK)
            continue;
        env_log (self->env, LOG_ERROR, "a batch view of %s, answered from history instead: %s",
                 batchview_info (files->file[i])->view, error.text);
        logs_give_up (self, dataset, files->file[i], error.text);
        exact = false;
    }
    if (!exact)
        answer_reset (answer);
    return exact;
}

/* The cells that the answer is made of. Those of other features of the view may not be in its file
 * yet, or not exact, and that need not matter. */
static const bool *cells_asked (const query_t *query, const query_role_t *role)
{
    bool *asked = arena_zero (query->arena, role->plan->cells_count, sizeof *asked);
    outcome_task_cells (role->task, asked);
    return asked;
}

static void open_files (const query_t *query, const query_part_t *part, view_files_t *files)
{
    const query_role_t *role = query_role_of (query, part);
    const plan_t *plan = query_plan_of (query, part);
    files->count = dataset_view (&part->dataset->parts[part->partition], text_of (role->view->name),
                                 plan->version, files->file);
    const bool *asked = files->count > 0 ? cells_asked (query, role) : NULL;
    for (size_t i = 0; i < files->count; i++)
        files->binding[i] = batchview_bind_cells (files->file[i], plan, asked);
}

static void close_files (view_files_t *files)
{
    for (size_t i = 0; i < files->count; i++)
        batchview_binding_destroy (&files->binding[i]);
}

enum { FETCHED = 32 }; /* keys */

/* What the next keys of a part have in all files waits for memory together, not one after the
 * other. Returns the key behind them. */
static uint32_t fetch_keys (const query_t *query, const view_files_t *files, uint32_t first)
{
    uint64_t hash[FETCHED];
    size_t count = 0;
    for (; first != UINT32_MAX && count < FETCHED; first = query->keys[first].next) {
        hash[count] = key_hash (query->keys[first].key);
        for (size_t i = 0; i < files->count; i++)
            batchview_fetch_index (files->file[i], hash[count]);
        count++;
    }
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < files->count; i++)
            batchview_fetch_record (files->file[i], hash[k]);
    return first;
}

static void merge_batch (serving_core_t *self, query_t *query, query_part_t *part)
{
    const dataset_part_t *data = &part->dataset->parts[part->partition];
    view_files_t files;
    open_files (query, part, &files);
    history_key_t *slow = arena_alloc (query->arena, part->keys_count * sizeof *slow);
    size_t slow_count = 0;
    uint32_t fetched = part->first;
    for (uint32_t i = part->first; i != UINT32_MAX && !query->too_large; i = query->keys[i].next) {
        if (i == fetched)
            fetched = fetch_keys (query, &files, i);
        query_key_t *key = &query->keys[i];
        answer_t *answer = query_empty_answer (query, key, part->source);
        key->lost &= ~(UINT32_C (1) << part->source);
        if (query->want_batch && data->runs_count > 0 &&
            !from_files (self, part->dataset, &files, key, answer))
            slow[slow_count++] =
                (history_key_t){ .key = key->key, .as_of = key->as_of, .place = i };
        query_measure (query, key, self->options.query_memory);
    }
    close_files (&files);
    if (slow_count > 0 && !query->too_large)
        queue_slow (self, query, part, slow, slow_count);
}

static void merge_once (serving_core_t *self, query_t *query, query_part_t *part)
{
    if (!part->begun || part->merged || query->too_large)
        return;
    part->merged = true;
    merge_batch (self, query, part);
}

static void merge_all (serving_core_t *self, query_t *query)
{
    for (size_t i = 0; i < query->parts_count; i++)
        merge_once (self, query, &query->parts[i]);
}

static void finish_if_done (serving_core_t *self, query_t *query)
{
    bool done = true; /* those that are must agree, also when others are still away */
    for (size_t i = 0; i < query->parts_count && !query->too_large; i++) {
        query_part_t *part = &query->parts[i];
        if (part->state >= PART_DONE)
            merge_once (self, query, part);
        done = done && part->state >= PART_DONE && !part->slow;
    }
    if (query->too_large || (agree_or_ask (self, query) && done))
        reply_send (self, query);
}

/* Begins a part anew with `dataset`; what its owner was asked before is void. */
static void begin_part (serving_core_t *self, query_t *query, query_part_t *part,
                        dataset_t *dataset, uint64_t since)
{
    dataset_ref (dataset);
    dataset_unref (&part->dataset);
    part->dataset = dataset;
    part->since = since;
    part->begun = true;
    part->merged = false;
    part->filling =
        logs_filling (self, &query_role_of (query, part)->view->sources[part->source], dataset);
    part->slow = false;
    part->slow_failed = false;
    part->lost = false;
}

static void slow_done (serving_core_t *self, history_job_t *job)
{
    query_part_t *part = part_waiting (self, job);
    if (!part)
        return;
    query_t *query = query_find (self->queries, job->query);
    part->slow = false;
    reader_t reader = reader_of (job->answers.data, job->answers.size);
    for (size_t i = 0; i < job->count && job->status == STATUS_OK && !query->too_large; i++) {
        query_key_t *key = &query->keys[job->keys[i].place];
        job->status = answer_merge (key->answers[part->source], &reader, &job->error);
        query_measure (query, key, self->options.query_memory);
    }
    for (size_t i = 0; i < job->count; i++)
        if (job->lost[i])
            query->keys[job->keys[i].place].lost |= UINT32_C (1) << part->source;
    if (job->lost_count > 0) {
        part->lost = true;
        snprintf (part->reason, sizeof part->reason, "history cannot be read: %.200s",
                  job->error.text);
    }
    if (job->status != STATUS_OK) {
        part->slow_failed = true;
        snprintf (part->reason, sizeof part->reason, "history cannot be read: %.200s",
                  job->error.text);
        env_log (self->env, LOG_ERROR, "%s", job->error.text);
    }
    finish_if_done (self, query);
}

void evaluate_job_done (serving_core_t *self, job_t *job)
{
    history_job_t *slow = (history_job_t *)job;
    self->slow_running--;
    if (slow->lost_count > 0) {
        env_log (self->env, LOG_ERROR, "%zu of %zu keys cannot be answered from history: %s",
                 slow->lost_count, slow->count, slow->error.text);
        dataset_blame (slow->dataset, slow->partition, slow->lost_run, slow->error.text);
        member_beat_soon (self->member);
    }
    slow_done (self, slow);
    history_job_destroy (&slow);
    start_slow (self);
}

/* ---- the owner's part ---- */

static void again_later (serving_core_t *self, query_part_t *part, int64_t now, const char *reason)
{
    part->state = PART_AGAIN;
    part->again = now + part->backoff;
    part->backoff = part->backoff * 2 < BACKOFF_MAX ? part->backoff * 2 : BACKOFF_MAX;
    snprintf (part->reason, sizeof part->reason, "%s", reason);
    self->metrics.retries++;
    member_beat_soon (self->member); /* whatever is new, the orders tell */
}

/* What the owner said instead of an answer. */
static void take_refusal (serving_core_t *self, query_part_t *part, text_t status,
                          const char *reason)
{
    if (!text_is (status, status_word (STATUS_TOO_LARGE))) {
        again_later (self, part, self->env->boot_us (self->env), reason);
        return;
    }
    part->state = PART_REFUSED;
    snprintf (part->reason, sizeof part->reason, "%s", reason);
}

/* Starts those parts for which asking[i] is true. A batch part that was begun with the dataset in
 * use stays, and only the owner is asked again. */
static void start_parts (serving_core_t *self, query_t *query, bool *asking)
{
    int64_t now = self->env->boot_us (self->env);
    query->round++;
    for (size_t i = 0; i < query->parts_count; i++) {
        query_part_t *part = &query->parts[i];
        if (!asking[i])
            continue;
        const char *log_name = query_plan_of (query, part)->log_name;
        dataset_t *dataset = logs_dataset (self, log_name);
        if (!part->begun || part->dataset != dataset)
            begin_part (self, query, part, dataset, query->round);
        if (!logs_current (self, log_name)) {
            again_later (self, part, now, "this serving node has no lease, or no new dataset yet");
            asking[i] = false;
        } else if (!query->want_realtime) {
            part->position = part->dataset->parts[part->partition].cut;
            part->state = PART_DONE;
            asking[i] = false;
        } else if (routes_owner (self->routes, part->partition)->size == 0) {
            again_later (self, part, now, "nobody owns the partition");
            asking[i] = false;
        } else {
            part->state = PART_ASKED;
            part->asked = now;
            part->round = query->round;
        }
    }
    /* what several roles or logs ask of an owner goes in one message: it is answered at once */
    const query_target_t *target = &query->target;
    self->asks_together =
        target->roles_count > 1 || (target->roles_count == 1 && target->roles->plans_count > 1);
    for (size_t i = 0; i < query->parts_count && !query->too_large; i++) {
        if (asking[i])
            asks_add (self, query, i, asking);
    }
    self->asks_together = false;
    ahead_add (self, query, now);
    start_slow (self);
    finish_if_done (self, query); /* asked for the batch part alone, it may be done already */
}

/* The query under another model: all of it, or nothing. False when a feature is gone, or when it is
 * not what was asked for any more: another version than the one named, keys of other fields. */
static bool resolve_again (query_t *query, model_t *model)
{
    query_target_t target;
    error_t error;
    if (target_bind (query, model, &target, &error) != STATUS_OK ||
        !target_same (&query->target, &target))
        return false;
    for (size_t r = 0; r < target.roles_count; r++) {
        target.roles[r].parts_first = query->target.roles[r].parts_first;
        target.roles[r].parts_each = query->target.roles[r].parts_each;
    }
    query->target = target;
    for (size_t i = 0; i < query->keys_count; i++)
        query_drop_answers (query, &query->keys[i]);
    model_ref (model);
    model_unref (&query->model);
    query->model = model;
    return true;
}

void evaluate_start (serving_core_t *self, query_t *query)
{
    bool *asking = arena_zero (query->arena, query->parts_count, sizeof *asking);
    for (size_t i = 0; i < query->parts_count; i++) {
        asking[i] = true;
        query->parts[i].begun = false;
        query->parts[i].backoff = BACKOFF_FIRST;
    }
    start_parts (self, query, asking);
}

static query_part_t *find_part (query_t *query, uint32_t role, text_t log, uint64_t partition)
{
    for (size_t i = 0; i < query->parts_count; i++) {
        query_part_t *part = &query->parts[i];
        if (part->role == role && part->partition == partition &&
            text_is (log, query_plan_of (query, part)->log_name))
            return part;
    }
    return NULL;
}

static void take_part (serving_core_t *self, query_t *query, const asked_t *asked, text_t log,
                       const wire_value_t *answered)
{
    uint64_t round = asked->round;
    query_part_t *part =
        find_part (query, asked->role, log, wire_uint (answered, "partition", UINT64_MAX));
    if (!part || round < part->since || part->state == PART_DONE || query->too_large)
        return; /* an answer that is late is as good as that which was waited for */
    text_t word = wire_text (answered, "status");
    if (!text_is (word, status_word (STATUS_OK))) {
        char reason[QUERY_REASON_MAX];
        wire_copy (answered, "reason", reason, sizeof reason);
        if (part->state == PART_ASKED && part->round == round)
            take_refusal (self, part, word, reason);
        return;
    }
    merge_once (self, query, part);
    if (query->too_large)
        return;
    text_t answers = wire_text (answered, "answers");
    reader_t reader = reader_of (answers.data, answers.size);
    status_t status = STATUS_OK;
    error_t error;
    for (uint32_t i = part->first; i != UINT32_MAX && status == STATUS_OK;
         i = query->keys[i].next) {
        status = answer_merge (query->keys[i].answers[part->source], &reader, &error);
        query_measure (query, &query->keys[i], self->options.query_memory);
        if (query->too_large)
            return;
    }
    if (status == STATUS_OK && reader_left (&reader) > 0)
        status = error_set (&error, STATUS_CORRUPT, "more answers than keys");
    if (status != STATUS_OK) {
        env_log (self->env, LOG_ERROR, "the owner's answer is damaged: %s", error.text);
        /* some of it is merged; a round of its own keeps its history apart from the next one's */
        begin_part (self, query, part, part->dataset, ++query->round);
        again_later (self, part, self->env->boot_us (self->env), "the owner's answer was damaged");
        return;
    }
    part->position = wire_uint (answered, "position", 0);
    part->state = PART_DONE;
}

/* Parts that were asked for with a message that was refused as a whole. */
typedef struct refused {
    serving_core_t *self;
    const message_t *error;
} refused_t;

static void refuse_asked (void *arg, query_t *query)
{
    refused_t *refused = arg;
    char reason[QUERY_REASON_MAX];
    bool any = false;
    wire_copy (refused->error->body, "text", reason, sizeof reason);
    for (size_t i = 0; i < query->parts_count; i++) {
        query_part_t *part = &query->parts[i];
        if (part->state != PART_ASKED || part->message != refused->error->id)
            continue;
        take_refusal (refused->self, part, wire_text (refused->error->body, "status"), reason);
        any = true;
    }
    if (any)
        finish_if_done (refused->self, query);
}

static void take_answer (serving_core_t *self, const wire_value_t *answer)
{
    asked_t asked;
    query_t *query = asks_query (self, wire_uint (answer, "id", 0), &asked);
    if (!query)
        return;
    wire_list_t parts = wire_list (answer, "parts");
    for (uint32_t i = 0; i < parts.count; i++)
        take_part (self, query, &asked, wire_text (answer, "log"), &parts.items[i]);
    finish_if_done (self, query);
}

bool evaluate_receive (serving_core_t *self, const message_t *message)
{
    refused_t refused = { self, message };
    if (message->kind == MESSAGE_ERROR)
        query_each (self->queries, refuse_asked, &refused);
    if (message->kind != MESSAGE_QUERY_OK)
        return message->kind == MESSAGE_ERROR;
    wire_list_t answers = wire_list (message->body, "answers");
    for (uint32_t i = 0; i < answers.count; i++)
        take_answer (self, &answers.items[i]);
    start_slow (self);
    return true;
}

/* ---- time ---- */

typedef struct due {
    serving_core_t *self;
    int64_t now;
    int64_t next;
} due_t;

static void sooner (due_t *due, int64_t time)
{
    if (time < due->next)
        due->next = time;
}

static bool any_due (due_t *due, query_t *query, bool *asking)
{
    bool any = false;
    for (size_t i = 0; i < query->parts_count; i++) {
        query_part_t *part = &query->parts[i];
        if (part->state == PART_ASKED && due->now - part->asked >= OWNER_PATIENCE)
            again_later (due->self, part, due->now, "its owner does not answer");
        asking[i] = part->state == PART_AGAIN && part->again <= due->now;
        any = any || asking[i];
        if (part->state == PART_AGAIN && !asking[i])
            sooner (due, part->again);
        if (part->state == PART_ASKED)
            sooner (due, part->asked + OWNER_PATIENCE);
    }
    return any;
}

static void look (void *arg, query_t *query)
{
    due_t *due = arg;
    serving_core_t *self = due->self;
    if (due->now >= query->deadline) {
        if (!query->waits)
            merge_all (self, query);
        reply_send (self, query);
        return;
    }
    sooner (due, query->deadline);
    if (query->waits)
        return;
    bool *again = mem_zero (query->parts_count, sizeof *again);
    if (any_due (due, query, again)) {
        model_t *model = member_model (self->member);
        bool same = model == query->model;
        if (!same && resolve_again (query, model))
            evaluate_start (self, query);
        else
            start_parts (self, query, again);
        sooner (due, due->now + BACKOFF_FIRST);
    }
    mem_free (again);
}

int64_t evaluate_tick (serving_core_t *self, int64_t now)
{
    due_t due = { .self = self, .now = now, .next = INT64_MAX };
    for (query_t *next; (next = query_next (self->queries)) != NULL;)
        evaluate_start (self, next);
    query_each (self->queries, look, &due);
    asks_send (self);
    for (query_t *next; (next = ahead_take (self, now, &due.next)) != NULL;) {
        merge_all (self, next);
        if (next->too_large)
            reply_send (self, next);
    }
    start_slow (self);
    return due.next;
}
