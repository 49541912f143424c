/* A partition's part of a manifest as it is put together: layers of others, and what a build made.
 */
#include "coordinator/state.h"

#include <string.h>

catalog_run_t part_copy_run (const catalog_run_t *run, arena_t *arena)
{
    catalog_run_t copy = *run;
    copy.path = arena_string (arena, text_of (run->path));
    return copy;
}

static catalog_view_file_t copy_view (const catalog_view_file_t *view, arena_t *arena)
{
    catalog_view_file_t copy = *view;
    copy.view = arena_string (arena, text_of (view->view));
    copy.path = arena_string (arena, text_of (view->path));
    return copy;
}

/* The items in a new place with room for more. */
static void *with_room (arena_t *arena, const void *items, size_t count, size_t more, size_t size)
{
    char *larger = arena_zero (arena, count + more, size);
    if (count > 0)
        memcpy (larger, items, count * size);
    return larger;
}

static void make_room (catalog_part_t *part, size_t layers, size_t runs, size_t views,
                       arena_t *arena)
{
    part->layers =
        with_room (arena, part->layers, part->layers_count, layers, sizeof *part->layers);
    part->runs = with_room (arena, part->runs, part->runs_count, runs, sizeof *part->runs);
    part->views = with_room (arena, part->views, part->views_count, views, sizeof *part->views);
}

void part_add_layers (catalog_part_t *part, const catalog_part_t *from, size_t first, size_t end,
                      arena_t *arena)
{
    size_t run = 0;
    size_t view = 0;
    CHECK (first <= end && end <= from->layers_count);
    make_room (part, end - first, from->runs_count, from->views_count, arena);
    for (size_t i = 0; i < end; i++) {
        const catalog_layer_t *layer = &from->layers[i];
        if (i >= first) {
            part->layers[part->layers_count++] = *layer;
            for (size_t r = 0; r < layer->runs_count; r++)
                part->runs[part->runs_count++] = part_copy_run (&from->runs[run + r], arena);
            for (size_t v = 0; v < layer->views_count; v++)
                part->views[part->views_count++] = copy_view (&from->views[view + v], arena);
        }
        run += layer->runs_count;
        view += layer->views_count;
    }
}

/* ---- what a worker made ---- */

static status_t take_run (catalog_part_t *part, const char *log, const wire_value_t *run,
                          arena_t *arena, error_t *error)
{
    text_t path = wire_text (run, "path");
    if (!task_path_good (path, "history", log, part->partition))
        return error_set (error, STATUS_INVALID, "a run at \"" TEXT_FORMAT "\"", TEXT_ARGS (path));
    part->runs[part->runs_count++] =
        (catalog_run_t){ .path = arena_string (arena, path),
                         .size = wire_uint (run, "size", 0),
                         .rows = wire_uint (run, "rows", 0),
                         .offset = wire_uint (run, "offset", UINT64_MAX) };
    return STATUS_OK;
}

static status_t take_view (catalog_part_t *part, const char *log, const wire_value_t *view,
                           arena_t *arena, error_t *error)
{
    text_t path = wire_text (view, "path");
    if (!task_path_good (path, "views", log, part->partition))
        return error_set (error, STATUS_INVALID, "a view at \"" TEXT_FORMAT "\"", TEXT_ARGS (path));
    part->views[part->views_count++] =
        (catalog_view_file_t){ .view = arena_string (arena, wire_text (view, "view")),
                               .version = (uint32_t)wire_uint (view, "version", 0),
                               .plan = wire_uint (view, "plan", 0),
                               .path = arena_string (arena, path),
                               .size = wire_uint (view, "size", 0) };
    return STATUS_OK;
}

status_t part_add_outputs (catalog_part_t *part, const char *log, catalog_layer_t layer,
                           const wire_value_t *outputs, arena_t *arena, error_t *error)
{
    wire_list_t runs = wire_list (outputs, "runs");
    wire_list_t views = wire_list (outputs, "views");
    size_t runs_before = part->runs_count;
    size_t views_before = part->views_count;
    status_t status = STATUS_OK;
    make_room (part, 1, runs.count, views.count, arena);
    for (uint32_t i = 0; status == STATUS_OK && i < runs.count; i++)
        status = take_run (part, log, &runs.items[i], arena, error);
    for (uint32_t i = 0; status == STATUS_OK && i < views.count; i++)
        status = take_view (part, log, &views.items[i], arena, error);
    if (status != STATUS_OK)
        return status;
    layer.latest = wire_int (outputs, "latest", INT64_MIN);
    layer.runs_count = part->runs_count - runs_before;
    layer.views_count = part->views_count - views_before;
    if (part->layers_count == 0 || layer.runs_count > 0)
        part->layers[part->layers_count++] = layer;
    else
        part->views_count = views_before; /* a delta of nothing */
    return STATUS_OK;
}
