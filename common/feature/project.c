/* project.c - the settings in weir.yaml. */
#include "feature/project.h"

#include "base/check.h"
#include "base/scheduling.h"
#include "feature/endpoint.h"
#include "feature/project_read.h"
#include "feature/tree_check.h"

#include <stdio.h>

enum {
    PROJECT_CHUNK = 16 * 1024, /* bytes of an arena chunk */
    BASE_PORT = 7600,
    SERVING_PORT = 1, /* above the base */
    SPEED_PORT = 11,
    SPEED_WORKERS = 2,
    BATCH_NICE = 10, /* about a tenth of what others have that want all */
    PATTERNS_MAX = 64,
};

/* What is known only while weir.yaml is read. */
typedef struct settings {
    project_t *project;
    arena_t *scratch;
    mistakes_t mistakes;
    const tree_node_t *endpoints[2 * PROJECT_NODES_MAX + 1]; /* seen so far */
    size_t endpoints_count;
    const char *defaults[8]; /* endpoints that were not given */
    size_t defaults_count;
} settings_t;

static const char *default_endpoint (settings_t *settings, int64_t port)
{
    char text[64];
    (void)snprintf (text, sizeof text, "tcp://127.0.0.1:%lld", (long long)port);
    const char *endpoint = arena_string (settings->project->arena, text_of (text));
    CHECK (settings->defaults_count < sizeof settings->defaults / sizeof *settings->defaults);
    settings->defaults[settings->defaults_count++] = endpoint;
    return endpoint;
}

/* An endpoint that no other node has; NULL with a mistake. */
static const char *read_endpoint (settings_t *settings, const tree_node_t *node)
{
    mistakes_t *mistakes = &settings->mistakes;
    if (!tree_check_text (mistakes, node, "an endpoint"))
        return NULL;
    error_t error;
    status_t status = endpoint_check (node->text, &error);
    if (status != STATUS_OK) {
        mistakes_add (mistakes, tree_place (node), status, "%s", error.text);
        return NULL;
    }
    for (size_t i = 0; i < settings->endpoints_count; i++) {
        if (text_equal (settings->endpoints[i]->text, node->text)) {
            tree_mistake (mistakes, node, "the endpoint is also given at line %u",
                          settings->endpoints[i]->line);
            return NULL;
        }
    }
    settings->endpoints[settings->endpoints_count++] = node;
    return arena_string (settings->project->arena, node->text);
}

/* Endpoints as given, or `count` default ones from `port` on. */
static const char **read_endpoints (settings_t *settings, const tree_node_t *node, int64_t port,
                                    size_t count, size_t *endpoints_count)
{
    arena_t *arena = settings->project->arena;
    const char **endpoints = arena_zero (arena, PROJECT_NODES_MAX, sizeof *endpoints);
    *endpoints_count = 0;
    if (node == NULL) {
        for (; *endpoints_count < count; ++*endpoints_count)
            endpoints[*endpoints_count] =
                default_endpoint (settings, port + (int64_t)*endpoints_count);
        return endpoints;
    }
    const tree_node_t *given[PROJECT_NODES_MAX];
    size_t given_count;
    if (!tree_check_texts (&settings->mistakes, node, "an endpoint, or a list of them", given,
                           PROJECT_NODES_MAX, &given_count))
        return endpoints;
    if (given_count == 0)
        tree_mistake (&settings->mistakes, node, "there must be at least one");
    for (size_t i = 0; i < given_count; i++) {
        const char *endpoint = read_endpoint (settings, given[i]);
        if (endpoint != NULL)
            endpoints[(*endpoints_count)++] = endpoint;
    }
    return endpoints;
}

/* An endpoint that was given must not be the default of a node that was left out. */
static void check_defaults (settings_t *settings)
{
    for (size_t i = 0; i < settings->endpoints_count; i++) {
        for (size_t d = 0; d < settings->defaults_count; d++) {
            if (text_is (settings->endpoints[i]->text, settings->defaults[d]))
                tree_mistake (&settings->mistakes, settings->endpoints[i],
                              "the endpoint is also the default of another node; give all of them, "
                              "or another `base_port`");
        }
    }
}

/* `coordinator` is for one, `coordinators` for several. */
static void read_coordinators (settings_t *settings, const tree_node_t *nodes, int64_t base)
{
    project_t *project = settings->project;
    const tree_node_t *one = nodes != NULL ? tree_get (nodes, "coordinator") : NULL;
    const tree_node_t *several = nodes != NULL ? tree_get (nodes, "coordinators") : NULL;
    if (one != NULL && several != NULL)
        tree_mistake (&settings->mistakes, one, "`coordinators` names them all; leave this out");
    if (one != NULL && one->kind != TREE_TEXT) {
        tree_mistake (&settings->mistakes, one,
                      "expected one endpoint; several are given as `coordinators`");
        one = NULL;
    }
    project->coordinators = read_endpoints (settings, several != NULL ? several : one, base, 1,
                                            &project->coordinators_count);
    if (project->coordinators_count > PROJECT_COORDINATORS_MAX)
        tree_mistake (&settings->mistakes, several, "there can be up to %d coordinators",
                      PROJECT_COORDINATORS_MAX);
    project->coordinator = project->coordinators_count > 0 ? project->coordinators[0] : "";
}

static void read_nodes (settings_t *settings, const tree_node_t *nodes)
{
    static const char *const known[] = {
        "coordinator",   "coordinators", "serving", "speed_workers",
        "batch_workers", "base_port",    NULL
    };
    static const tree_keys_t keys = { "`nodes`", known, NULL };
    project_t *project = settings->project;
    mistakes_t *mistakes = &settings->mistakes;
    if (nodes != NULL && !tree_check_keys (mistakes, nodes, &keys))
        return;
    const tree_node_t *node = nodes != NULL ? tree_get (nodes, "base_port") : NULL;
    int64_t base = BASE_PORT;
    if (node != NULL && !tree_read_integer (mistakes, node, "base_port", 1, 65000, &base))
        base = BASE_PORT;
    read_coordinators (settings, nodes, base);
    node = nodes != NULL ? tree_get (nodes, "serving") : NULL;
    project->serving =
        read_endpoints (settings, node, base + SERVING_PORT, 1, &project->serving_count);
    node = nodes != NULL ? tree_get (nodes, "speed_workers") : NULL;
    project->speed_workers = read_endpoints (settings, node, base + SPEED_PORT, SPEED_WORKERS,
                                             &project->speed_workers_count);
    check_defaults (settings);
    int64_t batch_workers = 1;
    if (nodes != NULL && (node = tree_get (nodes, "batch_workers")) != NULL)
        (void)tree_read_integer (mistakes, node, "batch_workers", 1, PROJECT_NODES_MAX,
                                 &batch_workers);
    project->batch_workers = (uint32_t)batch_workers;
}

static void read_batch (settings_t *settings, const tree_node_t *batch)
{
    static const char *const known[] = { "every", "nice", NULL };
    static const tree_keys_t keys = { "`batch`", known, NULL };
    project_t *project = settings->project;
    project->batch_every = 10 * TIME_MINUTE;
    project->batch_nice = BATCH_NICE;
    if (batch == NULL || !tree_check_keys (&settings->mistakes, batch, &keys))
        return;
    const tree_node_t *node = tree_get (batch, "nice");
    if (node != NULL)
        (void)tree_read_integer (&settings->mistakes, node, "nice", 0, SCHEDULING_NICE_MAX,
                                 &project->batch_nice);
    node = tree_get (batch, "every");
    if (node == NULL)
        return;
    if (node->kind == TREE_TEXT && text_is (node->text, "never"))
        project->batch_every = PROJECT_NEVER;
    else
        (void)tree_read_duration (&settings->mistakes, node, "every", TIME_SECOND, 365 * TIME_DAY,
                                  &project->batch_every);
}

/* name, default (MiB), least (MiB) */
#define LIMITS_TABLE(X)                                                                            \
    X (speed_memory, 1024, 16)                                                                     \
    X (batch_memory, 512, 16)                                                                      \
    X (serving_memory, 1024, 16)                                                                   \
    X (disk_reserve, 256, 1)

static void read_limits (settings_t *settings, const tree_node_t *limits)
{
    static const char *const known[] = {
#define X(name, otherwise, least) #name,
        LIMITS_TABLE (X)
#undef X
            NULL
    };
    static const tree_keys_t keys = { "`limits`", known, NULL };
    const uint64_t mib = 1 << 20, most = UINT64_C (1) << 40;
    project_t *project = settings->project;
#define X(name, otherwise, least) project->name = (otherwise)*mib;
    LIMITS_TABLE (X)
#undef X
    if (limits == NULL || !tree_check_keys (&settings->mistakes, limits, &keys))
        return;
    const tree_node_t *node;
#define X(name, otherwise, least)                                                                  \
    if ((node = tree_get (limits, #name)) != NULL)                                                 \
        (void)tree_read_size (&settings->mistakes, node, #name, (least)*mib, most, &project->name);
    LIMITS_TABLE (X)
#undef X
}

static void read_names (settings_t *settings, const tree_node_t *root)
{
    project_t *project = settings->project;
    mistakes_t *mistakes = &settings->mistakes;
    const tree_node_t *node = tree_get (root, "cluster");
    if (node == NULL)
        tree_mistake (mistakes, root, "weir.yaml needs `cluster`: a name");
    else if (tree_check_name (mistakes, node, "the name of a cluster"))
        project->cluster = arena_string (project->arena, node->text);
    project->name = project->cluster;
    if ((node = tree_get (root, "project")) != NULL &&
        tree_check_name (mistakes, node, "the name of a project"))
        project->name = arena_string (project->arena, node->text);
}

static void read_security (settings_t *settings, const tree_node_t *security)
{
    static const char *const known[] = { "keys", "open", NULL };
    static const tree_keys_t keys = { "`security`", known, NULL };
    project_t *project = settings->project;
    if (security == NULL || !tree_check_keys (&settings->mistakes, security, &keys))
        return;
    const tree_node_t *node = tree_get (security, "open");
    if (node != NULL)
        (void)tree_read_bool (&settings->mistakes, node, "open", &project->open);
    if (project->open && tree_get (security, "keys") != NULL)
        tree_mistake (&settings->mistakes, node, "either `keys` or `open: true`, not both");
    else if (!project->open)
        project->keys = project_read_path (project, &settings->mistakes,
                                           tree_get (security, "keys"), "keys", "a directory");
}

/* Endpoints that others can reach, without keys. */
static void check_reach (settings_t *settings)
{
    const project_t *project = settings->project;
    error_t error;
    for (size_t i = 0; i < settings->endpoints_count; i++)
        if (endpoint_check_reach (settings->endpoints[i]->text, project->keys || project->open,
                                  &error) != STATUS_OK)
            mistakes_add (&settings->mistakes, tree_place (settings->endpoints[i]), error.status,
                          "%s", error.text);
}

/* A relative path that stays below the project's directory? */
static bool is_below (text_t path)
{
    if (path.size > PATH_TEXT_MAX || path.data[0] == '/')
        return false;
    for (uint32_t i = 0, start = 0; i <= path.size; i++) {
        if (i < path.size && path.data[i] != '/')
            continue;
        if (i - start == 2 && memcmp (path.data + start, "..", 2) == 0)
            return false;
        start = i + 1;
    }
    return true;
}

static void read_patterns (settings_t *settings, const tree_node_t *node)
{
    static const char *const defaults[] = { "features/*.yaml", "features/*.yml" };
    project_t *project = settings->project;
    project->patterns = defaults;
    project->patterns_count = sizeof defaults / sizeof *defaults;
    if (node == NULL)
        return;
    const tree_node_t *given[PATTERNS_MAX];
    size_t count;
    if (!tree_check_texts (&settings->mistakes, node, "a file, or a list of files", given,
                           PATTERNS_MAX, &count))
        return;
    const char **patterns = arena_zero (project->arena, count, sizeof *patterns);
    for (size_t i = 0; i < count; i++) {
        if (!is_below (given[i]->text))
            tree_mistake (&settings->mistakes, given[i],
                          "files of definitions are below the project's directory: no leading / "
                          "and no ..");
        patterns[i] = arena_string (project->arena, given[i]->text);
    }
    project->patterns = patterns;
    project->patterns_count = count;
    project->patterns_given = true;
}

static void read_settings (settings_t *settings, const tree_node_t *root)
{
    static const char *const known[] = { "cluster", "project",     "data",     "partitions",
                                         "nodes",   "batch",       "lease",    "max_ahead",
                                         "limits",  "definitions", "security", "http",
                                         "skew",    NULL };
    static const char *const unsupported[] = { "schedule", NULL };
    static const tree_keys_t keys = { "weir.yaml", known, unsupported };
    project_t *project = settings->project;
    mistakes_t *mistakes = &settings->mistakes;
    if (!tree_check_keys (mistakes, root, &keys))
        return;
    read_names (settings, root);
    project->data =
        project_read_path (project, mistakes, tree_get (root, "data"), "data", "a directory");
    read_security (settings, tree_get (root, "security"));
    int64_t partitions = 4;
    const tree_node_t *node = tree_get (root, "partitions");
    if (node != NULL)
        (void)tree_read_integer (mistakes, node, "partitions", 1, PARTITIONS_MAX, &partitions);
    project->partitions = (uint32_t)partitions;
    read_nodes (settings, tree_get (root, "nodes"));
    check_reach (settings);
    project_read_http (project, mistakes, tree_get (root, "http"));
    project_read_skew (project, mistakes, tree_get (root, "skew"));
    read_batch (settings, tree_get (root, "batch"));
    project->max_ahead = 5 * TIME_MINUTE;
    if ((node = tree_get (root, "max_ahead")) != NULL)
        (void)tree_read_duration (mistakes, node, "max_ahead", TIME_SECOND, 3650 * TIME_DAY,
                                  &project->max_ahead);
    project->lease = 3 * TIME_SECOND;
    if ((node = tree_get (root, "lease")) != NULL)
        (void)tree_read_duration (mistakes, node, "lease", 500 * TIME_MS, TIME_MINUTE,
                                  &project->lease);
    read_limits (settings, tree_get (root, "limits"));
    read_patterns (settings, tree_get (root, "definitions"));
}

status_t project_parse (const char *directory, text_t text, project_t **project, error_t *error)
{
    *project = NULL;
    arena_t *arena = arena_new (PROJECT_CHUNK);
    project_t *out = arena_zero (arena, 1, sizeof *out);
    out->arena = arena;
    out->directory = arena_string (arena, text_of (directory));
    settings_t settings = { .project = out, .scratch = arena_new (PROJECT_CHUNK) };
    mistakes_init (&settings.mistakes, settings.scratch);
    definition_file_t file = { .name = PROJECT_FILE, .text = text };
    const tree_node_t *root = tree_read (&file, 0, settings.scratch, &settings.mistakes);
    if (root != NULL)
        read_settings (&settings, root);
    else if (settings.mistakes.total == 0)
        mistakes_add (&settings.mistakes, (place_t){ PROJECT_FILE, 0, 1, 1 }, STATUS_INVALID,
                      "the file is empty; it needs `cluster`: a name");
    status_t status = mistakes_finish (&settings.mistakes, NULL, error);
    arena_destroy (&settings.scratch);
    if (status != STATUS_OK) {
        project_destroy (&out);
        return status;
    }
    *project = out;
    return STATUS_OK;
}

void project_destroy (project_t **self_p)
{
    project_t *self = *self_p;
    if (self == NULL)
        return;
    *self_p = NULL;
    arena_t *arena = self->arena; /* holds the project itself */
    arena_destroy (&arena);
}
