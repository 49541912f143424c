#include "tests/bench/side.h"

#include "base/mem.h"
#include "tests/bench/measure.h"
#include "tests/bench/redis.h"
#include "tests/bench/talk.h"

#include <stdio.h>
#include <string.h>

enum { KEYS_PREPARED = 50000, QUESTIONS_MIN = 32, COMMANDS_MAX = 256 << 20 };

typedef struct request {
    void *data;
    size_t size;
} request_t;

/* Questions of as many keys each. */
typedef struct set {
    request_t *request; /* question i has the id i + 1 */
    size_t count;
    size_t keys;
    size_t next;
} set_t;

struct asker {
    side_t *side;
    void *socket;   /* of weir and the floor */
    redis_t *redis; /* of Redis, which answers in the order of what it is asked … */
    uint32_t under_way[SIDE_UNDER_WAY_MAX];
    uint64_t asked, answered;
    size_t replies; /* … with as many replies as the question has keys */
};

struct side {
    const char *name;
    side_kind_t kind;
    const char *endpoint;
    clocks_t clocks;
    wire_decoder_t *decoder; /* of refusals */
    uint64_t refused;
    set_t set[SIDE_SETS_MAX];
    size_t sets;
    set_t *used;
    asker_t *asker[SIDE_ASKERS_MAX];
};

/* ---- questions ---- */

questions_t questions_draw (const char *view, size_t keys, uint64_t users, random_t *random)
{
    size_t count = KEYS_PREPARED / keys;
    count = count < QUESTIONS_MIN ? QUESTIONS_MIN : count;
    count = count > SIDE_UNDER_WAY_MAX ? SIDE_UNDER_WAY_MAX : count;
    questions_t questions = { view, mem_zero (count * keys, sizeof (uint64_t)), count, keys };
    for (size_t i = 0; i < count * keys; i++)
        questions.user[i] = FIRST_USER + random_below (random, users);
    return questions;
}

void side_write_get (wire_writer_t *writer, uint64_t id, const char *view, const uint64_t *user,
                     size_t count, int64_t as_of)
{
    wire_begin (writer, MESSAGE_GET, id);
    wire_field_string (writer, "view", view);
    wire_field_list (writer, "keys");
    for (size_t i = 0; i < count; i++) {
        wire_open_map (writer);
        wire_field_uint (writer, "user_id", user[i]);
        wire_close (writer);
    }
    wire_close (writer);
    if (as_of != 0)
        wire_field_int (writer, "as_of", as_of);
}

void side_redis_key (char out[64], const char *view, uint64_t user)
{
    (void)snprintf (out, 64, "%s:%llu", view, (unsigned long long)user);
}

static request_t keep (const void *data, size_t size)
{
    request_t request = { mem_alloc (size), size };
    memcpy (request.data, data, size);
    return request;
}

static request_t get_request (wire_writer_t *writer, const questions_t *questions, size_t i)
{
    const void *data;
    size_t size;
    side_write_get (writer, i + 1, questions->view, questions->user + i * questions->keys,
                    questions->keys, 0);
    if (!wire_end (writer, &data, &size))
        measure_fail ("a request of %zu keys is too large", questions->keys);
    return keep (data, size);
}

/* As large as weir's, with the floor's head. */
static request_t floor_request (request_t request, size_t i, size_t reply_size)
{
    floor_head_t head = { .reply_size = (uint32_t)reply_size, .id = i + 1 };
    if (request.size < sizeof head) {
        mem_free (request.data);
        request = (request_t){ mem_alloc (sizeof head), sizeof head };
    }
    memset (request.data, 0, request.size);
    memcpy (request.data, &head, sizeof head);
    return request;
}

/* HMGET of each key, all at once. */
static request_t redis_request (buf_t *commands, const questions_t *questions, size_t i,
                                const buf_t *names)
{
    const char *end = (const char *)names->data + names->size;
    size_t count = 0;
    for (const char *name = (const char *)names->data; name < end; name += strlen (name) + 1)
        count++;
    buf_clear (commands);
    for (size_t k = 0; k < questions->keys; k++) {
        char key[64];
        side_redis_key (key, questions->view, questions->user[i * questions->keys + k]);
        redis_put_command (commands, "HMGET", count + 1);
        redis_put_argument (commands, text_of (key));
        for (const char *name = (const char *)names->data; name < end; name += strlen (name) + 1)
            redis_put_argument (commands, text_of (name));
    }
    if (commands->bad)
        measure_fail ("commands of %zu keys are too large", questions->keys);
    return keep (commands->data, commands->size);
}

void side_prepare (side_t *self, const questions_t *questions, size_t reply_size,
                   const buf_t *names)
{
    wire_writer_t *writer = wire_writer_new ();
    buf_t commands;
    buf_init (&commands, COMMANDS_MAX);
    if (self->sets == SIDE_SETS_MAX)
        measure_fail ("at most %d sets of questions", SIDE_SETS_MAX);
    set_t *set = &self->set[self->sets++];
    *set = (set_t){ mem_zero (questions->count, sizeof (request_t)), questions->count,
                    questions->keys, 0 };
    for (size_t i = 0; i < questions->count; i++) {
        if (self->kind == SIDE_REDIS)
            set->request[i] = redis_request (&commands, questions, i, names);
        else
            set->request[i] = get_request (writer, questions, i);
        if (self->kind == SIDE_FLOOR)
            set->request[i] = floor_request (set->request[i], i, reply_size);
    }
    self->used = set;
    buf_release (&commands);
    wire_writer_destroy (&writer);
}

void side_use (side_t *self, size_t set)
{
    if (set >= self->sets)
        measure_fail ("there are %zu sets of questions", self->sets);
    self->used = &self->set[set];
}

size_t side_request_size (const side_t *self)
{
    return self->used->request[0].size;
}

size_t side_requests (const side_t *self)
{
    return self->used->count;
}

/* ---- the first answer ---- */

static void check_body (const message_t *answer, size_t features, buf_t *names)
{
    wire_list_t list = wire_list (answer->body, "features");
    if (list.count != features)
        measure_fail ("a view of %zu features is needed, this one has %u", features, list.count);
    for (uint32_t i = 0; i < list.count; i++) {
        text_t name = wire_item_text (&list.items[i]);
        buf_put (names, name.data, name.size);
        buf_put_u8 (names, 0);
    }
    wire_list_t results = wire_list (answer->body, "results");
    for (uint32_t i = 0; i < results.count; i++)
        if (!wire_bool (&results.items[i], "complete", false))
            measure_fail ("an answer is incomplete");
}

size_t side_check (side_t *self, const questions_t *questions, size_t features, buf_t *names)
{
    wire_writer_t *writer = wire_writer_new ();
    wire_decoder_t *decoder = wire_decoder_new ();
    request_t request = get_request (writer, questions, 0);
    void *socket = side_asker (self, 0)->socket;
    zmq_msg_t message;
    message_t answer;
    error_t error;
    zmq_msg_init (&message);
    talk_send (socket, request.data, request.size, 0);
    talk_receive (socket, &message);
    size_t size = zmq_msg_size (&message);
    if (wire_decode (decoder, zmq_msg_data (&message), size, &answer, &error) != STATUS_OK)
        measure_fail ("the answer: %s", error.text);
    if (answer.kind != MESSAGE_GET_OK)
        measure_fail ("the query was refused: " TEXT_FORMAT,
                      TEXT_ARGS (wire_text (answer.body, "text")));
    check_body (&answer, features, names);
    zmq_msg_close (&message);
    mem_free (request.data);
    wire_decoder_destroy (&decoder);
    wire_writer_destroy (&writer);
    return size;
}

/* ---- sides ---- */

side_t *side_new (const char *name, side_kind_t kind, const char *endpoint, const char *pids)
{
    side_t *self = mem_zero (1, sizeof *self);
    self->name = name;
    self->kind = kind;
    self->endpoint = endpoint;
    self->clocks = measure_clocks (pids);
    self->decoder = wire_decoder_new ();
    return self;
}

void side_destroy (side_t **self_p)
{
    side_t *self = *self_p;
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->sets; i++) {
        for (size_t r = 0; r < self->set[i].count; r++)
            mem_free (self->set[i].request[r].data);
        mem_free (self->set[i].request);
    }
    for (size_t i = 0; i < SIDE_ASKERS_MAX; i++) {
        if (self->asker[i] == NULL)
            continue;
        if (self->asker[i]->socket != NULL)
            zmq_close (self->asker[i]->socket);
        redis_destroy (&self->asker[i]->redis);
        mem_free (self->asker[i]);
    }
    wire_decoder_destroy (&self->decoder);
    mem_free (self);
    *self_p = NULL;
}

const char *side_name (const side_t *self)
{
    return self->name;
}

side_kind_t side_kind (const side_t *self)
{
    return self->kind;
}

uint64_t side_refused (side_t *self)
{
    uint64_t refused = self->refused;
    self->refused = 0;
    return refused;
}

int64_t side_cpu_ns (const side_t *self)
{
    return measure_clocks_ns (&self->clocks);
}

/* ---- askers ---- */

asker_t *side_asker (side_t *self, size_t number)
{
    if (number >= SIDE_ASKERS_MAX)
        measure_fail ("at most %d clients", SIDE_ASKERS_MAX);
    if (self->asker[number] == NULL) {
        asker_t *asker = mem_zero (1, sizeof *asker);
        asker->side = self;
        if (self->kind == SIDE_REDIS)
            asker->redis = redis_connect (self->endpoint);
        else if (self->kind == SIDE_WEIR)
            asker->socket = talk_connect_node (ZMQ_DEALER, self->endpoint);
        else
            asker->socket = talk_connect (ZMQ_DEALER, self->endpoint);
        self->asker[number] = asker;
    }
    return self->asker[number];
}

size_t asker_ask (asker_t *self)
{
    set_t *set = self->side->used;
    size_t number = set->next++ % set->count;
    const request_t *request = &set->request[number];
    if (self->redis == NULL) {
        talk_send (self->socket, request->data, request->size, 0);
        return number;
    }
    if (self->asked - self->answered == SIDE_UNDER_WAY_MAX)
        measure_fail ("too many questions are under way");
    self->under_way[self->asked++ % SIDE_UNDER_WAY_MAX] = (uint32_t)number;
    redis_send (self->redis, request->data, request->size);
    return number;
}

static taken_t take_of_redis (asker_t *self, bool wait, size_t *number)
{
    redis_reply_t reply;
    while (self->replies < self->side->used->keys) {
        if (!redis_take (self->redis, wait, &reply))
            return TAKEN_NONE;
        self->replies++;
    }
    self->replies = 0;
    *number = self->under_way[self->answered++ % SIDE_UNDER_WAY_MAX];
    return TAKEN_ANSWER;
}

/* Ends the program unless it is for want of room or time. */
static void check_refusal (side_t *side, const void *data, size_t size)
{
    message_t answer;
    error_t error;
    if (wire_decode (side->decoder, data, size, &answer, &error) != STATUS_OK)
        measure_fail ("an answer: %s", error.text);
    text_t status = wire_text (answer.body, "status");
    if (!text_is (status, "busy") && !text_is (status, "timeout"))
        measure_fail ("a query was refused: " TEXT_FORMAT ": " TEXT_FORMAT, TEXT_ARGS (status),
                      TEXT_ARGS (wire_text (answer.body, "text")));
    side->refused++;
}

/* The id of an answer. */
static uint64_t look_at (side_t *side, const void *data, size_t size, taken_t *taken)
{
    *taken = TAKEN_ANSWER;
    if (side->kind == SIDE_FLOOR) {
        floor_head_t head;
        if (size < sizeof head)
            measure_fail ("the floor answered with %zu bytes", size);
        memcpy (&head, data, sizeof head);
        return head.id;
    }
    message_kind_t kind;
    uint64_t id;
    if (!wire_peek (data, size, &kind, &id) || (kind != MESSAGE_GET_OK && kind != MESSAGE_ERROR))
        measure_fail ("what came is no answer to a query");
    if (kind == MESSAGE_ERROR) {
        check_refusal (side, data, size);
        *taken = TAKEN_REFUSAL;
    }
    return id;
}

taken_t asker_take (asker_t *self, bool wait, size_t *number)
{
    if (self->redis != NULL)
        return take_of_redis (self, wait, number);
    zmq_msg_t message;
    taken_t taken = TAKEN_NONE;
    zmq_msg_init (&message);
    bool came = true;
    if (wait)
        talk_receive (self->socket, &message);
    else
        came = talk_receive_now (self->socket, &message);
    if (came) {
        uint64_t id =
            look_at (self->side, zmq_msg_data (&message), zmq_msg_size (&message), &taken);
        if (id == 0 || id > self->side->used->count)
            measure_fail ("%s answered to nothing", self->side->name);
        *number = (size_t)id - 1;
    }
    zmq_msg_close (&message);
    return taken;
}

zmq_pollitem_t asker_item (const asker_t *self)
{
    if (self->redis != NULL)
        return (zmq_pollitem_t){ .fd = redis_file (self->redis), .events = ZMQ_POLLIN };
    return (zmq_pollitem_t){ .socket = self->socket, .events = ZMQ_POLLIN };
}
