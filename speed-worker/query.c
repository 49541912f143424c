#include "speed-worker/worker.h"

#include <inttypes.h>

enum {
    PART_OVERHEAD = 2048,  /* of a part beside its answers: a reason, names */
    ANSWER_OVERHEAD = 512, /* of a question's answer: its id, the log's name */
    ANSWERS_MAX =          /* bytes of answers in one message */
    WIRE_MESSAGE_MAX - 2 * (PART_OVERHEAD + ANSWER_OVERHEAD),
};

/* Room for T - W, and for the microsecond that `before` takes off the earliest. */
static bool as_of_in_range (int64_t as_of)
{
    return as_of >= -TIME_EVENT_MAX - 1 && as_of <= 2 * TIME_EVENT_MAX;
}

/* What is asked of a part's keys, and where. */
typedef struct question {
    realtime_t *realtime;
    size_t view; /* its number there */
    uint64_t cut;
    wire_list_t keys;
    wire_list_t as_of;
} question_t;

static void answer_all (const question_t *question, buf_t *out)
{
    text_t keys[REALTIME_FETCHED];
    int64_t as_of[REALTIME_FETCHED];
    uint32_t count = question->keys.count;
    for (uint32_t from = 0, some; from < count; from += some) {
        some = count - from < REALTIME_FETCHED ? count - from : REALTIME_FETCHED;
        for (uint32_t i = 0; i < some; i++) {
            keys[i] = wire_item_text (&question->keys.items[from + i]);
            as_of[i] = wire_item_int (&question->as_of.items[from + i]);
        }
        realtime_answer (question->realtime, question->view, question->cut, keys, as_of, some, out);
    }
}

/* Evaluates one part's keys; the answers' bytes go to `out`. */
static status_t evaluate (speed_core_t *self, const wire_value_t *asked, const wire_value_t *part,
                          buf_t *out, uint64_t *position, error_t *error)
{
    uint32_t number = (uint32_t)wire_uint (part, "partition", UINT32_MAX);
    text_t view = wire_text (asked, "view");
    text_t log = wire_text (asked, "log");
    if (!model_has_view (member_model (self->member), view, log))
        return error_set (error, STATUS_STALE, "this worker does not know the view yet");
    if (number >= self->options.partitions || !self->partitions[number])
        return error_set (error, STATUS_FENCED, "partition %" PRIu32 " is not here", number);
    char log_name[WIRE_NAME_MAX + 1];
    wire_copy (asked, "log", log_name, sizeof log_name);
    shard_t *shard = worker_shard (self, log_name, number);
    realtime_t *realtime = shard ? shard_realtime (shard) : NULL;
    if (!realtime)
        return error_set (error, STATUS_UNAVAILABLE, "partition %" PRIu32 " is being opened",
                          number);
    question_t question = { .realtime = realtime,
                            .cut = wire_uint (part, "cut", 0),
                            .keys = wire_list (part, "keys"),
                            .as_of = wire_list (part, "as_of") };
    status_t status = realtime_find (realtime, view, wire_uint (asked, "plan", 0), question.cut,
                                     &question.view, error);
    if (status != STATUS_OK)
        return status;
    if (question.keys.count != question.as_of.count)
        return error_set (error, STATUS_INVALID, "%u keys, but %u as-of times", question.keys.count,
                          question.as_of.count);
    for (uint32_t i = 0; i < question.as_of.count; i++)
        if (!as_of_in_range (wire_item_int (&question.as_of.items[i])))
            return error_set (error, STATUS_RANGE, "an as-of time is out of range");
    answer_all (&question, out);
    *position = shard_position (shard);
    if (out->bad)
        return error_set (error, STATUS_TOO_LARGE, "the answers are over the message limit");
    return STATUS_OK;
}

/* Writes a part of the reply; `answers` are those of it when `error` says OK. */
static void put_part (speed_core_t *self, const wire_value_t *part, const buf_t *answers,
                      uint64_t position, const error_t *error)
{
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_uint (writer, "partition", wire_uint (part, "partition", 0));
    wire_field_string (writer, "status", status_word (error->status));
    if (error->status == STATUS_OK) {
        wire_field_uint (writer, "position", position);
        wire_field_bin (
            writer, "answers",
            (text_t){ .data = (const char *)answers->data, .size = (uint32_t)answers->size });
    } else {
        self->metrics.queries_refused++;
        wire_field_string (writer, "reason", error->text);
    }
    wire_close (writer);
}

/* A reply in the making. */
typedef struct reply {
    speed_core_t *self;
    const peer_t *to;
    uint64_t id;
    size_t used;   /* bytes of answers */
    buf_t answers; /* of one part */
} reply_t;

static void begin_reply (reply_t *reply)
{
    wire_begin (reply->self->writer, MESSAGE_QUERY_OK, reply->id);
    wire_field_list (reply->self->writer, "answers");
    reply->used = 0;
}

static void end_reply (const reply_t *reply)
{
    speed_core_t *self = reply->self;
    const void *data;
    size_t size;
    wire_close (self->writer);
    if (wire_end (self->writer, &data, &size)) {
        self->env->send (self->env, reply->to, data, size);
        return;
    }
    error_t error;
    self->metrics.queries_refused++;
    error_set (&error, STATUS_TOO_LARGE,
               "the answers are over the limit of a message; ask for "
               "fewer keys at a time");
    worker_send_error (self, reply->to, reply->id, &error);
}

static void begin_answer (const reply_t *reply, const wire_value_t *question)
{
    wire_writer_t *writer = reply->self->writer;
    wire_open_map (writer);
    wire_field_uint (writer, "id", wire_uint (question, "id", 0));
    wire_field_text (writer, "log", wire_text (question, "log"));
    wire_field_list (writer, "parts");
}

static void end_answer (const reply_t *reply)
{
    wire_close (reply->self->writer);
    wire_close (reply->self->writer);
}

static void answer_part (reply_t *reply, const wire_value_t *question, const wire_value_t *part)
{
    speed_core_t *self = reply->self;
    buf_t *answers = &reply->answers;
    uint64_t position = 0;
    error_t error;
    error_clear (&error);
    buf_clear (answers);
    status_t status = evaluate (self, question, part, answers, &position, &error);
    /* after the evaluation: had somebody else become the owner meanwhile, this would be old */
    if (status == STATUS_OK && !member_leased (self->member))
        error_set (&error, STATUS_FENCED, "the lease ran out");
    if (reply->used > 0 && reply->used + answers->size > ANSWERS_MAX) {
        end_answer (reply);
        end_reply (reply);
        begin_reply (reply);
        begin_answer (reply, question);
    }
    put_part (self, part, answers, position, &error);
    reply->used += answers->size + PART_OVERHEAD;
}

/* Parts that do not fit into one message come in several, under the same id. */
void query_answer (speed_core_t *self, const peer_t *from, const message_t *message)
{
    reply_t reply = { .self = self, .to = from, .id = message->id };
    wire_list_t questions = wire_list (message->body, "questions");
    buf_init (&reply.answers, ANSWERS_MAX);
    begin_reply (&reply);
    for (uint32_t i = 0; i < questions.count; i++) {
        const wire_value_t *question = &questions.items[i];
        wire_list_t parts = wire_list (question, "parts");
        self->metrics.queries++;
        begin_answer (&reply, question);
        for (uint32_t k = 0; k < parts.count; k++)
            answer_part (&reply, question, &parts.items[k]);
        end_answer (&reply);
        reply.used += ANSWER_OVERHEAD;
    }
    end_reply (&reply);
    buf_release (&reply.answers);
}
