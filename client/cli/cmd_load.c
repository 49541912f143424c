/* weir load, weir loads, weir unload - bulk loads. */
#include "client/cli/incoming.h"
#include "client/cli/work.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 1000, ID_MAX = WIRE_NAME_MAX };

typedef struct wanted {
    const char *format, *on_error, *rejects, *ingest_time;
    bool again, no_wait;
} wanted_t;

typedef struct one_load {
    const char *path; /* as the user called it */
    char id[ID_MAX + 1];
} one_load_t;

/* ---- sending a file in ---- */

static const char *short_name (const char *path)
{
    const char *slash = strrchr (path, '/');
    const char *name = slash ? slash + 1 : path;
    return strcmp (path, "-") == 0 ? "stdin" : name;
}

static bool has_ended (text_t state)
{
    return text_is (state, "visible") || text_is (state, "failed") ||
           text_is (state, "unloading") || text_is (state, "unloaded");
}

/* Is the same content on its way into the stream? Then `load` is that load. */
static bool find_unfinished (call_t *call, const char *hash, one_load_t *load)
{
    message_t reply;
    error_t error;
    if (client_loads (call->weir, NULL, &reply, &error) != STATUS_OK)
        return false;
    wire_list_t loads = wire_list (reply.body, "loads");
    size_t size = strlen (hash);
    for (uint32_t i = 0; i < loads.count; i++) {
        const wire_value_t *one = &loads.items[i];
        text_t id = wire_text (one, "id"); /* the hash, or <hash>.2 */
        if (id.size < size || memcmp (id.data, hash, size) != 0 ||
            !text_is (wire_text (one, "stream"), call->words[0]) ||
            has_ended (wire_text (one, "state")))
            continue;
        wire_copy (one, "id", load->id, sizeof load->id);
        return true;
    }
    return false;
}

/* Is it sure that the load was not taken? Of what failed, one cannot know: a commit of which the
 * last sync went wrong may stand. */
static bool is_refusal (status_t status)
{
    return status == STATUS_EXISTS || status == STATUS_INVALID || status == STATUS_NOT_FOUND ||
           status == STATUS_TOO_LARGE;
}

/* Unless the load was refused the copy stays; if it was not taken, the next `weir load` removes it.
 */
static status_t ask (call_t *call, const wanted_t *wanted, const source_t *source,
                     const incoming_t *incoming, one_load_t *load, error_t *error)
{
    char *name = mem_format ("%.*s", WIRE_NAME_MAX, short_name (source->path));
    client_load_t request = { .stream = call->words[0],
                              .path = incoming->path,
                              .id = incoming->id,
                              .name = name,
                              .format = format_word (source->format),
                              .skip = wanted->on_error && strcmp (wanted->on_error, "skip") == 0,
                              .again = wanted->again,
                              .ingest_time = wanted->ingest_time };
    message_t reply;
    status_t status = client_load (call->weir, &request, &reply, error);
    mem_free (name);
    if (status == STATUS_OK)
        wire_copy (reply.body, "id", load->id, sizeof load->id);
    else if (is_refusal (status))
        incoming_remove (call->project->data, incoming);
    interrupt_removes (NULL);
    if (status == STATUS_EXISTS && find_unfinished (call, incoming->id, load)) {
        fprintf (stderr, "%s is being loaded already (%s)%s\n", source->path, load->id,
                 wanted->no_wait ? "" : "; waiting for it");
        return STATUS_OK;
    }
    if (status == STATUS_EXISTS)
        (void)error_set (error, status, "%s was loaded before; --again loads it once more",
                         source->path);
    return status;
}

/* Will a load read a copy of this content? In doubt, yes. The first load of it has the hash as its
 * id, and the later ones <hash>.2 and so on. */
static bool is_wanted (void *arg, const char *hash)
{
    const call_t *call = arg;
    for (unsigned number = 1;; number++) {
        char id[ID_MAX + 1];
        message_t reply;
        error_t error;
        snprintf (id, sizeof id, number == 1 ? "%s" : "%s.%u", hash, number);
        if (client_loads (call->weir, id, &reply, &error) != STATUS_OK)
            return true;
        wire_list_t loads = wire_list (reply.body, "loads");
        if (loads.count == 0)
            return false;
        text_t state = wire_text (&loads.items[0], "state");
        if (text_is (state, "queued") || text_is (state, "parsing"))
            return true;
    }
}

static status_t start (call_t *call, const wanted_t *wanted, const char *path, one_load_t *load,
                       error_t *error)
{
    source_t source;
    incoming_t incoming = { .fd = -1 };
    load->path = path;
    status_t status = source_open (&source, path, wanted->format, error);
    if (status != STATUS_OK)
        return status;
    status =
        incoming_copy (call->project->data, call->project->disk_reserve, &source, &incoming, error);
    if (status == STATUS_OK)
        status = ask (call, wanted, &source, &incoming, load, error);
    incoming_release (&incoming);
    source_close (&source);
    return status;
}

/* ---- following it ---- */

static void show (const one_load_t *load, const wire_value_t *state)
{
    text_t problem = wire_text (state, "error");
    if (problem.size > 0) { /* and yet it goes on: it waits for that to pass */
        progress ("%s: waits: " TEXT_FORMAT, load->path, TEXT_ARGS (problem));
        return;
    }
    buf_t text;
    buf_init (&text, 512);
    format_load (&text, state);
    text_t word = wire_text (state, "state");
    if (text_is (word, "waiting"))
        word = text_of ("read, and waiting for its recompute");
    progress ("%s: " TEXT_FORMAT " (%s)", load->path, TEXT_ARGS (word), buf_string (&text));
    buf_release (&text);
}

static int take_rejects (call_t *call, const wanted_t *wanted, const wire_value_t *state)
{
    text_t rejects = wire_text (state, "rejects");
    error_t error;
    if (!wanted->rejects || rejects.size == 0)
        return EXIT_DONE;
    char *from = mem_format ("%s/" TEXT_FORMAT, call->project->data, TEXT_ARGS (rejects));
    status_t status = copy_file (from, wanted->rejects, &error);
    mem_free (from);
    return status == STATUS_OK ? EXIT_DONE : call_failed (call, &error);
}

static int ended (call_t *call, const wanted_t *wanted, const one_load_t *load,
                  const wire_value_t *state, int64_t start)
{
    progress_end ();
    uint64_t rows = wire_uint (state, "rows", 0), refused = wire_uint (state, "refused", 0);
    if (!text_is (wire_text (state, "state"), "visible")) {
        text_t why = wire_text (state, "error");
        fprintf (stderr, "weir load: %s: " TEXT_FORMAT "\n", load->path, TEXT_ARGS (why));
        (void)take_rejects (call, wanted, state);
        return EXIT_FAILED;
    }
    if (call->json) {
        print_json (state);
    } else {
        printf ("%s: %" PRIu64 " row%s", load->path, rows, plural (rows));
        if (refused > 0)
            printf (", %" PRIu64 " refused%s", refused,
                    wanted->rejects ? "" : " (--rejects FILE keeps them)");
        printf (", visible after %.1f s\n", (double)(monotonic_ms () - start) / 1000);
    }
    return take_rejects (call, wanted, state);
}

typedef struct loading {
    call_t *call;
    const wanted_t *wanted;
    const one_load_t *load;
    int64_t start; /* ms */
} loading_t;

static status_t ask_state (void *arg, message_t *reply, error_t *error)
{
    const loading_t *self = arg;
    return client_loads (self->call->weir, self->load->id, reply, error);
}

static bool look (void *arg, const message_t *reply, int *exit_status)
{
    const loading_t *self = arg;
    wire_list_t found = wire_list (reply->body, "loads");
    if (found.count == 0) {
        error_t error;
        (void)error_set (&error, STATUS_NOT_FOUND, "load %s is not known any more", self->load->id);
        *exit_status = call_failed (self->call, &error);
        return true;
    }
    if (has_ended (wire_text (&found.items[0], "state"))) {
        *exit_status = ended (self->call, self->wanted, self->load, &found.items[0], self->start);
        return true;
    }
    show (self->load, &found.items[0]);
    return false;
}

static void tell_goes_on (const one_load_t *load)
{
    fprintf (stderr,
             "weir load: %s: the load goes on as %s; `weir loads %s` shows it, `weir unload %s` "
             "undoes it\n",
             load->path, load->id, load->id, load->id);
}

static void leave (void *arg)
{
    const loading_t *self = arg;
    tell_goes_on (self->load);
}

/* Waits for those that were begun, one after the other. Ctrl-C leaves all that are left. */
static int follow_all (call_t *call, const wanted_t *wanted, const one_load_t *loads, size_t count,
                       int64_t start)
{
    int exit_status = EXIT_DONE;
    for (size_t i = 0; i < count; i++) {
        if (exit_status == EXIT_INTERRUPTED) {
            tell_goes_on (&loads[i]);
            continue;
        }
        loading_t loading = { call, wanted, &loads[i], start };
        int one = follow (call, &(following_t){ ask_state, look, leave, &loading });
        if (one == EXIT_INTERRUPTED || exit_status == EXIT_DONE)
            exit_status = one;
    }
    return exit_status;
}

/* ---- load ---- */

/* Would writing the rejects overwrite what is loaded? */
static bool is_input (const call_t *call, const char *rejects)
{
    struct stat one, other;
    bool is_file = stat (rejects, &one) == 0 && S_ISREG (one.st_mode);
    for (size_t i = 1; i < call->words_count; i++) {
        const char *path = call->words[i];
        bool is_stdin = strcmp (path, "-") == 0;
        if (!is_stdin && strcmp (path, rejects) == 0)
            return true;
        if (is_file && (is_stdin ? fstat (STDIN_FILENO, &other) : stat (path, &other)) == 0 &&
            one.st_dev == other.st_dev && one.st_ino == other.st_ino)
            return true;
    }
    return false;
}

/* Can the file be written? It is left as it is: there may be no rejects. */
static status_t check_rejects (const char *path, error_t *error)
{
    struct stat about;
    bool is_there = lstat (path, &about) == 0;
    if (is_there && stat (path, &about) == 0) {
        if (S_ISDIR (about.st_mode))
            return error_set (error, STATUS_INVALID, "%s is a directory", path);
        return access (path, W_OK) == 0 ? STATUS_OK : error_set_errno (error, errno, "%s", path);
    }
    int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_set_errno (error, errno, "%s", path);
    close (fd);
    if (!is_there)
        (void)unlink (path);
    return STATUS_OK;
}

/* Before a long file is copied: is there a cluster to load it, and a place for the rejects? */
static status_t check_ready (call_t *call, const wanted_t *wanted, error_t *error)
{
    message_t reply;
    status_t status = wanted->rejects ? check_rejects (wanted->rejects, error) : STATUS_OK;
    if (status == STATUS_OK)
        status = client_loads (call->weir, "-", &reply, error); /* no load is called so */
    return status;
}

static bool check_wanted (const call_t *call, const wanted_t *wanted)
{
    const char *what = wanted->on_error;
    if (what && strcmp (what, "stop") != 0 && strcmp (what, "skip") != 0)
        (void)call_usage (call, "--on-error is stop or skip, not \"%s\"", what);
    else if (wanted->rejects && (!what || strcmp (what, "skip") != 0))
        (void)call_usage (call, "--rejects goes with --on-error skip");
    else if (wanted->rejects && call->words_count > 2)
        (void)call_usage (call, "--rejects goes with one FILE");
    else if (wanted->rejects && wanted->no_wait)
        (void)call_usage (call, "--rejects cannot be had with --no-wait");
    else if (wanted->rejects && is_input (call, wanted->rejects))
        (void)call_usage (call, "--rejects %s would overwrite what is loaded", wanted->rejects);
    else
        return true;
    return false;
}

static int load_all (call_t *call, const wanted_t *wanted, one_load_t *loads)
{
    size_t count = 0, files = call->words_count - 1;
    int exit_status = EXIT_DONE;
    int64_t start_ms = monotonic_ms ();
    for (; count < files && exit_status == EXIT_DONE; count++) {
        error_t error;
        if (start (call, wanted, call->words[count + 1], &loads[count], &error) != STATUS_OK) {
            exit_status = call_failed (call, &error);
            break; /* those before it go on */
        }
        if (wanted->no_wait && call->json)
            printf ("{\"id\":\"%s\"}\n", loads[count].id);
        else if (wanted->no_wait)
            printf ("%s: load %s; `weir loads` tells how far it is\n", loads[count].path,
                    loads[count].id);
    }
    if (wanted->no_wait)
        return exit_status;
    int followed = follow_all (call, wanted, loads, count, start_ms);
    incoming_clean (call->project->data, is_wanted, call); /* of an earlier try, it may be */
    return followed == EXIT_INTERRUPTED || exit_status == EXIT_DONE ? followed : exit_status;
}

static int run_load (call_t *call)
{
    wanted_t wanted = { 0 };
    const option_spec_t specs[] = {
        { 'f', "format", "FORMAT", "csv or ndjson (default: by ending or content)", &wanted.format,
          NULL },
        { 0, "on-error", "WHAT", "stop at a bad row (default) and load nothing, or skip it",
          &wanted.on_error, NULL },
        { 0, "rejects", "FILE", "where to put the rows that were skipped", &wanted.rejects, NULL },
        { 0, "ingest-time", "COLUMN", "when each row was known (default: its event time)",
          &wanted.ingest_time, NULL },
        { 0, "again", NULL, "also if it was loaded before", NULL, &wanted.again },
        { 0, "no-wait", NULL, "return when the cluster has taken it", NULL, &wanted.no_wait },
    };
    int exit_status;
    if (!call_options (call, specs, sizeof specs / sizeof specs[0], &exit_status))
        return exit_status;
    if (!check_wanted (call, &wanted))
        return EXIT_USAGE;
    if (!call_weir (call))
        return EXIT_FAILED;
    progress_in_lines ();
    error_t error;
    if (check_ready (call, &wanted, &error) != STATUS_OK)
        return call_failed (call, &error);
    incoming_clean (call->project->data, is_wanted, call);
    one_load_t *loads = mem_zero (call->words_count, sizeof *loads);
    exit_status = load_all (call, &wanted, loads);
    mem_free (loads);
    return exit_status;
}

const command_t command_load = {
    .name = "load",
    .group = "Events",
    .operands = "STREAM FILE...",
    .purpose = "Loads files of events into history, CSV (with a header) or NDJSON",
    .details =
        "FILE may be - for stdin. All rows of a file become visible together, with the recompute "
        "that the load\nschedules. The same content is refused the second time without --again. "
        "Progress is one line on\na terminal, and else a line every five seconds.",
    .examples = "  weir load payments 2025.csv 2026.csv\n"
                "  weir load payments history.ndjson --on-error skip --rejects bad.ndjson\n"
                "  zcat history.csv.gz | weir load payments -",
    .least = 2,
    .most = FILES_MAX,
    .run = run_load,
};

/* ---- loads ---- */

/* The load whose id begins with `prefix`; NOT_FOUND or INVALID unless it is one. */
static status_t find_load (call_t *call, const char *prefix, char id[ID_MAX + 1], error_t *error)
{
    message_t reply;
    status_t status = client_loads (call->weir, prefix, &reply, error);
    if (status == STATUS_OK && wire_list (reply.body, "loads").count == 0)
        status = client_loads (call->weir, NULL, &reply, error); /* the latest */
    if (status != STATUS_OK)
        return status;
    wire_list_t loads = wire_list (reply.body, "loads");
    size_t found = 0, size = strlen (prefix);
    for (uint32_t i = 0; i < loads.count; i++) {
        text_t one = wire_text (&loads.items[i], "id");
        bool is_it = text_is (one, prefix);
        if (!is_it && (one.size < size || memcmp (one.data, prefix, size) != 0))
            continue;
        wire_copy (&loads.items[i], "id", id, ID_MAX + 1);
        found++;
        if (is_it)
            return STATUS_OK;
    }
    if (found == 1)
        return STATUS_OK;
    return error_set (error, found == 0 ? STATUS_NOT_FOUND : STATUS_INVALID,
                      found == 0 ? "there is no load %s; `weir loads` lists them"
                                 : "%s is the beginning of several loads",
                      prefix);
}

static int run_loads (call_t *call)
{
    int exit_status;
    if (!call_options (call, NULL, 0, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    message_t reply;
    error_t error;
    char id[ID_MAX + 1];
    bool one = call->words_count > 0;
    if (one && find_load (call, call->words[0], id, &error) != STATUS_OK)
        return call_failed (call, &error);
    if (client_loads (call->weir, one ? id : NULL, &reply, &error) != STATUS_OK)
        return call_failed (call, &error);
    wire_list_t loads = wire_list (reply.body, "loads");
    if (call->json)
        print_json (reply.body);
    else if (loads.count == 0)
        puts ("there are no loads");
    else
        print_loads (loads);
    return EXIT_DONE;
}

const command_t command_loads = {
    .name = "loads",
    .group = "Events",
    .operands = "[ID]",
    .purpose = "Lists the loads and their states",
    .details = NULL,
    .examples = "  weir loads\n  weir loads --json",
    .least = 0,
    .most = 1,
    .run = run_loads,
};

/* ---- unload ---- */

static int run_unload (call_t *call)
{
    bool no_wait = false;
    const option_spec_t specs[] = {
        { 0, "no-wait", NULL, "return when the cluster has taken it", NULL, &no_wait },
    };
    int exit_status;
    char id[ID_MAX + 1];
    if (!call_options (call, specs, 1, &exit_status))
        return exit_status;
    if (!call_weir (call))
        return EXIT_FAILED;
    message_t reply;
    error_t error;
    if (find_load (call, call->words[0], id, &error) != STATUS_OK)
        return call_failed (call, &error);
    wire_writer_t *writer = client_begin (call->weir, MESSAGE_UNLOAD);
    wire_field_string (writer, "id", id);
    if (client_call (call->weir, CLIENT_COORDINATOR, CLIENT_TIMEOUT_MS, &reply, &error) !=
        STATUS_OK)
        return call_failed (call, &error);
    uint64_t recompute = wire_uint (reply.body, "recompute", 0);
    if (call->json)
        print_json (reply.body);
    if (!no_wait && recompute > 0)
        exit_status = follow_recomputes (call, &recompute, 1, true);
    if (!call->json && exit_status == EXIT_DONE)
        printf (no_wait ? "load %s is being undone\n" : "load %s is undone\n", id);
    return exit_status;
}

const command_t command_unload = {
    .name = "unload",
    .group = "Events",
    .operands = "ID",
    .purpose = "Undoes a load: no answer contains its rows afterwards",
    .details = "The beginning of an id will do.",
    .examples = "  weir unload 3f6c",
    .least = 1,
    .most = 1,
    .run = run_unload,
};
