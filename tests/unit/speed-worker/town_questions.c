/* What serving nodes ask a town, and what the coordinator orders in its logs. */
#include "tests/unit/speed-worker/town.h"

#include "feature/answer.h"
#include "tests/oracle/oracle.h"

#include <stdio.h>

uint64_t town_plan (uint64_t definitions)
{
    model_t *model = payments_model (definitions);
    uint64_t hash = model_plan (model, text_of ("spend"), 0)->hash;
    model_unref (&model);
    return hash;
}

static void ask (town_t *self, unsigned worker, unsigned user, uint64_t plan, uint64_t cut,
                 int64_t as_of)
{
    buf_t key;
    buf_init (&key, KEY_SIZE_MAX);
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_QUERY, self->next_id);
    wire_field_list (writer, "questions");
    wire_open_map (writer);
    wire_field_uint (writer, "id", self->next_id++);
    wire_field_string (writer, "view", "spend");
    wire_field_string (writer, "log", PAYMENTS_LOG);
    wire_field_uint (writer, "plan", plan);
    wire_field_list (writer, "parts");
    wire_open_map (writer);
    wire_field_uint (writer, "partition", payments_partition (user, PARTITIONS));
    wire_field_uint (writer, "cut", cut);
    wire_field_list (writer, "keys");
    wire_put_bin (writer, payments_key (user, &key));
    wire_close (writer);
    wire_field_list (writer, "as_of");
    wire_put_int (writer, as_of);
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
    wire_close (writer);
    town_tell (self, worker);
    town_run (self);
    buf_release (&key);
}

/* The only one of the only question. */
static const wire_value_t *answered_part (const message_t *message)
{
    wire_list_t answers = wire_list (message->body, "answers");
    cr_assert_eq (answers.count, 1);
    cr_assert_eq (wire_uint (&answers.items[0], "id", 0), message->id);
    wire_list_t parts = wire_list (&answers.items[0], "parts");
    cr_assert_eq (parts.count, 1);
    return &parts.items[0];
}

const char *town_ask (town_t *self, unsigned worker, unsigned user, uint64_t plan, uint64_t cut,
                      int64_t as_of)
{
    static char status[64];
    ask (self, worker, user, plan, cut, as_of);
    message_t message = town_reply (self, MESSAGE_QUERY_OK);
    wire_copy (answered_part (&message), "status", status, sizeof status);
    return status;
}

void town_check_user (town_t *self, unsigned worker, unsigned user, uint64_t cut, int64_t as_of)
{
    ask (self, worker, user, town_plan (self->definitions), cut, as_of);
    message_t message = town_reply (self, MESSAGE_QUERY_OK);
    const wire_value_t *part = answered_part (&message);
    char reason[256];
    wire_copy (part, "reason", reason, sizeof reason);
    cr_assert (text_is (wire_text (part, "status"), "ok"), "%s", reason);
    uint64_t position = wire_uint (part, "position", 0);
    text_t bytes = wire_text (part, "answers");
    model_t *model = payments_model (self->definitions);
    const plan_t *plan = model_plan (model, text_of ("spend"), 0);
    answer_t *answer = answer_new (plan);
    reader_t reader = reader_of (bytes.data, bytes.size);
    error_t error;
    status_t status = answer_merge (answer, &reader, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    cr_assert_eq (reader_left (&reader), 0);
    for (size_t f = 0; f < PAYMENTS_FEATURES; f++) {
        value_t got;
        value_t wanted = payments_expected (self->definitions, f, self->accepted,
                                            self->accepted_count, user, cut, UINT64_MAX, as_of);
        status = answer_final (answer, f, 0, NULL, &got, &error);
        cr_assert_eq (status, STATUS_OK, "%s", error.text);
        cr_assert (oracle_agree (&got, &wanted), "%s of %s from %llu: %lld %g, not %lld %g",
                   plan->features[f].name, payments_user (user), (unsigned long long)cut,
                   (long long)got.i, got.f, (long long)wanted.i, wanted.f);
    }
    for (size_t i = 0; i < self->accepted_count; i++)
        if (self->accepted[i].user == user)
            cr_assert_lt (self->accepted[i].offset, position);
    answer_destroy (&answer);
    model_unref (&model);
}

void town_check_all (town_t *self, unsigned worker)
{
    int64_t now = self->worker[0].rig.clock;
    for (unsigned user = 0; user < PAYMENTS_USERS; user++) {
        uint64_t base = self->base[payments_partition (user, PARTITIONS)];
        town_check_user (self, worker, user, base, now);
        town_check_user (self, worker, user, base,
                         now - (int64_t)random_below (&self->random, 4 * TIME_HOUR));
    }
}

void town_order (town_t *self, const char *id, bool cut)
{
    cr_assert_lt (self->controls, CONTROLS);
    snprintf (self->control[self->controls].id, sizeof self->control[0].id, "%s", id);
    self->control[self->controls++].cut = cut;
}

uint64_t town_control (const town_t *self, uint32_t partition, const char *id)
{
    int owner = self->owner[partition];
    const held_t *held = owner < 0 ? NULL : &self->worker[owner].held[partition];
    for (size_t i = 0; held && i < held->controls_count; i++)
        if (strcmp (held->controls[i].id, id) == 0)
            return held->controls[i].offset;
    return UINT64_MAX;
}
