/* work.h - what the cluster does for a while: following it, and how it is shown. */
#ifndef WEIR_CLI_WORK_H
#define WEIR_CLI_WORK_H

#include "client/cli/command.h"
#include "client/cli/terminal.h"

/* Tables of LOAD and RECOMPUTE (docs/protocol.md); nothing is printed of an empty list. */
void print_loads (wire_list_t loads);
/* Appends how far a LOAD that is parsed is: bytes, rows, both a second, and what is left. */
void format_load (buf_t *out, const wire_value_t *load);
void print_recomputes (wire_list_t recomputes);

/* How work is followed. */
typedef struct following {
    /* Asks how far it is. */
    status_t (*ask) (void *arg, message_t *reply, error_t *error);
    /* Has it ended? Then it prints what came of it and says the exit status, else it shows how far
     * it is. */
    bool (*look) (void *arg, const message_t *reply, int *exit_status);
    /* Nobody waits any more: prints that it goes on. */
    void (*leave) (void *arg);
    void *arg;
} following_t;

/* Asks again and again until it has ended, or Ctrl-C, or the cluster has not answered for half a
 * minute: a coordinator that restarts is waited for. Returns the exit status. */
int follow (call_t *call, const following_t *work);

/* Waits until every recompute is published (all queries see it) or one has failed, showing how far
 * they are. Returns the exit status; prints what went wrong, and what was done unless `quiet`. */
int follow_recomputes (call_t *call, const uint64_t *ids, size_t count, bool quiet);

/* "2026-01-02 03:04:05", or "" for 0. */
void format_time (buf_t *out, int64_t time);

#endif
