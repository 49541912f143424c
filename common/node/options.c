/* options.c - the command line that all nodes share. */
/* Before base/status.h, which takes the name error_t for our own. */
#include <argp.h>

#include "node/node.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_NAME = 256, KEY_LISTEN, KEY_DATA, KEY_KEY, KEY_LOG_LEVEL, EXIT_WRONG_USAGE = 2 };

static const struct argp_option known[] = {
    { "directory", 'C', "DIR", 0, "the project's directory, with weir.yaml (default: .)", 0 },
    { "name", KEY_NAME, "NAME", 0,
      "this node's name, unique in the cluster (default: KIND-1, or coordinator)", 0 },
    { "listen", KEY_LISTEN, "ENDPOINT", 0,
      "where to listen: tcp://HOST:PORT (PORT may be *; HOST beyond this machine needs security "
      "in weir.yaml) or ipc://PATH (default: what "
      "weir.yaml "
      "lists for the number in the name)",
      0 },
    { "data", KEY_DATA, "DIR", 0, "the data directory (default: what weir.yaml says)", 0 },
    { "key", KEY_KEY, "FILE", 0,
      "this node's secret key, where weir.yaml sets security (default: NAME.secret in the "
      "directory "
      "of keys, or node.secret there)",
      0 },
    { "log-level", KEY_LOG_LEVEL, "LEVEL", 0, "debug, info, warning or error (default: info)", 0 },
    { NULL, 0, NULL, 0, NULL, 0 },
};

static bool parse_level (const char *word, log_level_t *level)
{
    static const char *const words[] = { "debug", "info", "warning", "error" };
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp (word, words[i]) == 0) {
            *level = (log_level_t)i;
            return true;
        }
    }
    return false;
}

static int parse_option (int key, char *argument, struct argp_state *state)
{
    node_options_t *options = state->input;
    switch (key) {
    case 'C':
        options->directory = argument;
        return 0;
    case KEY_NAME:
        options->name = argument;
        return 0;
    case KEY_LISTEN:
        options->listen = argument;
        return 0;
    case KEY_DATA:
        options->data = argument;
        return 0;
    case KEY_KEY:
        options->key = argument;
        return 0;
    case KEY_LOG_LEVEL:
        if (!parse_level (argument, &options->log_level))
            argp_error (state, "no log level \"%s\": debug, info, warning or error", argument);
        return 0;
    case ARGP_KEY_ARG:
        argp_error (state, "\"%s\" is not expected here", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_version (FILE *stream, struct argp_state *state)
{
    fprintf (stream, "%s %s\n", state->name, WEIR_VERSION);
}

void node_parse (const node_program_t *program, int argc, char **argv, node_options_t *options)
{
    const char *word = node_kind_word (program->kind);
    const char *number = program->kind == NODE_COORDINATOR ? "" : "-2";
    char *doc = mem_format ("%s\v"
                            "Runs in the foreground, logs to stderr, and stops on SIGTERM or "
                            "Ctrl-C. `weir up` starts all nodes of a project.\n\n"
                            "Examples:\n"
                            "  weir-%s -C my-project\n"
                            "  weir-%s -C my-project --name %s%s --log-level debug",
                            program->purpose, word, word, word, number);
    const struct argp argp = { known, parse_option, NULL, doc, NULL, NULL, NULL };
    *options = (node_options_t){ .log_level = LOG_INFO };
    argp_err_exit_status = EXIT_WRONG_USAGE;
    argp_program_version_hook = print_version;
    if (argp_parse (&argp, argc, argv, 0, NULL, options) != 0)
        exit (EXIT_WRONG_USAGE);
    mem_free (doc);
}
