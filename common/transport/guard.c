#include "transport/guard.h"

#include "base/check.h"

#include <string.h>
#include <zmq.h>

enum {
    FRAME_MAX = 256,
    KEY_SIZE = 32, /* bytes of a key */
    HANDSHAKE_MS = 10000,
};

/* The frames of a question, in this order; more are not expected. */
enum { VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, FRAMES };

typedef struct frame {
    char bytes[FRAME_MAX];
    size_t size;
} frame_t;

void *guard_open (void *context)
{
    void *guard = zmq_socket (context, ZMQ_REP);
    int none = 0;
    if (!guard)
        return NULL;
    if (zmq_setsockopt (guard, ZMQ_LINGER, &none, sizeof none) == 0 &&
        zmq_bind (guard, "inproc://zeromq.zap.01") == 0) {
        /* Its descriptor tells of what comes after it was found empty. */
        CHECK (zmq_recv (guard, NULL, 0, ZMQ_DONTWAIT) < 0);
        return guard;
    }
    zmq_close (guard);
    return NULL;
}

void guard_close (void *guard)
{
    if (guard)
        zmq_close (guard);
}

/* One question. False when there is none. */
static bool take_question (void *guard, frame_t frames[FRAMES], size_t *count)
{
    zmq_msg_t part;
    bool more = true;
    CHECK (zmq_msg_init (&part) == 0);
    for (*count = 0; more; ++*count) {
        if (zmq_msg_recv (&part, guard, ZMQ_DONTWAIT) < 0)
            break;
        size_t size = zmq_msg_size (&part);
        more = zmq_msg_more (&part);
        if (*count < FRAMES) {
            frames[*count].size = size < FRAME_MAX ? size : FRAME_MAX;
            memcpy (frames[*count].bytes, zmq_msg_data (&part), frames[*count].size);
        }
    }
    zmq_msg_close (&part);
    return *count > 0 && !more;
}

/* Whose key it is; NULL when it is nobody's whom we accept. */
static const accepted_key_t *who (const frame_t frames[FRAMES], size_t count,
                                  const keyring_t *keyring, char key[KEY_TEXT_SIZE + 1])
{
    if (count != FRAMES || frames[MECHANISM].size != 5 ||
        memcmp (frames[MECHANISM].bytes, "CURVE", 5) != 0 || frames[CREDENTIALS].size != KEY_SIZE)
        return NULL;
    CHECK (zmq_z85_encode (key, (const uint8_t *)frames[CREDENTIALS].bytes, KEY_SIZE) != NULL);
    return keyring_find (keyring, key);
}

void guard_answer (void *guard, const keyring_t *keyring)
{
    frame_t frames[FRAMES];
    size_t count;
    char key[KEY_TEXT_SIZE + 1] = "";
    while (take_question (guard, frames, &count)) {
        const accepted_key_t *accepted = who (frames, count, keyring, key);
        const char *id = accepted ? key : "";
        size_t request = count > REQUEST ? frames[REQUEST].size : 0;
        const int more = ZMQ_SNDMORE | ZMQ_DONTWAIT;
        bool sent =
            zmq_send (guard, "1.0", 3, more) >= 0 &&
            zmq_send (guard, frames[REQUEST].bytes, request, more) >= 0 &&
            zmq_send (guard, accepted ? "200" : "400", 3, more) >= 0 &&
            zmq_send (guard, accepted ? "OK" : "no such key", accepted ? 2 : 11, more) >= 0 &&
            zmq_send (guard, id, strlen (id), more) >= 0 &&
            zmq_send (guard, "", 0, ZMQ_DONTWAIT) >= 0;
        (void)sent; /* whoever has gone needs no answer */
    }
}

peer_role_t guard_role (void *message, const keyring_t *keyring)
{
    const char *key = zmq_msg_gets (message, "User-Id");
    const accepted_key_t *accepted = key ? keyring_find (keyring, key) : NULL;
    return accepted ? accepted->role : ROLE_NONE;
}

/* ---- sockets ---- */

static void set_text (void *socket, int option, const char *text)
{
    CHECK (zmq_setsockopt (socket, option, text, strlen (text)) == 0);
}

static void set_number (void *socket, int option, int value)
{
    CHECK (zmq_setsockopt (socket, option, &value, sizeof value) == 0);
}

void guard_server (void *socket, const keyring_t *keyring)
{
    set_number (socket, ZMQ_CURVE_SERVER, 1);
    CHECK (zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, keyring_own (keyring)->secret,
                           KEY_TEXT_SIZE + 1) == 0);
    set_text (socket, ZMQ_ZAP_DOMAIN, GUARD_DOMAIN);
    set_number (socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
}

void guard_client (void *socket, const keyring_t *keyring, const char *server)
{
    const key_pair_t *own = keyring_own (keyring);
    CHECK (zmq_setsockopt (socket, ZMQ_CURVE_SERVERKEY, server, KEY_TEXT_SIZE + 1) == 0);
    CHECK (zmq_setsockopt (socket, ZMQ_CURVE_PUBLICKEY, own->public, KEY_TEXT_SIZE + 1) == 0);
    CHECK (zmq_setsockopt (socket, ZMQ_CURVE_SECRETKEY, own->secret, KEY_TEXT_SIZE + 1) == 0);
    set_number (socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
}
