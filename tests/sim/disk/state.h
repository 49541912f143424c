/* state.h - what the disk and the calls of a process upon it share. Private to tests/sim/disk. */
#ifndef WEIR_SIM_DISK_STATE_H
#define WEIR_SIM_DISK_STATE_H

#include "tests/sim/disk/disk.h"

#include "base/check.h"
#include "tests/sim/disk/node.h"

enum {
    MOUNT_MAGIC = 0x51d15c01,
    FILE_MAGIC = 0x51d15c02,
    DISK_MAGIC = 0x51d15c03,
    PATH_MAXIMUM = 4096
};

/* The filesystem that one process sees. */
typedef struct mount {
    fs_t fs; /* first */
    uint32_t magic;
    sim_disk_t *disk;
    uint64_t calls;
    uint64_t dies_at;  /* calls from this number on fail */
    uint64_t stops_at; /* before the call of this number, once */
    void (*stop) (void *arg);
    void *stop_arg;
    struct mount *next;
} mount_t;

/* A bit that was inverted. */
typedef struct rotten {
    node_t *node;
    uint64_t bit;
    uint8_t byte; /* what its byte has been since */
} rotten_t;

/* Bytes of a file as they were when it was mapped. */
typedef struct mapped {
    node_t *node;
    uint8_t *data;
} mapped_t;

struct sim_disk {
    uint32_t magic;
    random_t random;
    sim_disk_faults_t faults;
    uint64_t capacity; /* as it was made */
    uint64_t limit;    /* of bytes in use, just now */
    uint64_t used;
    bool hidden;
    rotten_t *rotten;
    size_t rotten_count;
    uint64_t crashes;
    uint64_t open_files;
    mapped_t *maps;
    size_t maps_count;
    uint64_t coin; /* the next one */
    node_t *root;
    mount_t *mounts;
};

typedef struct sim_file {
    uint32_t magic;
    bool writable;
    uint64_t crashes; /* of the disk when it was opened */
    node_t *node;
    char *path;
} sim_file_t;

/* What a mount does (calls.c). */
extern const fs_ops_t sim_disk_calls_ops;

static inline mount_t *mount_of (fs_t *fs)
{
    mount_t *mount = (mount_t *)fs;
    CHECK_OBJECT (mount, MOUNT_MAGIC);
    return mount;
}

/* Is there a node at the path? Borrowed, or NULL. */
node_t *sim_disk_node (sim_disk_t *disk, const char *path);

#endif
