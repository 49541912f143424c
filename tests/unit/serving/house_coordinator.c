/* The coordinator that a house plays for its serving node. */
#include "tests/unit/serving/house.h"

#include <stdio.h>

static void write_orders (house_t *self, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_BEAT_OK, id);
    wire_field_uint (writer, "lease_us", HOUSE_LEASE);
    wire_field_uint (writer, "definitions", self->definitions);
    wire_field_uint (writer, "routes", self->routes);
    wire_field_list (writer, "datasets");
    wire_open_map (writer);
    wire_field_string (writer, "log", PAYMENTS_LOG);
    wire_field_uint (writer, "manifest", self->ordered);
    wire_close (writer);
    if (self->told) {
        wire_open_map (writer);
        wire_field_string (writer, "log", OTHER_LOG);
        wire_field_uint (writer, "manifest", self->other_ordered);
        if (self->filling)
            wire_field_bool (writer, "filling", true);
        wire_close (writer);
    }
    wire_close (writer);
}

static void write_routes (house_t *self, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_ROUTES_OK, id);
    wire_field_uint (writer, "version", self->routes);
    wire_field_uint (writer, "partitions", PARTITIONS);
    wire_field_list (writer, "owners");
    for (uint32_t p = 0; p < PARTITIONS && !self->nobody; p++) {
        wire_open_map (writer);
        wire_field_uint (writer, "partition", p);
        wire_field_string (writer, "endpoint", p % 2 ? "tcp://w1" : "tcp://w0");
        wire_field_uint (writer, "epoch", 1);
        wire_close (writer);
    }
    wire_close (writer);
    wire_field_list (writer, "serving");
    wire_close (writer);
    wire_field_list (writer, "speed");
    wire_close (writer);
}

static void write_file (wire_writer_t *writer, const char *path, uint64_t offset)
{
    wire_open_map (writer);
    wire_field_string (writer, "path", path);
    wire_field_uint (writer, "size", 1);
    wire_field_uint (writer, "rows", 1);
    if (offset != UINT64_MAX)
        wire_field_uint (writer, "offset", offset);
    wire_close (writer);
}

/* All runs are the base's: it makes no difference. */
static void write_layers (wire_writer_t *writer, const manifest_t *manifest, uint32_t p)
{
    wire_field_list (writer, "layers");
    for (int i = 0; i < 2; i++) {
        bool load = manifest->load_offset[p] != UINT64_MAX;
        wire_open_map (writer);
        wire_field_uint (writer, "cut", i ? manifest->cut[p] : manifest->delta_from[p]);
        wire_field_uint (writer, "runs", i ? 0 : 1 + (uint64_t)load);
        wire_field_uint (writer, "views",
                         (manifest->definitions > 0) + (uint64_t)manifest->bad_layers);
        wire_close (writer);
    }
    wire_close (writer);
}

static void write_part (house_t *self, uint64_t number, uint32_t p)
{
    const manifest_t *manifest = &self->manifest[number];
    wire_writer_t *writer = self->writer;
    wire_open_map (writer);
    wire_field_uint (writer, "partition", p);
    wire_field_uint (writer, "cut", manifest->cut[p]);
    wire_field_int (writer, "clock", manifest->clock);
    wire_field_list (writer, "runs");
    write_file (writer, house_path (number, p, "run"), UINT64_MAX);
    if (manifest->load_offset[p] != UINT64_MAX)
        write_file (writer, house_path (number, p, "load"), manifest->load_offset[p]);
    wire_close (writer);
    wire_field_list (writer, "excluded");
    if (manifest->excluded[p] != UINT64_MAX)
        wire_put_uint (writer, manifest->excluded[p]);
    wire_close (writer);
    bool delta = manifest->delta_from[p] > 0;
    wire_field_list (writer, "views");
    for (int i = 0; i <= delta && manifest->definitions; i++) {
        wire_open_map (writer);
        wire_field_string (writer, "view", "spend");
        wire_field_uint (writer, "version", manifest->definitions);
        wire_field_uint (writer, "plan", 0);
        wire_field_string (writer, "path",
                           i ? house_path (number, p, "delta")
                             : house_path (self->shares ? 1 : number, p, "view"));
        wire_close (writer);
    }
    wire_close (writer);
    if (delta)
        write_layers (writer, manifest, p);
    wire_close (writer);
}

static void write_dataset (house_t *self, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    char name[16];
    snprintf (name, sizeof name, "d%llu", (unsigned long long)self->ordered);
    wire_begin (writer, MESSAGE_DATASET_OK, id);
    wire_field_string (writer, "log", PAYMENTS_LOG);
    wire_field_uint (writer, "manifest", self->ordered);
    wire_field_string (writer, "id", name);
    wire_field_list (writer, "partitions");
    uint32_t told = self->manifest[self->ordered].short_of_one ? PARTITIONS - 1 : PARTITIONS;
    for (uint32_t p = 0; p < told; p++)
        write_part (self, self->ordered, p);
    wire_close (writer);
    wire_field_list (writer, "forgets");
    for (size_t i = 0; i < self->manifest[self->ordered].forgets; i++)
        wire_put_string (writer, "0123456789abcdef");
    wire_close (writer);
    if (self->manifest[self->ordered].written_under > 0)
        wire_field_uint (writer, "definitions", self->manifest[self->ordered].written_under);
}

/* Of the other key's log. */
static void write_other_dataset (house_t *self, uint64_t id)
{
    wire_writer_t *writer = self->writer;
    wire_begin (writer, MESSAGE_DATASET_OK, id);
    wire_field_string (writer, "log", OTHER_LOG);
    wire_field_uint (writer, "manifest", self->other_ordered);
    wire_field_string (writer, "id", "d1");
    wire_field_list (writer, "partitions");
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        wire_open_map (writer);
        wire_field_uint (writer, "partition", p);
        wire_field_uint (writer, "cut", 0);
        wire_field_int (writer, "clock", 0);
        static const char *const lists[] = { "runs", "excluded", "views" };
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
            wire_field_list (writer, lists[i]);
            wire_close (writer);
        }
        wire_close (writer);
    }
    wire_close (writer);
}

void house_coordinate (house_t *self, const message_t *message)
{
    peer_t coordinator = peer_of_endpoint (COORDINATOR);
    wire_list_t datasets;
    switch (message->kind) {
    case MESSAGE_BEAT:
        datasets = wire_list (message->body, "datasets");
        if (datasets.count > 0)
            self->reported = wire_uint (&datasets.items[0], "manifest", 0);
        self->samples = wire_has (message->body, "stale_sample");
        self->stale_sample = wire_bool (message->body, "stale_sample", false);
        house_take_damages (self, wire_list (message->body, "damaged"));
        write_orders (self, message->id);
        break;
    case MESSAGE_DEFINITIONS:
        wire_begin (self->writer, MESSAGE_DEFINITIONS_OK, message->id);
        house_write_definitions (self, self->definitions, self->writer);
        break;
    case MESSAGE_ROUTES:
        write_routes (self, message->id);
        break;
    case MESSAGE_DATASET:
        if (!text_is (wire_text (message->body, "log"), OTHER_LOG))
            write_dataset (self, message->id);
        else if (self->other_told)
            write_other_dataset (self, message->id);
        else
            return;
        break;
    default:
        cr_assert_fail ("serving asks the coordinator for %s", message_word (message->kind));
    }
    house_give (self, &coordinator);
}
