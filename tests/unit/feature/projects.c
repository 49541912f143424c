/* weir.yaml: defaults, what is refused, and the files of definitions that it names. */
#include "feature/endpoint.h"
#include "feature/project.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static project_t *parse (const char *yaml)
{
    project_t *project = NULL;
    error_t error;
    status_t status = project_parse ("dir", text_of (yaml), &project, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    return project;
}

Test (projects, have_defaults_for_all_but_the_cluster)
{
    project_t *project = parse ("cluster: shop\n");
    cr_expect_str_eq (project->cluster, "shop");
    cr_expect_str_eq (project->name, "shop");
    cr_expect_str_eq (project->data, "dir/data");
    cr_expect_eq (project->partitions, 4);
    cr_expect_str_eq (project->coordinator, "tcp://127.0.0.1:7600");
    cr_assert_eq (project->serving_count, 1);
    cr_expect_str_eq (project->serving[0], "tcp://127.0.0.1:7601");
    cr_assert_eq (project->speed_workers_count, 2);
    cr_expect_str_eq (project->speed_workers[0], "tcp://127.0.0.1:7611");
    cr_expect_str_eq (project->speed_workers[1], "tcp://127.0.0.1:7612");
    cr_expect_eq (project->batch_workers, 1);
    cr_expect_eq (project->batch_every, 10 * TIME_MINUTE);
    cr_expect_eq (project->batch_nice, 10);
    cr_expect_eq (project->max_ahead, 5 * TIME_MINUTE);
    cr_expect_eq (project->lease, 3 * TIME_SECOND);
    cr_expect_eq (project->speed_memory, UINT64_C (1) << 30);
    cr_expect_eq (project->batch_memory, UINT64_C (512) << 20);
    cr_expect_eq (project->files_count, 0);
    project_destroy (&project);
    cr_expect_null (project);
}

Test (projects, take_every_setting)
{
    project_t *project =
        parse ("cluster: shop\nproject: fraud\ndata: /var/weir\npartitions: 16\n"
               "nodes:\n  base_port: 9000\n  serving: [ipc:///tmp/a, tcp://localhost:1]\n"
               "  speed_workers: 'tcp://[::1]:2'\n  batch_workers: 3\n"
               "batch:\n  every: never\n  nice: 0\nmax_ahead: 1h\nlease: 500ms\n"
               "limits: {speed_memory: 2GiB, batch_memory: 64MiB}\n"
               "definitions: [a.yaml, b/*.yml]\n");
    cr_expect_str_eq (project->name, "fraud");
    cr_expect_str_eq (project->data, "/var/weir");
    cr_expect_eq (project->partitions, 16);
    cr_expect_str_eq (project->coordinator, "tcp://127.0.0.1:9000");
    cr_assert_eq (project->serving_count, 2);
    cr_expect_str_eq (project->serving[0], "ipc:///tmp/a");
    cr_assert_eq (project->speed_workers_count, 1);
    cr_expect_str_eq (project->speed_workers[0], "tcp://[::1]:2");
    cr_expect_eq (project->batch_workers, 3);
    cr_expect_eq (project->batch_every, PROJECT_NEVER);
    cr_expect_eq (project->batch_nice, 0);
    cr_expect_eq (project->max_ahead, TIME_HOUR);
    cr_expect_eq (project->lease, 500 * TIME_MS);
    cr_expect_eq (project->speed_memory, UINT64_C (2) << 30);
    cr_expect_eq (project->batch_memory, UINT64_C (64) << 20);
    cr_assert_eq (project->patterns_count, 2);
    cr_expect_str_eq (project->patterns[1], "b/*.yml");
    project_destroy (&project);
}

Test (projects, say_which_answers_are_kept_and_what_raises_an_alert)
{
    project_t *project = parse ("cluster: shop\n");
    cr_expect_eq (project->skew.sample, 0);
    cr_expect_eq (project->skew.keep, 7 * TIME_DAY);
    cr_expect_eq (project->skew.psi, 0.2);
    project_destroy (&project);
    project =
        parse ("cluster: shop\nskew: {sample: 0.25, keep: 2d, size: 64MiB, psi: 0.5, ks: 0.3, "
               "null_rate: 1}\n");
    cr_expect_eq (project->skew.sample, 0.25);
    cr_expect_eq (project->skew.keep, 2 * TIME_DAY);
    cr_expect_eq (project->skew.size, UINT64_C (64) << 20);
    cr_expect_eq (project->skew.psi, 0.5);
    cr_expect_eq (project->skew.ks, 0.3);
    cr_expect_eq (project->skew.null_rate, 1);
    project_destroy (&project);
    static const char *const wrong[] = { "{sample: 2}",    "{sample: -1}", "{sample: nan}",
                                         "{sample: much}", "{size: 1MiB}", "{keep: 0}",
                                         "{sampel: 1}" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[128];
        error_t error;
        (void)snprintf (text, sizeof text, "cluster: shop\nskew: %s\n", wrong[i]);
        cr_expect_eq (project_parse ("dir", text_of (text), &project, &error), STATUS_INVALID, "%s",
                      wrong[i]);
        cr_expect_not_null (strstr (error.text, "weir.yaml:2:"), "%s", error.text);
    }
}

Test (projects, base_port_moves_all_defaults)
{
    project_t *project = parse ("cluster: shop\nnodes: {base_port: 9100}\n");
    cr_expect_str_eq (project->coordinator, "tcp://127.0.0.1:9100");
    cr_expect_str_eq (project->serving[0], "tcp://127.0.0.1:9101");
    cr_expect_str_eq (project->speed_workers[1], "tcp://127.0.0.1:9112");
    project_destroy (&project);
}

Test (projects, may_have_several_coordinators)
{
    project_t *project = parse ("cluster: shop\nnodes: {base_port: 9100}\n");
    cr_assert_eq (project->coordinators_count, 1);
    cr_expect_str_eq (project->coordinators[0], "tcp://127.0.0.1:9100");
    project_destroy (&project);
    project = parse ("cluster: shop\nnodes:\n  coordinator: ipc://a\n");
    cr_assert_eq (project->coordinators_count, 1);
    cr_expect_str_eq (project->coordinator, "ipc://a");
    project_destroy (&project);
    project = parse ("cluster: shop\nnodes:\n  coordinators: [ipc://a, 'tcp://127.0.0.1:9'] \n");
    cr_assert_eq (project->coordinators_count, 2);
    cr_expect_str_eq (project->coordinator, "ipc://a");
    cr_expect_str_eq (project->coordinators[1], "tcp://127.0.0.1:9");
    project_destroy (&project);
}

Test (projects, mistakes_are_told_with_their_place)
{
    static const struct {
        const char *yaml;
        const char *text;
        status_t status;
    } cases[] = {
        { "", "weir.yaml:1:1: the file is empty; it needs `cluster`: a name", STATUS_INVALID },
        { "data: x\n", "weir.yaml:1:1: weir.yaml needs `cluster`: a name", STATUS_INVALID },
        { "cluster: a\npartitons: 4\n",
          "weir.yaml:2:1: unknown key 'partitons' in weir.yaml; did you mean 'partitions'?",
          STATUS_INVALID },
        { "cluster: a\npartitions: 0\n",
          "weir.yaml:2:13: `partitions` must be a whole number from 1 to 1024, not '0'",
          STATUS_INVALID },
        { "cluster: a\nlease: 3\n",
          "weir.yaml:2:8: `lease` must be a duration such as 90s, 10m or 7d, not '3'",
          STATUS_INVALID },
        { "cluster: a\nlease: 2m\n", "weir.yaml:2:8: `lease` is '2m'; it must be 500ms to 1m",
          STATUS_INVALID },
        { "cluster: a\nlimits: {speed_memory: 1GB}\n",
          "weir.yaml:2:24: `speed_memory` must be a size such as 512MiB or 2GiB, not '1GB'",
          STATUS_INVALID },
        { "cluster: a\nlimits: {speed_memory: 1MiB}\n",
          "weir.yaml:2:24: `speed_memory` is '1MiB'; it must be 16MiB to 1048576MiB",
          STATUS_INVALID },
        { "cluster: a\nnodes:\n  coordinator: tcp://0.0.0.0:7600\n",
          "weir.yaml:3:16: \"0.0.0.0\" is every address of a machine and none that others can "
          "reach: give the one by which they do",
          STATUS_INVALID },
        { "cluster: a\nnodes:\n  coordinator: tcp://10.0.0.1:7600\n",
          "weir.yaml:3:16: this is beyond this machine, and there are no keys: make some with "
          "`weir keygen` and say `security: {keys: ./keys}` in weir.yaml (docs/security.md); or "
          "use 127.0.0.1 or ipc://; or let everybody in who can connect, with `security: {open: "
          "true}`",
          STATUS_INVALID },
        { "cluster: a\nsecurity: {open: true, keys: k}\n",
          "weir.yaml:2:18: either `keys` or `open: true`, not both", STATUS_INVALID },
        { "cluster: a\nsecurity: {open: yes}\n",
          "weir.yaml:2:18: `open` must be true or false, not 'yes'", STATUS_INVALID },
        { "cluster: a\nnodes:\n  coordinator: ipc://x\n  serving: [ipc://x]\n",
          "weir.yaml:4:13: the endpoint is also given at line 3", STATUS_INVALID },
        { "cluster: a\nnodes:\n  coordinator: tcp://127.0.0.1:7612\n",
          "weir.yaml:3:16: the endpoint is also the default of another node; give all of them, or "
          "another `base_port`",
          STATUS_INVALID },
        { "cluster: a\nnodes:\n  coordinator: ipc://x\n  coordinators: [ipc://y]\n",
          "weir.yaml:3:16: `coordinators` names them all; leave this out", STATUS_INVALID },
        { "cluster: a\nnodes:\n  coordinator: [ipc://x, ipc://y]\n",
          "weir.yaml:3:16: expected one endpoint; several are given as `coordinators`",
          STATUS_INVALID },
        { "cluster: a\nnodes:\n  coordinators: [ipc://1, ipc://2, ipc://3, ipc://4, ipc://5, "
          "ipc://6, "
          "ipc://7, ipc://8, ipc://9]\n",
          "weir.yaml:3:17: there can be up to 8 coordinators", STATUS_INVALID },
        { "cluster: a\nnodes:\n  speed_workers: []\n", "weir.yaml:3:18: there must be at least one",
          STATUS_INVALID },
        { "cluster: a\ndefinitions: ../x.yaml\n",
          "weir.yaml:2:14: files of definitions are below the project's directory: no leading / "
          "and no ..",
          STATUS_INVALID },
        { "cluster: a\nschedule: {}\n",
          "weir.yaml:2:1: this version does not support `schedule` in weir.yaml",
          STATUS_UNSUPPORTED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        project_t *project = NULL;
        error_t error;
        status_t status = project_parse ("dir", text_of (cases[i].yaml), &project, &error);
        cr_expect_eq (status, cases[i].status, "%s", cases[i].yaml);
        cr_expect_null (project);
        cr_expect_str_eq (error.text, cases[i].text);
    }
}

Test (projects, listen_only_on_this_machine_without_keys)
{
    static const char *const good[] = { "tcp://127.0.0.1:1", "tcp://127.255.0.9:65535",
                                        "tcp://localhost:7600", "tcp://[::1]:7600", "ipc://a/b" };
    static const char *const far[] = { "tcp://10.0.0.1:7600",
                                       "tcp://127.0.0.1.example.org:7600",
                                       "tcp://127.0.0:7600",
                                       "tcp://127.0.0.256:7600",
                                       "tcp://a-b.c:1",
                                       "tcp://[2001:db8::1]:7600",
                                       "tcp://0127.0.0.1:1",
                                       "tcp://127.0.0.01:1",
                                       "tcp://127.00.0.1:1",
                                       "tcp://0:1",
                                       "tcp://[::ffff:127.0.0.1]:1" };
    static const char *const bad[] = { "tcp://0.0.0.0:1",
                                       "tcp://*:7600",
                                       "tcp://[::]:7600",
                                       "tcp://a b:7600",
                                       "tcp://a:b:7600",
                                       "tcp://-a:7600",
                                       "tcp://eth0;127.0.0.1:7600",
                                       "tcp://127.0.0.1:0",
                                       "tcp://127.0.0.1:65536",
                                       "tcp://127.0.0.1:+1",
                                       "tcp://127.0.0.1",
                                       "tcp://:7600",
                                       "tcp://",
                                       "ipc://",
                                       "ipc://a b",
                                       "ipc://@weir",
                                       "udp://127.0.0.1:1",
                                       "" };
    error_t error;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect (endpoint_check (text_of (good[i]), &error) == STATUS_OK &&
                       endpoint_is_local (text_of (good[i])),
                   "%s", good[i]);
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        cr_expect_eq (endpoint_check (text_of (far[i]), &error), STATUS_OK, "%s", far[i]);
        cr_expect_not (endpoint_is_local (text_of (far[i])), "%s", far[i]);
        cr_expect_eq (endpoint_check_reach (text_of (far[i]), false, &error), STATUS_INVALID);
        cr_expect_eq (endpoint_check_reach (text_of (far[i]), true, &error), STATUS_OK);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_neq (endpoint_check (text_of (bad[i]), &error), STATUS_OK, "%s", bad[i]);
}

Test (projects, keys_or_open_allow_to_listen_beyond_this_machine)
{
    static const char *const given[] = { "security: {keys: /etc/weir}", "security: {open: true}",
                                         "security: {}" };
    static const char *const keys[] = { "/etc/weir", NULL, "dir/keys" };
    error_t error;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        char text[256];
        project_t *project;
        (void)snprintf (text, sizeof text,
                        "cluster: a\nnodes: {coordinator: 'tcp://10.0.0.1:1'}\n%s\n", given[i]);
        cr_assert_eq (project_parse ("dir", text_of (text), &project, &error), STATUS_OK, "%s",
                      error.text);
        cr_expect_eq (project->open, i == 1);
        cr_expect (keys[i] ? project->keys && strcmp (project->keys, keys[i]) == 0
                           : project->keys == NULL);
        project_destroy (&project);
    }
}

static void write_file (const char *directory, const char *name, const char *text)
{
    char path[512];
    (void)snprintf (path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen (path, "wb");
    cr_assert_not_null (file);
    cr_assert_eq (fputs (text, file) >= 0, 1);
    cr_assert_eq (fclose (file), 0);
}

static void make_directory (char *path, size_t size)
{
    const char *root = getenv ("TMPDIR");
    (void)snprintf (path, size, "%s/weir-project-[x]-XXXXXX", root != NULL ? root : "/tmp");
    cr_assert_not_null (mkdtemp (path));
    char features[512];
    (void)snprintf (features, sizeof features, "%s/features", path);
    cr_assert_eq (mkdir (features, 0700), 0);
}

static void remove_file (const char *directory, const char *name)
{
    char path[512];
    (void)snprintf (path, sizeof path, "%s/%s", directory, name);
    (void)remove (path);
}

static void remove_directory (const char *directory)
{
    static const char *const names[] = { "weir.yaml",       "a.yaml",         "features/b.yml",
                                         "features/a.yaml", "features/c.txt", "features" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove_file (directory, names[i]);
    cr_assert_eq (rmdir (directory), 0);
}

Test (projects, say_where_serving_nodes_speak_http)
{
    project_t *project = parse ("cluster: a\n");
    cr_expect_eq (project->http.serving_count, 0);
    project_destroy (&project);
    project = parse ("cluster: a\nhttp: {serving: '127.0.0.1:6566'}\n");
    cr_assert_eq (project->http.serving_count, 1);
    cr_expect_str_eq (project->http.serving[0], "127.0.0.1:6566");
    cr_expect_null (project->http.tokens);
    cr_expect_null (project->http.key);
    project_destroy (&project);
    project = parse ("cluster: a\nsecurity: {keys: k}\n"
                     "nodes: {serving: [ipc://a, ipc://b]}\n"
                     "http:\n  serving: ['10.0.0.1:6566', '[2001:db8::1]:80']\n"
                     "  certificate: ./tls/a.crt\n  private_key: /a.key\n  tokens: t\n");
    cr_assert_eq (project->http.serving_count, 2);
    cr_expect_str_eq (project->http.serving[1], "[2001:db8::1]:80");
    cr_expect_str_eq (project->http.certificate, "dir/tls/a.crt");
    cr_expect_str_eq (project->http.private_key, "/a.key");
    cr_expect_str_eq (project->http.tokens, "dir/t");
    cr_expect_str_eq (project->http.key, "http");
    project_destroy (&project);
    project = parse ("cluster: a\nsecurity: {open: true}\nhttp: {serving: '10.0.0.1:80'}\n");
    cr_assert_eq (project->http.serving_count, 1);
    project_destroy (&project);
}

Test (projects, refuse_http_that_lets_everybody_in_and_what_makes_no_sense)
{
    static const char far[] = "this is beyond this machine: it takes `certificate` and "
                              "`private_key` and `tokens`";
    static const struct {
        const char *yaml, *text;
    } cases[] = {
        { "http: {}\n", "weir.yaml:2:7: `http` needs `serving`" },
        { "http: {serving: 'tcp://127.0.0.1:1'}\n", "weir.yaml:2:17: expected host:port" },
        { "http: {serving: '127.0.0.1'}\n", "weir.yaml:2:17: expected host:port" },
        { "http: {serving: '127.0.0.1:0'}\n", "weir.yaml:2:17: expected host:port" },
        { "http: {serving: '0.0.0.0:1'}\n", "weir.yaml:2:17: expected host:port" },
        { "http: {serving: '10.0.0.1:1'}\n", far },
        { "http: {serving: '10.0.0.1:1', tokens: t}\n", far },
        { "http: {serving: '10.0.0.1:1', certificate: c, private_key: k}\n", far },
        { "http: {serving: ['127.0.0.1:1', '127.0.0.1:2']}\n",
          "weir.yaml:2:17: there are 1 serving nodes, and 2 addresses for them" },
        { "http: {serving: '127.0.0.1:1', certificate: c}\n",
          "weir.yaml:2:45: `certificate` and `private_key` go together" },
        { "http: {serving: '127.0.0.1:1', key: k}\n", "weir.yaml:2:37: `key` is for a cluster" },
        { "http: {serving: '127.0.0.1:1', port: 1}\n", "weir.yaml:2:32: unknown key 'port'" },
        { "security: {keys: k}\nhttp: {serving: '127.0.0.1:1'}\n",
          "weir.yaml:3:7: the cluster has keys, and HTTP would let everybody in" },
        { "security: {keys: k}\nhttp: {serving: '127.0.0.1:1', tokens: t, key: a/b}\n",
          "weir.yaml:3:48: the name of a key has no /" },
        { "nodes: {serving: [ipc://a, ipc://b]}\n"
          "http: {serving: ['127.0.0.1:1', '127.0.0.1:1']}\n",
          "weir.yaml:3:33: this is the address of another node already" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        project_t *project = NULL;
        error_t error;
        char yaml[512];
        snprintf (yaml, sizeof yaml, "cluster: a\n%s", cases[i].yaml);
        cr_expect_eq (project_parse ("dir", text_of (yaml), &project, &error), STATUS_INVALID, "%s",
                      cases[i].yaml);
        cr_expect (strstr (error.text, cases[i].text) != NULL, "%s: %s", cases[i].yaml, error.text);
    }
}

Test (projects, read_every_yaml_file_of_the_features_directory_in_order)
{
    char directory[256];
    make_directory (directory, sizeof directory);
    write_file (directory, "weir.yaml", "cluster: shop\n");
    write_file (directory, "a.yaml", "never: read\n");
    write_file (directory, "features/b.yml", "# b\n");
    write_file (directory, "features/a.yaml", "# a\n");
    write_file (directory, "features/c.txt", "# c\n");
    project_t *project = NULL;
    error_t error;
    status_t status = project_read (directory, &project, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    cr_assert_eq (project->files_count, 2);
    cr_expect_str_eq (project->files[0].name, "features/a.yaml");
    cr_expect (text_is (project->files[0].text, "# a\n"));
    cr_expect_str_eq (project->files[1].name, "features/b.yml");
    project_destroy (&project);
    remove_directory (directory);
}

Test (projects, read_a_file_once_and_refuse_patterns_without_files)
{
    char directory[256];
    make_directory (directory, sizeof directory);
    write_file (directory, "features/a.yaml", "# a\n");
    write_file (directory, "weir.yaml",
                "cluster: shop\ndefinitions: [features/a.yaml, '*/*.yaml']\n");
    project_t *project = NULL;
    error_t error;
    status_t status = project_read (directory, &project, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    cr_expect_eq (project->files_count, 1);
    project_destroy (&project);
    write_file (directory, "weir.yaml", "cluster: shop\ndefinitions: featurs/*.yaml\n");
    cr_expect_eq (project_read (directory, &project, &error), STATUS_NOT_FOUND);
    cr_expect_not_null (strstr (error.text, "featurs/*.yaml"), "%s", error.text);
    remove_directory (directory);
}

Test (projects, that_are_not_there_say_how_to_make_one)
{
    project_t *project = NULL;
    error_t error;
    cr_assert_eq (project_read ("/nonexistent", &project, &error), STATUS_NOT_FOUND);
    cr_expect_not_null (strstr (error.text, "weir init"), "%s", error.text);
}

Test (projects, without_a_features_directory_have_no_definitions)
{
    char directory[256];
    make_directory (directory, sizeof directory);
    remove_file (directory, "features");
    write_file (directory, "weir.yaml", "cluster: shop\n");
    project_t *project = NULL;
    error_t error;
    status_t status = project_read (directory, &project, &error);
    cr_assert_eq (status, STATUS_OK, "%s", error.text);
    cr_expect_eq (project->files_count, 0);
    project_destroy (&project);
    remove_directory (directory);
}
