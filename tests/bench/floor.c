/* floor.c - the two processes that a query is compared with: a relay (ROUTER in front, DEALER
 * behind, as a serving node) and an echo (ROUTER, as a speed worker). They do nothing but pass
 * bytes of the sizes that a query passes. */
#include "tests/bench/measure.h"
#include "tests/bench/talk.h"

#include <string.h>

enum { SLOTS = 4096, IDENTITY_MAX = 255, REPLY_MAX = 16 << 20 };

typedef struct identity {
    size_t size;
    char bytes[IDENTITY_MAX];
} identity_t;

static floor_head_t head_of (zmq_msg_t *message)
{
    floor_head_t head;
    if (zmq_msg_size (message) < sizeof head)
        measure_fail ("a message of %zu bytes is none of the floor's", zmq_msg_size (message));
    memcpy (&head, zmq_msg_data (message), sizeof head);
    return head;
}

/* Reads the return address and then the message of one request, if there is one. */
static bool take (void *router, identity_t *from, zmq_msg_t *message)
{
    if (zmq_msg_recv (message, router, ZMQ_DONTWAIT) < 0)
        return false;
    from->size = zmq_msg_size (message);
    if (from->size > sizeof from->bytes || !zmq_msg_more (message))
        measure_fail ("a return address of %zu bytes", from->size);
    memcpy (from->bytes, zmq_msg_data (message), from->size);
    return talk_receive_now (router, message);
}

static void echo (const char *listen)
{
    static char reply[REPLY_MAX];
    void *router = talk_bind (ZMQ_ROUTER, listen);
    zmq_pollitem_t item = { .socket = router, .events = ZMQ_POLLIN };
    zmq_msg_t message;
    identity_t from;
    zmq_msg_init (&message);
    for (;;) {
        (void)zmq_poll (&item, 1, -1);
        while (take (router, &from, &message)) {
            floor_head_t head = head_of (&message);
            if (head.reply_size < sizeof head || head.reply_size > REPLY_MAX)
                measure_fail ("a reply of %u bytes", head.reply_size);
            memcpy (reply, &head, sizeof head);
            talk_send (router, from.bytes, from.size, ZMQ_SNDMORE);
            talk_send (router, reply, head.reply_size, 0);
        }
    }
}

static void relay (const char *listen, const char *to)
{
    static identity_t waiting[SLOTS];
    void *front = talk_bind (ZMQ_ROUTER, listen);
    void *back = talk_connect (ZMQ_DEALER, to);
    zmq_pollitem_t items[] = { { .socket = front, .events = ZMQ_POLLIN },
                               { .socket = back, .events = ZMQ_POLLIN } };
    zmq_msg_t message;
    identity_t from;
    uint32_t next = 0;
    zmq_msg_init (&message);
    for (;;) {
        (void)zmq_poll (items, 2, -1);
        while (take (front, &from, &message)) {
            floor_head_t head = head_of (&message);
            head.slot = next++ % SLOTS;
            waiting[head.slot] = from;
            memcpy (zmq_msg_data (&message), &head, sizeof head);
            talk_send (back, zmq_msg_data (&message), zmq_msg_size (&message), 0);
        }
        while (talk_receive_now (back, &message)) {
            const identity_t *to_whom = &waiting[head_of (&message).slot % SLOTS];
            talk_send (front, to_whom->bytes, to_whom->size, ZMQ_SNDMORE);
            talk_send (front, zmq_msg_data (&message), zmq_msg_size (&message), 0);
        }
    }
}

int main (int argc, char **argv)
{
    const char *listen = measure_option (argc, argv, "listen", NULL);
    const char *to = measure_option (argc, argv, "to", NULL);
    if (listen == NULL)
        measure_fail ("usage: floor --listen=ENDPOINT [--to=ENDPOINT]; without --to, the echo");
    if (to != NULL)
        relay (listen, to);
    else
        echo (listen);
    return 0;
}
