/* What a view ought to say, by plain evaluation over all events. */
#include "tests/unit/batch-worker/worker.h"

#include "batchview/batchview.h"

#include <criterion/criterion.h>
#include <inttypes.h>

static void check (status_t status, const error_t *error)
{
    cr_assert_eq (status, STATUS_OK, "%s", error->text);
}

static plan_t *plan_of (const char *view)
{
    definition_file_t files[] = { { "pay", text_of (WORKER_STREAM) },
                                  { "spend", text_of (WORKER_SPEND) },
                                  { "large", text_of (WORKER_LARGE) } };
    static definitions_t *definitions; /* plans are compared by their hash; one copy will do */
    error_t error;
    if (definitions == NULL)
        check (definitions_read (files, 3, &definitions, &error), &error);
    view_t copy = *definitions_view (definitions, text_of (view));
    copy.version = 3;
    return plan_new (&copy);
}

static void encode (const answer_t *answer, buf_t *out)
{
    buf_clear (out);
    answer_encode (answer, out);
}

static void expect_answer (batchview_t *view, const batchview_binding_t *binding,
                           const projection_t *rows, text_t key, int64_t as_of, const plan_t *plan)
{
    answer_t *found = answer_new (plan);
    answer_t *expected = answer_new (plan);
    buf_t a, b;
    error_t error;
    bool exact;
    buf_init (&a, ANSWER_ENCODED_MAX);
    buf_init (&b, ANSWER_ENCODED_MAX);
    check (batchview_merge (view, binding, key, as_of, found, &exact, &error), &error);
    cr_assert (exact, "as of clock %+" PRId64, as_of - CLOCK);
    for (size_t r = 0; r < rows->rows; r++)
        if (text_equal (rows->key[r], key))
            answer_add_row (expected, as_of, rows, r);
    encode (found, &a);
    encode (expected, &b);
    cr_assert_eq (a.size, b.size);
    cr_assert_arr_eq (a.data, b.data, a.size);
    buf_release (&a);
    buf_release (&b);
    answer_destroy (&found);
    answer_destroy (&expected);
}

static batch_t covered (worker_t *self, uint32_t partition, uint64_t cut, int excluded_load)
{
    const event_t **events = arena_zero (self->arena, self->events_count + 1, sizeof (event_t *));
    size_t count = 0;
    for (size_t i = 0; i < self->events_count; i++) {
        const event_t *event = &self->events[i];
        if (event->partition == partition && event->offset < cut &&
            (event->load < 0 || event->load != excluded_load))
            events[count++] = event;
    }
    return worker_batch (self, events, count);
}

void worker_expect_view (worker_t *self, const struct output_view *output, uint32_t partition,
                         uint64_t cut, int64_t clock, int excluded_load)
{
    error_t error;
    batchview_t *view;
    plan_t *plan = plan_of (output->view);
    batch_t batch = covered (self, partition, cut, excluded_load);
    projection_t rows = plan_project (plan, &batch, self->arena);
    check (batchview_open (self->fs, output->path, &view, &error), &error);
    const batchview_info_t *info = batchview_info (view);
    cr_expect_eq (info->events, rows.rows, "%s: %" PRIu64 " %zu", output->path, info->events,
                  rows.rows);
    cr_expect_eq (info->cut, cut);
    cr_expect_eq (info->plan_hash, plan->hash);
    cr_expect_eq (output->plan, plan->hash);
    int64_t latest = INT64_MIN;
    for (size_t r = 0; r < batch.rows; r++)
        if (batch.event_time[r] <= clock && batch.event_time[r] > latest)
            latest = batch.event_time[r];
    cr_expect_eq (info->latest, latest);
    batchview_binding_t *binding = batchview_bind (view, plan);
    for (int user = 0; user <= WORKER_USERS; user++) {
        const event_t someone = { .user = user };
        const event_t *one = &someone;
        batch_t named = worker_batch (self, &one, 1);
        int64_t as_ofs[] = { clock, clock + TIME_MINUTE, clock + 3 * TIME_MINUTE, clock + TIME_HOUR,
                             clock + 10 * TIME_HOUR };
        for (size_t i = 0; i < sizeof as_ofs / sizeof *as_ofs; i++)
            expect_answer (view, binding, &rows, named.key[0], as_ofs[i], plan);
    }
    batchview_binding_destroy (&binding);
    batchview_unref (&view);
    plan_destroy (&plan);
}
