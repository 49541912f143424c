#include "storage/cluster_file.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { TEXT_SIZE = 1024 };

#define UNFINISHED "weir-cluster unfinished-restore\n"

/* Reads "name value" lines. */
static bool line_value (const char *text, const char *name, char *value, size_t size)
{
    size_t length = strlen (name);
    for (const char *line = text; line && *line; line = strchr (line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp (line, name, length) == 0 && line[length] == ' ') {
            size_t end = strcspn (line + length + 1, "\n");
            if (end >= size)
                return false;
            memcpy (value, line + length + 1, end);
            value[end] = '\0';
            return true;
        }
    }
    return false;
}

/* 16 hex digits and no more. */
static bool hex_value (const char *text, const char *name, uint64_t *value)
{
    char hex[17];
    if (!line_value (text, name, hex, sizeof hex) || strlen (hex) != 16 ||
        strspn (hex, "0123456789abcdef") != 16)
        return false;
    *value = strtoull (hex, NULL, 16);
    return true;
}

/* Is the last line the checksum of all before it? */
static bool is_checked (const char *text)
{
    const char *line = strstr (text, "\ncheck ");
    uint64_t stored;
    return line && hex_value (line, "check", &stored) && strlen (line) == 24 && line[23] == '\n' &&
           XXH3_64bits (text, (size_t)(line + 1 - text)) == stored;
}

static status_t damaged (error_t *error)
{
    return error_set (
        error, STATUS_CORRUPT,
        "the file \"cluster\" is damaged: take it from a backup of this cluster (it is in "
        "data/ there), or restore that");
}

static status_t parse (const char *text, cluster_file_t *file, error_t *error)
{
    char version[32];
    char partitions[11];
    *file = (cluster_file_t){ .id = 0 };
    if (strcmp (text, UNFINISHED) == 0)
        return error_set (error, STATUS_INVALID,
                          "a restore into this directory was not finished: remove it and run `weir "
                          "restore` again");
    if (!line_value (text, "weir-cluster", version, sizeof version))
        return damaged (error);
    bool first = strcmp (version, "1") == 0;
    if (!first && strcmp (version, "2") != 0)
        return error_set (error, STATUS_VERSION,
                          "the file \"cluster\" is not of this version of weir");
    if (!line_value (text, "name", file->name, sizeof file->name) ||
        !hex_value (text, "id", &file->id) || file->id == 0 ||
        !line_value (text, "partitions", partitions, sizeof partitions) ||
        partitions[strspn (partitions, "0123456789")] != '\0' ||
        (!first && (!hex_value (text, "place", &file->place) || !is_checked (text))))
        return damaged (error);
    file->partitions = (uint32_t)strtoul (partitions, NULL, 10);
    return STATUS_OK;
}

static status_t read_text (fs_t *fs, char text[TEXT_SIZE], error_t *error)
{
    file_t *file;
    size_t size = 0;
    status_t status = fs_open (fs, CLUSTER_FILE, FS_READ, &file, error);
    if (status != STATUS_OK)
        return status;
    status = fs_read (fs, file, 0, text, TEXT_SIZE - 1, &size, error);
    fs_close (fs, &file);
    text[status == STATUS_OK ? size : 0] = '\0';
    return status;
}

status_t cluster_file_read (fs_t *fs, cluster_file_t *cluster, error_t *error)
{
    char text[TEXT_SIZE];
    status_t status = read_text (fs, text, error);
    return status == STATUS_OK ? parse (text, cluster, error) : status;
}

status_t cluster_file_write (fs_t *fs, const cluster_file_t *cluster, error_t *error)
{
    char text[TEXT_SIZE];
    CHECK (cluster->id != 0);
    int size = snprintf (text, sizeof text,
                         "weir-cluster 2\nname %s\nid %016" PRIx64 "\npartitions %" PRIu32
                         "\nplace %016" PRIx64 "\n",
                         cluster->name, cluster->id, cluster->partitions, cluster->place);
    CHECK (size > 0 && (size_t)size + 32 < sizeof text);
    uint64_t check = XXH3_64bits (text, (size_t)size);
    size += snprintf (text + size, sizeof text - (size_t)size, "check %016" PRIx64 "\n", check);
    return fs_replace (fs, CLUSTER_FILE, text, (size_t)size, error);
}

status_t cluster_file_write_unfinished (fs_t *fs, error_t *error)
{
    return fs_replace (fs, CLUSTER_FILE, UNFINISHED, strlen (UNFINISHED), error);
}

bool cluster_file_is_unfinished (fs_t *fs)
{
    char text[TEXT_SIZE];
    error_t ignored;
    return read_text (fs, text, &ignored) == STATUS_OK && strcmp (text, UNFINISHED) == 0;
}
