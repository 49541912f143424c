/* Texts that are given are read together with those that stay. Which of the latter do shows only
 * then: a definition that means something else leaves the version before it in place. So they are
 * read again until nothing changes in that, which is three times at most. */
#include "coordinator/changes.h"
#include "feature/yaml_tree.h"

#include <string.h>

typedef struct reading {
    coordinator_core_t *self;
    changes_t *changes;
    const tree_node_t **trees; /* of the files that are given */
    definition_file_t *files;  /* these, and what stays */
    definition_version_t *versions;
    size_t files_count;
    status_t status; /* of numbering the views */
    error_t *error;
} reading_t;

static bool is_told (const catalog_object_t *object)
{
    return strcmp (object->kind, "stream") == 0 ||
           (object_is_version (object) && !object_is_retired (object));
}

/* Is a definition of that kind and name in one of the files? */
static bool is_defined (const reading_t *reading, const catalog_object_t *it)
{
    const char *section = strcmp (it->kind, "stream") == 0 ? "streams"
                          : strcmp (it->kind, "view") == 0 ? "views"
                                                           : "services";
    for (size_t i = 0; i < reading->changes->request->files_count; i++) {
        const tree_node_t *tree = reading->trees[i];
        if (!tree || tree->kind != TREE_MAP)
            continue;
        const tree_node_t *names = tree_get (tree, section);
        if (names && names->kind == TREE_MAP && tree_get (names, it->name))
            return true;
    }
    return false;
}

/* Before anything is compared. */
static fate_t first_fate (const reading_t *reading, const catalog_object_t *object)
{
    const change_request_t *request = reading->changes->request;
    if (request->removed_kind && strcmp (request->removed_kind, object->kind) == 0 &&
        text_is (request->removed, object->name))
        return FATE_GOES;
    if (!is_defined (reading, object))
        return request->prune ? FATE_GOES : FATE_STAYS;
    if (object_is_version (object) &&
        versions_newest (reading->self, object->kind, object->name) != object)
        return FATE_STAYS;
    return FATE_COMPARED;
}

/* What is wrong with the files is told when they are read in earnest. */
static void find_fates (reading_t *reading)
{
    changes_t *changes = reading->changes;
    const change_request_t *request = changes->request;
    coordinator_core_t *self = reading->self;
    mistakes_t mistakes;
    mistakes_init (&mistakes, changes->arena);
    reading->trees = arena_zero (changes->arena, request->files_count, sizeof (tree_node_t *));
    for (size_t i = 0; i < request->files_count; i++)
        reading->trees[i] = tree_read (&request->files[i], (uint32_t)i, changes->arena, &mistakes);
    changes->fates = arena_zero (changes->arena, self->objects_count, sizeof *changes->fates);
    for (size_t i = 0; i < self->objects_count; i++)
        if (is_told (&self->objects[i]))
            changes->fates[i] = first_fate (reading, &self->objects[i]);
}

/* How the text is called where it is blamed: what is kept as it was may be let go. */
static const char *name_of (const reading_t *reading, const catalog_object_t *object)
{
    bool kept = object_is_version (object) &&
                (object_state (object) != VERSION_ACTIVE || is_defined (reading, object));
    char *name = kept ? mem_format ("(%s@v%" PRIu32 ", which is kept, unless you `weir retire` it)",
                                    object->name, object->version)
                      : mem_format ("(stored %s %s)", object->kind, object->name);
    const char *copy = arena_string (reading->changes->arena, text_of (name));
    mem_free (name);
    return copy;
}

static void gather (reading_t *reading)
{
    coordinator_core_t *self = reading->self;
    const changes_t *changes = reading->changes;
    const change_request_t *request = changes->request;
    size_t count = 0;
    for (; count < request->files_count; count++) {
        reading->files[count] = request->files[count];
        reading->versions[count] = (definition_version_t){ 0, VERSION_ACTIVE };
    }
    for (size_t i = 0; i < self->objects_count; i++) {
        const catalog_object_t *object = &self->objects[i];
        if (!is_told (object) || changes->fates[i] > FATE_RENEWED)
            continue;
        reading->files[count] =
            (definition_file_t){ name_of (reading, object), text_of (object->text) };
        reading->versions[count++] =
            (definition_version_t){ object->version, object_state (object) };
    }
    reading->files_count = count;
}

static void number_views (void *arg, definitions_t *next)
{
    reading_t *reading = arg;
    changes_t *changes = reading->changes;
    size_t most = 2 * next->streams_count + (1 + SOURCES_MAX) * next->views_count + SERVICES_MAX +
                  3 * reading->self->objects_count;
    changes->list = arena_zero (changes->arena, most, sizeof (change_t));
    changes->objects = arena_zero (changes->arena, most, sizeof (catalog_object_t));
    changes->count = changes->objects_count = 0;
    changes->any = false;
    reading->status = changes_views (reading->self, next, changes, reading->error);
}

static status_t read_once (reading_t *reading, definitions_t **next, buf_t *lines, error_t *error)
{
    gather (reading);
    definitions_input_t input = { reading->files, reading->versions, reading->files_count,
                                  number_views, reading };
    reading->changes->again = false;
    reading->status = STATUS_OK;
    buf_clear (lines);
    error_t numbering;
    reading->error = &numbering;
    status_t status = definitions_check_all (&input, next, lines, error);
    if (reading->status != STATUS_OK) { /* the services' mistakes may only follow from that */
        definitions_destroy (next);
        buf_clear (lines);
        *error = numbering;
        return reading->status;
    }
    if (status == STATUS_OK)
        status = changes_services (reading->self, *next, reading->changes, error);
    return status;
}

status_t changes_read (coordinator_core_t *self, const change_request_t *request, arena_t *arena,
                       changes_t *changes, buf_t *lines, error_t *error)
{
    *changes =
        (changes_t){ .arena = arena, .request = request, .now = self->env->clock_us (self->env) };
    size_t most = request->files_count + self->objects_count;
    reading_t reading = { .self = self,
                          .changes = changes,
                          .files = arena_zero (arena, most, sizeof (definition_file_t)),
                          .versions = arena_zero (arena, most, sizeof (definition_version_t)) };
    definitions_t *next = NULL;
    find_fates (&reading);
    status_t status;
    do {
        definitions_destroy (&next);
        status = read_once (&reading, &next, lines, error);
    } while (changes->again && (status == STATUS_OK || next == NULL));
    if (status == STATUS_OK)
        status = changes_rest (self, next, changes, error);
    for (size_t i = 0; i < changes->objects_count && status == STATUS_OK; i++) {
        catalog_object_t *object = &changes->objects[i]; /* the texts are those of `next` */
        object->text = arena_string (arena, text_of (object->text));
        object->kind = arena_string (arena, text_of (object->kind));
        object->name = arena_string (arena, text_of (object->name));
    }
    for (size_t i = 0; i < changes->count && status == STATUS_OK; i++)
        changes->list[i].name = arena_string (arena, text_of (changes->list[i].name));
    definitions_destroy (&next);
    return status;
}
