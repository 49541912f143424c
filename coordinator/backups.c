/* Backups that are being taken: what they need stays, for as long as they are renewed. */
#include "coordinator/state.h"

#include <string.h>

#define PIN_LEASE (30 * TIME_SECOND)
#define DIRECTORY "backups" /* of the copies of the catalog */

/* ---- what is held ---- */

/* Bases go no further than what may have been told by now. Files stay as long as there is a pin
 * (sweep.c). */
static void hold_bases (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->logs_count; i++) {
        log_t *log = self->logs[i];
        if (log->held)
            continue;
        uint64_t *held = mem_zero (self->options.partitions, sizeof *held);
        for (uint32_t p = 0; p < self->options.partitions; p++)
            held[p] = log_base (log, p);
        log->held = held;
    }
}

static void let_go (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->logs_count; i++) {
        mem_free (self->logs[i]->held);
        self->logs[i]->held = NULL;
    }
    nodes_poke (self, ROLE_SPEED);
}

/* ---- their life ---- */

static void end_pin (coordinator_core_t *self, size_t at)
{
    pin_t *pin = self->pins[at];
    error_t error;
    if (fs_remove (self->env->fs, pin->catalog, &error) != STATUS_OK)
        env_log (self->env, LOG_WARNING, "%s", error.text);
    mem_free (pin->catalog);
    mem_free (pin);
    self->pins[at] = self->pins[--self->pins_count];
    if (self->pins_count == 0)
        let_go (self);
}

void backups_settle (coordinator_core_t *self)
{
    for (size_t i = self->pins_count; i-- > 0;)
        if (core_now (self) >= self->pins[i]->until) {
            env_log (self->env, LOG_WARNING, "backup %" PRIu64 " was given up: nobody renewed it",
                     self->pins[i]->id);
            end_pin (self, i);
        }
}

static void remove_copy (void *arg, const char *name)
{
    coordinator_core_t *self = arg;
    char *path = mem_format ("%s/%s", DIRECTORY, name);
    error_t ignored;
    (void)!fs_remove (self->env->fs, path, &ignored);
    mem_free (path);
}

void backups_end (coordinator_core_t *self)
{
    error_t ignored;
    while (self->pins_count > 0)
        end_pin (self, self->pins_count - 1);
    (void)!fs_list (self->env->fs, DIRECTORY, remove_copy, self, &ignored);
}

void backups_release (coordinator_core_t *self)
{
    for (size_t i = 0; i < self->pins_count; i++) {
        mem_free (self->pins[i]->catalog);
        mem_free (self->pins[i]);
    }
    self->pins_count = 0;
}

static pin_t *pin_of (coordinator_core_t *self, uint64_t id, size_t *at)
{
    for (size_t i = 0; i < self->pins_count; i++)
        if (self->pins[i]->id == id) {
            *at = i;
            return self->pins[i];
        }
    return NULL;
}

/* The copy is made when all that it names is held. */
static status_t copy_catalog (coordinator_core_t *self, pin_t *pin, error_t *error)
{
    status_t status = fs_make_dir (self->env->fs, DIRECTORY, error);
    if (status == STATUS_OK)
        status = catalog_copy (self->catalog, pin->catalog, error);
    if (status == STATUS_FENCED)
        (void)core_failed (self, error);
    return status;
}

static status_t begin (coordinator_core_t *self, pin_t **begun, error_t *error)
{
    status_t status = core_writable (self, error);
    if (status != STATUS_OK)
        return status;
    if (self->pins_count == PINS_MAX)
        return error_set (error, STATUS_BUSY, "%d backups are being taken already", PINS_MAX);
    if (self->sweep) /* it may be removing what the catalog had until now */
        return error_set (error, STATUS_BUSY, "old files are being removed; ask again");
    pin_t *pin = mem_zero (1, sizeof *pin);
    pin->id = (self->incarnation >> 20 << 20) + ++self->next_pin;
    pin->until = core_now (self) + PIN_LEASE;
    pin->catalog = mem_format ("%s/%016" PRIx64 ".db", DIRECTORY, pin->id);
    self->pins[self->pins_count++] = pin;
    hold_bases (self);
    status = copy_catalog (self, pin, error);
    if (status != STATUS_OK) {
        end_pin (self, self->pins_count - 1);
        return status;
    }
    env_log (self->env, LOG_INFO, "backup %" PRIu64 " begins", pin->id);
    *begun = pin;
    return STATUS_OK;
}

static void tell (coordinator_core_t *self, const peer_t *from, uint64_t message, const pin_t *pin)
{
    wire_begin (self->writer, MESSAGE_BACKUP_OK, message);
    wire_field_uint (self->writer, "id", pin->id);
    wire_field_string (self->writer, "catalog", pin->catalog);
    wire_field_uint (self->writer, "lease_us", (uint64_t)PIN_LEASE);
    core_reply (self, from, message);
}

void backup_asked (coordinator_core_t *self, const peer_t *from, const message_t *message)
{
    const wire_value_t *body = message->body;
    error_t error;
    pin_t *pin = NULL;
    size_t at = 0;
    status_t status = STATUS_OK;
    if (!wire_has (body, "id"))
        status = begin (self, &pin, &error);
    else if (!(pin = pin_of (self, wire_uint (body, "id", 0), &at)))
        status = error_set (&error, STATUS_NOT_FOUND,
                            "the backup was not renewed in time, or the coordinator was started "
                            "again: begin anew");
    if (status != STATUS_OK) {
        core_reply_error (self, from, message->id, &error);
        return;
    }
    pin->until = core_now (self) + PIN_LEASE;
    tell (self, from, message->id, pin);
    if (wire_has (body, "id") && wire_bool (body, "end", false)) {
        env_log (self->env, LOG_INFO, "backup %" PRIu64 " has all that it needs", pin->id);
        end_pin (self, at);
    }
}
