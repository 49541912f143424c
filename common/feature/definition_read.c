/* definition_read.c - all files together: every tree, then every stream, view and service. */
#include "feature/definition_read.h"

#include "base/check.h"

enum { READ_CHUNK = 64 * 1024 }; /* bytes of an arena chunk */

/* Calls `each` for every entry below a top-level key of every file. */
typedef void read_entry_t (definition_reader_t *reader, const tree_node_t *key);

static void read_section (definition_reader_t *reader, const tree_node_t *const *roots,
                          size_t count, const char *section, const char *what, read_entry_t *each)
{
    for (size_t i = 0; i < count; i++) {
        const tree_node_t *entries = roots[i] != NULL ? tree_get (roots[i], section) : NULL;
        if (entries == NULL || tree_is_empty (entries))
            continue;
        if (!tree_check_map (&reader->mistakes, entries, what))
            continue;
        for (const tree_node_t *key = entries->first; key != NULL; key = key->next)
            each (reader, key);
    }
}

/* Of what the file of the node defines. */
static definition_version_t version_of (const definition_reader_t *reader, const tree_node_t *key)
{
    const definition_version_t *versions = reader->input->versions;
    return versions != NULL ? versions[key->file->order]
                            : (definition_version_t){ 0, VERSION_ACTIVE };
}

/* Is the name new among the `count` definitions at `keys`, in its version? */
static bool check_new (definition_reader_t *reader, const tree_node_t *key,
                       const tree_node_t *const *keys, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++) {
        if (!text_equal (keys[i]->text, key->text) ||
            version_of (reader, keys[i]).version != version_of (reader, key).version)
            continue;
        tree_mistake (&reader->mistakes, key,
                      "the %s '" TEXT_FORMAT "' is already defined at "
                      "%s:%u:%u",
                      what, TEXT_ARGS (key->text), keys[i]->file->name, keys[i]->line,
                      keys[i]->column);
        return false;
    }
    return true;
}

static void read_stream_entry (definition_reader_t *reader, const tree_node_t *key)
{
    definitions_t *out = reader->out;
    if (!tree_check_name (&reader->mistakes, key, "the name of a stream") ||
        !check_new (reader, key, reader->stream_keys, out->streams_count, "stream"))
        return;
    if (out->streams_count == STREAMS_MAX) {
        tree_mistake (&reader->mistakes, key, "there are too many streams (at most %d)",
                      STREAMS_MAX);
        return;
    }
    size_t at = out->streams_count++;
    reader->stream_keys[at] = key;
    reader->stream_good[at] = stream_read (reader, key, &out->streams[at]);
}

static void read_view_entry (definition_reader_t *reader, const tree_node_t *key)
{
    definitions_t *out = reader->out;
    if (!tree_check_name (&reader->mistakes, key, "the name of a view") ||
        !check_new (reader, key, reader->view_keys, out->views_count, "view"))
        return;
    if (out->views_count == VIEWS_MAX) {
        tree_mistake (&reader->mistakes, key, "there are too many views (at most %d)", VIEWS_MAX);
        return;
    }
    size_t at = out->views_count++;
    reader->view_keys[at] = key;
    view_t *view = &out->views[at];
    reader->view_good[at] = view_read (reader, key, view);
    definition_version_t version = version_of (reader, key);
    view->state = version.state;
    view->version = version.version;
}

/* Views and services share their names. */
static bool check_no_view (definition_reader_t *reader, const tree_node_t *key)
{
    for (size_t i = 0; i < reader->out->views_count; i++) {
        const tree_node_t *view = reader->view_keys[i];
        if (!text_equal (view->text, key->text))
            continue;
        tree_mistake (&reader->mistakes, key,
                      "'" TEXT_FORMAT "' is the name of the view at %s:%u:%u; views and services "
                      "share their names: rename one of them",
                      TEXT_ARGS (key->text), view->file->name, view->line, view->column);
        return false;
    }
    return true;
}

static void read_service_entry (definition_reader_t *reader, const tree_node_t *key)
{
    definitions_t *out = reader->out;
    if (!tree_check_name (&reader->mistakes, key, "the name of a service") ||
        !check_new (reader, key, reader->service_keys, out->services_count, "service") ||
        !check_no_view (reader, key))
        return;
    if (out->services_count == SERVICES_MAX) {
        tree_mistake (&reader->mistakes, key, "there are too many services (at most %d)",
                      SERVICES_MAX);
        return;
    }
    size_t at = out->services_count++;
    reader->service_keys[at] = key;
    service_t *service = &out->services[at];
    (void)service_read (reader, key, service);
    definition_version_t version = version_of (reader, key);
    service->state = version.state;
    service->version = version.version;
}

/* The trees of all files; NULL for one that is empty or wrong. */
static const tree_node_t **read_trees (definition_reader_t *reader, const definition_file_t *files,
                                       size_t count)
{
    static const char *const known[] = { "streams", "views", "services", NULL };
    static const tree_keys_t keys = { "a file of definitions", known, NULL };
    const tree_node_t **roots = arena_zero (reader->scratch, count, sizeof *roots);
    for (size_t i = 0; i < count; i++) {
        roots[i] = tree_read (&files[i], (uint32_t)i, reader->scratch, &reader->mistakes);
        if (roots[i] != NULL && !tree_check_keys (&reader->mistakes, roots[i], &keys))
            roots[i] = NULL;
    }
    return roots;
}

/* Those of users' files, which nobody has numbered. */
static void number_the_rest (const definition_reader_t *reader)
{
    definitions_t *out = reader->out;
    for (size_t i = 0; i < out->views_count; i++)
        if (out->views[i].version == 0)
            out->views[i].version = 1;
    for (size_t i = 0; i < out->services_count && reader->input->number_views == NULL; i++)
        if (out->services[i].version == 0)
            out->services[i].version = 1;
}

static void read_files (definition_reader_t *reader)
{
    const definitions_input_t *input = reader->input;
    const definition_file_t *files = input->files;
    size_t count = input->count;
    definitions_t *out = reader->out;
    arena_t *scratch = reader->scratch;
    const tree_node_t **roots = read_trees (reader, files, count);
    reader->stream_keys = arena_zero (scratch, STREAMS_MAX, sizeof *reader->stream_keys);
    reader->stream_good = arena_zero (scratch, STREAMS_MAX, sizeof *reader->stream_good);
    reader->view_keys = arena_zero (scratch, VIEWS_MAX, sizeof *reader->view_keys);
    reader->view_good = arena_zero (scratch, VIEWS_MAX, sizeof *reader->view_good);
    reader->service_keys = arena_zero (scratch, SERVICES_MAX, sizeof *reader->service_keys);
    out->services = arena_zero (out->arena, SERVICES_MAX, sizeof *out->services);
    out->streams = arena_zero (out->arena, STREAMS_MAX, sizeof *out->streams);
    out->views = arena_zero (out->arena, VIEWS_MAX, sizeof *out->views);
    /* a file that is not well formed lacks definitions that others would then be blamed for */
    if (reader->mistakes.total > reader->mistakes.unsupported)
        return;
    read_section (reader, roots, count, "streams", "the streams by name", read_stream_entry);
    read_section (reader, roots, count, "views", "the views by name", read_view_entry);
    if (input->number_views != NULL && reader->mistakes.total == 0)
        input->number_views (input->arg, out);
    read_section (reader, roots, count, "services", "the services by name", read_service_entry);
    number_the_rest (reader);
}

status_t definitions_check_all (const definitions_input_t *input, definitions_t **definitions,
                                buf_t *lines, error_t *error)
{
    *definitions = NULL;
    arena_t *arena = arena_new (READ_CHUNK);
    definitions_t *out = arena_zero (arena, 1, sizeof *out);
    out->arena = arena;
    definition_reader_t reader = { .out = out, .scratch = arena_new (READ_CHUNK), .input = input };
    mistakes_init (&reader.mistakes, reader.scratch);
    read_files (&reader);
    status_t status = mistakes_finish (&reader.mistakes, lines, error);
    arena_destroy (&reader.scratch);
    if (status == STATUS_OK)
        *definitions = out;
    else
        definitions_destroy (&out);
    return status;
}

status_t definitions_check (const definition_file_t *files, size_t count,
                            definitions_t **definitions, buf_t *lines, error_t *error)
{
    definitions_input_t input = { .files = files, .count = count };
    return definitions_check_all (&input, definitions, lines, error);
}

status_t definitions_read (const definition_file_t *files, size_t count,
                           definitions_t **definitions, error_t *error)
{
    return definitions_check (files, count, definitions, NULL, error);
}
