#include "tests/bench/producer.h"

#include "base/mem.h"
#include "client/lib/client.h"
#include "tests/bench/measure.h"
#include "tests/bench/talk.h"

#include <string.h>
#include <sys/random.h>

_Static_assert((int)PRODUCER_UNACKNOWLEDGED_MAX == (int)CLIENT_UNACKNOWLEDGED_MAX,
               "as the library's");

/* In turn, users come in steps of so many: a prime, so that all do. */
#define STRIDE UINT64_C (7368787)

int64_t producer_now_us (void)
{
    struct timespec now;
    clock_gettime (CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void producer_init (producer_t *self, const char *endpoint, uint64_t users, bool in_turn)
{
    uint64_t created = (uint64_t)producer_now_us ();
    *self = (producer_t){ .users = users, .in_turn = in_turn };
    if (users == 0 || users % STRIDE == 0)
        measure_fail ("%llu users cannot take turns", (unsigned long long)users);
    self->socket = talk_connect_node (ZMQ_DEALER, endpoint);
    self->time_us = (int64_t)created - INT64_C (3600) * 1000000;
    for (unsigned i = 0; i < 8; i++)
        self->id[i] = (char)(created >> (56 - 8 * i));
    if (getrandom (self->id + 8, 8, 0) != 8)
        measure_fail ("no random bytes");
    random_seed (&self->random, created);
}

static uint64_t next_user (producer_t *self)
{
    if (!self->in_turn)
        return random_below (&self->random, self->users);
    return self->turn++ * STRIDE % self->users;
}

static void put_words (producer_t *self, wire_writer_t *writer, size_t size)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char text[64];
    for (size_t i = 0; i < size; i++)
        text[i] = letters[random_below (&self->random, sizeof letters - 1)];
    wire_put_text (writer, (text_t){ text, (uint32_t)size });
}

/* 1 byte of list, 5 of user_id, 9 each of amount, fee and ts, and texts of 1 + 19, 1 + 9 and 2
 * + 35. */
static void put_event (producer_t *self, wire_writer_t *writer)
{
    wire_open_list (writer);
    wire_put_uint (writer, FIRST_USER + next_user (self));
    wire_put_float (writer, (double)random_below (&self->random, 100000) / 100);
    wire_put_float (writer, (double)random_below (&self->random, 300) / 100);
    wire_put_int (writer, self->time_us);
    put_words (self, writer, 19);
    put_words (self, writer, 9);
    put_words (self, writer, 35);
    wire_close (writer);
    self->time_us += EVENT_STEP_US;
}

uint64_t producer_oldest (uint64_t sequence)
{
    return sequence < PRODUCER_UNACKNOWLEDGED_MAX ? 1 : sequence - PRODUCER_UNACKNOWLEDGED_MAX + 1;
}

bool producer_has_room (uint64_t oldest, uint64_t sequence)
{
    return sequence - oldest < PRODUCER_UNACKNOWLEDGED_MAX;
}

batch_request_t producer_make (producer_t *self, wire_writer_t *writer, uint64_t rows)
{
    static const char *const columns[] = { "user_id",  "amount", "fee", "ts",
                                           "merchant", "status", "memo" };
    const void *data;
    size_t size;
    wire_begin (writer, MESSAGE_SEND, ++self->sequence);
    wire_field_string (writer, "stream", "payments");
    wire_field_bin (writer, "producer", (text_t){ self->id, sizeof self->id });
    wire_field_uint (writer, "sequence", self->sequence);
    wire_field_uint (writer, "oldest", producer_oldest (self->sequence));
    wire_field_list (writer, "columns");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        wire_put_string (writer, columns[i]);
    wire_close (writer);
    wire_field_list (writer, "rows");
    for (uint64_t i = 0; i < rows; i++)
        put_event (self, writer);
    wire_close (writer);
    if (!wire_end (writer, &data, &size))
        measure_fail ("a batch of %llu events is too large", (unsigned long long)rows);
    batch_request_t request = { mem_alloc (size), size };
    memcpy (request.data, data, size);
    return request;
}
