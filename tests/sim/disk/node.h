/* node.h - the files and directories of a simulated disk, now and as they would be after a crash.
 * Private to tests/sim/disk. */
#ifndef WEIR_SIM_DISK_NODE_H
#define WEIR_SIM_DISK_NODE_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that are zero where nothing was written. */
typedef struct content {
    uint8_t *data;
    uint64_t size;
    uint64_t capacity;
} content_t;

/* One change of a file that is not durable yet. */
typedef struct change {
    bool truncate; /* to `at` bytes; else a write of `size` bytes at `at` */
    uint64_t at;
    uint64_t size;
    uint8_t *data;
} change_t;

typedef struct node node_t;

typedef struct name {
    char *name;
    node_t *node;
} name_t;

/* Names in byte order. */
typedef struct names {
    name_t *name;
    size_t count;
    size_t capacity;
} names_t;

/* One change of a directory that is not durable yet. */
typedef struct name_change {
    char *name;
    node_t *node;  /* NULL: the name is removed */
    uint64_t coin; /* changes with the same coin happen together */
} name_change_t;

struct node {
    uint64_t references;
    bool directory;
    /* of a file */
    const void *locked_by; /* the handle that has its lock, or NULL */
    content_t now;
    content_t durable;
    change_t *changes;
    size_t change_count;
    size_t change_capacity;
    /* of a directory */
    names_t names;
    names_t durable_names;
    name_change_t *name_changes;
    size_t name_change_count;
    size_t name_change_capacity;
    uint64_t *used; /* the disk's count of bytes in use */
};

/* A new node with one reference, which is the caller's. */
node_t *node_new (bool directory, uint64_t *used);
node_t *node_retain (node_t *self);
void node_release (node_t **self_p);

void node_write (node_t *self, uint64_t at, const void *data, uint64_t size);
void node_truncate (node_t *self, uint64_t size);
void node_sync (node_t *self);
/* A sync that failed: each unsynced change becomes durable or is forgotten. */
void node_sync_failed (node_t *self, random_t *random);

/* The node of a name, or NULL. Borrowed. */
node_t *node_find (const node_t *self, const char *name);
/* Is it the same now and after a power cut, whatever is left of what is not durable? */
bool node_name_is_durable (const node_t *self, const char *name);
/* Sets or removes (`node` NULL) a name; `durable` at once or after node_sync_names. */
void node_link (node_t *self, const char *name, node_t *node, uint64_t coin, bool durable);
void node_sync_names (node_t *self);
/* Back to the durable names; the changes must have been taken away. */
void node_revert_names (node_t *self);

/* The power cut, for this node and all below it; `salt` decides the coins. */
void node_crash (node_t *self, random_t *random, uint64_t salt);
void node_settle (node_t *self);

void content_write (content_t *self, uint64_t at, const void *data, uint64_t size);
void content_resize (content_t *self, uint64_t size);

#endif
