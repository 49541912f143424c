/* project_files.c - finds and reads the files of a project. */
#include "base/check.h"
#include "base/mem.h"
#include "feature/project.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

/* The bytes of a file, in `arena`. */
static status_t read_file (const char *path, const char *name, arena_t *arena, text_t *text,
                           error_t *error)
{
    FILE *file = fopen (path, "rbe");
    if (file == NULL)
        return error_set_errno (error, errno, "%s", name);
    status_t status = STATUS_OK;
    char *data = mem_alloc (DEFINITION_FILE_MAX + 1);
    size_t size = fread (data, 1, DEFINITION_FILE_MAX + 1, file);
    if (ferror (file))
        status = error_set_errno (error, errno, "%s", name);
    else if (size > DEFINITION_FILE_MAX)
        status = error_set (error, STATUS_TOO_LARGE,
                            "%s:1:1: the file is too large (at most %d "
                            "bytes)",
                            name, DEFINITION_FILE_MAX);
    else
        *text = arena_text (arena, (text_t){ data, (uint32_t)size });
    mem_free (data);
    (void)fclose (file);
    return status;
}

static bool is_known (const project_t *project, const char *name)
{
    for (size_t i = 0; i < project->files_count; i++) {
        if (strcmp (project->files[i].name, name) == 0)
            return true;
    }
    return false;
}

static status_t add_file (project_t *project, const char *path, error_t *error)
{
    const char *name = path + strlen (project->directory) + 1;
    if (is_known (project, name))
        return STATUS_OK;
    if (project->files_count == PROJECT_FILES_MAX)
        return error_set (error, STATUS_TOO_LARGE,
                          "there are too many files of definitions (at most %d)",
                          PROJECT_FILES_MAX);
    definition_file_t *file = &project->files[project->files_count];
    file->name = arena_string (project->arena, text_of (name));
    status_t status = read_file (path, name, project->arena, &file->text, error);
    if (status == STATUS_OK)
        project->files_count++;
    return status;
}

/* The directory with what glob takes for patterns escaped, a slash and the pattern. */
static char *full_pattern (const char *directory, const char *pattern)
{
    char *full = mem_alloc (2 * strlen (directory) + strlen (pattern) + 2);
    char *at = full;
    for (const char *c = directory; *c != '\0'; c++) {
        if (strchr ("*?[]\\", *c) != NULL)
            *at++ = '\\';
        *at++ = *c;
    }
    *at++ = '/';
    memcpy (at, pattern, strlen (pattern) + 1);
    return full;
}

/* A directory that is not there has no files; one that cannot be read is told. */
static int is_fatal (const char *path, int code)
{
    (void)path;
    return code != ENOENT && code != ENOTDIR;
}

/* Adds the files of one pattern. One that the user gave must match something. */
static status_t add_pattern (project_t *project, const char *pattern, bool given, error_t *error)
{
    char *full = full_pattern (project->directory, pattern);
    glob_t found = { 0 };
    int result = glob (full, 0, is_fatal, &found);
    status_t status = STATUS_OK;
    if (result == GLOB_NOMATCH && given)
        status =
            error_set (error, STATUS_NOT_FOUND,
                       "weir.yaml: `definitions` has '%s', and there is no such file", pattern);
    else if (result != 0 && result != GLOB_NOMATCH)
        status = error_set (error, STATUS_IO, "%s cannot be listed", pattern);
    for (size_t i = 0; status == STATUS_OK && i < found.gl_pathc; i++)
        status = add_file (project, found.gl_pathv[i], error);
    globfree (&found);
    mem_free (full);
    return status;
}

static int compare_files (const void *left, const void *right)
{
    const definition_file_t *a = left, *b = right;
    return strcmp (a->name, b->name);
}

static status_t read_settings (const char *directory, project_t **project, error_t *error)
{
    arena_t *arena = arena_new (64 * 1024);
    char *path = mem_format ("%s/%s", directory, PROJECT_FILE);
    text_t text;
    status_t status = read_file (path, path, arena, &text, error);
    if (status == STATUS_NOT_FOUND)
        status = error_set (error, STATUS_NOT_FOUND,
                            "there is no %s in '%s'; `weir init DIR` writes a project",
                            PROJECT_FILE, directory);
    if (status == STATUS_OK)
        status = project_parse (directory, text, project, error);
    mem_free (path);
    arena_destroy (&arena);
    return status;
}

status_t project_read (const char *directory, project_t **project, error_t *error)
{
    *project = NULL;
    project_t *out = NULL;
    status_t status = read_settings (directory, &out, error);
    if (status != STATUS_OK)
        return status;
    out->files = arena_zero (out->arena, PROJECT_FILES_MAX, sizeof *out->files);
    for (size_t i = 0; status == STATUS_OK && i < out->patterns_count; i++)
        status = add_pattern (out, out->patterns[i], out->patterns_given, error);
    if (status != STATUS_OK) {
        project_destroy (&out);
        return status;
    }
    qsort (out->files, out->files_count, sizeof *out->files, compare_files);
    *project = out;
    return STATUS_OK;
}
