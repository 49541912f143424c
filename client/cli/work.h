/* work.h - loads and recomputes: following them, and how they are shown. */
#ifndef WEIR_CLI_WORK_H
#define WEIR_CLI_WORK_H

#include "client/cli/command.h"
#include "client/cli/terminal.h"

/* Tables of LOAD and RECOMPUTE (docs/protocol.md); nothing is printed of an empty list. */
void print_loads (wire_list_t loads);
void print_recomputes (wire_list_t recomputes);

/* Waits until every recompute is published (all queries see it) or one has failed, showing how far
 * they are. Returns the exit status; prints what went wrong, and what was done unless `quiet`. */
int follow_recomputes (call_t *call, const uint64_t *ids, size_t count, bool quiet);

/* "2026-01-02 03:04:05", or "" for 0. */
void format_time (buf_t *out, int64_t time);

#endif
