/* command.h - what a command is, and what all commands share.
 *
 * A command reads its options from its words, does its work, prints results on stdout and all else
 * on stderr, and returns an exit status. */
#ifndef WEIR_CLI_COMMAND_H
#define WEIR_CLI_COMMAND_H

#include "client/cli/options.h"
#include "client/lib/client.h"

#include <stdio.h>

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_INCOMPLETE = 4,
    EXIT_INTERRUPTED = 130,
};

typedef struct command command_t;

/* One call of a command. */
typedef struct call {
    const command_t *command;
    const char **words; /* after parsing: the operands */
    size_t words_count;
    const char *directory; /* -C; NULL: where we are, or above */
    bool json;
    const char *key; /* --key; NULL: WEIR_KEY or client.secret */
    project_t *project;
    client_t *weir;
} call_t;

struct command {
    const char *name;
    const char *group;    /* a heading in the list of commands */
    const char *operands; /* "STREAM FILE..."; "" for none */
    const char *purpose;  /* a line */
    const char *details;  /* NULL, or what --help says after the options */
    const char *examples; /* lines of `weir ...` */
    size_t least;         /* operands */
    size_t most;
    int (*run) (call_t *call);
};

/* Every command is one line: function. Their rows are in the files that are named for them. */
#define COMMAND_TABLE(X)                                                                           \
    X (init)                                                                                       \
    X (check)                                                                                      \
    X (explain)                                                                                    \
    X (keygen)                                                                                     \
    X (infer)                                                                                      \
    X (generate)                                                                                   \
    X (up)                                                                                         \
    X (down)                                                                                       \
    X (logs)                                                                                       \
    X (status)                                                                                     \
    X (list)                                                                                       \
    X (show)                                                                                       \
    X (delete)                                                                                     \
    X (apply)                                                                                      \
    X (fit)                                                                                        \
    X (versions)                                                                                   \
    X (diff)                                                                                       \
    X (promote)                                                                                    \
    X (retire)                                                                                     \
    X (annotate)                                                                                   \
    X (model)                                                                                      \
    X (load)                                                                                       \
    X (loads)                                                                                      \
    X (unload)                                                                                     \
    X (forget)                                                                                     \
    X (forgets)                                                                                    \
    X (send)                                                                                       \
    X (recompute)                                                                                  \
    X (get)                                                                                        \
    X (training_set)                                                                               \
    X (export)                                                                                     \
    X (skew)                                                                                       \
    X (backup)                                                                                     \
    X (restore)                                                                                    \
    X (fsck)

#define X(name) extern const command_t command_##name;
COMMAND_TABLE (X)
#undef X

/* The program: finds the command and runs it. Returns the exit status. */
int weir_main (int argc, char **argv);

/* Reads the options of a command, its own and those that all have (-C, --json, --key, --help), and
 * checks the number of operands. False when the call ends here: *exit_status says how. */
bool call_options (call_t *call, const option_spec_t *specs, size_t count, int *exit_status);

/* Says that the usage is wrong, and how to learn the right one. Returns EXIT_USAGE. */
int call_usage (const call_t *call, const char *format, ...) PRINTF_LIKE (2, 3);
/* Prints the error on stderr. Returns the exit status that goes with it. */
int call_failed (const call_t *call, const error_t *error);

/* The project, from the directory or the nearest one above it that has a weir.yaml. False after
 * printing why not. Owned by the call. */
bool call_project (call_t *call);
/* The cluster of the project. False after printing why not. Owned by the call. */
bool call_weir (call_t *call);

/* Whether it shall be done: `yes`, or who is at the terminal says so. False after printing
 * `nothing`
 * ("nothing was applied"), and without a terminal that --yes is needed. */
bool call_agreed (const call_t *call, bool yes, const char *question, const char *nothing);

/* A number from 1 to `most` given to an option; false after printing. */
bool call_number (const call_t *call, const char *option, const char *text, int64_t most,
                  int64_t *number);

/* Appends and prints a line of JSON for a reply's body. */
void print_json (const wire_value_t *body);

#endif
