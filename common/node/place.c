#include "node/place.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "feature/endpoint.h"
#include "storage/posix_fs.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- name and endpoint ---- */

static status_t choose_name (place_t *place, node_kind_t kind, const char *given, error_t *error)
{
    const char *word = node_kind_word (kind);
    if (!given)
        snprintf (place->name, sizeof place->name, kind == NODE_COORDINATOR ? "%s" : "%s-1", word);
    else if (strlen (given) > NODE_NAME_MAX)
        return error_set (error, STATUS_INVALID, "the name of a node has up to %d bytes",
                          NODE_NAME_MAX);
    else
        snprintf (place->name, sizeof place->name, "%s", given);
    for (const char *at = place->name; *at || at == place->name; at++) {
        if (!isascii (*at) ||
            (!isalnum ((unsigned char)*at) && (at == place->name || !strchr ("-_.", *at))))
            return error_set (error, STATUS_INVALID,
                              "\"%s\" is no name for a node: expected letters, digits, \"-\", "
                              "\"_\" and \".\", as in %s-1",
                              place->name, word);
    }
    return STATUS_OK;
}

/* n of "<kind>-n"; 1 for the kind alone; 0 when the name is of another form. */
static int64_t number_in_name (const char *name, const char *word)
{
    size_t size = strlen (word);
    int64_t number = 0;
    if (strcmp (name, word) == 0)
        return 1;
    if (strncmp (name, word, size) != 0 || name[size] != '-' ||
        !number_parse_int (text_of (name + size + 1), &number) || number < 1)
        return 0;
    return number;
}

/* With a "*" for a port that is free, which is for the command line only. */
static status_t check_listen (const char *listen, bool is_secured, error_t *error)
{
    size_t size = strlen (listen);
    char concrete[PEER_SIZE_MAX + 1];
    if (size < 2 || size > PEER_SIZE_MAX - 1)
        return error_set (error, STATUS_INVALID,
                          "\"%s\" is no endpoint: expected tcp://host:port or ipc://path", listen);
    memcpy (concrete, listen, size + 1);
    if (strcmp (concrete + size - 2, ":*") == 0)
        concrete[size - 1] = '1';
    if (endpoint_check (text_of (concrete), error) != STATUS_OK ||
        endpoint_check_reach (text_of (concrete), is_secured, error) != STATUS_OK)
        return error_prefix (error, "cannot listen at \"%s\"", listen);
    return STATUS_OK;
}

/* Where weir.yaml lets a node of this name listen; NULL with the reason. */
static const char *listed_endpoint (const place_t *place, node_kind_t kind,
                                    const project_t *project, error_t *error)
{
    const char *const *endpoints = kind == NODE_COORDINATOR ? project->coordinators
                                   : kind == NODE_SERVING   ? project->serving
                                                            : project->speed_workers;
    size_t count = kind == NODE_COORDINATOR ? project->coordinators_count
                   : kind == NODE_SERVING   ? project->serving_count
                                            : project->speed_workers_count;
    const char *word = node_kind_word (kind);
    int64_t number = number_in_name (place->name, word);
    if (kind == NODE_COORDINATOR && count == 1)
        number = 1; /* whatever it is called */
    if (number >= 1 && (uint64_t)number <= count)
        return endpoints[number - 1];
    (void)error_set (error, STATUS_INVALID,
                     "weir.yaml has no endpoint for %s: it lists %zu under %s; choose a name from "
                     "%s%s on, or say where to listen with --listen",
                     place->name, count,
                     kind == NODE_COORDINATOR ? "coordinators"
                     : kind == NODE_SERVING   ? "serving"
                                              : "speed_workers",
                     word, kind == NODE_COORDINATOR ? "" : "-1");
    return NULL;
}

static status_t choose_endpoint (place_t *place, node_kind_t kind, const node_options_t *options,
                                 const project_t *project, error_t *error)
{
    place->listen = options->listen;
    if (!place->listen && kind != NODE_BATCH_WORKER) {
        place->listen = listed_endpoint (place, kind, project, error);
        if (!place->listen)
            return error->status;
    }
    bool is_secured = project->keys || project->open;
    return place->listen ? check_listen (place->listen, is_secured, error) : STATUS_OK;
}

/* ---- the cluster file ---- */

static status_t write_cluster (fs_t *fs, const project_t *project, cluster_file_t *file,
                               error_t *error)
{
    uint64_t random[2];
    do {
        if (getrandom (random, sizeof random, 0) != sizeof random)
            return error_set_errno (error, errno, "cannot get random bytes");
    } while (random[0] == 0 || random[1] == 0);
    if (strlen (project->cluster) > CLUSTER_NAME_MAX)
        return error_set (error, STATUS_INVALID, "the name of the cluster is too long");
    *file =
        (cluster_file_t){ .id = random[0], .place = random[1], .partitions = project->partitions };
    snprintf (file->name, sizeof file->name, "%s", project->cluster);
    return cluster_file_write (fs, file, error);
}

/* Is this the cluster file of our project? */
static status_t check_cluster (const cluster_file_t *file, const project_t *project, error_t *error)
{
    if (strcmp (file->name, project->cluster) != 0)
        return error_set (error, STATUS_INVALID,
                          "the data directory %s belongs to the cluster \"%s\" and weir.yaml says "
                          "\"%s\": choose another directory (data in weir.yaml, or --data)",
                          project->data, file->name, project->cluster);
    if (file->partitions != project->partitions)
        return error_set (error, STATUS_INVALID,
                          "the cluster in %s has %u partitions and weir.yaml says %u: they never "
                          "change; set them back, or choose another directory",
                          project->data, file->partitions, project->partitions);
    return STATUS_OK;
}

static status_t agree_on_cluster (fs_t *fs, const project_t *project, cluster_file_t *file,
                                  error_t *error)
{
    status_t status = cluster_file_read (fs, file, error);
    if (status == STATUS_NOT_FOUND)
        return write_cluster (fs, project, file, error);
    return status == STATUS_OK ? check_cluster (file, project, error)
                               : error_prefix (error, "the data directory %s", project->data);
}

/* ---- the data directory ---- */

/* The directories above the data directory, which posix_fs_open does not make. */
static void make_parents (const char *path)
{
    char *copy = mem_string (path);
    for (char *at = copy + 1; *at; at++) {
        if (*at == '/') {
            *at = '\0';
            (void)!mkdir (copy, 0777); /* what went wrong is told by the open */
            *at = '/';
        }
    }
    mem_free (copy);
}

static status_t lock_node (place_t *place, const char *data, error_t *error)
{
    char path[NODE_NAME_MAX + 16];
    snprintf (path, sizeof path, "nodes/%s.lock", place->name);
    if (fs_make_dir (place->fs, "nodes", error) != STATUS_OK)
        return error->status;
    status_t status = posix_fs_lock (place->fs, path, &place->lock, error);
    if (status == STATUS_BUSY)
        return error_set (error, STATUS_BUSY,
                          "%s runs already on %s; stop it, or give this one another --name",
                          place->name, data);
    return status;
}

static status_t open_data (place_t *place, const project_t *project, const char *data,
                           error_t *error)
{
    project_t here = *project;
    here.data = data;
    if (posix_fs_refuse_network (data, error) != STATUS_OK)
        return error->status;
    make_parents (data);
    file_t *lock;
    if (posix_fs_open (data, &place->fs, error) != STATUS_OK ||
        posix_fs_lock_wait (place->fs, CLUSTER_LOCK, &lock, error) != STATUS_OK)
        return error->status;
    /* nodes of one cluster start together: the first to hold the lock writes the file */
    status_t status = agree_on_cluster (place->fs, &here, &place->cluster, error);
    if (status == STATUS_OK)
        status = lock_node (place, data, error);
    fs_close (place->fs, &lock);
    return status;
}

status_t place_open (place_t *place, node_kind_t kind, const node_options_t *options,
                     const project_t *project, error_t *error)
{
    *place = (place_t){ .listen = NULL };
    const char *data = options->data ? options->data : project->data;
    status_t status = choose_name (place, kind, options->name, error);
    if (status == STATUS_OK)
        status = choose_endpoint (place, kind, options, project, error);
    if (status == STATUS_OK)
        status = open_data (place, project, data, error);
    if (status != STATUS_OK)
        place_release (place);
    return status;
}

void place_release (place_t *place)
{
    if (place->lock)
        fs_close (place->fs, &place->lock);
    posix_fs_destroy (&place->fs);
}
