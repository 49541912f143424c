/* weir logs - what the nodes that `weir up` has started wrote. */
#include "client/cli/command.h"
#include "client/cli/nodes.h"
#include "client/cli/terminal.h"

#include "base/mem.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_LINES = 20, FOLLOW_MS = 200, READ_SIZE = 1 << 16 };

typedef struct followed {
    const char *name;
    int fd;
    off_t at;
    bool whole_line; /* what was printed last has ended its line */
} followed_t;

/* Where the last `lines` lines begin. */
static off_t find_tail (int fd, int64_t lines)
{
    char bytes[READ_SIZE];
    struct stat about;
    if (fstat (fd, &about) != 0)
        return 0;
    for (off_t end = about.st_size; end > 0;) {
        off_t from = end > READ_SIZE ? end - READ_SIZE : 0;
        ssize_t got = pread (fd, bytes, (size_t)(end - from), from);
        if (got <= 0)
            return 0;
        for (ssize_t i = got; i-- > 0;)
            if (bytes[i] == '\n' && from + i + 1 < about.st_size && --lines <= 0)
                return from + i + 1;
        end = from;
    }
    return 0;
}

static void print_piece (followed_t *followed, const char *bytes, size_t size, bool named)
{
    while (size > 0) {
        const char *end = memchr (bytes, '\n', size);
        size_t line = end ? (size_t)(end - bytes) + 1 : size;
        if (followed->whole_line && named)
            printf ("%-16s ", followed->name);
        fwrite (bytes, 1, line, stdout);
        followed->whole_line = end != NULL;
        bytes += line;
        size -= line;
    }
}

static bool print_new (followed_t *followed, bool named)
{
    char bytes[READ_SIZE];
    ssize_t got;
    bool any = false;
    while ((got = pread (followed->fd, bytes, sizeof bytes, followed->at)) > 0) {
        print_piece (followed, bytes, (size_t)got, named);
        followed->at += got;
        any = true;
    }
    return any;
}

static void print_all (followed_t *logs, size_t count, bool follow)
{
    do {
        bool any = false;
        for (size_t i = 0; i < count; i++)
            any |= print_new (&logs[i], count > 1);
        if (fflush (stdout) != 0)
            return;
        if (follow && !any)
            wait_ms (FOLLOW_MS);
    } while (follow);
}

static bool is_wanted (const call_t *call, const char *name)
{
    return call->words_count == 0 || strcmp (call->words[0], name) == 0;
}

static int no_log (const call_t *call, const local_node_t *nodes, size_t count)
{
    const char *names[NODES_MOST];
    for (size_t i = 0; i < count; i++)
        names[i] = nodes[i].name;
    error_t error;
    if (call->words_count == 0) {
        error_set (&error, STATUS_NOT_FOUND, "there are no logs in %s/logs yet",
                   call->project->data);
    } else {
        const char *nearest = text_nearest (call->words[0], names, count);
        error_set (&error, STATUS_NOT_FOUND, "there is no log of a node \"%s\"%s%s%s",
                   call->words[0], nearest ? "; did you mean \"" : "; `weir list nodes` lists them",
                   nearest ? nearest : "", nearest ? "\"?" : "");
    }
    return call_failed (call, &error);
}

static int run (call_t *call)
{
    const char *lines_text = NULL;
    bool follow = false;
    int64_t lines = DEFAULT_LINES;
    const option_spec_t specs[] = {
        { 'f', "follow", NULL, "go on with what is logged from now on", NULL, &follow },
        { 'n', "lines", "N", "the last N of each node (default: 20)", &lines_text, NULL },
    };
    int exit_status;
    if (!call_options (call, specs, 2, &exit_status))
        return exit_status;
    if (lines_text && !call_number (call, "lines", lines_text, INT32_MAX, &lines))
        return EXIT_USAGE;
    if (!call_project (call))
        return EXIT_FAILED;
    local_node_t nodes[NODES_MOST];
    followed_t logs[NODES_MOST];
    size_t count = nodes_find (call->project, nodes), used = 0;
    for (size_t i = 0; i < count; i++) {
        char *path = node_log_path (call->project, nodes[i].name);
        int fd = is_wanted (call, nodes[i].name) ? open (path, O_RDONLY | O_CLOEXEC) : -1;
        mem_free (path);
        if (fd >= 0)
            logs[used++] = (followed_t){ nodes[i].name, fd, find_tail (fd, lines), true };
    }
    if (used == 0)
        return no_log (call, nodes, count);
    print_all (logs, used, follow);
    for (size_t i = 0; i < used; i++)
        close (logs[i].fd);
    return EXIT_DONE;
}

const command_t command_logs = {
    .name = "logs",
    .group = "A cluster on this machine",
    .operands = "[NODE]",
    .purpose = "Prints what the nodes have logged",
    .details = NULL,
    .examples = "  weir logs\n  weir logs coordinator -f\n  weir logs speed-worker-1 --lines 200",
    .least = 0,
    .most = 1,
    .run = run,
};
