#include "node/node.h"

#include "base/check.h"
#include "base/mem.h"
#include "node/place.h"
#include "storage/posix_fs.h"
#include "tests/rig/scratch.h"
#include "transport/transport.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, TICK_US = 1500 };

static scratch_t scratch;
static error_t error;

/* ---- a core that answers what it is sent ---- */

typedef struct echo_core {
    env_t *env;
    char about[256];
    peer_t waiting; /* for a tick */
    int64_t due;
} echo_core_t;

typedef struct echo_job {
    job_t job;
    peer_t from;
    bool ran;
} echo_job_t;

static void echo_run (job_t *job)
{
    ((echo_job_t *)job)->ran = true;
}

static void echo_discard (job_t *job)
{
    mem_free (job);
}

static void echo_core_receive (echo_core_t *self, const peer_t *from, const void *data, size_t size)
{
    text_t text = { data, (uint32_t)size };
    if (text_is (text, "about")) {
        self->env->send (self->env, from, self->about, strlen (self->about));
    } else if (text_is (text, "job")) {
        echo_job_t *job = mem_zero (1, sizeof *job);
        job->job = (job_t){ .run = echo_run, .discard = echo_discard };
        job->from = *from;
        self->env->submit (self->env, &job->job);
    } else if (text_is (text, "tick")) {
        self->waiting = *from;
        self->due = self->env->boot_us (self->env) + TICK_US;
    } else if (!text_is (text, "nothing")) {
        self->env->send (self->env, from, data, size);
    }
}

static void echo_core_job_done (echo_core_t *self, job_t *job)
{
    echo_job_t *echo = (echo_job_t *)job;
    self->env->send (self->env, &echo->from, echo->ran ? "ran" : "not", 3);
    mem_free (echo);
}

static int64_t echo_core_tick (echo_core_t *self)
{
    if (self->waiting.size == 0)
        return INT64_MAX;
    if (self->env->boot_us (self->env) < self->due)
        return self->due;
    self->env->send (self->env, &self->waiting, "ticked", 6);
    self->waiting.size = 0;
    return INT64_MAX;
}

static void echo_core_destroy (echo_core_t **self_p)
{
    env_log ((*self_p)->env, LOG_DEBUG, "destroyed");
    mem_free (*self_p);
    *self_p = NULL;
}

NODE_CORE (echo);

static status_t make_echo (const node_t *node, void **core, error_t *why)
{
    if (strcmp (node->name, "speed-worker-2") == 0)
        return error_set (why, STATUS_UNAVAILABLE, "cannot be made today");
    if (access (scratch_path (&scratch, "busy"), F_OK) == 0)
        return error_set (why, STATUS_BUSY, "somebody else holds it");
    echo_core_t *self = mem_zero (1, sizeof *self);
    self->env = node->env;
    snprintf (self->about, sizeof self->about, "%s %s %s %u %.*s", node->name, node->cluster,
              node->endpoint, node->project->partitions, (int)node->coordinator.size,
              node->coordinator.bytes);
    CHECK (node->cluster_id != 0);
    CHECK (node->env->random (node->env) != node->env->random (node->env));
    CHECK (node->env->clock_us (node->env) > INT64_C (1600000000000000));
    *core = self;
    return STATUS_OK;
}

static const node_program_t serving = { .kind = NODE_SERVING,
                                        .purpose = "Answers what it is sent.",
                                        .core = &echo_node_core,
                                        .make = make_echo,
                                        .threads = 2 };
static const node_program_t speed_worker = { .kind = NODE_SPEED_WORKER,
                                             .purpose = "Answers what it is sent.",
                                             .core = &echo_node_core,
                                             .make = make_echo,
                                             .threads = 1 };

/* ---- a project in a directory of its own ---- */

static void write_project (const char *cluster, unsigned partitions)
{
    FILE *file = fopen (scratch_path (&scratch, "weir.yaml"), "w");
    cr_assert_not_null (file);
    fprintf (file,
             "cluster: %s\npartitions: %u\ndata: deep/data\nnodes:\n"
             "  coordinator: ipc://%s/coordinator\n  serving: [\"ipc://%s/serving\"]\n"
             "  speed_workers: [\"ipc://%s/speed1\", \"ipc://%s/speed2\"]\n",
             cluster, partitions, scratch.path, scratch.path, scratch.path, scratch.path);
    cr_assert_eq (fclose (file), 0);
}

static void set_up (void)
{
    scratch_make (&scratch);
    write_project ("shop", 4);
}

static void tear_down (void)
{
    scratch_remove (&scratch);
}

TestSuite (node, .init = set_up, .fini = tear_down, .timeout = 120);

/* Runs node_main in a process of its own, its stderr in the file `log`. */
static pid_t start (const node_program_t *program, const char *option, const char *value)
{
    const char *words[] = {
        "weir-node", "-C", scratch.path, "--log-level", "debug", option, value
    };
    char *argv[8] = { NULL };
    int argc = 0;
    while (argc < 7 && words[argc]) {
        argv[argc] = mem_string (words[argc]);
        argc++;
    }
    pid_t pid = fork ();
    cr_assert_geq (pid, 0);
    if (pid == 0) {
        int log = open (scratch_path (&scratch, "log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2 (log, STDERR_FILENO);
        dup2 (log, STDOUT_FILENO);
        _exit (node_main (program, argc, argv));
    }
    for (int i = 0; i < argc; i++)
        mem_free (argv[i]);
    return pid;
}

static int wait_for_end (pid_t pid)
{
    int status;
    cr_assert_eq (waitpid (pid, &status, 0), pid);
    cr_assert (WIFEXITED (status), "ended by signal %d", WTERMSIG (status));
    return WEXITSTATUS (status);
}

static void stop (pid_t pid)
{
    cr_assert_eq (kill (pid, SIGTERM), 0);
    cr_assert_eq (wait_for_end (pid), 0);
}

static bool log_says (const char *text)
{
    char log[65536];
    FILE *file = fopen (scratch_path (&scratch, "log"), "r");
    if (!file)
        return false;
    log[fread (log, 1, sizeof log - 1, file)] = '\0';
    fclose (file);
    return strstr (log, text) != NULL;
}

static void expect_log (const char *text)
{
    cr_assert (log_says (text), "the log does not say \"%s\"", text);
}

static void await_log (const char *text)
{
    for (int waited = 0; !log_says (text); waited += 10) {
        cr_assert_lt (waited, PATIENCE_MS, "the log does not say \"%s\"", text);
        poll (NULL, 0, 10);
    }
}

/* Sends and waits for the answer. */
static void ask (transport_t *asker, const peer_t *to, const char *question, char *answer,
                 size_t answer_size)
{
    peer_t from;
    const void *data;
    size_t size;
    transport_send (asker, to, question, strlen (question));
    for (int waited = 0; waited < PATIENCE_MS; waited += 100) {
        transport_poll (asker, 100, NULL, 0, NULL);
        if (transport_receive (asker, &from, &data, &size)) {
            cr_assert_lt (size, answer_size);
            memcpy (answer, data, size);
            answer[size] = '\0';
            return;
        }
    }
    cr_assert_fail ("no answer to %s", question);
}

static void expect_answer (const char *name, const char *question, const char *answer)
{
    char endpoint[256], got[512];
    transport_t *asker;
    cr_assert_eq (transport_new (NULL, &asker, &error), STATUS_OK);
    snprintf (endpoint, sizeof endpoint, "ipc://%s/%s", scratch.path, name);
    peer_t to = peer_of_endpoint (endpoint);
    ask (asker, &to, question, got, sizeof got);
    cr_assert_str_eq (got, answer);
    transport_destroy (&asker);
}

/* ---- running ---- */

Test (node, messages_jobs_and_ticks_reach_the_core)
{
    pid_t pid = start (&serving, NULL, NULL);
    expect_answer ("serving", "hello", "hello");
    for (int i = 0; i < 50; i++) {
        expect_answer ("serving", "job", "ran");
        expect_answer ("serving", "tick", "ticked");
    }
    stop (pid);
    expect_log ("Z info serving-1: started; cluster shop");
    expect_log ("debug serving-1: destroyed");
}

Test (node, a_core_is_told_who_and_where_it_is)
{
    char about[512];
    pid_t pid = start (&serving, NULL, NULL);
    snprintf (about, sizeof about, "serving-1 shop ipc://%s/serving 4 ipc://%s/coordinator",
              scratch.path, scratch.path);
    expect_answer ("serving", "about", about);
    stop (pid);
}

static void hold (bool held)
{
    if (held)
        cr_assert_eq (close (open (scratch_path (&scratch, "busy"), O_WRONLY | O_CREAT, 0600)), 0);
    else
        cr_assert_eq (unlink (scratch_path (&scratch, "busy")), 0);
}

Test (node, waits_for_what_another_process_holds)
{
    hold (true);
    pid_t pid = start (&serving, NULL, NULL);
    await_log ("warning serving-1: waits: somebody else holds it");
    hold (false);
    expect_answer ("serving", "hello", "hello");
    stop (pid);
}

Test (node, is_stopped_while_it_waits)
{
    hold (true);
    pid_t pid = start (&serving, NULL, NULL);
    await_log ("warning serving-1: waits: somebody else holds it");
    stop (pid);
    hold (false);
}

static int64_t now_ms (void)
{
    struct timespec now;
    cr_assert_eq (clock_gettime (CLOCK_MONOTONIC, &now), 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

Test (node, a_burst_is_answered_whole)
{
    enum { BURST = 900 }; /* more than one round of the loop takes, fewer than queues hold */
    char endpoint[256];
    transport_t *asker;
    pid_t pid = start (&serving, NULL, NULL);
    expect_answer ("serving", "hello", "hello");
    cr_assert_eq (transport_new (NULL, &asker, &error), STATUS_OK);
    snprintf (endpoint, sizeof endpoint, "ipc://%s/serving", scratch.path);
    peer_t to = peer_of_endpoint (endpoint);
    for (int i = 0; i < BURST; i++)
        transport_send (asker, &to, i % 2 ? "job" : "hi", i % 2 ? 3 : 2);
    unsigned got = 0;
    int64_t until = now_ms () + PATIENCE_MS;
    while (got < BURST && now_ms () < until) {
        peer_t from;
        const void *data;
        size_t size;
        transport_poll (asker, 100, NULL, 0, NULL);
        while (transport_receive (asker, &from, &data, &size))
            got++;
    }
    cr_assert_eq (got, BURST);
    transport_destroy (&asker);
    stop (pid);
}

/* Does the process wait for somebody's lock of a file? */
static bool waits_for_a_lock (pid_t pid)
{
    char line[256], mine[32];
    bool waits = false;
    FILE *locks = fopen ("/proc/locks", "r");
    cr_assert_not_null (locks);
    snprintf (mine, sizeof mine, " WRITE %d ", (int)pid);
    while (fgets (line, sizeof line, locks))
        waits = waits || (strstr (line, "-> FLOCK") && strstr (line, mine));
    fclose (locks);
    return waits;
}

/* As `weir fsck` and `weir backup` do, also where the node never ran. */
Test (node, none_starts_while_somebody_works_on_the_directory)
{
    fs_t *fs;
    file_t *lock;
    file_t *node;
    cr_assert_eq (mkdir (scratch_path (&scratch, "deep"), 0700), 0);
    cr_assert_eq (posix_fs_open (scratch_path (&scratch, "deep/data"), &fs, &error), STATUS_OK,
                  "%s", error.text);
    cr_assert_eq (posix_fs_lock (fs, CLUSTER_LOCK, &lock, &error), STATUS_OK, "%s", error.text);
    pid_t pid = start (&serving, NULL, NULL);
    for (int waited = 0; waited < PATIENCE_MS && !waits_for_a_lock (pid); waited++)
        (void)poll (NULL, 0, 1);
    cr_assert (waits_for_a_lock (pid));
    cr_assert_eq (fs_open (fs, "nodes/serving-1.lock", FS_READ, &node, &error), STATUS_NOT_FOUND);
    fs_unlock (fs, lock); /* the process, which is no other program, has the handle, too */
    fs_close (fs, &lock);
    expect_answer ("serving", "hello", "hello");
    cr_assert_eq (posix_fs_lock (fs, "nodes/serving-1.lock", &node, &error), STATUS_BUSY);
    stop (pid);
    posix_fs_destroy (&fs);
}

Test (node, sigint_stops_as_sigterm_does)
{
    pid_t pid = start (&serving, NULL, NULL);
    expect_answer ("serving", "job", "ran");
    cr_assert_eq (kill (pid, SIGINT), 0);
    cr_assert_eq (wait_for_end (pid), 0);
    expect_log ("destroyed");
}

/* ---- what is refused ---- */

static void expect_refusal (const node_program_t *program, const char *option, const char *value,
                            int status, const char *text)
{
    cr_assert_eq (wait_for_end (start (program, option, value)), status, "%s", text);
    expect_log (text);
}

Test (node, help_and_version_end_well)
{
    expect_refusal (&serving, "--help", NULL, 0, "weir-serving -C my-project --name serving-2");
    expect_refusal (&serving, "--version", NULL, 0, "weir-node 0.");
}

Test (node, wrong_usage_ends_with_2)
{
    expect_refusal (&serving, "--no-such-option", NULL, 2, "no-such-option");
    expect_refusal (&serving, "stray", NULL, 2, "\"stray\" is not expected here");
    expect_refusal (&serving, "--log-level", "loud", 2, "no log level \"loud\"");
}

Test (node, a_name_or_place_that_does_not_fit_is_refused)
{
    expect_refusal (&serving, "--name", "../x", 1, "is no name for a node");
    expect_refusal (&serving, "--name", "", 1, "is no name for a node");
    expect_refusal (&serving, "--name", "serving-2", 1, "weir.yaml has no endpoint for serving-2");
    expect_refusal (&serving, "--name", "other", 1, "--listen");
    expect_refusal (&serving, "--listen", "tcp://0.0.0.0:1", 1, "cannot listen at");
    expect_refusal (&serving, "--listen", "x", 1, "expected tcp://host:port or ipc://path");
}

Test (node, a_core_that_cannot_be_made_says_why)
{
    expect_refusal (&speed_worker, "--name", "speed-worker-2", 1, "cannot be made today");
}

Test (node, a_project_that_is_not_there_is_told)
{
    unlink (scratch_path (&scratch, "weir.yaml"));
    expect_refusal (&serving, NULL, NULL, 1, "weir.yaml");
}

Test (node, the_same_node_twice_is_refused)
{
    pid_t pid = start (&serving, NULL, NULL);
    expect_answer ("serving", "hello", "hello");
    expect_refusal (&serving, NULL, NULL, 1, "serving-1 runs already on");
    expect_answer ("serving", "hello", "hello");
    stop (pid);
}

static void append_to_project (const char *text)
{
    FILE *file = fopen (scratch_path (&scratch, "weir.yaml"), "a");
    cr_assert_not_null (file);
    fputs (text, file);
    cr_assert_eq (fclose (file), 0);
}

Test (node, beyond_this_machine_takes_keys_or_saying_so)
{
    expect_refusal (&serving, "--listen", "tcp://192.0.2.1:7601", 1, "weir keygen");
    append_to_project ("security: {open: true}\n");
    /* which is not an address of this machine */
    expect_refusal (&serving, "--listen", "tcp://192.0.2.1:7601", 1, "cannot listen at");
}

Test (node, with_security_and_no_key_it_does_not_start)
{
    append_to_project ("security: {keys: keys}\n");
    expect_refusal (&serving, NULL, NULL, 1, "weir keygen node --role node");
    cr_assert_eq (key_generate (scratch_path (&scratch, "keys"), "node", ROLE_NODE, &error),
                  STATUS_OK);
    pid_t pid = start (&serving, NULL, NULL);
    key_pair_t pair;
    accepted_key_t node = { .name = "node", .role = ROLE_NODE };
    cr_assert_eq (key_read_pair (scratch_path (&scratch, "keys/node.secret"), &pair, &error),
                  STATUS_OK);
    memcpy (node.key, pair.public, sizeof node.key);
    keyring_t *keyring = keyring_of (&pair, &node, 1);
    transport_t *asker;
    char endpoint[256], got[512];
    cr_assert_eq (transport_new_secured (NULL, &keyring, &asker, &error), STATUS_OK);
    snprintf (endpoint, sizeof endpoint, "ipc://%s/serving", scratch.path);
    peer_t to = peer_of_endpoint (endpoint);
    ask (asker, &to, "hello", got, sizeof got);
    cr_assert_str_eq (got, "hello");
    cr_assert_eq (kill (pid, SIGHUP), 0); /* does not end it */
    ask (asker, &to, "again", got, sizeof got);
    cr_assert_str_eq (got, "again");
    transport_destroy (&asker);
    stop (pid);
}

/* ---- the data directory ---- */

static status_t open_place (node_kind_t kind, uint64_t *id)
{
    place_t place;
    project_t *project;
    node_options_t options = { .directory = scratch.path };
    cr_assert_eq (project_read (scratch.path, &project, &error), STATUS_OK, "%s", error.text);
    status_t status = place_open (&place, kind, &options, project, &error);
    if (status == STATUS_OK)
        *id = place.cluster.id;
    place_release (&place);
    project_destroy (&project);
    return status;
}

Test (node, a_data_directory_belongs_to_one_cluster_for_ever)
{
    uint64_t id = 0, again = 0;
    cr_assert_eq (open_place (NODE_COORDINATOR, &id), STATUS_OK, "%s", error.text);
    cr_assert_neq (id, 0);
    cr_assert_eq (open_place (NODE_BATCH_WORKER, &again), STATUS_OK);
    cr_assert_eq (again, id);
    write_project ("shop", 8);
    cr_assert_eq (open_place (NODE_SERVING, &again), STATUS_INVALID);
    cr_assert (strstr (error.text, "has 4 partitions and weir.yaml says 8"), "%s", error.text);
    write_project ("other", 4);
    cr_assert_eq (open_place (NODE_SERVING, &again), STATUS_INVALID);
    cr_assert (strstr (error.text, "belongs to the cluster \"shop\""), "%s", error.text);
    write_project ("shop", 4);
    cr_assert_eq (open_place (NODE_SERVING, &again), STATUS_OK);
}

Test (node, a_damaged_cluster_file_is_refused)
{
    static const struct {
        const char *text;
        status_t status;
    } cases[] = { { "", STATUS_CORRUPT },
                  { "weir-cluster 3\nname shop\nid 1\npartitions 4\n", STATUS_VERSION },
                  { "weir-cluster 2\nname shop\nid 000000000000001a\npartitions 4\n"
                    "place 0000000000000001\n",
                    STATUS_CORRUPT },
                  { "weir-cluster unfinished-restore\n", STATUS_INVALID },
                  { "weir-cluster 1\nname shop\npartitions 4\n", STATUS_CORRUPT },
                  { "weir-cluster 1\nname shop\nid 0\npartitions 4\n", STATUS_CORRUPT },
                  { "weir-cluster 1\nname shop\nid 1x\npartitions 4\n", STATUS_CORRUPT },
                  { "weir-cluster 1\nname shop\nid 000000000000001a\npartitions 4\n", STATUS_OK } };
    uint64_t id = 0;
    cr_assert_eq (open_place (NODE_SERVING, &id), STATUS_OK, "%s", error.text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        FILE *file = fopen (scratch_path (&scratch, "deep/data/cluster"), "w");
        cr_assert_not_null (file);
        fputs (cases[i].text, file);
        fclose (file);
        cr_assert_eq (open_place (NODE_SERVING, &id), cases[i].status, "case %zu", i);
    }
    cr_assert_eq (id, 0x1a);
}

Test (node, nodes_that_start_together_agree_on_the_cluster)
{
    enum { STARTS = 8 };
    int pipes[2];
    uint64_t ids[STARTS];
    cr_assert_eq (pipe (pipes), 0);
    for (int i = 0; i < STARTS; i++) {
        pid_t pid = fork ();
        cr_assert_geq (pid, 0);
        if (pid == 0) {
            place_t place;
            project_t *project;
            char name[32];
            snprintf (name, sizeof name, "batch-worker-%d", i + 1);
            node_options_t options = { .directory = scratch.path, .name = name };
            uint64_t id = 0;
            if (project_read (scratch.path, &project, &error) == STATUS_OK &&
                place_open (&place, NODE_BATCH_WORKER, &options, project, &error) == STATUS_OK)
                id = place.cluster.id;
            _exit (write (pipes[1], &id, sizeof id) == sizeof id ? 0 : 1);
        }
    }
    for (int i = 0; i < STARTS; i++) {
        cr_assert_eq (read (pipes[0], &ids[i], sizeof ids[i]), (ssize_t)sizeof ids[i]);
        cr_assert_neq (ids[i], 0);
        cr_assert_eq (ids[i], ids[0]);
    }
    while (wait (NULL) > 0) {
        /* all of them */
    }
}
