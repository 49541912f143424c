/* stored.c - Redis with weir's own answers: asks weir for every user's features as of one instant
 * and stores them as a hash of texts, or compares what both answer as of then.
 *
 *   stored --get=ENDPOINT --redis=ENDPOINT --view=NAME --users=N --as-of=MICROSECONDS [--compare]
 *
 * A feature that is null has no field. */
#include "base/mem.h"
#include "client/lib/client.h"
#include "tests/bench/measure.h"
#include "tests/bench/redis.h"
#include "tests/bench/side.h"
#include "tests/bench/talk.h"

#include <string.h>

enum { USERS_ASKED = 500, COMMANDS_MAX = 64 << 20 };

typedef struct stored {
    void *weir;
    redis_t *redis;
    const char *view;
    int64_t as_of;
    wire_writer_t *writer;
    wire_decoder_t *decoder;
    zmq_msg_t message; /* weir's latest answer, which `answer` is in */
    message_t answer;
    buf_t commands;
    buf_t value;
    uint64_t id;
    uint64_t values, nulls; /* looked at */
} stored_t;

/* weir's answer about users from `first` on. */
static void ask_weir (stored_t *self, uint64_t first, size_t count)
{
    uint64_t user[USERS_ASKED];
    const void *data;
    size_t size;
    error_t error;
    for (size_t i = 0; i < count; i++)
        user[i] = first + i;
    side_write_get (self->writer, ++self->id, self->view, user, count, self->as_of);
    if (!wire_end (self->writer, &data, &size))
        measure_fail ("a request of %zu users is too large", count);
    talk_send (self->weir, data, size, 0);
    talk_receive (self->weir, &self->message);
    if (wire_decode (self->decoder, zmq_msg_data (&self->message), zmq_msg_size (&self->message),
                     &self->answer, &error) != STATUS_OK)
        measure_fail ("the answer: %s", error.text);
    if (self->answer.kind != MESSAGE_GET_OK || self->answer.id != self->id)
        measure_fail ("a query was refused: " TEXT_FORMAT,
                      TEXT_ARGS (wire_text (self->answer.body, "text")));
    if (wire_list (self->answer.body, "results").count != count)
        measure_fail ("answers are missing");
}

/* The values of the i-th user of the answer. */
static wire_list_t values_of (const stored_t *self, size_t i)
{
    const wire_value_t *result = &wire_list (self->answer.body, "results").items[i];
    wire_list_t values = wire_list (result, "values");
    if (!wire_bool (result, "complete", false))
        measure_fail ("an answer is incomplete");
    return values;
}

/* A value as it is stored; without data, it is not. Valid until the next call. */
static text_t text_of_value (stored_t *self, const wire_value_t *value)
{
    buf_clear (&self->value);
    client_any_json (value, &self->value);
    text_t text = { (const char *)self->value.data, (uint32_t)self->value.size };
    return text_equal (text, text_of ("null")) ? (text_t){ 0 } : text;
}

static void put_user (stored_t *self, uint64_t user, size_t i)
{
    wire_list_t names = wire_list (self->answer.body, "features");
    wire_list_t values = values_of (self, i);
    size_t there = 0;
    char key[64];
    for (uint32_t v = 0; v < values.count; v++)
        there += text_of_value (self, &values.items[v]).data != NULL;
    self->values += values.count;
    self->nulls += values.count - there;
    if (there == 0)
        measure_fail ("user %llu has no values: is it one?", (unsigned long long)user);
    side_redis_key (key, self->view, user);
    redis_put_command (&self->commands, "HSET", 1 + 2 * there);
    redis_put_argument (&self->commands, text_of (key));
    for (uint32_t v = 0; v < values.count; v++) {
        text_t text = text_of_value (self, &values.items[v]);
        if (text.data == NULL)
            continue;
        redis_put_argument (&self->commands, wire_item_text (&names.items[v]));
        redis_put_argument (&self->commands, text);
    }
}

static void put_question (stored_t *self, uint64_t user)
{
    wire_list_t names = wire_list (self->answer.body, "features");
    char key[64];
    side_redis_key (key, self->view, user);
    redis_put_command (&self->commands, "HMGET", 1 + names.count);
    redis_put_argument (&self->commands, text_of (key));
    for (uint32_t v = 0; v < names.count; v++)
        redis_put_argument (&self->commands, wire_item_text (&names.items[v]));
}

static void compare_user (stored_t *self, uint64_t user, size_t i, const redis_reply_t *reply)
{
    wire_list_t names = wire_list (self->answer.body, "features");
    wire_list_t values = values_of (self, i);
    if (reply->count != values.count)
        measure_fail ("Redis has %zu values of user %llu", reply->count, (unsigned long long)user);
    for (uint32_t v = 0; v < values.count; v++) {
        text_t ours = text_of_value (self, &values.items[v]);
        text_t theirs = reply->value[v];
        self->values++;
        self->nulls += ours.data == NULL;
        if ((ours.data == NULL) != (theirs.data == NULL) || !text_equal (ours, theirs))
            measure_fail ("user %llu, " TEXT_FORMAT ": weir says " TEXT_FORMAT
                          ", Redis " TEXT_FORMAT,
                          (unsigned long long)user, TEXT_ARGS (wire_item_text (&names.items[v])),
                          TEXT_ARGS (text_of_value (self, &values.items[v])), TEXT_ARGS (theirs));
    }
}

/* Stores or compares users from `first` on. */
static void take_users (stored_t *self, uint64_t first, size_t count, bool compare)
{
    redis_reply_t reply;
    ask_weir (self, first, count);
    buf_clear (&self->commands);
    for (size_t i = 0; i < count; i++)
        if (compare)
            put_question (self, first + i);
        else
            put_user (self, first + i, i);
    if (self->commands.bad)
        measure_fail ("commands are too large");
    redis_send (self->redis, self->commands.data, self->commands.size);
    for (size_t i = 0; i < count; i++) {
        (void)redis_take (self->redis, true, &reply);
        if (compare)
            compare_user (self, first + i, i, &reply);
    }
}

int main (int argc, char **argv)
{
    static stored_t self;
    const char *get = measure_option (argc, argv, "get", NULL);
    const char *redis = measure_option (argc, argv, "redis", NULL);
    self.as_of = (int64_t)measure_number (argc, argv, "as-of", 0);
    if (get == NULL || redis == NULL || self.as_of <= 0)
        measure_fail ("usage: stored --get=ENDPOINT --redis=ENDPOINT --as-of=MICROSECONDS "
                      "[--view=NAME] [--users=N] [--compare=yes]");
    bool compare = measure_option (argc, argv, "compare", NULL) != NULL;
    uint64_t users = measure_number (argc, argv, "users", 100000);
    self.view = measure_option (argc, argv, "view", "spend");
    self.weir = talk_connect_node (ZMQ_DEALER, get);
    self.redis = redis_connect (redis);
    self.writer = wire_writer_new ();
    self.decoder = wire_decoder_new ();
    zmq_msg_init (&self.message);
    buf_init (&self.commands, COMMANDS_MAX);
    buf_init (&self.value, 1 << 16);
    for (uint64_t done = 0; done < users; done += USERS_ASKED)
        take_users (&self, FIRST_USER + done,
                    users - done < USERS_ASKED ? (size_t)(users - done) : USERS_ASKED, compare);
    measure_print (compare ? "compared_values" : "stored_values", (double)self.values);
    measure_print (compare ? "compared_nulls" : "stored_nulls", (double)self.nulls);
    zmq_msg_close (&self.message);
    buf_release (&self.commands);
    buf_release (&self.value);
    redis_destroy (&self.redis);
    wire_decoder_destroy (&self.decoder);
    wire_writer_destroy (&self.writer);
    return 0;
}
