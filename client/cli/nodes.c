#include "client/cli/nodes.h"

#include "base/check.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CMDLINE_MAX = 16384, FIRST_BYTES = 16384, LAST_BYTES = 8192, EXIT_NO_PROGRAM = 127 };

static char *run_path (const project_t *project, const char *name)
{
    return mem_format ("%s/run/%s.pid", project->data, name);
}

char *node_log_path (const project_t *project, const char *name)
{
    return mem_format ("%s/logs/%s.log", project->data, name);
}

/* ---- which process ---- */

/* Reads a small file whole, a NUL after it; its size, or -1. */
static ssize_t read_small (const char *path, char *data, size_t size)
{
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t at = 0;
    ssize_t got;
    while (at + 1 < size && (got = read (fd, data + at, size - 1 - at)) > 0)
        at += (size_t)got;
    close (fd);
    data[at] = '\0';
    return (ssize_t)at;
}

/* Does a NUL-separated command line have the word `option` followed by `value`? */
static bool has_option (const char *line, size_t size, const char *option, const char *value)
{
    for (const char *at = line; at < line + size; at += strlen (at) + 1) {
        const char *next = at + strlen (at) + 1;
        if (strcmp (at, option) == 0 && next < line + size && strcmp (next, value) == 0)
            return true;
    }
    return false;
}

/* Is the process a node of this name, kind and project? */
static bool is_ours (const project_t *project, const local_node_t *node, pid_t pid)
{
    char path[64], line[CMDLINE_MAX], program[64];
    snprintf (path, sizeof path, "/proc/%d/cmdline", (int)pid);
    ssize_t size = read_small (path, line, sizeof line);
    if (size <= 0)
        return false;
    snprintf (program, sizeof program, "weir-%s", node->kind);
    const char *slash = strrchr (line, '/');
    return strcmp (slash ? slash + 1 : line, program) == 0 &&
           has_option (line, (size_t)size, "--name", node->name) &&
           has_option (line, (size_t)size, "-C", project->directory);
}

static pid_t find_process (const project_t *project, const local_node_t *node)
{
    char text[32];
    char *path = run_path (project, node->name);
    ssize_t size = read_small (path, text, sizeof text);
    mem_free (path);
    long pid = size > 0 ? strtol (text, NULL, 10) : 0;
    return pid > 1 && pid <= INT_MAX && is_ours (project, node, (pid_t)pid) ? (pid_t)pid : 0;
}

static void add (const project_t *project, local_node_t *nodes, size_t *count, const char *kind,
                 size_t number)
{
    local_node_t *node = &nodes[(*count)++];
    *node = (local_node_t){ .kind = kind };
    if (number <= 1 && strcmp (kind, "coordinator") == 0)
        snprintf (node->name, sizeof node->name, "%s", kind);
    else
        snprintf (node->name, sizeof node->name, "%s-%zu", kind, number);
    node->pid = find_process (project, node);
}

size_t nodes_find (const project_t *project, local_node_t nodes[NODES_MOST])
{
    size_t count = 0;
    for (size_t i = 1; i <= project->coordinators_count; i++)
        add (project, nodes, &count, "coordinator", i);
    for (size_t i = 1; i <= project->speed_workers_count; i++)
        add (project, nodes, &count, "speed-worker", i);
    for (size_t i = 1; i <= project->batch_workers; i++)
        add (project, nodes, &count, "batch-worker", i);
    for (size_t i = 1; i <= project->serving_count; i++)
        add (project, nodes, &count, "serving", i);
    CHECK (count <= NODES_MOST);
    return count;
}

static bool is_listed (const local_node_t *nodes, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp (nodes[i].name, name) == 0)
            return true;
    return false;
}

/* Of a name such as speed-worker-3; NULL when it is none of a node. */
static const char *kind_of (const char *name)
{
    static const char *const kinds[] = { "coordinator", "speed-worker", "batch-worker", "serving" };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t size = strlen (kinds[i]);
        if (strncmp (name, kinds[i], size) == 0 && (name[size] == '-' || name[size] == '\0'))
            return kinds[i];
    }
    return NULL;
}

size_t nodes_add_left (const project_t *project, local_node_t nodes[NODES_MOST], size_t count)
{
    char *path = mem_format ("%s/run", project->data);
    DIR *directory = opendir (path);
    mem_free (path);
    struct dirent *entry;
    while (directory && count < NODES_MOST && (entry = readdir (directory)) != NULL) {
        local_node_t node = { .pid = 0 };
        const char *end = strrchr (entry->d_name, '.');
        size_t size = end && strcmp (end, ".pid") == 0 ? (size_t)(end - entry->d_name) : 0;
        if (size == 0 || size >= sizeof node.name)
            continue;
        memcpy (node.name, entry->d_name, size);
        node.kind = kind_of (node.name);
        if (!node.kind || is_listed (nodes, count, node.name))
            continue;
        node.pid = find_process (project, &node);
        if (node.pid != 0)
            nodes[count++] = node;
    }
    if (directory)
        closedir (directory);
    return count;
}

/* ---- starting ---- */

static status_t make_dir (const char *path, error_t *error)
{
    if (mkdir (path, 0777) == 0 || errno == EEXIST)
        return STATUS_OK;
    return error_set_errno (error, errno, "cannot make the directory %s", path);
}

status_t nodes_prepare (const project_t *project, error_t *error)
{
    char *run = mem_format ("%s/run", project->data);
    char *logs = mem_format ("%s/logs", project->data);
    status_t status = make_dir (project->data, error);
    if (status == STATUS_OK)
        status = make_dir (run, error);
    if (status == STATUS_OK)
        status = make_dir (logs, error);
    mem_free (run);
    mem_free (logs);
    return status;
}

status_t nodes_take_turn (const project_t *project, int *turn, error_t *error)
{
    char *path = mem_format ("%s/run/up.lock", project->data);
    int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    int failed = fd < 0 || flock (fd, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
    status_t status = STATUS_OK;
    if (failed == EWOULDBLOCK)
        status = error_set (error, STATUS_BUSY, "another `weir up` starts nodes");
    else if (failed)
        status = error_set_errno (error, failed, "cannot lock %s", path);
    if (failed && fd >= 0)
        close (fd);
    mem_free (path);
    *turn = failed ? -1 : fd;
    return status;
}

/* The node's program: beside this one, else by PATH. Freed by the caller. */
static char *find_program (const local_node_t *node)
{
    char own[PATH_MAX];
    ssize_t length = readlink ("/proc/self/exe", own, sizeof own - 1);
    own[length > 0 ? length : 0] = '\0';
    char *slash = strrchr (own, '/');
    char *name = mem_format ("weir-%s", node->kind);
    char *path = mem_format ("%.*s%s", slash ? (int)(slash + 1 - own) : 0, own, name);
    bool beside = slash && access (path, X_OK) == 0;
    mem_free (beside ? name : path);
    return beside ? path : name;
}

/* The child: a session of its own, so that Ctrl-C at our terminal is not for it. */
_Noreturn static void become (const char *program, const project_t *project,
                              const local_node_t *node, int log)
{
    sigset_t none;
    sigemptyset (&none);
    int null = open ("/dev/null", O_RDONLY);
    bool ready = null >= 0 && dup2 (null, STDIN_FILENO) >= 0 && dup2 (log, STDOUT_FILENO) >= 0 &&
                 dup2 (log, STDERR_FILENO) >= 0 && setsid () >= 0 &&
                 sigprocmask (SIG_SETMASK, &none, NULL) == 0;
    signal (SIGPIPE, SIG_DFL);
    if (ready)
        execlp (program, program, "-C", project->directory, "--name", node->name, (char *)NULL);
    dprintf (STDERR_FILENO, "cannot start %s: %s\n", program, strerror (errno));
    _exit (EXIT_NO_PROGRAM);
}

/* Whole or not at all, so that nobody reads half a number. */
static status_t write_pid (const project_t *project, const local_node_t *node, error_t *error)
{
    char *path = run_path (project, node->name);
    char *temporary = mem_format ("%s.tmp", path);
    int fd = open (temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = fd >= 0 && dprintf (fd, "%d\n", (int)node->pid) > 0;
    good = fd >= 0 && close (fd) == 0 && good && rename (temporary, path) == 0;
    status_t status = good ? STATUS_OK : error_set_errno (error, errno, "%s", path);
    if (!good)
        (void)unlink (temporary);
    mem_free (temporary);
    mem_free (path);
    return status;
}

bool node_is_older (const project_t *project, const local_node_t *node)
{
    struct stat settings, started;
    char *path = run_path (project, node->name);
    char *written = mem_format ("%s/weir.yaml", project->directory);
    bool older = stat (written, &settings) == 0 && stat (path, &started) == 0 &&
                 (started.st_mtim.tv_sec < settings.st_mtim.tv_sec ||
                  (started.st_mtim.tv_sec == settings.st_mtim.tv_sec &&
                   started.st_mtim.tv_nsec < settings.st_mtim.tv_nsec));
    mem_free (written);
    mem_free (path);
    return older;
}

status_t node_start (const project_t *project, local_node_t *node, error_t *error)
{
    struct stat about;
    char *path = node_log_path (project, node->name);
    int log = open (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log < 0) {
        status_t status = error_set_errno (error, errno, "%s", path);
        mem_free (path);
        return status;
    }
    mem_free (path);
    node->log_start = fstat (log, &about) == 0 ? (uint64_t)about.st_size : 0;
    char *program = find_program (node);
    pid_t pid = fork ();
    if (pid == 0)
        become (program, project, node, log);
    int code = errno;
    mem_free (program);
    close (log);
    if (pid < 0)
        return error_set_errno (error, code, "cannot start %s", node->name);
    node->pid = pid;
    return write_pid (project, node, error);
}

/* ---- running and ending ---- */

bool node_runs (const project_t *project, local_node_t *node)
{
    int how;
    if (node->pid == 0)
        return false;
    pid_t got = waitpid (node->pid, &how, WNOHANG);
    if (got == node->pid)
        node->pid = 0;
    else if (got < 0 && !is_ours (project, node, node->pid))
        node->pid = 0; /* it is not our child, and gone */
    return node->pid != 0;
}

void node_signal (const project_t *project, local_node_t *node, int number)
{
    if (node_runs (project, node))
        (void)kill (node->pid, number);
}

void node_forget (const project_t *project, const local_node_t *node)
{
    char *path = run_path (project, node->name);
    (void)unlink (path);
    mem_free (path);
}

/* Is ` info NAME: WORDS` among the first that it logged since it was started? */
static bool has_logged (const project_t *project, const local_node_t *node, const char *words)
{
    char bytes[FIRST_BYTES];
    char *mark = mem_format (" info %s: %s", node->name, words);
    char *path = node_log_path (project, node->name);
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? pread (fd, bytes, sizeof bytes - 1, (off_t)node->log_start) : -1;
    if (fd >= 0)
        close (fd);
    bytes[got > 0 ? got : 0] = '\0';
    bool is_there = strstr (bytes, mark) != NULL;
    mem_free (path);
    mem_free (mark);
    return is_there;
}

bool node_is_placed (const project_t *project, const local_node_t *node)
{
    return has_logged (project, node, "started; "); /* node.c */
}

bool node_has_definitions (const project_t *project, const local_node_t *node)
{
    bool reads_them =
        strcmp (node->kind, "serving") == 0 || strcmp (node->kind, "speed-worker") == 0;
    return !reads_them || has_logged (project, node, "definitions version "); /* member.c */
}

void node_last_words (const project_t *project, const local_node_t *node, char *text, size_t size)
{
    char bytes[LAST_BYTES];
    struct stat about;
    char *path = node_log_path (project, node->name);
    int fd = open (path, O_RDONLY | O_CLOEXEC);
    mem_free (path);
    text[0] = '\0';
    if (fd < 0)
        return;
    uint64_t end = fstat (fd, &about) == 0 ? (uint64_t)about.st_size : 0;
    uint64_t from = end > node->log_start + LAST_BYTES - 1 ? end - LAST_BYTES + 1 : node->log_start;
    ssize_t got = pread (fd, bytes, sizeof bytes - 1, (off_t)from);
    close (fd);
    if (got <= 0)
        return;
    bytes[got] = '\0';
    while (got > 0 && bytes[got - 1] == '\n')
        bytes[--got] = '\0';
    const char *line = strrchr (bytes, '\n');
    snprintf (text, size, "%s", line ? line + 1 : bytes);
}
