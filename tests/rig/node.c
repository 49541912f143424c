#include "tests/rig/node.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 5 };

static const char IPC[] = "ipc://";

void rig_reply_send (const rig_reply_t *self)
{
    const void *data;
    size_t size;
    CHECK (wire_end (self->writer, &data, &size));
    transport_send (self->transport, self->to, data, size);
}

void rig_reply_pong (const rig_reply_t *self, const message_t *ping, const char *kind,
                     const char *cluster)
{
    wire_begin (self->writer, MESSAGE_PING_OK, ping->id);
    wire_field_string (self->writer, "node", kind);
    wire_field_string (self->writer, "kind", kind);
    wire_field_string (self->writer, "cluster", cluster);
    wire_field_uint (self->writer, "incarnation", 1);
    rig_reply_send (self);
}

static transport_t *listen_there (const rig_node_t *self)
{
    transport_t *transport;
    keyring_t *keyring = NULL;
    error_t error;
    if (self->keys)
        CHECK (keyring_read (self->keys, self->secret, &keyring, &error) == STATUS_OK);
    CHECK (transport_new_secured (self->endpoint, &keyring, &transport, &error) == STATUS_OK);
    return transport;
}

static void *play (void *arg)
{
    rig_node_t *self = arg;
    transport_t *transport = listen_there (self);
    (void)pthread_barrier_wait (&self->listens);
    wire_decoder_t *decoder = wire_decoder_new ();
    wire_writer_t *writer = wire_writer_new ();
    while (!atomic_load (&self->stop)) {
        peer_t from;
        const void *data;
        size_t size;
        message_t message;
        error_t error;
        transport_poll (transport, POLL_MS, NULL, 0, NULL);
        while (transport_receive (transport, &from, &data, &size)) {
            CHECK (wire_decode (decoder, data, size, &message, &error) == STATUS_OK);
            if (!atomic_load (&self->silent))
                self->answer (self->arg, &(rig_reply_t){ transport, writer, &from }, &message);
        }
    }
    wire_decoder_destroy (&decoder);
    wire_writer_destroy (&writer);
    transport_destroy (&transport);
    return NULL;
}

void rig_node_start (rig_node_t *self, const char *which)
{
    if (!self->endpoint[0])
        (void)snprintf (self->endpoint, sizeof self->endpoint, "%s/tmp/weir-played-%d-%s", IPC,
                        (int)getpid (), which);
    atomic_store (&self->stop, false);
    CHECK (pthread_barrier_init (&self->listens, NULL, 2) == 0);
    CHECK (pthread_create (&self->thread, NULL, play, self) == 0);
    (void)pthread_barrier_wait (&self->listens);
    self->playing = true;
}

void rig_node_stop (rig_node_t *self)
{
    if (!self->playing)
        return;
    self->playing = false;
    atomic_store (&self->stop, true);
    CHECK (pthread_join (self->thread, NULL) == 0);
    CHECK (pthread_barrier_destroy (&self->listens) == 0);
    /* a socket that nobody listens at is left on the disk */
    if (strncmp (self->endpoint, IPC, sizeof IPC - 1) == 0)
        (void)unlink (self->endpoint + sizeof IPC - 1);
}
