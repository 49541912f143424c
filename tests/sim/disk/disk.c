#include "tests/sim/disk/state.h"

#include "base/mem.h"

sim_disk_t *sim_disk_new (uint64_t seed, uint64_t capacity)
{
    sim_disk_t *self = mem_zero (1, sizeof *self);
    self->magic = DISK_MAGIC;
    random_seed (&self->random, seed);
    self->capacity = capacity == 0 ? UINT64_C (1) << 40 : capacity;
    self->limit = self->capacity;
    self->root = node_new (true, &self->used);
    sim_disk_mount (self);
    return self;
}

void sim_disk_destroy (sim_disk_t **self_p)
{
    sim_disk_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL)
        return;
    CHECK_OBJECT (self, DISK_MAGIC);
    CHECK (self->open_files == 0);
    CHECK (self->maps_count == 0);
    mem_free (self->maps);
    for (size_t i = 0; i < self->rotten_count; i++)
        node_release (&self->rotten[i].node);
    mem_free (self->rotten);
    node_release (&self->root);
    while (self->mounts != NULL) {
        mount_t *mount = self->mounts;
        self->mounts = mount->next;
        mem_free (mount);
    }
    mem_free (self);
}

fs_t *sim_disk_mount (sim_disk_t *self)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    mount_t *mount = mem_zero (1, sizeof *mount);
    mount->fs.ops = &sim_disk_calls_ops;
    mount->magic = MOUNT_MAGIC;
    mount->disk = self;
    mount->dies_at = mount->stops_at = SIM_DISK_NEVER;
    mount_t **end = &self->mounts;
    while (*end != NULL)
        end = &(*end)->next;
    *end = mount;
    return &mount->fs;
}

fs_t *sim_disk_fs (sim_disk_t *self)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    return &self->mounts->fs;
}

void sim_disk_set_faults (sim_disk_t *self, const sim_disk_faults_t *faults)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    self->faults = *faults;
}

void sim_disk_fail_after (fs_t *fs, uint64_t calls)
{
    mount_t *mount = mount_of (fs);
    mount->dies_at = calls > SIM_DISK_NEVER - mount->calls ? SIM_DISK_NEVER : mount->calls + calls;
}

void sim_disk_stop_after (fs_t *fs, uint64_t calls, void (*stop) (void *arg), void *arg)
{
    mount_t *mount = mount_of (fs);
    mount->stops_at = mount->calls + calls;
    mount->stop = stop;
    mount->stop_arg = arg;
}

uint64_t sim_disk_calls (const fs_t *fs)
{
    const mount_t *mount = (const mount_t *)fs;
    CHECK_OBJECT (mount, MOUNT_MAGIC);
    return mount->calls;
}

void sim_disk_crash (sim_disk_t *self, random_t *random)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    self->crashes++;
    node_crash (self->root, random, random_next (random));
    for (mount_t *mount = self->mounts; mount != NULL; mount = mount->next)
        mount->dies_at = SIM_DISK_NEVER;
}

void sim_disk_settle (sim_disk_t *self)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    node_settle (self->root);
}

/* In what is read now and in what is durable. */
static void invert (node_t *node, uint64_t bit)
{
    uint8_t mask = (uint8_t)(1U << (bit % 8));
    node->now.data[bit / 8] ^= mask;
    if (bit / 8 < node->durable.size)
        node->durable.data[bit / 8] ^= mask;
}

/* Was nothing written there since? */
static bool is_rotten (const rotten_t *rotten)
{
    uint64_t at = rotten->bit / 8;
    return at < rotten->node->now.size && rotten->node->now.data[at] == rotten->byte;
}

void sim_disk_rot (sim_disk_t *self, const char *path, uint64_t bit)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    CHECK (!self->hidden);
    node_t *node = sim_disk_node (self, path);
    CHECK (node != NULL && !node->directory);
    CHECK (bit / 8 < node->now.size);
    invert (node, bit);
    self->rotten = mem_resize (self->rotten, self->rotten_count + 1, sizeof *self->rotten);
    self->rotten[self->rotten_count++] =
        (rotten_t){ node_retain (node), bit, node->now.data[bit / 8] };
}

void sim_disk_rot_mapped (sim_disk_t *self, const char *path, uint64_t bit)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    const node_t *node = sim_disk_node (self, path);
    CHECK (node != NULL && bit / 8 < node->now.size);
    for (size_t i = 0; i < self->maps_count; i++)
        if (self->maps[i].node == node)
            self->maps[i].data[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

bool sim_disk_name_is_durable (sim_disk_t *self, const char *path)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    const char *slash = strrchr (path, '/');
    char *parent = slash ? mem_string_n (path, (size_t)(slash - path)) : mem_string (".");
    const node_t *node = sim_disk_node (self, parent);
    bool durable = node && node_find (node, slash ? slash + 1 : path) &&
                   node_name_is_durable (node, slash ? slash + 1 : path);
    mem_free (parent);
    return durable;
}

uint64_t sim_disk_durable_size (sim_disk_t *self, const char *path)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    const node_t *node = sim_disk_node (self, path);
    return node == NULL || node->directory ? 0 : node->durable.size;
}

/* Latest first, so that two in one byte are taken back in the order of a stack. */
static void take_back_rot (sim_disk_t *self, bool for_good)
{
    for (size_t i = self->rotten_count; i-- > 0;) {
        rotten_t *rotten = &self->rotten[i];
        if (is_rotten (rotten))
            invert (rotten->node, rotten->bit);
        else
            rotten->bit = UINT64_MAX;
        if (for_good)
            node_release (&rotten->node);
    }
    self->rotten_count = for_good ? 0 : self->rotten_count;
}

void sim_disk_hide (sim_disk_t *self, bool hidden)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    CHECK (self->hidden != hidden);
    self->hidden = hidden;
    if (hidden)
        take_back_rot (self, false);
    for (size_t i = 0; i < self->rotten_count && !hidden; i++)
        if (self->rotten[i].bit != UINT64_MAX)
            invert (self->rotten[i].node, self->rotten[i].bit);
}

void sim_disk_mend (sim_disk_t *self)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    CHECK (!self->hidden);
    take_back_rot (self, true);
    self->limit = self->capacity;
}

void sim_disk_set_room (sim_disk_t *self, uint64_t bytes)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    bool all = bytes >= self->capacity - self->used;
    self->limit = all ? self->capacity : self->used + bytes;
}

uint64_t sim_disk_open_files (const sim_disk_t *self)
{
    CHECK_OBJECT (self, DISK_MAGIC);
    return self->open_files;
}
