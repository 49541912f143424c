/* Files of datasets that serving nodes found damaged: told in status, and views built again. */
#include "coordinator/state.h"

#include <string.h>

void damage_forget (node_t *node)
{
    for (size_t i = 0; i < node->damages_count; i++) {
        mem_free (node->damages[i].log);
        mem_free (node->damages[i].path);
        mem_free (node->damages[i].reason);
    }
    mem_free (node->damages);
    node->damages = NULL;
    node->damages_count = 0;
}

static bool was_known (const node_t *node, text_t path)
{
    for (size_t i = 0; i < node->damages_count; i++)
        if (text_is (path, node->damages[i].path))
            return true;
    return false;
}

void damage_take (coordinator_core_t *self, node_t *node, wire_list_t damaged)
{
    uint32_t count = damaged.count < DAMAGES_MAX ? damaged.count : DAMAGES_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (!was_known (node, wire_text (&damaged.items[i], "path")))
            env_log (self->env, LOG_ERROR, "%s does not use " TEXT_FORMAT ": " TEXT_FORMAT,
                     node->name, TEXT_ARGS (wire_text (&damaged.items[i], "path")),
                     TEXT_ARGS (wire_text (&damaged.items[i], "reason")));
    damage_forget (node);
    node->damages = mem_zero (count, sizeof *node->damages);
    node->damages_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const wire_value_t *item = &damaged.items[i];
        node->damages[i] = (damage_t){ .log = core_text (wire_text (item, "log")),
                                       .manifest = wire_uint (item, "manifest", 0),
                                       .partition = (uint32_t)wire_uint (item, "partition", 0),
                                       .view = text_is (wire_text (item, "kind"), "view"),
                                       .path = core_text (wire_text (item, "path")),
                                       .reason = core_text (wire_text (item, "reason")) };
    }
}

/* A node that can read no file does not read the next one either. */
static void wait_longer (coordinator_core_t *self, log_t *log)
{
    int64_t now = core_now (self);
    if (now >= log->damage_at + BACKOFF_LAST)
        log->damages = 0;
    int64_t wait = RETRY_LAST << (log->damages < 16 ? log->damages : 16);
    log->damage_at = now + (wait < BACKOFF_LAST ? wait : BACKOFF_LAST);
    log->damages++;
}

/* Once for a manifest: when it does not come about, the schedule tries again in its own time. */
static void settle_one (coordinator_core_t *self, const damage_t *damage)
{
    log_t *log = log_named (self, text_of (damage->log));
    if (!log || log->dropped || !log->begun || !damage->view ||
        damage->manifest != log->manifest.number || log->damage_asked == damage->manifest ||
        core_now (self) < log->damage_at)
        return;
    error_t error;
    uint64_t id;
    char *reason = mem_format ("a batch view is damaged: %s", damage->path);
    if (recompute_request (self, log, reason, true, &id, &error) == STATUS_OK) {
        log->damage_asked = damage->manifest;
        wait_longer (self, log);
    }
    mem_free (reason);
}

void damage_settle (coordinator_core_t *self)
{
    for (size_t n = 0; n < self->nodes_count && !self->doubtful; n++)
        for (size_t i = 0; i < self->nodes[n]->damages_count && !self->doubtful; i++)
            settle_one (self, &self->nodes[n]->damages[i]);
}

void damage_write (coordinator_core_t *self, const log_t *log)
{
    wire_writer_t *writer = self->writer;
    bool any = false;
    for (size_t n = 0; n < self->nodes_count; n++) {
        const node_t *node = self->nodes[n];
        for (size_t i = 0; i < node->damages_count; i++) {
            const damage_t *damage = &node->damages[i];
            if (strcmp (damage->log, log->name) != 0)
                continue;
            if (!any)
                wire_field_list (writer, "damaged");
            any = true;
            wire_open_map (writer);
            wire_field_string (writer, "node", node->name);
            wire_field_uint (writer, "partition", damage->partition);
            wire_field_string (writer, "kind", damage->view ? "view" : "run");
            wire_field_string (writer, "path", damage->path);
            wire_field_string (writer, "reason", damage->reason);
            wire_close (writer);
        }
    }
    if (any)
        wire_close (writer);
}
