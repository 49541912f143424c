#include "tests/sim/peek.h"

#include "coordinator/state.h"

#include <string.h>

bool peek_has_view (const void *core, const char *log_name, const char *view, uint32_t version)
{
    const coordinator_core_t *self = core;
    const log_t *log = NULL; /* a core's own functions are not to be had here */
    for (size_t i = 0; i < self->logs_count; i++)
        if (strcmp (self->logs[i]->name, log_name) == 0)
            log = self->logs[i];
    for (size_t p = 0; log && p < log->manifest.parts_count; p++) {
        const catalog_part_t *part = &log->manifest.parts[p];
        size_t files = 0;
        for (size_t i = 0; i < part->views_count; i++)
            files += part->views[i].version == version && strcmp (part->views[i].view, view) == 0;
        if (files != part->layers_count)
            return false;
    }
    return log != NULL;
}
