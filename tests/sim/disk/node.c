#include "tests/sim/disk/node.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

node_t *node_new (bool directory, uint64_t *used)
{
    node_t *self = mem_zero (1, sizeof *self);
    self->references = 1;
    self->directory = directory;
    self->used = used;
    return self;
}

node_t *node_retain (node_t *self)
{
    CHECK (self->references > 0);
    self->references++;
    return self;
}

/* ---- content ---- */

void content_resize (content_t *self, uint64_t size)
{
    if (size > self->capacity) {
        uint64_t capacity = self->capacity * 2 > size ? self->capacity * 2 : size;
        self->data = mem_resize (self->data, capacity, 1);
        self->capacity = capacity;
    }
    if (size > self->size)
        memset (self->data + self->size, 0, size - self->size);
    self->size = size;
}

void content_write (content_t *self, uint64_t at, const void *data, uint64_t size)
{
    if (size == 0)
        return;
    if (at + size > self->size)
        content_resize (self, at + size);
    memcpy (self->data + at, data, size);
}

/* ---- names ---- */

static size_t names_place (const names_t *self, const char *name)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp (self->name[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool names_at (const names_t *self, size_t place, const char *name)
{
    return place < self->count && strcmp (self->name[place].name, name) == 0;
}

static void names_set (names_t *self, const char *name, node_t *node)
{
    size_t place = names_place (self, name);
    node_t *held = node == NULL ? NULL : node_retain (node);
    if (names_at (self, place, name)) {
        node_release (&self->name[place].node);
        self->name[place].node = held;
        if (held != NULL)
            return;
        mem_free (self->name[place].name);
        self->count--;
        memmove (self->name + place, self->name + place + 1,
                 (self->count - place) * sizeof *self->name);
    } else if (held != NULL) {
        if (self->count == self->capacity) {
            self->capacity = self->capacity * 2 + 8;
            self->name = mem_resize (self->name, self->capacity, sizeof *self->name);
        }
        memmove (self->name + place + 1, self->name + place,
                 (self->count - place) * sizeof *self->name);
        self->name[place] = (name_t){ mem_string (name), held };
        self->count++;
    }
}

static void names_release (names_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        mem_free (self->name[i].name);
        node_release (&self->name[i].node);
    }
    mem_free (self->name);
    *self = (names_t){ 0 };
}

static void names_copy (names_t *self, const names_t *from)
{
    names_t copy = { 0 };
    for (size_t i = 0; i < from->count; i++)
        names_set (&copy, from->name[i].name, from->name[i].node);
    names_release (self);
    *self = copy;
}

/* ---- lifetime ---- */

static void changes_clear (node_t *self)
{
    for (size_t i = 0; i < self->change_count; i++)
        mem_free (self->changes[i].data);
    self->change_count = 0;
}

static void name_changes_clear (node_t *self)
{
    for (size_t i = 0; i < self->name_change_count; i++) {
        mem_free (self->name_changes[i].name);
        node_release (&self->name_changes[i].node);
    }
    self->name_change_count = 0;
}

void node_release (node_t **self_p)
{
    node_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL || --self->references > 0)
        return;
    *self->used -= self->now.size;
    changes_clear (self);
    name_changes_clear (self);
    names_release (&self->names);
    names_release (&self->durable_names);
    mem_free (self->changes);
    mem_free (self->name_changes);
    mem_free (self->now.data);
    mem_free (self->durable.data);
    mem_free (self);
}

/* ---- files ---- */

static void change_add (node_t *self, change_t change)
{
    if (self->change_count == self->change_capacity) {
        self->change_capacity = self->change_capacity * 2 + 8;
        self->changes = mem_resize (self->changes, self->change_capacity, sizeof *self->changes);
    }
    self->changes[self->change_count++] = change;
}

static void now_resize (node_t *self, uint64_t size)
{
    *self->used = *self->used - self->now.size + size;
    content_resize (&self->now, size);
}

void node_write (node_t *self, uint64_t at, const void *data, uint64_t size)
{
    if (size == 0)
        return;
    if (at + size > self->now.size)
        now_resize (self, at + size);
    content_write (&self->now, at, data, size);
    uint8_t *copy = mem_alloc (size);
    memcpy (copy, data, size);
    change_add (self, (change_t){ .at = at, .size = size, .data = copy });
}

void node_truncate (node_t *self, uint64_t size)
{
    now_resize (self, size);
    change_add (self, (change_t){ .truncate = true, .at = size });
}

static void change_apply (content_t *content, const change_t *change)
{
    if (change->truncate)
        content_resize (content, change->at);
    else
        content_write (content, change->at, change->data, change->size);
}

void node_sync (node_t *self)
{
    for (size_t i = 0; i < self->change_count; i++)
        change_apply (&self->durable, &self->changes[i]);
    changes_clear (self);
}

void node_sync_failed (node_t *self, random_t *random)
{
    for (size_t i = 0; i < self->change_count; i++)
        if (random_chance (random, 0.5))
            change_apply (&self->durable, &self->changes[i]);
    changes_clear (self);
}

/* ---- directories ---- */

node_t *node_find (const node_t *self, const char *name)
{
    size_t place = names_place (&self->names, name);
    return names_at (&self->names, place, name) ? self->names.name[place].node : NULL;
}

bool node_name_is_durable (const node_t *self, const char *name)
{
    for (size_t i = 0; i < self->name_change_count; i++)
        if (strcmp (self->name_changes[i].name, name) == 0)
            return false;
    return true;
}

void node_link (node_t *self, const char *name, node_t *node, uint64_t coin, bool durable)
{
    node_t *held = node == NULL ? NULL : node_retain (node);
    names_set (&self->names, name, held);
    if (durable) {
        names_set (&self->durable_names, name, held);
        node_release (&held);
        return;
    }
    if (self->name_change_count == self->name_change_capacity) {
        self->name_change_capacity = self->name_change_capacity * 2 + 8;
        self->name_changes =
            mem_resize (self->name_changes, self->name_change_capacity, sizeof *self->name_changes);
    }
    self->name_changes[self->name_change_count++] =
        (name_change_t){ mem_string (name), held, coin };
}

void node_sync_names (node_t *self)
{
    names_copy (&self->durable_names, &self->names);
    name_changes_clear (self);
}

void node_revert_names (node_t *self)
{
    CHECK (self->name_change_count == 0);
    names_copy (&self->names, &self->durable_names);
}
