#include "tests/unit/serving/house.h"

#include "batchview/batchview.h"
#include "feature/answer.h"
#include "storage/rows.h"
#include "storage/run.h"
#include "storage/sort.h"

#include <stdio.h>

static void start (house_t *self, uint64_t seed)
{
    *self = (house_t){ .definitions = 1, .owners_definitions = 1, .routes = 1, .next_id = 100 };
    self->reported = UINT64_MAX;
    random_seed (&self->random, seed);
    self->disk = sim_disk_new (seed, 0);
    self->writer = wire_writer_new ();
    self->decoder = wire_decoder_new ();
    rig_env_init (&self->rig, sim_disk_fs (self->disk), seed);
    self->options = (serving_options_t){
        .node = "s1",
        .cluster = "town",
        .partitions = PARTITIONS,
        .endpoint = "tcp://s1",
        .coordinator = peer_of_endpoint (COORDINATOR),
        .slow_max = SLOW_MAX,
        .default_deadline = HOUSE_DEADLINE,
    };
}

void house_init_limited (house_t *self, uint64_t seed, size_t query_memory)
{
    start (self, seed);
    self->options.query_memory = query_memory;
    self->core = serving_core_new (&self->rig.env, &self->options);
}

void house_init_sampled (house_t *self, uint64_t seed, double share, uint64_t size, int64_t keep)
{
    start (self, seed);
    self->options.sample = share;
    self->options.sample_size = size;
    self->options.sample_keep = keep;
    self->core = serving_core_new (&self->rig.env, &self->options);
}

static void free_replies (reply_t **list)
{
    while (*list) {
        reply_t *reply = *list;
        *list = reply->next;
        mem_free (reply);
    }
}

void house_release (house_t *self)
{
    serving_core_destroy (&self->core);
    rig_env_release (&self->rig);
    free_replies (&self->replies);
    free_replies (&self->late);
    wire_writer_destroy (&self->writer);
    wire_decoder_destroy (&self->decoder);
    mem_free (self->payments);
    mem_free (self->kept);
    cr_assert_eq (sim_disk_open_files (self->disk), 0);
    sim_disk_destroy (&self->disk);
}

void house_restart (house_t *self)
{
    serving_core_destroy (&self->core);
    rig_env_drop_jobs (&self->rig);
    rig_env_forget (&self->rig);
    free_replies (&self->late);
    self->core = serving_core_new (&self->rig.env, &self->options);
}

/* ---- data ---- */

static payment_t *append (house_t *self)
{
    self->payments = mem_resize (self->payments, self->payments_count + 1, sizeof *self->payments);
    payment_t *payment = &self->payments[self->payments_count++];
    *payment = payments_random (&self->random, self->rig.clock, 7 * TIME_DAY, PARTITIONS);
    if (random_chance (&self->random, 0.5)) /* half of them where the short windows are */
        payment->time = self->rig.clock - (int64_t)random_below (&self->random, TIME_HOUR);
    return payment;
}

void house_add (house_t *self, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        payment_t *payment = append (self);
        payment->offset = self->next_offset[payment->partition]++;
    }
}

const char *house_path (uint64_t manifest, uint32_t partition, const char *kind)
{
    static char path[128];
    snprintf (path, sizeof path, "files/%u/%llu.%s", partition, (unsigned long long)manifest, kind);
    return path;
}

bool house_counts (const house_t *self, uint64_t number, const payment_t *payment)
{
    const manifest_t *manifest = &self->manifest[number];
    return payment->offset != manifest->excluded[payment->partition];
}

/* The partition's events below the cut: those of the load, or the others. */
static payment_t *select_payments (const house_t *self, uint64_t number, uint32_t partition,
                                   bool load, bool excluded_too, size_t *count)
{
    const manifest_t *manifest = &self->manifest[number];
    payment_t *selected = mem_zero (self->payments_count, sizeof *selected);
    *count = 0;
    for (size_t i = 0; i < self->payments_count; i++) {
        const payment_t *payment = &self->payments[i];
        bool of_load = payment->offset == manifest->load_offset[partition];
        if (payment->partition == partition && payment->offset < manifest->cut[partition] &&
            of_load == load && (excluded_too || house_counts (self, number, payment)))
            selected[(*count)++] = *payment;
    }
    return selected;
}

/* The rows in order. Strings are borrowed. */
static batch_t in_order (const batch_t *batch, arena_t *arena)
{
    uint32_t *order = arena_zero (arena, batch->rows, sizeof *order);
    rows_place_t *places = arena_zero (arena, batch->rows, sizeof *places);
    sort_batch (batch, order);
    for (size_t i = 0; i < batch->rows; i++)
        places[i].row = order[i];
    return batch->rows > 0 ? rows_pick (batch, places, batch->rows, arena) : *batch;
}

static void write_run (house_t *self, uint64_t number, uint32_t partition, const model_t *model,
                       bool load)
{
    size_t count;
    error_t error;
    payment_t *payments = select_payments (self, number, partition, load, true, &count);
    arena_t *arena = arena_new (1 << 16);
    for (size_t i = 0; load && i < count; i++)
        payments[i].offset = 0; /* not known when a load's run is written */
    batch_t batch = payments_batch (model, payments, count, arena);
    for (size_t i = 0; load && i < count; i++)
        batch.row[i] = (uint32_t)i;
    batch_t sorted = in_order (&batch, arena);
    run_schema_t schema = { .log = text_of (PAYMENTS_LOG),
                            .fingerprint = model->definitions->streams[0].fingerprint,
                            .partition = partition,
                            .partitions = PARTITIONS,
                            .types = model->plans[0]->column_types,
                            .columns = model->plans[0]->columns };
    run_writer_t *writer;
    status_t status =
        run_writer_new (self->rig.env.fs, house_path (number, partition, load ? "load" : "run"),
                        &schema, &writer, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    status = run_writer_add (writer, &sorted, 0, count, &error);
    if (status == STATUS_OK)
        status = run_writer_finish (writer, NULL, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    run_writer_destroy (&writer);
    mem_free (payments);
    arena_destroy (&arena);
}

static batch_t sorted_batch (const house_t *self, uint64_t number, uint32_t partition,
                             const model_t *model, arena_t *arena)
{
    size_t events;
    size_t loaded;
    payment_t *first = select_payments (self, number, partition, false, false, &events);
    payment_t *second = select_payments (self, number, partition, true, false, &loaded);
    payment_t *both = arena_zero (arena, events + loaded, sizeof *both);
    memcpy (both, first, events * sizeof *both);
    memcpy (both + events, second, loaded * sizeof *both);
    batch_t batch = payments_batch (model, both, events + loaded, arena);
    for (size_t i = 0; i < loaded; i++)
        batch.row[events + i] = (uint32_t)i;
    mem_free (first);
    mem_free (second);
    return in_order (&batch, arena);
}

/* Of rows that are in the delta, or of the others. */
static void write_view (house_t *self, uint64_t number, uint32_t partition, const model_t *model,
                        bool delta)
{
    const manifest_t *manifest = &self->manifest[number];
    uint64_t from = manifest->delta_from[partition];
    const plan_t *plan = model_plan (model, text_of ("spend"), 0);
    arena_t *arena = arena_new (1 << 16);
    batch_t batch = sorted_batch (self, number, partition, model, arena);
    projection_t rows = plan_project (plan, &batch, arena);
    batchview_info_t info = { .view = "spend",
                              .version = plan->version,
                              .partition = partition,
                              .partitions = PARTITIONS,
                              .cut = from > 0 && !delta ? from : manifest->cut[partition],
                              .clock_at_cut = manifest->clock,
                              .latest = INT64_MIN };
    for (size_t i = 0; i < rows.rows; i++)
        if (rows.time[i] > info.latest && rows.time[i] <= info.clock_at_cut)
            info.latest = rows.time[i];
    error_t error;
    batchview_writer_t *writer;
    status_t status = batchview_writer_new (
        self->rig.env.fs, house_path (number, partition, delta ? "delta" : "view"), plan, &info,
        &writer, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    for (size_t row = 0; row < rows.rows && status == STATUS_OK; row++)
        if (from == 0 || (batch.offset[row] >= from) == delta)
            status = batchview_writer_add (writer, &rows, row, row + 1, &error);
    uint64_t size;
    if (status == STATUS_OK)
        status = batchview_writer_finish (writer, &size, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    batchview_writer_destroy (&writer);
    arena_destroy (&arena);
}

/* A load's rows get the offset of its control record. */
static void add_load (house_t *self, manifest_t *manifest)
{
    for (uint32_t p = 0; p < PARTITIONS; p++)
        manifest->load_offset[p] = self->next_offset[p]++;
    for (int i = 0; i < 30; i++) {
        payment_t *payment = append (self);
        payment->time += i; /* the latest is one alone */
        payment->offset = manifest->load_offset[payment->partition];
    }
}

manifest_t *house_publish (house_t *self, uint64_t definitions, bool load, bool exclude)
{
    error_t error;
    uint64_t number = ++self->manifests;
    cr_assert_lt (number, MANIFESTS);
    manifest_t *manifest = &self->manifest[number];
    manifest->clock = self->rig.clock;
    manifest->definitions = definitions;
    memset (manifest->load_offset, 0xff, sizeof manifest->load_offset);
    memset (manifest->excluded, 0xff, sizeof manifest->excluded);
    if (load)
        add_load (self, manifest);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        if (exclude && self->next_offset[p] > 1)
            manifest->excluded[p] = random_below (&self->random, self->next_offset[p] - 1);
        manifest->cut[p] = self->next_offset[p]++; /* the cut record takes one */
        uint64_t base = self->shares && number > 1 ? 1 : number - 1;
        manifest->delta_from[p] = self->deltas ? self->manifest[base].cut[p] : 0;
    }
    model_t *model = payments_model (definitions ? definitions : 1);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        char dir[32];
        snprintf (dir, sizeof dir, "files/%u", p);
        cr_assert_eq (fs_make_dir (self->rig.env.fs, dir, &error), STATUS_OK);
        write_run (self, number, p, model, false);
        if (load)
            write_run (self, number, p, model, true);
        if (definitions && (!self->shares || number == 1))
            write_view (self, number, p, model, false);
        if (definitions && manifest->delta_from[p] > 0)
            write_view (self, number, p, model, true);
    }
    model_unref (&model);
    self->ordered = number;
    return manifest;
}

/* Gives the node what stands in the writer, as from `from`. */
void house_give (house_t *self, const peer_t *from)
{
    const void *data;
    size_t size;
    cr_assert (wire_end (self->writer, &data, &size));
    serving_core_receive (self->core, from, data, size);
}

/* ---- the owners ---- */

static bool holds_cut (const house_t *self, uint32_t partition, uint64_t cut)
{
    bool known = cut == 0;
    for (uint64_t m = 1; m <= self->manifests; m++)
        known = known || self->manifest[m].cut[partition] == cut;
    return known && cut >= self->base[partition];
}

static void answer_key (const house_t *self, const plan_t *plan, text_t key, uint32_t partition,
                        uint64_t cut, int64_t as_of, const model_t *model, buf_t *out)
{
    arena_t *arena = arena_new (1 << 16);
    batch_t batch = payments_batch (model, self->payments, self->payments_count, arena);
    projection_t rows = plan_project (plan, &batch, arena);
    answer_t *answer = answer_new (plan);
    for (size_t i = 0; i < rows.rows; i++)
        if (text_equal (rows.key[i], key) && rows.offset[i] >= cut)
            answer_add_row (answer, as_of, &rows, i);
    answer_encode (answer, out);
    answer_destroy (&answer);
    arena_destroy (&arena);
    (void)partition;
}

static void answer_part (house_t *self, const wire_value_t *body, const wire_value_t *part)
{
    wire_writer_t *writer = self->writer;
    uint32_t partition = (uint32_t)wire_uint (part, "partition", 0);
    uint64_t cut = wire_uint (part, "cut", 0);
    model_t *model = house_owners_model (self);
    const plan_t *plan =
        model_plan_over (model, wire_text (body, "view"), 0, wire_text (body, "log"));
    bool good =
        plan && plan->hash == wire_uint (body, "plan", 0) && holds_cut (self, partition, cut);
    wire_open_map (writer);
    wire_field_uint (writer, "partition", partition);
    bool too_large = self->owners == OWNERS_TOO_LARGE;
    wire_field_string (writer, "status", too_large ? "too-large" : good ? "ok" : "stale");
    if (too_large) {
        wire_field_string (writer, "reason", "they are over a limit");
    } else if (good) {
        buf_t answers;
        buf_init (&answers, 1 << 20);
        wire_list_t keys = wire_list (part, "keys");
        wire_list_t as_of = wire_list (part, "as_of");
        cr_assert_eq (keys.count, as_of.count);
        for (uint32_t i = 0; i < keys.count; i++)
            answer_key (self, plan, wire_item_text (&keys.items[i]), partition, cut,
                        wire_item_int (&as_of.items[i]), model, &answers);
        if (self->owners == OWNERS_DAMAGE)
            buf_put_u8 (&answers, 7);
        wire_field_uint (writer, "position", self->next_offset[partition]);
        wire_field_bin (writer, "answers",
                        (text_t){ (const char *)answers.data, (uint32_t)answers.size });
        buf_release (&answers);
    } else {
        wire_field_string (writer, "reason", "the picture is old");
    }
    wire_close (writer);
    model_unref (&model);
}

static void push (reply_t **last, const peer_t *from, const void *data, size_t size)
{
    reply_t *reply = mem_alloc (sizeof *reply + size);
    reply->next = NULL;
    reply->from = *from;
    reply->size = size;
    memcpy (reply->data, data, size);
    while (*last)
        last = &(*last)->next;
    *last = reply;
}

static void answer_question (house_t *self, const wire_value_t *question)
{
    text_t log = wire_text (question, "log");
    text_t view = wire_text (question, "view");
    if ((self->silent_log && text_is (log, self->silent_log)) ||
        (self->silent_view && text_is (view, self->silent_view)))
        return;
    wire_list_t parts = wire_list (question, "parts");
    wire_open_map (self->writer);
    wire_field_uint (self->writer, "id", wire_uint (question, "id", 0));
    wire_field_text (self->writer, "log", log);
    wire_field_list (self->writer, "parts");
    for (uint32_t i = 0; i < parts.count; i++)
        if (wire_uint (&parts.items[i], "partition", 0) + 1 != self->silent_partition)
            answer_part (self, question, &parts.items[i]);
    wire_close (self->writer);
    wire_close (self->writer);
}

static void own (house_t *self, const peer_t *owner, const message_t *message)
{
    cr_assert_eq (message->kind, MESSAGE_QUERY);
    wire_list_t questions = wire_list (message->body, "questions");
    self->messages++;
    self->queries += questions.count;
    if (self->owners == OWNERS_SILENT)
        return;
    if (self->owners == OWNERS_REFUSE) {
        wire_begin (self->writer, MESSAGE_ERROR, message->id);
        wire_field_string (self->writer, "status", "too-large");
        wire_field_string (self->writer, "text", "that is too much");
        house_give (self, owner);
        return;
    }
    wire_begin (self->writer, MESSAGE_QUERY_OK, message->id);
    wire_field_list (self->writer, "answers");
    for (uint32_t i = 0; i < questions.count; i++)
        answer_question (self, &questions.items[i]);
    wire_close (self->writer);
    const void *data;
    size_t size;
    cr_assert (wire_end (self->writer, &data, &size));
    if (self->owners == OWNERS_LATE)
        push (&self->late, owner, data, size);
    else
        serving_core_receive (self->core, owner, data, size);
}

void house_answers (house_t *self)
{
    while (self->late) {
        reply_t *reply = self->late;
        self->late = reply->next;
        serving_core_receive (self->core, &reply->from, reply->data, reply->size);
        mem_free (reply);
    }
    house_run (self);
}

/* ---- running ---- */

static void deliver (house_t *self, const rig_message_t *sent)
{
    peer_t coordinator = peer_of_endpoint (COORDINATOR);
    message_t message;
    error_t error;
    if (sent->to.incoming) {
        push (&self->replies, &sent->to, sent->data, sent->size);
        return;
    }
    status_t status = wire_decode (self->decoder, sent->data, sent->size, &message, &error);
    cr_assert_eq (status, STATUS_OK, "what serving sends is refused: %s", error.text);
    if (!peer_equal (&sent->to, &coordinator))
        own (self, &sent->to, &message);
    else if (!self->cut_off)
        house_coordinate (self, &message);
}

void house_run (house_t *self)
{
    bool any = true;
    for (int rounds = 0; any; rounds++) {
        cr_assert_lt (rounds, 10000, "it does not come to rest");
        any = false;
        serving_core_tick (self->core);
        rig_message_t *sent;
        while ((sent = rig_env_take (&self->rig)) != NULL) {
            deliver (self, sent);
            rig_message_free (&sent);
            any = true;
        }
        job_t *job = self->hold_jobs ? NULL : rig_env_run (&self->rig);
        if (job)
            serving_core_job_done (self->core, job);
        any = any || job;
    }
}

void house_pass (house_t *self, int64_t time_us)
{
    for (; time_us > 0; time_us -= 10 * TIME_MS) {
        rig_env_pass (&self->rig, time_us < 10 * TIME_MS ? time_us : 10 * TIME_MS);
        house_run (self);
    }
}
