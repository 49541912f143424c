/* crash.c - what a power cut leaves of the changes that were not durable. */
#include "tests/sim/disk/node.h"

#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/disk/disk.h"

/* How much of a file's unsynced changes survives: the extremes are as likely as the middle. */
typedef enum fate { FATE_NONE, FATE_ALL, FATE_SOME } fate_t;

/* A file that was also truncated keeps some number of its first changes: sizes are metadata, which
 * filesystems journal in order. */
static void crash_in_order (node_t *self, random_t *random)
{
    size_t kept = random_below (random, self->change_count + 1);
    for (size_t i = 0; i < kept; i++) {
        const change_t *change = &self->changes[i];
        if (change->truncate)
            content_resize (&self->durable, change->at);
        else
            content_write (&self->durable, change->at, change->data, change->size);
    }
}

/* Applies the part of `change` that lies in `sector`. */
static void apply_sector (content_t *content, const change_t *change, uint64_t sector)
{
    uint64_t from = sector * SIM_DISK_SECTOR;
    uint64_t to = from + SIM_DISK_SECTOR;
    from = from > change->at ? from : change->at;
    to = to < change->at + change->size ? to : change->at + change->size;
    content_write (content, from, change->data + (from - change->at), to - from);
}

/* The sectors that the changes touch: the first, and one past the last. */
static void touched (const node_t *self, uint64_t *first, uint64_t *end)
{
    *first = UINT64_MAX;
    *end = 0;
    for (size_t i = 0; i < self->change_count; i++) {
        uint64_t from = self->changes[i].at / SIM_DISK_SECTOR;
        uint64_t to =
            (self->changes[i].at + self->changes[i].size + SIM_DISK_SECTOR - 1) / SIM_DISK_SECTOR;
        *first = from < *first ? from : *first;
        *end = to > *end ? to : *end;
    }
}

/* A sector holds what it held after the first so many of the changes that touch it. */
static void crash_by_sector (node_t *self, random_t *random)
{
    uint64_t first;
    uint64_t end;
    touched (self, &first, &end);
    uint32_t *left = mem_zero (end - first, sizeof *left);
    for (size_t i = 0; i < self->change_count; i++) {
        const change_t *change = &self->changes[i];
        for (uint64_t s = change->at / SIM_DISK_SECTOR;
             s * SIM_DISK_SECTOR < change->at + change->size; s++)
            left[s - first]++;
    }
    for (uint64_t s = 0; s < end - first; s++)
        left[s] = (uint32_t)random_below (random, (uint64_t)left[s] + 1);
    for (size_t i = 0; i < self->change_count; i++) {
        const change_t *change = &self->changes[i];
        for (uint64_t s = change->at / SIM_DISK_SECTOR;
             s * SIM_DISK_SECTOR < change->at + change->size; s++)
            if (left[s - first] > 0) {
                apply_sector (&self->durable, change, s);
                left[s - first]--;
            }
    }
    mem_free (left);
}

/* The size is metadata of its own: it may be behind the data, or ahead of it with zeros between. */
static void crash_size (node_t *self, random_t *random, uint64_t size_before)
{
    uint64_t growth = self->now.size > size_before ? self->now.size - size_before : 0;
    switch (random_below (random, 4)) {
    case 0:
        content_resize (&self->durable, size_before);
        break;
    case 1:
        content_resize (&self->durable, size_before + growth);
        break;
    case 2:
        content_resize (&self->durable, size_before + random_below (random, growth + 1));
        break;
    default: /* as far as data arrived */
        break;
    }
}

static void crash_file (node_t *self, random_t *random)
{
    bool truncated = false;
    for (size_t i = 0; i < self->change_count; i++)
        truncated = truncated || self->changes[i].truncate;
    fate_t fate = (fate_t)random_below (random, 3);
    if (self->change_count == 0 || fate == FATE_NONE) {
        /* nothing more arrived */
    } else if (fate == FATE_ALL) {
        node_sync (self);
    } else if (truncated) {
        crash_in_order (self, random);
    } else {
        uint64_t size_before = self->durable.size;
        crash_by_sector (self, random);
        crash_size (self, random, size_before);
    }
    for (size_t i = 0; i < self->change_count; i++)
        mem_free (self->changes[i].data);
    self->change_count = 0;
    *self->used -= self->now.size;
    content_resize (&self->now, 0);
    content_write (&self->now, 0, self->durable.data, self->durable.size);
    *self->used += self->now.size;
}

/* Whether the changes with this coin happened: the same in every directory that they are in. */
static bool coin_falls (uint64_t coin, uint64_t salt)
{
    random_t random;
    random_seed (&random, coin ^ salt);
    return random_chance (&random, 0.5);
}

static void crash_names (node_t *self, uint64_t salt)
{
    size_t count = self->name_change_count;
    name_change_t *changes = self->name_changes;
    self->name_changes = NULL;
    self->name_change_count = self->name_change_capacity = 0;
    node_revert_names (self);
    for (size_t i = 0; i < count; i++) {
        if (coin_falls (changes[i].coin, salt))
            node_link (self, changes[i].name, changes[i].node, 0, true);
        mem_free (changes[i].name);
        node_release (&changes[i].node);
    }
    mem_free (changes);
}

void node_crash (node_t *self, random_t *random, uint64_t salt)
{
    if (!self->directory) {
        crash_file (self, random);
        return;
    }
    crash_names (self, salt);
    for (size_t i = 0; i < self->names.count; i++)
        node_crash (self->names.name[i].node, random, salt);
}

void node_settle (node_t *self)
{
    if (!self->directory) {
        node_sync (self);
        return;
    }
    node_sync_names (self);
    for (size_t i = 0; i < self->names.count; i++)
        node_settle (self->names.name[i].node);
}
