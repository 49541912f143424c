/* Somebody who loads files, waits until they are visible, and takes some back. */
#include "tests/sim/check.h"
#include "tests/sim/clients.h"
#include "tests/sim/shadow.h"
#include "tests/sim/world.h"

#include "base/check.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { LOAD_ROWS_MAX = 60, CSV_SIZE_MAX = 1 << 20 };

struct sim_loader {
    sim_t *sim;
    sim_client_t *client;
    fs_t *fs;
    bool stopped;
    bool unload;      /* the load is to be taken back */
    sim_load_t *load; /* the one under way, or NULL */
    uint64_t size;
};

static void begin (sim_loader_t *self);
static void look (sim_t *sim, void *arg);

static void begin_call (sim_t *sim, void *arg)
{
    sim_loader_t *self = arg;
    if (!sim_finished (sim) && !self->stopped && !self->load)
        begin (self);
}

static void wait_and_begin (sim_loader_t *self)
{
    self->load = NULL;
    int64_t wait = (int64_t)sim_chosen (self->sim, 100, 15000) * TIME_MS;
    sim_at (self->sim, sim_now (self->sim) + wait, begin_call, self);
}

static void look_later (sim_loader_t *self)
{
    sim_at (self->sim, sim_now (self->sim) + (int64_t)sim_chosen (self->sim, 100, 1000) * TIME_MS,
            look, self);
}

/* ---- taking back ---- */

static void ask_unload (sim_t *sim, void *arg);

static bool is_too_late (const message_t *reply)
{
    char text[1024];
    if (reply->kind != MESSAGE_ERROR)
        return false;
    wire_copy (reply->body, "text", text, sizeof text);
    return strstr (text, "is older than the key of") != NULL;
}

static void unload_answered (void *arg, const message_t *reply)
{
    sim_loader_t *self = arg;
    if (reply && reply->kind == MESSAGE_UNLOAD_OK)
        look_later (self);
    else if (reply && is_too_late (reply)) {
        self->unload = false; /* a newer key has it in its history */
        look_later (self);
    } else if (reply && client_status (reply) == STATUS_INVALID)
        look_later (self); /* the first question did it, and only its answer was lost */
    else if (client_may_retry (self->sim, "an unload", reply))
        sim_at (self->sim, sim_now (self->sim) + 500 * TIME_MS, ask_unload, self);
}

static void ask_unload (sim_t *sim, void *arg)
{
    sim_loader_t *self = arg;
    if (sim_finished (sim))
        return;
    self->load->undone = true;
    wire_writer_t *writer = client_begin (self->client, MESSAGE_UNLOAD);
    wire_field_string (writer, "id", self->load->id);
    client_ask (self->client, client_coordinator (self->client), 2 * TIME_SECOND, unload_answered,
                self);
}

/* ---- looking ---- */

static void take_state (sim_loader_t *self, const wire_value_t *load)
{
    text_t state = wire_text (load, "state");
    if (text_is (state, "visible") && !self->load->visible) {
        sim_log (self->sim, "load %s is visible", self->load->id);
        self->load->visible = true;
        self->load->visible_at = sim_now (self->sim);
        if (self->unload) {
            ask_unload (self->sim, self);
            return;
        }
    }
    if (text_is (state, "unloaded")) {
        sim_log (self->sim, "load %s is unloaded", self->load->id);
        self->load->unloaded = true;
        self->load->unloaded_at = sim_now (self->sim);
    }
    if (text_is (state, "failed")) {
        self->load->failed = true;
        sim_log (self->sim, "load %s failed: " TEXT_FORMAT, self->load->id,
                 TEXT_ARGS (wire_text (load, "error")));
        if (!sim_has_bad_disks (self->sim))
            sim_fail (self->sim, "load %s failed: " TEXT_FORMAT, self->load->id,
                      TEXT_ARGS (wire_text (load, "error")));
    }
    if (self->load->failed || self->load->unloaded || (self->load->visible && !self->unload))
        wait_and_begin (self);
    else
        look_later (self);
}

static void looked (void *arg, const message_t *reply)
{
    sim_loader_t *self = arg;
    if (!reply || reply->kind != MESSAGE_LOADS_OK) {
        if (client_may_retry (self->sim, "`loads`", reply))
            look_later (self);
        return;
    }
    wire_list_t loads = wire_list (reply->body, "loads");
    for (uint32_t i = 0; i < loads.count; i++)
        if (text_is (wire_text (&loads.items[i], "id"), self->load->id)) {
            take_state (self, &loads.items[i]);
            return;
        }
    sim_fail (self->sim, "load %s was accepted, and is forgotten", self->load->id);
}

static void look (sim_t *sim, void *arg)
{
    sim_loader_t *self = arg;
    if (sim_finished (sim))
        return;
    wire_writer_t *writer = client_begin (self->client, MESSAGE_LOADS);
    wire_field_string (writer, "id", self->load->id);
    client_ask (self->client, client_coordinator (self->client), 2 * TIME_SECOND, looked, self);
}

/* ---- loading ---- */

static void ask_load (sim_t *sim, void *arg);

static void load_answered (void *arg, const message_t *reply)
{
    sim_loader_t *self = arg;
    bool taken = reply && (reply->kind == MESSAGE_LOAD_OK ||
                           client_status (reply) == STATUS_EXISTS); /* an answer was lost */
    if (taken && self->load->taken == 0)
        self->load->taken = sim_now (self->sim);
    /* an answer was lost, and the load has failed by now: its copy is gone */
    bool over = reply && !taken && client_status (reply) == STATUS_NOT_FOUND;
    if (taken || over)
        look_later (self);
    else if (client_may_retry (self->sim, "a load", reply))
        sim_at (self->sim, sim_now (self->sim) + 500 * TIME_MS, ask_load, self);
}

static void ask_load (sim_t *sim, void *arg)
{
    sim_loader_t *self = arg;
    if (sim_finished (sim))
        return;
    char path[96];
    snprintf (path, sizeof path, "incoming/%s", self->load->id);
    wire_writer_t *writer = client_begin (self->client, MESSAGE_LOAD);
    wire_field_string (writer, "stream",
                       check_data (sim_check (sim))->stream[self->load->stream]->name);
    wire_field_string (writer, "path", path);
    wire_field_string (writer, "id", self->load->id);
    wire_field_string (writer, "name", "rows.csv");
    wire_field_string (writer, "format", "csv");
    client_ask (self->client, client_coordinator (self->client), 2 * TIME_SECOND, load_answered,
                self);
}

static void store (sim_loader_t *self, const char *id, const buf_t *text)
{
    char path[96];
    snprintf (path, sizeof path, "incoming/%s", id);
    file_t *file = NULL;
    error_t error;
    sim_disk_calm (self->sim, true);
    status_t status = fs_make_dir (self->fs, "incoming", &error);
    if (status == STATUS_OK)
        status = fs_open (self->fs, path, FS_WRITE, &file, &error);
    if (status == STATUS_OK)
        status = fs_write (self->fs, file, 0, text->data, text->size, &error);
    if (status == STATUS_OK)
        status = fs_sync (self->fs, file, &error);
    fs_close (self->fs, &file);
    if (status == STATUS_OK)
        status = fs_sync_dir (self->fs, "incoming", &error);
    sim_disk_calm (self->sim, false);
    CHECK (status == STATUS_OK);
}

static void begin (sim_loader_t *self)
{
    sim_check_t *check = sim_check (self->sim);
    const sim_data_t *data = check_data (check);
    arena_t *arena = check_arena (check);
    sim_load_t *load = arena_zero (arena, 1, sizeof *load);
    load->stream = sim_chance (self->sim, 0.3) ? 1 : 0;
    load->count = sim_chosen (self->sim, 1, LOAD_ROWS_MAX);
    load->rows = arena_zero (arena, load->count, sizeof *load->rows);
    buf_t text;
    buf_init (&text, CSV_SIZE_MAX);
    unsigned used = data_some_steps (data, self->sim);
    data_write_header (data, load->stream, used, &text);
    for (size_t i = 0; i < load->count; i++) {
        data_row (data, self->sim, load->stream, used, sim_wall (self->sim) - 10 * TIME_MINUTE,
                  true, arena, &load->rows[i]);
        data_write_csv (data, load->stream, used, &load->rows[i], &text);
    }
    CHECK (!text.bad);
    XXH128_hash_t hash = XXH3_128bits (text.data, text.size);
    snprintf (load->id, sizeof load->id, "%016" PRIx64 "%016" PRIx64, hash.high64, hash.low64);
    store (self, load->id, &text);
    buf_release (&text);
    check_add_load (check, load);
    self->load = load;
    self->unload = sim_knobs (self->sim)->unloads && sim_chance (self->sim, 0.5);
    sim_log (self->sim, "load %s of %zu rows into %s", load->id, load->count,
             data->stream[load->stream]->name);
    ask_load (self->sim, self);
}

sim_loader_t *loader_new (sim_t *sim)
{
    sim_loader_t *self = mem_zero (1, sizeof *self);
    self->sim = sim;
    self->client = client_new (sim, "loader");
    self->fs = sim_disk_mount (sim_disk (sim));
    return self;
}

void loader_destroy (sim_loader_t **self_p)
{
    sim_loader_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    client_destroy (&self->client);
    mem_free (self);
}

void loader_start (sim_loader_t *self)
{
    if (sim_knobs (self->sim)->loads)
        wait_and_begin (self);
}

void loader_stop (sim_loader_t *self)
{
    self->stopped = true;
}

bool loader_is_done (const sim_loader_t *self)
{
    return self->load == NULL;
}
