#include "member/routes.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/timestamp.h"

#include <string.h>

#define RETRY_INTERVAL (500 * TIME_MS)

/* Ids of our questions, apart from those of the core and of the member. */
#define FIRST_ID (UINT64_C (2) << 40)

struct routes {
    env_t *env;
    const peer_t *coordinator;
    uint32_t partitions;
    uint64_t version; /* of what is known */
    uint64_t wanted;
    uint64_t next_id;
    uint64_t fetch_id;   /* of the question under way, 0 none */
    int64_t fetch_again; /* boot µs */
    peer_t *owner;
    wire_writer_t *writer;
};

routes_t *routes_new (env_t *env, const peer_t *coordinator, uint32_t partitions)
{
    routes_t *self = mem_zero (1, sizeof *self);
    self->env = env;
    self->coordinator = coordinator;
    self->partitions = partitions;
    self->next_id = FIRST_ID;
    self->owner = mem_zero (partitions, sizeof *self->owner);
    self->writer = wire_writer_new ();
    return self;
}

void routes_destroy (routes_t **self_p)
{
    routes_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    mem_free (self->owner);
    wire_writer_destroy (&self->writer);
    mem_free (self);
}

void routes_want (routes_t *self, uint64_t version)
{
    self->wanted = version;
}

int64_t routes_tick (routes_t *self)
{
    if (self->wanted <= self->version)
        return INT64_MAX;
    int64_t now = self->env->boot_us (self->env);
    if (self->fetch_id == 0 || now >= self->fetch_again) {
        self->fetch_id = self->next_id++;
        self->fetch_again = now + RETRY_INTERVAL;
        const void *data;
        size_t size;
        wire_begin (self->writer, MESSAGE_ROUTES, self->fetch_id);
        bool fits = wire_end (self->writer, &data, &size);
        CHECK (fits);
        self->env->send (self->env, self->coordinator, data, size);
    }
    return self->fetch_again;
}

bool routes_receive (routes_t *self, const message_t *message)
{
    if (message->kind != MESSAGE_ROUTES_OK)
        return false;
    uint64_t version = wire_uint (message->body, "version", 0);
    if (message->id != self->fetch_id || version < self->version)
        return true;
    self->fetch_id = 0;
    self->version = version;
    memset (self->owner, 0, self->partitions * sizeof *self->owner);
    wire_list_t owners = wire_list (message->body, "owners");
    for (uint32_t i = 0; i < owners.count; i++) {
        uint64_t partition = wire_uint (&owners.items[i], "partition", UINT64_MAX);
        char endpoint[PEER_SIZE_MAX + 1];
        wire_copy (&owners.items[i], "endpoint", endpoint, sizeof endpoint);
        if (partition < self->partitions && endpoint[0] != '\0')
            self->owner[partition] = peer_of_endpoint (endpoint);
    }
    return true;
}

const peer_t *routes_owner (const routes_t *self, uint32_t partition)
{
    CHECK (partition < self->partitions);
    return &self->owner[partition];
}
